// A kernel with its operands as raw bytes of any type: bound and run as the executor does, through
// find_kernel.
#pragma once

#include <cmath>
#include <cstring>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "cpu/kernel.h"
#include "kernel_runner.h"
#include "nnrt/program.h"
#include "test.h"

namespace test {

using nnrt::DType;
using nnrt::Isa;
using nnrt::Shape;
using nnrt::TensorInfo;

// Numbers with a type; kept as double, which holds all that the tests use.
struct Array {
  TensorInfo info;
  std::vector<double> values;

  Array() = default;
  Array(DType type, Shape shape)
      : info{type, std::move(shape)}, values(static_cast<size_t>(info.elements())) {}
  Array(DType type, Shape shape, std::vector<double> numbers)
      : info{type, std::move(shape)}, values(std::move(numbers)) {}
};

inline void encode(const Array& array, char* to) {
  for (size_t i = 0; i < array.values.size(); ++i) {
    const double value = array.values[i];
    switch (array.info.dtype) {
      case DType::f32:
        reinterpret_cast<float*>(to)[i] = static_cast<float>(value);
        break;
      case DType::f64:
        reinterpret_cast<double*>(to)[i] = value;
        break;
      case DType::i32:
        reinterpret_cast<int32_t*>(to)[i] = static_cast<int32_t>(value);
        break;
      case DType::i64:
        reinterpret_cast<int64_t*>(to)[i] = static_cast<int64_t>(value);
        break;
      default:
        reinterpret_cast<uint8_t*>(to)[i] = static_cast<uint8_t>(value);
    }
  }
}

inline void decode(Array& array, const char* from) {
  for (size_t i = 0; i < array.values.size(); ++i) {
    switch (array.info.dtype) {
      case DType::f32:
        array.values[i] = static_cast<double>(reinterpret_cast<const float*>(from)[i]);
        break;
      case DType::f64:
        array.values[i] = reinterpret_cast<const double*>(from)[i];
        break;
      case DType::i32:
        array.values[i] = reinterpret_cast<const int32_t*>(from)[i];
        break;
      case DType::i64:
        array.values[i] = static_cast<double>(reinterpret_cast<const int64_t*>(from)[i]);
        break;
      default:
        array.values[i] = reinterpret_cast<const uint8_t*>(from)[i];
    }
  }
}

// Uniform in [low, high), exact in float; whole numbers for integer types.
inline Array random_array(DType type, Shape shape, uint32_t seed, double low = -1,
                          double high = 1) {
  Array result(type, std::move(shape));
  std::mt19937 generator(seed);
  std::uniform_real_distribution<double> uniform(low, high);
  for (double& value : result.values) {
    value = is_float(type) ? static_cast<double>(static_cast<float>(uniform(generator)))
                           : std::floor(uniform(generator));
  }
  return result;
}

struct Case {
  std::string kernel;
  nnrt::AttributeMap attributes;
  std::vector<Array> operands;
  std::vector<TensorInfo> results;
  // Epilogue (loads: result 0 and operand `row`) or prologue (loads: the operands); empty code:
  // none.
  nnrt::TileProgram tile;
  Shape domain;
  std::vector<int> tile_loads;  // >= 0: operand; -1: result 0
};

struct Outcome {
  std::vector<Array> results;
  std::vector<std::vector<char>> bytes;
  std::string algorithm;
};

// The same case with every float operand and result as double.
inline Case widened(Case wide) {
  for (Array& operand : wide.operands) {
    if (operand.info.dtype == DType::f32) operand.info.dtype = DType::f64;
  }
  for (TensorInfo& result : wide.results) {
    if (result.dtype == DType::f32) result.dtype = DType::f64;
  }
  if (wide.tile.compute == DType::f32) wide.tile.compute = DType::f64;
  return wide;
}

// Checks the step as a plan's would be, with constant shapes.
inline void check_case(const Case& test) {
  nnrt::StepSpec step;
  std::vector<nnrt::BufferSpec> buffers;
  auto add = [&](const TensorInfo& info) {
    nnrt::BufferSpec buffer;
    buffer.dtype = info.dtype;
    for (int64_t dim : info.shape) buffer.shape.push_back(constant_dim(dim));
    buffers.push_back(buffer);
    return static_cast<int>(buffers.size()) - 1;
  };
  step.kernel = test.kernel;
  step.attributes = test.attributes;
  for (const Array& operand : test.operands) step.operands.push_back(add(operand.info));
  for (const TensorInfo& result : test.results) step.results.push_back(add(result));
  if (!test.tile.code.empty()) {
    step.tile = test.tile;
    step.tile->loads.clear();
    for (int load : test.tile_loads)
      step.tile->loads.push_back(load >= 0 ? step.operands[load] : step.results[0]);
    step.tile->stores = {step.results[0]};
  }
  nnrt::find_rule(test.kernel)->check(step, buffers);
}

inline Outcome run_case(const Case& test, Isa isa, Cut cut = Cut::whole) {
  const nnrt::BindKernel bind = nnrt::find_kernel(test.kernel);
  NNC_CHECK(bind != nullptr, "no kernel " + test.kernel);
  check_case(test);
  nnrt::BindRequest request;
  request.attributes = &test.attributes;
  request.isa = isa;
  request.results = test.results;
  std::vector<std::vector<char>> memory;
  for (const Array& operand : test.operands) {
    request.operands.push_back(operand.info);
    memory.emplace_back(operand.info.bytes());
    encode(operand, memory.back().data());
  }
  Outcome outcome;
  for (const TensorInfo& result : test.results)
    outcome.bytes.emplace_back(result.bytes(), static_cast<char>(0xff));
  std::vector<void*> operands, results, loads;
  for (auto& bytes : memory) operands.push_back(bytes.data());
  for (auto& bytes : outcome.bytes) results.push_back(bytes.data());
  std::shared_ptr<const nnrt::BoundTile> tile;
  if (!test.tile.code.empty()) {
    std::vector<TensorInfo> infos;
    for (int load : test.tile_loads) {
      infos.push_back(load >= 0 ? request.operands[load] : request.results[0]);
      loads.push_back(load >= 0 ? operands[load] : results[0]);
    }
    nnrt::TileProgram program = test.tile;
    program.loads.assign(test.tile_loads.size(), 0);
    program.stores = {0};
    program.domain.clear();
    for (int64_t dim : test.domain) program.domain.push_back(constant_dim(dim));
    tile = nnrt::bind_tile(program, test.domain, infos, {request.results[0]}, {}, isa);
    request.tile = tile.get();
    request.tile_scratch = nnrt::tile_scratch_bytes(*tile);
  }
  nnrt::BoundKernel bound = bind(request);
  outcome.algorithm = bound.algorithm;
  nnrt::Call call;
  call.operands = operands.data();
  call.results = results.data();
  call.tile_loads = loads.data();
  call.tile_stores = results.data();
  call.tile = tile.get();
  nnrt::RunState state;
  call.state = &state;
  run_phases(bound, call, cut);
  for (size_t i = 0; i < test.results.size(); ++i) {
    outcome.results.emplace_back(test.results[i].dtype, test.results[i].shape);
    decode(outcome.results.back(), outcome.bytes[i].data());
  }
  return outcome;
}

inline double largest_error(const Array& found, const Array& expected) {
  double scale = 0;
  double largest = 0;
  for (double value : expected.values) {
    if (std::isfinite(value)) scale = std::max(scale, std::fabs(value));
  }
  for (size_t i = 0; i < found.values.size(); ++i) {
    const double a = found.values[i];
    const double b = expected.values[i];
    if (std::isnan(a) != std::isnan(b) || std::isinf(a) != std::isinf(b)) return INFINITY;
    if (std::isfinite(a)) largest = std::max(largest, std::fabs(a - b));
    if (std::isinf(a) && a != b) return INFINITY;
  }
  return largest / std::max(scale, 0.01);  // results that are 0 but for rounding
}

// Every instruction set against the plain loop in double, relative to the largest element of each
// result; and the same bits whatever way the units are cut.
inline void verify(const std::string& name, const Case& test, double tolerance) {
  const Outcome exact = run_case(widened(test), Isa::reference);
  for (Isa isa : available_isas()) {
    const Outcome whole = run_case(test, isa);
    for (size_t i = 0; i < whole.results.size(); ++i) {
      const double error = largest_error(whole.results[i], exact.results[i]);
      if (!CHECK(error <= tolerance)) {
        std::printf("  %s (%s), %s, result %zu: error %.3g\n", name.c_str(),
                    whole.algorithm.c_str(), name_of(isa), i, error);
      }
    }
    for (Cut cut : {Cut::single, Cut::backward}) {
      if (!CHECK(run_case(test, isa, cut).bytes == whole.bytes)) {
        std::printf("  %s, %s: the cut changes the result\n", name.c_str(), name_of(isa));
      }
    }
  }
}

}  // namespace test
