#include "cpu/engine/cores.h"

#include <algorithm>
#include <atomic>

#include "core/forks.h"

namespace nnrt {
namespace {

std::atomic<int> busy{0};  // threads of all runs of this process

// The runs of other threads do not go on in a child.
void forget_in_child() {
  static const ForkHook hook(
      nullptr, [](void*) {},
      [](void*, bool child) {
        if (child) busy.store(0, std::memory_order_relaxed);
      });
}

}  // namespace

CoreShare::CoreShare(int wanted, int cores) : threads_(wanted) {
  forget_in_child();
  int before = busy.load(std::memory_order_relaxed);
  do {
    threads_ = std::max(1, std::min(wanted, cores - before));
  } while (!busy.compare_exchange_weak(before, before + threads_, std::memory_order_relaxed));
}

CoreShare::~CoreShare() { busy.fetch_sub(threads_, std::memory_order_relaxed); }

void Pace::ran(int64_t nanoseconds, int64_t waited) {
  if (!alone_) best_ = std::min(best_, nanoseconds);
  total_ += nanoseconds;
  waited_ += waited;
  ++runs_;
  if (total_ < kWindow) return;
  const int64_t mean = total_ / runs_;
  decide(mean, mean > kSlow * best_ || waited_ > total_ / 2);
  total_ = waited_ = runs_ = 0;
}

void Pace::decide(int64_t mean, bool suffers) {
  left_ -= total_;
  if (trial_) {
    trial_ = false;
    const bool faster = mean < other_;
    if (!faster) alone_ = !alone_;
    hold_ = faster ? kHold : std::min(2 * hold_, kLongestHold);
    left_ = hold_;
  } else if (left_ <= 0 && (alone_ || (suffers && suffered_))) {
    other_ = mean;
    alone_ = !alone_;
    trial_ = true;
  }
  suffered_ = suffers;
}

}  // namespace nnrt
