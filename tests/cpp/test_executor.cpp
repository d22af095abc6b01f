// The executor on toy plans: results, memory, threads, and that a repeated call allocates nothing.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <new>
#include <thread>

#include "cases.h"
#include "core/executor.h"
#include "toy.h"

namespace {
std::atomic<int64_t> allocations{0};
}

__attribute__((noinline)) void* operator new(size_t bytes) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  if (void* memory = std::malloc(bytes)) return memory;
  throw std::bad_alloc();
}
__attribute__((noinline)) void* operator new(size_t bytes, std::align_val_t alignment) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  const size_t unit = static_cast<size_t>(alignment);
  if (void* memory = std::aligned_alloc(unit, (bytes + unit - 1) / unit * unit)) return memory;
  throw std::bad_alloc();
}
__attribute__((noinline)) void* operator new(size_t bytes, const std::nothrow_t&) noexcept {
  allocations.fetch_add(1, std::memory_order_relaxed);
  return std::malloc(bytes);
}
__attribute__((noinline)) void operator delete(void* memory) noexcept { std::free(memory); }
__attribute__((noinline)) void operator delete(void* memory, size_t) noexcept { std::free(memory); }
__attribute__((noinline)) void operator delete(void* memory, std::align_val_t) noexcept {
  std::free(memory);
}
__attribute__((noinline)) void operator delete(void* memory, size_t, std::align_val_t) noexcept {
  std::free(memory);
}

using namespace nnrt;
using namespace nnrt::test;

namespace {

// One call with inputs and outputs of floats, in order.
class Runner {
 public:
  explicit Runner(Executable& executable) : executable_(executable), executor_(executable) {}

  std::vector<std::vector<float>> operator()(
      const std::vector<std::pair<Shape, std::vector<float>>>& inputs, RunState state = {}) {
    std::vector<ShapeView> shapes;
    std::vector<const void*> pointers;
    for (const auto& [shape, values] : inputs) {
      shapes.push_back({shape.data(), shape.size()});
      pointers.push_back(values.data());
    }
    BoundProgram& bound = executor_.bind(0, shapes.data(), shapes.size());
    last_ = &binding_of(bound);
    std::vector<std::vector<float>> outputs;
    std::vector<void*> targets;
    for (size_t i = 0; i < executable_.programs()[0].program->outputs.size(); ++i) {
      outputs.emplace_back(static_cast<size_t>(executor_.output_info(0, bound, i).elements()), NAN);
    }
    for (std::vector<float>& output : outputs) targets.push_back(output.data());
    executor_.run(0, bound, {pointers.data(), targets.data(), state});
    return outputs;
  }

  const Binding& last() const { return *last_; }
  Executor& executor() { return executor_; }

 private:
  Executable& executable_;
  Executor executor_;
  const Binding* last_ = nullptr;
};

std::vector<float> numbers(int64_t count, float start = 1) {
  std::vector<float> result(static_cast<size_t>(count));
  for (size_t i = 0; i < result.size(); ++i) result[i] = start + static_cast<float>(i % 97) * 0.37f;
  return result;
}

// y = sum(3 * (2 x + w)), z = 2 x + w seen as [N * 4].
PlanWriter small_plan() {
  PlanWriter writer;
  const int x = writer.input("x", {"N", "4"});
  const int w = writer.variable("w", {4});
  const int doubled = writer.temporary({"N", "4"});
  const int shifted = writer.temporary({"N", "4"});
  const int tripled = writer.temporary({"N", "4"});
  const int y = writer.output("y", {});
  const int z = writer.alias(shifted, {"N*4"});
  writer.program().outputs.push_back({"z", z, "", -1});
  writer.scale(x, doubled, 2);
  writer.binary("add", doubled, w, shifted, {"N", "4"});
  writer.scale(shifted, tripled, 3);
  writer.step("toy_sum", {tripled}, {y});
  return writer;
}

void computes_what_the_plan_says() {
  ToyExecutable executable(small_plan().plan(), toy_options());
  const std::vector<float> w = {10, 20, 30, 40};
  executable.set_variable(0, w.data(), 16);
  Runner run(executable);
  for (int64_t rows : {1, 3, 100}) {
    const std::vector<float> x = numbers(rows * 4);
    const auto outputs = run({{{rows, 4}, x}});
    double sum = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      const float expected = 2 * x[i] + w[i % 4];
      CHECK(outputs[1][i] == expected);
      sum += 3.0 * expected;
    }
    CHECK(std::abs(outputs[0][0] - sum) < 1e-4 * sum);
  }
}

