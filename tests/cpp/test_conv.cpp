// Convolutions and their gradients: every instruction set against the float64 reference, the
// reference against the definition of a gradient, and the same bits however the units are cut.
#include <cmath>
#include <cstdio>
#include <string>

#include "kernel_runner.h"
#include "test.h"

namespace nnrt {
BoundKernel bind_conv2d(const BindRequest& request);
BoundKernel bind_conv2d_backward_data(const BindRequest& request);
BoundKernel bind_conv2d_backward_weight(const BindRequest& request);
void check_conv2d(const StepSpec& step, const std::vector<BufferSpec>& buffers);
}  // namespace nnrt

namespace {

using test::Cut;
using test::Job;
using test::Tensor;

struct Case {
  int64_t images = 1, height = 1, width = 1, channels = 1, results = 1;
  int64_t kernel_height = 1, kernel_width = 1;
  int64_t stride_height = 1, stride_width = 1;
  int64_t top = 0, bottom = 0, left = 0, right = 0;
  int64_t dilation_height = 1, dilation_width = 1;
  int64_t groups = 1;

  int64_t out(int64_t in, int64_t pad, int64_t kernel, int64_t stride, int64_t dilation) const {
    return (in + pad - dilation * (kernel - 1) - 1) / stride + 1;
  }
  bool valid() const {
    return height + top + bottom > dilation_height * (kernel_height - 1) &&
           width + left + right > dilation_width * (kernel_width - 1);
  }
  nnrt::Shape x() const { return {images, height, width, channels}; }
  nnrt::Shape w() const { return {kernel_height, kernel_width, channels / groups, results}; }
  nnrt::Shape y() const {
    return {images, out(height, top + bottom, kernel_height, stride_height, dilation_height),
            out(width, left + right, kernel_width, stride_width, dilation_width), results};
  }
  nnrt::AttributeMap attributes() const {
    return {{"stride", test::dims({stride_height, stride_width})},
            {"padding", test::dims({top, bottom, left, right})},
            {"dilation", test::dims({dilation_height, dilation_width})},
            {"groups", groups}};
  }
  std::string text() const {
    std::string result;
    for (int64_t value :
         {images, height, width, channels, results, kernel_height, kernel_width, stride_height,
          stride_width, top, bottom, left, right, dilation_height, dilation_width, groups}) {
      result += std::to_string(value) + " ";
    }
    return result;
  }
};

double tolerance(int64_t depth) {
  return 1e-6 * (4.0 + 4.0 * std::sqrt(static_cast<double>(depth)));
}

// The direct algorithms; test_winograd.cpp has the other one.
void check_job(Job<float> job, int64_t depth, const Case& sizes, const char* name, bool every_cut) {
  job.strict = true;
  const Tensor<double> expected = test::exact(job);
  for (nnrt::Isa isa : test::available_isas()) {
    std::string algorithm;
    const Tensor<float> found = test::run(job, isa, Cut::whole, &algorithm);
    const double difference = test::largest_difference(found, expected);
    if (!CHECK(difference <= tolerance(depth))) {
      std::printf("  %s %s %s: %s: %g\n", name, nnrt::name_of(isa), algorithm.c_str(),
                  sizes.text().c_str(), difference);
    }
    Job<float> fixed = job;
    fixed.fixed = true;
    CHECK(test::same_bits(found, test::run(fixed, isa)));
    if (every_cut) {
      CHECK(test::same_bits(found, test::run(job, isa, Cut::single)));
      CHECK(test::same_bits(found, test::run(job, isa, Cut::backward)));
      test::check_threads(job, isa, found);
      const bool program = job.row != nullptr && job.other == nullptr;
      const bool images = job.bind != &nnrt::bind_conv2d_backward_weight;
      if (images && !program && algorithm.find("conv narrow") != 0)
        test::check_spread(job, isa, found);
    }
  }
}

void check_case(const Case& sizes, bool with_tile, bool every_cut) {
  if (!sizes.valid()) return;
  const Tensor<float> x = test::random_tensor<float>(sizes.x(), 1);
  const Tensor<float> w = test::random_tensor<float>(sizes.w(), 2);
  const Tensor<float> dy = test::random_tensor<float>(sizes.y(), 3);
  const Tensor<float> result_row = test::random_tensor<float>({sizes.results}, 4);
  const Tensor<float> channel_row = test::random_tensor<float>({sizes.channels}, 5);
  const int64_t taps = sizes.kernel_height * sizes.kernel_width;
  Job<float> forward{&nnrt::bind_conv2d,
                     sizes.attributes(),
                     {&x, &w},
                     sizes.y(),
                     with_tile ? &result_row : nullptr};
  check_job(forward, taps * sizes.channels / sizes.groups, sizes, "forward", every_cut);
  Job<float> data{&nnrt::bind_conv2d_backward_data,
                  sizes.attributes(),
                  {&dy, &w},
                  sizes.x(),
                  with_tile ? &channel_row : nullptr};
  check_job(data, taps * sizes.results / sizes.groups, sizes, "data", every_cut);
  const Tensor<float> result_other = test::random_tensor<float>(sizes.y(), 6);
  const Tensor<float> channel_other = test::random_tensor<float>(sizes.x(), 7);
  if (with_tile) {
    forward.other = &result_other;
    check_job(forward, taps * sizes.channels / sizes.groups, sizes, "forward finish", every_cut);
    data.other = &channel_other;
    check_job(data, taps * sizes.results / sizes.groups, sizes, "data finish", every_cut);
  }
  Job<float> weight{
      &nnrt::bind_conv2d_backward_weight, sizes.attributes(), {&x, &dy}, sizes.w(), nullptr};
  check_job(weight, sizes.images * dy.shape[1] * dy.shape[2], sizes, "weight", every_cut);
}

void test_channels() {
  bool tile = false;
  for (int64_t channels : {1, 3, 5, 16, 17, 64, 65}) {
    for (int64_t results : {1, 10, 33, 64, 100}) {
      for (int64_t images : {1, 3}) {
        tile = !tile;
        check_case({images, 9, 7, channels, results, 3, 3, 1, 1, 1, 1, 1, 1}, tile,
                   images == 3 && results == 33);
        check_case({images, 6, 5, channels, results}, !tile, images == 3 && results == 33);
        check_case({images, 9, 8, channels, results, 3, 2, 2, 2, 1, 0, 0, 1}, tile,
                   images == 3 && results == 33);
      }
    }
  }
}

// Strides, dilations and paddings on either side, kernels wider than the image's rest, and strides
// wider than the kernel.
void test_geometry() {
  const int64_t kernels[][2] = {{1, 1}, {3, 3}, {2, 5}, {4, 1}};
  const int64_t strides[][2] = {{1, 1}, {2, 2}, {3, 1}, {2, 4}};
  const int64_t dilations[][2] = {{1, 1}, {2, 3}};
  const int64_t paddings[][4] = {{0, 0, 0, 0}, {1, 1, 1, 1}, {2, 0, 1, 3}, {4, 4, 0, 5}};
  bool tile = false;
  for (auto& kernel : kernels) {
    for (auto& stride : strides) {
      for (auto& dilation : dilations) {
        for (auto& padding : paddings) {
          tile = !tile;
          check_case({2, 11, 10, 5, 7, kernel[0], kernel[1], stride[0], stride[1], padding[0],
                      padding[1], padding[2], padding[3], dilation[0], dilation[1]},
                     tile, true);
        }
      }
    }
  }
}

void test_groups() {
  for (int64_t stride : {1, 2}) {
    for (bool tile : {false, true}) {
      check_case({2, 8, 9, 12, 18, 3, 3, stride, stride, 1, 1, 1, 1, 1, 1, 3}, tile, true);
      check_case({2, 8, 9, 140, 140, 3, 3, stride, stride, 1, 1, 1, 1, 1, 1, 2}, tile, true);
      for (int64_t channels : {2, 5, 16, 37, 64, 70}) {
        for (int64_t multiplier : {1, 2, 3}) {
          check_case({2, 8, 9, channels, channels * multiplier, 3, 3, stride, stride, 1, 0, 2, 1, 1,
                      1, channels},
                     tile, true);
        }
      }
      check_case({3, 20, 31, 48, 48, 5, 5, stride, stride, 2, 2, 2, 2, 1, 1, 48}, tile, true);
      check_case({1, 9, 9, 24, 24, 3, 3, stride, 1, 0, 0, 0, 0, 2, 2, 24}, tile, true);
      check_case({3, 9, 4, 24, 24, 3, 3, stride, 1, 3, 2, 4, 3, 2, 1, 24}, tile, true);
      check_case({2, 40, 41, 40, 40, 3, 3, stride, stride, 1, 1, 1, 1, 1, 1, 40}, tile, true);
      check_case({9, 7, 7, 72, 72, 4, 3, stride, stride, 1, 1, 1, 1, 1, 1, 72}, tile, true);
    }
  }
}

// Shapes large enough for several blocks of rows, of images, of strips and of channels, and for
// parts of the pixels.
void test_blocks() {
  for (bool tile : {false, true}) {
    check_case({3, 28, 28, 1, 32, 5, 5}, tile, true);
    check_case({7, 14, 14, 32, 64, 5, 5, 1, 1, 2, 2, 2, 2}, tile, true);
    check_case({2, 56, 57, 20, 40, 3, 3, 1, 1, 1, 1, 1, 1}, tile, true);
    check_case({2, 40, 37, 24, 24, 3, 3, 2, 2, 1, 1, 1, 1}, tile, true);
    check_case({9, 7, 7, 130, 200, 3, 3, 1, 1, 1, 1, 1, 1}, tile, true);
    check_case({40, 3, 3, 16, 20, 3, 3, 1, 1, 1, 1, 1, 1}, tile, true);
    check_case({1, 7, 7, 96, 260, 3, 3, 1, 1, 1, 1, 1, 1}, tile, true);
    check_case({1, 14, 14, 700, 70}, tile, true);
    check_case({2, 14, 14, 1024, 100}, tile, true);
    check_case({1, 4, 3, 2200, 10, 3, 3, 1, 1, 1, 1, 1, 1}, tile, true);
    check_case({5, 28, 27, 130, 70}, tile, true);
    check_case({6, 27, 28, 70, 130, 1, 1, 2, 2}, tile, true);
    check_case({1, 5, 600, 3, 16, 3, 7, 1, 2, 1, 1, 3, 3}, tile, true);
  }
}

// The gradient of the data as a transposed convolution: results that no window covers are zero.
void test_transposed() {
  Case sizes{2, 12, 13, 6, 5, 2, 2, 3, 3};
  check_case(sizes, false, true);
  const Tensor<float> dy = test::random_tensor<float>({2, 3, 3, 5}, 1);
  const Tensor<float> w = test::random_tensor<float>(sizes.w(), 2);
  Job<float> job{
      &nnrt::bind_conv2d_backward_data, sizes.attributes(), {&dy, &w}, sizes.x(), nullptr};
  check_job(job, 20, sizes, "transposed", true);
  job.strict = true;
  for (nnrt::Isa isa : test::available_isas()) {
    const Tensor<float> dx = test::run(job, isa);
    CHECK(dx.values[2 * 6] == 0);  // column 2: no tap
    CHECK(dx.values.back() == 0);  // row 11, beyond the last window
    CHECK(dx.values[0] != 0);
  }
}

double dot(const Tensor<double>& a, const Tensor<double>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.values.size(); ++i) sum += a.values[i] * b.values[i];
  return sum;
}

