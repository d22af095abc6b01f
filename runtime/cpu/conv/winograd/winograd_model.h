// What convolutions cost, and the cut of Winograd's algorithm that costs least.
#pragma once

#include "cpu/conv/conv_bind.h"
#include "cpu/conv/winograd/winograd.h"

namespace nnrt {

WinogradTiles winograd_tiles(const ConvShape& shape, ConvDirection direction);

// Tiles over the same result of so many rows and columns of pixels.
void set_size(WinogradTiles& tiles, int64_t size);

struct WinogradChoice {
  WinogradCut cut;
  double nanoseconds = 0;
};
// `prepared`: the transformed weights are kept from run to run. More threads than kFewThreads are
// given more units, of the same sums.
WinogradChoice best_cut(WinogradTiles tiles, Isa isa, bool prepared, int threads);

// The same for a stride of 2, where `prepared` decides nothing but the cost.
WinogradChoice best_strided_cut(const WinogradTiles& tiles, bool backward, Isa isa, bool prepared,
                                int threads);

// `nanoseconds`: of the cut that takes least time by few threads.
struct WinogradWeightChoice {
  WinogradWeightCut cut;
  double nanoseconds = 0;
};
WinogradWeightChoice best_weight_cut(const WinogradTiles& tiles, Isa isa, int threads);

}  // namespace nnrt
