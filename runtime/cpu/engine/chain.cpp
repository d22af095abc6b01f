#include "cpu/engine/chain.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>

#include "core/planner.h"
#include "cpu/caches.h"
#include "cpu/engine/chain_run.h"
#include "cpu/row_streaming.h"

namespace nnrt {
namespace {

constexpr size_t kMostLinks = 8;  // of a chain; a longer path is divided
constexpr size_t kReach = 8;      // steps ahead that are searched for readers of a result
constexpr size_t kFar = 4096;     // and for readers that can recompute it
constexpr int64_t kParts =
    32;  // least number of partial sums: 16 threads end at nearly the same time
constexpr size_t kNone = static_cast<size_t>(-1);

// Rates of the model, a nanosecond, of one core: AVX2 at 90 GFLOP/s; two cores share 15 GB/s of
// memory (Zen 3).
constexpr double kFlops = 80;       // operations
constexpr double kMemoryBytes = 8;  // to or from memory
constexpr double kFarBytes = 24;    // L3
constexpr double kMoveBytes = 16;   // of rows that are kept, moved inside L2
constexpr double kFarCache = 12e6;  // tensors up to this stay in L3 from step to step
constexpr double kHeld = 0.75;      // share of L2 for rows between the parts
constexpr double kBarrier = 1000;
constexpr double kBandCall = 150;  // nanoseconds for each part and band
constexpr double kNearBytes = 48;  // sums that are updated inside L2
constexpr double kMakeBytes = 32;  // rows that are recomputed for a later reader

constexpr const char* kAgain = "an operand is recomputed";  // in notes

// A step on a path. Each step of a path reads the result of the one before. `sums` read it too, and
// `recomputers` read it later and can recompute it.
struct Link {
  size_t step = kNone;
  std::vector<size_t> sums, recomputers;
};

// Links [first, end) of a path as a chain.
struct Cut {
  double gain = 0;  // nanoseconds that one core saves
  int64_t band_rows = 0;
};

// Training on Zen 4: MobileNetV2 with 16 images takes 0.92 to 0.95 of the time with sums and
// recomputed rows. LeNet with 128 images takes 0.95 if sums read the gradient of max pooling from a
// chain; the same for batch norm (the first convolution of MobileNetV2) costs 2 %.
class Chainer {
 public:
  Chainer(BoundPart& part, const std::vector<int>& readers, const std::vector<int>& roots,
          const std::vector<TensorInfo>& buffers, int threads)
      : part_(part), readers_(readers), roots_(roots), buffers_(buffers), threads_(threads) {}

  ChainBuffers join() {
    std::vector<bool> inside(part_.steps.size(), false);  // a path, not at its beginning
    for (size_t begin = 0; begin < part_.steps.size(); ++begin) {
      if (inside[begin] && !sinks(begin)) continue;
      path_.clear();
      for (size_t at = begin; at != kNone;) {
        if (at != begin) inside[at] = true;
        Link link;
        link.step = at;
        at = at != begin && sinks(at) ? kNone : next_of(link);
        path_.push_back(link);
      }
      if (path_.size() > 1) cut_path();
    }
    return std::move(found_);
  }

 private:
  const BoundStep& step(size_t i) const { return part_.steps[i]; }
  bool sinks(size_t i) const { return step(i).kernel.sink != nullptr; }
  int result(size_t i) const { return step(i).spec->results[0]; }
  size_t bytes(size_t i) const { return buffers_[static_cast<size_t>(result(i))].bytes(); }
  size_t row_bytes(size_t i) const {
    const RowKernel& rows = *step(i).kernel.rows;
    return bytes(i) / static_cast<size_t>(rows.images * rows.rows);
  }

  int root(int buffer) const { return roots_[static_cast<size_t>(buffer)]; }
  // How many of `list` are the memory of `buffer`.
  int64_t uses(const std::vector<int>& list, int buffer) const {
    return std::count_if(list.begin(), list.end(),
                         [&](int other) { return root(other) == root(buffer); });
  }
  bool meet(const std::vector<int>& a, const std::vector<int>& b) const {
    return std::any_of(a.begin(), a.end(), [&](int buffer) { return uses(b, buffer) > 0; });
  }

