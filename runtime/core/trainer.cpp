#include "nnrt/trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <numeric>

#include "core/executor.h"
#include "core/profile.h"
#include "core/snapshot.h"
#include "core/state_lock.h"
#include "nnrt/philox.h"

namespace nnrt {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kCallbackInterval{50};
// Times of a copy and a look between two of them: they cost a hundredth of the time.
constexpr int kCopyInterval = 100;
constexpr uint32_t kShuffleStream = 0xFFFFFFFFu;  // no node of a graph has this stream

// An output that is averaged.
struct Number {
  const void* place;
  DType dtype;
};
// An output that is collected.
struct RowOutput {
  size_t index;
  size_t row_bytes;
  Block batch;  // one batch of it
};

class Loop {
 public:
  Loop(Executable& executable, size_t program, const std::vector<Column>& columns,
       const LoopOptions& options, Executable::Lease& lease)
      : index_(program),
        entry_(executable.programs()[program]),
        columns_(columns),
        options_(options),
        lease_(lease) {
    NNC_CHECK(options.batch > 0, "the batch must be at least 1");
    count_rows();
    set_up_inputs();
    set_up_outputs();
  }

  LoopResult run(const LoopCallback& callback, Guard* guard) {
    const Clock::time_point start = Clock::now();
    Clock::time_point reported = start;
    const int64_t steps = count_steps();
    if (guard != nullptr) guard->begin(options_);
    for (int64_t step = 0; step < steps && !result_.stopped && result_.not_finite_step < 0;
         ++step) {
      if (guard != nullptr && (result_.fault = guard->before_step(lease_))) break;
      try {
        run_step(step, steps);
      } catch (const IndexError&) {
        if (guard != nullptr) guard->undo(lease_);
        throw;
      }
      if (guard != nullptr && (result_.fault = guard->after_step(lease_, loss()))) break;
      const Clock::time_point now = Clock::now();
      if (now - reported >= kCallbackInterval || step + 1 == steps) {
        reported = now;
        update_means();
        result_.stopped = callback && callback({result_.rows, rows_, &result_.means});
      }
    }
    update_means();
    for (CollectedRows& rows : result_.collected) rows.info.shape[0] = result_.rows;
    result_.seconds = std::chrono::duration<double>(Clock::now() - start).count();
    const Executable& executable = lease_->executable();
    if (last_ != nullptr && executable.options().debug >= 2)
      print_profile(entry_.name, *last_, executable.backend());
    return std::move(result_);
  }

  // Runs one step of the loop, the same bit for bit whenever it runs.
  void run_step(int64_t step) { run_step(step, count_steps()); }
  // Of the last step.
  double loss() const { return numbers_.empty() ? 0 : output(0); }

 private:
  const BufferSpec& buffer_of(size_t input) const {
    return entry_.program->buffers[static_cast<size_t>(entry_.program->inputs[input].buffer)];
  }

  static bool is_symbol(const Dim& dim, int64_t symbol) {
    return dim.code.size() == 1 && dim.code[0].kind == DimOp::Kind::symbol &&
           dim.code[0].value == symbol;
  }

  void count_rows() {
    const std::vector<int>& inputs = entry_.info.data_inputs;
    NNC_CHECK(columns_.size() == inputs.size(),
              "program `" + entry_.name + "` takes " + std::to_string(inputs.size()) +
                  " arrays, found " + std::to_string(columns_.size()));
    for (size_t i = 0; i < inputs.size(); ++i) {
      const std::vector<Dim>& shape = buffer_of(static_cast<size_t>(inputs[i])).shape;
      const std::string& name = entry_.program->inputs[static_cast<size_t>(inputs[i])].name;
      NNC_CHECK(shape.size() == columns_[i].shape.size(),
                "input `" + name + "` has " + std::to_string(columns_[i].shape.size()) +
                    " dimensions instead of " + std::to_string(shape.size()));
      if (symbol_ < 0 && !shape.empty() && shape[0].code.size() == 1 &&
          shape[0].code[0].kind == DimOp::Kind::symbol) {
        symbol_ = shape[0].code[0].value;
        rows_ = columns_[i].shape[0];
      }
      batched_.push_back(symbol_ >= 0 && !shape.empty() && is_symbol(shape[0], symbol_));
      NNC_CHECK(!batched_.back() || columns_[i].shape[0] == rows_,
                "input `" + name + "` has " + std::to_string(columns_[i].shape[0]) +
                    " rows where others have " + std::to_string(rows_));
    }
    NNC_CHECK(
        symbol_ >= 0,
        "no input has a symbol as its first dimension, so there is nothing to make batches of");
    batch_ = std::max<int64_t>(1, std::min(options_.batch, rows_));
  }

