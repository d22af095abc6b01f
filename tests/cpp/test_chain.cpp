// Chains of real kernels: the same bits as step by step, in every instruction set and for any
// number of threads.
#include "cpu/caches.h"
#include "plan_runner.h"

using namespace nnrt;
using namespace nnrt::test;

namespace {

struct Net {
  int64_t images, height, width;
  int64_t channels, wide, small;
  int64_t kernel, stride;
};

// A pointwise, a depthwise and another pointwise convolution. `shown`: what lies between is given
// too, so that no step can join another.
PlanWriter make_plan(const Net& net, bool shown) {
  PlanWriter writer;
  const std::string height = text(net.height), width = text(net.width);
  const int64_t padding = net.kernel / 2;
  const std::string out_height = text((net.height + 2 * padding - net.kernel) / net.stride + 1);
  const std::string out_width = text((net.width + 2 * padding - net.kernel) / net.stride + 1);
  const int x = writer.input("x", {"N", height, width, text(net.channels)});
  const int first = writer.variable("first", {1, 1, net.channels, net.wide});
  const int second = writer.variable("second", {net.kernel, net.kernel, 1, net.wide});
  const int third = writer.variable("third", {1, 1, net.wide, net.small});
  const std::vector<std::string> wide_shape = {"N", height, width, text(net.wide)};
  const std::vector<std::string> deep_shape = {"N", out_height, out_width, text(net.wide)};
  const int y = writer.output("y", {"N", out_height, out_width, text(net.small)});
  const int wide = shown ? writer.output("wide", wide_shape) : writer.temporary(wide_shape);
  const int deep = shown ? writer.output("deep", deep_shape) : writer.temporary(deep_shape);
  conv(writer, "conv2d", x, first, wide, 1, 0, 1);
  conv(writer, "conv2d", wide, second, deep, net.stride, padding, net.wide);
  conv(writer, "conv2d", deep, third, y, 1, 0, 1);
  return writer;
}

// The outputs, and how many steps joined another or make an operand again.
std::vector<std::vector<float>> run_counted(PlanWriter writer, const std::vector<Shape>& shapes,
                                            Isa isa, int threads, int64_t* joined) {
  return run_plan(std::move(writer), shapes, isa, threads, [joined](const Binding& binding) {
    *joined = std::count_if(
        binding.main.steps.begin(), binding.main.steps.end(),
        [](const BoundStep& step) { return step.joined || step.recomputed != nullptr; });
  });
}

std::vector<float> run_net(const Net& net, bool shown, Isa isa, int threads, int64_t* joined) {
  const Shape shape = {net.images, net.height, net.width, net.channels};
  return run_counted(make_plan(net, shown), {shape}, isa, threads, joined)[0];
}

void chains_give_the_same_bits() {
  for (const Net& net : std::vector<Net>{{1, 23, 17, 8, 40, 12, 3, 1},
                                         {3, 20, 33, 5, 37, 9, 3, 2},
                                         {2, 31, 16, 16, 48, 16, 5, 1},
                                         {2, 29, 24, 8, 64, 20, 5, 2},
                                         {2, 32, 24, 8, 64, 20, 2, 3}}) {
    for (Isa isa : {Isa::generic, Isa::avx2, Isa::avx512, Isa::neon}) {
      if (!is_available(isa)) continue;
      int64_t joined = 0;
      const std::vector<float> wanted = run_net(net, true, isa, 2, &joined);
      CHECK(joined == 0);
      for (int threads : {1, 2, 3}) {
        CHECK(run_net(net, false, isa, threads, &joined) == wanted);
        CHECK(joined > 0);
      }
    }
  }
}

// Batch norm of x, a convolution of it (depthwise, or with small > 0 of all channels) and the
// gradients of both, then those of a pointwise convolution that made x. `shown`: what batch norm
// and its gradient give is given too. `changed`: x is a variable and another when the gradients are
// made. `normed`: the convolution's result goes through batch norm too.
PlanWriter make_gradients(const Net& net, bool shown, bool changed, bool normed) {
  PlanWriter writer;
  const std::string height = text(net.height), width = text(net.width);
  const int64_t padding = net.kernel / 2;
  const int64_t out_height = (net.height + 2 * padding - net.kernel) / net.stride + 1;
  const int64_t out_width = (net.width + 2 * padding - net.kernel) / net.stride + 1;
  const std::vector<std::string> small = {"N", height, width, text(net.channels)};
  const std::vector<std::string> wide = {"N", height, width, text(net.wide)};
  const std::vector<std::string> deep = {"N", text(out_height), text(out_width), text(net.wide)};
  const std::vector<std::string> channels = {text(net.wide)};
  const std::string kernel = text(net.kernel);
  const int64_t groups = net.small > 0 ? 1 : net.wide;
  const int image = writer.input("image", small);
  const int given = writer.input("x", wide);
  const int d_result = writer.input("d_result", deep);
  const int pointwise = writer.variable("pointwise", {1, 1, net.channels, net.wide});
  const int weight =
      writer.variable("weight", {net.kernel, net.kernel, net.wide / groups, net.wide});
  const int scale = writer.variable("scale", {net.wide});
  const int offset = writer.variable("offset", {net.wide});
  const int z = writer.output("z", deep);
  const int mean = writer.output("mean", channels);
  const int variance = writer.output("variance", channels);
  const int d_weight =
      writer.output("d_weight", {kernel, kernel, text(net.wide / groups), text(net.wide)});
  const int d_scale = writer.output("d_scale", channels);
  const int d_offset = writer.output("d_offset", channels);
  const int d_pointwise =
      writer.output("d_pointwise", {"1", "1", text(net.channels), text(net.wide)});
  const int d_image = writer.output("d_image", small);
  const int result = normed ? writer.output("result", deep) : -1;
  const int other_mean = normed ? writer.output("other_mean", channels) : -1;
  const int other_variance = normed ? writer.output("other_variance", channels) : -1;
  const int d_other_scale = normed ? writer.output("d_other_scale", channels) : -1;
  const int d_other_offset = normed ? writer.output("d_other_offset", channels) : -1;
  // What is only given where it is shown comes last.
  const int y = shown ? writer.output("y", wide) : writer.temporary(wide);
  const int dx = shown ? writer.output("dx", wide) : writer.temporary(wide);
  const int dz = !normed ? d_result : shown ? writer.output("dz", deep) : writer.temporary(deep);
  const int dy = shown ? writer.output("dy", wide) : writer.temporary(wide);
  const int x =
      changed ? writer.variable("x", {net.images, net.height, net.width, net.wide}) : given;
  writer.step("batch_norm", {x, scale, offset}, {y, mean, variance}).attributes["epsilon"] = 1e-3;
  conv(writer, "conv2d", y, weight, z, net.stride, padding, groups);
  if (normed) {
    writer.step("batch_norm", {z, scale, offset}, {result, other_mean, other_variance})
        .attributes["epsilon"] = 1e-3;
    writer
        .step("batch_norm_backward", {z, scale, offset, other_mean, other_variance, d_result},
              {dz, d_other_scale, d_other_offset})
        .attributes["epsilon"] = 1e-3;
  }
  if (changed) conv(writer, "conv2d_backward_data", dz, weight, x, net.stride, padding, groups);
  conv(writer, "conv2d_backward_weight", y, dz, d_weight, net.stride, padding, groups);
  conv(writer, "conv2d_backward_data", dz, weight, dy, net.stride, padding, groups);
  StepSpec& gradient = writer.step("batch_norm_backward", {x, scale, offset, mean, variance, dy},
                                   {dx, d_scale, d_offset});
  gradient.attributes["epsilon"] = 1e-3;
  gradient.attributes["low"] = 0.0;
  conv(writer, "conv2d_backward_weight", image, dx, d_pointwise, 1, 0, 1);
  conv(writer, "conv2d_backward_data", dx, pointwise, d_image, 1, 0, 1);
  return writer;
}

// Sums may be cut elsewhere in a chain, for any number of threads in the same way.
void check_gradients(const std::vector<Net>& nets, bool normed) {
  for (const Net& net : nets) {
    const Shape small = {net.images, net.height, net.width, net.channels};
    const Shape wide = {net.images, net.height, net.width, net.wide};
    const int64_t padding = net.kernel / 2;
    const Shape deep = {net.images, (net.height + 2 * padding - net.kernel) / net.stride + 1,
                        (net.width + 2 * padding - net.kernel) / net.stride + 1, net.wide};
    for (Isa isa : {Isa::generic, Isa::avx2, Isa::avx512, Isa::neon}) {
      if (!is_available(isa)) continue;
      int64_t joined = 0;
      const auto run = [&](bool shown, int threads) {
        return run_counted(make_gradients(net, shown, false, normed), {small, wide, deep}, isa,
                           threads, &joined);
      };
      const std::vector<std::vector<float>> wanted = run(true, 2);
      const int64_t apart = joined;
      const std::vector<std::vector<float>> found = run(false, 1);
      CHECK(joined >= apart + 2);
      for (size_t i = 0; i < found.size(); ++i) CHECK(near(found[i], wanted[i]));
      for (int threads : {2, 3, 16}) CHECK(run(false, threads) == found);
    }
  }
}

void gradients_in_chains() {
  check_gradients({{3, 64, 60, 8, 368, 0, 3, 1},
                   {17, 37, 33, 5, 208, 0, 5, 1},
                   {2, 129, 131, 16, 144, 0, 3, 2},
                   {1100, 8, 8, 5, 64, 1, 1, 2}},
                  false);
}

// Two rows of such a gradient belong to each of its source.
void gradients_of_strides_in_chains() {
  check_gradients({{17, 64, 61, 8, 256, 0, 3, 2}, {6, 96, 95, 5, 320, 0, 5, 2}}, true);
}

// Maxima of a convolution, then the gradient of its weights, which alone takes that of the larger
// image.
PlanWriter make_pooling(const Net& net, bool shown) {
  PlanWriter writer;
  const std::vector<std::string> image = {"N", text(net.height), text(net.width),
                                          text(net.channels)};
  const std::vector<std::string> wide = {"N", text(net.height), text(net.width), text(net.wide)};
  const std::vector<std::string> small = {"N", text(net.height / net.stride),
                                          text(net.width / net.stride), text(net.wide)};
  const auto pool = [&](const char* kernel, std::vector<int> operands, std::vector<int> results) {
    StepSpec& step = writer.step(kernel, std::move(operands), std::move(results));
    step.attributes["kernel"] = writer.dims({text(net.stride), text(net.stride)});
    step.attributes["stride"] = writer.dims({text(net.stride), text(net.stride)});
    step.attributes["padding"] = writer.dims({"0", "0", "0", "0"});
    step.attributes["dilation"] = writer.dims({"1", "1"});
  };
  const int x = writer.input("x", image);
  const int dy = writer.input("dy", small);
  const int weight = writer.variable("weight", {net.kernel, net.kernel, net.channels, net.wide});
  const int y = writer.output("y", small);
  const int d_weight = writer.output(
      "d_weight", {text(net.kernel), text(net.kernel), text(net.channels), text(net.wide)});
  const int dz = shown ? writer.output("dz", wide) : writer.temporary(wide);
  const int z = writer.output("z", wide);
  const int index = writer.buffer(BufferKind::temporary, small, DType::u8);
  conv(writer, "conv2d", x, weight, z, 1, net.kernel / 2, 1);
  pool("max_pool_index", {z}, {y, index});
  pool("max_pool_backward", {index, dy}, {dz});
  conv(writer, "conv2d_backward_weight", x, dz, d_weight, 1, net.kernel / 2, 1);
  return writer;
}

void sums_alone_end_a_chain() {
  // Odd widths are not covered by windows.
  for (const Net& net : std::vector<Net>{{64, 28, 28, 1, 32, 0, 3, 2},
                                         {33, 36, 37, 3, 40, 0, 5, 3},
                                         {7, 64, 65, 2, 90, 0, 1, 2},
                                         {4, 84, 120, 3, 64, 0, 5, 4},
                                         {3, 150, 90, 2, 96, 0, 5, 2}}) {
    const Shape image = {net.images, net.height, net.width, net.channels};
    const Shape small = {net.images, net.height / net.stride, net.width / net.stride, net.wide};
    for (Isa isa : {Isa::generic, Isa::avx2, Isa::avx512, Isa::neon}) {
      if (!is_available(isa)) continue;
      int64_t joined = 0;
      const auto run = [&](bool shown, int threads) {
        return run_counted(make_pooling(net, shown), {image, small}, isa, threads, &joined);
      };
      const std::vector<std::vector<float>> wanted = run(true, 2);
      CHECK(joined == 0);
      const std::vector<std::vector<float>> found = run(false, 1);
      CHECK(joined == 1);
      CHECK(near(found[1], wanted[1]));
      for (int threads : {2, 3, 16}) CHECK(run(false, threads) == found);
    }
  }
}

void what_is_gone_is_not_made_again() {
  const Net net = {3, 64, 60, 8, 368, 0, 3, 1};
  const Shape small = {net.images, net.height, net.width, net.channels};
  const Shape wide = {net.images, net.height, net.width, net.wide};
  int64_t joined = 0;
  const auto run = [&](bool shown) {
    return run_counted(make_gradients(net, shown, true, false), {small, wide, wide}, best_isa(), 2,
                       &joined);
  };
  const std::vector<std::vector<float>> wanted = run(true);
  const std::vector<std::vector<float>> found = run(false);
  for (size_t i = 0; i < found.size(); ++i) CHECK(near(found[i], wanted[i]));
}

}  // namespace

int main() {
  set_l2_bytes(int64_t{1} << 20);  // whether chains are worth it goes by it
  return run_tests({{"chains give the same bits", chains_give_the_same_bits},
                    {"gradients in chains", gradients_in_chains},
                    {"gradients of strides in chains", gradients_of_strides_in_chains},
                    {"sums alone end a chain", sums_alone_end_a_chain},
                    {"what is gone is not made again", what_is_gone_is_not_made_again}});
}