  // Buffers that rows of step `i` are recomputed from.
  std::vector<int> handed_reads(size_t i) const {
    std::vector<int> reads = {result(i)};
    for (size_t operand : step(i).kernel.rows->reads)
      reads.push_back(step(i).spec->operands[operand]);
    return reads;
  }

  // Whether that kernel of step `i` reads `between` by rows, as `from` computes them.
  bool takes(size_t i, const RowKernel* kernel, int between, const RowKernel& from) const {
    const StepSpec& spec = *step(i).spec;
    if (kernel == nullptr || spec.operands.size() > kMostOperands) return false;
    if (spec.operands[kernel->source] != between || uses(spec.operands, between) > 1) return false;
    if (spec.tile && uses(spec.tile->loads, between) > 0) return false;
    return from.images == kernel->images && from.rows == kernel->source_rows;
  }

  // Whether step `i` can recompute what `maker` gave it: nothing has overwritten what that needs.
  bool recomputes(size_t i, size_t maker) const {
    const BoundStep& reader = step(i);
    const int between = result(maker);
    const std::vector<int> needed = handed_reads(maker);
    for (size_t other = maker + 1; other < i; ++other) {
      if (meet(step(other).access.writes, needed)) return false;
    }
    const int operand = reader.kernel.recomputes;
    return operand >= 0 && !reader.joined && !reader.recomputed &&
           reader.spec->operands[static_cast<size_t>(operand)] == between &&
           uses(reader.spec->operands, between) == 1 && !reader.spec->tile;
  }

  // The next step of the path, or kNone; completes the link. A path may end in sums that nothing
  // else follows.
  size_t next_of(Link& link) const {
    const std::shared_ptr<RowKernel>& makes = step(link.step).kernel.rows;
    if (!makes || !makes->plain_result) return kNone;
    const RowKernel& rows = *makes;
    const int between = result(link.step);
    int left = readers_[static_cast<size_t>(between)];
    size_t next = kNone;
    const size_t end = std::min(part_.steps.size(),
                                link.step + 1 + (left > 0 && rows.hand != nullptr ? kFar : kReach));
    for (size_t i = link.step + 1; i < end && !(left == 0 && next != kNone); ++i) {
      if (uses(step(i).access.reads, between) == 0) continue;
      --left;
      const BoundKernel& kernel = step(i).kernel;
      const bool near = next == kNone && i <= link.step + kReach;
      if (near && takes(i, kernel.sink.get(), between, rows)) {
        if (kernel.sink->stores) return link.sums.empty() && link.recomputers.empty() ? i : kNone;
        link.sums.push_back(i);
      } else if (near && !sinks(i) && takes(i, kernel.rows.get(), between, rows)) {
        next = i;
      } else if (rows.hand != nullptr && recomputes(i, link.step)) {
        link.recomputers.push_back(i);
      } else {
        return kNone;
      }
    }
    if (left == 0 && next == kNone && link.sums.size() == 1 && rows.hand == nullptr) {
      next = link.sums.front();
      link.sums.clear();
    }
    return left == 0 ? next : kNone;
  }

  // The kernel of a link that computes or consumes rows, in a chain that begins at `first`.
  const RowKernel& kernel_of(size_t link, size_t first) const {
    const BoundKernel& kernel = step(path_[link].step).kernel;
    return link > first && kernel.sink ? *kernel.sink : *kernel.rows;
  }
  bool stores(size_t first, size_t end) const { return kernel_of(end - 1, first).stores; }
  bool ends_in_sums(size_t first, size_t end) const {
    return kernel_of(end - 1, first).cut != nullptr && !stores(first, end);
  }
  bool has_sums(size_t first, size_t end) const {
    return ends_in_sums(first, end) ||
           std::any_of(path_.begin() + static_cast<std::ptrdiff_t>(first),
                       path_.begin() + static_cast<std::ptrdiff_t>(end) - 1,
                       [](const Link& link) { return !link.sums.empty(); });
  }

