#include "core/profile.h"

#include <algorithm>
#include <cstdio>

namespace nnrt {
namespace {

constexpr double kGiga = 1e9;

}  // namespace

PhaseTimer::PhaseTimer(std::string name, int debug)
    : name_(std::move(name)), enabled_(debug >= 1), start_(std::chrono::steady_clock::now()) {}

PhaseTimer::~PhaseTimer() {
  if (!enabled_) return;
  const std::chrono::duration<double, std::milli> passed =
      std::chrono::steady_clock::now() - start_;
  std::fprintf(stderr, "nnrt: %-40s %10.3f ms\n", name_.c_str(), passed.count());
}

void print_profile(const std::string& title, BoundProgram& bound, const Backend& backend) {
  const ProgramReport report = bound.report();
  if (report.timed_runs == 0) return;
  static const double core_peak = backend.peak_flops();
  const double peak = core_peak * report.threads;
  double total = 0;
  for (const StepReport& step : report.steps) total += step.seconds;
  std::fprintf(stderr,
               "nnrt: %s: %lld runs of %.3f ms, %d threads, arena %.2f MB (lower bound %.2f MB)\n",
               title.c_str(), static_cast<long long>(report.timed_runs), total * 1e3,
               report.threads, static_cast<double>(report.arena_bytes) / 1e6,
               static_cast<double>(report.lower_bound_bytes) / 1e6);
  for (const StepReport& step : report.steps) {
    const double seconds = std::max(step.seconds, 1e-12);
    std::fprintf(stderr,
                 "nnrt:   %-36s %-30s %-20s %-24s %9.3f ms %8.1f GFLOP/s %5.1f %% "
                 "of peak %7.1f GB/s  %s\n",
                 step.path.c_str(), step.kernel.c_str(), step.algorithm.c_str(), step.shape.c_str(),
                 step.seconds * 1e3, step.flops / seconds / kGiga,
                 peak > 0 ? step.flops / seconds / peak * 100 : 0, step.bytes / seconds / kGiga,
                 step.note.c_str());
  }
  bound.reset_times();
}

}  // namespace nnrt
