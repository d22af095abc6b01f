// Where the time goes: NNC_DEBUG=1 prints phases, 2 also one line a step. To stderr.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "core/binding.h"

namespace nnrt {

// Prints the name and how long it lived, at debug level 1 and above.
class PhaseTimer {
 public:
  PhaseTimer(std::string name, int debug);
  ~PhaseTimer();
  PhaseTimer(const PhaseTimer&) = delete;
  PhaseTimer& operator=(const PhaseTimer&) = delete;

 private:
  std::string name_;
  bool enabled_;
  std::chrono::steady_clock::time_point start_;
};

// One step of a bound program, for people and for `nnc doctor`.
struct StepReport {
  std::string path;
  std::string source;
  std::string kernel;
  std::string algorithm;
  std::string shape;  // of the first result
  double flops = 0;
  double bytes = 0;
  double seconds = 0;  // mean over the timed runs; 0 where none was timed
  std::string note;
};
std::vector<StepReport> report_steps(const Program& program, const Binding& binding);
// Forgets the times.
void reset_times(Binding& binding);

// Prints the mean times since the last report, if there are any, and starts anew.
void print_profile(const std::string& title, const Program& program, Binding& binding, Isa isa);

}  // namespace nnrt