  // The best chains on the path.
  void cut_path() {
    const size_t count = path_.size();
    std::vector<double> best(count + 1, 0);  // gain up to each link
    std::vector<size_t> from(count + 1, 0);
    std::vector<Cut> cuts(count + 1);
    for (size_t end = 1; end <= count; ++end) {
      best[end] = best[end - 1];
      from[end] = end - 1;
      for (size_t first = 0; first + 1 < end; ++first) {
        if (end - first > kMostLinks || !possible(first, end)) continue;
        const Cut cut = best_cut(first, end);
        if (cut.gain <= 0 || best[first] + cut.gain <= best[end]) continue;
        best[end] = best[first] + cut.gain;
        from[end] = first;
        cuts[end] = cut;
      }
    }
    for (size_t end = count; end > 0; end = from[end]) {
      if (cuts[end].gain > 0) make_chain(from[end], end, cuts[end]);
    }
  }

  // The steps of a chain in their order; the last does the work of all.
  std::vector<size_t> members(size_t first, size_t end) const {
    std::vector<size_t> list;
    for (size_t i = first; i < end; ++i) {
      list.push_back(path_[i].step);
      if (i + 1 < end) list.insert(list.end(), path_[i].sums.begin(), path_[i].sums.end());
    }
    std::sort(list.begin(), list.end());
    return list;
  }

  // Whether step `i` keeps its place and loses only its last phase.
  bool hands(size_t i, size_t first) const {
    return i == path_[first].step && step(i).kernel.rows->handed_bytes > 0;
  }

  // Buffers of the phase that moves from step `i` into the chain; in most steps of earlier phases
  // too.
  StepAccess moved_access(size_t i, size_t first) const {
    if (!hands(i, first)) return step(i).access;
    StepAccess access;
    access.reads = handed_reads(i);
    return access;
  }

  bool possible(size_t first, size_t end) const {
    // The handed bytes lie in the result's place.
    if (end - first == 2 && stores(first, end) && hands(path_[first].step, first)) return false;
    if (has_sums(first, end)) {
      // Rows of all parts correspond; a row depends on at least its own row of the part before.
      for (size_t i = first + 1; i < end; ++i) {
        const RowKernel& kernel = kernel_of(i, first);
        if (kernel.stride != 1 || kernel.top > 0 || kernel.top + kernel.extent < 1 ||
            kernel.rows != kernel.step * kernel.source_rows)
          return false;
      }
    }
    // No step of the chain reads what the chain stores.
    const std::vector<size_t> list = members(first, end);
    std::vector<int> writes = step(list.back()).access.writes;
    if (stores(first, end)) writes.push_back(result(path_[end - 2].step));
    for (size_t i : list) {
      if (i != list.back() && meet(writes, moved_access(i, first).reads)) return false;
    }
    // Steps between the members allow that earlier members run later.
    for (size_t other = list.front() + 1; other < list.back(); ++other) {
      if (std::binary_search(list.begin(), list.end(), other)) continue;
      const StepAccess& access = step(other).access;
      for (size_t i : list) {
        if (i > other) break;
        const StepAccess moved = moved_access(i, first);
        if (meet(moved.writes, access.reads) || meet(moved.writes, access.writes) ||
            meet(moved.reads, access.writes))
          return false;
      }
    }
    return true;
  }

  // Rows of the last part's result for one row of the first part's.
  int64_t steps(size_t first, size_t end) const {
    int64_t steps = 1;
    for (size_t i = first + 1; i < end; ++i) steps *= kernel_of(i, first).step;
    return steps;
  }

  // Rows of each part's result that a band of `rows` needs at a time.
  std::vector<int64_t> capacities(size_t first, size_t end, int64_t rows) const {
    std::vector<int64_t> needed(end - first);
    needed.back() = rows;
    for (size_t i = end - 1; i > first; --i) {
      const RowKernel& kernel = kernel_of(i, first);
      const RowKernel& source = kernel_of(i - 1, first);
      const int64_t places = (needed[i - first] + kernel.step - 2) / kernel.step;
      needed[i - first - 1] =
          std::min(source.rows, places * kernel.stride + kernel.extent + source.granule - 1);
    }
    return needed;
  }

