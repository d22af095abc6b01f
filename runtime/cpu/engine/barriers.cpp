// Where barriers are needed between phases, and how many threads a program is worth.
#include <algorithm>

#include "cpu/engine/binding.h"

namespace nnrt {
namespace {

// A range of memory. Each place other than the arena is a space of its own.
struct Range {
  uint64_t space;
  size_t begin;
  size_t end;
  bool written;
};

// The most ranges of steps without a barrier between them. In networks a dependence comes much
// earlier.
constexpr size_t kMostRanges = 1024;

bool conflict(const Range& a, const Range& b) {
  return a.space == b.space && (a.written || b.written) && a.begin < b.end && b.begin < a.end;
}

class Scheduler {
 public:
  Scheduler(BoundPart& part, const Binding& binding, const ProgramInfo& info)
      : part_(part), binding_(binding), info_(info) {}

  void run() {
    for (size_t i = 0; i < part_.steps.size(); ++i) {
      if (part_.steps[i].joined) continue;
      const std::vector<Range> ranges = ranges_of(part_.steps[i]);
      bool waits = i == 0 || group_.size() > kMostRanges ||
                   std::any_of(ranges.begin(), ranges.end(), [this](const Range& range) {
                     return std::any_of(group_.begin(), group_.end(),
                                        [&](const Range& other) { return conflict(range, other); });
                   });
      const std::vector<uint32_t>& members = part_.steps[i].members;
      for (uint32_t member : members) {
        if (!part_.steps[member].follows) waits = add_phases(member, waits);
      }
      waits = add_phases(static_cast<uint32_t>(i), waits);
      for (uint32_t member : members) {
        if (part_.steps[member].follows) waits = add_phases(member, waits);
      }
      group_.insert(group_.end(), ranges.begin(), ranges.end());
    }
  }

 private:
  // Returns whether the next phase has to wait for them.
  bool add_phases(uint32_t step, bool waits) {
    for (const Phase& phase : part_.steps[step].kernel.phases) {
      if (phase.units <= 0) continue;
      add_phase(phase, step, waits);
      waits = true;
    }
    return waits;
  }

  void add_phase(const Phase& phase, uint32_t step, bool waits) {
    // Phases of one unit all run on thread 0, in order.
    const bool single = phase.units == 1;
    const bool barrier = waits && !(single && only_single_ && !part_.phases.empty());
    if (barrier) {
      group_.clear();
      only_single_ = true;
    }
    only_single_ = only_single_ && single;
    part_.phases.push_back({phase, step, barrier});
  }

  Range range_of(int buffer, bool written) const {
    const size_t root = static_cast<size_t>(info_.roots[static_cast<size_t>(buffer)]);
    const Place place = binding_.places[root];
    const size_t bytes = binding_.sizes[root];
    if (place.kind == Place::Kind::arena) return {0, place.at, place.at + bytes, written};
    return {root + 1, 0, bytes, written};
  }

  std::vector<Range> ranges_of(const BoundStep& step) const {
    std::vector<Range> ranges;
    for (int buffer : step.access.reads) ranges.push_back(range_of(buffer, false));
    for (int buffer : step.access.writes) ranges.push_back(range_of(buffer, true));
    if (step.kernel.workspace_bytes > 0) {
      ranges.push_back({0, step.workspace, step.workspace + step.kernel.workspace_bytes, true});
    }
    if (step.parts.bytes > 0) {
      ranges.push_back({0, step.parts.at, step.parts.at + step.parts.bytes, step.parts.written});
    }
    return ranges;
  }

  BoundPart& part_;
  const Binding& binding_;
  const ProgramInfo& info_;
  std::vector<Range> group_;  // touched since the last barrier
  bool only_single_ = true;   // no phase since the last barrier had more than one unit
};

// Rough rates that tell tiny programs from others: work of one core in a nanosecond, and the cost
// of a barrier and of a parallel region (Zen 5 at 4 GHz, in cache).
constexpr double kFlopsPerNanosecond = 40;
constexpr double kBytesPerNanosecond = 30;
constexpr double kStepNanoseconds = 50;
constexpr double kBarrierNanoseconds = 400;
constexpr double kRegionNanoseconds = 3000;

}  // namespace

void place_barriers(BoundPart& part, const Binding& binding, const ProgramInfo& info) {
  part.phases.clear();
  Scheduler(part, binding, info).run();
}

int threads_for(const BoundPart& part, int available) {
  double work = 0;
  for (const BoundStep& step : part.steps) {
    work += kStepNanoseconds +
            std::max(step.flops / kFlopsPerNanosecond, step.bytes / kBytesPerNanosecond);
  }
  int64_t most = 1;
  double waiting = kRegionNanoseconds;
  for (const BoundPhase& phase : part.phases) {
    most = std::max(most, phase.phase.units);
    if (phase.barrier) waiting += kBarrierNanoseconds;
  }
  const int threads = static_cast<int>(std::min<int64_t>(available, most));
  return threads > 1 && work / threads + waiting < work ? threads : 1;
}

}  // namespace nnrt
