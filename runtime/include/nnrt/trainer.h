// The loop over a data set, for training and for evaluation: shuffles, gathers the rows of each
// batch inside the engine, runs the program, averages the numbers that it gives, weighted by batch
// size, and collects what it gives row by row.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "nnrt/executable.h"

namespace nnrt {

// All rows of one data input, dense. Where the input's first dimension is the batch symbol,
// `shape[0]` counts the rows of the data set; any other input is given whole to every step.
struct Column {
  const char* data = nullptr;
  Shape shape;
};

struct LoopOptions {
  int64_t batch = 1;
  bool shuffle = false;
  int64_t least_rows = 1;   // a last batch of fewer rows joins the one before it
  RunState state;           // at the first step; `state.step` grows by one a step
  int64_t clock_step = 0;   // steps done before, for the clocks
  int64_t clock_steps = 0;  // in all; 0: those of this loop
};

struct LoopProgress {
  int64_t rows_done = 0;
  int64_t rows = 0;
  const std::vector<double>* means = nullptr;  // of each number so far
};
// Called about every 50 ms and at the end; true asks to stop. May throw.
using LoopCallback = std::function<bool(const LoopProgress& progress)>;

// An output that has a row for each row of the data, in the order in which the loop saw them.
struct CollectedRows {
  TensorInfo info;
  Block data;
};

struct LoopResult {
  std::vector<double> means;  // of each output that is a number
  std::vector<CollectedRows> collected;
  int64_t rows = 0;
  int64_t steps = 0;
  double seconds = 0;
  bool stopped = false;          // by the callback
  int64_t not_finite_step = -1;  // the step (from 0) that trained on a first output that was
                                 // infinite or no number; the loop ended there
};

// One pass over `columns` (one for each data input of the program, in order). Every output must be
// a float scalar, or have the batch symbol first. Throws Error for data that does not fit the
// program.
LoopResult run_loop(Executable& executable, size_t program, const std::vector<Column>& columns,
                    const LoopOptions& options, const LoopCallback& callback);

// The order of rows for the epoch that starts at `step`: Fisher-Yates, keyed by Philox.
void shuffle_rows(uint64_t seed, uint64_t step, std::vector<int64_t>& order);

}  // namespace nnrt
