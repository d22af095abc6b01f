// The kernel "tile": a tile program on its own; and what carries a tile program along.
#include "cpu/tile/tile.h"

#include <algorithm>

#include "cpu/bind.h"
#include "cpu/tile/tile_bound.h"

namespace nnrt {
namespace {

void run_units(const Call& call, int64_t begin, int64_t end) {
  const BoundTile& tile = *call.tile;
  run_tile(tile, call, call.scratch, begin * tile.unit, std::min(end * tile.unit, tile.elements));
}

}  // namespace

Phase tile_phase(const BoundTile& tile) { return {&run_units, ceil_div(tile.elements, tile.unit)}; }

void check_epilogue(const BindRequest& request, int64_t elements) {
  if (!request.tile) return;
  NNC_CHECK(request.tile->stores_cover && request.tile->elements == elements,
            "an epilogue must cover its kernel's first result");
}

void check_prologue(const BindRequest& request, int64_t elements) {
  if (!request.tile) return;
  NNC_CHECK(request.tile->store_count == 1 && request.tile->elements == elements,
            "a prologue has one store and covers its kernel's operand");
}

BoundKernel bind_tile(const BindRequest& request) {
  NNC_CHECK(request.tile != nullptr, "kernel tile needs a tile program");
  NNC_CHECK(request.tile->stores_cover,
            "kernel tile: every result must have the shape of the domain");
  BoundKernel bound;
  bound.phases.push_back(tile_phase(*request.tile));
  bound.scratch_bytes = request.tile_scratch;
  bound.algorithm = "tile";
  bound.flops =
      static_cast<double>(request.tile->elements) * static_cast<double>(request.tile->steps.size());
  bound.bytes = bytes_of(request);
  return bound;
}

}  // namespace nnrt
