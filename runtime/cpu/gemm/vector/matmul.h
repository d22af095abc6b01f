// Matrix products on vectors. Phases: pack B's strips; multiply blocks of the result; where the
// depth was split, add the parts.
#pragma once

#include "cpu/gemm/matmul.h"
#include "cpu/gemm/vector/micro_kernel.h"
#include "cpu/tile/tile.h"

namespace nnrt::NNC_ISA {

NNC_INLINE const MatmulArguments& matmul_arguments(const Call& call) {
  return *static_cast<const MatmulArguments*>(call.arguments);
}

// Unit: one strip of one B, one block of its depth. `Shared`: for all threads.
template <bool Shared>
void matmul_pack(const Call& call, int64_t begin, int64_t end) {
  const MatmulArguments& m = matmul_arguments(call);
  const int64_t strips = m.strip_count - m.pack_begin;
  const float* b = static_cast<const float*>(call.operands[m.b_operand]);
  float* packed = packed_memory(call);
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t block = unit % m.pack_depth_blocks;
    const int64_t index = unit / m.pack_depth_blocks;
    const GemmPanel& strip = m.strips[m.pack_begin + index % strips];
    const int64_t batch = index / strips;
    const int64_t from = block * m.depth_block;
    const int64_t depth = m.depth - from < m.depth_block ? m.depth - from : m.depth_block;
    pack_strip<Shared>(b + m.pack_sources[batch] + from * m.b_row + strip.column * m.b_column,
                       m.b_row, m.b_column, depth, strip.width, strip.stride,
                       packed + batch * m.packed_floats + strip.offset + from * strip.stride);
  }
  if (Shared && kSharedPast) stream_fence();
}

// Strip by strip: packs the part of it that this pass needs and multiplies.
inline void matmul_pack_and_multiply(const MatmulArguments& m, GemmBlock block, float* packed,
                                     const VectorEpilogue* epilogue) {
  const GemmPanel* strips = block.strips;
  const int64_t count = block.strip_count;
  block.strip_count = 1;
  for (int64_t s = 0; s < count; ++s) {
    GemmPanel strip = strips[s];
    if (strip.packed) {
      pack_strip<false>(block.plain + block.depth_begin * m.b_row + strip.column * m.b_column,
                        m.b_row, m.b_column, block.depth, strip.width, strip.stride, packed);
      strip.offset = -block.depth_begin * strip.stride;
    }
    block.packed = packed;
    block.strips = &strip;
    multiply_block(block, epilogue);
  }
}

// Where a matrix would begin whose element `ahead` lies at `at`.
NNC_INLINE float* beginning(float* at, int64_t ahead) {
  return reinterpret_cast<float*>(reinterpret_cast<uintptr_t>(at) -
                                  static_cast<uintptr_t>(ahead) * sizeof(float));
}

// The memory of what is held of the result; nullptr where it has memory of its own.
NNC_INLINE float* held_memory(const MatmulArguments& m, const Call& call) {
  return m.held ? reinterpret_cast<float*>(static_cast<char*>(call.scratch) + m.held_offset)
                : nullptr;
}

// Runs the epilogue, if any, on elements [first, first + count) of the result, which lie at `held`
// unless that is nullptr.
inline void matmul_epilogue(const Call& call, float* held, int64_t first, int64_t count) {
  if (call.tile == nullptr) return;
  Call own = call;
  void* loads[kMostHeldLoads];
  if (held != nullptr) {
    for (int i = 0; i < tile_load_count(*call.tile); ++i) {
      loads[i] =
          call.tile_loads[i] == call.results[0] ? beginning(held, first) : call.tile_loads[i];
    }
    own.tile_loads = loads;
  }
  run_tile(*call.tile, own, call.scratch, first, first + count);
}

// Runs the epilogue on rows x columns of the result, in runs as long as they come. Held rows lie
// `held_row` floats apart.
inline void matmul_epilogue(const Call& call, int64_t first_row, int64_t rows, int64_t stride,
                            int64_t column, int64_t columns, float* held = nullptr,
                            int64_t held_row = 0) {
  if (columns == stride) {
    matmul_epilogue(call, held, first_row * stride, rows * stride);
    return;
  }
  for (int64_t r = 0; r < rows; ++r) {
    matmul_epilogue(call, held == nullptr ? nullptr : held + r * held_row,
                    (first_row + r) * stride + column, columns);
  }
}

