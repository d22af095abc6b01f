#include "core/chain.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <memory>

#include "core/planner.h"
#include "cpu/caches.h"

namespace nnrt {
namespace {

// Of a chain; a longer row of steps is cut.
constexpr size_t kMaxParts = 8;
constexpr size_t kMaxOperands = 8;

struct ChainPart {
  const Call* call = nullptr;
  RowKernel rows;
  size_t operands = 0;  // how many
  size_t row_bytes = 0;
  // Rows of this part's result that lie in the scratch at a time, and where; not of the last part.
  int64_t capacity = 0;
  size_t offset = 0;
};

// Units: bands of the last part's result, image by image.
struct ChainArguments {
  std::vector<ChainPart> parts;
  int64_t band_rows = 1, bands = 1;
};

struct Rows {
  int64_t begin = 0, end = 0;
  bool empty() const { return begin >= end; }
};

// Rows of the source that `rows` are made from.
Rows under(const RowKernel& kernel, Rows rows) {
  if (rows.empty()) return {};
  return {
      std::max<int64_t>(0, rows.begin * kernel.stride + kernel.top),
      std::min(kernel.source_rows, (rows.end - 1) * kernel.stride + kernel.top + kernel.extent)};
}

// One thread's way through consecutive bands.
class ChainRun {
 public:
  ChainRun(const ChainArguments& chain, const Call& call)
      : chain_(chain), scratch_(static_cast<char*>(call.scratch)) {}

  void make(int64_t image, Rows wanted) {
    const size_t last = chain_.parts.size() - 1;
    if (image != image_) {
      held_ = {};
      image_ = image;
    }
    // From the last part to the first: what it has to make that is not there yet.
    std::array<Rows, kMaxParts> fresh;
    fresh[last] = wanted;
    for (size_t i = last; i-- > 0;) {
      const Rows needed = under(chain_.parts[i + 1].rows, fresh[i + 1]);
      Rows& held = held_[i];
      fresh[i] = {};
      if (needed.empty() || (!held.empty() && held.end >= needed.end)) continue;
      const RowKernel& rows = chain_.parts[i].rows;
      const int64_t end = std::min(rows.rows, round_up(needed.end, rows.granule));
      fresh[i] = {held.empty() ? needed.begin : std::max(needed.begin, held.end), end};
      keep(i, held.empty() ? needed : Rows{needed.begin, std::max(needed.begin, held.end)}, end);
    }
    for (size_t i = 0; i <= last; ++i) {
      if (!fresh[i].empty()) run(i, fresh[i]);
    }
  }

 private:
  // Makes room up to row `end` behind the rows of `rows` that are held.
  void keep(size_t i, Rows rows, int64_t end) {
    const ChainPart& part = chain_.parts[i];
    Rows& held = held_[i];
    if (held.empty()) {
      base_[i] = rows.begin;
    } else if (end - base_[i] > part.capacity) {
      char* const memory = scratch_ + part.offset;
      if (rows.begin < held.end) {
        std::memmove(memory, memory + bytes(i, rows.begin - base_[i]),
                     bytes(i, held.end - rows.begin));
      }
      base_[i] = rows.begin;
    }
    held = {rows.begin, end};
  }

  size_t bytes(size_t i, int64_t rows) const {
    return static_cast<size_t>(rows) * chain_.parts[i].row_bytes;
  }

  // Where row 0 of image 0 would lie, were all of the tensor in memory.
  void* origin(size_t i) const {
    const ChainPart& part = chain_.parts[i];
    return reinterpret_cast<void*>(reinterpret_cast<uintptr_t>(scratch_ + part.offset) -
                                   bytes(i, image_ * part.rows.rows + base_[i]));
  }

  void run(size_t i, Rows rows) {
    const ChainPart& part = chain_.parts[i];
    Call call = *part.call;
    call.arguments = part.rows.arguments.get();
    call.scratch = scratch_;
    RowBand band = {image_, rows.begin, rows.end, i + 1 < chain_.parts.size(), i > 0, nullptr};
    void* operands[kMaxOperands];
    if (i > 0) {
      std::copy(call.operands, call.operands + part.operands, operands);
      band.source = operands[part.rows.source];
      operands[part.rows.source] = origin(i - 1);
      call.operands = operands;
    }
    void* results[1];
    if (band.kept) {
      results[0] = origin(i);
      call.results = results;
    }
    part.rows.run(call, band);
  }

