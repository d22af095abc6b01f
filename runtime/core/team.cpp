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
    start(static_cast<int>(workers_.size()) + 1, {});
    for (const std::unique_ptr<Worker>& worker : workers_) worker->thread.join();
  }

  void run(int threads, TeamWork work, void* context) {
    threads = have(threads);
    working_.store(threads - 1, std::memory_order_relaxed);
    start(threads, {work, context, threads});
    work(context, 0, threads);
    spin_until([this] { return working_.load(std::memory_order_acquire) == 0; });
  }

 private:
  struct Task {
    TeamWork work = nullptr;  // nullptr: to end
    void* context = nullptr;
    int threads = 0;
  };
  struct alignas(kAlignment) Worker {
    std::atomic<uint32_t> turns{0};  // how often it was called
    Task task;
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

  // Calls so many threads less the caller.
  void start(int threads, const Task& task) {
    const auto called = workers_.begin() + (threads - 1);
    for (auto at = workers_.begin(); at != called; ++at) {
      Worker& worker = **at;
      worker.task = task;
      worker.turns.store(worker.turns.load(std::memory_order_relaxed) + 1,
                         std::memory_order_release);
    }
    // A worker that goes to sleep says so before it looks for the last time.
    std::atomic_thread_fence(std::memory_order_seq_cst);
    for (auto at = workers_.begin(); at != called; ++at) (*at)->turns.notify_one();
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
      const Task& task = self.task;
      if (task.work == nullptr) return;
      task.work(task.context, thread, task.threads);
      working_.fetch_sub(1, std::memory_order_release);
    }
  }

  static constexpr int kYields = 2000;  // about 1 ms, Zen 4

  std::vector<std::unique_ptr<Worker>> workers_;
  uint32_t forks_;
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
