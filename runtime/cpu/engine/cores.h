// The cores that a run works on. Threads that wait for each other need a core each: more threads
// than free cores are slower than one. So a run takes no more threads than there are cores that no
// other run of the process uses, and one if other processes take the cores.
#pragma once

#include <cstdint>

namespace nnrt {

// Cores for one run, given back at the end: at least 1, at most `wanted`, and together with the
// other runs of this process at most `cores` where that is possible.
class CoreShare {
 public:
  CoreShare(int wanted, int cores);
  ~CoreShare();
  CoreShare(const CoreShare&) = delete;
  CoreShare& operator=(const CoreShare&) = delete;

  int threads() const { return threads_; }

 private:
  int threads_;
};

// Finds out whether the runs of one binding are faster on all its threads or on one. It compares
// the times of some runs: if they take much longer than the best one, or their threads mostly wait,
// it tries the other way and keeps the faster one for a while.
class Pace {
 public:
  int threads(int most) const { return alone_ ? 1 : most; }
  // A run is over. `waited`: nanoseconds that its threads waited for each other beyond the usual.
  void ran(int64_t nanoseconds, int64_t waited);

 private:
  void decide(int64_t mean, bool suffers);

  static constexpr int64_t kWindow = 20'000'000;  // of runs that are judged together
  static constexpr int64_t kHold = 100'000'000;   // until the other way is tried again
  static constexpr int64_t kLongestHold = 3'000'000'000;
  static constexpr int64_t kSlow = 3;  // times the best run

  bool alone_ = false;
  bool trial_ = false;
  bool suffered_ = false;     // the window before suffered too: one slow run is not enough
  int64_t best_ = INT64_MAX;  // of all threads
  int64_t total_ = 0;         // of the current window
  int64_t waited_ = 0;
  int64_t runs_ = 0;
  int64_t other_ = 0;  // the mean of the other way, during a trial
  int64_t hold_ = kHold;
  int64_t left_ = 0;
};

}  // namespace nnrt
