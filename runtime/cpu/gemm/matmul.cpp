// Binds matmul: from shapes to blocks, tables and an algorithm. Shapes and the instruction set
// alone decide the order of each sum, so neither threads nor data change the result. The number of
// threads decides only which thread packs B.
#include "cpu/gemm/matmul.h"

#include <algorithm>
#include <string>
#include <vector>

#include "core/kernels/attributes.h"
#include "cpu/gemm/reference/matmul.h"
#include "cpu/kernel_tables.h"
#include "cpu/tile/tile.h"

namespace nnrt {
namespace {

// Rows of a unit: 128 x 256 floats of A are 128 KB and fit into L2 with 64 KB of B (1 MB, Zen 5);
// 22 tiles share a strip. A batch of 128 is one block, so the unit that uses its B packs it.
constexpr int64_t kRowBlock = 128;
// Columns of a unit: C's block is 128 x 512 floats = 256 KB and is still in L2 for the epilogue;
// each copy of A serves 512 columns. Zen 5, matmul 1024: with 256 columns the copies took 6 % of
// the time.
constexpr int64_t kColumnBlock = 512;
// If a tile program follows and B is small (up to 512 KB, so that passing over it every few rows is
// cheap), a unit has whole rows of the result, in blocks of kNearFloats (256 KB), or runs of
// kRowFloats. The program then reads and writes the weights and moments of an optimizer in long
// runs of memory.
constexpr int64_t kNearFloats = 128 * 1024;
constexpr int64_t kHeldFloats = 64 * 1024;
constexpr int64_t kRowFloats = 8192;
// The wanted number of units: 16 threads end at nearly the same time. kUnitFlops is the least work
// of a unit: 2 us of one AVX-512 core. Zen 4, 2 threads: 64 x 64 x 64 takes 5.5 us in one unit and
// 3.3 in two, 128 x 10 x 512 22 and 12.
constexpr int64_t kUnits = 32;
constexpr double kUnitFlops = 2.5e5;
// Below this work, packing and multiplying are one unit: 2 us of one AVX-512 core, about the cost
// of waking a second thread.
constexpr double kWholeFlops = 5e5;
// Reading a row of B takes as long as multiplying this many rows with it.
constexpr int64_t kReadRows = 8;
// Up to this many rows, B is read in place: too few passes over its strips to pay for a packed
// copy.
constexpr int64_t kPlainRows = 32;
// B is also read in place if its rows are whole vectors and at most this many strips long, or for
// fewer than kPlainTall rows with tiles of 64 columns, which read 256 bytes of a row at a time. Zen
// 4, AVX-512: 128 x 128 x 3136 reaches 91 % of the peak in place and 66 % copied (the copy was in
// the caches of both cores when it was written anew), 128 x 512 x 784 95 and 90 %, 128 x 1024 x
// 1024 93 and 88 %, but 2048 x 2048 x 512 80 and 86 %; AVX2: 512 x 256 x 512 87 and 89 %, 128 x 128
// x 3136 87 and 83 %.
constexpr int64_t kPlainStrips = 8;
constexpr int64_t kPlainTall = 256;
// Packed copies of fixed matrices up to this size (32 MB) are kept from run to run.
constexpr int64_t kKeptFloats = 8 * 1024 * 1024;
// Up to this many rows against a transposed B, dot products: no transposition, both operands are
// read along the depth.
constexpr int64_t kDotRows = 8;
// Streamed rows of a unit of dot products: 64 rows of 1024 floats are 256 KB.
constexpr int64_t kDotBlock = 64;
// Blocks have at least 4 tiles of rows: each block passes over all of B's strip.
constexpr int64_t kLeastRows = 4 * kTileRows;
// The cost of packing B, transposed or copied, in rows to multiply: by the unit that uses it, or by
// all threads for each other, which is a phase of its own (in multiply-adds) and goes through
// memory. Tiles of half the width cost a little more. Zen 4, 2 threads, B transposed: 64 x 64 x 64
// takes 6.5 us packed for all and 4.5 alone, 128 x 128 x 128 28 and 24, 128 x 512 x 784 605 and
// 530; B not transposed, AVX2: 128 x 512 x 784 562 and 525, 128 x 10 x 512 15 and 12.
struct PackingRows {
  double own, shared;
};
constexpr PackingRows kTransposing = {7, 14};
constexpr PackingRows kCopying = {4, 9};
constexpr double kSharedPhase = 9e4;
constexpr double kHalfTiles = 1.04;
// With more threads, units do not pack for themselves: 16 cores of an Intel Xeon train an MLP 6 to
// 11 % slower so.
constexpr int64_t kOwnThreads = 4;
// Rows of a unit that packs for itself: its part of A, 512 x 256 floats, is half of L2.
constexpr int64_t kOwnRows = 512;
// A long depth is split into parts of at least kSplitDepth if the result has fewer than kSplitUnits
// units, even with one strip in each.
constexpr int64_t kSplitDepth = 512;
constexpr int64_t kSplitUnits = 16;
// Up to kStreamRows rows against a B beyond L1 and half of L2, B is streamed: a unit reads 2 KB (of
// a large one 8) of each row and keeps its part of C in L1. Parts of the depth are at least
// kStreamDepth, so adding them up is little work.
constexpr int64_t kStreamRows = 4;
constexpr int64_t kStreamFloats = 64 * 1024;
// With tiles of 64 columns, rows of B can be read in place, and only a larger B is streamed. Zen 4:
// 4 x 512 x 784 takes 18 us in tiles and 43 streamed, 2 x 512 x 784 14 and 22; but in tiles of 16
// columns one row takes 19 and 15, and 4 x 3000 x 3000 2.2 and 0.9 ms.
constexpr int64_t kTileFloats = 1536 * 1024;
constexpr int64_t kStreamColumns = 512;
// Long runs are faster from memory: 25088 x 4096 reaches 33 GB/s, and 27 in runs of 512 columns.
// From L3 one run is slower: 1536 x 1536 takes a tenth longer.
constexpr int64_t kFarFloats = 4 * 1024 * 1024;
constexpr int64_t kFarColumns = 2048;
constexpr int64_t kStreamDepth = 64;
// The arguments with the memory of their tables.
struct BoundMatmul : MatmulArguments {
  std::vector<int64_t> batch_offsets;
  std::vector<int64_t> tables;
  std::vector<int64_t> sources;
  std::vector<GemmPanel> strip_list;
};

struct Batches {
  std::vector<int64_t> a, b, p;  // offsets by batch of the result; p counts different Bs
  int64_t different_b = 1;
};

Shape batch_shape(const TensorInfo& info) {
  return Shape(info.shape.begin(), info.shape.end() - 2);
}

// Offsets of a broadcast operand for every batch of the result.
std::vector<int64_t> broadcast_indices(const Shape& from, const Shape& to) {
  NNC_CHECK(from.size() <= to.size(),
            "matmul: an operand has more batch dimensions than the result");
  int64_t total = 1;
  for (int64_t dim : to) total *= dim;
  std::vector<int64_t> result(static_cast<size_t>(total), 0);
  int64_t inner = 1, stride = 1;
  for (size_t i = 0; i < to.size(); ++i) {
    const int64_t dim = to[to.size() - 1 - i];
    const int64_t own = i < from.size() ? from[from.size() - 1 - i] : 1;
    NNC_CHECK(own == dim || own == 1, "matmul: batch dimensions do not fit: " +
                                          std::to_string(own) + " and " + std::to_string(dim));
    if (own == dim) {
      for (int64_t j = 0; j < total; ++j)
        result[static_cast<size_t>(j)] += j / inner % dim * stride;
    }
    inner *= dim;
    stride *= own;
  }
  return result;
}

int64_t product(const Shape& shape) {
  int64_t total = 1;
  for (int64_t dim : shape) total *= dim;
  return total;
}

// Rows, columns, depth, strides and batches from the shapes.
void set_sizes(const BindRequest& request, BoundMatmul& m) {
  NNC_CHECK(request.operands.size() == 2 && request.results.size() == 1,
            "matmul takes two operands and gives one result");
  const TensorInfo& a = request.operands[0];
  const TensorInfo& b = request.operands[1];
  const TensorInfo& c = request.results[0];
  NNC_CHECK(a.rank() >= 2 && b.rank() >= 2 && c.rank() >= 2, "matmul takes matrices");
  const bool transpose_a = integer_attribute(*request.attributes, "transpose_a", 0) != 0;
  const bool transpose_b = integer_attribute(*request.attributes, "transpose_b", 0) != 0;
  const int64_t a_lines = a.shape[a.shape.size() - 2], a_length = a.shape.back();
  const int64_t b_lines = b.shape[b.shape.size() - 2], b_length = b.shape.back();
  m.rows = transpose_a ? a_length : a_lines;
  m.depth = transpose_a ? a_lines : a_length;
  m.columns = transpose_b ? b_lines : b_length;
  NNC_CHECK((transpose_b ? b_length : b_lines) == m.depth,
            "matmul: depths do not fit: " + std::to_string(m.depth) + " and " +
                std::to_string(transpose_b ? b_length : b_lines));
  NNC_CHECK(c.shape[c.shape.size() - 2] == m.rows && c.shape.back() == m.columns,
            "matmul: the result has the wrong shape");
  m.a_row = transpose_a ? 1 : a_length;
  m.a_step = transpose_a ? a_length : 1;
  m.b_row = transpose_b ? 1 : b_length;
  m.b_column = transpose_b ? b_length : 1;

  const Shape batches = batch_shape(c);
  m.batches = product(batches);
  std::vector<int64_t> a_index = broadcast_indices(batch_shape(a), batches);
  std::vector<int64_t> b_index = broadcast_indices(batch_shape(b), batches);
  const int64_t different = product(batch_shape(b));
  if (different == 1 && !transpose_a && product(batch_shape(a)) == m.batches) {
    // One B for all: the batches of A are rows of one tall matrix.
    m.rows *= m.batches;
    m.batches = 1;
    a_index.assign(1, 0);
    b_index.assign(1, 0);
  }
  if (m.rows == 1) {
    m.a_row = m.depth;
    m.a_step = 1;
  }
  if (m.columns == 1) {
    m.b_row = 1;
    m.b_column = m.depth;
  }
  // Offsets of A, of B, of the packed B (filled in later), then the place in B of each packed one.
  for (int64_t& index : a_index) index *= a_lines * a_length;
  m.batch_offsets = a_index;
  m.batch_offsets.insert(m.batch_offsets.end(), b_index.begin(), b_index.end());
  m.batch_offsets.insert(m.batch_offsets.end(), b_index.begin(), b_index.end());
  m.sources.resize(static_cast<size_t>(different));
  for (int64_t i = 0; i < different; ++i)
    m.sources[static_cast<size_t>(i)] = i * b_lines * b_length;
  for (size_t i = b_index.size(); i < 2 * b_index.size(); ++i)
    m.batch_offsets[i] *= b_lines * b_length;
  m.pack_batches = different;
  m.a_batches = m.batch_offsets.data();
  m.b_batches = m.a_batches + m.batches;
  m.p_batches = m.b_batches + m.batches;
  m.pack_sources = m.sources.data();
}

// A column vector times a transposed matrix is a row vector times the matrix: exchange the
// operands.
void exchange_operands(BoundMatmul& m) {
  // The matrix to pack is now A: once for every batch of the result, shared or not.
  m.pack_batches = m.batches;
  m.sources.assign(m.a_batches, m.a_batches + m.batches);
  m.pack_sources = m.sources.data();
  for (int64_t i = 0; i < m.batches; ++i)
    m.batch_offsets[static_cast<size_t>(2 * m.batches + i)] = i;
  m.exchanged = true;
  std::swap(m.a_operand, m.b_operand);
  std::swap(m.rows, m.columns);
  std::swap(m.a_batches, m.b_batches);
  const int64_t a_step = m.a_step;
  m.a_row = m.depth;
  m.a_step = 1;
  m.b_row = a_step;
  m.b_column = 1;
}

// Even parts of the depth.
void cut_depth(BoundMatmul& m) {
  m.split_depth = ceil_div(m.depth, m.splits);
  m.splits = m.split_depth > 0 ? ceil_div(m.depth, m.split_depth) : 1;
}

// A few rows against a large B: B is read once, row by row, never copied.
bool set_stream(const MatmulTable& table, BoundMatmul& m) {
  const int64_t least = table.panel >= 64 ? kTileFloats : kStreamFloats;
  if (m.rows > kStreamRows || m.rows == 0 || m.b_column != 1 || m.depth * m.columns < least)
    return false;
  m.stream_columns =
      even_part(m.columns, m.depth * m.columns > kFarFloats ? kFarColumns : kStreamColumns);
  const int64_t units = m.batches * ceil_div(m.columns, m.stream_columns);
  m.splits = std::max<int64_t>(
      1, std::min(ceil_div(kUnits, std::max<int64_t>(1, units)), m.depth / kStreamDepth));
  cut_depth(m);
  return true;
}

// Whether B depends on variables alone, so that its packed copy is made once. A very large copy
// would take too much memory.
bool keeps_packed(const BindRequest& request, const BoundMatmul& m) {
  return is_fixed(request, static_cast<size_t>(m.b_operand)) &&
         m.pack_batches * m.depth * m.columns <= kKeptFloats;
}

// Whether B is read in place rather than copied into strips.
bool reads_in_place(const MatmulTable& table, bool kept, const BoundMatmul& m) {
  const bool aligned = m.columns % table.lanes == 0;
  if (aligned && m.columns <= table.panel) return true;
  if (kept) return false;
  if (m.rows <= kPlainRows || (aligned && m.columns <= kPlainStrips * table.panel)) return true;
  return aligned && table.panel >= 64 && m.rows <= kPlainTall;
}

// Whether units may pack B for themselves: if it is transposed, or copied for one block of rows.
bool packs_alone(const MatmulTable& table, const BoundMatmul& m) {
  if (m.a_row == 1) return false;
  return m.b_column != 1 || (m.rows <= kOwnRows && !reads_in_place(table, false, m));
}

// How units pack B for themselves, each its own strips.
struct OwnPacking {
  int64_t panel = 0;  // columns of a strip; 0: all pack for all
  int64_t rows = 0;   // of a unit
};

// The cheapest division for this many threads, if it is better than packing for all.
OwnPacking own_packing(const MatmulTable& table, int64_t threads, const BoundMatmul& m) {
  const double all = static_cast<double>(m.batches * m.depth);
  const double columns = static_cast<double>(ceil_div(m.columns, table.lanes) * table.lanes);
  const int64_t packs = m.pack_batches * ceil_div(m.columns, table.panel) *
                        ceil_div(m.depth, even_part(m.depth, kDepthBlock));
  const PackingRows cost = m.b_column == 1 ? kCopying : kTransposing;
  const double packing = static_cast<double>(m.pack_batches * m.depth) * columns * cost.shared;
  double best = all * static_cast<double>(m.rows) * columns / static_cast<double>(threads) +
                packing / static_cast<double>(std::min(threads, packs)) + kSharedPhase;
  OwnPacking found;
  const int64_t narrowest = table.panel >= 64 ? table.panel / 2 : table.panel;
  for (int64_t panel = table.panel; panel >= narrowest; panel /= 2) {
    const int64_t strips = ceil_div(m.columns, panel);
    const double width = static_cast<double>(std::min(panel, round_up(m.columns, table.lanes))) *
                         (panel < table.panel ? kHalfTiles : 1);
    for (int64_t blocks = ceil_div(m.rows, kOwnRows); blocks <= ceil_div(m.rows, kLeastRows);
         ++blocks) {
      const int64_t rows = round_up(ceil_div(m.rows, blocks), kTileRows);
      const int64_t units = m.batches * strips * ceil_div(m.rows, rows);
      const double time = static_cast<double>(ceil_div(units, threads) * m.depth) * width *
                          (static_cast<double>(std::min(rows, m.rows)) + cost.own);
      if (time < best) {
        best = time;
        found = {panel, rows};
      }
    }
  }
  return found;
}

void cut_strips(const MatmulTable& table, bool kept, int64_t panel, BoundMatmul& m) {
  const bool plain = m.b_column == 1 && reads_in_place(table, kept, m);
  int64_t packed_floats = 0;
  int64_t column = 0;
  auto add = [&](int64_t width, bool packed) {
    GemmPanel strip;
    strip.column = column;
    strip.width = width;
    strip.packed = packed;
    strip.stride = packed ? round_up(width, table.lanes) : m.b_row;
    strip.offset = packed ? packed_floats : column;
    if (packed) packed_floats += strip.stride * m.depth;
    m.strip_list.push_back(strip);
    column += width;
  };
  const int64_t even = plain ? m.columns / table.lanes * table.lanes : m.columns;
  const int64_t count = ceil_div(even, panel);
  for (int64_t i = 0; i < count; ++i)
    add(strip_begin(even, table.lanes, count, i + 1) - column, !plain);
  if (column < m.columns) add(m.columns - column, true);
  m.strips = m.strip_list.data();
  m.strip_count = static_cast<int64_t>(m.strip_list.size());
  m.pack_begin = 0;
  while (m.pack_begin < m.strip_count && !m.strips[m.pack_begin].packed) ++m.pack_begin;
  m.packed_floats = packed_floats;
}

// Whether a long depth is split into parts, where the result has few units.
bool splits_depth(int64_t units, double flops, const BoundMatmul& m) {
  return m.depth >= 2 * kSplitDepth && m.depth >= 2 * m.rows && units < kSplitUnits &&
         flops > kUnitFlops;
}

// Enough units: parts of a long depth, which share nothing; else fewer strips or fewer rows in
// each, of the longer block. If a tile program follows, whole rows of the result stay together,
// since it works on them as one run.
void cut_blocks(const MatmulTable& table, bool program, double flops, BoundMatmul& m) {
  m.row_block =
      std::max<int64_t>(1, std::min(m.rows, round_up(even_part(m.rows, kRowBlock), kTileRows)));
  m.strip_block = std::max<int64_t>(1, even_part(m.strip_count, kColumnBlock / table.panel));
  if (program && m.rows > 0 && m.depth * m.columns <= kNearFloats) {
    m.strip_block = std::max<int64_t>(1, even_part(m.strip_count, kRowFloats / table.panel));
    const int64_t rows = kHeldFloats / (m.strip_block * table.panel) / kTileRows * kTileRows;
    m.row_block = std::min(m.row_block, std::max(kTileRows, rows));
  }
  auto units = [&] {
    return ceil_div(m.rows, m.row_block) * ceil_div(m.strip_count, m.strip_block) * m.batches *
           m.splits;
  };
  const int64_t narrowest = ceil_div(m.rows, m.row_block) * m.strip_count * m.batches;
  if (splits_depth(narrowest, flops, m)) {
    m.splits = std::min(ceil_div(kUnits, std::max<int64_t>(1, units())), m.depth / kSplitDepth);
  }
  while (units() < kUnits && flops > kUnitFlops * static_cast<double>(units())) {
    const bool low = m.row_block < 2 * kLeastRows;
    const bool wide = m.strip_block * table.panel > 2 * m.row_block;
    if (m.strip_block > 1 && (program ? low && units() < kUnits / 2 : low || wide)) {
      m.strip_block = even_part(m.strip_count, m.strip_block / 2);
    } else if (!low) {
      m.row_block = even_part(m.rows, m.row_block / 2);
    } else {
      break;
    }
  }
}

// The numbers that follow from the blocks.
void count_blocks(BoundMatmul& m) {
  m.row_blocks = ceil_div(m.rows, m.row_block);
  m.strip_blocks = ceil_div(m.strip_count, m.strip_block);
  cut_depth(m);
  m.depth_block = std::max<int64_t>(1, even_part(m.split_depth, kDepthBlock));
  m.pack_depth_blocks = ceil_div(m.depth, m.depth_block);
}

void fill_tables(const MatmulTable& table, BoundMatmul& m) {
  m.panels = m.a_row == 1 && m.a_step > 1 &&
             panels_pay(table.panel, m.row_block, std::min(m.columns, m.strip_block * table.panel),
                        m.a_step);
  const int64_t row = m.a_row;
  const int64_t step = m.a_step;
  for (int64_t r = 0; r < m.row_block; ++r) m.tables.push_back(r * row);
  for (int64_t r = 0; r < m.row_block; ++r) m.tables.push_back(r * m.c_row);
  for (int64_t k = 0; k < m.depth_block; ++k) m.tables.push_back(k * step);
  m.a_rows = m.tables.data();
  m.c_rows = m.a_rows + m.row_block;
  m.a_steps = m.c_rows + m.row_block;
}

bool set_dot(BoundMatmul& m) {
  if (m.a_step != 1 || m.b_row != 1 || (m.columns != 1 && m.rows > kDotRows)) return false;
  m.dot_streams_a = m.columns == 1;
  m.dot_rows = m.dot_streams_a ? m.rows : m.columns;
  m.dot_kept = m.dot_streams_a ? 1 : m.rows;
  m.dot_row_stride = m.dot_streams_a ? m.a_row : m.b_column;
  m.dot_kept_stride = m.dot_streams_a ? m.b_column : m.a_row;
  m.dot_out_row = 1;
  m.dot_out_kept = m.dot_streams_a ? 1 : m.columns;
  m.dot_block = std::max<int64_t>(1, even_part(m.dot_rows, kDotBlock));
  return true;
}

const char* algorithm_name(const MatmulTable& table, const BoundMatmul& m) {
  if (m.splits > 1) return "matmul split depth";
  if (m.pack_begin == m.strip_count) return "matmul in place";
  return table.panel == 64 ? "matmul 6x64" : table.panel == 16 ? "matmul 6x16" : "matmul 6x8";
}

// The places of the copies of A and B and of the partial sums.
void set_memory(BoundMatmul& m, bool kept, BoundKernel& bound) {
  for (int64_t i = 2 * m.batches; i < 3 * m.batches; ++i)
    m.batch_offsets[static_cast<size_t>(i)] *= m.packed_floats;
  m.panel_offset = static_cast<int64_t>(bound.scratch_bytes);
  if (m.panels) bound.scratch_bytes += line_bytes(panel_floats(m.row_block, m.depth_block) * 4);
  m.pack_offset = static_cast<int64_t>(bound.scratch_bytes);
  if (m.pack_in_unit) {
    int64_t widest = 0;
    for (const GemmPanel& strip : m.strip_list)
      widest = std::max(widest, strip.packed ? strip.stride : 0);
    bound.scratch_bytes += line_bytes(widest * m.depth_block * 4);
  } else {
    (kept ? bound.prepared_bytes : bound.workspace_bytes) =
        line_bytes(m.pack_batches * m.packed_floats * 4);
    bound.layout = "strips";
  }
  m.held_offset = static_cast<int64_t>(bound.scratch_bytes);
  if (m.held)
    bound.scratch_bytes += line_bytes((m.splits > 1 ? kCombineBlock : m.row_block * m.c_row) * 4);
  m.partial_offset = static_cast<int64_t>(bound.workspace_bytes);
}

void bind_vector(const BindRequest& request, BoundMatmul& m, BoundKernel& bound) {
  const MatmulTable& table = *kernel_tables_of(request.isa).matmul;
  bound.scratch_bytes = line_bytes(static_cast<int64_t>(request.tile_scratch));
  if (m.columns == 1 && m.a_step != 1) exchange_operands(m);
  if (set_dot(m)) {
    bound.algorithm = "matmul dot";
    bound.phases = {{table.dot, m.batches * ceil_div(m.dot_rows, m.dot_block)}};
    return;
  }
  const int64_t elements = m.batches * m.rows * m.columns;
  if (set_stream(table, m)) {
    bound.algorithm = "matmul stream";
    bound.phases = {{table.stream, m.batches * m.splits * ceil_div(m.columns, m.stream_columns)}};
  } else {
    const bool kept = keeps_packed(request, m);
    const bool program = request.tile != nullptr && tile_epilogue(request.tile) == nullptr;
    // With fewer rows, reading B takes all the time.
    const double work = bound.flops * static_cast<double>(std::max<int64_t>(
                                          1, kReadRows / std::max<int64_t>(1, m.rows)));
    const bool whole = work <= kWholeFlops;
    OwnPacking own;  // of the same sums: not where the depth may be split
    if (!kept && !program && !whole && request.threads <= kOwnThreads && packs_alone(table, m) &&
        !splits_depth(1, work, m))
      own = own_packing(table, request.threads, m);
    cut_strips(table, kept, own.panel > 0 ? own.panel : table.panel, m);
    if (own.panel > 0) {
      m.row_block = own.rows;
      m.strip_block = 1;
    } else {
      cut_blocks(table, program, work, m);
    }
    count_blocks(m);
    m.pack_in_unit = !kept && (own.panel > 0 || m.row_blocks == 1);
    m.held = request.passing && program && tile_load_count(*request.tile) <= kMostHeldLoads;
    m.c_row =
        m.held && m.splits == 1 ? std::min(m.columns, m.strip_block * table.panel) : m.columns;
    fill_tables(table, m);
    set_memory(m, kept, bound);
    bound.holds_result = m.held;
    bound.algorithm = algorithm_name(table, m);
    const bool in_one = whole && m.splits == 1;
    const int64_t packs = m.pack_batches * (m.strip_count - m.pack_begin) * m.pack_depth_blocks;
    if (packs > 0 && !m.pack_in_unit && (kept || !in_one))
      (kept ? bound.prepare : bound.phases).push_back({table.pack, packs});
    if (in_one) {
      bound.phases.push_back({table.whole, elements > 0 ? 1 : 0});
      return;
    }
    bound.phases.push_back({table.multiply, m.batches * m.row_blocks * m.strip_blocks * m.splits});
  }
  if (m.splits > 1) {
    bound.workspace_bytes += line_bytes(m.splits * elements * 4);
    bound.phases.push_back({table.combine, ceil_div(elements, kCombineBlock)});
  }
}

}  // namespace

BoundKernel bind_matmul(const BindRequest& request) {
  auto m = std::make_shared<BoundMatmul>();
  set_sizes(request, *m);
  check_epilogue(request, request.results[0].elements());
  BoundKernel bound;
  bound.flops =
      2.0 * static_cast<double>(request.results[0].elements()) * static_cast<double>(m->depth);
  bound.bytes = static_cast<double>(request.operands[0].bytes() + request.operands[1].bytes() +
                                    request.results[0].bytes());
  const DType type = request.operands[0].dtype;
  if (vector_kernels(request.isa, type) != nullptr) {
    bind_vector(request, *m, bound);
  } else {
    bound.algorithm = "reference";
    bound.scratch_bytes = request.tile_scratch;
    bound.phases = {{reference_loop(type, []<class T>() { return &reference::matmul<T>; }),
                     m->batches * m->rows}};
  }
  bound.arguments = std::shared_ptr<const void>(m, static_cast<const MatmulArguments*>(m.get()));
  return bound;
}

}  // namespace nnrt
