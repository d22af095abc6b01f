// The matrix product as one reads it in a book. Unit: one row of the result.
#pragma once

#include "cpu/gemm/matmul.h"
#include "cpu/tile/tile.h"

namespace nnrt::reference {

template <class T>
void matmul(const Call& call, int64_t begin, int64_t end) {
  const auto& m = *static_cast<const MatmulArguments*>(call.arguments);
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t batch = unit / m.rows;
    const int64_t row = unit % m.rows;
    const T* a =
        static_cast<const T*>(call.operands[m.a_operand]) + m.a_batches[batch] + row * m.a_row;
    const T* b = static_cast<const T*>(call.operands[m.b_operand]) + m.b_batches[batch];
    T* c = static_cast<T*>(call.results[0]) + unit * m.columns;
    for (int64_t n = 0; n < m.columns; ++n) {
      T sum = 0;
      for (int64_t k = 0; k < m.depth; ++k)
        sum += a[k * m.a_step] * b[k * m.b_row + n * m.b_column];
      c[n] = sum;
    }
    if (call.tile != nullptr) {
      run_tile(*call.tile, call, call.scratch, unit * m.columns, (unit + 1) * m.columns);
    }
  }
}

}  // namespace nnrt::reference