  // Rows too few for a batch of their own join the last one.
  int64_t count_steps() const {
    const int64_t rest = rows_ % batch_;
    const int64_t whole = rows_ / batch_;
    return rest == 0 || (whole > 0 && rest < options_.least_rows) ? whole : whole + 1;
  }
  size_t largest_batch() const {
    return static_cast<size_t>(std::max(batch_, rows_ - (count_steps() - 1) * batch_));
  }

  void set_up_inputs() {
    const size_t count = entry_.program->inputs.size();
    shapes_.resize(count);
    input_shapes_.resize(count);
    pointers_.assign(count, nullptr);
    std::vector<DataColumn> batched;
    for (size_t i = 0; i < columns_.size(); ++i) {
      const size_t input = static_cast<size_t>(entry_.info.data_inputs[i]);
      input_shapes_[input] = columns_[i].shape;
      pointers_[input] = columns_[i].data;
      if (!batched_[i]) continue;
      Shape row(columns_[i].shape.begin() + 1, columns_[i].shape.end());
      batched.push_back({input, columns_[i].data,
                         checked_bytes({buffer_of(input).dtype, row}, "a row of the data")});
    }
    clocks_ = Block(entry_.info.clock_inputs.size() * sizeof(double));
    for (size_t i = 0; i < entry_.info.clock_inputs.size(); ++i) {
      pointers_[static_cast<size_t>(entry_.info.clock_inputs[i])] =
          clocks_.data() + i * sizeof(double);
    }
    data_ = lease_->executable().backend().open(batched, largest_batch(), options_.shuffle);
    if (!options_.shuffle) return;
    order_.resize(static_cast<size_t>(rows_));
    shuffle_rows(options_.state.seed, options_.state.step, order_);
  }

  void set_up_outputs() {
    const size_t count = entry_.program->outputs.size();
    values_ = Block(count * kAlignment);
    for (size_t i = 0; i < count; ++i) {
      const NamedBuffer& output = entry_.program->outputs[i];
      const BufferSpec& spec = entry_.program->buffers[static_cast<size_t>(output.buffer)];
      outputs_.push_back(values_.data() + i * kAlignment);
      if (has_rows(spec)) {
        row_outputs_.push_back({i, 0, Block()});
        continue;
      }
      NNC_CHECK(spec.shape.empty() && is_float(spec.dtype),
                "output `" + output.name + "` of program `" + entry_.name +
                    "` is no number and has no row for each row of the data");
      numbers_.push_back({outputs_[i], spec.dtype});
    }
    sums_.assign(numbers_.size(), 0);
    result_.means.assign(numbers_.size(), 0);
  }

  // Whether the number of rows is the first dimension and no part of another one.
  bool has_rows(const BufferSpec& spec) const {
    if (spec.shape.empty() || !is_symbol(spec.shape[0], symbol_)) return false;
    const auto counts_rows = [this](const DimOp& op) {
      return op.kind == DimOp::Kind::symbol && op.value == symbol_;
    };
    return std::none_of(spec.shape.begin() + 1, spec.shape.end(), [&](const Dim& dim) {
      return std::any_of(dim.code.begin(), dim.code.end(), counts_rows);
    });
  }

  // Room for what the program gives row by row, of a batch and of all rows.
  void set_up_rows(const BoundProgram& bound, int64_t rows) {
    for (RowOutput& output : row_outputs_) {
      TensorInfo info = lease_->output_info(index_, bound, output.index);
      output.row_bytes = info.bytes() / static_cast<size_t>(rows);
      output.batch = Block(std::max<size_t>(1, output.row_bytes * largest_batch()));
      outputs_[output.index] = output.batch.data();
      info.shape[0] = rows_;
      Block all(checked_bytes(info, "the rows that a metric needs"));
      result_.collected.push_back({std::move(info), std::move(all)});
    }
  }

  void collect(int64_t first, int64_t rows) {
    for (size_t i = 0; i < row_outputs_.size(); ++i) {
      const RowOutput& output = row_outputs_[i];
      const size_t bytes = static_cast<size_t>(rows) * output.row_bytes;
      if (bytes == 0) continue;
      std::memcpy(result_.collected[i].data.data() + static_cast<size_t>(first) * output.row_bytes,
                  output.batch.data(), bytes);
    }
  }

