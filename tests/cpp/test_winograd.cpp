// Winograd convolutions: every direction and instruction set against plain float64 loops, whatever
// the sizes, the padding and the cut of the work; the same bits however the units are cut; and the
// rounding error beside the direct sum's.
#include <cmath>
#include <cstdio>
#include <string>

#include "cpu/conv/winograd/winograd.h"
#include "kernel_runner.h"
#include "test.h"

namespace nnrt {
BoundKernel bind_conv2d(const BindRequest& request);
BoundKernel bind_conv2d_backward_data(const BindRequest& request);
BoundKernel bind_conv2d_backward_weight(const BindRequest& request);
}  // namespace nnrt

namespace {

using nnrt::ConvDirection;
using test::Cut;
using test::Job;
using test::Tensor;

struct Case {
  int64_t images, height, width, channels, results;
  int64_t top, bottom, left, right;
  int64_t stride = 1, taps = 3;

  bool valid() const { return height + top + bottom >= taps && width + left + right >= taps; }
  nnrt::Shape x() const { return {images, height, width, channels}; }
  nnrt::Shape w() const { return {taps, taps, channels, results}; }
  nnrt::Shape y() const {
    return {images, (height + top + bottom - taps) / stride + 1,
            (width + left + right - taps) / stride + 1, results};
  }
  nnrt::AttributeMap attributes() const {
    return {{"stride", test::dims({stride, stride})},
            {"padding", test::dims({top, bottom, left, right})},
            {"dilation", test::dims({1, 1})},
            {"groups", int64_t{1}}};
  }
  int64_t depth(ConvDirection direction) const {
    if (direction == ConvDirection::forward) return taps * taps * channels;
    if (direction == ConvDirection::backward_data) return taps * taps * results;
    return images * y()[1] * y()[2];
  }
};

nnrt::ConvShape shape_of(const nnrt::BindRequest& request, ConvDirection direction) {
  const auto& operands = request.operands;
  const auto& results = request.results;
  switch (direction) {
    case ConvDirection::forward:
      return nnrt::conv_shape(request, operands[0], operands[1], results[0], true);
    case ConvDirection::backward_data:
      return nnrt::conv_shape(request, results[0], operands[1], operands[0], false);
    default:
      return nnrt::conv_shape(request, operands[0], results[0], operands[1], false);
  }
}

// The cut at hand: binding functions have no room for it.
const nnrt::WinogradCut* cut_of_work = nullptr;
const nnrt::WinogradWeightCut* cut_of_weight = nullptr;

template <ConvDirection direction>
nnrt::BoundKernel bind(const nnrt::BindRequest& request) {
  const nnrt::ConvShape shape = shape_of(request, direction);
  CHECK(nnrt::winograd_scheme(shape, direction, request.isa) != nnrt::WinogradScheme::none);
  if (direction == ConvDirection::backward_weight) {
    return nnrt::bind_winograd_weight(request, shape, cut_of_weight);
  }
  return nnrt::bind_winograd(request, shape, direction, cut_of_work);
}

test::Bind bind_of(ConvDirection direction) {
  switch (direction) {
    case ConvDirection::forward:
      return &bind<ConvDirection::forward>;
    case ConvDirection::backward_data:
      return &bind<ConvDirection::backward_data>;
    default:
      return &bind<ConvDirection::backward_weight>;
  }
}

test::Bind direct_of(ConvDirection direction) {
  switch (direction) {
    case ConvDirection::forward:
      return &nnrt::bind_conv2d;
    case ConvDirection::backward_data:
      return &nnrt::bind_conv2d_backward_data;
    default:
      return &nnrt::bind_conv2d_backward_weight;
  }
}

// x, w and dy of a case; in each direction one of them is the result.
struct Operands {
  Tensor<float> x, w, dy, result_row, channel_row;

