#include "cpu/engine/fused_reductions.h"

#include <algorithm>

#include "core/planner.h"
#include "cpu/fused_reduction.h"

namespace nnrt {
namespace {

// Rates of the model in bytes a nanosecond, of one core: Zen 4, ResNet-20 and ResNet-18.
constexpr double kNearBytes = 80;    // from L2, just written by the unit
constexpr double kFarBytes = 55;     // from L3, in order
constexpr double kMemoryBytes = 20;  // from memory, in order
constexpr double kBesideBytes = 40;  // saved by reading a tensor beside products
constexpr double kFarCache = 12e6;   // tensors up to this stay in L3 from step to step
constexpr double kPart = 300;        // nanoseconds for each part, beside its elements
constexpr double kBarrier = 1000;
constexpr size_t kReach = 1024;  // steps ahead that are searched for the one that merges

// Nanoseconds saved if sums over `bytes` are taken in `parts`.
double gain_of(double bytes, const PixelReduction& sums, int64_t parts) {
  double gain = kBarrier + bytes / (bytes > kFarCache ? kMemoryBytes : kFarBytes);
  if (!sums.reads.empty()) gain += bytes / kBesideBytes;
  return gain - bytes / kNearBytes - kPart * static_cast<double>(parts);
}

// Whether one of `list` is the memory of `buffer`.
bool has(const std::vector<int>& list, int buffer, const std::vector<int>& roots) {
  const auto root = [&](int index) { return roots[static_cast<size_t>(index)]; };
  return std::any_of(list.begin(), list.end(),
                     [&](int other) { return root(other) == root(buffer); });
}

bool is_free(const BoundStep& step) { return !step.joined && step.members.empty(); }

// Buffers that the sums of `merger` read beside their source.
std::vector<int> read_beside(const BoundStep& merger) {
  std::vector<int> buffers;
  for (size_t operand : merger.kernel.sums->reads)
    buffers.push_back(merger.spec->operands[operand]);
  return buffers;
}

// The step whose sums read the result of step `maker`; 0: none. Other operands of the sums must be
// written before `maker` runs.
size_t merger_of(const BoundPart& part, size_t maker, const std::vector<int>& roots) {
  const int source = part.steps[maker].spec->results[0];
  std::vector<int> written = part.steps[maker].access.writes;
  const size_t end = std::min(part.steps.size(), maker + 1 + kReach);
  for (size_t i = maker + 1; i < end; ++i) {
    const BoundStep& step = part.steps[i];
    const PixelReduction* sums = step.kernel.sums.get();
    if (sums != nullptr && is_free(step) && step.spec->operands[sums->source] == source) {
      const std::vector<int> beside = read_beside(step);
      const bool ready = std::none_of(beside.begin(), beside.end(),
                                      [&](int buffer) { return has(written, buffer, roots); });
      return ready ? i : 0;
    }
    written.insert(written.end(), step.access.writes.begin(), step.access.writes.end());
  }
  return 0;
}

void take(BoundStep& maker, BoundStep& merger, const std::vector<int>& roots) {
  FusedReduction reduction = {&merger.call, *merger.kernel.sums,
                              round_up(maker.kernel.scratch_bytes, kAlignment)};
  maker.kernel.scratch_bytes = reduction.scratch_offset + reduction.sums.scratch_bytes;
  const size_t bytes = reduction.sums.cut(merger.kernel, maker.kernel.sum_parts);
  merger.kernel.phases.erase(merger.kernel.phases.begin());
  maker.parts = {0, bytes, true};
  merger.parts = {0, bytes, false};
  for (int buffer : read_beside(merger)) {
    if (!has(maker.access.reads, buffer, roots)) maker.access.reads.push_back(buffer);
  }
  std::string& note = maker.kernel.note;
  note += (note.empty() ? "" : "; ") + ("with the sums of " + merger.spec->path);
  maker.reduction = std::make_shared<const FusedReduction>(std::move(reduction));
}

}  // namespace

std::vector<FusedSums> take_sums(BoundPart& part, const std::vector<int>& roots,
                                 const std::vector<TensorInfo>& buffers) {
  std::vector<FusedSums> found;
  for (size_t i = 0; i < part.steps.size(); ++i) {
    BoundStep& maker = part.steps[i];
    if (maker.kernel.sum_parts == 0 || !is_free(maker)) continue;
    const size_t merger = merger_of(part, i, roots);
    if (merger == 0) continue;
    const TensorInfo& source = buffers[static_cast<size_t>(maker.spec->results[0])];
    const PixelReduction& sums = *part.steps[merger].kernel.sums;
    if (gain_of(static_cast<double>(source.bytes()), sums, maker.kernel.sum_parts) <= 0) continue;
    take(maker, part.steps[merger], roots);
    found.push_back({i, merger});
  }
  return found;
}

}  // namespace nnrt
