// The vector algorithms for any CPU: 128-bit vectors of the compiler's base instruction set.
#include "cpu/isa/isa_prelude.h"

#define NNC_ISA generic
#define NNC_VECTOR_BYTES 16
#include "cpu/isa/isa_algorithms.h"
