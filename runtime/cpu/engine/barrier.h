// A barrier for threads that work in step. A thread that waits spins at first, since the wait is
// mostly shorter than a trip to the kernel; then it yields, and at last it sleeps, since another
// process may hold the core of the thread that is waited for.
#pragma once

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>

#include "core/planner.h"

namespace nnrt {

inline void spin_pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

inline constexpr int kSpins = 4000;   // about 50 us on Zen 5
inline constexpr int kYields = 2000;  // about 1 ms, Zen 4

// The rest of a wait that is longer than the spins: yields, then sleeps a sixteenth of the time
// that it has waited so far, so the other threads need not wake it. Returns the nanoseconds.
template <class Condition>
int64_t wait_long(Condition holds) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point start = Clock::now();
  for (int yields = 0; yields < kYields && !holds(); ++yields) sched_yield();
  while (!holds()) {
    const auto waited = Clock::now() - start;
    std::this_thread::sleep_for(
        std::min<Clock::duration>(waited / 16, std::chrono::milliseconds(1)));
  }
  return std::chrono::nanoseconds(Clock::now() - start).count();
}

// Waits until a condition holds; adds the time beyond spinning to `waited`.
template <class Condition>
void wait_until(Condition holds, std::atomic<int64_t>& waited) {
  for (int spins = 0; spins < kSpins; ++spins) {
    if (holds()) return;
    spin_pause();
  }
  waited.fetch_add(wait_long(holds), std::memory_order_relaxed);
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
    wait_until([&] { return generation_.load(std::memory_order_acquire) != generation; }, waited_);
  }

  // Nanoseconds of waits beyond spinning since the last call.
  int64_t take_waited() { return waited_.exchange(0, std::memory_order_relaxed); }

 private:
  alignas(kAlignment) std::atomic<int> arrived_{0};
  alignas(kAlignment) std::atomic<uint32_t> generation_{0};
  alignas(kAlignment) std::atomic<int64_t> waited_{0};
};

}  // namespace nnrt
