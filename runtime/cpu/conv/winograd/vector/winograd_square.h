// The transformations of squares as functions from memory to memory, in tables by the sizes of a
// tile. A transformation is long code: it is built once for each pair of sizes. What differs from
// tile to tile (pixels outside of the image, a last vector that is not full, the epilogue) goes
// through a small copy.
#pragma once

#include "cpu/conv/winograd/vector/phase_transform.h"
#include "cpu/conv/winograd/vector/winograd_edge.h"

namespace nnrt::NNC_ISA {

// Pixels of an image, `floats` channels of each in whole vectors, to positions: position p of
// channel c goes to to[p * position + c].
using SourceFunction = void (*)(const float* from, int64_t row_stride, int64_t pixel_stride,
                                float* to, int64_t position, int64_t floats);
template <class Down, class Across, int Side>
void source_square(const float* from, int64_t row_stride, int64_t pixel_stride, float* to,
                   int64_t position, int64_t floats) {
  for (int64_t c = 0; c < floats; c += kLanes) {
    const VectorSquare<const float> in(from + c, row_stride, pixel_stride);
    const VectorSquare<float> out(to + c, Side * position, position);
    transform_square<Down, Across>(
        [&](int i, int j) __attribute__((always_inline)) { return Float::load(in.at(i, j)); },
        [&](int i, int j, Float value)
            __attribute__((always_inline)) { value.store(out.at(i, j)); });
  }
}

// Products at positions back to pixels.
using ResultFunction = void (*)(const float* from, int64_t position, float* to, int64_t row_stride,
                                int64_t pixel_stride, int64_t floats);
template <class Down, class Across, int Side>
void result_square(const float* from, int64_t position, float* to, int64_t row_stride,
                   int64_t pixel_stride, int64_t floats) {
  for (int64_t c = 0; c < floats; c += kLanes) {
    const LoadColumns load = {{from + c, position, Side * position}};
    const LineSquare<float> out(to + c, row_stride, pixel_stride);
    transform_square<Down, Across>(
        load, StoreRows{out, [](int, int, float* place, Float value)
                                 __attribute__((always_inline)) { value.store(place); }});
  }
}

// Functions for tiles of so many rows and columns of pixels: both whole, or one or both an edge. A
// whole tile has 4 pixels; where `Small`, it may have 2.
template <class Function>
struct SquareTable {
  Function of[4][4];
  NNC_INLINE Function at(int64_t rows, int64_t columns) const { return of[rows - 1][columns - 1]; }
};
template <class Function, bool Small, class Make>
constexpr SquareTable<Function> make_squares(Make make) {
  SquareTable<Function> table = {};
  const auto set = [&]<int Rows, int Columns>() {
    if constexpr (Rows == Columns || Rows == 4 || Columns == 4 || (Small && Rows + Columns == 3))
      table.of[Rows - 1][Columns - 1] = make.template operator()<Rows, Columns>();
  };
  const auto set_row = [&]<int Rows>() {
    set.template operator()<Rows, 1>();
    set.template operator()<Rows, 2>();
    set.template operator()<Rows, 3>();
    set.template operator()<Rows, 4>();
  };
  set_row.template operator()<1>();
  set_row.template operator()<2>();
  set_row.template operator()<3>();
  set_row.template operator()<4>();
  return table;
}

inline constexpr auto kSourceSquares =
    make_squares<SourceFunction, true>([]<int Rows, int Columns>() {
      return &source_square<SourceBySize::of<Rows>, SourceBySize::of<Columns>, kSide>;
    });
inline constexpr auto kGradientSquares =
    make_squares<SourceFunction, false>([]<int Rows, int Columns>() {
      return &source_square<GradientBySize::of<Rows>, GradientBySize::of<Columns>, kSide>;
    });
inline constexpr auto kResultSquares =
    make_squares<ResultFunction, true>([]<int Rows, int Columns>() {
      return &result_square<ResultBySize::of<Rows>, ResultBySize::of<Columns>, kSide>;
    });

// The same of stride 2, for a phase with two rows or columns of taps or one.
template <bool TwoRows, bool TwoColumns>
inline constexpr auto kPhaseSourceSquares = make_squares<SourceFunction,
                                                         false>([]<int Rows, int Columns>() {
  return &source_square<PhaseSource<Rows, TwoRows>, PhaseSource<Columns, TwoColumns>, kPhaseSide>;
});
inline constexpr auto kPhaseGradientSquares =
    make_squares<SourceFunction, false>([]<int Rows, int Columns>() {
      return &source_square<PhaseGradient<Rows, false>, PhaseGradient<Columns, true>, kPhaseSide>;
    });
template <bool TwoRows, bool TwoColumns>
inline constexpr auto kPhaseResultSquares =
    make_squares<ResultFunction, false>([]<int Rows, int Columns>() {
      constexpr bool kRounded = Rows == 2 && Columns == 4 && !TwoRows;
      return &result_square<PhaseResult<Rows, TwoRows, kRounded>, PhaseResult<Columns, TwoColumns>,
                            kPhaseSide>;
    });

}  // namespace nnrt::NNC_ISA
