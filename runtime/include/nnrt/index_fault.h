// Indices that come from memory and lie outside of what they point into. A kernel tells of them and
// goes on with NaN or nothing; the caller makes an error of the first one.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>

namespace nnrt {

class IndexFault {
 public:
  struct Found {
    int64_t place = 0;  // in the operand that holds the indices
    int64_t index = 0;
  };

  // Of any thread.
  void report(int64_t place, int64_t index) noexcept {
    while (busy_.test_and_set(std::memory_order_acquire)) {
    }
    if (!found_ || place < found_->place) found_ = Found{place, index};
    busy_.clear(std::memory_order_release);
  }

  // The first one since the last call. While nothing runs.
  std::optional<Found> take() noexcept {
    const std::optional<Found> found = found_;
    found_.reset();
    return found;
  }

 private:
  std::atomic_flag busy_;
  std::optional<Found> found_;
};

}  // namespace nnrt
