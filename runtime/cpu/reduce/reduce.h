// Reductions: the vector functions they are made of.
#pragma once

#include <cstdint>

namespace nnrt {

enum class Reduction : int { sum, maximum, minimum, count };

// Maximum and minimum give NaN where there is one.
struct ReduceTable {
  // All of `count` numbers, in a fixed order.
  float (*whole[static_cast<int>(Reduction::count)])(const float* x, int64_t count);
  // totals[i] takes in x[i], x[i + period], ... of `count` numbers.
  void (*columns[static_cast<int>(Reduction::count)])(float* totals, const float* x, int64_t count,
                                                      int64_t period);
};

// Loops over the columns of a matrix walk it with a period: short rows are taken several at a time,
// so that C = 8 or C = 10 runs at full width too. A period is a multiple of the columns; of short
// ones also of the widest vector, and a few vectors long.
inline constexpr int64_t kShortColumns = 64;
inline constexpr int64_t kWidestVector = 16;
inline constexpr int64_t kShortPeriod = 128;

constexpr int64_t period_of(int64_t columns) {
  if (columns <= 0 || columns >= kShortColumns) return columns;
  int64_t period = columns;
  while (period % kWidestVector != 0 || period < kShortPeriod) period += columns;
  return period;
}

}  // namespace nnrt
