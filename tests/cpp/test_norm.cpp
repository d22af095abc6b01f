// Batch normalization of a tensor so large that it is written past the caches, with and without an
// epilogue in registers, against a small one that is not.
#include <cmath>

#include "kernel_runner.h"
#include "test.h"

namespace nnrt {
BoundKernel bind_batch_norm(const BindRequest& request);
BoundKernel bind_batch_norm_backward(const BindRequest& request);
}  // namespace nnrt

namespace {

using test::Tensor;

constexpr int64_t kChannels = 48;

// Rows that repeat have the statistics, and the results, of one repetition.
Tensor<float> repeated(const Tensor<float>& part, int64_t times) {
  Tensor<float> result({part.shape[0] * times, kChannels});
  for (int64_t i = 0; i < times; ++i) {
    std::copy(part.values.begin(), part.values.end(), result.values.begin() + i * part.count());
  }
  return result;
}

struct Results {
  Tensor<float> y, first{{kChannels}}, second{{kChannels}};
};

// `other`: an epilogue max(y + other, 0).
Results run(test::Bind bind, const std::vector<const Tensor<float>*>& operands,
            const Tensor<float>* other, nnrt::Isa isa) {
  Results results;
  results.y = Tensor<float>(operands[0]->shape);
  nnrt::BindRequest request;
  const nnrt::AttributeMap attributes = {{"epsilon", 1e-5}};
  request.attributes = &attributes;
  request.isa = isa;
  std::vector<void*> inputs;
  for (const Tensor<float>* operand : operands) {
    request.operands.push_back(operand->info());
    inputs.push_back(const_cast<float*>(operand->values.data()));
  }
  // Aligned as the engine gives it.
  const test::Memory memory(results.y.info().bytes());
  void* outputs[] = {memory.get(), results.first.values.data(), results.second.values.data()};
  request.results = {results.y.info(), results.first.info(), results.second.info()};
  void* loads[] = {memory.get(), nullptr};
  void* stores[] = {memory.get()};
  std::shared_ptr<const nnrt::BoundTile> tile;
  if (other != nullptr) {
    loads[1] = const_cast<float*>(other->values.data());
    nnrt::TileProgram program;
    for (int64_t dim : results.y.shape) program.domain.push_back(test::constant_dim(dim));
    program.loads = {0, 1};
    program.stores = {0};
    program.code = {{"load", {0}, 0, {}, 0},       {"load", {1}, 0, {}, 0},
                    {"add", {1, 0}, 0, {}, 0},     {"const", {}, 0, {}, 0},
                    {"maximum", {2, 3}, 0, {}, 0}, {"store", {0, 4}, 0, {}, 0}};
    tile = nnrt::bind_tile(program, results.y.shape, {results.y.info(), other->info()},
                           {results.y.info()}, {}, isa, 0);
    request.tile = tile.get();
    request.tile_scratch = nnrt::tile_scratch_bytes(*tile);
  }
  nnrt::Call call;
  call.operands = inputs.data();
  call.results = outputs;
  call.tile = tile.get();
  call.tile_loads = loads;
  call.tile_stores = stores;
  const nnrt::BoundKernel bound = bind(request);
  test::run_phases(bound, call, test::Cut::backward);
  float* y = static_cast<float*>(memory.get());
  std::copy(y, y + results.y.count(), results.y.values.begin());
  if (bound.replaces >= 0) {  // the same bits, written over that operand
    const Tensor<float>& replaced = *operands[static_cast<size_t>(bound.replaces)];
    std::copy(replaced.values.begin(), replaced.values.end(), y);
    inputs[static_cast<size_t>(bound.replaces)] = y;
    test::run_phases(bound, call, test::Cut::backward);
    CHECK(std::equal(y, y + results.y.count(), results.y.values.begin()));
  }
  return results;
}

double largest(const Tensor<float>& a, const Tensor<float>& b) {
  double most = 0;
  for (size_t i = 0; i < b.values.size(); ++i)
    most = std::max(most, std::abs(static_cast<double>(a.values[i]) - b.values[i]));
  return most;
}

void check(nnrt::Isa isa) {
  constexpr int64_t kRows = 4096, kTimes = 24;  // 18 MB
  const Tensor<float> part = test::random_tensor<float>({kRows, kChannels}, 1);
  const Tensor<float> gradient = test::random_tensor<float>({kRows, kChannels}, 2);
  const Tensor<float> scale = test::random_tensor<float>({kChannels}, 3);
  const Tensor<float> offset = test::random_tensor<float>({kChannels}, 4);
  const Tensor<float> x = repeated(part, kTimes), dy = repeated(gradient, kTimes);
  Results small, large;
  for (bool epilogue : {false, true}) {
    small =
        run(&nnrt::bind_batch_norm, {&part, &scale, &offset}, epilogue ? &gradient : nullptr, isa);
    large = run(&nnrt::bind_batch_norm, {&x, &scale, &offset}, epilogue ? &dy : nullptr, isa);
    CHECK(largest(large.y, repeated(small.y, kTimes)) < 1e-5);
    CHECK(largest(large.first, small.first) < 1e-6 && largest(large.second, small.second) < 1e-5);
  }
  const Results back = run(&nnrt::bind_batch_norm_backward,
                           {&x, &scale, &offset, &large.first, &large.second, &dy}, nullptr, isa);
  const Results few =
      run(&nnrt::bind_batch_norm_backward,
          {&part, &scale, &offset, &small.first, &small.second, &gradient}, nullptr, isa);
  CHECK(largest(back.y, repeated(few.y, kTimes)) < 1e-5);
}

}  // namespace

int main() {
  for (nnrt::Isa isa : test::available_isas()) check(isa);
  return test::finish();
}