void empty_batches_give_empty_outputs() {
  ToyExecutable executable(small_plan().plan(), toy_options());
  Runner run(executable);
  const auto outputs = run({{{0, 4}, {}}});
  CHECK(outputs[1].empty());
  CHECK(outputs[0][0] == 0);
}

void wrong_shapes_are_named() {
  ToyExecutable executable(small_plan().plan(), toy_options());
  Runner run(executable);
  CHECK_ERROR(run({{{3, 5}, numbers(15)}}),
              "input `x`: expected f32[N, 4], found the shape [3, 5]");
  CHECK_ERROR(run({{{12}, numbers(12)}}), "input `x`: expected f32[N, 4], found the shape [12]");
  run({{{3, 4}, numbers(12)}});
  CHECK_ERROR(run({{{3, 5}, numbers(15)}}), "input `x`");
}

void absurd_sizes_are_refused() {
  ToyExecutable executable(small_plan().plan(), toy_options());
  Executor executor(executable);
  for (int64_t rows : {int64_t{1} << 34, int64_t{1} << 45, int64_t{1} << 61, int64_t{-1}}) {
    const Shape shape = {rows, 4};
    const ShapeView view = {shape.data(), 2};
    CHECK(!error_of([&] { executor.bind(0, &view, 1); }).empty());
  }
}

// 40 rounds of scale and add over large tensors, with a sum at the end: many phases, barriers and
// reused memory.
PlanWriter deep_plan() {
  PlanWriter writer;
  const int x = writer.input("x", {"N", "128"});
  int current = x;
  int skip = x;
  for (int i = 0; i < 40; ++i) {
    const int scaled = writer.temporary({"N", "128"});
    const int added = writer.temporary({"N", "128"});
    writer.scale(current, scaled, i % 2 == 0 ? 0.75 : 1.3);
    writer.binary(i % 3 == 0 ? "sub" : "add", scaled, skip, added, {"N", "128"});
    if (i % 4 == 0) skip = scaled;
    current = added;
  }
  writer.step("toy_sum", {current}, {writer.output("y", {})});
  writer.scale(current, writer.output("z", {"N", "128"}), 1);
  return writer;
}

void threads_do_not_change_a_bit() {
  const std::vector<float> x = numbers(333 * 128);
  std::vector<std::vector<float>> first;
  for (int threads : {1, 2, 3, 5}) {
    ToyExecutable executable(deep_plan().plan(), toy_options(threads));
    Runner run(executable);
    for (int repeat = 0; repeat < 20; ++repeat) {
      const auto outputs = run({{{333, 128}, x}});
      CHECK(run.last().threads == threads);
      if (first.empty()) first = outputs;
      CHECK(outputs == first);
    }
  }
}

void memory_is_reused() {
  if (guarded()) return;  // which never do
  ToyExecutable executable(deep_plan().plan(), toy_options());
  Runner run(executable);
  run({{{333, 128}, numbers(333 * 128)}});
  const size_t tensor = 333 * 128 * 4;
  CHECK(run.last().lower_bound <= 4 * tensor);
  CHECK(run.last().arena_bytes <= run.last().lower_bound + 1024);
}

