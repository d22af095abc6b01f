// Row streaming: steps on images take turns on a few rows at a time, and what one computes for the
// next stays in the cache (cpu/engine/chain.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "cpu/kernel.h"

namespace nnrt {

// A few result rows of one image.
struct RowBand {
  int64_t image = 0, first = 0, end = 0;
  bool kept = false;    // in the cache, for the next step
  bool cached = false;  // so is the source, of the step before
  // If the source was kept for a step that must store it: the address of its first element.
  void* source = nullptr;
  // What the other phases left for RowKernel::run (RowKernel::hand).
  const void* handed = nullptr;
  // For sums: the part that these rows belong to, and whether they are its first rows.
  int64_t part = 0;
  bool begins = false;
};

// For kernels on images (NHWC). `run` touches only the rows of operand
// `source` that lie under the rows it is given, so `source` may begin where no memory is. There are
// two kinds. `rows` of a BoundKernel computes any rows of result 0 in place of the last phase, with
// the same bits for finite weights (taps in the padding may be left out); its result may begin
// where no memory is. `sink` consumes each row of its source in place of the first phase.
struct RowKernel {
  void (*run)(const Call& call, const RowBand& band) = nullptr;
  std::shared_ptr<const void> arguments;  // the call's, for `run`
  size_t source = 0;                      // that operand's number
  // `source_rows`: 0 if all of the source must be in memory.
  int64_t images = 0, rows = 0, source_rows = 0;
  // Under row r lie rows [r / step * stride + top, r / step * stride + top + extent) of the source,
  // as far as they are inside the image.
  int64_t step = 1, stride = 1, top = 0, extent = 1;
  // Bands whose height is a multiple of this, from row 0 on, are cheapest.
  int64_t granule = 1;
  // Bytes that every band reads beside its rows.
  size_t weight_bytes = 0;
  size_t scratch_bytes = 0;  // a thread's, of `run`
  // `run` writes result 0 and nothing else, and reads it only where it writes it.
  bool plain_result = false;
  // For a result that is not materialized: the bytes that the other phases leave for `run` in the
  // place of the result, after `hand` has told the kernel; and the operands that `run` reads.
  size_t handed_bytes = 0;
  std::vector<size_t> reads;
  void (*hand)(BoundKernel& kernel) = nullptr;
  // For sinks: `cut` tells the kernel how the rows are divided. A sink that `stores` its source in
  // memory takes bands of equal height (`count`: rows of a band), each a part of its sums. Other
  // sinks add to result 0 and take the number of parts; their other phases run after the bands.
  bool stores = false;
  void (*cut)(BoundKernel& kernel, int64_t count) = nullptr;
};

// Another step, whose result is recomputed row by row by its consumer.
struct RowSource {
  const Call* call = nullptr;
  RowKernel rows;
  // Computes rows [first, end) of an image; `origin` is the address of the result's row 0.
  void make(int64_t image, int64_t first, int64_t end, void* origin) const;
  // The operand that has the rows of the result.
  const void* operand() const { return call->operands[rows.reads.front()]; }
};

inline void RowSource::make(int64_t image, int64_t first, int64_t end, void* origin) const {
  Call own = *call;
  own.arguments = rows.arguments.get();
  own.results = &origin;
  RowBand band;
  band.image = image;
  band.first = first;
  band.end = end;
  band.kept = true;
  band.handed = call->results[0];
  rows.run(own, band);
}

}  // namespace nnrt
