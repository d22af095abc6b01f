// Runs plans of real kernels on random numbers.
#pragma once

#include <algorithm>
#include <cmath>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "cases.h"
#include "core/executor.h"
#include "cpu/engine/isa.h"
#include "toy.h"

namespace nnrt::test {

inline std::string text(int64_t number) { return std::to_string(number); }

inline StepSpec& conv(PlanWriter& writer, const char* kernel, int first, int second, int to,
                      int64_t stride, int64_t padding, int64_t groups) {
  StepSpec& step = writer.step(kernel, {first, second}, {to});
  step.attributes["stride"] = writer.dims({text(stride), text(stride)});
  step.attributes["padding"] =
      writer.dims({text(padding), text(padding), text(padding), text(padding)});
  step.attributes["dilation"] = writer.dims({"1", "1"});
  step.attributes["groups"] = groups;
  return step;
}

inline std::vector<float> random_floats(size_t count, uint32_t seed) {
  std::mt19937 generator(seed);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<float> result(count);
  for (float& value : result) value = uniform(generator);
  return result;
}

// The outputs for random inputs and variables; `look` sees the binding.
template <class Look>
std::vector<std::vector<float>> run_plan(PlanWriter writer, const std::vector<Shape>& shapes,
                                         Isa isa, int threads, Look look) {
  Options options = toy_options(threads);
  options.isa = name_of(isa);
  Executable executable(writer.plan(), options);
  const auto count_of = [](const Shape& shape) {
    size_t count = 1;
    for (int64_t dim : shape) count *= static_cast<size_t>(dim);
    return count;
  };
  for (size_t i = 0; i < writer.plan().variables.size(); ++i) {
    const size_t count = count_of(writer.plan().variables[i].shape);
    const std::vector<float> values = random_floats(count, static_cast<uint32_t>(i));
    executable.set_variable(i, values.data(), count * sizeof(float));
  }
  Executor executor(executable);
  std::vector<ShapeView> views;
  std::vector<std::vector<float>> values;
  std::vector<const void*> inputs;
  for (const Shape& shape : shapes) {
    views.push_back({shape.data(), shape.size()});
    values.push_back(random_floats(count_of(shape), static_cast<uint32_t>(9 + values.size())));
    inputs.push_back(values.back().data());
  }
  BoundProgram& bound = executor.bind(0, views.data(), views.size());
  look(binding_of(bound));
  // Outputs begin on lines of the cache.
  constexpr size_t kLineFloats = 16;
  std::vector<std::vector<float>> memory, outputs;
  std::vector<void*> targets;
  std::vector<size_t> sizes;
  for (size_t i = 0; i < executable.programs()[0].program->outputs.size(); ++i) {
    sizes.push_back(static_cast<size_t>(executor.output_info(0, bound, i).elements()));
    memory.emplace_back(sizes.back() + kLineFloats);
    void* target = memory.back().data();
    size_t space = memory.back().size() * sizeof(float);
    targets.push_back(std::align(kLineFloats * sizeof(float), sizeof(float), target, space));
  }
  executor.run(0, bound, {inputs.data(), targets.data()});
  for (size_t i = 0; i < targets.size(); ++i) {
    const float* const output = static_cast<const float*>(targets[i]);
    outputs.emplace_back(output, output + sizes[i]);
  }
  return outputs;
}

inline bool near(const std::vector<float>& found, const std::vector<float>& wanted) {
  float most = 0, apart = 0;
  for (size_t i = 0; i < wanted.size(); ++i) {
    most = std::max(most, std::abs(wanted[i]));
    apart = std::max(apart, std::abs(found[i] - wanted[i]));
  }
  return apart <= 1e-5F * most;
}

}  // namespace nnrt::test
