// Matrix products: what bind prepares for the vector algorithm, and each instruction set's table of
// it.
#pragma once

#include "cpu/gemm/gemm.h"
#include "cpu/kernel.h"

namespace nnrt {

// C = op(A) op(B) for each batch. All tables are made at bind and live as long as the binding.
struct MatmulArguments {
  int64_t rows = 0, columns = 0, depth = 0, batches = 0;
  int a_operand = 0, b_operand = 1;    // which operand of the call is A here
  const int64_t* a_batches = nullptr;  // offset of each batch in A
  const int64_t* b_batches = nullptr;  // in B
  const int64_t* p_batches = nullptr;  // in the packed copy of B
  int64_t a_row = 0, a_step = 0;       // A's strides: element (m, k) is a[m * a_row + k * a_step]
  int64_t b_row = 0, b_column = 0;     // B's: element (k, n) is b[k * b_row + n * b_column]

  // Blocks of the result: one unit each.
  int64_t row_block = 0, strip_block = 0;  // rows, and strips
  int64_t row_blocks = 0, strip_blocks = 0;
  int64_t depth_block = 0;  // of one pass
  int64_t splits = 1,
          split_depth = 0;  // parts of the depth that are summed apart, and added in order
  const GemmPanel* strips = nullptr;
  int64_t strip_count = 0;
  const int64_t* a_rows = nullptr;   // row_block entries
  const int64_t* a_steps = nullptr;  // depth_block entries
  const int64_t* c_rows = nullptr;   // row_block entries
  bool exchanged = false;            // C's rows are what is called columns here
  bool panels = false;               // A is copied into panels in the scratch
  // The result lies in the scratch, a unit's block of it at a time, for the epilogue alone.
  bool held = false;
  int64_t c_row = 0;  // floats from row to row of C, or of the block that is held

  // Packing: of strips [pack_begin, strip_count) of each different B; by the unit itself, pass by
  // pass into its scratch, where only one unit uses them.
  bool pack_in_unit = false;
  int64_t pack_begin = 0, pack_batches = 0, pack_depth_blocks = 0;
  int64_t packed_floats = 0;              // of one B
  const int64_t* pack_sources = nullptr;  // offset in B of each B to pack

  // Where things lie.
  int64_t partial_offset = 0;  // bytes into the workspace: splits x result
  int64_t panel_offset = 0;    // bytes into the scratch, behind the tile's
  int64_t pack_offset = 0;     // and behind the copy of A
  int64_t held_offset = 0;     // and the block that is held

  // Dot products: `streamed` has many rows, `kept` few, both with the depth contiguous.
  int64_t dot_rows = 0, dot_kept = 0, dot_block = 0;
  int64_t dot_row_stride = 0, dot_kept_stride = 0;  // between rows of each operand
  int64_t dot_out_row = 0, dot_out_kept = 0;        // in C
  bool dot_streams_a = false;

  int64_t stream_columns = 0;  // of a unit, where a few rows meet a large B
};

// Loads of an epilogue whose result may be held.
inline constexpr int kMostHeldLoads = 16;

struct MatmulTable {
  using Run = void (*)(const Call&, int64_t begin, int64_t end);
  int64_t panel;  // columns of a full strip
  int64_t lanes;
  Run pack, multiply, combine, whole, dot, stream;
};

}  // namespace nnrt
