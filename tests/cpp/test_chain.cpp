// Chains of real kernels: the same bits as step by step, in every instruction set and for any
// number of threads.
#include <random>

#include "cases.h"
#include "core/executor.h"
#include "core/isa.h"
#include "toy.h"

using namespace nnrt;
using namespace nnrt::test;

namespace {

struct Net {
  int64_t images, height, width;
  int64_t channels, wide, small;
  int64_t kernel, stride;
};

std::string text(int64_t number) { return std::to_string(number); }

StepSpec& conv(PlanWriter& writer, int from, int weights, int to, int64_t stride, int64_t padding,
               int64_t groups) {
  StepSpec& step = writer.step("conv2d", {from, weights}, {to});
  step.attributes["stride"] = writer.dims({text(stride), text(stride)});
  step.attributes["padding"] =
      writer.dims({text(padding), text(padding), text(padding), text(padding)});
  step.attributes["dilation"] = writer.dims({"1", "1"});
  step.attributes["groups"] = groups;
  return step;
}

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
  conv(writer, x, first, wide, 1, 0, 1);
  conv(writer, wide, second, deep, net.stride, padding, net.wide);
  conv(writer, deep, third, y, 1, 0, 1);
  return writer;
}

std::vector<float> random_floats(size_t count, uint32_t seed) {
  std::mt19937 generator(seed);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<float> result(count);
  for (float& value : result) value = uniform(generator);
  return result;
}

// The first output, and how many steps joined another.
std::vector<float> run_net(const Net& net, bool shown, Isa isa, int threads, int64_t* joined) {
  PlanWriter writer = make_plan(net, shown);
  Options options = toy_options(threads);
  options.isa = isa;
  Executable executable(writer.plan(), options, &find_kernel);
  for (size_t i = 0; i < writer.plan().variables.size(); ++i) {
    size_t count = 1;
    for (int64_t dim : writer.plan().variables[i].shape) count *= static_cast<size_t>(dim);
    const std::vector<float> values = random_floats(count, static_cast<uint32_t>(i));
    executable.set_variable(i, values.data(), count * sizeof(float));
  }
  Executor executor(executable);
  const Shape shape = {net.images, net.height, net.width, net.channels};
  const ShapeView view = {shape.data(), shape.size()};
  Binding& binding = executor.bind(0, &view, 1);
  *joined = 0;
  for (const BoundStep& step : binding.main.steps) *joined += step.joined ? 1 : 0;
  const std::vector<float> x =
      random_floats(static_cast<size_t>(net.images * net.height * net.width * net.channels), 9);
  std::vector<std::vector<float>> outputs;
  std::vector<void*> targets;
  for (size_t i = 0; i < executable.programs()[0].program->outputs.size(); ++i) {
    outputs.emplace_back(static_cast<size_t>(executor.output_info(0, binding, i).elements()));
    targets.push_back(outputs.back().data());
  }
  const void* inputs[1] = {x.data()};
  executor.run(0, binding, inputs, targets.data(), {});
  return outputs[0];
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

}  // namespace

int main() { return run_tests({{"chains give the same bits", chains_give_the_same_bits}}); }