  Cut best_cut(size_t first, size_t end) const {
    const RowKernel& last = kernel_of(end - 1, first);
    Cut best;
    const int64_t step = steps(first, end);
    for (int64_t rows = step; rows <= round_up(last.rows, step); rows += step) {
      if (last.stores && last.rows % rows != 0) continue;
      const int64_t bands = (last.rows + rows - 1) / rows;
      if (rows > step && bands == (last.rows + rows - step - 1) / (rows - step)) continue;
      const double found = gain(first, end, rows, bands);
      if (found > best.gain) best = {found, rows};
    }
    return best;
  }

  // Rows of a unit: some bands. Each unit is one part of the sums.
  int64_t unit_rows(size_t first, size_t end, int64_t band_rows) const {
    if (!has_sums(first, end)) return band_rows;
    const RowKernel& last = kernel_of(end - 1, first);
    const int64_t bands = (last.rows + band_rows - 1) / band_rows;
    const int64_t parts = std::min(bands, (kParts + last.images - 1) / last.images);
    return (bands + parts - 1) / parts * band_rows;
  }

  // The time of partial sums: each band updates them, and the end reads them again.
  double cost_of_sums(size_t sum, size_t first, size_t end, int64_t rows, double calls) const {
    const double added = static_cast<double>(bytes(sum));
    const double parts =
        calls * static_cast<double>(rows) / static_cast<double>(unit_rows(first, end, rows));
    return calls * 2 * added / kNearBytes + parts * 2 * added / kFarBytes;
  }

  double gain(size_t first, size_t end, int64_t rows, int64_t bands) const {
    const double cache = static_cast<double>(l2_bytes());
    const std::vector<int64_t> capacity = capacities(first, end, rows);
    const double images = static_cast<double>(kernel_of(first, first).images);
    const bool sums = has_sums(first, end);
    // Bands and units decide the order of sums, so the number of threads must not change them.
    const int threads = sums || stores(first, end) ? 1 : threads_;
    const bool meet = kernel_of(first, first).images % threads != 0;
    const double calls = images * static_cast<double>(bands);
    double saved = 0, cost = 0, flops = 0, weights = 0, held = 0, scratch = 0;
    double halo = 0;  // rows that two threads both compute, inside an image
    for (size_t i = end; i-- > first;) {
      const size_t at = path_[i].step;
      const RowKernel& kernel = kernel_of(i, first);
      weights += static_cast<double>(kernel.weight_bytes);
      flops += step(at).flops;
      scratch = std::max(scratch, static_cast<double>(kernel.scratch_bytes));
      cost += calls * kBandCall;
      if (i + 1 == end) {
        if (!ends_in_sums(first, end)) continue;
        cost += cost_of_sums(at, first, end, rows, calls);
        weights += static_cast<double>(bytes(at));
        continue;
      }
      const double size = static_cast<double>(bytes(at));
      const double rate = size > kFarCache ? kMemoryBytes : kFarBytes;
      const double row = static_cast<double>(row_bytes(at));
      held += row * static_cast<double>(capacity[i - first]);
      for (size_t sum : path_[i].sums) {
        const RowKernel& sink = *step(sum).kernel.sink;
        saved += size / rate + kBarrier;
        cost += calls * kBandCall + cost_of_sums(sum, first, end, rows, calls);
        weights += static_cast<double>(bytes(sum));
        flops += step(sum).flops;
        scratch = std::max(scratch, static_cast<double>(sink.scratch_bytes));
      }
      cost += static_cast<double>(path_[i].recomputers.size()) * size / kMakeBytes;
      // A sink that stores its source saves only the read, and pays for a copy inside L2.
      const RowKernel& next = kernel_of(i + 1, first);
      saved += (next.stores ? 1 : 2) * size / rate + kBarrier;
      if (next.stores) cost += size / kMoveBytes;
      // Rows that two bands need are moved.
      const double kept = static_cast<double>(std::max<int64_t>(0, next.extent - next.stride));
      cost += images * static_cast<double>(bands - 1) * kept * row / kMoveBytes;
      halo = halo * static_cast<double>(next.stride) / static_cast<double>(next.step) + kept;
      if (meet) {
        cost += static_cast<double>(threads - 1) * halo / static_cast<double>(kernel.rows) /
                images * step(at).flops / kFlops;
      }
    }
    held += scratch;
    if (held > kHeld * cache) return 0;
    if (weights + held > cache) cost += calls * weights / kFarBytes;
    // Threads wait for the one that has one band more.
    const double turns = std::ceil(calls / static_cast<double>(threads));
    cost += (turns * static_cast<double>(threads) / calls - 1) * flops / kFlops;
    return saved - cost;
  }