  const ChainArguments& chain_;
  char* const scratch_;
  int64_t image_ = -1;
  std::array<Rows, kMaxParts> held_;          // rows of each part's result that lie in the scratch
  std::array<int64_t, kMaxParts> base_ = {};  // the row at the beginning of its memory
};

void run_chain(const Call& call, int64_t begin, int64_t end) {
  const ChainArguments& chain = *static_cast<const ChainArguments*>(call.arguments);
  ChainRun run(chain, call);
  const int64_t rows = chain.parts.back().rows.rows;
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t first = unit % chain.bands * chain.band_rows;
    run.make(unit / chain.bands, {first, std::min(rows, first + chain.band_rows)});
  }
}

// What the model knows of a core: nanoseconds are of AVX2 at 90 GFLOP/s, two cores at memory of 15
// GB/s (Zen 3).
constexpr double kFlops = 80;       // a nanosecond
constexpr double kMemoryBytes = 8;  // to or from memory
constexpr double kFarBytes = 24;    // L3
constexpr double kMoveBytes = 16;   // of rows that are kept, moved inside L2
constexpr double kFarCache = 12e6;  // tensors up to this stay in L3 from step to step
constexpr double kHeld = 0.75;      // of L2, for rows between the parts
constexpr double kBarrier = 1000;
constexpr double kBandCall = 150;  // of each part, for each band

// A way to do steps [first, end) of a run of steps.
struct Cut {
  double gain = 0;  // nanoseconds of one core
  int64_t band_rows = 0;
};

class Chainer {
 public:
  Chainer(BoundPart& part, const std::vector<bool>& lone, const std::vector<int>& roots,
          const std::vector<TensorInfo>& buffers, int threads)
      : part_(part), lone_(lone), roots_(roots), buffers_(buffers), threads_(threads) {}

  std::vector<int> join() {
    for (size_t begin = 0; begin < part_.steps.size();) {
      size_t end = begin + 1;
      while (end < part_.steps.size() && linked(end - 1)) ++end;
      if (end - begin > 1) cut_run(begin, end);
      begin = end;
    }
    return std::move(joined_);
  }

 private:
  const BoundStep& step(size_t i) const { return part_.steps[i]; }
  const TensorInfo& result(size_t i) const {
    return buffers_[static_cast<size_t>(step(i).spec->results[0])];
  }
  size_t row_bytes(size_t i) const {
    const RowKernel& rows = step(i).kernel.rows;
    return result(i).bytes() / static_cast<size_t>(rows.images * rows.rows);
  }

  int root(int buffer) const { return roots_[static_cast<size_t>(buffer)]; }
  // How many of `list` are the memory of `buffer`.
  int64_t uses(const std::vector<int>& list, int buffer) const {
    return std::count_if(list.begin(), list.end(),
                         [&](int other) { return root(other) == root(buffer); });
  }

  // Whether the next step takes this one's result, and nobody else.
  bool linked(size_t i) const {
    const BoundStep& from = step(i);
    const BoundStep& to = step(i + 1);
    const RowKernel& a = from.kernel.rows;
    const RowKernel& b = to.kernel.rows;
    if (a.run == nullptr || b.run == nullptr || a.sink || !a.plain_result) return false;
    const int between = from.spec->results[0];
    const std::vector<int>& operands = to.spec->operands;
    if (operands.size() > kMaxOperands || operands[b.source] != between ||
        uses(operands, between) > 1)
      return false;
    if (!b.sink && !lone_[static_cast<size_t>(between)]) return false;
    if (to.spec->tile && uses(to.spec->tile->loads, between) > 0) return false;
    return a.images == b.images && a.rows == b.source_rows;
  }

