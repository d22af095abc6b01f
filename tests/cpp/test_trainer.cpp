// The loop over a data set, on a program that sums its batch into a variable.
#include <cmath>
#include <stdexcept>

#include "cases.h"
#include "nnrt/trainer.h"
#include "toy.h"

using namespace nnrt;
using namespace nnrt::test;

namespace {

// loss = the batch's sum of x, metric = the clock `step`; w = w + step, so w counts what the clock
// showed.
PlanWriter loop_plan() {
  PlanWriter writer;
  const int x = writer.input("x", {"N", "1"});
  const int step = writer.clock("step");
  const int steps = writer.clock("steps");
  const int epoch = writer.clock("epoch");
  const int w = writer.variable("w", {});
  writer.step("toy_sum", {x}, {writer.output("loss", {})});
  writer.binary("add", w, step, w, {});
  writer.scale(step, writer.output("step", {}), 1);
  writer.scale(steps, writer.output("steps", {}), 1);
  writer.scale(epoch, writer.output("epoch", {}), 1);
  return writer;
}

std::vector<float> counting(int64_t count) {
  std::vector<float> result;
  for (int64_t i = 0; i < count; ++i) result.push_back(static_cast<float>(i + 1));
  return result;
}

LoopResult loop(Executable& executable, const std::vector<float>& x, const LoopOptions& options,
                const LoopCallback& callback = {}) {
  const Column column = {reinterpret_cast<const char*>(x.data()),
                         {static_cast<int64_t>(x.size()), 1}};
  return run_loop(executable, 0, {column}, options, callback);
}

void averages_by_batch_size() {
  ToyExecutable executable(loop_plan().plan(), toy_options(2));
  LoopOptions options;
  options.batch = 4;
  const LoopResult result = loop(executable, counting(10), options);
  CHECK(result.rows == 10);
  CHECK(result.steps == 3);
  // Batches 1..4, 5..8 and 9, 10 with the sums 10, 26 and 19.
  CHECK(result.means[0] == (4 * 10 + 4 * 26 + 2 * 19) / 10.0);
  CHECK(result.means[1] == (4 * 0 + 4 * 1 + 2 * 2) / 10.0);
  CHECK(result.means[2] == 3);
  CHECK(std::abs(result.means[3] - (4 * 0 + 4 * 1 / 3.0 + 2 * 2 / 3.0) / 10) < 1e-6);
  CHECK(*reinterpret_cast<const float*>(executable.variable(0)) == 3);
}

void clocks_continue() {
  ToyExecutable executable(loop_plan().plan(), toy_options());
  LoopOptions options;
  options.batch = 5;
  options.clock_step = 100;
  options.clock_steps = 400;
  const LoopResult result = loop(executable, counting(10), options);
  CHECK(result.means[1] == 100.5);
  CHECK(result.means[2] == 400);
  CHECK(result.means[3] == 50.25);
}

void shuffling_sees_every_row_once() {
  ToyExecutable executable(loop_plan().plan(), toy_options(2));
  LoopOptions options;
  options.batch = 1;
  options.shuffle = true;
  options.state = {3, 17};
  const LoopResult ones = loop(executable, counting(101), options);
  CHECK(ones.means[0] == 51);
  options.batch = 1000;
  const LoopResult whole = loop(executable, counting(101), options);
  CHECK(whole.means[0] == 101 * 51);
  CHECK(whole.steps == 1);
}

void shuffling_follows_the_order() {
  ToyExecutable executable(loop_plan().plan(), toy_options());
  LoopOptions options;
  options.batch = 50;
  options.shuffle = true;
  options.state = {3, 17};
  std::vector<int64_t> order(60);
  shuffle_rows(3, 17, order);
  double expected = 0;
  for (size_t i = 0; i < 60; ++i)
    expected += static_cast<double>(order[i] + 1) * (i < 50 ? 50 : 10) / 60;
  CHECK(std::abs(loop(executable, counting(60), options).means[0] - expected) < 1e-9 * expected);
}

void the_callback_can_stop() {
  ToyExecutable executable(loop_plan().plan(), toy_options());
  LoopOptions options;
  options.batch = 1;
  int64_t calls = 0;
  const LoopResult result =
      loop(executable, counting(2000000), options, [&](const LoopProgress& progress) {
        ++calls;
        CHECK(progress.rows == 2000000);
        CHECK(progress.rows_done > 0 && progress.rows_done < progress.rows);
        return true;
      });
  CHECK(result.stopped);
  CHECK(calls == 1);
  CHECK(result.rows < 2000000);
}

void the_callback_may_throw() {
  ToyExecutable executable(loop_plan().plan(), toy_options(2));
  const LoopCallback bad = [](const LoopProgress&) -> bool {
    throw std::runtime_error("from the callback");
  };
  CHECK_ERROR(loop(executable, counting(10), {}, bad), "from the callback");
  LoopOptions options;
  options.batch = 10;
  CHECK(loop(executable, counting(10), options).means[0] == 55);
}

void infinite_losses_end_the_loop() {
  ToyExecutable executable(loop_plan().plan(), toy_options());
  std::vector<float> x = counting(10);
  x[5] = INFINITY;
  LoopOptions options;
  options.batch = 2;
  const LoopResult result = loop(executable, x, options);
  CHECK(result.not_finite_step == 2);
  CHECK(result.steps == 3);
}

// A program that changes nothing: rows = 2 x beside the sum.
PlanWriter rows_plan() {
  PlanWriter writer;
  const int x = writer.input("x", {"N", "1"});
  writer.step("toy_sum", {x}, {writer.output("loss", {})});
  writer.scale(x, writer.output("rows", {"N", "1"}), 2);
  return writer;
}

void rows_are_collected() {
  ToyExecutable executable(rows_plan().plan(), toy_options(2));
  for (int64_t batch : {1, 3, 4, 10, 99}) {
    LoopOptions options;
    options.batch = batch;
    const LoopResult result = loop(executable, counting(10), options);
    CHECK(result.means.size() == 1);
    CHECK(result.collected.size() == 1);
    CHECK((result.collected[0].info.shape == Shape{10, 1}));
    const float* rows = reinterpret_cast<const float*>(result.collected[0].data.data());
    for (int64_t i = 0; i < 10; ++i) CHECK(rows[i] == 2 * static_cast<float>(i + 1));
  }
}

void rows_are_collected_in_the_order_of_the_loop() {
  ToyExecutable executable(rows_plan().plan(), toy_options());
  LoopOptions options;
  options.batch = 7;
  options.shuffle = true;
  options.state = {3, 17};
  std::vector<int64_t> order(60);
  shuffle_rows(3, 17, order);
  const LoopResult result = loop(executable, counting(60), options);
  const float* rows = reinterpret_cast<const float*>(result.collected[0].data.data());
  for (size_t i = 0; i < 60; ++i) CHECK(rows[i] == 2 * static_cast<float>(order[i] + 1));
}

void measuring_goes_on_after_infinite_losses() {
  ToyExecutable executable(rows_plan().plan(), toy_options());
  std::vector<float> x = counting(10);
  x[1] = INFINITY;
  LoopOptions options;
  options.batch = 2;
  const LoopResult result = loop(executable, x, options);
  CHECK(result.not_finite_step == -1);
  CHECK(result.rows == 10);
  CHECK(std::isinf(result.means[0]));
}

void too_few_rows_join_the_last_batch() {
  ToyExecutable executable(loop_plan().plan(), toy_options(2));
  LoopOptions options;
  options.batch = 4;
  options.least_rows = 2;
  for (bool shuffle : {false, true}) {
    options.shuffle = shuffle;
    const LoopResult nine = loop(executable, counting(9), options);
    CHECK(nine.steps == 2);
    CHECK(nine.rows == 9);
    CHECK(nine.means[2] == 2);  // the clock `steps`
    CHECK(loop(executable, counting(10), options).steps == 3);
    CHECK(loop(executable, counting(8), options).steps == 2);
    CHECK(loop(executable, counting(1), options).steps == 1);
  }
  options.shuffle = false;
  const LoopResult nine = loop(executable, counting(9), options);
  CHECK(nine.means[0] == (4 * 10 + 5 * 35) / 9.0);  // 1..4, and 5..9
}

void outputs_that_are_neither_numbers_nor_rows_are_refused() {
  for (const char* second : {"N", "2*N-N"}) {
    PlanWriter writer = rows_plan();
    const int x = writer.input("y", {"N", second});
    writer.scale(x, writer.output("square", {"N", second}), 1);
    ToyExecutable executable(writer.plan(), toy_options());
    const std::vector<float> data(9, 1);
    const char* values = reinterpret_cast<const char*>(data.data());
    CHECK_ERROR(run_loop(executable, 0, {{values, {3, 1}}, {values, {3, 3}}}, {}, {}),
                "output `square` of program `main` is no number");
  }
}

void wrong_data_is_refused() {
  ToyExecutable executable(loop_plan().plan(), toy_options());
  const std::vector<float> x = counting(12);
  const char* data = reinterpret_cast<const char*>(x.data());
  CHECK_ERROR(run_loop(executable, 0, {{data, {12}}}, {}, {}), "dimensions");
  CHECK_ERROR(run_loop(executable, 0, {{data, {6, 2}}}, {}, {}), "expected f32[N, 1]");
  CHECK_ERROR(run_loop(executable, 0, {}, {}, {}), "takes 1 arrays");
  LoopOptions options;
  options.batch = 0;
  CHECK_ERROR(run_loop(executable, 0, {{data, {12, 1}}}, options, {}), "at least 1");
}

}  // namespace

int main() {
  return run_tests(
      {{"averages by batch size", averages_by_batch_size},
       {"clocks continue", clocks_continue},
       {"shuffling sees every row once", shuffling_sees_every_row_once},
       {"shuffling follows the order", shuffling_follows_the_order},
       {"the callback can stop", the_callback_can_stop},
       {"the callback may throw", the_callback_may_throw},
       {"infinite losses end the loop", infinite_losses_end_the_loop},
       {"measuring goes on after infinite losses", measuring_goes_on_after_infinite_losses},
       {"rows are collected", rows_are_collected},
       {"rows are collected in the order of the loop", rows_are_collected_in_the_order_of_the_loop},
       {"too few rows join the last batch", too_few_rows_join_the_last_batch},
       {"outputs that are neither numbers nor rows are refused",
        outputs_that_are_neither_numbers_nor_rows_are_refused},
       {"wrong data is refused", wrong_data_is_refused}});
}
