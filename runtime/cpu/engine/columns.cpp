#include "cpu/engine/columns.h"

#include <algorithm>
#include <set>

#include "cpu/column_store.h"
#include "cpu/store_policy.h"

namespace nnrt {
namespace {

class Columns {
 public:
  Columns(BoundPart& part, const std::vector<bool>& plain, const std::vector<int>& reads,
          const std::vector<int>& roots, const std::vector<TensorInfo>& buffers)
      : part_(part),
        plain_(plain),
        reads_(reads),
        roots_(roots),
        buffers_(buffers),
        maker_(buffers.size(), kNone),
        touched_(buffers.size(), false) {}

  std::vector<int> run() {
    for (size_t i = 0; i < part_.steps.size(); ++i) {
      const BoundStep& step = part_.steps[i];
      const StepAccess access = step.access;  // before any change
      if (step.kernel.copies && is_free(step.spec->results[0])) take_over(i);
      for (int read : access.reads) touched_[root(read)] = true;
      for (int write : access.writes) {
        touched_[root(write)] = true;
        maker_[root(write)] = kNone;
      }
      if (step.kernel.column_lanes > 0 && !step.joined && is_plain(step.spec->results[0]))
        maker_[root(step.spec->results[0])] = i;
    }
    std::vector<int> unstored;
    for (BoundStep& step : part_.steps) {
      if (step.columns.empty() || step.kernel.sums_in_result ||
          reads_[static_cast<size_t>(step.spec->results[0])] > 0)
        continue;
      step.stores_result = false;
      remove(step.access.writes, step.spec->results[0]);
      unstored.push_back(step.spec->results[0]);
    }
    return unstored;
  }

 private:
  static constexpr size_t kNone = static_cast<size_t>(-1);

  size_t root(int buffer) const { return static_cast<size_t>(roots_[static_cast<size_t>(buffer)]); }
  bool is_plain(int buffer) const { return plain_[static_cast<size_t>(buffer)]; }
  // Whether it may be written earlier than in the plan.
  bool is_free(int buffer) const { return is_plain(buffer) && !touched_[root(buffer)]; }

  static void remove(std::vector<int>& list, int value) {
    list.erase(std::remove(list.begin(), list.end(), value), list.end());
  }
  static void add_once(std::vector<int>& list, int value) {
    if (std::find(list.begin(), list.end(), value) == list.end()) list.push_back(value);
  }

  // The step that can store these columns of a buffer elsewhere.
  size_t maker_of(int buffer, const ColumnStore& move) const {
    const size_t maker = is_plain(buffer) ? maker_[static_cast<size_t>(buffer)] : kNone;
    if (maker == kNone) return kNone;
    const int64_t lanes = part_.steps[maker].kernel.column_lanes;
    const int64_t columns = buffers_[static_cast<size_t>(buffer)].shape.back();
    const bool fits = move.begin % lanes == 0 && (move.end % lanes == 0 || move.end == columns);
    return fits ? maker : kNone;
  }

  // The producers take over their columns of the copy `step`.
  void take_over(size_t index) {
    BoundStep& step = part_.steps[index];
    const std::vector<int>& operands = step.spec->operands;
    const int target = step.spec->results[0];
    std::vector<bool> taken(operands.size(), false);
    std::vector<size_t> makers;
    for (size_t i = 0; i < operands.size(); ++i) {
      const size_t maker = maker_of(operands[i], step.kernel.copies->moves[i]);
      if (maker == kNone) continue;
      taken[i] = true;
      makers.push_back(maker);
      give(part_.steps[maker], step.kernel.copies->moves[i], target);
    }
    if (makers.empty()) return;
    // Later producers keep what earlier ones wrote.
    std::sort(makers.begin(), makers.end());
    for (size_t i = 0; i < makers.size(); ++i) {
      StepAccess& access = part_.steps[makers[i]].access;
      if (i > 0 && makers[i] != makers[0]) add_once(access.reads, target);
      add_once(access.writes, target);
    }
    std::set<int> left;
    for (size_t i = 0; i < operands.size(); ++i) {
      if (!taken[i]) left.insert(operands[i]);
    }
    for (size_t i = 0; i < operands.size(); ++i) {
      const auto found = std::find(step.access.reads.begin(), step.access.reads.end(), operands[i]);
      if (left.count(operands[i]) != 0 || found == step.access.reads.end()) continue;
      step.access.reads.erase(found);
      --reads_[static_cast<size_t>(operands[i])];
    }
    const bool all = std::find(taken.begin(), taken.end(), false) == taken.end();
    if (all) {
      step.kernel.phases.clear();
      step.kernel.algorithm = "in place";
      step.access = {};
      step.flops = step.bytes = 0;
    } else {
      step.kernel.copies->leave(step.kernel, taken);
      add_once(step.access.reads, target);
    }
    step.kernel.note = "stored by the producers";
  }

  void give(BoundStep& maker, ColumnStore store, int target) const {
    constexpr int64_t kLineFloats = kStreamChannels;
    const size_t bytes = buffers_[static_cast<size_t>(target)].bytes();
    store.stream = streams(bytes, store.row) && store.at % kLineFloats == 0 &&
                   store.begin % kLineFloats == 0 && store.end % kLineFloats == 0;
    maker.columns.push_back(store);
    maker.column_buffers.push_back(target);
  }

  BoundPart& part_;
  const std::vector<bool>& plain_;
  std::vector<int> reads_;
  const std::vector<int>& roots_;
  const std::vector<TensorInfo>& buffers_;
  // Up to the current step: the step that wrote a buffer last, and the buffers in use.
  std::vector<size_t> maker_;
  std::vector<bool> touched_;
};

}  // namespace

std::vector<int> store_columns(BoundPart& part, const std::vector<bool>& plain,
                               const std::vector<int>& reads, const std::vector<int>& roots,
                               const std::vector<TensorInfo>& buffers) {
  return Columns(part, plain, reads, roots, buffers).run();
}

}  // namespace nnrt