  // The best chains among steps [begin, end), each of which takes the one before's result. Where a
  // sink's bands are cut decides the order of its sums: there the number of threads counts nothing.
  void cut_run(size_t begin, size_t end) {
    model_threads_ = step(end - 1).kernel.rows.sink ? 1 : threads_;
    std::vector<double> best(end - begin + 1, 0);  // up to each step
    std::vector<size_t> from(end - begin + 1, begin);
    std::vector<Cut> cuts(end - begin + 1);
    for (size_t i = begin + 1; i <= end; ++i) {
      best[i - begin] = best[i - begin - 1];
      from[i - begin] = i - 1;
      for (size_t first = begin; first + 1 < i; ++first) {
        if (i - first > kMaxParts || !apart(first, i)) continue;
        const Cut cut = best_cut(first, i);
        if (best[first - begin] + cut.gain <= best[i - begin]) continue;
        best[i - begin] = best[first - begin] + cut.gain;
        from[i - begin] = first;
        cuts[i - begin] = cut;
      }
    }
    for (size_t i = end; i > begin; i = from[i - begin]) {
      if (i - from[i - begin] > 1) make_chain(from[i - begin], i, cuts[i - begin]);
    }
  }

  // Nothing that the chain writes is read by an earlier step of it.
  bool apart(size_t first, size_t end) const {
    std::vector<int> writes = step(end - 1).access.writes;
    if (step(end - 1).kernel.rows.sink) writes.push_back(step(end - 2).spec->results[0]);
    for (size_t i = first; i + 1 < end; ++i) {
      for (int write : writes) {
        if (uses(step(i).access.reads, write) > 0) return false;
      }
    }
    return true;
  }

  // Rows of each part's result that a band of `rows` needs at a time.
  std::vector<int64_t> capacities(size_t first, size_t end, int64_t rows) const {
    std::vector<int64_t> needed(end - first);
    needed.back() = rows;
    for (size_t i = end - 1; i > first; --i) {
      const RowKernel& kernel = step(i).kernel.rows;
      const RowKernel& source = step(i - 1).kernel.rows;
      needed[i - first - 1] = std::min(source.rows, (needed[i - first] - 1) * kernel.stride +
                                                        kernel.extent + source.granule - 1);
    }
    return needed;
  }

  Cut best_cut(size_t first, size_t end) const {
    const RowKernel& last = step(end - 1).kernel.rows;
    Cut best;
    for (int64_t rows = 1; rows <= last.rows; ++rows) {
      if (last.sink && last.rows % rows != 0) continue;
      const int64_t bands = (last.rows + rows - 1) / rows;
      if (rows > 1 && bands == (last.rows + rows - 2) / (rows - 1)) continue;
      const double found = gain(first, end, rows, bands);
      if (found > best.gain) best = {found, rows};
    }
    return best;
  }

  double gain(size_t first, size_t end, int64_t rows, int64_t bands) const {
    const double cache = static_cast<double>(l2_bytes());
    const std::vector<int64_t> capacity = capacities(first, end, rows);
    const double images = static_cast<double>(step(first).kernel.rows.images);
    const double units = images * static_cast<double>(bands);
    double saved = 0, cost = 0, flops = 0, weights = 0, held = 0;
    const int64_t threads = model_threads_;
    const bool meet = step(first).kernel.rows.images % threads != 0;
    double halo = 0;  // rows that two threads make both, where they meet inside an image
    for (size_t i = end; i-- > first;) {
      const RowKernel& kernel = step(i).kernel.rows;
      weights += static_cast<double>(kernel.weight_bytes);
      flops += step(i).flops;
      cost += units * kBandCall;
      if (i + 1 == end) continue;
      const double bytes = static_cast<double>(result(i).bytes());
      // A sink stores what it reads: only the way back is saved, for a copy inside L2.
      const bool stored = step(i + 1).kernel.rows.sink;
      saved += (stored ? 1 : 2) * bytes / (bytes > kFarCache ? kMemoryBytes : kFarBytes) + kBarrier;
      if (stored) cost += bytes / kMoveBytes;
      const double row = static_cast<double>(row_bytes(i));
      held += row * static_cast<double>(capacity[i - first]);
      // Rows under two bands are moved.
      const RowKernel& next = step(i + 1).kernel.rows;
      const double kept = static_cast<double>(std::max<int64_t>(0, next.extent - next.stride));
      cost += images * static_cast<double>(bands - 1) * kept * row / kMoveBytes;
      halo = halo * static_cast<double>(next.stride) + kept;
      if (meet) {
        cost += static_cast<double>(threads - 1) * halo / static_cast<double>(kernel.rows) /
                images * step(i).flops / kFlops;
      }
    }
    held += static_cast<double>(step(first).kernel.rows.scratch_bytes);
    if (held > kHeld * cache) return 0;
    if (weights + held > cache) cost += units * weights / kFarBytes;
    // Threads that wait for the one with a band more.
    const double turns = std::ceil(units / static_cast<double>(threads));
    cost += (turns * static_cast<double>(threads) / units - 1) * flops / kFlops;
    return saved - cost;
  }

