// The guard of a training: the last good variables, on a program that adds its data to a variable.
#include <cmath>
#include <limits>

#include "cases.h"
#include "core/snapshot.h"
#include "core/state_lock.h"
#include "nnrt/trainer.h"
#include "toy.h"

using namespace nnrt;
using namespace nnrt::test;

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// loss = the sum of y; w = w + the sum of x. `p` is never changed.
PlanWriter adding_plan() {
  PlanWriter writer;
  const int x = writer.input("x", {"N", "1"});
  const int y = writer.input("y", {"N", "1"});
  const int w = writer.variable("w", {}, "state");
  writer.variable("p", {});
  const int sum = writer.temporary({});
  writer.step("toy_sum", {y}, {writer.output("loss", {})});
  writer.step("toy_sum", {x}, {sum});
  writer.binary("add", w, sum, w, {});
  return writer;
}

struct Training {
  ToyExecutable executable{adding_plan().plan(), toy_options(2)};
  std::vector<float> x, y;

  explicit Training(int64_t rows) : y(static_cast<size_t>(rows), 0.5f) {
    for (int64_t i = 0; i < rows; ++i) x.push_back(static_cast<float>(i + 1));
  }
  std::vector<Column> columns() const {
    const int64_t rows = static_cast<int64_t>(x.size());
    return {{reinterpret_cast<const char*>(x.data()), {rows, 1}},
            {reinterpret_cast<const char*>(y.data()), {rows, 1}}};
  }
  LoopResult pass(Guard& guard, uint64_t step = 0) {
    LoopOptions options;
    options.batch = 1;
    options.state.step = step;
    return run_loop(executable, 0, columns(), options, {}, &guard);
  }
  float w() const { return *reinterpret_cast<const float*>(executable.variable(0)); }
  void set_w(float value) { executable.set_variable(0, &value, sizeof(value)); }
};

void a_sound_training_has_no_fault() {
  Training training(10);
  Guard guard(training.executable, 0, training.columns());
  CHECK(!training.pass(guard).fault);
  CHECK(!training.pass(guard, 10).fault);
  CHECK(!guard.check());
  CHECK(training.w() == 110);
  CHECK(training.executable.step() == 20);
}

void a_variable_that_is_not_finite_is_undone() {
  Training training(10);
  training.x[6] = kInfinity;
  Guard guard(training.executable, 0, training.columns());
  LoopResult result = training.pass(guard);
  std::optional<Fault> fault = result.fault ? result.fault : guard.check();
  CHECK(fault.has_value());
  CHECK(fault->found);
  CHECK(fault->step == 6);
  CHECK(fault->kept == 6);
  CHECK(fault->variable == "w");
  CHECK(fault->kind == "state");
  CHECK(fault->variables == 1);
  CHECK(fault->loss == 0.5);
  CHECK(training.w() == 1 + 2 + 3 + 4 + 5 + 6);
  CHECK(training.executable.step() == 6);
}

void a_loss_that_is_not_finite_is_undone() {
  Training training(10);
  training.y[4] = kInfinity;
  Guard guard(training.executable, 0, training.columns());
  const LoopResult result = training.pass(guard);
  CHECK(result.fault.has_value());
  CHECK(result.steps == 5);
  CHECK(result.fault->found && result.fault->step == 4 && result.fault->kept == 4);
  CHECK(result.fault->variable.empty() && std::isinf(result.fault->loss));
  CHECK(training.w() == 1 + 2 + 3 + 4);
}

void what_was_infinite_before_may_stay_so() {
  Training training(4);
  training.set_w(-kInfinity);
  Guard guard(training.executable, 0, training.columns());
  CHECK(!training.pass(guard).fault);
  CHECK(!guard.check());
}

void weights_from_outside_count() {
  Training training(3);
  Guard guard(training.executable, 0, training.columns());
  CHECK(!training.pass(guard).fault);
  training.set_w(100);
  CHECK(!training.pass(guard, 3).fault);
  CHECK(training.w() == 106);
  training.set_w(kInfinity);
  const LoopResult result = training.pass(guard, 6);
  CHECK(result.fault.has_value());
  CHECK(!result.fault->found);
  CHECK(std::isfinite(training.w()));
  CHECK(result.fault->kept == training.executable.step());
}

void finite_is_looked_at_everywhere() {
  for (size_t size : {size_t{1}, size_t{7}, size_t{4096}, size_t{4097}, size_t{9000}}) {
    std::vector<float> values(size, 3e38f);
    std::vector<double> doubles(size, -1e308);
    CHECK(all_finite(DType::f32, values.data(), size));
    CHECK(all_finite(DType::f64, doubles.data(), size));
    for (size_t place : {size_t{0}, size / 2, size - 1}) {
      for (float bad : {kInfinity, -kInfinity, std::nanf("1")}) {
        values[place] = bad;
        doubles[place] = bad;
        CHECK(!all_finite(DType::f32, values.data(), size));
        CHECK(!all_finite(DType::f64, doubles.data(), size));
      }
      values[place] = 0;
      doubles[place] = 0;
    }
  }
  CHECK(all_finite(DType::f32, nullptr, 0));
  const int32_t integer = -1;
  CHECK(all_finite(DType::i32, &integer, 1));
}

void a_reader_cannot_change() {
  Training training(1);
  {
    const StateLock::Reading reading(training.executable.state());
    const StateLock::Reading again(training.executable.state());
    CHECK_ERROR(training.set_w(1), "cannot be changed");
  }
  training.set_w(1);
  CHECK(training.w() == 1);
}

void a_pass_that_only_measures_sees_all_rows() {
  PlanWriter writer;
  const int y = writer.input("y", {"N", "1"});
  writer.step("toy_sum", {y}, {writer.output("loss", {})});
  ToyExecutable executable(writer.plan(), toy_options());
  const std::vector<float> values = {1, kInfinity, 1, 1};
  LoopOptions options;
  const LoopResult result = run_loop(
      executable, 0, {{reinterpret_cast<const char*>(values.data()), {4, 1}}}, options, {});
  CHECK(result.rows == 4 && std::isinf(result.means[0]));
}

}  // namespace

int main() {
  return run_tests(
      {{"a sound training has no fault", a_sound_training_has_no_fault},
       {"a variable that is not finite is undone", a_variable_that_is_not_finite_is_undone},
       {"a loss that is not finite is undone", a_loss_that_is_not_finite_is_undone},
       {"what was infinite before may stay so", what_was_infinite_before_may_stay_so},
       {"weights from outside count", weights_from_outside_count},
       {"finite is looked at everywhere", finite_is_looked_at_everywhere},
       {"a reader cannot change", a_reader_cannot_change},
       {"a pass that only measures sees all rows", a_pass_that_only_measures_sees_all_rows}});
}
