// Tile programs: fused elementwise expressions, interpreted a few KB at a time on data that is
// still in cache.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "cpu/gemm/register_epilogue.h"
#include "cpu/kernel.h"
#include "nnrt/plan.h"
#include "nnrt/types.h"

namespace nnrt {

// Checks the program (slots, registers, operators, shapes) and prepares it for actual sizes; throws
// Error. `result`: the buffer of the first result of the kernel that the program rides on. `loads`
// and `stores` describe the buffers of program.loads and program.stores. A store
// whose size is not the domain's is taken for the prologue of a reduction: `run_tile` leaves it
// out, only `run_tile_value` gives its value.
std::shared_ptr<const BoundTile> bind_tile(const TileProgram& program, const Shape& domain,
                                           const std::vector<TensorInfo>& loads,
                                           const std::vector<TensorInfo>& stores,
                                           const std::vector<int64_t>& symbols, Isa isa,
                                           int result = -1);

// Bytes of per-thread scratch that run_tile needs (64-byte aligned).
size_t tile_scratch_bytes(const BoundTile& tile);

// Elements of the domain, row-major.
int64_t tile_elements(const BoundTile& tile);

// True when every store covers the domain: what a tile kernel or an epilogue needs.
bool tile_stores_cover(const BoundTile& tile);

// The domain as bound.
const Shape& tile_domain(const BoundTile& tile);

// The program as an epilogue in registers; null if it cannot run there.
const RegisterEpilogue* tile_epilogue(const BoundTile* tile);

// Slots of the loads of f32 that have the domain's shape.
const std::vector<int>& tile_advancing(const BoundTile& tile);

int tile_load_count(const BoundTile& tile);

// The type of its registers.
DType tile_compute_type(const BoundTile& tile);

// Runs elements [begin, end) of the domain: reads call.tile_loads, writes call.tile_stores. A store
// may lie in the same memory as a load of the same shape.
void run_tile(const BoundTile& tile, const Call& call, void* scratch, int64_t begin, int64_t end);

// The value of store slot 0 for elements [begin, end), as compute type, into `out`; nothing else is
// stored.
void run_tile_value(const BoundTile& tile, const Call& call, void* scratch, int64_t begin,
                    int64_t end, void* out);

// For kernels that carry an epilogue: the tile must cover `elements` elements (the first result);
// throws Error.
void check_epilogue(const BindRequest& request, int64_t elements);

// BoundKernel::column_lanes of a kernel that stores all it makes through a VectorEpilogue
// (cpu/gemm/vector/register_epilogue.h) where the epilogue is none or a RegisterEpilogue.
int64_t column_lanes_of(const BindRequest& request, int64_t lanes);

// A phase that runs call.tile over its whole domain, for kernels that do not apply it while their
// result is in cache. Its scratch is call.scratch (tile_scratch_bytes).
Phase tile_phase(const BoundTile& tile);

}  // namespace nnrt
