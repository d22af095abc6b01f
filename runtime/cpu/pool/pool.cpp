// Pooling: binding and phases. Units are rows of the output (of the input for gradients), or images
// if windows overlap. A convolution can pass its rows to max pooling as soon as they are computed.
#include "cpu/pool/pool.h"

#include <limits>

#include "cpu/bind.h"
#include "cpu/kernel_tables.h"
#include "cpu/pool/reference/pool.h"
#include "cpu/row_streaming.h"
#include "cpu/store_policy.h"
#include "cpu/tile/tile.h"

namespace nnrt {
namespace {

constexpr int64_t kUnit = 8192;        // elements of a unit: 32 KB
constexpr int64_t kChannelBlock = 64;  // channels of a unit if whole images are the units
// Kernels compare the numbers of taps as floats, which are exact below this.
constexpr int64_t kMostTaps = int64_t{1} << 24;

const PoolArguments& arguments_of(const Call& call) {
  return *static_cast<const PoolArguments*>(call.arguments);
}
const float* operand(const Call& call, int index) {
  return static_cast<const float*>(call.operands[index]);
}
float* result(const Call& call) { return static_cast<float*>(call.results[0]); }

// The epilogue on elements of the result that are finished and still in cache.
void run_epilogue(const Call& call, int64_t begin, int64_t end) {
  if (call.tile) run_tile(*call.tile, call, call.scratch, begin, end);
}

// The numbers of taps, from element `at` of the smaller image.
const char* index_at(const PoolArguments& a, const void* index, int64_t at) {
  return static_cast<const char*>(index) + at * a.index_bytes();
}

// Rows [begin, end) of the result over all images.
template <class Row>
void run_rows(const Call& call, int64_t begin, int64_t end, Row row) {
  const PoolArguments& a = arguments_of(call);
  for (int64_t at = begin; at < end; ++at) {
    const float* image = operand(call, 0) + at / a.rows.output * a.input_image();
    row(a, at * a.output_row(), image, at % a.rows.output);
    run_epilogue(call, at * a.output_row(), (at + 1) * a.output_row());
  }
}
void maximum_rows(const Call& call, int64_t begin, int64_t end) {
  run_rows(call, begin, end,
           [&call](const PoolArguments& a, int64_t to, const float* image, int64_t row) {
             a.table->maximum(a, result(call) + to, image, row);
           });
}
void maximum_index_rows(const Call& call, int64_t begin, int64_t end) {
  run_rows(call, begin, end,
           [&call](const PoolArguments& a, int64_t to, const float* image, int64_t row) {
             char* index = static_cast<char*>(call.results[1]) + to * a.index_bytes();
             a.table->maximum_index(a, result(call) + to, index, image, row);
           });
}
void average_rows(const Call& call, int64_t begin, int64_t end) {
  run_rows(call, begin, end,
           [&call](const PoolArguments& a, int64_t to, const float* image, int64_t row) {
             a.table->average(a, result(call) + to, image, row);
           });
}

using RowsFunction = void (*)(const Call&, int64_t, int64_t);

// Units of output rows.
template <RowsFunction Rows>
void run_forward(const Call& call, int64_t begin, int64_t end) {
  const PoolArguments& a = arguments_of(call);
  Rows(call, begin * a.unit, std::min(end * a.unit, a.images * a.rows.output));
}

// For a band of a chain.
template <RowsFunction Rows>
void run_band(const Call& call, const RowBand& band) {
  const int64_t first = band.image * arguments_of(call).rows.output;
  Rows(call, first + band.first, first + band.end);
}

// Windows do not overlap: each output row owns the input rows from its start to the next one's.
struct OwnedRows {
  int64_t first;
  int64_t end;
};

OwnedRows owned_rows(const PoolArguments& a, int64_t row) {
  const bool is_last = row + 1 == a.rows.output;
  return {row == 0 ? 0 : std::clamp<int64_t>(a.rows.start(row), 0, a.rows.input),
          is_last ? a.rows.input : std::clamp<int64_t>(a.rows.start(row + 1), 0, a.rows.input)};
}

// Whether each position along the axis is in exactly one window.
bool tiles(const PoolAxis& axis) {
  return axis.dilation == 1 && axis.before == 0 && axis.stride == axis.kernel &&
         axis.output * axis.kernel == axis.input;
}

// Clears owned rows, unless the windows cover them.
void clear_rows(const PoolArguments& a, float* dx_image, int64_t row, OwnedRows owned) {
  const bool covers = tiles(a.columns) && a.rows.dilation == 1 &&
                      owned.end - owned.first == a.rows.kernel && a.rows.start(row) == owned.first;
  if (covers) return;
  std::fill(dx_image + owned.first * a.input_row(), dx_image + owned.end * a.input_row(), 0.0f);
}

// Output rows [begin, end) of all images.
void maximum_backward_rows(const Call& call, int64_t begin, int64_t end) {
  const PoolArguments& a = arguments_of(call);
  for (int64_t at = begin; at < end; ++at) {
    const int64_t image = at / a.rows.output * a.input_image();
    const int64_t row = at % a.rows.output;
    const OwnedRows owned = owned_rows(a, row);
    clear_rows(a, result(call) + image, row, owned);
    a.table->maximum_backward(a, result(call) + image,
                              index_at(a, call.operands[0], at * a.output_row()),
                              operand(call, 1) + at * a.output_row(), row, 0, a.channels);
    run_epilogue(call, image + owned.first * a.input_row(), image + owned.end * a.input_row());
  }
}

void run_maximum_backward_rows(const Call& call, int64_t begin, int64_t end) {
  run_forward<&maximum_backward_rows>(call, begin, end);
}

// One input row of image `image`: a part of a window. As everywhere, an index that names no tap
// inside the image adds nothing.
template <class Index>
void maximum_backward_row(const Call& call, int64_t image, int64_t row) {
  const PoolArguments& a = arguments_of(call);
  float* dx = result(call) + image * a.input_image() + row * a.input_row();
  std::fill(dx, dx + a.input_row(), 0.0f);
  const int64_t from = (image * a.rows.output + row / a.rows.kernel) * a.output_row();
  const Index* index = static_cast<const Index*>(call.operands[0]) + from;
  const float* dy = operand(call, 1) + from;
  for (int64_t i = 0; i < a.output_row(); ++i) {
    const int64_t tap = static_cast<int64_t>(index[i]);
    if (tap < 0 || tap / a.columns.kernel != row % a.rows.kernel) continue;
    const int64_t column =
        a.columns.start(i / a.channels) + tap % a.columns.kernel * a.columns.dilation;
    if (column < 0 || column >= a.columns.input) continue;
    dx[column * a.channels + i % a.channels] += dy[i];
  }
}

// Input rows of a chain; their windows may begin before them.
void maximum_backward_band(const Call& call, const RowBand& band) {
  const PoolArguments& a = arguments_of(call);
  const int64_t image_row = band.image * a.rows.output;
  const int64_t first = std::min(band.end, round_up(band.first, a.rows.kernel));
  const int64_t last = std::max(first, band.end / a.rows.kernel * a.rows.kernel);
  const auto row = a.wide_index ? &maximum_backward_row<int32_t> : &maximum_backward_row<uint8_t>;
  for (int64_t y = band.first; y < first; ++y) row(call, band.image, y);
  maximum_backward_rows(call, image_row + first / a.rows.kernel, image_row + last / a.rows.kernel);
  for (int64_t y = last; y < band.end; ++y) row(call, band.image, y);
}

void run_average_backward_rows(const Call& call, int64_t begin, int64_t end) {
  const PoolArguments& a = arguments_of(call);
  const int64_t last = std::min(end * a.unit, a.images * a.rows.output);
  for (int64_t at = begin * a.unit; at < last; ++at) {
    const int64_t image = at / a.rows.output * a.input_image();
    const int64_t row = at % a.rows.output;
    const OwnedRows owned = owned_rows(a, row);
    clear_rows(a, result(call) + image, row, owned);
    a.table->average_backward(a, result(call) + image, operand(call, 0) + at * a.output_row(), row);
    run_epilogue(call, image + owned.first * a.input_row(), image + owned.end * a.input_row());
  }
}

// Sets channels [first, last) of input rows to zero.
void clear_channels(const PoolArguments& a, float* dx_image, OwnedRows rows, int64_t first,
                    int64_t last) {
  float* from = dx_image + rows.first * a.input_row();
  for (int64_t pixel = 0; pixel < (rows.end - rows.first) * a.columns.input; ++pixel) {
    std::fill(from + pixel * a.channels + first, from + pixel * a.channels + last, 0.0f);
  }
}

// Each unit is an image's block of channels. Rows are cleared just before windows reach them, and
// finished after the last window, while they are in cache.
void run_maximum_backward_images(const Call& call, int64_t begin, int64_t end) {
  const PoolArguments& a = arguments_of(call);
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t n = unit / a.channel_blocks;
    const int64_t first = unit % a.channel_blocks * kChannelBlock;
    const int64_t last = std::min(first + kChannelBlock, a.channels);
    const int64_t image = n * a.input_image();
    int64_t cleared = 0;
    int64_t finished = 0;
    auto clear_to = [&](int64_t row) {
      const int64_t to = std::clamp(row, cleared, a.rows.input);
      clear_channels(a, result(call) + image, {cleared, to}, first, last);
      cleared = to;
    };
    auto epilogue_to = [&](int64_t row) {
      const int64_t to = std::clamp(row, finished, a.rows.input);
      // With several blocks, a phase of its own does this.
      if (a.channel_blocks == 1)
        run_epilogue(call, image + finished * a.input_row(), image + to * a.input_row());
      finished = to;
    };
    for (int64_t row = 0; row < a.rows.output; ++row) {
      clear_to(a.rows.start(row) + (a.rows.kernel - 1) * a.rows.dilation + 1);
      const int64_t from = n * a.output_image() + row * a.output_row();
      a.table->maximum_backward(a, result(call) + image, index_at(a, call.operands[0], from),
                                operand(call, 1) + from, row, first, last);
      epilogue_to(std::min(cleared, a.rows.start(row + 1)));
    }
    clear_to(a.rows.input);
    epilogue_to(a.rows.input);
  }
}

// Overlapping windows: units of input rows over all images.
void run_average_backward_overlapping(const Call& call, int64_t begin, int64_t end) {
  const PoolArguments& a = arguments_of(call);
  const int64_t last = std::min(end * a.unit, a.images * a.rows.input);
  for (int64_t at = begin * a.unit; at < last; ++at) {
    const float* dy = operand(call, 0) + at / a.rows.input * a.output_image();
    a.table->average_backward_overlapping(a, result(call) + at * a.input_row(), dy,
                                          at % a.rows.input);
    run_epilogue(call, at * a.input_row(), (at + 1) * a.input_row());
  }
}

template <class T>
T* typed_result(const Call& call) {
  return static_cast<T*>(call.results[0]);
}
template <class T>
const T* typed(const Call& call, int index) {
  return static_cast<const T*>(call.operands[index]);
}
template <class T>
void plain_max(const Call& call, int64_t, int64_t) {
  uint8_t* const none = nullptr;
  reference::max_pool(arguments_of(call), typed_result<T>(call), none, typed<T>(call, 0));
}
template <class T>
void plain_max_index(const Call& call, int64_t, int64_t) {
  const PoolArguments& a = arguments_of(call);
  T* y = typed_result<T>(call);
  if (a.wide_index) {
    reference::max_pool(a, y, static_cast<int32_t*>(call.results[1]), typed<T>(call, 0));
  } else {
    reference::max_pool(a, y, static_cast<uint8_t*>(call.results[1]), typed<T>(call, 0));
  }
}
template <class T>
void plain_max_backward(const Call& call, int64_t, int64_t) {
  const PoolArguments& a = arguments_of(call);
  T* dx = typed_result<T>(call);
  if (a.wide_index) {
    reference::max_pool_backward(a, dx, typed<int32_t>(call, 0), typed<T>(call, 1));
  } else {
    reference::max_pool_backward(a, dx, typed<uint8_t>(call, 0), typed<T>(call, 1));
  }
}
template <class T>
void plain_average(const Call& call, int64_t, int64_t) {
  reference::avg_pool(arguments_of(call), typed_result<T>(call), typed<T>(call, 0));
}
template <class T>
void plain_average_backward(const Call& call, int64_t, int64_t) {
  reference::avg_pool_backward(arguments_of(call), typed_result<T>(call), typed<T>(call, 0));
}

PoolAxis make_axis(int64_t input, int64_t output, const Window& window, const std::string& what) {
  check_pool_window(window, what);
  const int64_t room = input + window.before + window.after - window.reach();
  NNC_CHECK(room >= 0, what + ": " + too_small(input, window));
  NNC_CHECK(output == room / window.stride + 1, what + ": the windows do not fit the result");
  return {input, output, window.kernel, window.stride, window.before, window.dilation};
}

// Checks that no offset in an image overflows, nor one of a tap in the padding.
void check_offsets(const PoolArguments& arguments, const std::string& what) {
  const __int128 row = arguments.input_row();
  const __int128 farthest =
      row * arguments.rows.farthest() +
      static_cast<__int128>(arguments.channels) * arguments.columns.farthest();
  NNC_CHECK(farthest < std::numeric_limits<int64_t>::max(),
            what + ": the image and its padding are too large");
}

// `x` and `y`: the shapes before and after pooling.
std::shared_ptr<PoolArguments> make_arguments(const BindRequest& request, const Shape& x,
                                              const Shape& y, const std::string& what) {
  const AttributeMap& attributes = *request.attributes;
  auto arguments = std::make_shared<PoolArguments>();
  const auto kernel = integers_attribute(attributes, "kernel", 2);
  const auto stride = integers_attribute(attributes, "stride", 2);
  const auto padding = integers_attribute(attributes, "padding", 4);
  const auto dilation = attributes.count("dilation") != 0
                            ? integers_attribute(attributes, "dilation", 2)
                            : std::vector<int64_t>{1, 1};
  NNC_CHECK(x.size() == 4 && y.size() == 4 && x[0] == y[0] && x[3] == y[3],
            what + ": images and channels must stay");
  arguments->table = kernel_tables_of(request.isa).pool;
  arguments->images = x[0];
  arguments->channels = x[3];
  arguments->rows =
      make_axis(x[1], y[1], {kernel[0], stride[0], padding[0], padding[1], dilation[0]}, what);
  arguments->columns =
      make_axis(x[2], y[2], {kernel[1], stride[1], padding[2], padding[3], dilation[1]}, what);
  check_offsets(*arguments, what);
  if (attributes.count("count_padding") != 0) {
    arguments->count_padding = integer_attribute(attributes, "count_padding") != 0;
  }
  return arguments;
}

using PhaseFunction = void (*)(const Call&, int64_t, int64_t);

BoundKernel make_bound(const BindRequest& request, std::shared_ptr<const PoolArguments> arguments,
                       Phase fast, PhaseFunction plain) {
  const bool is_plain = vector_kernels(request.isa, request.results[0].dtype) == nullptr;
  check_epilogue(request, request.results[0].elements());
  BoundKernel bound;
  bound.scratch_bytes = request.tile_scratch;
  bound.phases.push_back(is_plain ? Phase{plain, 1} : fast);
  const bool apart =
      is_plain || (fast.run == &run_maximum_backward_images && arguments->channel_blocks > 1);
  if (request.tile && apart) {
    bound.phases.push_back(tile_phase(*request.tile));
  }
  bound.algorithm = is_plain ? "reference" : "channels";
  bound.flops = as_double(arguments->images * arguments->output_image()) *
                as_double(arguments->rows.most_taps()) * as_double(arguments->columns.most_taps());
  bound.bytes = bytes_of(request);
  bound.arguments = std::move(arguments);
  return bound;
}

// Rows of a unit that reads or writes some tens of KB.
int64_t rows_of_unit(int64_t row_elements) {
  return std::max<int64_t>(1, kUnit / std::max<int64_t>(1, row_elements));
}

// The numbers of taps are stored as bytes if they fit.
void set_index(PoolArguments& arguments, const TensorInfo& index, const Shape& y,
               const std::string& what) {
  const int64_t taps = arguments.rows.kernel * arguments.columns.kernel;
  NNC_CHECK(taps <= kMostTaps, what + ": a window of " + std::to_string(taps) +
                                   " taps is too large, the most are " + std::to_string(kMostTaps));
  arguments.wide_index = taps > 256;
  NNC_CHECK(index.dtype == (arguments.wide_index ? DType::i32 : DType::u8),
            what + ": the index has the wrong element type");
  check_shape(index, y, what + ": the index");
}

BoundKernel bind_maximum(const BindRequest& request, bool indexed) {
  const Shape& y = request.results[0].shape;
  const std::string what = indexed ? "max_pool_index" : "max_pool";
  auto arguments = make_arguments(request, request.operands[0].shape, y, what);
  if (indexed) set_index(*arguments, request.results[1], y, what);
  arguments->unit = rows_of_unit(arguments->rows.stride * arguments->input_row());
  const Phase fast = {indexed ? &run_forward<&maximum_index_rows> : &run_forward<&maximum_rows>,
                      ceil_div(arguments->images * arguments->rows.output, arguments->unit)};
  const auto plain = reference_loop(request.results[0].dtype, [indexed]<class T>() {
    return indexed ? &plain_max_index<T> : &plain_max<T>;
  });
  BoundKernel bound = make_bound(request, arguments, fast, plain);
  if (bound.phases.back().run != fast.run || arguments->images == 0) return bound;
  bound.rows = std::make_shared<RowKernel>();
  RowKernel& rows = *bound.rows;
  rows.run = indexed ? &run_band<&maximum_index_rows> : &run_band<&maximum_rows>;
  rows.arguments = bound.arguments;
  rows.images = arguments->images;
  rows.rows = arguments->rows.output;
  rows.source_rows = arguments->rows.input;
  rows.stride = arguments->rows.stride;
  rows.top = -arguments->rows.before;
  rows.extent = (arguments->rows.kernel - 1) * arguments->rows.dilation + 1;
  rows.scratch_bytes = bound.scratch_bytes;
  rows.plain_result = !indexed && request.tile == nullptr;
  return bound;
}

}  // namespace

