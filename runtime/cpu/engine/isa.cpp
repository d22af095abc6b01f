// CPU detection. The compiler's builtin asks CPUID and also whether the operating system saves the
// wide registers.
#include "cpu/engine/isa.h"

#include <array>

#include "nnrt/types.h"

namespace nnrt {
namespace {

constexpr std::array<Isa, 5> kAll = {Isa::reference, Isa::generic, Isa::avx2, Isa::avx512,
                                     Isa::neon};

// Whether the processor has the set and this build (NNC_ISAS of CMakeLists.txt) has its kernels.
bool has_avx2() {
#if defined(__x86_64__) && defined(NNC_WITH_AVX2)
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
  return false;
#endif
}

bool has_avx512() {
#if defined(__x86_64__) && defined(NNC_WITH_AVX512)
  return __builtin_cpu_supports("fma") && __builtin_cpu_supports("avx512f") &&
         __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vl");
#else
  return false;
#endif
}

}  // namespace

const char* name_of(Isa isa) {
  switch (isa) {
    case Isa::reference:
      return "reference";
    case Isa::generic:
      return "generic";
    case Isa::avx2:
      return "avx2";
    case Isa::avx512:
      return "avx512";
    case Isa::neon:
      return "neon";
  }
  return "?";
}

bool is_available(Isa isa) {
  switch (isa) {
    case Isa::reference:
    case Isa::generic:
      return true;
    case Isa::avx2:
      return has_avx2();
    case Isa::avx512:
      return has_avx512();
    case Isa::neon:
#if defined(__aarch64__) && defined(NNC_WITH_NEON)
      return true;
#else
      return false;
#endif
  }
  return false;
}

Isa best_isa() {
  for (Isa isa : {Isa::avx512, Isa::avx2, Isa::neon}) {
    if (is_available(isa)) return isa;
  }
  return Isa::generic;
}

Isa isa_from(const std::string& name) {
  std::string known;
  for (Isa isa : kAll) {
    if (name == name_of(isa)) {
      NNC_CHECK(is_available(isa), "NNC_ISA=" + name + ": this CPU or this build has no " + name +
                                       " (the best here is " + name_of(best_isa()) + ")");
      return isa;
    }
    known += std::string(known.empty() ? "" : ", ") + name_of(isa);
  }
  throw Error("NNC_ISA=" + name + ": unknown instruction set; choose one of " + known);
}

std::vector<std::string> cpu_features() {
  std::vector<std::string> found;
#if defined(__x86_64__)
  // The builtin takes literals only, hence a list and not a table.
  if (__builtin_cpu_supports("sse4.2")) found.emplace_back("sse4.2");
  if (__builtin_cpu_supports("avx")) found.emplace_back("avx");
  if (__builtin_cpu_supports("avx2")) found.emplace_back("avx2");
  if (__builtin_cpu_supports("fma")) found.emplace_back("fma");
  if (__builtin_cpu_supports("avx512f")) found.emplace_back("avx512f");
  if (__builtin_cpu_supports("avx512bw")) found.emplace_back("avx512bw");
  if (__builtin_cpu_supports("avx512dq")) found.emplace_back("avx512dq");
  if (__builtin_cpu_supports("avx512vl")) found.emplace_back("avx512vl");
  if (__builtin_cpu_supports("avx512vnni")) found.emplace_back("avx512vnni");
  if (__builtin_cpu_supports("avx512bf16")) found.emplace_back("avx512bf16");
#elif defined(__aarch64__)
  found.emplace_back("neon");
#endif
  return found;
}

}  // namespace nnrt
