// What happens at fork(). A child has the memory of its parent, but not the other threads, which
// may hold a lock in the middle of a change. An object with locks takes them before the fork, so
// that what they protect is whole, and releases them on both sides.
#pragma once

#include <cstdint>

namespace nnrt {

// How many forks lie between this process and the one that loaded the engine.
uint32_t fork_count();

// As long as it lives, `before(self)` runs before each fork() of the process, and `after(self,
// child)` behind it, in the parent and in the child.
class ForkHook {
 public:
  using Before = void (*)(void* self);
  using After = void (*)(void* self, bool child);

  ForkHook(void* self, Before before, After after);
  ~ForkHook();
  ForkHook(const ForkHook&) = delete;
  ForkHook& operator=(const ForkHook&) = delete;

 private:
  friend void run_before_fork();
  friend void run_after_fork(bool child);

  void* self_;
  Before before_;
  After after_;
};

}  // namespace nnrt
