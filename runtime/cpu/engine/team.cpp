#include "cpu/engine/team.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <system_error>
#include <thread>
#include <vector>

#include "core/forks.h"
#include "cpu/engine/barrier.h"

namespace nnrt {
namespace {

class Team {
 public:
  Team() : forks_(fork_count()) {}
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  ~Team() {
    drop_lost();
    start(static_cast<int>(workers_.size()) + 1, {});
    for (const std::unique_ptr<Worker>& worker : workers_) worker->thread.join();
  }

  int64_t run(int threads, TeamWork work, void* context) {
    threads = have(threads);
    working_.store(threads - 1, std::memory_order_relaxed);
    start(threads, {work, context, threads});
    work(context, 0, threads);
    wait_until([this] { return working_.load(std::memory_order_acquire) == 0; }, waited_);
    return waited_.exchange(0, std::memory_order_relaxed);
  }

 private:
  struct Task {
    TeamWork work = nullptr;  // null: the thread ends
    void* context = nullptr;
    int threads = 0;
  };
  struct alignas(kAlignment) Worker {
    std::atomic<uint32_t> turns{0};  // calls so far
    Task task;
    std::thread thread;
  };

  // The number of threads, the caller included; at most as many as asked for.
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

  // In a child process its parent's threads are gone.
  void drop_lost() {
    const uint32_t now = fork_count();
    if (forks_ == now) return;
    forks_ = now;
    // There is nothing to join, and destroying an unjoined thread would end the process.
    for (std::unique_ptr<Worker>& worker : workers_) (void)worker.release();
    workers_.clear();
  }

  // Wakes `threads` - 1 workers; the caller does the rest.
  void start(int threads, const Task& task) {
    const auto called = workers_.begin() + (threads - 1);
    for (auto at = workers_.begin(); at != called; ++at) {
      Worker& worker = **at;
      worker.task = task;
      worker.turns.store(worker.turns.load(std::memory_order_relaxed) + 1,
                         std::memory_order_release);
    }
    // A worker marks itself asleep before its last look for work.
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

  std::vector<std::unique_ptr<Worker>> workers_;
  uint32_t forks_;
  alignas(kAlignment) std::atomic<int> working_{0};
  std::atomic<int64_t> waited_{0};
};

}  // namespace

int64_t run_team(int threads, TeamWork work, void* context) {
  if (threads <= 1) {
    work(context, 0, 1);
    return 0;
  }
  thread_local Team team;
  return team.run(threads, work, context);
}

}  // namespace nnrt
