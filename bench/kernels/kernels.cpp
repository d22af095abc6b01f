// Every kernel over a table of shapes, with Google Benchmark: GFLOP/s, GB/s and the share of the
// multiply-add peak that this machine reaches just before and after (the higher of them: a machine
// may change its speed). NNC_ISA and NNC_THREADS choose what runs. Convolutions count the FLOPs of
// the direct sum.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cpu/engine/barrier.h"
#include "cpu/engine/isa.h"
#include "cpu/engine/team.h"
#include "cpu/kernel.h"
#include "cpu/kernel_tables.h"
#include "nnrt/options.h"

namespace {

using nnrt::DType;
using nnrt::Shape;
using nnrt::TensorInfo;

using Attributes = std::map<std::string, std::vector<int64_t>>;

struct Case {
  std::string kernel;
  std::string name;
  std::vector<TensorInfo> operands;
  std::vector<TensorInfo> results;
  Attributes attributes;
  bool fixed = false;  // the second operand is kept as the kernel packs it
};

TensorInfo f32(Shape shape) { return {DType::f32, std::move(shape)}; }
TensorInfo i64(Shape shape) { return {DType::i64, std::move(shape)}; }

nnrt::Dim constant_dim(int64_t value) {
  nnrt::Dim dim;
  dim.code.push_back({nnrt::DimOp::Kind::constant, value});
  dim.text = std::to_string(value);
  return dim;
}

nnrt::AttributeMap attribute_map(const Attributes& attributes) {
  nnrt::AttributeMap made;
  for (const auto& [name, values] : attributes) {
    if (name == "epsilon" || name == "smoothing") {
      made[name] = 1e-5;
    } else if (name == "op") {
      made[name] = std::string(values[0] == 0 ? "sum" : "max");
    } else if (name == "stride" || name == "padding" || name == "dilation" || name == "kernel" ||
               name == "axes" || name == "permutation") {
      std::vector<nnrt::Dim> dims;
      for (int64_t value : values) dims.push_back(constant_dim(value));
      made[name] = dims;
    } else {
      made[name] = values[0];
    }
  }
  return made;
}

struct Free {
  void operator()(void* p) const { std::free(p); }
};
using Memory = std::unique_ptr<void, Free>;

Memory filled(const TensorInfo& info) {
  const size_t bytes = (std::max<size_t>(info.bytes(), 64) + 63) / 64 * 64;
  Memory memory(std::aligned_alloc(64, bytes));
  std::memset(memory.get(), 0, bytes);
  if (info.dtype == DType::f32) {
    float* values = static_cast<float*>(memory.get());
    uint32_t state = 1;
    for (int64_t i = 0; i < info.elements(); ++i) {
      state = state * 1664525u + 1013904223u;
      values[i] = static_cast<float>(state >> 8) * 0x1p-23f - 1.0f;
    }
  }
  return memory;
}

void run_case(benchmark::State& state, const Case& item, const nnrt::Options& options) {
  const nnrt::AttributeMap attributes = attribute_map(item.attributes);
  nnrt::BindRequest request;
  request.attributes = &attributes;
  request.operands = item.operands;
  request.results = item.results;
  request.isa = options.isa;
  request.threads = options.threads;
  if (item.fixed) request.fixed = {false, true};
  const nnrt::BoundKernel bound = nnrt::find_kernel(item.kernel)(request);
  std::vector<Memory> memory;
  std::vector<void*> operands, results;
  for (const TensorInfo& info : item.operands)
    operands.push_back(memory.emplace_back(filled(info)).get());
  for (const TensorInfo& info : item.results)
    results.push_back(memory.emplace_back(filled(info)).get());
  Memory workspace = filled({DType::u8, {static_cast<int64_t>(bound.workspace_bytes)}});
  std::vector<Memory> scratch;
  for (int t = 0; t < options.threads; ++t)
    scratch.push_back(filled({DType::u8, {static_cast<int64_t>(bound.scratch_bytes)}}));
  nnrt::RunState run_state;
  nnrt::Call call;
  call.arguments = bound.arguments.get();
  call.operands = operands.data();
  call.results = results.data();
  call.workspace = workspace.get();
  call.state = &run_state;
  Memory prepared = filled({DType::u8, {static_cast<int64_t>(bound.prepared_bytes)}});
  if (!bound.prepare.empty()) call.prepared = prepared.get();
  call.scratch = scratch[0].get();
  for (const nnrt::Phase& phase : bound.prepare) phase.run(call, 0, phase.units);
  const double peak_before = nnrt::measure_peak(options.isa);
  nnrt::Barrier barrier;
  for (auto _ : state) {
    nnrt::run_team(options.threads, [&](int thread, int threads) {
      nnrt::Call mine = call;
      mine.scratch = scratch[static_cast<size_t>(thread)].get();
      for (size_t i = 0; i < bound.phases.size(); ++i) {
        if (i > 0) barrier.wait(threads);
        const nnrt::Phase& phase = bound.phases[i];
        const int64_t begin = phase.units * thread / threads;
        const int64_t end = phase.units * (thread + 1) / threads;
        if (begin < end) phase.run(mine, begin, end);
      }
    });
  }
  const double peak = std::max(peak_before, nnrt::measure_peak(options.isa));
  const double runs = static_cast<double>(state.iterations());
  state.counters["GFLOP/s"] =
      benchmark::Counter(bound.flops * runs / 1e9, benchmark::Counter::kIsRate);
  state.counters["GB/s"] =
      benchmark::Counter(bound.bytes * runs / 1e9, benchmark::Counter::kIsRate);
  state.counters["peak a core, GFLOP/s"] = peak / 1e9;
  state.counters["of peak"] = benchmark::Counter(bound.flops * runs / (peak * options.threads),
                                                 benchmark::Counter::kIsRate);
  state.SetLabel(bound.algorithm);
}

std::string join(const Shape& shape) {
  std::string text;
  for (int64_t dim : shape) text += (text.empty() ? "" : "x") + std::to_string(dim);
  return text;
}

void add_matmul(std::vector<Case>& cases) {
  for (auto [m, n, k] : std::vector<std::array<int64_t, 3>>{{64, 64, 64},
                                                            {128, 128, 128},
                                                            {256, 256, 256},
                                                            {512, 512, 512},
                                                            {1024, 1024, 1024},
                                                            {1000, 999, 1001},
                                                            {1, 1024, 1024},
                                                            {128, 512, 784},
                                                            {128, 10, 512},
                                                            {3136, 64, 576},
                                                            {64, 64, 50176}}) {
    for (int transposed = 0; transposed < 3; ++transposed) {
      const Shape a = transposed == 1 ? Shape{k, m} : Shape{m, k},
                  b = transposed == 2 ? Shape{n, k} : Shape{k, n};
      const char* kind = transposed == 0 ? "" : transposed == 1 ? " a^T" : " b^T";
      cases.push_back({"matmul",
                       join({m, n, k}) + kind,
                       {f32(a), f32(b)},
                       {f32({m, n})},
                       {{"transpose_a", {transposed == 1}}, {"transpose_b", {transposed == 2}}}});
    }
  }
}

struct Conv {
  int64_t n, h, c, o, k, s, groups;
};

void add_conv(std::vector<Case>& cases) {
  for (const Conv& v : std::vector<Conv>{
           {16, 56, 64, 64, 3, 1, 1},    {16, 28, 128, 128, 3, 1, 1},   {16, 14, 256, 256, 3, 1, 1},
           {16, 7, 512, 512, 3, 1, 1},   {1, 56, 64, 64, 3, 1, 1},      {4, 112, 64, 128, 3, 1, 1},
           {2, 224, 64, 64, 3, 1, 1},    {16, 56, 64, 256, 1, 1, 1},    {16, 56, 256, 64, 1, 1, 1},
           {16, 7, 2048, 512, 1, 1, 1},  {16, 56, 256, 512, 1, 2, 1},   {16, 56, 128, 128, 3, 2, 1},
           {16, 224, 3, 64, 7, 2, 1},    {128, 28, 1, 32, 3, 1, 1},     {128, 14, 32, 64, 3, 1, 1},
           {128, 32, 16, 16, 3, 1, 1},   {16, 56, 144, 144, 3, 1, 144}, {16, 112, 96, 96, 3, 2, 96},
           {1, 14, 576, 576, 3, 1, 576}, {1, 56, 64, 64, 1, 1, 1},      {1, 56, 64, 256, 1, 1, 1},
           {1, 28, 512, 128, 1, 1, 1},   {1, 14, 256, 1024, 1, 1, 1},   {1, 7, 2048, 512, 1, 1, 1},
           {1, 112, 16, 96, 1, 1, 1},    {1, 28, 192, 32, 1, 1, 1},     {1, 7, 512, 512, 3, 1, 1},
           {16, 14, 64, 384, 1, 1, 1},   {16, 14, 576, 96, 1, 1, 1},    {16, 56, 24, 144, 1, 1, 1},
           {16, 56, 144, 24, 1, 1, 1},   {16, 112, 16, 96, 1, 1, 1}}) {
    const int64_t p = (v.k - 1) / 2, out = (v.h + 2 * p - v.k) / v.s + 1;
    const Attributes attributes = {{"stride", {v.s, v.s}},
                                   {"padding", {p, p, p, p}},
                                   {"dilation", {1, 1}},
                                   {"groups", {v.groups}}};
    const TensorInfo x = f32({v.n, v.h, v.h, v.c}), w = f32({v.k, v.k, v.c / v.groups, v.o}),
                     y = f32({v.n, out, out, v.o});
    const std::string name = join({v.n, v.h, v.c, v.o}) + " k" + std::to_string(v.k) + " s" +
                             std::to_string(v.s) + (v.groups > 1 ? " depthwise" : "");
    cases.push_back({"conv2d", name, {x, w}, {y}, attributes});
    cases.push_back({"conv2d", name + " kept weights", {x, w}, {y}, attributes, true});
    cases.push_back({"conv2d_backward_data", name, {y, w}, {x}, attributes});
    cases.push_back({"conv2d_backward_weight", name, {x, y}, {w}, attributes});
  }
}

void add_memory_bound(std::vector<Case>& cases) {
  for (auto [n, h, c] : std::vector<std::array<int64_t, 3>>{
           {16, 56, 64}, {16, 56, 256}, {16, 14, 1024}, {128, 28, 32}}) {
    const TensorInfo x = f32({n, h, h, c}), half = f32({n, h / 2, h / 2, c}), row = f32({c});
    const std::string name = join({n, h, c});
    const Attributes pool = {
        {"kernel", {2, 2}}, {"stride", {2, 2}}, {"padding", {0, 0, 0, 0}}, {"dilation", {1, 1}}};
    Attributes mean = pool;
    mean.erase("dilation");
    mean["count_padding"] = {0};
    const Attributes epsilon = {{"epsilon", {0}}};
    cases.push_back({"max_pool", name, {x}, {half}, pool});
    const TensorInfo index = {DType::u8, half.shape};
    cases.push_back({"max_pool_index", name, {x}, {half, index}, pool});
    cases.push_back({"max_pool_backward", name, {index, half}, {x}, pool});
    cases.push_back({"avg_pool", name, {x}, {half}, mean});
    cases.push_back({"avg_pool_backward", name, {half}, {x}, mean});
    cases.push_back({"batch_norm", name, {x, row, row}, {x, row, row}, epsilon});
    cases.push_back(
        {"batch_norm_backward", name, {x, row, row, row, row, x}, {x, row, row}, epsilon});
    cases.push_back({"reduce",
                     name + " to channels",
                     {x},
                     {row},
                     {{"axes", {0, 1, 2}}, {"keepdims", {0}}, {"op", {0}}}});
    cases.push_back({"reduce",
                     name + " global",
                     {x},
                     {f32({n, c})},
                     {{"axes", {1, 2}}, {"keepdims", {0}}, {"op", {0}}}});
  }
  for (auto [rows, classes] :
       std::vector<std::array<int64_t, 2>>{{128, 10}, {128, 1000}, {131072, 2}, {4096, 512}}) {
    const TensorInfo x = f32({rows, classes}), row = f32({classes}), one = f32({rows}),
                     labels = i64({rows});
    const std::string name = join({rows, classes});
    cases.push_back({"softmax", name, {x}, {x}, {}});
    cases.push_back({"softmax_cross_entropy", name, {x, labels}, {one}, {{"smoothing", {0}}}});
    cases.push_back(
        {"softmax_cross_entropy_backward", name, {x, labels, one}, {x}, {{"smoothing", {0}}}});
    cases.push_back({"layer_norm", name, {x, row, row}, {x, one, one}, {{"epsilon", {0}}}});
  }
  cases.push_back(
      {"gather", "20000x64 by 4096", {f32({20000, 64}), i64({4096})}, {f32({4096, 64})}, {}});
  cases.push_back({"gather_backward",
                   "20000x64 by 4096",
                   {i64({4096}), f32({4096, 64})},
                   {f32({20000, 64})},
                   {}});
  cases.push_back({"transpose",
                   "1024x1024",
                   {f32({1024, 1024})},
                   {f32({1024, 1024})},
                   {{"permutation", {1, 0}}}});
}

}  // namespace

int main(int argc, char** argv) {
  const nnrt::Options options = nnrt::options_from_environment();
  std::vector<Case> cases;
  add_matmul(cases);
  add_conv(cases);
  add_memory_bound(cases);
  for (const Case& item : cases) {
    benchmark::RegisterBenchmark(
        (item.kernel + "/" + item.name).c_str(),
        [&item, &options](benchmark::State& state) { run_case(state, item, options); })
        ->UseRealTime()
        ->Unit(benchmark::kMicrosecond);
  }
  benchmark::AddCustomContext("isa", nnrt::name_of(options.isa));
  benchmark::AddCustomContext("threads", std::to_string(options.threads));
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
