// Everything that the vector algorithms use and that is not theirs. An isa_*.cpp includes it before
// its target pragma, so that no shared inline function is ever built for a wider instruction set
// than the base.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>
#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

#include "cpu/column_store.h"
#include "cpu/conv/conv.h"
#include "cpu/conv/winograd/winograd.h"
#include "cpu/conv/winograd/winograd_folded.h"
#include "cpu/conv/winograd/winograd_strided.h"
#include "cpu/fused_reduction.h"
#include "cpu/gemm/matmul.h"
#include "cpu/gemm/register_epilogue.h"
#include "cpu/kernel.h"
#include "cpu/kernel_tables.h"
#include "cpu/norm/norm.h"
#include "cpu/pool/pool.h"
#include "cpu/reduce/reduce.h"
#include "cpu/row_streaming.h"
#include "cpu/scalar.h"
#include "cpu/softmax/softmax.h"
#include "cpu/tile/tile_table.h"
#include "nnrt/philox.h"