  explicit Operands(const Case& sizes, bool relu = false)
      : x(test::random_tensor<float>(sizes.x(), 1)),
        w(test::random_tensor<float>(sizes.w(), 2)),
        dy(test::random_tensor<float>(sizes.y(), 3)),
        result_row(test::random_tensor<float>({sizes.results}, 4)),
        channel_row(test::random_tensor<float>({sizes.channels}, 5)) {
    if (relu) {
      for (float& value : x.values) value = std::max(value, 0.0f);
    }
  }
  Job<float> job(const Case& sizes, ConvDirection direction, bool with_tile) const {
    switch (direction) {
      case ConvDirection::forward:
        return {bind_of(direction),
                sizes.attributes(),
                {&x, &w},
                sizes.y(),
                with_tile ? &result_row : nullptr};
      case ConvDirection::backward_data:
        return {bind_of(direction),
                sizes.attributes(),
                {&dy, &w},
                sizes.x(),
                with_tile ? &channel_row : nullptr};
      default:
        return {bind_of(direction), sizes.attributes(), {&x, &dy}, sizes.w(), nullptr};
    }
  }
};

constexpr ConvDirection kDirections[] = {ConvDirection::forward, ConvDirection::backward_data,
                                         ConvDirection::backward_weight};

// The convolution's products one by one, in float64.
Tensor<double> plain(const Case& sizes, const Operands& operands, ConvDirection direction,
                     bool with_tile) {
  Tensor<double> result(direction == ConvDirection::forward         ? sizes.y()
                        : direction == ConvDirection::backward_data ? sizes.x()
                                                                    : sizes.w());
  const int64_t rows = sizes.y()[1], columns = sizes.y()[2];
  for (int64_t n = 0; n < sizes.images; ++n) {
    const int64_t taps = sizes.taps * sizes.taps;
    for (int64_t index = 0; index < rows * columns * taps; ++index) {
      const int64_t i = index / taps / columns, j = index / taps % columns;
      const int64_t r = index % taps / sizes.taps, s = index % sizes.taps;
      const int64_t row = i * sizes.stride + r - sizes.top;
      const int64_t column = j * sizes.stride + s - sizes.left;
      if (row < 0 || column < 0 || row >= sizes.height || column >= sizes.width) continue;
      const int64_t x = ((n * sizes.height + row) * sizes.width + column) * sizes.channels;
      const int64_t y = ((n * rows + i) * columns + j) * sizes.results;
      const int64_t w = (r * sizes.taps + s) * sizes.channels * sizes.results;
      for (int64_t c = 0; c < sizes.channels; ++c) {
        const float* weights = operands.w.values.data() + w + c * sizes.results;
        const float* gradient = operands.dy.values.data() + y;
        const double pixel = operands.x.values[static_cast<size_t>(x + c)];
        double* to = result.values.data();
        if (direction == ConvDirection::forward) {
          for (int64_t o = 0; o < sizes.results; ++o) to[y + o] += pixel * weights[o];
        } else if (direction == ConvDirection::backward_data) {
          for (int64_t o = 0; o < sizes.results; ++o) {
            to[x + c] += static_cast<double>(gradient[o]) * weights[o];
          }
        } else {
          for (int64_t o = 0; o < sizes.results; ++o) {
            to[w + c * sizes.results + o] += pixel * gradient[o];
          }
        }
      }
    }
  }
  if (with_tile) {
    const Tensor<float>& row =
        direction == ConvDirection::forward ? operands.result_row : operands.channel_row;
    for (size_t i = 0; i < result.values.size(); ++i) {
      const double sum = result.values[i] + row.values[i % row.values.size()];
      result.values[i] = std::max(sum, 0.0) * 0.5;
    }
  }
  return result;
}

// Products of numbers in [-1, 1] have an rms of 1/3; the largest error of the points chosen is
// about 2e-5 of the sum's.
double tolerance(int64_t depth) { return 1e-5 * (1.0 + std::sqrt(static_cast<double>(depth))); }

void check_direction(const Case& sizes, const Operands& operands, ConvDirection direction,
                     bool with_tile, bool every_cut) {
  const bool tile = with_tile && direction != ConvDirection::backward_weight;
  const Job<float> job = operands.job(sizes, direction, tile);
  const Tensor<double> expected = plain(sizes, operands, direction, tile);
  for (nnrt::Isa isa : test::available_isas()) {
    if (isa == nnrt::Isa::reference) continue;
    std::string algorithm;
    const Tensor<float> found = test::run(job, isa, Cut::whole, &algorithm);
    CHECK(algorithm.find("winograd") == 0);
    const double difference = test::largest_difference(found, expected);
    if (!CHECK(difference <= tolerance(sizes.depth(direction)))) {
      std::printf("  %s %s direction %d: %ld x %ldx%ld x %ld to %ld, padding %ld %ld %ld %ld: %g\n",
                  nnrt::name_of(isa), algorithm.c_str(), static_cast<int>(direction),
                  static_cast<long>(sizes.images), static_cast<long>(sizes.height),
                  static_cast<long>(sizes.width), static_cast<long>(sizes.channels),
                  static_cast<long>(sizes.results), static_cast<long>(sizes.top),
                  static_cast<long>(sizes.bottom), static_cast<long>(sizes.left),
                  static_cast<long>(sizes.right), difference);
    }
    if (cut_of_work != nullptr) {
      Job<float> fixed = job;
      fixed.fixed = true;
      CHECK(test::same_bits(found, test::run(fixed, isa)));
    }
    if (every_cut) {
      CHECK(test::same_bits(found, test::run(job, isa, Cut::single)));
      CHECK(test::same_bits(found, test::run(job, isa, Cut::backward)));
      test::check_threads(job, isa, found);
      if (direction != ConvDirection::backward_weight && !tile) test::check_spread(job, isa, found);
    }
  }
}

// The epilogue that is applied in registers.
void check_epilogue(const Case& sizes, const Operands& operands, ConvDirection direction) {
  Job<float> job = operands.job(sizes, direction, true);
  const Tensor<float> other = test::random_tensor<float>(job.result, 6);
  job.other = &other;
  Tensor<double> expected = plain(sizes, operands, direction, false);
  for (size_t i = 0; i < expected.values.size(); ++i) {
    const double bound = other.values[i];
    const double row = job.row->values[i % job.row->values.size()];
    const double sum = (expected.values[i] + row) + (bound + row);
    expected.values[i] = std::clamp(bound > 0 && bound < 0.5 ? sum : 0.0, -0.25, 0.75);
  }
  for (nnrt::Isa isa : test::available_isas()) {
    if (isa == nnrt::Isa::reference) continue;
    const Tensor<float> found = test::run(job, isa);
    CHECK(test::largest_difference(found, expected) <= tolerance(sizes.depth(direction)));
    test::check_spread(job, isa, found);
  }
}

void check_case(const Case& sizes, bool with_tile, bool every_cut) {
  if (!sizes.valid()) return;
  const Operands operands(sizes);
  for (ConvDirection direction : kDirections) {
    if (sizes.taps > 3 && direction == ConvDirection::backward_data) continue;
    check_direction(sizes, operands, direction, with_tile, every_cut);
    if (with_tile && direction != ConvDirection::backward_weight)
      check_epilogue(sizes, operands, direction);
  }
}

void test_extents() {
  for (int64_t height = 1; height <= 19; ++height) {
    const int64_t width = 1 + height * 7 % 19;
    check_case({2, height, width, 5, 18, 1, 1, 1, 1}, height % 2 == 0, height % 6 == 0);
    check_case({1, width, height, 20, 3, 1, 1, 1, 1}, height % 2 == 1, false);
  }
}

// Tiles of fewer positions at both edges, and blocks that begin and end anywhere among them.
void test_edges() {
  for (int64_t edge = 1; edge <= 3; ++edge) {
    const Case sizes{5, 4 + edge, 8 + edge, 19, 37, 1, 1, 1, 1};
    check_case(sizes, true, true);
    check_case({2, edge, edge, 19, 37, 1, 1, 1, 1}, false, true);
    const Operands operands(sizes);
    for (int64_t block : {1, 4, 7}) {
      const nnrt::WinogradCut forward{block, sizes.channels, 1, true};
      cut_of_work = &forward;
      check_direction(sizes, operands, ConvDirection::forward, true, true);
      const nnrt::WinogradCut backward{block, sizes.results, 1, false};
      cut_of_work = &backward;
      check_direction(sizes, operands, ConvDirection::backward_data, true, true);
      const nnrt::WinogradCut small{block, sizes.channels, 1, block < 7, 2};
      cut_of_work = &small;
      check_direction(sizes, operands, ConvDirection::forward, edge == 1, true);
      cut_of_work = nullptr;
      const nnrt::WinogradWeightCut weight{block, sizes.channels, sizes.results, 3};
      cut_of_weight = &weight;
      check_direction(sizes, operands, ConvDirection::backward_weight, false, true);
      cut_of_weight = nullptr;
    }
  }
}

void test_padding() {
  for (int64_t top = 0; top <= 2; ++top) {
    for (int64_t bottom = 0; bottom <= 2; ++bottom) {
      for (int64_t left = 0; left <= 2; ++left) {
        check_case({2, 7, 6, 4, 6, top, bottom, left, 2 - bottom}, left == 1, false);
        check_case({1, 4, 9, 17, 9, top, bottom, left, top}, left == 2, false);
      }
    }
  }
}

void test_channels() {
  bool tile = false;
  for (int64_t channels : {1, 2, 3, 7, 8, 15, 16, 17, 31, 64, 65, 130}) {
    for (int64_t results : {1, 5, 16, 17, 33, 64, 100, 130}) {
      tile = !tile;
      check_case({1 + (channels + results) % 3, 6, 9, channels, results, 1, 1, 1, 1}, tile,
                 results == 33);
    }
  }
}

// Every way through the work, with tiles of both sizes, whatever the model would choose.
void test_cuts() {
  const Case sizes{3, 13, 10, 70, 135, 1, 1, 1, 1};
  const Operands operands(sizes);
  const int64_t tiles = 3 * 4 * 3;
  for (const nnrt::WinogradCut& cut :
       {nnrt::WinogradCut{5, 1000, 1000, true}, nnrt::WinogradCut{tiles, 1000, 1, true},
        nnrt::WinogradCut{7, 32, 1, true}, nnrt::WinogradCut{12, 16, 1, false},
        nnrt::WinogradCut{tiles + 9, 33, 1, false}, nnrt::WinogradCut{1, 1000, 2, false},
        nnrt::WinogradCut{5, 1000, 1000, true, 2}, nnrt::WinogradCut{17, 32, 1, true, 2},
        nnrt::WinogradCut{12, 33, 1, false, 2}}) {
    for (ConvDirection direction : {ConvDirection::forward, ConvDirection::backward_data}) {
      for (bool tile : {false, true}) {
        nnrt::WinogradCut whole = cut;
        const bool forward = direction == ConvDirection::forward;
        whole.channel_block =
            std::min(whole.channel_block, forward ? sizes.channels : sizes.results);
        cut_of_work = &whole;
        check_direction(sizes, operands, direction, tile, true);
        cut_of_work = nullptr;
      }
    }
  }
  for (const nnrt::WinogradWeightCut& cut :
       {nnrt::WinogradWeightCut{4, 70, 135, 1}, nnrt::WinogradWeightCut{5, 30, 64, 3},
        nnrt::WinogradWeightCut{tiles + 9, 6, 64, 1}, nnrt::WinogradWeightCut{1, 70, 64, 50}}) {
    cut_of_weight = &cut;
    check_direction(sizes, operands, ConvDirection::backward_weight, false, true);
    cut_of_weight = nullptr;
  }
}

// Stride 2: every extent, padding and edge, channels in whole vectors of all instruction sets, and
// every way through the work.
void test_strided() {
  for (int64_t height = 1; height <= 19; ++height) {
    const int64_t width = 1 + height * 7 % 19, top = height % 4;
    check_case({2, height, width, 16, 48, 1, 1, 1, 1, 2}, height % 2 == 0, height % 6 == 0);
    check_case({1, width, height, 32, 16, top % 3, (top + 1) % 3, top, height % 3, 2},
               height % 2 == 1, false);
  }
  for (int64_t results : {16, 64, 80, 144}) {
    check_case({3, 10, 9, 208 - results, results, 0, 1, 0, 1, 2}, results == 80, results == 16);
  }
  const Case sizes{3, 27, 21, 80, 144, 1, 1, 1, 1, 2};
  const Operands operands(sizes);
  for (const nnrt::WinogradCut& cut :
       {nnrt::WinogradCut{5, 1000, 1000}, nnrt::WinogradCut{36, 1000, 1},
        nnrt::WinogradCut{7, 32, 2}, nnrt::WinogradCut{12, 16, 1000},
        nnrt::WinogradCut{1, 48, 1}}) {
    for (ConvDirection direction : {ConvDirection::forward, ConvDirection::backward_data}) {
      nnrt::WinogradCut whole = cut;
      const bool forward = direction == ConvDirection::forward;
      whole.channel_block = std::min(cut.channel_block, forward ? sizes.channels : sizes.results);
      cut_of_work = &whole;
      check_direction(sizes, operands, direction, true, true);
      cut_of_work = nullptr;
    }
  }
  for (const nnrt::WinogradWeightCut& cut :
       {nnrt::WinogradWeightCut{4, 80, 144, 1}, nnrt::WinogradWeightCut{5, 32, 64, 3},
        nnrt::WinogradWeightCut{60, 16, 64, 1}, nnrt::WinogradWeightCut{1, 80, 64, 50}}) {
    cut_of_weight = &cut;
    check_direction(sizes, operands, ConvDirection::backward_weight, false, true);
    cut_of_weight = nullptr;
  }
}

// 7x7 and 8x8 taps of stride 2 on one to four channels.
void test_folded() {
  for (int64_t height = 1; height <= 33; height += 2) {
    const int64_t width = 1 + height * 7 % 33, pad = height % 4;
    const int64_t channels = 1 + height / 2 % 4, taps = 7 + height / 4 % 2;
    check_case({3, height, width, channels, 32, 3, 3, 3, 3, 2, taps}, height % 4 == 1,
               height % 6 == 1);
    check_case({1, width, height, channels, 80, pad, 3, 2, 3 - pad, 2, taps}, height % 4 == 3,
               false);
  }
  check_case({2, 40, 90, 3, 144, 3, 3, 3, 3, 2, 7}, true, true);
}

// A transposed convolution may give more pixels than the windows of its source cover.
void test_transposed(const Case& sizes, const nnrt::Shape& source) {
  const Operands operands(sizes);
  const Tensor<float> dy = test::random_tensor<float>(source, 3);
  Job<float> job = operands.job(sizes, ConvDirection::backward_data, false);
  job.operands = {&dy, &operands.w};
  Job<float> direct = job;
  direct.bind = direct_of(ConvDirection::backward_data);
  const Tensor<double> expected = test::exact(direct);
  for (nnrt::Isa isa : test::available_isas()) {
    if (isa == nnrt::Isa::reference) continue;
    CHECK(test::largest_difference(test::run(job, isa), expected) <= tolerance(9 * sizes.results));
  }
}

std::string algorithm_of(Job<float> job, ConvDirection direction, nnrt::Isa isa, bool strict) {
  job.bind = direct_of(direction);
  job.strict = strict;
  std::string name;
  test::run(job, isa, Cut::whole, &name);
  return name;
}

// It is taken where it pays, and where the sizes and the precision allow it.
void test_choice() {
  const Case wide{2, 28, 28, 64, 64, 1, 1, 1, 1}, narrow{2, 28, 28, 64, 1, 1, 1, 1, 1};
  const Operands operands(wide), few(narrow);
  for (nnrt::Isa isa : test::available_isas()) {
    for (ConvDirection direction : kDirections) {
      const Job<float> job = operands.job(wide, direction, false);
      const bool vectors = isa != nnrt::Isa::reference;
      CHECK((algorithm_of(job, direction, isa, false).find("winograd") == 0) == vectors);
      CHECK(algorithm_of(job, direction, isa, true).find("winograd") != 0);
    }
    const ConvDirection forward = ConvDirection::forward;
    CHECK(algorithm_of(few.job(narrow, forward, false), forward, isa, false).find("winograd") != 0);
  }
  // Of stride 2 with channels in whole vectors.
  const Case even{8, 28, 28, 64, 64, 1, 1, 1, 1, 2}, odd{8, 28, 28, 63, 64, 1, 1, 1, 1, 2};
  const Operands of_even(even), of_odd(odd);
  for (nnrt::Isa isa : test::available_isas()) {
    for (ConvDirection direction : kDirections) {
      const Job<float> job = of_even.job(even, direction, false);
      const bool vectors = isa != nnrt::Isa::reference;
      CHECK((algorithm_of(job, direction, isa, false).find("winograd") == 0) == vectors);
      CHECK(algorithm_of(job, direction, isa, true).find("winograd") != 0);
      CHECK(
          algorithm_of(of_odd.job(odd, direction, false), direction, isa, false).find("winograd") !=
          0);
    }
  }
}

struct Errors {
  double rms = 0, largest = 0;  // relative to the rms of what is expected
};
Errors errors_of(const Tensor<float>& found, const Tensor<double>& expected) {
  double squares = 0, scale = 0;
  Errors errors;
  for (size_t i = 0; i < expected.values.size(); ++i) {
    const double difference = found.values[i] - expected.values[i];
    squares += difference * difference;
    scale += expected.values[i] * expected.values[i];
    errors.largest = std::max(errors.largest, std::abs(difference));
  }
  errors.rms = std::sqrt(squares / scale);
  errors.largest /= std::sqrt(scale / static_cast<double>(expected.values.size()));
  return errors;
}

// Positive pixels (what ReLU leaves): the bounds are twice what is measured.
void test_accuracy(const Case& sizes, const nnrt::WinogradCut* cut = nullptr) {
  const Operands operands(sizes, true);
  for (ConvDirection direction : kDirections) {
    if (sizes.taps > 3 && direction == ConvDirection::backward_data) continue;
    if (cut != nullptr && direction != ConvDirection::forward) continue;
    cut_of_work = cut;
    const Tensor<double> expected = plain(sizes, operands, direction, false);
    for (nnrt::Isa isa : test::available_isas()) {
      if (isa == nnrt::Isa::reference) continue;
      Job<float> job = operands.job(sizes, direction, false);
      const Errors winograd = errors_of(test::run(job, isa), expected);
      job.bind = direct_of(direction);
      job.strict = true;
      const Errors direct = errors_of(test::run(job, isa), expected);
      std::printf("error %s %d taps, stride %d, direction %d%s: ", nnrt::name_of(isa),
                  static_cast<int>(sizes.taps), static_cast<int>(sizes.stride),
                  static_cast<int>(direction), cut != nullptr ? ", small tiles" : "");
      std::printf("rms %.2g largest %.2g, direct %.2g %.2g\n", winograd.rms, winograd.largest,
                  direct.rms, direct.largest);
      CHECK(winograd.rms < 3e-6);
      CHECK(winograd.largest < 3e-5);
    }
    cut_of_work = nullptr;
  }
}

// Few tiles of many channels, few channels of many tiles.
void test_threads() {
  for (int64_t stride : {1, 2}) {
    check_case({1, 14, 14, 64, 272, 1, 1, 1, 1, stride}, true, true);
    check_case({5, 29, 30, 32, 48, 1, 1, 1, 1, stride}, false, true);
    check_case({2, 64, 64, 16, 16, 1, 1, 1, 1, stride}, false, true);
  }
}

}  // namespace

int main() {
  test_extents();
  test_edges();
  test_padding();
  test_channels();
  test_cuts();
  test_threads();
  test_strided();
  test_folded();
  test_transposed({2, 9, 11, 8, 20, 1, 1, 1, 1}, {2, 8, 9, 20});
  test_transposed({2, 19, 12, 16, 32, 1, 1, 1, 1, 2}, {2, 8, 5, 32});
  test_choice();
  test_accuracy({2, 12, 12, 256, 64, 1, 1, 1, 1});
  const nnrt::WinogradCut small{12, 256, 1, true, 2};
  test_accuracy({2, 12, 12, 256, 64, 1, 1, 1, 1}, &small);
  test_accuracy({2, 24, 24, 256, 64, 1, 1, 1, 1, 2});
  test_accuracy({2, 56, 56, 3, 64, 3, 3, 3, 3, 2, 7});
  return test::finish();
}
