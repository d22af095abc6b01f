// The loop over a data set, for training and for evaluation: shuffles, gathers the rows of each
// batch inside the engine, runs the program, averages the numbers that it gives, weighted by batch
// size, and collects what it gives row by row.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "nnrt/executable.h"
#include "nnrt/memory.h"
#include "nnrt/run_state.h"

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

// A step of training that cannot stand: its loss is not finite, or what it made of a variable. The
// variables are back where they were before it.
struct Fault {
  bool found = false;     // false: only that there is one; the search was stopped, or weights were
                          // set from outside meanwhile
  uint64_t step = 0;      // its RunState::step, where found
  double loss = 0;        // of that step
  std::string variable;   // the first that it made not finite; empty where none is
  std::string kind;       // of that variable
  int64_t variables = 0;  // how many it made not finite
  uint64_t kept = 0;      // the steps that the variables have behind them now
};

class Guard;

struct LoopResult {
  std::vector<double> means;  // of each output that is a number
  std::vector<CollectedRows> collected;
  int64_t rows = 0;
  int64_t steps = 0;
  double seconds = 0;
  bool stopped = false;          // by the callback
  int64_t not_finite_step = -1;  // the step (from 0) that trained on a first output that was
                                 // infinite or no number; the loop ended there
  std::optional<Fault> fault;    // where there is a guard
};

// One pass over `columns` (one for each data input of the program, in order). Every output must be
// a float scalar, or have the batch symbol first. Throws Error for data that does not fit the
// program. With a guard, which must be of this program and these columns, a fault ends the loop.
LoopResult run_loop(Executable& executable, size_t program, const std::vector<Column>& columns,
                    const LoopOptions& options, const LoopCallback& callback,
                    Guard* guard = nullptr);

class Snapshot;

// Keeps the last good variables of a training, which may have many loops over the same columns.
// It copies them from time to time, so seldom that it costs less than a hundredth of the time, and
// looks whether they are finite. Runs are the same bit for bit when they are done again: so after a
// fault it goes back to the copy and on from there, step by step, up to the step at fault.
class Guard {
 public:
  // `stop` is asked now and then during a search, which may take as long as the time between two
  // copies; true ends it.
  Guard(Executable& executable, size_t program, std::vector<Column> columns,
        std::function<bool()> stop = {});
  ~Guard();
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;

  // Looks whether the variables are finite now. For the end of a training.
  std::optional<Fault> check();

  // For the loop: it begins; a step is about to run; a step has run, as number `step` of the loop.
  void begin(const LoopOptions& options);
  std::optional<Fault> before_step(Executable::Lease& lease);
  std::optional<Fault> after_step(Executable::Lease& lease, double loss);
  // The step that ran cannot stand: back to where the variables were before it.
  void undo(Executable::Lease& lease);

 private:
  using Clock = std::chrono::steady_clock;
  struct Stretch {  // steps of one loop
    LoopOptions options;
    int64_t first = 0;
    int64_t count = 0;
  };

  std::optional<Fault> look(Executable::Lease& lease);
  void take();
  Fault search(Executable::Lease& lease);
  int64_t run_until_fault(Executable::Lease& lease, Fault& fault);
  void run_steps(Executable::Lease& lease, int64_t count);
  bool stopped(Clock::time_point& asked) const;

  Executable& executable_;
  size_t program_;
  std::vector<Column> columns_;
  std::function<bool()> stop_;
  std::unique_ptr<Snapshot> snapshot_;
  std::vector<Stretch> stretches_;  // since the copy
  uint64_t version_ = 0;            // of the variables, as far as the loop has changed them
  bool disturbed_ = false;          // somebody else has, since the copy
  Clock::time_point taken_;
  Clock::duration cost_{};
};

// The order of rows for the epoch that starts at `step`: Fisher-Yates, keyed by Philox.
void shuffle_rows(uint64_t seed, uint64_t step, std::vector<int64_t>& order);

}  // namespace nnrt
