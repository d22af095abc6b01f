#include "core/planner.h"

#include <algorithm>
#include <limits>
#include <numeric>

namespace nnrt {
namespace {

constexpr size_t kNever = std::numeric_limits<size_t>::max();

// One piece of memory with the steps from which to which it is in use: an item, several in place of
// each other, or a workspace.
struct Piece {
  size_t bytes = 0;
  size_t first = kNever;
  size_t last = 0;
  size_t offset = 0;
};

class Planner {
 public:
  explicit Planner(const MemoryRequest& request)
      : request_(request), piece_of_(request.sizes.size()) {
    std::iota(piece_of_.begin(), piece_of_.end(), size_t{0});
  }

  MemoryPlan plan() {
    find_lifetimes();
    merge_in_place();
    add_workspaces();
    place();
    MemoryPlan result;
    for (size_t item = 0; item < request_.sizes.size(); ++item) {
      result.offsets.push_back(pieces_[piece_of_[item]].offset);
    }
    for (size_t step = 0; step < request_.steps.size(); ++step) {
      result.workspace_offsets.push_back(
          workspace_of_[step] == kNever ? 0 : pieces_[workspace_of_[step]].offset);
    }
    std::vector<size_t> in_use(request_.steps.size(), 0);
    for (const Piece& piece : pieces_) {
      if (piece.first == kNever) continue;
      result.bytes = std::max(result.bytes, piece.offset + piece.bytes);
      for (size_t step = piece.first; step <= piece.last; ++step) in_use[step] += piece.bytes;
    }
    for (size_t bytes : in_use) result.lower_bound = std::max(result.lower_bound, bytes);
    return result;
  }

 private:
  void find_lifetimes() {
    for (size_t size : request_.sizes) pieces_.push_back({round_up(size, kAlignment)});
    for (size_t step = 0; step < request_.steps.size(); ++step) {
      for (const std::vector<int>* list :
           {&request_.steps[step].reads, &request_.steps[step].writes}) {
        for (int item : *list) {
          Piece& piece = pieces_[static_cast<size_t>(item)];
          piece.first = std::min(piece.first, step);
          piece.last = std::max(piece.last, step);
        }
      }
    }
  }

  void merge_in_place() {
    for (size_t step = 0; step < request_.steps.size(); ++step) {
      std::vector<size_t> taken;  // pieces that already passed to a result of this step
      for (const auto& [operand, result] : request_.steps[step].in_place) {
        const size_t from = piece_of_[static_cast<size_t>(operand)];
        const size_t to = piece_of_[static_cast<size_t>(result)];
        Piece& source = pieces_[from];
        Piece& target = pieces_[to];
        if (from == to || source.last != step || target.first != step ||
            source.bytes != target.bytes ||
            std::find(taken.begin(), taken.end(), from) != taken.end()) {
          continue;
        }
        taken.push_back(from);
        source.last = target.last;
        target = Piece{};
        for (size_t& piece : piece_of_) {
          if (piece == to) piece = from;
        }
      }
    }
  }

  void add_workspaces() {
    workspace_of_.assign(request_.steps.size(), kNever);
    for (size_t step = 0; step < request_.steps.size(); ++step) {
      if (request_.steps[step].workspace == 0) continue;
      workspace_of_[step] = pieces_.size();
      pieces_.push_back({round_up(request_.steps[step].workspace, kAlignment), step, step});
    }
  }

  // No order is best for every program: the largest first, the longest first among equals, or
  // simply in the order of time. All are tried.
  void place() {
    std::vector<size_t> order;
    for (size_t i = 0; i < pieces_.size(); ++i) {
      if (pieces_[i].bytes > 0 && pieces_[i].first != kNever) order.push_back(i);
    }
    const auto span = [](const Piece& piece) { return piece.last - piece.first; };
    const auto by = [&](auto&& before) {
      std::vector<size_t> sorted = order;
      std::stable_sort(sorted.begin(), sorted.end(),
                       [&](size_t a, size_t b) { return before(pieces_[a], pieces_[b]); });
      return sorted;
    };
    const std::vector<std::vector<size_t>> orders = {
        by([&span](const Piece& a, const Piece& b) {
          return a.bytes != b.bytes ? a.bytes > b.bytes : span(a) > span(b);
        }),
        by([](const Piece& a, const Piece& b) {
          return a.bytes != b.bytes ? a.bytes > b.bytes : a.first < b.first;
        }),
        by([](const Piece& a, const Piece& b) {
          return a.first != b.first ? a.first < b.first : a.bytes > b.bytes;
        })};
    size_t least = kNever;
    std::vector<Piece> best;
    for (const std::vector<size_t>& candidate : orders) {
      const size_t bytes = place_in_order(candidate);
      if (bytes >= least) continue;
      least = bytes;
      best = pieces_;
    }
    pieces_ = std::move(best);
  }

  size_t place_in_order(const std::vector<size_t>& order) {
    std::vector<size_t> placed;  // by offset
    size_t bytes = 0;
    for (size_t index : order) {
      Piece& piece = pieces_[index];
      piece.offset = best_gap(piece, placed);
      bytes = std::max(bytes, piece.offset + piece.bytes);
      const auto at = std::upper_bound(
          placed.begin(), placed.end(), piece.offset,
          [this](size_t offset, size_t other) { return offset < pieces_[other].offset; });
      placed.insert(at, index);
    }
    return bytes;
  }

  size_t best_gap(const Piece& piece, const std::vector<size_t>& placed) const {
    size_t end = 0;  // of what lies below
    size_t best = kNever;
    size_t best_size = kNever;
    for (size_t other_index : placed) {
      const Piece& other = pieces_[other_index];
      if (other.last < piece.first || other.first > piece.last) continue;
      if (other.offset > end) {
        const size_t gap = other.offset - end;
        if (gap >= piece.bytes && gap < best_size) {
          best = end;
          best_size = gap;
        }
      }
      end = std::max(end, other.offset + other.bytes);
    }
    return best != kNever ? best : end;
  }

  const MemoryRequest& request_;
  std::vector<size_t> piece_of_;  // per item
  std::vector<Piece> pieces_;
  std::vector<size_t> workspace_of_;  // per step
};

}  // namespace

MemoryPlan plan_memory(const MemoryRequest& request) { return Planner(request).plan(); }

}  // namespace nnrt