void repeated_calls_allocate_nothing() {
  for (int threads : {1, 3}) {
    ToyExecutable executable(deep_plan().plan(), toy_options(threads));
    Executor executor(executable);
    const std::vector<float> x = numbers(100 * 128);
    std::vector<float> z(100 * 128);
    float y = 0;
    const Shape shape = {100, 128};
    const ShapeView view = {shape.data(), shape.size()};
    const void* inputs[] = {x.data()};
    void* outputs[] = {&y, z.data()};
    const auto call = [&] { executor.run(0, executor.bind(0, &view, 1), {inputs, outputs}); };
    call();
    call();
    const int64_t before = allocations.load();
    for (int i = 0; i < 10; ++i) call();
    CHECK(allocations.load() == before);
    CHECK(before > 0);
  }
}

void leases_allocate_nothing_after_the_first() {
  ToyExecutable executable(small_plan().plan(), toy_options());
  {
    const Executable::Lease lease(executable);
  }
  const int64_t before = allocations.load();
  for (int i = 0; i < 10; ++i) const Executable::Lease lease(executable);
  CHECK(allocations.load() == before);
}

void many_sizes_keep_few_bindings() {
  ToyExecutable executable(small_plan().plan(), toy_options());
  Runner run(executable);
  for (int round = 0; round < 2; ++round) {
    for (int64_t rows = 1; rows <= 50; ++rows) {
      const auto outputs = run({{{rows, 4}, numbers(rows * 4)}});
      CHECK(outputs[1].size() == static_cast<size_t>(rows * 4));
      CHECK(outputs[1][0] == 2);
    }
  }
}

// w = w + x summed per call, in place; the output copies w.
PlanWriter update_plan() {
  PlanWriter writer;
  const int x = writer.input("x", {"4"});
  const int w = writer.variable("w", {4});
  writer.binary("add", w, x, w, {"4"});
  writer.program().outputs.push_back({"w", w, "", -1});
  writer.program().outputs.push_back({"again", x, "", -1});
  return writer;
}

void variables_change_in_place() {
  ToyExecutable executable(update_plan().plan(), toy_options());
  Runner run(executable);
  const uint64_t version = executable.version();
  CHECK((run({{{4}, {1, 2, 3, 4}}})[0] == std::vector<float>{1, 2, 3, 4}));
  CHECK(executable.version() > version);
  const auto outputs = run({{{4}, {1, 1, 1, 1}}});
  CHECK((outputs[0] == std::vector<float>{2, 3, 4, 5}));
  CHECK((outputs[1] == std::vector<float>{1, 1, 1, 1}));
  CHECK(reinterpret_cast<const float*>(executable.variable(0))[3] == 5);
}

void unsafe_updates_are_refused() {
  PlanWriter writer;  // w is read broadcast while it is written
  const int x = writer.input("x", {"4"});
  const int w = writer.variable("w", {4});
  writer.step("toy_scale", {w}, {w});
  writer.program().outputs.push_back({"x", x, "", -1});
  ToyExecutable executable(writer.plan(), toy_options());
  Runner run(executable);
  CHECK_ERROR(run({{{4}, {1, 2, 3, 4}}}), "while reading it");
}

void mismatched_views_are_refused() {
  PlanWriter writer;
  const int x = writer.input("x", {"N", "K"});
  const int view = writer.alias(x, {"N*3"});
  writer.scale(view, writer.output("y", {"N*3"}), 1);
  ToyExecutable executable(writer.plan(), toy_options());
  Runner run(executable);
  CHECK(run({{{2, 3}, numbers(6)}})[0].size() == 6);
  CHECK_ERROR(run({{{2, 4}, numbers(8)}}), "another number of elements");
}

void tiles_that_do_not_fit_are_refused() {
  PlanWriter writer;
  const int a = writer.input("a", {"N"});
  const int b = writer.input("b", {"K"});
  writer.binary("add", a, b, writer.output("y", {"N"}), {"N"});
  ToyExecutable executable(writer.plan(), toy_options());
  Runner run(executable);
  CHECK((run({{{3}, {1, 2, 3}}, {{1}, {5}}})[0] == std::vector<float>{6, 7, 8}));
  CHECK_ERROR(run({{{3}, {1, 2, 3}}, {{2}, {5, 6}}}), "does not broadcast");
}

