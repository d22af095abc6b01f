// The vector algorithms for 64-bit ARM, whose base has NEON.
#include "cpu/isa/isa_prelude.h"

#if defined(__aarch64__)
#define NNC_ISA neon
#define NNC_VECTOR_BYTES 16
#include "cpu/isa/isa_algorithms.h"
#endif
