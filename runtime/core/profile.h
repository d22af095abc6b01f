// Where the time goes: NNC_DEBUG=1 prints phases, 2 also one line a step. To stderr.
#pragma once

#include <chrono>
#include <string>

#include "nnrt/backend.h"

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

// Prints the mean times since the last report, if there are any, and starts anew.
void print_profile(const std::string& title, BoundProgram& bound, const Backend& backend);

}  // namespace nnrt
