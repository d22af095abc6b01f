// Kernels against operands and sizes that no compiler makes: indices that name nothing, windows of
// absurd extents, sizes whose products overflow. What is written around results stays as it was.
#include <cmath>
#include <limits>

#include "cpu/conv/conv.h"
#include "cpu/row_streaming.h"
#include "kernel_case.h"

namespace {

using namespace test;

constexpr int64_t kLeast = std::numeric_limits<int64_t>::min();
constexpr size_t kMargin = size_t{1} << 16;  // bytes before and behind a result

// A result with a pattern around it.
class Guarded {
 public:
  explicit Guarded(size_t bytes)
      : bytes_(bytes), memory_(bytes + 2 * kMargin + 64, static_cast<char>(0x5a)) {
    const uintptr_t begin = reinterpret_cast<uintptr_t>(memory_.data()) + kMargin;
    at_ = memory_.data() + kMargin + (64 - begin % 64) % 64;
    std::memset(at_, 0xff, bytes);
  }
  char* get() const { return at_; }
  bool untouched() const {
    const char* const end = memory_.data() + memory_.size();
    for (const char* p = memory_.data(); p < end; ++p) {
      if ((p < at_ || p >= at_ + bytes_) && *p != static_cast<char>(0x5a)) return false;
    }
    return true;
  }

 private:
  size_t bytes_;
  std::vector<char> memory_;
  char* at_;
};

Case make(const std::string& kernel, nnrt::AttributeMap attributes, std::vector<Array> operands,
          std::vector<TensorInfo> results) {
  Case result;
  result.kernel = kernel;
  result.attributes = std::move(attributes);
  result.operands = std::move(operands);
  result.results = std::move(results);
  return result;
}

// Runs a case with its results in guarded memory; `band_rows`: by the rows of a chain, so many at a
// time, where the kernel has any (else nothing is run and an empty array given).
Array run_guarded(const Case& test, Isa isa, Cut cut, int64_t band_rows = 0) {
  check_case(test);
  nnrt::BindRequest request;
  request.attributes = &test.attributes;
  request.isa = isa;
  request.results = test.results;
  std::vector<std::vector<char>> memory;
  std::vector<void*> operands, results;
  for (const Array& operand : test.operands) {
    request.operands.push_back(operand.info);
    memory.emplace_back(operand.info.bytes());
    encode(operand, memory.back().data());
    operands.push_back(memory.back().data());
  }
  std::vector<Guarded> guarded;
  for (const TensorInfo& result : test.results) guarded.emplace_back(result.bytes());
  for (const Guarded& one : guarded) results.push_back(one.get());
  const nnrt::BoundKernel bound = nnrt::find_kernel(test.kernel)(request);
  nnrt::Call call;
  call.operands = operands.data();
  call.results = results.data();
  nnrt::RunState state;
  call.state = &state;
  if (band_rows > 0) {
    if (!bound.rows) return {};
    const nnrt::RowKernel& rows = *bound.rows;
    Memory scratch(rows.scratch_bytes);
    call.scratch = scratch.get();
    call.arguments = rows.arguments.get();
    for (int64_t image = 0; image < rows.images; ++image) {
      for (int64_t row = 0; row < rows.rows; row += band_rows) {
        nnrt::RowBand band;
        band.image = image;
        band.first = row;
        band.end = std::min(rows.rows, row + band_rows);
        rows.run(call, band);
      }
    }
  } else {
    run_phases(bound, call, cut);
  }
  for (const Guarded& one : guarded) CHECK(one.untouched());
  Array found(test.results[0].dtype, test.results[0].shape);
  decode(found, guarded[0].get());
  return found;
}

struct Pool {
  int64_t n, h, w, c, kernel_h, kernel_w, stride_h, stride_w;
  std::vector<int64_t> padding, dilation;