BoundKernel bind_max_pool(const BindRequest& request) { return bind_maximum(request, false); }

BoundKernel bind_max_pool_index(const BindRequest& request) { return bind_maximum(request, true); }

// Each row of dy gives as many rows of dx as the window has.
void offer_gradient_rows(const PoolArguments& arguments, BoundKernel& bound) {
  auto near = std::make_shared<PoolArguments>(arguments);
  near->stream = false;
  bound.rows = std::make_shared<RowKernel>();
  RowKernel& rows = *bound.rows;
  rows.run = &maximum_backward_band;
  rows.arguments = near;
  rows.source = 1;
  rows.images = arguments.images;
  rows.rows = arguments.rows.input;
  rows.source_rows = arguments.rows.output;
  rows.step = rows.granule = arguments.rows.kernel;
  rows.scratch_bytes = bound.scratch_bytes;
  rows.plain_result = true;
}

BoundKernel bind_max_pool_backward(const BindRequest& request) {
  const std::string what = "max_pool_backward";
  const Shape& dy = request.operands[1].shape;
  auto arguments = make_arguments(request, request.results[0].shape, dy, what);
  set_index(*arguments, request.operands[0], dy, what);
  arguments->unit = rows_of_unit(arguments->rows.stride * arguments->input_row());
  arguments->channel_blocks = ceil_div(arguments->channels, kChannelBlock);
  const bool overlaps = arguments->rows.overlaps() || arguments->columns.overlaps();
  // The epilogue reads the result again, so it is not streamed.
  arguments->stream = request.tile == nullptr && tiles(arguments->rows) &&
                      tiles(arguments->columns) &&
                      streams(request.results[0].bytes(), arguments->channels);
  const Phase fast =
      overlaps ? Phase{&run_maximum_backward_images, arguments->images * arguments->channel_blocks}
               : Phase{&run_maximum_backward_rows,
                       ceil_div(arguments->images * arguments->rows.output, arguments->unit)};
  BoundKernel bound = make_bound(
      request, arguments, fast,
      reference_loop(request.results[0].dtype, []<class T>() { return &plain_max_backward<T>; }));
  const bool plain = bound.phases.front().run != fast.run;
  if (!plain && request.tile == nullptr && tiles(arguments->rows))
    offer_gradient_rows(*arguments, bound);
  return bound;
}

