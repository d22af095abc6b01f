// The runtime's environment variables, read once, in one place:
//   NNC_THREADS  number of threads (default: the smaller of the affinity mask and the cgroup quota)
//   NNC_ISA      reference, generic, avx2, avx512 or neon instead of the best this CPU has
//   NNC_DEBUG    1: phases and times; 2: also one line a step
//   NNC_VERIFY   1: every memory plan is checked by the independent overlap checker
//   NNC_GUARD    1: memory ends at pages that fault (core/layout.h)
#pragma once

#include <string>

#include "nnrt/kernel.h"

namespace nnrt {

struct Options {
  int threads = 1;   // parts that the work is cut into
  int cores = 1024;  // at most this many run at once
  Isa isa = Isa::reference;
  int debug = 0;
  bool verify = false;
};

// Throws Error when a variable holds a value that is not allowed.
Options options_from_environment();

}  // namespace nnrt
