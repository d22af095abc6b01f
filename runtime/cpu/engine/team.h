// The threads that work beside a caller, each caller's own. Between two runs they stay awake for
// about a millisecond, so that a run that follows soon begins at once, and sleep then. On Zen 4
// with two threads a run of nothing takes 0.1 us.
#pragma once

#include <cstdint>

namespace nnrt {

using TeamWork = void (*)(void* context, int thread, int threads) noexcept;

// Calls work(context, thread, threads) once on each of `threads` threads, of which the caller is
// thread 0, and returns when all are done. If the system gives fewer threads, `threads` is their
// number. A child process after fork() makes threads of its own. Gives the nanoseconds
// that the caller waited for the others, beyond a few that it spins.
int64_t run_team(int threads, TeamWork work, void* context);

// The same of body(thread, threads).
template <class Body>
int64_t run_team(int threads, Body body) {
  return run_team(
      threads,
      [](void* context, int thread, int of) noexcept {
        (*static_cast<Body*>(context))(thread, of);
      },
      &body);
}

}  // namespace nnrt
