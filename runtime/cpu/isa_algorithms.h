// Every vector algorithm, and the table of them. Included once by each isa_*.cpp, after its target
// pragma.
#pragma once

#include "cpu/isa_prelude.h"
#include "cpu/vector.h"
#include "cpu/vector/conv.h"
#include "cpu/vector/matmul.h"
#include "cpu/vector/norm.h"
#include "cpu/vector/peak.h"
#include "cpu/vector/pool.h"
#include "cpu/vector/reduce.h"
#include "cpu/vector/softmax.h"
#include "cpu/vector/tile.h"
#include "cpu/vector/winograd_table.h"
#include "cpu/vector_math.h"

namespace nnrt::NNC_ISA {

extern const Families families;
const Families families = {&tile_table, &reduce_table,   &pool_table,
                           &norm_table, &softmax_table,  &matmul_table,
                           &conv_table, &winograd_table, &multiply_adds};

}  // namespace nnrt::NNC_ISA
