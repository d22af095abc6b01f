// The runtime's environment variables, read once, in one place:
//   NNC_DEVICE   cpu, cuda, null (binds and plans, runs nothing) or auto
//   NNC_THREADS  number of threads (default: the smaller of the affinity mask and the cgroup quota)
//   NNC_ISA      reference, generic, avx2, avx512 or neon instead of the best this CPU has
//   NNC_DEBUG    1: phases and times; 2: also one line a step
//   NNC_VERIFY   1: every memory plan is checked by the independent overlap checker
//   NNC_GUARD    1: memory ends at pages that fault (nnrt/memory.h)
//   NNC_FUSE     fusions to leave out, as in -chains,-sums, so that a fault can be narrowed down
#pragma once

#include <string>

namespace nnrt {

// The fusions that are made when a program is bound; NNC_FUSE switches each off.
struct Fusions {
  bool chains = true;    // row streaming (cpu/engine/chain.h)
  bool sums = true;      // sums taken by the producer (cpu/engine/fused_reductions.h)
  bool columns = true;   // concat and slice stored by the producer (cpu/engine/columns.h)
  bool held = true;      // a result that only its own epilogue reads is not materialized
  bool in_place = true;  // a result takes the memory of an operand
};

struct Options {
  std::string device = "cpu";  // as in make_backend (nnrt/backend.h)
  int threads = 1;             // parts that the work is divided into
  int cores = 1024;            // at most this many run at once
  std::string isa;             // the instruction set of the CPU's kernels; empty: the best there is
  int debug = 0;
  bool verify = false;
  Fusions fusions;
};

// Throws Error when a variable holds a value that is not allowed.
Options options_from_environment();

}  // namespace nnrt
