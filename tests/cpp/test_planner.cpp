#include <algorithm>
#include <numeric>
#include <random>

#include "cases.h"
#include "core/planner.h"

using namespace nnrt;

namespace {

// A random program: every step reads some items that are already written, writes one or two new
// ones, and may have a workspace.
MemoryRequest random_request(uint32_t seed) {
  std::mt19937 random(seed);
  const auto below = [&random](int bound) {
    return static_cast<int>(random() % static_cast<uint32_t>(bound));
  };
  MemoryRequest request;
  const int steps = 1 + below(40);
  for (int k = 0; k < steps; ++k) {
    MemoryRequest::Step step;
    const int known = static_cast<int>(request.sizes.size());
    for (int i = 0; i < 3 && known > 0; ++i) {
      // Mostly what was made lately, as in a network; sometimes what was made long ago.
      const int item = below(4) == 0 ? below(known) : std::max(0, known - 1 - below(3));
      if (std::find(step.reads.begin(), step.reads.end(), item) == step.reads.end())
        step.reads.push_back(item);
    }
    const int results = 1 + below(2);
    for (int i = 0; i < results; ++i) {
      step.writes.push_back(static_cast<int>(request.sizes.size()));
      request.sizes.push_back(static_cast<size_t>(below(8) == 0 ? 0 : 100 * (1 + below(4))));
    }
    for (int read : step.reads) {
      for (int write : step.writes) {
        const bool same =
            request.sizes[static_cast<size_t>(read)] == request.sizes[static_cast<size_t>(write)];
        if (same && below(2) == 0) step.in_place.emplace_back(read, write);
      }
    }
    if (below(3) == 0) step.workspace = static_cast<size_t>(50 + below(500));
    request.steps.push_back(step);
  }
  return request;
}

void random_plans_never_overlap() {
  size_t reused = 0;
  for (uint32_t seed = 0; seed < 500; ++seed) {
    const MemoryRequest request = random_request(seed);
    const MemoryPlan plan = plan_memory(request);
    const OverlapReport report = check_overlap(request, plan);
    CHECK(report.problem.empty());
    CHECK(plan.bytes >= report.lower_bound);
    CHECK(plan.bytes <= 2 * report.lower_bound);
    CHECK(plan.lower_bound == report.lower_bound);
    size_t total = 0;
    for (size_t size : request.sizes) total += round_up(size, kAlignment);
    reused += plan.bytes < total;
    for (size_t offset : plan.offsets) CHECK(offset % kAlignment == 0);
    for (size_t offset : plan.workspace_offsets) CHECK(offset % kAlignment == 0);
  }
  CHECK(reused > 400);
}

// Whether results took the memory of operands all the way from one of the items to the other.
bool in_place(const MemoryRequest& request, size_t a, size_t b) {
  std::vector<size_t> group(request.sizes.size());
  std::iota(group.begin(), group.end(), size_t{0});
  for (const MemoryRequest::Step& step : request.steps) {
    for (const auto& [operand, result] : step.in_place) {
      const size_t from = group[static_cast<size_t>(result)];
      const size_t to = group[static_cast<size_t>(operand)];
      std::replace(group.begin(), group.end(), from, to);
    }
  }
  return group[a] == group[b];
}

void plans_apart_use_nothing_again() {
  for (uint32_t seed = 0; seed < 100; ++seed) {
    const MemoryRequest request = random_request(seed);
    Layout layout;
    MemoryPlan plan = plan_apart(request, layout);
    plan.bytes = layout.bytes;
    CHECK(check_overlap(request, plan).problem.empty());
    for (size_t a = 0; a < request.sizes.size(); ++a) {
      for (size_t b = 0; b < a; ++b) {
        if (request.sizes[a] == 0 || request.sizes[b] == 0) continue;
        const bool apart = plan.offsets[a] >= plan.offsets[b] + request.sizes[b] ||
                           plan.offsets[b] >= plan.offsets[a] + request.sizes[a];
        CHECK(apart || (plan.offsets[a] == plan.offsets[b] && in_place(request, a, b)));
      }
    }
  }
}

// x -> a -> b -> c, each in place of the one before: one piece of memory is enough.
MemoryRequest chain() {
  MemoryRequest request;
  request.sizes = {1000, 1000, 1000};
  request.steps.resize(4);
  request.steps[0].writes = {0};
  request.steps[1] = {{0}, {1}, 0, {{0, 1}}};
  request.steps[2] = {{1}, {2}, 0, {{1, 2}}};
  request.steps[3].reads = {2};
  return request;
}

void chains_run_in_place() {
  const MemoryPlan plan = plan_memory(chain());
  CHECK(plan.bytes == 1024);
  CHECK(check_overlap(chain(), plan).problem.empty());
}

void operands_that_live_on_keep_their_memory() {
  MemoryRequest request = chain();
  request.steps[3].reads = {0, 2};
  const MemoryPlan plan = plan_memory(request);
  CHECK(plan.bytes == 2048);
  CHECK(check_overlap(request, plan).problem.empty());
}

void one_operand_serves_one_result() {
  MemoryRequest request;
  request.sizes = {100, 100, 100};
  request.steps.resize(3);
  request.steps[0].writes = {0};
  request.steps[1] = {{0}, {1, 2}, 0, {{0, 1}, {0, 2}}};
  request.steps[2].reads = {1, 2};
  const MemoryPlan plan = plan_memory(request);
  CHECK(plan.bytes == 256);
  CHECK(check_overlap(request, plan).problem.empty());
}

void the_checker_finds_every_broken_plan() {
  // Move each item that has memory onto each other that lives with it: all must be found.
  size_t moved = 0;
  for (uint32_t seed = 0; seed < 60; ++seed) {
    const MemoryRequest request = random_request(seed);
    const MemoryPlan plan = plan_memory(request);
    for (const MemoryRequest::Step& step : request.steps) {
      if (step.writes.size() != 2) continue;
      const size_t a = static_cast<size_t>(step.writes[0]);
      const size_t b = static_cast<size_t>(step.writes[1]);
      if (request.sizes[a] == 0 || request.sizes[b] == 0) continue;
      MemoryPlan broken = plan;
      broken.offsets[a] = broken.offsets[b];
      CHECK(!check_overlap(request, broken).problem.empty());
      ++moved;
    }
  }
  CHECK(moved > 100);
}

void the_checker_knows_the_end_of_the_arena() {
  MemoryPlan plan = plan_memory(chain());
  plan.bytes = 900;
  CHECK(!check_overlap(chain(), plan).problem.empty());
}

}  // namespace

int main() {
  return test::run_tests(
      {{"random plans never overlap", random_plans_never_overlap},
       {"plans apart use nothing again", plans_apart_use_nothing_again},
       {"chains run in place", chains_run_in_place},
       {"operands that live on keep their memory", operands_that_live_on_keep_their_memory},
       {"one operand serves one result", one_operand_serves_one_result},
       {"the checker finds every broken plan", the_checker_finds_every_broken_plan},
       {"the checker knows the end of the arena", the_checker_knows_the_end_of_the_arena}});
}
