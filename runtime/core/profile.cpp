#include "core/profile.h"

#include <algorithm>
#include <cstdio>

#include "cpu/kernel_tables.h"

namespace nnrt {
namespace {

constexpr double kGiga = 1e9;

std::string algorithm_of(const BoundStep& step) {
  return step.kernel.algorithm != nullptr ? step.kernel.algorithm : "";
}

}  // namespace

PhaseTimer::PhaseTimer(std::string name, int debug)
    : name_(std::move(name)), enabled_(debug >= 1), start_(std::chrono::steady_clock::now()) {}

PhaseTimer::~PhaseTimer() {
  if (!enabled_) return;
  const std::chrono::duration<double, std::milli> passed =
      std::chrono::steady_clock::now() - start_;
  std::fprintf(stderr, "nnrt: %-40s %10.3f ms\n", name_.c_str(), passed.count());
}

std::vector<StepReport> report_steps(const Program& program, const Binding& binding) {
  std::vector<StepReport> reports;
  const double runs = static_cast<double>(std::max<int64_t>(1, binding.timed_runs));
  for (size_t i = 0; i < binding.main.steps.size(); ++i) {
    const BoundStep& step = binding.main.steps[i];
    const StepSpec& spec = program.steps[step.index];
    const int first = !spec.results.empty() ? spec.results.front() : spec.tile->stores.front();
    reports.push_back({spec.path, spec.source, spec.kernel, algorithm_of(step),
                       text_of(binding.buffers[static_cast<size_t>(first)]), step.flops, step.bytes,
                       binding.step_seconds[i] / runs, step.kernel.note});
  }
  return reports;
}

void reset_times(Binding& binding) {
  std::fill(binding.step_seconds.begin(), binding.step_seconds.end(), 0.0);
  binding.timed_runs = 0;
}

void print_profile(const std::string& title, const Program& program, Binding& binding, Isa isa) {
  if (binding.timed_runs == 0) return;
  static const double core_peak = measure_peak(isa);
  const double peak = core_peak * binding.threads;
  double total = 0;
  for (double seconds : binding.step_seconds) total += seconds;
  const double runs = static_cast<double>(binding.timed_runs);
  std::fprintf(stderr,
               "nnrt: %s: %lld runs of %.3f ms, %d threads, arena %.2f MB (lower bound %.2f MB)\n",
               title.c_str(), static_cast<long long>(binding.timed_runs), total / runs * 1e3,
               binding.threads, static_cast<double>(binding.arena_bytes) / 1e6,
               static_cast<double>(binding.lower_bound) / 1e6);
  for (const StepReport& step : report_steps(program, binding)) {
    const double seconds = std::max(step.seconds, 1e-12);
    std::fprintf(stderr,
                 "nnrt:   %-36s %-30s %-20s %-24s %9.3f ms %8.1f GFLOP/s %5.1f %% "
                 "of peak %7.1f GB/s  %s\n",
                 step.path.c_str(), step.kernel.c_str(), step.algorithm.c_str(), step.shape.c_str(),
                 step.seconds * 1e3, step.flops / seconds / kGiga,
                 step.flops / seconds / peak * 100, step.bytes / seconds / kGiga,
                 step.note.c_str());
  }
  reset_times(binding);
}

}  // namespace nnrt
