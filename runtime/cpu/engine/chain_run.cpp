#include "cpu/engine/chain_run.h"

#include <algorithm>
#include <cstring>

#include "core/planner.h"
#include "cpu/row_streaming.h"

namespace nnrt {
namespace {

struct Rows {
  int64_t begin = 0, end = 0;
  bool empty() const { return begin >= end; }
};

// Rows of the source that `rows` depend on.
Rows under(const RowKernel& kernel, Rows rows) {
  if (rows.empty()) return {};
  const int64_t first = rows.begin / kernel.step * kernel.stride + kernel.top;
  const int64_t last = (rows.end - 1) / kernel.step * kernel.stride + kernel.top;
  return {std::max<int64_t>(0, first), std::min(kernel.source_rows, last + kernel.extent)};
}

// The work of one thread on consecutive bands.
class ChainRun {
 public:
  ChainRun(const ChainArguments& chain, const Call& call)
      : chain_(chain),
        scratch_(static_cast<char*>(call.scratch)),
        held_(chain.parts.size()),
        fresh_(chain.parts.size()),
        base_(chain.parts.size(), 0) {}

  void run_unit(int64_t unit) {
    const int64_t image = unit / chain_.image_units();
    const int64_t first = unit % chain_.image_units() * chain_.unit_rows;
    const int64_t end = std::min(chain_.rows(), first + chain_.unit_rows);
    // Each part of the sums computes all of its rows, so that none counts twice.
    if (image != image_ || chain_.sums) std::fill(held_.begin(), held_.end(), Rows{});
    image_ = image;
    unit_ = unit;
    begins_ = true;
    own_ = {first, end};
    for (int64_t row = first; row < end; row += chain_.band_rows) {
      make({row, std::min(end, row + chain_.band_rows)});
      begins_ = false;
    }
  }

 private:
  void make(Rows wanted) {
    const size_t last = chain_.parts.size() - 1;
    // From the last part to the first: rows that are still missing.
    Rows needed = wanted;
    for (size_t i = last + 1; i-- > 0;) {
      const ChainPart& part = chain_.parts[i];
      const RowKernel& kernel = part.kernel.rows;
      if (i == last) {
        fresh_[i] = needed;
      } else {
        const Rows& held = held_[i];
        fresh_[i] = {};
        if (!needed.empty() && (held.empty() || held.end < needed.end)) {
          const int64_t end = std::min(kernel.rows, round_up(needed.end, kernel.granule));
          const int64_t begin = held.empty() ? needed.begin : std::max(needed.begin, held.end);
          fresh_[i] = {begin, end};
          keep(i, held.empty() ? needed : Rows{needed.begin, begin}, end);
        }
      }
      if (i > 0) needed = under(kernel, fresh_[i]);
    }
    for (size_t i = 0; i <= last; ++i) {
      if (!fresh_[i].empty()) run(i, fresh_[i]);
    }
  }

  // Makes room for rows up to `end` behind the held rows of `rows`.
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

  // The address of row 0 of image 0 if the whole tensor were in memory.
  void* origin(size_t i) const {
    const ChainPart& part = chain_.parts[i];
    return reinterpret_cast<void*>(reinterpret_cast<uintptr_t>(scratch_ + part.offset) -
                                   bytes(i, image_ * part.kernel.rows.rows + base_[i]));
  }

  void run(size_t i, Rows rows) {
    const ChainPart& part = chain_.parts[i];
    RowBand band;
    band.image = image_;
    band.first = rows.begin;
    band.end = rows.end;
    band.kept = i + 1 < chain_.parts.size();
    band.part = unit_;
    band.begins = begins_;
    void* const result = band.kept ? origin(i) : nullptr;
    run_kernel(part.kernel, band, i > 0 ? origin(i - 1) : nullptr, result);
    if (part.sums.empty()) return;
    // Rows of the last part for each row of this one.
    const int64_t step = chain_.rows() / part.kernel.rows.rows;
    band.first = std::max(rows.begin, own_.begin / step);
    band.end = std::min(rows.end, own_.end / step);
    band.kept = false;
    if (band.first >= band.end) return;
    for (const ChainKernel& sum : part.sums) run_kernel(sum, band, result, nullptr);
  }

  // `source`, `result`: addresses in the scratch; null if they are in memory.
  void run_kernel(const ChainKernel& kernel, RowBand band, void* source, void* result) {
    Call call = *kernel.call;
    call.arguments = kernel.rows.arguments.get();
    call.scratch = scratch_;
    void* operands[kMostOperands];
    if (source != nullptr) {
      std::copy(call.operands, call.operands + kernel.operands, operands);
      band.cached = true;
      band.source = operands[kernel.rows.source];
      operands[kernel.rows.source] = source;
      call.operands = operands;
    }
    void* results[1] = {result};
    if (result != nullptr) {
      if (kernel.rows.handed_bytes > 0) band.handed = call.results[0];
      call.results = results;
    }
    kernel.rows.run(call, band);
  }

  const ChainArguments& chain_;
  char* const scratch_;
  int64_t image_ = -1;
  int64_t unit_ = -1;
  bool begins_ = false;        // the first band of the unit
  Rows own_;                   // rows of the last part that the unit computes
  std::vector<Rows> held_;     // rows of each part's result in the scratch
  std::vector<Rows> fresh_;    // and those to compute
  std::vector<int64_t> base_;  // the first row in each part's memory
};

}  // namespace

void run_chain(const Call& call, int64_t begin, int64_t end) {
  if (begin == end) return;
  ChainRun run(*static_cast<const ChainArguments*>(call.arguments), call);
  for (int64_t unit = begin; unit < end; ++unit) run.run_unit(unit);
}

}  // namespace nnrt