// Convolution is linear in x and in w: <conv(x, w), dy> = <x, dx> = <w, dw>.
void test_reference_gradients() {
  for (int64_t groups : {1, 2}) {
    const Case sizes{2, 9, 10, 4, 6, 3, 2, 2, 1, 1, 0, 2, 1, 1, 2, groups};
    const auto x = test::random_tensor<double>(sizes.x(), 1),
               w = test::random_tensor<double>(sizes.w(), 2);
    const auto dy = test::random_tensor<double>(sizes.y(), 3);
    const auto reference = nnrt::Isa::reference;
    const auto y =
        test::run(Job<double>{&nnrt::bind_conv2d, sizes.attributes(), {&x, &w}, sizes.y(), nullptr},
                  reference);
    const auto dx = test::run(
        Job<double>{
            &nnrt::bind_conv2d_backward_data, sizes.attributes(), {&dy, &w}, sizes.x(), nullptr},
        reference);
    const auto dw = test::run(
        Job<double>{
            &nnrt::bind_conv2d_backward_weight, sizes.attributes(), {&x, &dy}, sizes.w(), nullptr},
        reference);
    CHECK(std::abs(dot(y, dy) - dot(x, dx)) < 1e-9);
    CHECK(std::abs(dot(y, dy) - dot(w, dw)) < 1e-9);
  }
  // One window by hand: [1 2; 3 4] under [5 6; 7 8].
  Tensor<double> x({1, 2, 2, 1}), w({2, 2, 1, 1});
  x.values = {1, 2, 3, 4};
  w.values = {5, 6, 7, 8};
  const Case sizes{1, 2, 2, 1, 1, 2, 2};
  const auto y = test::run(
      Job<double>{&nnrt::bind_conv2d, sizes.attributes(), {&x, &w}, {1, 1, 1, 1}, nullptr},
      nnrt::Isa::reference);
  CHECK(y.values[0] == 70);
}

