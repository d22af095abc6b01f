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

#include "cpu/conv.h"
#include "cpu/families.h"
#include "cpu/finish.h"
#include "cpu/matmul.h"
#include "cpu/norm.h"
#include "cpu/pool.h"
#include "cpu/reduce.h"
#include "cpu/scalar.h"
#include "cpu/softmax.h"
#include "cpu/tile_table.h"
#include "cpu/winograd.h"
#include "cpu/winograd_folded.h"
#include "cpu/winograd_strided.h"
#include "nnrt/kernel.h"
#include "nnrt/philox.h"
