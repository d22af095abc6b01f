// The independent overlap checker. It finds out by brute force, from the steps alone, which items
// hold data that is still needed at each step, and that nothing written there lies on top of them.
#include <set>

#include "core/planner.h"

namespace nnrt {
namespace {

bool overlap(size_t a, size_t a_bytes, size_t b, size_t b_bytes) {
  return a < b + b_bytes && b < a + a_bytes;
}

bool allowed_in_place(const MemoryRequest::Step& step, int operand, int result) {
  for (const auto& pair : step.in_place) {
    if (pair.first == operand && pair.second == result) return true;
  }
  return false;
}

// live[k]: items whose content is read at step k or later and was written before step k.
std::vector<std::set<int>> live_before(const MemoryRequest& request) {
  std::vector<std::set<int>> live(request.steps.size() + 1);
  for (size_t k = request.steps.size(); k-- > 0;) {
    live[k] = live[k + 1];
    for (int item : request.steps[k].writes) live[k].erase(item);
    for (int item : request.steps[k].reads) live[k].insert(item);
  }
  return live;
}

class Checker {
 public:
  Checker(const MemoryRequest& request, const MemoryPlan& plan) : request_(request), plan_(plan) {}

  OverlapReport check() {
    const std::vector<std::set<int>> live = live_before(request_);
    for (size_t k = 0; k < request_.steps.size() && report_.problem.empty(); ++k) {
      check_step(k, live[k], live[k + 1]);
    }
    return report_;
  }

 private:
  size_t bytes(int item) const { return request_.sizes[static_cast<size_t>(item)]; }
  size_t offset(int item) const { return plan_.offsets[static_cast<size_t>(item)]; }

  void check_step(size_t k, const std::set<int>& before, const std::set<int>& after) {
    const MemoryRequest::Step& step = request_.steps[k];
    // While the step runs: everything it reads or that is needed later, and everything it writes.
    std::set<int> present = before;
    present.insert(after.begin(), after.end());
    present.insert(step.writes.begin(), step.writes.end());
    size_t total = round_up(step.workspace, kAlignment);
    size_t shared = 0;
    for (int item : present) {
      total += round_up(bytes(item), kAlignment);
      if (bytes(item) > 0 && offset(item) + bytes(item) > plan_.bytes) fail(k, item, -1);
    }
    const std::set<int> writes(step.writes.begin(), step.writes.end());
    for (int a : present) {
      if (step.workspace > 0 && bytes(a) > 0 &&
          overlap(plan_.workspace_offsets[k], step.workspace, offset(a), bytes(a))) {
        fail(k, a, -1);
      }
      for (int b : present) {
        if (b <= a || bytes(a) == 0 || bytes(b) == 0 ||
            !overlap(offset(a), bytes(a), offset(b), bytes(b)))
          continue;
        if (!reused(step, a, b, writes, after) && !reused(step, b, a, writes, after)) fail(k, a, b);
        shared += round_up(bytes(a), kAlignment);
      }
    }
    if (total - shared > report_.lower_bound) report_.lower_bound = total - shared;
  }

  // The operand's memory passes to the result: declared in place, the same range, and the operand
  // not needed any more.
  bool reused(const MemoryRequest::Step& step, int operand, int result, const std::set<int>& writes,
              const std::set<int>& after) const {
    return writes.count(result) != 0 && writes.count(operand) == 0 && after.count(operand) == 0 &&
           offset(operand) == offset(result) && bytes(operand) == bytes(result) &&
           allowed_in_place(step, operand, result);
  }

  void fail(size_t k, int a, int b) {
    report_.problem = "step " + std::to_string(k) + ": item " + std::to_string(a) + " overlaps " +
                      (b < 0 ? "the workspace or the arena's end" : "item " + std::to_string(b));
  }

  const MemoryRequest& request_;
  const MemoryPlan& plan_;
  OverlapReport report_;
};

}  // namespace

OverlapReport check_overlap(const MemoryRequest& request, const MemoryPlan& plan) {
  return Checker(request, plan).check();
}

}  // namespace nnrt