  ChainKernel chain_kernel(size_t i, const RowKernel& rows) const {
    return {&step(i).call, rows, step(i).spec->operands.size()};
  }

  void make_chain(size_t first, size_t end, const Cut& cut) {
    auto chain = std::make_shared<ChainArguments>();
    const std::vector<size_t> list = members(first, end);
    BoundStep& last = part_.steps[list.back()];
    chain->band_rows = cut.band_rows;
    chain->unit_rows = unit_rows(first, end, cut.band_rows);
    chain->sums = has_sums(first, end);
    const RowKernel& ending = kernel_of(end - 1, first);
    const int64_t units = ending.images * ((ending.rows + chain->unit_rows - 1) / chain->unit_rows);
    tell(first, end, cut.band_rows, units);

    const std::vector<int64_t> capacity = capacities(first, end, cut.band_rows);
    size_t scratch = 0;
    for (size_t i : list) {
      const BoundKernel& kernel = step(i).kernel;
      for (const RowKernel* rows : {kernel.rows.get(), kernel.sink.get()}) {
        if (rows != nullptr) scratch = std::max(scratch, round_up(rows->scratch_bytes, kAlignment));
      }
    }
    std::string names;
    for (size_t i = first; i < end; ++i) {
      const size_t at = path_[i].step;
      ChainPart part;
      part.kernel = chain_kernel(at, kernel_of(i, first));
      names += (names.empty() ? "" : " + ") + std::string(step(at).kernel.algorithm);
      if (i + 1 < end) {
        for (size_t sum : path_[i].sums) {
          part.sums.push_back(chain_kernel(sum, *step(sum).kernel.sink));
          names += std::string(" (and ") + step(sum).kernel.algorithm + ")";
        }
        part.row_bytes = row_bytes(at);
        part.capacity = capacity[i - first];
        part.offset = scratch;
        scratch += round_up(part.row_bytes * static_cast<size_t>(part.capacity), kAlignment);
      }
      chain->parts.push_back(std::move(part));
    }
    char note[160];
    std::snprintf(note, sizeof(note), "%s: bands of %lld rows, %.0f KB a thread, gains %.0f us",
                  names.c_str(), static_cast<long long>(cut.band_rows),
                  static_cast<double>(scratch) / 1024, cut.gain / 1000);
    move_work(first, end, list, last);
    recompute(first);
    last.kernel.note = note;
    last.kernel.algorithm = "chain";
    last.kernel.scratch_bytes = std::max(last.kernel.scratch_bytes, scratch);
    last.bytes = 0;
    for (const std::vector<int>* touched : {&last.access.reads, &last.access.writes}) {
      for (int buffer : *touched)
        last.bytes += static_cast<double>(buffers_[static_cast<size_t>(buffer)].bytes());
    }
    std::vector<Phase>& phases = last.kernel.phases;
    const Phase phase = {&run_chain, units, chain.get()};
    (last.kernel.sink != nullptr ? phases.front() : phases.back()) = phase;
    last.chain = chain;
  }