  int64_t reach_h() const { return (kernel_h - 1) * dilation[0] + 1; }
  int64_t reach_w() const { return (kernel_w - 1) * dilation[1] + 1; }
  Shape x() const { return {n, h, w, c}; }
  Shape y() const {
    return {n, (h + padding[0] + padding[1] - reach_h()) / stride_h + 1,
            (w + padding[2] + padding[3] - reach_w()) / stride_w + 1, c};
  }
  nnrt::AttributeMap attributes() const {
    return {{"kernel", dims({kernel_h, kernel_w})},
            {"stride", dims({stride_h, stride_w})},
            {"padding", dims(padding)},
            {"dilation", dims(dilation)}};
  }
  DType number() const { return kernel_h * kernel_w > 256 ? DType::i32 : DType::u8; }
};

// Each gradient goes to the tap that its index names, where there is such a tap inside the image.
Array expected_gradients(const Pool& a, const Array& index, const Array& dy) {
  Array dx(DType::f32, a.x());
  const Shape y = a.y();
  size_t at = 0;
  for (int64_t n = 0; n < a.n; ++n) {
    for (int64_t row = 0; row < y[1]; ++row) {
      for (int64_t column = 0; column < y[2]; ++column) {
        for (int64_t c = 0; c < a.c; ++c, ++at) {
          const int64_t tap = static_cast<int64_t>(index.values[at]);
          if (tap < 0 || tap >= a.kernel_h * a.kernel_w) continue;
          const int64_t i = row * a.stride_h - a.padding[0] + tap / a.kernel_w * a.dilation[0];
          const int64_t j = column * a.stride_w - a.padding[2] + tap % a.kernel_w * a.dilation[1];
          if (i < 0 || i >= a.h || j < 0 || j >= a.w) continue;
          dx.values[static_cast<size_t>(((n * a.h + i) * a.w + j) * a.c + c)] += dy.values[at];
        }
      }
    }
  }
  return dx;
}

Array hostile_index(const Pool& a, uint32_t seed) {
  Array index =
      random_array(DType::f32, a.y(), seed, 0, static_cast<double>(a.kernel_h * a.kernel_w) + 0.99);
  index.info.dtype = a.number();
  const bool wide = index.info.dtype == DType::i32;
  const double numbers[] = {-1, -2147483648.0, 2147483647, 16777216, 65536, 1000, -17};
  for (size_t i = 0; i < index.values.size(); ++i) {
    double& value = index.values[i];
    value = std::floor(value);
    if (i % 3 == 0) value = wide ? numbers[i / 3 % 7] : static_cast<double>(255 - i / 3 % 7);
  }
  return index;
}

void test_pool_indices() {
  const Pool pools[] = {
      {2, 8, 8, 8, 2, 2, 2, 2, {0, 0, 0, 0}, {1, 1}},
      {2, 9, 9, 5, 3, 3, 2, 2, {1, 1, 1, 1}, {1, 1}},
      {1, 8, 7, 33, 2, 3, 2, 2, {0, 0, 2, 1}, {1, 1}},
      {1, 16, 12, 16, 2, 2, 2, 2, {0, 0, 30, 0}, {1, 30}},  // the rows tile, columns do not
      {3, 6, 5, 3, 3, 2, 3, 1, {0, 0, 9, 9}, {1, 9}},
      {1, 9, 9, 70, 3, 3, 1, 1, {4, 4, 3, 2}, {2, 2}},
      {1, 20, 19, 5, 17, 17, 2, 2, {16, 3, 0, 9}, {1, 1}},  // indices of 32 bits
      {1, 36, 40, 4, 18, 18, 18, 18, {0, 0, 3, 11}, {1, 1}},
      {2, 17, 40, 17, 17, 16, 17, 3, {0, 0, 8, 8}, {1, 1}},
  };
  uint32_t seed = 1;
  for (const Pool& a : pools) {
    const Array index = hostile_index(a, ++seed);
    const Array dy = random_array(DType::f32, a.y(), ++seed);
    const Case test = make("max_pool_backward", a.attributes(), {index, dy}, {{DType::f32, a.x()}});
    const Array expected = expected_gradients(a, index, dy);
    for (Isa isa : available_isas()) {
      for (Cut cut : {Cut::whole, Cut::single, Cut::backward}) {
        CHECK(largest_error(run_guarded(test, isa, cut), expected) < 1e-6);
        CHECK(largest_error(run_case(test, isa, cut).results[0], expected) < 1e-6);
      }
      for (int64_t rows : {1, 2, 5}) {
        const Array found = run_guarded(test, isa, Cut::whole, rows);
        if (!found.values.empty()) CHECK(largest_error(found, expected) < 1e-6);
      }
    }
    const Case wide = widened(test);
    CHECK(largest_error(run_guarded(wide, Isa::reference, Cut::whole), expected) < 1e-6);
  }
}

// Windows that a dilation carries over the whole image have no tap in it.
void test_windows_of_padding() {
  const Pool a{1, 1, 1, 3, 2, 2, 1, 1, {2, 2, 2, 2}, {4, 4}};
  Case test = make("max_pool_index", a.attributes(), {random_array(DType::f32, a.x(), 3)},
                   {{DType::f32, a.y()}, {DType::u8, a.y()}});
  for (Isa isa : available_isas()) {
    const Outcome found = run_case(test, isa);
    for (double value : found.results[0].values) CHECK(value == -INFINITY);
    for (double number : found.results[1].values) CHECK(number == 0);
  }
}

// A window that reaches far beyond the image takes no longer than the image.
void test_huge_windows() {
  const int64_t far = 1000000000;
  const std::vector<int64_t> padding = {far, far, far, far};
  const Shape shape = {1, 4, 4, 2};
  nnrt::AttributeMap attributes = {{"kernel", dims({2 * far + 1, 2 * far + 1})},
                                   {"stride", dims({1, 1})},
                                   {"padding", dims(padding)},
                                   {"dilation", dims({1, 1})}};
  Array x(DType::f32, shape);
  for (size_t i = 0; i < x.values.size(); ++i) x.values[i] = static_cast<double>(i % 7);
  const Case largest = make("max_pool", attributes, {x}, {{DType::f32, shape}});
  nnrt::AttributeMap average = attributes;
  average.erase("dilation");
  average["count_padding"] = int64_t{0};
  const Case mean = make("avg_pool", average, {x}, {{DType::f32, shape}});
  const Case spread = make("avg_pool_backward", average, {x}, {{DType::f32, shape}});
  const Case index =
      make("max_pool_index", attributes, {x}, {{DType::f32, shape}, {DType::i32, shape}});
  for (Isa isa : available_isas()) {
    for (bool wide : {false, true}) {
      const auto first = [&](const Case& test) {
        return run_case(wide ? widened(test) : test, wide ? Isa::reference : isa).results[0];
      };
      const Array most = first(largest), middle = first(mean), shares = first(spread);
      for (size_t i = 0; i < x.values.size(); ++i) {
        double total = 0, best = 0;
        for (size_t k = i % 2; k < x.values.size(); k += 2) {
          total += x.values[k];
          best = std::max(best, x.values[k]);
        }
        CHECK(most.values[i] == best);
        CHECK(std::abs(middle.values[i] - total / 16) < 1e-5);
        CHECK(std::abs(shares.values[i] - total / 16) < 1e-5);
      }
    }
    CHECK_THROWS(run_case(index, isa), nnrt::Error);  // so many taps have no numbers
  }
}

nnrt::AttributeMap changed(nnrt::AttributeMap attributes, const char* name,
                           std::vector<int64_t> values) {
  attributes[name] = dims(values);
  return attributes;
}

// Sizes of windows are refused when a plan is checked, before any input is there.
void test_windows_are_checked() {
  const std::vector<int64_t> wrong_padding[] = {{3, 0, 0, 0},    {0, 3, 0, 0},  {0, 0, 3, 0},
                                                {0, 0, 0, 1000}, {-1, 0, 0, 0}, {0, 0, 0, kLeast}};
  const Pool a{1, 8, 8, 4, 3, 3, 1, 1, {0, 0, 0, 0}, {1, 1}};
  std::vector<nnrt::AttributeMap> wrong;
  for (const auto& padding : wrong_padding)
    wrong.push_back(changed(a.attributes(), "padding", padding));
  for (int64_t size : {int64_t{0}, int64_t{-1}, int64_t{1} << 31, int64_t{1} << 62, kLeast}) {
    for (const char* name : {"kernel", "stride", "dilation"}) {
      wrong.push_back(changed(a.attributes(), name, {1, size}));
      wrong.push_back(changed(a.attributes(), name, {size, 1}));
    }
  }
  // Each size is possible, but not both together.
  wrong.push_back(changed(changed(a.attributes(), "kernel", {3, 65537}), "dilation", {1, 65537}));
  const Array x = random_array(DType::f32, a.x(), 1), y = random_array(DType::f32, a.y(), 1);
  const Array index(DType::u8, a.y());
  const auto refused = [](const Case& test) { CHECK_THROWS(check_case(test), nnrt::Error); };
  for (const nnrt::AttributeMap& attributes : wrong) {
    nnrt::AttributeMap average = attributes;
    average["count_padding"] = int64_t{0};
    refused(make("max_pool", attributes, {x}, {y.info}));
    refused(make("max_pool_index", attributes, {x}, {y.info, index.info}));
    refused(make("max_pool_backward", attributes, {index, y}, {x.info}));
    refused(make("avg_pool", average, {x}, {y.info}));
    refused(make("avg_pool_backward", average, {y}, {x.info}));
  }
  const Array weights(DType::f32, {3, 3, 4, 4});
  for (size_t i = 4; i < wrong.size(); ++i) {  // a convolution may have any padding
    nnrt::AttributeMap attributes = wrong[i];
    const auto& kernel = std::get<std::vector<nnrt::Dim>>(attributes.at("kernel"));
    Array w = weights;
    w.info.shape = {kernel[0].code[0].value, kernel[1].code[0].value, 4, 4};
    refused(make("conv2d", attributes, {x, w}, {y.info}));
    refused(make("conv2d_backward_data", attributes, {y, w}, {x.info}));
    refused(make("conv2d_backward_weight", attributes, {x, y}, {w.info}));
  }
}

nnrt::AttributeMap conv_attributes(std::vector<int64_t> stride, std::vector<int64_t> padding,
                                   std::vector<int64_t> dilation) {
  return {{"stride", dims(stride)},
          {"padding", dims(padding)},
          {"dilation", dims(dilation)},
          {"groups", int64_t{1}}};
}

void test_convolutions() {
  const Array x = random_array(DType::f32, {1, 4, 4, 8}, 1);
  const Array w = random_array(DType::f32, {2, 2, 8, 8}, 2);
  const Array y = random_array(DType::f32, {1, 1, 1, 8}, 3);
  const int64_t far = 1000000000;
  // Windows that would be written out with more padding than memory has bytes.
  const nnrt::AttributeMap padded = conv_attributes({1, 1}, {far - 3, 0, far - 3, 0}, {far, far});
  // Taps of a dilation beyond the image, but near.
  const nnrt::AttributeMap near = conv_attributes({1, 1}, {57, 0, 57, 0}, {60, 60});
  // One pixel of each stride, which is longer than the image.
  const nnrt::AttributeMap strided =
      conv_attributes({int64_t{1} << 20, int64_t{1} << 20}, {0, 0, 0, 0}, {1, 1});
  for (Isa isa : available_isas()) {
    CHECK_THROWS(run_case(make("conv2d", padded, {x, w}, {y.info}), isa), nnrt::Error);
    CHECK_THROWS(run_case(make("conv2d_backward_data", padded, {y, w}, {x.info}), isa),
                 nnrt::Error);
    CHECK_THROWS(run_case(make("conv2d_backward_weight", padded, {x, y}, {w.info}), isa),
                 nnrt::Error);
  }
  for (const nnrt::AttributeMap& attributes : {near, strided}) {
    verify("conv2d", make("conv2d", attributes, {x, w}, {y.info}), 1e-5);
    verify("conv2d_backward_data", make("conv2d_backward_data", attributes, {y, w}, {x.info}),
           1e-5);
    verify("conv2d_backward_weight", make("conv2d_backward_weight", attributes, {x, y}, {w.info}),
           1e-5);
  }
  // A gradient for windows that are none of the image's.
  const Array more = random_array(DType::f32, {1, 9, 9, 8}, 3);
  const nnrt::AttributeMap plain = conv_attributes({1, 1}, {0, 0, 0, 0}, {1, 1});
  CHECK_THROWS(run_case(make("conv2d_backward_data", plain, {more, w}, {x.info}), Isa::generic),
               nnrt::Error);
  // As many classes of pixels as the image has pixels.
  const TensorInfo large = {DType::f32, {1, 4096, 4096, 8}};
  nnrt::BindRequest request;
  const nnrt::AttributeMap apart = conv_attributes({4096, 4096}, {0, 0, 0, 0}, {1, 1});
  request.attributes = &apart;
  request.operands = {y.info, w.info};
  request.results = {large};
  request.isa = Isa::generic;
  CHECK_THROWS(nnrt::find_kernel("conv2d_backward_data")(request), nnrt::Error);
}

void test_ids() {
  const int64_t rows = 5, width = 9;
  const Array table = random_array(DType::f32, {rows, width}, 1);
  const std::vector<double> numbers = {
      0, -1, 4, 5, static_cast<double>(kLeast), 4.6e18, 2, 255, -2147483648.0, 2147483647, 4};
  const int64_t count = static_cast<int64_t>(numbers.size());
  const Array dy = random_array(DType::f32, {count, width}, 2);
  for (DType type : {DType::i64, DType::i32, DType::u8}) {
    Array ids(type, {count}, numbers);
    for (double& id : ids.values) {
      if (type == DType::u8 && (id < 0 || id > 255)) id = 200;
      if (type == DType::i32 && std::abs(id) > 2147483648.0) id = -7;
    }
    const auto inside = [&](int64_t i) {
      const double id = ids.values[static_cast<size_t>(i)];
      return id >= 0 && id < static_cast<double>(rows);
    };
    Array chosen(DType::f32, {count, width});
    Array sums(DType::f32, {rows, width});
    for (int64_t i = 0; i < count * width; ++i) {
      const size_t at = static_cast<size_t>(i);
      const int64_t from =
          inside(i / width) ? static_cast<int64_t>(ids.values[at / width]) * width + i % width : -1;
      chosen.values[at] = from < 0 ? NAN : table.values[static_cast<size_t>(from)];
      if (from >= 0) sums.values[static_cast<size_t>(from)] += dy.values[at];
    }
    const Case gather = make("gather", {}, {table, ids}, {{DType::f32, {count, width}}});
    const Case backward = make("gather_backward", {}, {ids, dy}, {{DType::f32, {rows, width}}});
    for (Isa isa : available_isas()) {
      for (Cut cut : {Cut::whole, Cut::single, Cut::backward}) {
        CHECK(largest_error(run_guarded(gather, isa, cut), chosen) == 0);
        CHECK(largest_error(run_guarded(backward, isa, cut), sums) < 1e-6);
        CHECK(largest_error(run_case(gather, isa, cut).results[0], chosen) == 0);
        CHECK(largest_error(run_case(backward, isa, cut).results[0], sums) < 1e-6);
      }
    }
  }
}

void test_labels() {
  for (int64_t extent : {1, 3, 10, 40}) {
    const std::vector<double> numbers = {0,
                                         -1,
                                         static_cast<double>(extent),
                                         static_cast<double>(extent - 1),
                                         static_cast<double>(kLeast),
                                         4.6e18,
                                         255,
                                         0,
                                         -300,
                                         1e9};
    const int64_t count = static_cast<int64_t>(numbers.size());
    const Array logits = random_array(DType::f32, {count, extent}, 1);
    const Array dloss = random_array(DType::f32, {count}, 2);
    for (double smoothing : {0.0, 0.1}) {
      const nnrt::AttributeMap attributes = {{"smoothing", smoothing}};
      const Array labels(DType::i64, {count}, numbers);
      const Case loss =
          make("softmax_cross_entropy", attributes, {logits, labels}, {{DType::f32, {count}}});
      const Case backward = make("softmax_cross_entropy_backward", attributes,
                                 {logits, labels, dloss}, {{DType::f32, {count, extent}}});
      for (Isa isa : available_isas()) {
        const Array found = run_guarded(loss, isa, Cut::whole);
        const Array gradient = run_guarded(backward, isa, Cut::whole);
        CHECK(run_case(loss, isa).results[0].values.size() == numbers.size());
        CHECK(run_case(backward, isa).results[0].values.size() == logits.values.size());
        for (size_t i = 0; i < numbers.size(); ++i) {
          const bool inside = numbers[i] >= 0 && numbers[i] < static_cast<double>(extent);
          CHECK(std::isnan(found.values[i]) != inside);
          for (size_t c = 0; c < static_cast<size_t>(extent); ++c)
            CHECK(std::isnan(gradient.values[i * static_cast<size_t>(extent) + c]) != inside);
        }
      }
    }
  }
}

// Factors whose product with the image wraps around to the size of the result.
void test_wrapped_sizes() {
  const int64_t third = 6148914691236517206;  // times 3 is 2 modulo 2^64
  const Array x = random_array(DType::f32, {1, 3, 2, 1}, 1);
  const Array y = random_array(DType::f32, {1, 2, 2, 1}, 1);
  for (Isa isa : available_isas()) {
    const nnrt::AttributeMap attributes = {{"factor", dims({third, 1})}};
    CHECK_THROWS(run_case(make("resize_nearest", attributes, {x}, {y.info}), isa), nnrt::Error);
    CHECK_THROWS(run_case(make("resize_nearest_backward", attributes, {y}, {x.info}), isa),
                 nnrt::Error);
    const nnrt::AttributeMap axis = {{"axis", int64_t{1}}};
    CHECK_THROWS(run_case(make("concat", axis, {x, x}, {{DType::f32, {1, 5, 2, 1}}}), isa),
                 nnrt::Error);
    CHECK_THROWS(run_case(make("concat", axis, {x, x}, {{DType::f32, {1, 7, 2, 1}}}), isa),
                 nnrt::Error);
  }
}

}  // namespace

int main() {
  test_pool_indices();
  test_windows_of_padding();
  test_huge_windows();
  test_windows_are_checked();
  test_convolutions();
  test_ids();
  test_labels();
  test_wrapped_sizes();
  return finish();
}
