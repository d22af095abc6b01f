// Which instruction sets are compiled in.
#include "cpu/kernel_tables.h"

#include <algorithm>
#include <chrono>

namespace nnrt {

namespace generic {
extern const KernelTables kernel_tables;
}
#if defined(__x86_64__) && defined(NNC_WITH_AVX2)
namespace avx2 {
extern const KernelTables kernel_tables;
}
#endif
#if defined(__x86_64__) && defined(NNC_WITH_AVX512)
namespace avx512 {
extern const KernelTables kernel_tables;
}
#endif
#if defined(__aarch64__) && defined(NNC_WITH_NEON)
namespace neon {
extern const KernelTables kernel_tables;
}
#endif

const KernelTables& kernel_tables_of(Isa isa) {
  switch (isa) {
    case Isa::reference:
    case Isa::generic:
      return generic::kernel_tables;
#if defined(__x86_64__) && defined(NNC_WITH_AVX2)
    case Isa::avx2:
      return avx2::kernel_tables;
#endif
#if defined(__x86_64__) && defined(NNC_WITH_AVX512)
    case Isa::avx512:
      return avx512::kernel_tables;
#endif
#if defined(__aarch64__) && defined(NNC_WITH_NEON)
    case Isa::neon:
      return neon::kernel_tables;
#endif
    default:
      break;
  }
  throw Error(std::string("the instruction set ") + name_of(isa) + " is not compiled in");
}

const KernelTables* vector_kernels(Isa isa, DType type) {
  return isa == Isa::reference || type != DType::f32 ? nullptr : &kernel_tables_of(isa);
}

double measure_peak(Isa isa) {
  using Clock = std::chrono::steady_clock;
  constexpr int64_t kRounds = 20000;
  double best = 0;
  for (int attempt = 0; attempt < 8; ++attempt) {
    const Clock::time_point start = Clock::now();
    const double flops = kernel_tables_of(isa).multiply_adds(kRounds);
    const std::chrono::duration<double> passed = Clock::now() - start;
    best = std::max(best, flops / std::max(passed.count(), 1e-9));
  }
  return best;
}

}  // namespace nnrt