  // Tells the kernels how the rows are divided.
  void tell(size_t first, size_t end, int64_t band_rows, int64_t units) {
    for (size_t i = first; i < end; ++i) {
      BoundKernel& kernel = part_.steps[path_[i].step].kernel;
      if (i > first && kernel.sink != nullptr) {
        kernel.sink->cut(kernel, kernel.sink->stores ? band_rows : units);
      } else if (kernel.rows->hand != nullptr) {
        kernel.rows->hand(kernel);
      }
      if (i + 1 == end) continue;
      for (size_t sum : path_[i].sums) {
        BoundKernel& sums = part_.steps[sum].kernel;
        sums.sink->cut(sums, units);
      }
    }
  }

  // Later readers of link `first` recompute its result.
  void recompute(size_t first) {
    const BoundStep& maker = step(path_[first].step);
    for (size_t i : path_[first].recomputers) {
      BoundStep& reader = part_.steps[i];
      reader.recomputed =
          std::make_shared<const RowSource>(RowSource{&maker.call, *maker.kernel.rows});
      for (int read : handed_reads(path_[first].step)) add_once(reader.access.reads, read);
      reader.kernel.note += (reader.kernel.note.empty() ? "" : "; ") + std::string(kAgain);
      reader.kernel.scratch_bytes += reader.kernel.recompute_bytes;
      if (reader.kernel.sink) reader.kernel.sink->scratch_bytes += reader.kernel.recompute_bytes;
    }
  }

  // The last step of the chain takes over phases of the others, and the buffers of these phases.
  void move_work(size_t first, size_t end, const std::vector<size_t>& list, BoundStep& last) {
    std::vector<int> between, inner;  // results that are not materialized
    for (size_t i = first; i + 1 < end; ++i) {
      between.push_back(result(path_[i].step));
      if (i + 2 < end || !stores(first, end)) inner.push_back(between.back());
    }
    StepAccess access;
    last.kernel.workspace_bytes = round_up(last.kernel.workspace_bytes, kAlignment);
    for (size_t i : list) {
      BoundStep& member = part_.steps[i];
      const StepAccess moved = moved_access(i, first);
      for (int read : moved.reads) {
        if (uses(between, read) == 0 || hands(i, first)) add_once(access.reads, read);
      }
      for (int write : moved.writes) {
        if (uses(inner, write) == 0) add_once(access.writes, write);
      }
      if (&member == &last) break;
      const bool sums = member.kernel.sink != nullptr && i != path_[first].step;
      std::vector<Phase>& phases = member.kernel.phases;
      phases.erase(sums ? phases.begin() : phases.end() - 1);
      if (hands(i, first)) continue;
      last.flops += member.flops;
      member.flops = member.bytes = 0;
      member.access = {};
      member.joined = true;
      member.follows = sums;
      member.workspace = last.kernel.workspace_bytes;
      last.kernel.workspace_bytes += round_up(member.kernel.workspace_bytes, kAlignment);
      member.kernel.workspace_bytes = 0;
      last.members.push_back(static_cast<uint32_t>(i));
      member.kernel.algorithm = "chained";
      member.kernel.note = "with the steps up to " + last.spec->path;
      if (member.recomputed) member.kernel.note += std::string("; ") + kAgain;
    }
    last.access = access;
    for (int buffer : inner) {
      const size_t handed = buffer == result(path_[first].step)
                                ? step(path_[first].step).kernel.rows->handed_bytes
                                : 0;
      if (handed > 0) {
        found_.handed.emplace_back(buffer, handed);
      } else {
        found_.unused.push_back(buffer);
      }
    }
  }

  static void add_once(std::vector<int>& list, int value) {
    if (std::find(list.begin(), list.end(), value) == list.end()) list.push_back(value);
  }

  BoundPart& part_;
  const std::vector<int>& readers_;
  const std::vector<int>& roots_;
  const std::vector<TensorInfo>& buffers_;
  const int threads_;
  std::vector<Link> path_;
  ChainBuffers found_;
};

}  // namespace

ChainBuffers join_chains(BoundPart& part, const std::vector<int>& readers,
                         const std::vector<int>& roots, const std::vector<TensorInfo>& buffers,
                         int threads) {
  return Chainer(part, readers, roots, buffers, threads).join();
}

}  // namespace nnrt
