#include "core/team.h"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <system_error>
#include <thread>
#include <vector>

#include "core/barrier.h"

namespace nnrt {
namespace {

// In a child process its parent's threads are gone.
std::atomic<uint32_t> forks{0};

class Team {
 public:
  Team() : forks_(forks.load()) {
    static const int registered =
        pthread_atfork(nullptr, nullptr, [] { forks.fetch_add(1, std::memory_order_relaxed); });
    (void)registered;
  }
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  ~Team() {
    drop_lost();
    start(static_cast<int>(workers_.size()) + 1, nullptr, nullptr);
    for (const std::unique_ptr<Worker>& worker : workers_) worker->thread.join();
  }

  void run(int threads, TeamWork work, void* context) {
    threads = have(threads);
    working_.store(threads - 1, std::memory_order_relaxed);
    start(threads, work, context);
    work(context, 0, threads);
    spin_until([this] { return working_.load(std::memory_order_acquire) == 0; });
  }

 private:
  struct alignas(kAlignment) Worker {
    std::atomic<uint32_t> turns{0};  // how often it was called
    std::thread thread;
  };

  // Threads there are of so many, the caller included.
  int have(int threads) {
    drop_lost();
    while (static_cast<int>(workers_.size()) + 1 < threads) {
      auto worker = std::make_unique<Worker>();
      const int number = static_cast<int>(workers_.size()) + 1;
      try {
        worker->thread = std::thread([this, self = worker.get(), number] { serve(*self, number); });
      } catch (const std::system_error&) {
        break;
      }
      workers_.push_back(std::move(worker));
    }
    return std::min(threads, static_cast<int>(workers_.size()) + 1);
  }

  void drop_lost() {
    const uint32_t now = forks.load(std::memory_order_relaxed);
    if (forks_ == now) return;
    forks_ = now;
    // There is nothing to join, and to destroy a thread that was not joined ends the process.
    for (std::unique_ptr<Worker>& worker : workers_) (void)worker.release();
    workers_.clear();
  }

  // Calls the first of the workers; without `work`, to end.
  void start(int threads, TeamWork work, void* context) {
    work_ = work;
    context_ = context;
    threads_ = threads;
    const auto called = workers_.begin() + (threads - 1);
    for (auto worker = workers_.begin(); worker != called; ++worker) {
      std::atomic<uint32_t>& turns = (*worker)->turns;
      turns.store(turns.load(std::memory_order_relaxed) + 1, std::memory_order_release);
    }
    // A worker that goes to sleep says so before it looks for the last time.
    std::atomic_thread_fence(std::memory_order_seq_cst);
    for (auto worker = workers_.begin(); worker != called; ++worker) (*worker)->turns.notify_one();
  }

  void serve(Worker& self, int thread) {
    for (uint32_t turn = 0;; ++turn) {
      for (int looks = 0; self.turns.load(std::memory_order_acquire) == turn; ++looks) {
        if (looks < kSpins) {
          spin_pause();
        } else if (looks < kSpins + kYields) {
          sched_yield();
        } else {
          self.turns.wait(turn, std::memory_order_acquire);
        }
      }
      if (work_ == nullptr) return;
      work_(context_, thread, threads_);
      working_.fetch_sub(1, std::memory_order_release);
    }
  }

  static constexpr int kYields = 2000;  // about 1 ms, Zen 4

  std::vector<std::unique_ptr<Worker>> workers_;
  uint32_t forks_;
  // What is to be done; written before the workers are called.
  TeamWork work_ = nullptr;
  void* context_ = nullptr;
  int threads_ = 1;
  alignas(kAlignment) std::atomic<int> working_{0};
};

}  // namespace

void run_team(int threads, TeamWork work, void* context) {
  if (threads <= 1) {
    work(context, 0, 1);
    return;
  }
  thread_local Team team;
  team.run(threads, work, context);
}

}  // namespace nnrt