// What the epilogue of a block of the result reads beside it, from element `first` on.
inline PrefetchLines matmul_ahead(const Call& call, int64_t first, int64_t stride,
                                  const GemmBlock& block) {
  PrefetchLines ahead;
  const GemmPanel& last = block.strips[block.strip_count - 1];
  const int64_t column = block.strips->column;
  for (int slot : tile_advancing(*call.tile)) {
    if (call.tile_loads[slot] == call.results[0] || ahead.parts == kMostPrefetched) continue;
    add_ahead(ahead, {static_cast<const float*>(call.tile_loads[slot]) + first + column, nullptr,
                      stride, block.rows, last.column + last.width - column});
  }
  spread_ahead(ahead, ceil_div(block.rows, kTileRows) * block.strip_count);
  return ahead;
}

// Unit: one block of rows and strips, of one batch and one part of the depth.
inline void matmul_multiply(const Call& call, int64_t begin, int64_t end) {
  const MatmulArguments& m = matmul_arguments(call);
  const float* packed = packed_memory(call);
  float* result = static_cast<float*>(call.results[0]);
  const CallEpilogue found(call);
  // A row belongs to C's columns.
  const VectorEpilogue* const epilogue = m.exchanged ? nullptr : found.get();
  float* panels = reinterpret_cast<float*>(static_cast<char*>(call.scratch) + m.panel_offset);
  float* own_packed = reinterpret_cast<float*>(static_cast<char*>(call.scratch) + m.pack_offset);
  float* const held = held_memory(m, call);
  for (int64_t unit = begin; unit < end; ++unit) {
    // Row blocks vary fastest: neighbouring units share the strips of B.
    int64_t index = unit;
    const int64_t row = index % m.row_blocks * m.row_block;
    index /= m.row_blocks;
    const int64_t strip = index % m.strip_blocks * m.strip_block;
    index /= m.strip_blocks;
    const int64_t split = index % m.splits;
    const int64_t batch = index / m.splits;

    GemmBlock block;
    block.a_rows = m.a_rows;
    block.a_steps = m.a_steps;
    block.c_rows = m.c_rows;
    block.rows = m.rows - row < m.row_block ? m.rows - row : m.row_block;
    block.packed = packed + m.p_batches[batch];
    block.plain = static_cast<const float*>(call.operands[m.b_operand]) + m.b_batches[batch];
    block.strips = m.strips + strip;
    block.strip_count =
        m.strip_count - strip < m.strip_block ? m.strip_count - strip : m.strip_block;
    float* c =
        m.splits == 1
            ? result
            : reinterpret_cast<float*>(static_cast<char*>(call.workspace) + m.partial_offset) +
                  split * m.batches * m.rows * m.columns;
    block.c = m.held && m.splits == 1 ? beginning(held, block.strips->column)
                                      : c + (batch * m.rows + row) * m.columns;
    const float* a =
        static_cast<const float*>(call.operands[m.a_operand]) + m.a_batches[batch] + row * m.a_row;
    int64_t from = split * m.split_depth;
    const int64_t to = m.depth - from < m.split_depth ? m.depth : from + m.split_depth;
    do {
      block.depth_begin = from;
      block.depth = to - from < m.depth_block ? to - from : m.depth_block;
      block.a = a + from * m.a_step;
      if (m.panels) {
        block.panels = panels;
        copy_panels(block);
      }
      const bool last = m.splits == 1 && from + block.depth >= to;
      PrefetchLines ahead;
      if (last && epilogue == nullptr && call.tile != nullptr) {
        ahead = matmul_ahead(call, (batch * m.rows + row) * m.columns, m.columns, block);
        block.ahead = &ahead;
      }
      if (m.pack_in_unit) {
        matmul_pack_and_multiply(m, block, own_packed, last ? epilogue : nullptr);
      } else {
        multiply_block(block, last ? epilogue : nullptr);
      }
      block.accumulate = true;
      from += block.depth;
    } while (from < to);
    if (m.splits == 1 && epilogue == nullptr) {
      const GemmPanel& last = block.strips[block.strip_count - 1];
      matmul_epilogue(call, batch * m.rows + row, block.rows, m.columns, block.strips->column,
                      last.column + last.width - block.strips->column, held, m.c_row);
    }
  }
}

inline void matmul_combine(const Call& call, int64_t begin, int64_t end) {
  const MatmulArguments& m = matmul_arguments(call);
  const float* partials =
      reinterpret_cast<const float*>(static_cast<const char*>(call.workspace) + m.partial_offset);
  const int64_t elements = m.batches * m.rows * m.columns;
  float* const held = held_memory(m, call);
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t from = unit * kCombineBlock;
    const int64_t to = elements - from < kCombineBlock ? elements : from + kCombineBlock;
    float* const result =
        held != nullptr ? beginning(held, from) : static_cast<float*>(call.results[0]);
    add_partials(partials, m.splits, elements, result, from, to);
    matmul_epilogue(call, held, from, to - from);
  }
}