BoundKernel bind_avg_pool(const BindRequest& request) {
  auto arguments =
      make_arguments(request, request.operands[0].shape, request.results[0].shape, "avg_pool");
  arguments->unit = rows_of_unit(arguments->rows.stride * arguments->input_row());
  const Phase fast = {&run_forward<&average_rows>,
                      ceil_div(arguments->images * arguments->rows.output, arguments->unit)};
  return make_bound(
      request, arguments, fast,
      reference_loop(request.results[0].dtype, []<class T>() { return &plain_average<T>; }));
}

BoundKernel bind_avg_pool_backward(const BindRequest& request) {
  auto arguments = make_arguments(request, request.results[0].shape, request.operands[0].shape,
                                  "avg_pool_backward");
  NNC_CHECK(arguments->rows.dilation == 1 && arguments->columns.dilation == 1,
            "avg_pool_backward: no dilation");
  const bool overlaps = arguments->rows.overlaps() || arguments->columns.overlaps();
  const int64_t step = overlaps ? 1 : arguments->rows.stride;  // input rows of one row of the phase
  arguments->unit = rows_of_unit(step * arguments->input_row());
  const int64_t rows =
      arguments->images * (overlaps ? arguments->rows.input : arguments->rows.output);
  const Phase fast = {overlaps ? &run_average_backward_overlapping : &run_average_backward_rows,
                      ceil_div(rows, arguments->unit)};
  return make_bound(request, arguments, fast,
                    reference_loop(request.results[0].dtype,
                                   []<class T>() { return &plain_average_backward<T>; }));
}

}  // namespace nnrt
