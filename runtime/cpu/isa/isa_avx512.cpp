// The vector algorithms for AVX-512 (F, BW, DQ, VL).
#include "cpu/isa/isa_prelude.h"

#if defined(__x86_64__)
#if defined(__clang__)
#pragma clang attribute push( \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma,avx2"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,fma,avx2")
#endif
#define NNC_ISA avx512
#define NNC_VECTOR_BYTES 64
#include "cpu/isa/isa_algorithms.h"
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