  void run_step(int64_t step, int64_t steps) {
    const int64_t first = step * batch_;
    const int64_t rows = step + 1 == steps ? rows_ - first : batch_;
    for (size_t i = 0; i < columns_.size(); ++i) {
      if (batched_[i]) input_shapes_[static_cast<size_t>(entry_.info.data_inputs[i])][0] = rows;
    }
    for (size_t i = 0; i < shapes_.size(); ++i)
      shapes_[i] = {input_shapes_[i].data(), input_shapes_[i].size()};
    set_clocks(options_.clock_step + step, steps);
    RunState state = options_.state;
    state.step += static_cast<uint64_t>(step);
    BoundProgram& bound = lease_->bind(index_, shapes_.data(), shapes_.size());
    if (result_.collected.empty()) set_up_rows(bound, rows);
    const Batch batch = {data_.get(), options_.shuffle ? order_.data() + first : nullptr, first,
                         rows};
    lease_->run(index_, bound, {pointers_.data(), outputs_.data(), state, &batch});
    if (const std::optional<IndexError> error = bound.take_fault())
      throw in_the_data(*error, first, rows);
    last_ = &bound;
    collect(first, rows);
    for (size_t i = 0; i < sums_.size(); ++i) sums_[i] += static_cast<double>(rows) * output(i);
    result_.rows += rows;
    ++result_.steps;
    // A pass that only measures goes on: an infinite loss is a result.
    if (entry_.info.writes_variables() && !std::isfinite(loss())) result_.not_finite_step = step;
  }

  // The row of a batch as the row of the data.
  IndexError in_the_data(const IndexError& error, int64_t first, int64_t rows) const {
    if (error.rows != rows) return error;
    const int64_t at = first + error.row;
    const int64_t row = options_.shuffle ? order_[static_cast<size_t>(at)] : at;
    return {error.place, row, error.rows, error.index, error.limit};
  }

  void set_clocks(int64_t done, int64_t epoch_steps) {
    for (size_t i = 0; i < entry_.info.clock_inputs.size(); ++i) {
      const size_t input = static_cast<size_t>(entry_.info.clock_inputs[i]);
      const std::string& name = entry_.program->inputs[input].name;
      double value = static_cast<double>(done);
      if (name == "steps") {
        value = static_cast<double>(options_.clock_steps > 0 ? options_.clock_steps : epoch_steps);
      }
      if (name == "epoch") value /= static_cast<double>(epoch_steps);
      if (name == "epoch_steps") value = static_cast<double>(epoch_steps);
      char* target = clocks_.data() + i * sizeof(double);
      if (buffer_of(input).dtype == DType::f64) {
        std::memcpy(target, &value, sizeof(value));
      } else {
        const float narrow = static_cast<float>(value);
        std::memcpy(target, &narrow, sizeof(narrow));
      }
    }
  }

  // What the last step gave as its number `index`.
  double output(size_t index) const {
    const Number& number = numbers_[index];
    if (number.dtype == DType::f64) {
      double value;
      std::memcpy(&value, number.place, sizeof(value));
      return value;
    }
    float value;
    std::memcpy(&value, number.place, sizeof(value));
    return value;
  }

  void update_means() {
    for (size_t i = 0; i < sums_.size(); ++i) {
      result_.means[i] = result_.rows > 0 ? sums_[i] / static_cast<double>(result_.rows) : 0;
    }
  }

  size_t index_;
  const Executable::Entry& entry_;
  const std::vector<Column>& columns_;
  const LoopOptions& options_;
  Executable::Lease& lease_;
  BoundProgram* last_ = nullptr;

  int64_t symbol_ = -1;  // counts rows
  int64_t rows_ = 0;
  int64_t batch_ = 1;
  std::vector<bool> batched_;  // per column
  std::vector<Shape> input_shapes_;
  std::vector<ShapeView> shapes_;
  std::vector<const void*> pointers_;
  Block clocks_;  // 8 bytes each

  std::vector<int64_t> order_;
  std::unique_ptr<DataRows> data_;

  Block values_;
  std::vector<void*> outputs_;
  std::vector<Number> numbers_;
  std::vector<RowOutput> row_outputs_;
  std::vector<double> sums_;  // per number
  LoopResult result_;
};

}  // namespace

LoopResult run_loop(Executable& executable, size_t program, const std::vector<Column>& columns,
                    const LoopOptions& options, const LoopCallback& callback, Guard* guard) {
  Executable::Lease lease(executable, Executable::Lease::Use::loop);
  std::optional<StateLock::Reading> reading;  // all rows meet the same variables
  if (!executable.programs()[program].info.writes_variables()) reading.emplace(executable.state());
  return Loop(executable, program, columns, options, lease).run(callback, guard);
}

Guard::Guard(Executable& executable, size_t program, std::vector<Column> columns,
             std::function<bool()> stop)
    : executable_(executable),
      program_(program),
      columns_(std::move(columns)),
      stop_(std::move(stop)) {
  const Clock::time_point start = Clock::now();
  snapshot_ = std::make_unique<Snapshot>(executable, program);
  version_ = snapshot_->version();
  taken_ = Clock::now();
  cost_ = taken_ - start;
}

