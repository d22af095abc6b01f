// Which threads a run takes: as many as there are free cores; one where several are slower; and the
// same bits whoever does the shares of the work.
#include <thread>
#include <vector>

#include "cpu/engine/cores.h"
#include "plan_runner.h"

using namespace nnrt;
using namespace nnrt::test;

namespace {

constexpr int64_t kMillisecond = 1'000'000;

void shares_cores() {
  const CoreShare first(16, 4);
  CHECK(first.threads() == 4);
  const CoreShare second(2, 4);
  CHECK(second.threads() == 1);  // the first run has all of them; each run has its caller
  {
    const CoreShare alone(1, 4);
    CHECK(alone.threads() == 1);
  }
}

void gives_cores_back() {
  for (int i = 0; i < 3; ++i) {
    const CoreShare all(2, 2);
    CHECK(all.threads() == 2);
  }
  const CoreShare half(1, 2);
  const CoreShare rest(2, 2);
  CHECK(half.threads() == 1 && rest.threads() == 1);
}

// Runs that take `all` on all threads and `alone` on one, for so long; the share of the time that
// they took on one thread.
double alone_share(Pace& pace, int64_t all, int64_t alone, int64_t waited, int64_t time) {
  int64_t passed = 0, on_one = 0;
  while (passed < time) {
    const bool one = pace.threads(2) == 1;
    pace.ran(one ? alone : all, one ? 0 : waited);
    passed += one ? alone : all;
    if (one) on_one += alone;
  }
  return static_cast<double>(on_one) / static_cast<double>(passed);
}

void keeps_all_threads_where_they_are_faster() {
  Pace calm;
  CHECK(alone_share(calm, kMillisecond, 2 * kMillisecond, 0, 5000 * kMillisecond) == 0);
  Pace uneven;  // its threads wait for each other by its nature
  CHECK(alone_share(uneven, kMillisecond, 2 * kMillisecond, kMillisecond, 20000 * kMillisecond) <
        0.05);
}

void takes_one_thread_where_the_cores_are_taken() {
  Pace pace;
  alone_share(pace, kMillisecond, 2 * kMillisecond, 0, 100 * kMillisecond);
  // Two threads now take 20 times as long, one twice as long.
  CHECK(alone_share(pace, 20 * kMillisecond, 4 * kMillisecond, 0, 20000 * kMillisecond) > 0.9);
  // The cores are free again: it comes back.
  alone_share(pace, kMillisecond, 2 * kMillisecond, 0, 5000 * kMillisecond);
  CHECK(alone_share(pace, kMillisecond, 2 * kMillisecond, 0, 5000 * kMillisecond) == 0);
}

void notices_waiting_without_a_calm_run() {
  Pace pace;
  const int64_t run = 100 * kMillisecond;
  CHECK(alone_share(pace, run, run / 4, run * 3 / 4, 60000 * kMillisecond) > 0.9);
}

void one_slow_run_changes_little() {
  Pace pace;
  alone_share(pace, kMillisecond, 2 * kMillisecond, 0, 100 * kMillisecond);
  pace.ran(500 * kMillisecond, 0);
  CHECK(alone_share(pace, kMillisecond, 2 * kMillisecond, 0, 1000 * kMillisecond) < 0.05);
}

// A plan with phases that depend on each other.
PlanWriter two_convolutions() {
  PlanWriter writer;
  const int image = writer.input("image", {"N", "9", "7", "5"});
  const int first = writer.variable("first", {3, 3, 5, 19});
  const int second = writer.variable("second", {3, 3, 19, 6});
  const int middle = writer.buffer(BufferKind::temporary, {"N", "9", "7", "19"});
  conv(writer, "conv2d", image, first, middle, 1, 1, 1);
  const int result = writer.output("result", {"N", "9", "7", "6"});
  conv(writer, "conv2d", middle, second, result, 1, 1, 1);
  return writer;
}

// The same plan with `threads` shares on `cores` threads.
std::vector<float> results(int threads, int cores) {
  PlanWriter writer = two_convolutions();
  Options options = toy_options(threads);
  options.cores = cores;
  Executable executable(writer.plan(), options);
  for (size_t i = 0; i < writer.plan().variables.size(); ++i) {
    const size_t bytes = executable.variable_bytes(i);
    const std::vector<float> values =
        random_floats(bytes / sizeof(float), static_cast<uint32_t>(i));
    executable.set_variable(i, values.data(), bytes);
  }
  const Shape shape = {11, 9, 7, 5};
  const std::vector<float> image = random_floats(11 * 9 * 7 * 5, 7);
  const ShapeView view{shape.data(), shape.size()};
  std::vector<float> output(11 * 9 * 7 * 6);
  const void* input = image.data();
  void* target = output.data();
  Executor executor(executable);
  BoundProgram& bound = executor.bind(0, &view, 1);
  const Binding& binding = binding_of(bound);
  CHECK(binding.threads == threads || threads > 1);
  for (int run = 0; run < 3; ++run) executor.run(0, bound, {&input, &target});
  return output;
}

void bits_do_not_depend_on_who_does_a_share() {
  const std::vector<float> expected = results(1, 1);
  for (int threads : {2, 3, 5, 16}) {
    for (int cores : {1, 2, 3, 16}) CHECK(results(threads, cores) == expected);
  }
}

}  // namespace

int main() {
  return run_tests(
      {{"cores are shared", shares_cores},
       {"cores are given back", gives_cores_back},
       {"all threads stay where they are faster", keeps_all_threads_where_they_are_faster},
       {"one thread where the cores are taken", takes_one_thread_where_the_cores_are_taken},
       {"waiting is noticed without a calm run", notices_waiting_without_a_calm_run},
       {"one slow run changes little", one_slow_run_changes_little},
       {"bits do not depend on who does a share", bits_do_not_depend_on_who_does_a_share}});
}
