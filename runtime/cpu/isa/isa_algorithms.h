// Every vector algorithm, and the table of them. Included once by each isa_*.cpp, after its target
// pragma.
#pragma once

#include "cpu/conv/vector/conv.h"
#include "cpu/conv/winograd/vector/winograd_table.h"
#include "cpu/gemm/vector/matmul.h"
#include "cpu/isa/isa_prelude.h"
#include "cpu/isa/peak.h"
#include "cpu/isa/vector.h"
#include "cpu/isa/vector_math.h"
#include "cpu/norm/vector/norm.h"
#include "cpu/pool/vector/pool.h"
#include "cpu/reduce/vector/reduce.h"
#include "cpu/softmax/vector/softmax.h"
#include "cpu/tile/vector/tile.h"

namespace nnrt::NNC_ISA {

extern const KernelTables kernel_tables;
const KernelTables kernel_tables = {&tile_table, &reduce_table,   &pool_table,
                                    &norm_table, &softmax_table,  &matmul_table,
                                    &conv_table, &winograd_table, &multiply_adds};

}  // namespace nnrt::NNC_ISA