// All of a small product in one unit: no barrier between packing and multiplying.
inline void matmul_whole(const Call& call, int64_t begin, int64_t end) {
  if (begin == end) return;
  const MatmulArguments& m = matmul_arguments(call);
  if (!m.pack_in_unit && call.prepared == nullptr)
    matmul_pack<false>(call, 0,
                       m.pack_batches * (m.strip_count - m.pack_begin) * m.pack_depth_blocks);
  matmul_multiply(call, 0, m.batches * m.row_blocks * m.strip_blocks);
}

// Dot products of Rows streamed rows with Kept kept rows.
template <int Rows, int Kept>
NNC_INLINE void dot_tile(const float* streamed, int64_t row_stride, const float* kept,
                         int64_t kept_stride, int64_t depth, float* c, int64_t c_row,
                         int64_t c_kept) {
  Float sum[Rows][Kept];
#pragma GCC unroll 4
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 4
    for (int j = 0; j < Kept; ++j) sum[r][j] = Float::zero();
  }
  int64_t k = 0;
  for (; k + kLanes <= depth; k += kLanes) {
    Float y[Kept];
#pragma GCC unroll 4
    for (int j = 0; j < Kept; ++j) y[j] = Float::load(kept + j * kept_stride + k);
#pragma GCC unroll 4
    for (int r = 0; r < Rows; ++r) {
      const Float x = Float::load(streamed + r * row_stride + k);
#pragma GCC unroll 4
      for (int j = 0; j < Kept; ++j) sum[r][j] = fma(x, y[j], sum[r][j]);
    }
  }
  if (k < depth) {
    for (int r = 0; r < Rows; ++r) {
      const Float x = Float::load_partial(streamed + r * row_stride + k, depth - k);
      for (int j = 0; j < Kept; ++j) {
        sum[r][j] = fma(x, Float::load_partial(kept + j * kept_stride + k, depth - k), sum[r][j]);
      }
    }
  }
  for (int r = 0; r < Rows; ++r) {
    for (int j = 0; j < Kept; ++j) c[r * c_row + j * c_kept] = reduce_add(sum[r][j]);
  }
}

// Streamed rows [0, rows) against Kept kept rows, four rows at a time.
template <int Kept>
void dot_rows(const float* streamed, int64_t row_stride, const float* kept, int64_t kept_stride,
              int64_t depth, float* c, int64_t c_row, int64_t c_kept, int64_t rows) {
  int64_t r = 0;
  for (; r + 4 <= rows; r += 4) {
    dot_tile<4, Kept>(streamed + r * row_stride, row_stride, kept, kept_stride, depth,
                      c + r * c_row, c_row, c_kept);
  }
  for (; r < rows; ++r) {
    dot_tile<1, Kept>(streamed + r * row_stride, row_stride, kept, kept_stride, depth,
                      c + r * c_row, c_row, c_kept);
  }
}

// Unit: a block of streamed rows of one batch, against all kept rows.
inline void matmul_dot(const Call& call, int64_t begin, int64_t end) {
  const MatmulArguments& m = matmul_arguments(call);
  const int64_t blocks = ceil_div(m.dot_rows, m.dot_block);
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t row = unit % blocks * m.dot_block;
    const int64_t batch = unit / blocks;
    const int64_t rows = m.dot_rows - row < m.dot_block ? m.dot_rows - row : m.dot_block;
    const float* a = static_cast<const float*>(call.operands[m.a_operand]) + m.a_batches[batch];
    const float* b = static_cast<const float*>(call.operands[m.b_operand]) + m.b_batches[batch];
    const float* streamed = (m.dot_streams_a ? a : b) + row * m.dot_row_stride;
    const float* kept = m.dot_streams_a ? b : a;
    float* c =
        static_cast<float*>(call.results[0]) + batch * m.rows * m.columns + row * m.dot_out_row;
    int64_t j = 0;
    for (; j + 2 <= m.dot_kept; j += 2) {
      dot_rows<2>(streamed, m.dot_row_stride, kept + j * m.dot_kept_stride, m.dot_kept_stride,
                  m.depth, c + j * m.dot_out_kept, m.dot_out_row, m.dot_out_kept, rows);
    }
    if (j < m.dot_kept) {
      dot_rows<1>(streamed, m.dot_row_stride, kept + j * m.dot_kept_stride, m.dot_kept_stride,
                  m.depth, c + j * m.dot_out_kept, m.dot_out_row, m.dot_out_kept, rows);
    }
    if (m.dot_streams_a) {
      matmul_epilogue(call, batch * m.rows + row, rows, 1, 0, 1);
    } else {
      matmul_epilogue(call, batch * m.rows, m.rows, m.columns, row, rows);
    }
  }
}

