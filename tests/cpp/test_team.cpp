// The threads that work beside a caller: each is called once a run, also after they slept, by
// several callers at a time, and in a child process.
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "cpu/engine/team.h"
#include "test.h"

using namespace nnrt;

namespace {

// Whether a run of so many threads calls each of them once, all of them in one run.
bool calls_each_once(int threads) {
  std::vector<int> calls(static_cast<size_t>(threads), 0);
  std::atomic<int> wrong{0}, together{0};
  run_team(threads, [&](int thread, int of) {
    if (of != threads || thread < 0 || thread >= of) {
      wrong.fetch_add(1);
      return;
    }
    ++calls[static_cast<size_t>(thread)];
    together.fetch_add(1);
    while (together.load() < threads) std::this_thread::yield();
  });
  for (int count : calls) wrong.fetch_add(count == 1 ? 0 : 1);
  return wrong.load() == 0;
}

void calls_each_thread_once() {
  for (int threads : {1, 2, 3, 7, 2, 1, 7}) CHECK(calls_each_once(threads));
}

void sees_what_was_written_before() {
  int value = 0;
  bool right = true;
  for (int run = 0; run < 20000; ++run) {
    int seen[2] = {-1, -1};
    ++value;
    run_team(2, [&](int thread, int) { seen[thread] = value; });
    right = right && seen[0] == value && seen[1] == value;
  }
  CHECK(right);
}

void wakes_who_sleeps() {
  for (int pause : {0, 1, 5, 20, 2, 1}) {
    std::this_thread::sleep_for(std::chrono::milliseconds(pause));
    CHECK(calls_each_once(3));
  }
}

void serves_several_callers() {
  std::atomic<int> right{0};
  std::vector<std::thread> callers;
  for (int i = 0; i < 4; ++i) {
    callers.emplace_back([&] {
      for (int run = 0; run < 50; ++run) right.fetch_add(calls_each_once(3) ? 1 : 0);
    });
  }
  for (std::thread& caller : callers) caller.join();
  CHECK(right.load() == 200);
}

void serves_a_child_process() {
  CHECK(calls_each_once(3));
  const pid_t child = fork();
  if (child == 0) {
    alarm(60);  // a child that hangs must not keep the test waiting
    _exit(calls_each_once(2) && calls_each_once(3) ? 0 : 1);
  }
  int status = -1;
  CHECK(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  CHECK(calls_each_once(3));
}

}  // namespace

int main() {
  calls_each_thread_once();
  sees_what_was_written_before();
  wakes_who_sleeps();
  serves_several_callers();
  serves_a_child_process();
  return test::finish();
}
