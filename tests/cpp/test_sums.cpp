// Sums that the convolution before takes: near those of batch norm by itself, and the same bits for
// any number of threads, in every instruction set.
#include "plan_runner.h"

using namespace nnrt;
using namespace nnrt::test;

namespace {

struct Net {
  int64_t images, height, width, channels, wide, deep, stride;
  std::string epilogue;  // on the gradient that batch norm takes
};

int64_t reduced(int64_t extent, int64_t stride) { return (extent - 1) / stride + 1; }

Shape middle_of(const Net& net) {
  return {net.images, reduced(net.height, net.stride), reduced(net.width, net.stride), net.wide};
}
Shape last_of(const Net& net) {
  const Shape middle = middle_of(net);
  return {net.images, reduced(middle[1], net.stride), reduced(middle[2], net.stride), net.deep};
}

std::vector<std::string> images(const Shape& shape) {
  return {"N", text(shape[1]), text(shape[2]), text(shape[3])};
}

// A convolution and batch norm of its result, then the gradients of another convolution, of batch
// norm and of the first one's weights. These are changed: where no weights are, they are kept
// packed, and nobody takes sums.
PlanWriter make_plan(const Net& net) {
  PlanWriter writer;
  const std::vector<std::string> middle = images(middle_of(net));
  const std::vector<std::string> channels = {text(net.wide)};
  const int x = writer.input("x", {"N", text(net.height), text(net.width), text(net.channels)});
  const int other = writer.input("other", middle);
  const int d_result = writer.input("d_result", images(last_of(net)));
  const int first = writer.variable("first", {3, 3, net.channels, net.wide});
  const int second = writer.variable("second", {3, 3, net.wide, net.deep});
  const int scale = writer.variable("scale", {net.wide});
  const int offset = writer.variable("offset", {net.wide});
  const int y = writer.output("y", middle);
  const int mean = writer.output("mean", channels);
  const int variance = writer.output("variance", channels);
  const int da = writer.output("da", middle);
  const int d_scale = writer.output("d_scale", channels);
  const int d_offset = writer.output("d_offset", channels);
  const int a = writer.temporary(middle);
  const int dy = writer.temporary(middle);
  conv(writer, "conv2d", x, first, a, net.stride, 1, 1);
  writer.step("batch_norm", {a, scale, offset}, {y, mean, variance}).attributes["epsilon"] = 1e-3;
  StepSpec& data = conv(writer, "conv2d_backward_data", d_result, second, dy, net.stride, 1, 1);
  if (!net.epilogue.empty()) data.tile = writer.epilogue(net.epilogue, dy, other, middle);
  StepSpec& gradient = writer.step("batch_norm_backward", {a, scale, offset, mean, variance, dy},
                                   {da, d_scale, d_offset});
  gradient.attributes["epsilon"] = 1e-3;
  gradient.attributes["low"] = 0.0;
  conv(writer, "conv2d_backward_weight", x, da, first, net.stride, 1, 1);
  return writer;
}

int64_t taken_in(const Binding& binding) {
  return std::count_if(binding.main.steps.begin(), binding.main.steps.end(),
                       [](const BoundStep& step) { return step.reduction != nullptr; });
}

const std::vector<Net>& nets() {
  static const std::vector<Net> all = {{32, 31, 29, 16, 48, 40, 1, ""},
                                       {16, 28, 28, 24, 136, 72, 1, "add"},
                                       {40, 33, 30, 20, 36, 60, 1, "div"},
                                       {192, 7, 8, 24, 80, 64, 1, ""},
                                       {24, 64, 63, 16, 64, 64, 2, "add"}};
  return all;
}

std::vector<std::vector<float>> run_net(const Net& net, Isa isa, int threads, int64_t* taken) {
  const Shape image = {net.images, net.height, net.width, net.channels};
  return run_plan(make_plan(net), {image, middle_of(net), last_of(net)}, isa, threads,
                  [taken](const Binding& binding) { *taken = taken_in(binding); });
}

// Which of the nets it pays for follows from the machine's caches.
void sums_are_taken_where_pixels_are_made() {
  std::vector<std::vector<std::vector<float>>> wanted;
  for (const Net& net : nets()) {
    int64_t taken = 0;
    wanted.push_back(run_net(net, Isa::reference, 2, &taken));
    CHECK(taken == 0);
  }
  for (Isa isa : {Isa::generic, Isa::avx2, Isa::avx512, Isa::neon}) {
    if (!is_available(isa)) continue;
    int64_t all_taken = 0;
    for (size_t n = 0; n < nets().size(); ++n) {
      int64_t taken = 0;
      const std::vector<std::vector<float>> found = run_net(nets()[n], isa, 1, &taken);
      all_taken += taken;
      for (size_t i = 0; i < found.size(); ++i) CHECK(near(found[i], wanted[n][i]));
      for (int threads : {2, 3, 16}) {
        int64_t again = 0;
        CHECK(run_net(nets()[n], isa, threads, &again) == found);
        CHECK(again == taken);
      }
    }
    CHECK(all_taken > 0);
  }
}

}  // namespace

int main() {
  return run_tests(
      {{"sums are taken where pixels are made", sums_are_taken_where_pixels_are_made}});
}
