// The commonest epilogues, which kernels apply to a result while it is in registers instead of
// running the tile program over it: rows (biases) and a whole tensor (a residual) are added; then
// what lies where another tensor is outside of bounds becomes 0 (the gradient of a clamp); then the
// result is clamped.
#pragma once

#include <optional>
#include <vector>

#include "nnrt/plan.h"

namespace nnrt {

// Slots are loads of the tile program; -1: none.
struct RegisterEpilogue {
  int rows[2] = {-1, -1};  // one number for each element of the last axis
  int add = -1;            // of the result's shape
  int mask = -1;           // of the result's shape: elements between the bounds stay
  bool mask_above = false, mask_below = false;
  float mask_low = 0, mask_high = 0;
  bool clamp_low = false, clamp_high = false;
  float low = 0, high = 0;
};

// What the program does to buffer `result`, where it is one of these epilogues; else nothing.
std::optional<RegisterEpilogue> register_epilogue_of(const TileProgram& program,
                                                     const Shape& domain,
                                                     const std::vector<TensorInfo>& loads,
                                                     int result);

}  // namespace nnrt
