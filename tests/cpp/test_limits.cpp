// What a small plan can ask for: work, steps, operands and pieces of memory without end.
#include <chrono>
#include <functional>
#include <random>

#include "core/planner.h"
#include "plan_runner.h"

using namespace nnrt;
using namespace nnrt::test;

namespace {

double seconds_of(const std::function<void()>& run) {
  const auto start = std::chrono::steady_clock::now();
  run();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

size_t add_item(MemoryRequest& request, size_t bytes) {
  request.sizes.push_back(bytes);
  return request.sizes.size() - 1;
}

// A long program: each step reads what was made lately and makes more.
MemoryRequest long_request(uint32_t seed, int steps) {
  std::mt19937 random(seed);
  MemoryRequest request;
  for (int k = 0; k < steps; ++k) {
    MemoryRequest::Step step;
    const size_t known = request.sizes.size();
    for (size_t back : {size_t{1}, size_t{2} + random() % 9}) {
      if (back <= known) step.reads.push_back(static_cast<int>(known - back));
    }
    const size_t bytes = 64 * (1 + random() % 50);
    step.writes = {static_cast<int>(add_item(request, bytes))};
    if (random() % 5 == 0) step.workspace = 64 * (1 + random() % 20);
    const int read = step.reads.empty() ? -1 : step.reads.front();
    if (read >= 0 && request.sizes[static_cast<size_t>(read)] == bytes)
      step.in_place = {{read, step.writes[0]}};
    request.steps.push_back(step);
  }
  return request;
}

void long_programs_are_planned_well() {
  for (uint32_t seed = 0; seed < 3; ++seed) {
    const MemoryRequest request = long_request(seed, 9000);
    const MemoryPlan plan = plan_memory(request);
    const OverlapReport report = check_overlap(request, plan);
    CHECK(report.problem.empty());
    CHECK(plan.lower_bound == report.lower_bound);
    CHECK(plan.bytes >= report.lower_bound);
    CHECK(plan.bytes <= 2 * report.lower_bound);
    for (size_t offset : plan.offsets) CHECK(offset % kAlignment == 0);
  }
}

// All items live at the same time, half of them longer than the others.
void many_pieces_take_little_time() {
  MemoryRequest request;
  constexpr int kItems = 60000;
  for (int k = 0; k < kItems; ++k) {
    MemoryRequest::Step step;
    step.writes = {static_cast<int>(add_item(request, 64 * static_cast<size_t>(1 + k % 7)))};
    request.steps.push_back(step);
  }
  for (int k = 0; k < kItems; ++k) {
    MemoryRequest::Step step;
    step.reads = {k % 2 == 0 ? k : kItems - k};
    request.steps.push_back(step);
  }
  MemoryPlan plan;
  CHECK(seconds_of([&] { plan = plan_memory(request); }) < 10);
  CHECK(plan.bytes >= plan.lower_bound);
}

void operands_are_listed_once() {
  StepSpec step;
  step.kernel = "concat";
  step.results = {7};
  for (int turn = 0; turn < 3; ++turn) {
    for (int k = 0; k < 4096; ++k) step.operands.push_back((k * 5) % 4096);
  }
  const StepAccess access = access_of(step);
  CHECK(access.reads.size() == 4096);
  for (int k = 0; k < 4096; ++k) CHECK(access.reads[static_cast<size_t>(k)] == (k * 5) % 4096);
  CHECK(access.writes == std::vector<int>{7});
}

void programs_of_too_many_steps_are_refused() {
  PlanWriter writer;
  writer.output("y", {});
  writer.program().steps.resize((size_t{1} << 18) + 1);
  CHECK_ERROR(check_plan(writer.plan()), "steps; at most 262144");
  std::vector<std::string> symbols;
  for (int k = 0; k < 1025; ++k) symbols.push_back(std::string("s").append(std::to_string(k)));
  CHECK_ERROR(parse_dim("s3", symbols), "1025 symbols; at most 1024");
}

// sum(e^1) over so many elements, in one step each.
PlanWriter sums(const std::string& elements, int count) {
  PlanWriter writer;
  writer.input("x", {"N"});
  for (int k = 0; k < count; ++k) {
    StepSpec& step =
        writer.step("reduce", {}, {writer.output(std::string("y").append(std::to_string(k)), {})});
    step.attributes["axes"] = writer.dims({"0"});
    step.attributes["op"] = std::string("sum");
    step.attributes["keepdims"] = int64_t{0};
    TileProgram tile;
    tile.role = TileRole::prologue;
    tile.domain = writer.dims({elements});
    tile.stores = step.results;
    tile.code = {PlanWriter::instruction("const", {}), PlanWriter::instruction("exp", {0}),
                 PlanWriter::instruction("store", {0, 1})};
    step.tile = tile;
  }
  return writer;
}

// The text of the error; empty where the plan can be bound.
std::string bound(PlanWriter writer, int64_t rows, Isa isa, int threads) {
  check_plan(writer.plan());
  PreparedStore store;
  BindOptions options;
  options.isa = isa;
  options.threads = threads;
  options.lookup = &find_kernel;
  options.store = &store;
  const ProgramInfo info = analyze(writer.plan(), writer.program());
  return error_of([&] { bind_program(writer.program(), info, {rows, 0}, options); });
}

void absurd_work_is_refused() {
  const std::string none = bound(sums("N*1048576", 1), 1024, Isa::generic, 2);
  CHECK(none.empty());
  const std::string hours = bound(sums("N*N*17179869184", 1), 32, Isa::generic, 2);
  CHECK(contains(hours, "would take about"));
  CHECK(contains(hours, "7.0e13 operations"));
  CHECK(contains(hours, "step 0 (reduce, toy)"));
  CHECK(contains(hours, "smaller batch"));
  // One of these could be done, many cannot; and plain loops take longer.
  CHECK(bound(sums("1099511627776", 1), 1, Isa::generic, 1).empty());
  CHECK(contains(bound(sums("1099511627776", 9), 1, Isa::generic, 1), "would take about"));
  CHECK(contains(bound(sums("1099511627776", 1), 1, Isa::reference, 1), "would take about"));
}

void products_of_real_size_are_not() {
  // A layer of VGG-16, for 1024 images.
  PlanWriter writer;
  const int x = writer.input("x", {"N", "224", "224", "64"});
  const int w = writer.variable("w", {3, 3, 64, 64});
  const int y = writer.output("y", {"N", "224", "224", "64"});
  conv(writer, "conv2d", x, w, y, 1, 1, 1);
  CHECK(bound(writer, 1024, best_isa(), 1).empty());
  // A product as large as a few hundred bytes of plan can make it.
  PlanWriter square;
  const int a = square.input("a", {"N", "N"});
  const int b = square.output("b", {"N", "N"});
  StepSpec& step = square.step("matmul", {a, a}, {b});
  step.attributes["transpose_a"] = step.attributes["transpose_b"] = int64_t{0};
  CHECK(bound(square, 16384, best_isa(), 1).empty());
  CHECK(contains(bound(square, 400000, best_isa(), 1), "step 0 (matmul, toy)"));
}

}  // namespace

int main() {
  return run_tests({
      {"long_programs_are_planned_well", &long_programs_are_planned_well},
      {"many_pieces_take_little_time", &many_pieces_take_little_time},
      {"operands_are_listed_once", &operands_are_listed_once},
      {"programs_of_too_many_steps_are_refused", &programs_of_too_many_steps_are_refused},
      {"absurd_work_is_refused", &absurd_work_is_refused},
      {"products_of_real_size_are_not", &products_of_real_size_are_not},
  });
}
