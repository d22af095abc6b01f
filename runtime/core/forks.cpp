#include "core/forks.h"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <vector>

namespace nnrt {
namespace {

std::atomic<uint32_t> forks{0};

// Never destroyed: a fork may come after the end of main.
struct Registry {
  std::mutex mutex;
  std::vector<const ForkHook*> hooks;
};

Registry& registry() {
  static Registry* const made = new Registry;
  return *made;
}

}  // namespace

void run_before_fork() {
  registry().mutex.lock();
  for (const ForkHook* hook : registry().hooks) hook->before_(hook->self_);
}

void run_after_fork(bool child) {
  for (auto at = registry().hooks.rbegin(); at != registry().hooks.rend(); ++at)
    (*at)->after_((*at)->self_, child);
  registry().mutex.unlock();
}

namespace {

void watch_forks() {
  static const int registered = pthread_atfork(
      &run_before_fork, [] { run_after_fork(false); },
      [] {
        forks.fetch_add(1, std::memory_order_relaxed);
        run_after_fork(true);
      });
  (void)registered;
}

}  // namespace

uint32_t fork_count() {
  watch_forks();
  return forks.load(std::memory_order_relaxed);
}

ForkHook::ForkHook(void* self, Before before, After after)
    : self_(self), before_(before), after_(after) {
  watch_forks();
  const std::lock_guard<std::mutex> lock(registry().mutex);
  registry().hooks.push_back(this);
}

ForkHook::~ForkHook() {
  const std::lock_guard<std::mutex> lock(registry().mutex);
  std::vector<const ForkHook*>& hooks = registry().hooks;
  hooks.erase(std::find(hooks.begin(), hooks.end(), this));
}

}  // namespace nnrt
