// Batch normalization: what its bind (cpu/norm/batch_norm.cpp) and its phases
// (cpu/norm/batch_norm_phases.cpp) share.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cpu/fused_reduction.h"
#include "cpu/kernel.h"
#include "cpu/norm/norm.h"
#include "cpu/row_streaming.h"

namespace nnrt::batch_norm {

inline constexpr int64_t kChannelUnit = 64;  // channels of a unit of merging
inline constexpr int64_t kCoefficients = 6;  // arrays of the workspace
inline constexpr int64_t kScratchArrays = 5;

struct Arguments {
  const NormTable* table = nullptr;
  int64_t rows = 0;
  int64_t channels = 0;
  int64_t period = 0;
  int64_t image_rows = 1;
  int64_t positions = 1;  // of the channels, in a row of an image
  int64_t unit_rows = 1;
  int64_t units = 0;
  int64_t parts = 0;  // of the sums: the units, where no other step takes them
  double epsilon = 0;
  bool masked = false;  // a gradient counts where least <= y <= most
  float least = 0, most = 0;
  bool stream = false;
  bool epilogue = false;      // the epilogue is applied while normalizing
  bool handed = false;        // the coefficients lie where result 0 would
  size_t scratch_offset = 0;  // behind the tile's
  size_t partial_offset = 0;  // in the workspace, behind the coefficients
};

inline const Arguments& arguments_of(const Call& call) {
  return *static_cast<const Arguments*>(call.arguments);
}

// Operands of the gradient.
enum : uint8_t { kX, kScale, kOffset, kMean, kVariance, kGradient };

// Two numbers a channel of each part of the sums, and of how many rows they are.
inline int64_t partial_size(const Arguments& arguments) { return 2 * arguments.channels + 1; }

void measure_units(const Call& call, int64_t begin, int64_t end);
void merge_moments(const Call& call, int64_t begin, int64_t end);
void normalize_units(const Call& call, int64_t begin, int64_t end);

void sum_gradients(const Call& call, int64_t begin, int64_t end);
void merge_gradients(const Call& call, int64_t begin, int64_t end);
void apply_gradients(const Call& call, int64_t begin, int64_t end);

// Of PixelReduction.
void measure(const Call& call, int64_t part, const Stretch* stretches, int64_t count);
void open_gradient_sums(const Call& call);
void sum_gradient(const Call& call, int64_t part, const Stretch* stretches, int64_t count);

// Of chains: sinks, and makers of rows.
void measure_rows(const Call& call, const RowBand& band);
void sum_gradient_rows(const Call& call, const RowBand& band);
void normalized_rows(const Call& call, const RowBand& band);
void gradient_rows(const Call& call, const RowBand& band);

}  // namespace nnrt::batch_norm
