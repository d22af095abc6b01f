// One instruction set's vector functions, a table for each family of kernels. Each table type is
// defined by its family (cpu/<family>.h) and filled by cpu/vector/<family>.h inside the namespace
// of the instruction set.
#pragma once

#include "cpu/kernel.h"

namespace nnrt {

struct TileTable;
struct ReduceTable;
struct PoolTable;
struct NormTable;
struct SoftmaxTable;
struct MatmulTable;
struct ConvTable;
struct WinogradTable;

struct KernelTables {
  const TileTable* tile;
  const ReduceTable* reduce;
  const PoolTable* pool;
  const NormTable* norm;
  const SoftmaxTable* softmax;
  const MatmulTable* matmul;
  const ConvTable* conv;
  const WinogradTable* winograd;
  double (*multiply_adds)(int64_t rounds);  // gives the operations done
};

// The functions of an instruction set that was compiled in; throws Error otherwise. `reference` has
// generic's.
const KernelTables& kernel_tables_of(Isa isa);

// The vector kernels that compute in an element type; null where the reference loops do.
const KernelTables* vector_kernels(Isa isa, DType type);

// The instance of a reference loop for a float type: `loop` is a lambda over that type.
template <class Loop>
auto reference_loop(DType type, Loop loop) {
  return type == DType::f64 ? loop.template operator()<double>()
                            : loop.template operator()<float>();
}

// What one core's multiply-adds reach with the vectors of an instruction set, in FLOP/s, measured
// in about a millisecond.
double measure_peak(Isa isa);

}  // namespace nnrt
