#include "core/planner.h"

#include <algorithm>
#include <limits>
#include <map>
#include <numeric>
#include <set>
#include <utility>

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

// Trying orders takes time that grows with the square of the pieces: 0.2 s for so many.
constexpr size_t kManyPieces = 8192;

// The bytes of an arena that nothing uses: gaps below its end, and all above.
class FreeBytes {
 public:
  // Where `bytes` are free: the smallest gap, the lowest among equals, else the end.
  size_t take(size_t bytes) {
    const auto found = by_size_.lower_bound({bytes, 0});
    if (found == by_size_.end()) {
      const size_t offset = end_;
      end_ += bytes;
      return offset;
    }
    const auto [size, offset] = *found;
    remove(offset, size);
    if (size > bytes) add(offset + bytes, size - bytes);
    return offset;
  }

  void give(size_t offset, size_t bytes) {
    const auto above = gaps_.lower_bound(offset);
    if (above != gaps_.begin()) {
      const auto [start, size] = *std::prev(above);
      if (start + size == offset) {
        remove(start, size);
        offset = start;
        bytes += size;
      }
    }
    const auto next = gaps_.find(offset + bytes);
    if (next != gaps_.end()) {
      const size_t size = next->second;
      remove(offset + bytes, size);
      bytes += size;
    }
    if (offset + bytes == end_) {
      end_ = offset;
    } else {
      add(offset, bytes);
    }
  }

 private:
  void add(size_t offset, size_t size) {
    gaps_[offset] = size;
    by_size_.insert({size, offset});
  }
  void remove(size_t offset, size_t size) {
    gaps_.erase(offset);
    by_size_.erase({size, offset});
  }

  std::map<size_t, size_t> gaps_;                // size by offset
  std::set<std::pair<size_t, size_t>> by_size_;  // size, offset
  size_t end_ = 0;
};

class Planner {
 public:
  explicit Planner(const MemoryRequest& request)
      : request_(request), piece_of_(request.sizes.size()) {
    std::iota(piece_of_.begin(), piece_of_.end(), size_t{0});
  }

  MemoryPlan plan() {
    find_pieces();
    place();
    return result();
  }

  MemoryPlan plan_apart(Layout& layout) {
    find_pieces();
    for (Piece& piece : pieces_) {
      if (piece.first != kNever) piece.offset = layout.add(piece.bytes);
    }
    return result();
  }

 private:
  void find_pieces() {
    find_lifetimes();
    merge_in_place();
    add_workspaces();
  }

  MemoryPlan result() const {
    MemoryPlan result;
    for (size_t item = 0; item < request_.sizes.size(); ++item) {
      result.offsets.push_back(pieces_[piece_of_[item]].offset);
    }
    for (size_t step = 0; step < request_.steps.size(); ++step) {
      result.workspace_offsets.push_back(
          workspace_of_[step] == kNever ? 0 : pieces_[workspace_of_[step]].offset);
    }
    // Bytes that come into use at each step, and that no later one uses.
    std::vector<size_t> begun(request_.steps.size(), 0), ended(request_.steps.size(), 0);
    for (const Piece& piece : pieces_) {
      if (piece.first == kNever) continue;
      result.bytes = std::max(result.bytes, piece.offset + piece.bytes);
      begun[piece.first] += piece.bytes;
      ended[piece.last] += piece.bytes;
    }
    size_t in_use = 0;
    for (size_t step = 0; step < request_.steps.size(); ++step) {
      in_use += begun[step];
      result.lower_bound = std::max(result.lower_bound, in_use);
      in_use -= ended[step];
    }
    return result;
  }

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
    std::vector<std::vector<size_t>> items_of(request_.sizes.size());  // by piece
    for (size_t item = 0; item < items_of.size(); ++item) items_of[item] = {item};
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
        for (size_t item : items_of[to]) {
          piece_of_[item] = from;
          items_of[from].push_back(item);
        }
        items_of[to].clear();
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
  // simply in the order of time. All are tried, unless there are too many pieces for that.
  void place() {
    std::vector<size_t> order;
    for (size_t i = 0; i < pieces_.size(); ++i) {
      if (pieces_[i].bytes > 0 && pieces_[i].first != kNever) order.push_back(i);
    }
    if (order.size() > kManyPieces) return place_in_time(order);
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

  // In the order of time each piece takes the smallest gap that is free at its first step; its
  // bytes are free again after its last.
  void place_in_time(const std::vector<size_t>& order) {
    std::vector<std::vector<size_t>> begun(request_.steps.size()), ended(request_.steps.size());
    for (size_t index : order) {
      begun[pieces_[index].first].push_back(index);
      ended[pieces_[index].last].push_back(index);
    }
    FreeBytes free_bytes;
    for (size_t step = 0; step < begun.size(); ++step) {
      for (size_t index : begun[step])
        pieces_[index].offset = free_bytes.take(pieces_[index].bytes);
      for (size_t index : ended[step]) free_bytes.give(pieces_[index].offset, pieces_[index].bytes);
    }
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

MemoryPlan plan_apart(const MemoryRequest& request, Layout& layout) {
  return Planner(request).plan_apart(layout);
}

}  // namespace nnrt
