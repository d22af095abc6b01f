// The only place of the runtime that reads the environment.
#include "nnrt/options.h"

#include <sched.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "nnrt/memory.h"
#include "nnrt/types.h"

namespace nnrt {
namespace {

constexpr int kMaxThreads = 1024;

int number_in(const char* name, const char* text, int low, int high) {
  int value = 0;
  const char* end = text + std::strlen(text);
  auto [stopped, status] = std::from_chars(text, end, value);
  NNC_CHECK(status == std::errc() && stopped == end && value >= low && value <= high,
            std::string(name) + "=" + text + ": expected a whole number from " +
                std::to_string(low) + " to " + std::to_string(high));
  return value;
}

int affinity_count() {
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) return std::max(1, CPU_COUNT(&set));
#endif
  return 1;
}

// Whole processors that the cgroup grants (rounded up), or 0 for no limit.
int quota_count() {
  double quota = -1;
  double period = 0;
  if (std::ifstream v2("/sys/fs/cgroup/cpu.max"); v2) {
    std::string first;
    v2 >> first >> period;
    if (first.empty() || first == "max") return 0;
    quota = std::strtod(first.c_str(), nullptr);
  } else {
    std::ifstream("/sys/fs/cgroup/cpu/cpu.cfs_quota_us") >> quota;
    std::ifstream("/sys/fs/cgroup/cpu/cpu.cfs_period_us") >> period;
  }
  if (quota <= 0 || period <= 0) return 0;
  return std::max(1, static_cast<int>(std::ceil(quota / period)));
}

int default_threads() {
  const int quota = quota_count();
  const int affinity = affinity_count();
  return std::min(kMaxThreads, quota > 0 ? std::min(affinity, quota) : affinity);
}

// Every fusion but those that the text names, as in "-chains,-sums".
Fusions fusions_in(const std::string& text) {
  Fusions fusions;
  const std::pair<const char*, bool*> known[] = {{"chains", &fusions.chains},
                                                 {"sums", &fusions.sums},
                                                 {"columns", &fusions.columns},
                                                 {"held", &fusions.held},
                                                 {"in_place", &fusions.in_place}};
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find(',', at), text.size());
    const std::string item = text.substr(at, end - at);
    const auto* const found =
        std::find_if(std::begin(known), std::end(known),
                     [&](const auto& fusion) { return item == std::string("-") + fusion.first; });
    NNC_CHECK(found != std::end(known),
              "NNC_FUSE=" + text +
                  ": expected -chains, -sums, -columns, -held or -in_place, or several of them "
                  "with commas between");
    *found->second = false;
    at = end + 1;
  }
  return fusions;
}

const char* variable(const char* name) {
  const char* text = std::getenv(name);
  return text != nullptr && *text != '\0' ? text : nullptr;
}

}  // namespace

Options options_from_environment() {
  Options options;
  const char* threads = variable("NNC_THREADS");
  options.threads = threads ? number_in("NNC_THREADS", threads, 1, kMaxThreads) : default_threads();
  options.cores = default_threads();
  if (const char* device = variable("NNC_DEVICE")) options.device = device;
  if (const char* isa = variable("NNC_ISA")) options.isa = isa;
  if (const char* debug = variable("NNC_DEBUG"))
    options.debug = number_in("NNC_DEBUG", debug, 0, 4);
  if (const char* verify = variable("NNC_VERIFY"))
    options.verify = number_in("NNC_VERIFY", verify, 0, 3) > 0;
  if (const char* fuse = variable("NNC_FUSE")) options.fusions = fusions_in(fuse);
  return options;
}

bool guarded() {
  static const bool yes = [] {
    const char* text = variable("NNC_GUARD");
    return text != nullptr && number_in("NNC_GUARD", text, 0, 1) == 1;
  }();
  return yes;
}

}  // namespace nnrt