// c[row][n] += a[row][k] * b[k][n] over Steps rows of b, read side by side.
template <int Rows, int Steps>
NNC_INLINE void stream_steps(const float* a, int64_t a_row, int64_t a_step, const float* b,
                             int64_t b_row, int64_t columns, float* c, int64_t c_row) {
  Float x[Rows][Steps];
#pragma GCC unroll 8
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 8
    for (int k = 0; k < Steps; ++k) x[r][k] = Float::broadcast(a[r * a_row + k * a_step]);
  }
  auto add = [&](int64_t n, auto load, auto store) __attribute__((always_inline)) {
    Float y[Steps];
#pragma GCC unroll 8
    for (int k = 0; k < Steps; ++k) y[k] = load(b + k * b_row + n);
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r) {
      Float sum = load(c + r * c_row + n);
#pragma GCC unroll 8
      for (int k = 0; k < Steps; ++k) sum = fma(x[r][k], y[k], sum);
      store(sum, c + r * c_row + n);
    }
  };
  int64_t n = 0;
  for (; n + kLanes <= columns; n += kLanes) {
    add(
        n, [](const float* from) __attribute__((always_inline)) { return Float::load(from); },
        [](Float value, float* to) __attribute__((always_inline)) { value.store(to); });
  }
  if (n < columns) {
    const int64_t left = columns - n;
    add(
        n,
        [left](const float* from)
            __attribute__((always_inline)) { return Float::load_partial(from, left); },
        [left](Float value, float* to)
            __attribute__((always_inline)) { value.store_partial(to, left); });
  }
}

template <int Rows>
void stream_rows(const float* a, int64_t a_row, int64_t a_step, const float* b, int64_t b_row,
                 int64_t depth, int64_t columns, float* c, int64_t c_row) {
  constexpr int kSteps = Rows <= 2 ? 8 : 4;
  for (int r = 0; r < Rows; ++r)
    __builtin_memset(c + r * c_row, 0, static_cast<size_t>(columns) * sizeof(float));
  int64_t k = 0;
  for (; k + kSteps <= depth; k += kSteps) {
    stream_steps<Rows, kSteps>(a + k * a_step, a_row, a_step, b + k * b_row, b_row, columns, c,
                               c_row);
  }
  for (; k < depth; ++k)
    stream_steps<Rows, 1>(a + k * a_step, a_row, a_step, b + k * b_row, b_row, columns, c, c_row);
}

// A few rows against a large B, which is read once, row by row. Unit: a block of columns of one
// batch and one part of the depth.
inline void matmul_stream(const Call& call, int64_t begin, int64_t end) {
  const MatmulArguments& m = matmul_arguments(call);
  constexpr decltype(&stream_rows<1>) kRows[] = {&stream_rows<1>, &stream_rows<2>, &stream_rows<3>,
                                                 &stream_rows<4>};
  const int64_t blocks = ceil_div(m.columns, m.stream_columns);
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t column = unit % blocks * m.stream_columns;
    const int64_t split = unit / blocks % m.splits;
    const int64_t batch = unit / blocks / m.splits;
    const int64_t columns =
        m.columns - column < m.stream_columns ? m.columns - column : m.stream_columns;
    const int64_t from = split * m.split_depth;
    const int64_t depth = m.depth - from < m.split_depth ? m.depth - from : m.split_depth;
    float* c =
        m.splits == 1
            ? static_cast<float*>(call.results[0])
            : reinterpret_cast<float*>(static_cast<char*>(call.workspace) + m.partial_offset) +
                  split * m.batches * m.rows * m.columns;
    kRows[m.rows - 1](static_cast<const float*>(call.operands[m.a_operand]) + m.a_batches[batch] +
                          from * m.a_step,
                      m.a_row, m.a_step,
                      static_cast<const float*>(call.operands[m.b_operand]) + m.b_batches[batch] +
                          from * m.b_row + column,
                      m.b_row, depth, columns, c + batch * m.rows * m.columns + column, m.columns);
    if (m.splits == 1) matmul_epilogue(call, batch * m.rows, m.rows, m.columns, column, columns);
  }
}

inline constexpr MatmulTable matmul_table = {kPanel,           kLanes,          &matmul_pack<true>,
                                             &matmul_multiply, &matmul_combine, &matmul_whole,
                                             &matmul_dot,      &matmul_stream};

}  // namespace nnrt::NNC_ISA