Guard::~Guard() = default;

void Guard::begin(const LoopOptions& options) { stretches_.push_back({options, 0, 0}); }

std::optional<Fault> Guard::before_step(Executable::Lease& lease) {
  if (executable_.version() == version_) return {};
  disturbed_ = true;
  return look(lease);
}

std::optional<Fault> Guard::after_step(Executable::Lease& lease, double loss) {
  ++stretches_.back().count;
  const bool alone = executable_.version() == ++version_;
  disturbed_ = disturbed_ || !alone;
  if (!std::isfinite(loss)) return search(lease);
  if (alone && Clock::now() - taken_ < kCopyInterval * cost_) return {};
  return look(lease);
}

void Guard::undo(Executable::Lease& lease) {
  snapshot_->restore();
  int64_t done = 0;
  for (const Stretch& stretch : stretches_) done += stretch.count;
  if (!disturbed_) run_steps(lease, done);
}

std::optional<Fault> Guard::check() {
  disturbed_ = disturbed_ || executable_.version() != version_;
  if (snapshot_->not_finite().empty()) return {};
  Executable::Lease lease(executable_, Executable::Lease::Use::loop);
  return search(lease);
}

// A new copy, unless there is a fault.
std::optional<Fault> Guard::look(Executable::Lease& lease) {
  const Clock::time_point start = Clock::now();
  bool finite = false;
  {
    const StateLock::Reading reading(executable_.state());
    finite = snapshot_->not_finite().empty();
    if (finite) snapshot_->take();
  }
  if (!finite) return search(lease);
  version_ = snapshot_->version();
  disturbed_ = false;
  Stretch rest = stretches_.back();
  rest.first += rest.count;
  rest.count = 0;
  stretches_.assign(1, rest);
  taken_ = Clock::now();
  cost_ = taken_ - start;
  return {};
}

Fault Guard::search(Executable::Lease& lease) {
  Fault fault;
  snapshot_->restore();
  if (!disturbed_) {
    const int64_t good = run_until_fault(lease, fault);
    if (fault.found) {
      snapshot_->restore();
      run_steps(lease, good);
    }
  }
  fault.kept = executable_.step();
  return fault;
}

// How many steps are good after the copy. Where no fault is found, the variables stay as these
// steps made them.
int64_t Guard::run_until_fault(Executable::Lease& lease, Fault& fault) {
  Clock::time_point asked = Clock::now();
  int64_t good = 0;
  for (const Stretch& stretch : stretches_) {
    Loop loop(executable_, program_, columns_, stretch.options, lease);
    for (int64_t i = 0; i < stretch.count; ++i, ++good) {
      const uint64_t step = executable_.step();
      loop.run_step(stretch.first + i);
      const std::vector<size_t> wrong = snapshot_->not_finite();
      if (!std::isfinite(loop.loss()) || !wrong.empty()) {
        fault.found = true;
        fault.step = step;
        fault.loss = loop.loss();
        fault.variables = static_cast<int64_t>(wrong.size());
        if (!wrong.empty()) {
          fault.variable = executable_.plan().variables[wrong.front()].name;
          fault.kind = executable_.plan().variables[wrong.front()].kind;
        }
        return good;
      }
      if (stopped(asked)) return good + 1;
    }
  }
  return good;
}

void Guard::run_steps(Executable::Lease& lease, int64_t count) {
  Clock::time_point asked = Clock::now();
  for (const Stretch& stretch : stretches_) {
    if (count == 0) return;
    Loop loop(executable_, program_, columns_, stretch.options, lease);
    for (int64_t i = 0; i < stretch.count && count > 0; ++i, --count) {
      loop.run_step(stretch.first + i);
      if (stopped(asked)) return;
    }
  }
}

// Asks now and then.
bool Guard::stopped(Clock::time_point& asked) const {
  const Clock::time_point now = Clock::now();
  if (!stop_ || now - asked < kCallbackInterval) return false;
  asked = now;
  return stop_();
}

void shuffle_rows(uint64_t seed, uint64_t step, std::vector<int64_t>& order) {
  std::iota(order.begin(), order.end(), int64_t{0});
  for (size_t i = order.size(); i-- > 1;) {
    // Two words make a 64-bit fraction of the i + 1 places left.
    const PhiloxWords words = philox_block(seed, step, kShuffleStream, i);
    const uint64_t fraction = (static_cast<uint64_t>(words[0]) << 32) | words[1];
    const unsigned __int128 scaled = static_cast<unsigned __int128>(fraction) * (i + 1);
    std::swap(order[i], order[static_cast<size_t>(scaled >> 64)]);
  }
}

}  // namespace nnrt
