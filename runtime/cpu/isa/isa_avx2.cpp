// The vector algorithms for AVX2 with fused multiply-add.
#include "cpu/isa/isa_prelude.h"

#if defined(__x86_64__)
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif
#define NNC_ISA avx2
#define NNC_VECTOR_BYTES 32
#include "cpu/isa/isa_algorithms.h"
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