std::string forward_algorithm(const Case& sizes, nnrt::Isa isa) {
  const Tensor<float> x(sizes.x()), w(sizes.w());
  std::string name;
  test::run(
      Job<float>{
          &nnrt::bind_conv2d, sizes.attributes(), {&x, &w}, sizes.y(), nullptr, nullptr, true},
      isa, Cut::whole, &name);
  return name;
}

// What is asked for is what runs.
void test_algorithms() {
  const Case direct{2, 16, 16, 32, 64, 3, 3}, pointwise{2, 16, 16, 64, 64},
      narrow{2, 16, 16, 32, 3, 3, 3};
  Case depthwise{2, 16, 16, 32, 32, 3, 3};
  depthwise.groups = 32;
  for (nnrt::Isa isa : test::available_isas()) {
    if (isa == nnrt::Isa::reference) {
      CHECK(forward_algorithm(direct, isa) == "reference");
      continue;
    }
    CHECK(forward_algorithm(direct, isa).rfind("conv direct 6x", 0) == 0);
    CHECK(forward_algorithm(pointwise, isa) == "conv pointwise");
    CHECK(forward_algorithm(narrow, isa) == "conv narrow");
    CHECK(forward_algorithm(depthwise, isa) == "conv depthwise");
  }
  if (nnrt::is_available(nnrt::Isa::avx512))
    CHECK(forward_algorithm(direct, nnrt::Isa::avx512) == "conv direct 6x64");
}