  void make_chain(size_t first, size_t end, const Cut& cut) {
    auto chain = std::make_shared<ChainArguments>();
    BoundStep& last = part_.steps[end - 1];
    const int64_t rows = last.kernel.rows.rows;
    chain->band_rows = cut.band_rows;
    chain->bands = (rows + cut.band_rows - 1) / cut.band_rows;
    const RowKernel& sink = last.kernel.rows;
    if (sink.sink) sink.cut(last.kernel, cut.band_rows);
    last.kernel.workspace_bytes = round_up(last.kernel.workspace_bytes, kAlignment);
    const std::vector<int64_t> capacity = capacities(first, end, cut.band_rows);
    size_t scratch = 0;
    for (size_t i = first; i < end; ++i)
      scratch = std::max(scratch, round_up(step(i).kernel.rows.scratch_bytes, kAlignment));
    StepAccess access;
    std::string names;
    for (size_t i = first; i < end; ++i) {
      BoundStep& member = part_.steps[i];
      ChainPart part;
      part.call = &member.call;
      part.rows = member.kernel.rows;
      part.operands = member.spec->operands.size();
      part.row_bytes = row_bytes(i);
      part.capacity = capacity[i - first];
      part.offset = scratch;
      chain->parts.push_back(part);
      names += (names.empty() ? "" : " + ") + std::string(member.kernel.algorithm);
      for (int read : member.access.reads) {
        if (i == first || read != step(i - 1).spec->results[0]) add_once(access.reads, read);
      }
      if (i + 1 == end) break;
      const int between = member.spec->results[0];
      if (step(i + 1).kernel.rows.sink) {
        access.writes.push_back(between);
      } else {
        joined_.push_back(between);
      }
      scratch += round_up(part.row_bytes * static_cast<size_t>(part.capacity), kAlignment);
      last.flops += member.flops;
      member.flops = member.bytes = 0;
      member.access = {};
      member.kernel.phases.pop_back();
      member.joined = true;
      member.workspace = last.kernel.workspace_bytes;
      last.kernel.workspace_bytes += round_up(member.kernel.workspace_bytes, kAlignment);
      member.kernel.workspace_bytes = 0;
      last.members.push_back(static_cast<uint32_t>(i));
      member.kernel.algorithm = "chained";
      member.kernel.note = "with the steps up to " + last.spec->path;
    }
    for (int write : last.access.writes) add_once(access.writes, write);
    last.access = access;
    last.bytes = 0;
    for (const std::vector<int>* touched : {&access.reads, &access.writes}) {
      for (int buffer : *touched)
        last.bytes += static_cast<double>(buffers_[static_cast<size_t>(buffer)].bytes());
    }
    char note[160];
    std::snprintf(note, sizeof(note), "%s: bands of %lld rows, %.0f KB a thread, gains %.0f us",
                  names.c_str(), static_cast<long long>(cut.band_rows),
                  static_cast<double>(scratch) / 1024, cut.gain / 1000);
    last.kernel.note = note;
    last.kernel.algorithm = "chain";
    last.kernel.scratch_bytes = std::max(last.kernel.scratch_bytes, scratch);
    const Phase phase = {&run_chain, last.kernel.rows.images * chain->bands, chain.get()};
    (sink.sink ? last.kernel.phases.front() : last.kernel.phases.back()) = phase;
    last.chain = chain;
  }

  static void add_once(std::vector<int>& list, int value) {
    if (std::find(list.begin(), list.end(), value) == list.end()) list.push_back(value);
  }

  BoundPart& part_;
  const std::vector<bool>& lone_;
  const std::vector<int>& roots_;
  const std::vector<TensorInfo>& buffers_;
  const int threads_;
  int model_threads_ = 1;  // of the run of steps at hand
  std::vector<int> joined_;
};

}  // namespace

std::vector<int> join_chains(BoundPart& part, const std::vector<bool>& lone,
                             const std::vector<int>& roots, const std::vector<TensorInfo>& buffers,
                             int threads) {
  return Chainer(part, lone, roots, buffers, threads).join();
}

}  // namespace nnrt
