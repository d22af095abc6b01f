// Every vector algorithm, and the table of them. Included once by each isa_*.cpp, after its target
// pragma.
#pragma once

#include "cpu/vector.h"
#include "cpu/vector_math.h"
#if __has_include("cpu/vector/tile.h")
#include "cpu/vector/tile.h"
#endif
#if __has_include("cpu/vector/matmul.h")
#include "cpu/vector/matmul.h"
#define NNC_MATMUL &matmul_table
#else
#define NNC_MATMUL nullptr
#endif
#if __has_include("cpu/vector/conv.h")
#include "cpu/vector/conv.h"
#define NNC_CONV &conv_table
#else
#define NNC_CONV nullptr
#endif

namespace nnrt::NNC_ISA {

extern const Families families;
const Families families = {&tile_table, nullptr, nullptr, nullptr, nullptr, NNC_MATMUL, NNC_CONV};

}  // namespace nnrt::NNC_ISA