std::atomic<int> preparations{0};

BoundKernel counted_scale_bind(const BindRequest& request) {
  BoundKernel kernel = toy_scale_bind(request);
  kernel.phases = {{[](const Call& call, int64_t begin, int64_t end) {
                      ++preparations;
                      toy_scale_run(call, begin, end);
                    },
                    1}};
  return kernel;
}

BindKernel find_counted(const std::string& name) {
  return name == "counted" ? &counted_scale_bind : find_toy(name);
}
const KernelRule* counted_rule(const std::string& name) {
  static const KernelRule counted = {"counted", std::nullopt, &toy_check};
  return name == "counted" ? &counted : toy_rule(name);
}

void preparation_runs_only_when_variables_changed() {
  PlanWriter writer;
  const int x = writer.input("x", {"N", "4"});
  const int w = writer.variable("w", {4});
  const int prepared = writer.buffer(BufferKind::prepared, {"4"});
  writer.step("counted", {w}, {prepared}, true).attributes["factor"] = 10.0;
  writer.binary("mul", x, prepared, writer.output("y", {"N", "4"}), {"N", "4"});
  ToyExecutable executable(writer.plan(), toy_options(2), &find_counted, &counted_rule);
  const std::vector<float> w1 = {1, 2, 3, 4};
  const std::vector<float> w2 = {2, 2, 2, 2};
  executable.set_variable(0, w1.data(), 16);
  Runner run(executable);
  preparations = 0;
  for (int i = 0; i < 3; ++i)
    CHECK((run({{{1, 4}, {1, 1, 1, 1}}})[0] == std::vector<float>{10, 20, 30, 40}));
  CHECK(preparations == 1);
  executable.set_variable(0, w2.data(), 16);
  for (int i = 0; i < 3; ++i)
    CHECK((run({{{1, 4}, {1, 1, 1, 1}}})[0] == std::vector<float>{20, 20, 20, 20}));
  CHECK(preparations == 2);
}

// y = x * (10 w), where the kernel keeps 10 w.
BoundKernel keeping_bind(const BindRequest& request) {
  BoundKernel kernel;
  CHECK(nnrt::is_fixed(request, 1) && !nnrt::is_fixed(request, 0));
  kernel.prepared_bytes = 16;
  kernel.prepare = {{+[](const Call& call, int64_t begin, int64_t end) {
                       for (int64_t i = begin; i < end; ++i) {
                         if (i == 0) ++preparations;
                         static_cast<float*>(call.prepared)[i] =
                             10 * static_cast<const float*>(call.operands[1])[i];
                       }
                     },
                     4}};
  kernel.phases = {{+[](const Call& call, int64_t begin, int64_t end) {
                      for (int64_t i = begin; i < end; ++i) {
                        static_cast<float*>(call.results[0])[i] =
                            static_cast<const float*>(call.operands[0])[i] *
                            static_cast<const float*>(call.prepared)[i % 4];
                      }
                    },
                    request.results[0].elements()}};
  return kernel;
}

BindKernel find_keeping(const std::string& name) {
  return name == "keeping" ? &keeping_bind : find_toy(name);
}
const KernelRule* keeping_rule(const std::string& name) {
  static const KernelRule keeping = {"keeping", std::nullopt, &toy_check};
  return name == "keeping" ? &keeping : toy_rule(name);
}