void test_empty() { check_case({0, 5, 5, 3, 4, 3, 3}, false, true); }

void test_mistakes() {
  const Tensor<float> x({1, 5, 5, 4}), w({3, 3, 4, 6});
  const Case sizes{1, 5, 5, 4, 6, 3, 3};
  Job<float> job{&nnrt::bind_conv2d, sizes.attributes(), {&x, &w}, {1, 3, 4, 6}, nullptr};
  CHECK_THROWS(test::run(job, nnrt::Isa::generic), nnrt::Error);
  job.result = {1, 3, 3, 6};
  CHECK(test::run(job, nnrt::Isa::generic).values.size() == 54);
  job.attributes["groups"] = int64_t{3};
  CHECK_THROWS(test::run(job, nnrt::Isa::generic), nnrt::Error);
  job.attributes = sizes.attributes();
  job.attributes["stride"] = test::dims({0, 1});
  CHECK_THROWS(test::run(job, nnrt::Isa::generic), nnrt::Error);
  job.attributes = sizes.attributes();
  job.attributes.erase("padding");
  CHECK_THROWS(test::run(job, nnrt::Isa::generic), nnrt::Error);

  std::vector<nnrt::BufferSpec> buffers(3);
  for (nnrt::BufferSpec& buffer : buffers) buffer.shape.assign(4, test::constant_dim(2));
  nnrt::StepSpec step;
  step.kernel = "conv2d";
  step.operands = {0, 1};
  step.results = {2};
  step.attributes = sizes.attributes();
  nnrt::check_conv2d(step, buffers);
  buffers[1].shape.pop_back();
  CHECK_THROWS(nnrt::check_conv2d(step, buffers), nnrt::Error);
}

}  // namespace

int main() {
  test_reference_gradients();
  test_channels();
  test_geometry();
  test_groups();
  test_blocks();
  test_transposed();
  test_algorithms();
  test_empty();
  test_mistakes();
  return test::finish();
}
