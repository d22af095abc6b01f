// The table of Winograd's kernels.
#pragma once

#include "cpu/conv/winograd/vector/winograd.h"
#include "cpu/conv/winograd/vector/winograd_folded.h"
#include "cpu/conv/winograd/vector/winograd_strided.h"
#include "cpu/conv/winograd/vector/winograd_weight.h"

namespace nnrt::NNC_ISA {

inline constexpr WinogradTable winograd_table = {kPanel,
                                                 kLanes,
                                                 &winograd_weights,
                                                 &winograd_multiply,
                                                 &winograd_weight<StrideOne>,
                                                 &winograd_weight_combine,
                                                 &strided_weights,
                                                 &strided_multiply,
                                                 &winograd_weight<StrideTwo>,
                                                 &folded_weights,
                                                 &folded_multiply,
                                                 &folded_weight,
                                                 &folded_weight_combine,
                                                 &folded_rows};

}  // namespace nnrt::NNC_ISA
