// Runs one kernel as the executor does: binds it, gives it memory, and goes through its phases in a
// chosen split and order of units.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "cpu/column_store.h"
#include "cpu/engine/isa.h"
#include "cpu/kernel.h"
#include "cpu/tile/tile.h"
#include "test.h"

namespace test {

// 64-byte aligned memory, filled with a pattern that is no number where it is used as floats.
class Memory {
 public:
  explicit Memory(size_t bytes)
      : data_(std::aligned_alloc(64, std::max<size_t>(64, (bytes + 63) / 64 * 64))) {
    std::memset(data_, 0xff, std::max<size_t>(64, (bytes + 63) / 64 * 64));
  }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  ~Memory() { std::free(data_); }
  void* get() const { return data_; }

 private:
  void* data_;
};

template <class T>
struct Tensor {
  nnrt::Shape shape;
  std::vector<T> values;

  Tensor() = default;
  explicit Tensor(nnrt::Shape extents)
      : shape(std::move(extents)), values(static_cast<size_t>(count())) {}
  int64_t count() const {
    int64_t total = 1;
    for (int64_t dim : shape) total *= dim;
    return total;
  }
  nnrt::TensorInfo info() const {
    return {sizeof(T) == 4 ? nnrt::DType::f32 : nnrt::DType::f64, shape};
  }
};

template <class T>
Tensor<T> random_tensor(nnrt::Shape shape, uint32_t seed) {
  Tensor<T> result(std::move(shape));
  std::mt19937 generator(seed);
  std::uniform_real_distribution<float> uniform(-1, 1);
  for (T& value : result.values) value = static_cast<T>(uniform(generator));
  return result;
}

template <class To, class From>
Tensor<To> converted(const Tensor<From>& from) {
  Tensor<To> result(from.shape);
  for (size_t i = 0; i < from.values.size(); ++i)
    result.values[i] = static_cast<To>(from.values[i]);
  return result;
}

inline nnrt::Dim constant_dim(int64_t value) {
  nnrt::Dim dim;
  dim.code.push_back({nnrt::DimOp::Kind::constant, value});
  dim.text = std::to_string(value);
  return dim;
}

inline nnrt::AttributeValue dims(const std::vector<int64_t>& values) {
  std::vector<nnrt::Dim> result;
  for (int64_t value : values) result.push_back(constant_dim(value));
  return result;
}

using Bind = nnrt::BoundKernel (*)(const nnrt::BindRequest&);

// How the units of a phase are cut and ordered: as one range; one by one; in uneven ranges from the
// last to the first.
enum class Cut { whole, single, backward };

inline void run_units(const std::vector<nnrt::Phase>& phases, const nnrt::Call& call, Cut cut) {
  for (const nnrt::Phase& phase : phases) {
    if (cut == Cut::whole) {
      phase.run(call, 0, phase.units);
    } else if (cut == Cut::single) {
      for (int64_t unit = 0; unit < phase.units; ++unit) phase.run(call, unit, unit + 1);
    } else {
      int64_t end = phase.units;
      for (int64_t step = 1; end > 0; ++step) {
        const int64_t begin = std::max<int64_t>(0, end - step % 3 - 1);
        phase.run(call, begin, end);
        end = begin;
      }
    }
  }
}

inline void run_phases(const nnrt::BoundKernel& bound, nnrt::Call call, Cut cut) {
  Memory workspace(bound.workspace_bytes);
  Memory scratch(bound.scratch_bytes);
  Memory prepared(bound.prepared_bytes);
  call.arguments = bound.arguments.get();
  call.workspace = workspace.get();
  call.scratch = scratch.get();
  if (!bound.prepare.empty()) call.prepared = prepared.get();
  run_units(bound.prepare, call, cut);
  run_units(bound.phases, call, cut);
}

// Epilogues over a result of this shape; `row` has the last axis' extent, `other` the result's
// shape. Without `other` max(value + row, 0) * 0.5, which no kernel knows; with it one that kernels
// apply in registers: (value + row) + (other + row), 0 unless 0 < other < 0.5, between -0.25 and
// 0.75.
inline nnrt::TileProgram epilogue_program(const nnrt::Shape& shape, bool is_double, bool other) {
  nnrt::TileProgram program;
  program.compute = is_double ? nnrt::DType::f64 : nnrt::DType::f32;
  for (int64_t dim : shape) program.domain.push_back(constant_dim(dim));
  program.loads = {0, 1};
  program.stores = {0};
  auto add = [&](const char* op, std::vector<int> arguments, double number = 0) {
    nnrt::TileInstruction instruction;
    instruction.op = op;
    instruction.arguments = std::move(arguments);
    instruction.number = number;
    program.code.push_back(instruction);
  };
  add("load", {0});
  add("load", {1});
  add("add", {0, 1});
  add("const", {}, 0.0);
  if (other) {
    program.loads.push_back(2);
    add("load", {2});
    add("add", {1, 4});
    add("add", {5, 2});
    add("greater", {4, 3});
    add("select", {7, 6, 3});
    add("const", {}, 0.5);
    add("less", {4, 9});
    add("select", {10, 8, 3});
    add("const", {}, -0.25);
    add("maximum", {11, 12});
    add("const", {}, 0.75);
    add("minimum", {13, 14});
    add("store", {0, 15});
    return program;
  }
  add("maximum", {2, 3});
  add("const", {}, 0.5);
  add("mul", {4, 5});
  add("store", {0, 6});
  return program;
}

// Where columns of the result go besides: each to a tensor of its own with so many columns more.
struct Spread {
  std::vector<nnrt::ColumnStore> stores;
  std::vector<Tensor<float>> targets;
  bool stores_result = true;
};

template <class T>
struct Job {
  Bind bind = nullptr;
  nnrt::AttributeMap attributes;
  std::vector<const Tensor<T>*> operands;
  nnrt::Shape result;
  const Tensor<T>* row = nullptr;    // with it, an epilogue
  const Tensor<T>* other = nullptr;  // with it too, the other epilogue
  bool strict = false;
  bool fixed = false;    // the second operand depends on variables alone
  bool passing = false;  // the epilogue alone reads the result, and stores elsewhere
  int threads = 1;
  Spread* spread = nullptr;
};

template <class T>
Tensor<T> run(const Job<T>& job, nnrt::Isa isa, Cut cut = Cut::whole,
              std::string* algorithm = nullptr) {
  Tensor<T> result(job.result);
  std::fill(result.values.begin(), result.values.end(), static_cast<T>(NAN));
  nnrt::BindRequest request;
  request.attributes = &job.attributes;
  std::vector<void*> operands;
  for (const Tensor<T>* operand : job.operands) {
    request.operands.push_back(operand->info());
    operands.push_back(const_cast<T*>(operand->values.data()));
  }
  request.results.push_back(result.info());
  request.isa = isa;
  request.threads = job.threads;
  request.strict = job.strict;
  if (job.fixed) request.fixed = {false, true};
  void* results[] = {result.values.data()};
  void* loads[] = {result.values.data(), nullptr, nullptr};
  void* stores[] = {result.values.data()};
  std::shared_ptr<const nnrt::BoundTile> tile;
  if (job.row != nullptr) {
    loads[1] = const_cast<T*>(job.row->values.data());
    if (job.other != nullptr) loads[2] = const_cast<T*>(job.other->values.data());
    std::vector<nnrt::TensorInfo> infos = {result.info(), job.row->info()};
    if (job.other != nullptr) infos.push_back(result.info());
    tile = nnrt::bind_tile(epilogue_program(job.result, sizeof(T) == 8, job.other != nullptr),
                           job.result, infos, {result.info()}, {}, isa, 0);
    if (sizeof(T) == 4)
      CHECK((nnrt::tile_epilogue(tile.get()) != nullptr) == (job.other != nullptr));
    request.tile = tile.get();
    request.tile_scratch = nnrt::tile_scratch_bytes(*tile);
  }
  request.passing = job.passing;
  nnrt::BoundKernel bound = job.bind(request);
  if (algorithm != nullptr) *algorithm = bound.algorithm;
  CHECK(!bound.holds_result || job.passing);
  if (bound.holds_result) {
    results[0] = loads[0] = nullptr;
    if (algorithm != nullptr) *algorithm += " held";
  }
  nnrt::Call call;
  call.operands = operands.data();
  call.results = results;
  call.tile_loads = loads;
  call.tile_stores = stores;
  call.tile = tile.get();
  nnrt::RunState state;
  call.state = &state;
  std::vector<void*> targets;
  if (job.spread != nullptr) {
    CHECK(bound.column_lanes > 0);
    job.spread->stores_result = job.spread->stores_result || bound.sums_in_result;
    for (Tensor<float>& target : job.spread->targets) targets.push_back(target.values.data());
    call.columns = job.spread->stores.data();
    call.column_targets = targets.data();
    call.column_count = static_cast<int64_t>(targets.size());
    call.result_columns = job.result.back();
    call.stores_result = job.spread->stores_result;
  }
  run_phases(bound, call, cut);
  return result;
}

// The reference in float64 on the same numbers.
inline Tensor<double> exact(const Job<float>& job) {
  Job<double> wide;
  wide.bind = job.bind;
  wide.attributes = job.attributes;
  wide.result = job.result;
  std::vector<Tensor<double>> operands;
  operands.reserve(job.operands.size());
  for (const Tensor<float>* operand : job.operands) operands.push_back(converted<double>(*operand));
  for (const Tensor<double>& operand : operands) wide.operands.push_back(&operand);
  Tensor<double> row;
  if (job.row != nullptr) {
    row = converted<double>(*job.row);
    wide.row = &row;
  }
  Tensor<double> other;
  if (job.other != nullptr) {
    other = converted<double>(*job.other);
    wide.other = &other;
  }
  return run(wide, nnrt::Isa::reference);
}

inline double largest_difference(const Tensor<float>& a, const Tensor<double>& b) {
  double largest = 0;
  for (size_t i = 0; i < a.values.size(); ++i) {
    const double difference = std::abs(static_cast<double>(a.values[i]) - b.values[i]);
    if (!(difference <= largest)) largest = difference;
    if (std::isnan(largest)) return INFINITY;
  }
  return largest;
}

inline bool same_bits(const Tensor<float>& a, const Tensor<float>& b) {
  return a.values.size() == b.values.size() &&
         (a.values.empty() ||
          std::memcmp(a.values.data(), b.values.data(), a.values.size() * sizeof(float)) == 0);
}

// Units made for other numbers of threads give the same bits as `found`.
inline void check_threads(Job<float> job, nnrt::Isa isa, const Tensor<float>& found) {
  for (int threads : {6, 16, 100}) {
    job.threads = threads;
    CHECK(same_bits(found, run(job, isa)));
  }
}

// The columns of `found` are the same where they are stored elsewhere, with and without the result.
inline void check_spread(Job<float> job, nnrt::Isa isa, const Tensor<float>& found) {
  const int64_t columns = job.result.back(), rows = found.count() / std::max<int64_t>(1, columns);
  const int64_t middle = columns / 2 / 16 * 16;
  if (found.count() == 0 || isa == nnrt::Isa::reference) return;
  for (bool stores_result : {true, false}) {
    Spread spread;
    spread.stores_result = stores_result;
    for (const auto& [begin, end] : {std::pair{middle, columns}, std::pair{int64_t{0}, middle}}) {
      const int64_t row = end - begin + 3;
      spread.stores.push_back({begin, end, row, 2});
      spread.targets.emplace_back(nnrt::Shape{rows, row});
    }
    job.spread = &spread;
    const Tensor<float> result = run(job, isa);
    const bool untouched = std::all_of(result.values.begin(), result.values.end(),
                                       [](float value) { return std::isnan(value); });
    CHECK(spread.stores_result ? same_bits(found, result) : untouched);
    bool same = true;
    for (size_t i = 0; i < spread.stores.size(); ++i) {
      const nnrt::ColumnStore& store = spread.stores[i];
      for (int64_t at = 0; at < rows * store.row; ++at) {
        const int64_t r = at / store.row, c = at % store.row - store.at;
        const bool inside = c >= 0 && c < store.end - store.begin;
        const float wanted =
            inside ? found.values[static_cast<size_t>(r * columns + store.begin + c)] : 0.0f;
        same = same && spread.targets[i].values[static_cast<size_t>(at)] == wanted;
      }
    }
    CHECK(same);
  }
}

inline std::vector<nnrt::Isa> available_isas() {
  std::vector<nnrt::Isa> result;
  for (nnrt::Isa isa : {nnrt::Isa::reference, nnrt::Isa::generic, nnrt::Isa::avx2,
                        nnrt::Isa::avx512, nnrt::Isa::neon}) {
    if (nnrt::is_available(isa)) result.push_back(isa);
  }
  return result;
}

}  // namespace test