void bindings_share_what_kernels_prepare() {
  PlanWriter writer;
  const int x = writer.input("x", {"N", "4"});
  const int w = writer.variable("w", {4});
  writer.step("keeping", {x, w}, {writer.output("y", {"N", "4"})});
  ToyExecutable executable(writer.plan(), toy_options(2), &find_keeping, &keeping_rule);
  Runner first(executable), second(executable);
  preparations = 0;
  const std::vector<std::vector<float>> weights = {{1, 2, 3, 4}, {2, 2, 2, 2}};
  for (size_t i = 0; i < weights.size(); ++i) {
    executable.set_variable(0, weights[i].data(), 16);
    std::vector<float> expected;
    for (float value : weights[i]) expected.push_back(10 * value);
    for (Runner* run : {&first, &second, &first}) {
      CHECK((*run)({{{1, 4}, {1, 1, 1, 1}}})[0] == expected);
      std::vector<float> twice = expected;
      twice.insert(twice.end(), expected.begin(), expected.end());
      CHECK((*run)({{{2, 4}, {1, 1, 1, 1, 1, 1, 1, 1}}})[0] == twice);
    }
    CHECK(preparations == static_cast<int>(i) + 1);
  }
}

void attributes_are_evaluated() {
  PlanWriter writer;
  const int x = writer.input("x", {"N"});
  const int y = writer.output("y", {"N"});
  writer.step("toy_scale", {x}, {y}).attributes["factor"] = writer.dims({"2*N+1"});
  ToyExecutable executable(writer.plan(), toy_options());
  Runner run(executable);
  CHECK((run({{{2}, {1, 10}}})[0] == std::vector<float>{5, 50}));
  CHECK((run({{{1}, {1}}})[0] == std::vector<float>{3}));
}

void threads_run_side_by_side() {
  ToyExecutable executable(small_plan().plan(), toy_options(2));
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int64_t t = 1; t <= 4; ++t) {
    threads.emplace_back([&executable, &wrong, t] {
      const std::vector<float> x = numbers(t * 40, static_cast<float>(t));
      const Shape shape = {t * 10, 4};
      const ShapeView view = {shape.data(), shape.size()};
      for (int i = 0; i < 50; ++i) {
        const Executable::Lease lease(executable);
        std::vector<float> z(x.size());
        float y = 0;
        const void* inputs[] = {x.data()};
        void* outputs[] = {&y, z.data()};
        lease->run(0, lease->bind(0, &view, 1), {inputs, outputs});
        for (size_t k = 0; k < x.size(); ++k) wrong += z[k] != 2 * x[k];
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
}

void denormals_count_as_zero_only_inside() {
  PlanWriter writer;
  const int x = writer.input("x", {"N"});
  writer.scale(x, writer.output("y", {"N"}), 0.5);
  ToyExecutable executable(writer.plan(), toy_options());
  Runner run(executable);
  volatile float tiny = 1e-39f;
  CHECK(run({{{1}, {tiny}}})[0][0] == 0);
  CHECK(tiny * 0.5f != 0);
}

}  // namespace

int main() {
  return run_tests(
      {{"computes what the plan says", computes_what_the_plan_says},
       {"empty batches give empty outputs", empty_batches_give_empty_outputs},
       {"wrong shapes are named", wrong_shapes_are_named},
       {"absurd sizes are refused", absurd_sizes_are_refused},
       {"threads do not change a bit", threads_do_not_change_a_bit},
       {"memory is reused", memory_is_reused},
       {"repeated calls allocate nothing", repeated_calls_allocate_nothing},
       {"leases allocate nothing after the first", leases_allocate_nothing_after_the_first},
       {"many sizes keep few bindings", many_sizes_keep_few_bindings},
       {"variables change in place", variables_change_in_place},
       {"unsafe updates are refused", unsafe_updates_are_refused},
       {"mismatched views are refused", mismatched_views_are_refused},
       {"tiles that do not fit are refused", tiles_that_do_not_fit_are_refused},
       {"preparation runs only when variables changed",
        preparation_runs_only_when_variables_changed},
       {"bindings share what kernels prepare", bindings_share_what_kernels_prepare},
       {"attributes are evaluated", attributes_are_evaluated},
       {"threads run side by side", threads_run_side_by_side},
       {"denormals count as zero only inside", denormals_count_as_zero_only_inside}});
}
