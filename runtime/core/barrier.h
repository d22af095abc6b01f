// A barrier for threads that work in step: spins, since the wait is mostly shorter than a trip to
// the kernel, and after a while yields, since another process may hold the core of the thread that
// is waited for.
#pragma once

#include <sched.h>

#include <atomic>
#include <cstdint>

#include "core/planner.h"

namespace nnrt {

inline void spin_pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

inline constexpr int kSpins = 4000;  // about 50 us on Zen 5

template <class Condition>
void spin_until(Condition holds) {
  for (int spins = 0; !holds(); ++spins) {
    if (spins < kSpins) {
      spin_pause();
    } else {
      sched_yield();
    }
  }
}

class Barrier {
 public:
  void wait(int threads) {
    const uint32_t generation = generation_.load(std::memory_order_relaxed);
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == threads) {
      arrived_.store(0, std::memory_order_relaxed);
      generation_.store(generation + 1, std::memory_order_release);
      return;
    }
    spin_until([&] { return generation_.load(std::memory_order_acquire) != generation; });
  }

 private:
  alignas(kAlignment) std::atomic<int> arrived_{0};
  alignas(kAlignment) std::atomic<uint32_t> generation_{0};
};

}  // namespace nnrt
