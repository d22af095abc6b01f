// Runs bound tile programs: chunk after chunk of the domain, one tight loop per instruction.
#include <algorithm>
#include <cstring>

#include "cpu/gemm/gemm.h"
#include "cpu/tile/tile_bound.h"

namespace nnrt {
namespace {

struct Run {
  const BoundTile& tile;
  const Call& call;
  char* scratch;
  char** pointers;
  size_t item;  // bytes of a register's element
};

void write_number(const Run& run, int value, double number) {
  char* to = run.pointers[value];
  switch (run.tile.compute) {
    case DType::f64:
      *reinterpret_cast<double*>(to) = number;
      break;
    case DType::i64:
      *reinterpret_cast<int64_t*>(to) = static_cast<int64_t>(number);
      break;
    default:
      *reinterpret_cast<float*>(to) = static_cast<float>(number);
  }
}

void compute(const Run& run, const TileStep& step, int64_t count) {
  char** at = run.pointers;
  const int* operand = step.operands;
  step.function(at[step.out], at[operand[0]], at[operand[1]], at[operand[2]], at[operand[3]],
                count);
}

// Numbers: constants, loads of one element, and what follows from them alone.
void prepare_numbers(const Run& run) {
  for (const TileConstant& constant : run.tile.constants)
    write_number(run, constant.value, constant.number);
  for (const TileNumberLoad& load : run.tile.number_loads) {
    load.load(run.pointers[load.value], run.call.tile_loads[load.slot], 1);
  }
  for (const TileStep& step : run.tile.number_steps) compute(run, step, 1);
}

// Repeats the period until `count` elements are there, by doubling.
void repeat(char* pattern, const void* from, int64_t period, int64_t count, size_t item) {
  std::memcpy(pattern, from, static_cast<size_t>(std::min(period, count)) * item);
  for (int64_t done = period; done < count; done *= 2) {
    std::memcpy(pattern + done * static_cast<int64_t>(item), pattern,
                static_cast<size_t>(std::min(done, count - done)) * item);
  }
}

void prepare_patterns(const Run& run, int64_t begin, int64_t end) {
  for (int index : run.tile.moving) {
    const TileValue& value = run.tile.values[index];
    if (value.place != TilePlace::pattern) continue;
    int64_t first = end - begin <= run.tile.chunk ? begin % value.period : value.period - 1;
    int64_t count = first + std::min(run.tile.chunk, end - begin);
    repeat(run.scratch + value.offset, run.call.tile_loads[value.slot], value.period, count,
           run.item);
  }
}

// The next chunk comes from memory while this one is computed: 0.85 of the time of a sum of images.
void prefetch(const char* chunk, int64_t bytes) {
  for (int64_t at = 0; at < bytes; at += kLine) __builtin_prefetch(chunk + at, 0, 2);
}

// Sets the pointers of values that lie in buffers; gives the elements until the next end of a long
// period.
int64_t move_to(const Run& run, int64_t element, int64_t count) {
  const int64_t item = static_cast<int64_t>(run.item);
  for (int index : run.tile.moving) {
    const TileValue& value = run.tile.values[index];
    char* base = static_cast<char*>(run.call.tile_loads[value.slot]);
    int64_t position = element;
    if (value.place == TilePlace::pattern) {
      base = run.scratch + value.offset;
      position = element % value.period;
    } else if (value.place == TilePlace::long_pattern) {
      position = element % value.period;
      count = std::min(count, value.period - position);
    }
    run.pointers[index] = base + position * item;
    if (value.place == TilePlace::buffer)
      prefetch(run.pointers[index] + count * item, count * item);
  }
  return count;
}

void convert_chunk(const Run& run, const TileStep& step, int64_t element, int64_t count) {
  const char* from = static_cast<const char*>(run.call.tile_loads[step.slot]);
  char* to = run.pointers[step.out];
  if (step.period == 0) {
    step.load(to, from + element * static_cast<int64_t>(step.item), count);
    return;
  }
  while (count > 0) {
    int64_t position = element % step.period;
    int64_t part = std::min(count, step.period - position);
    step.load(to, from + position * static_cast<int64_t>(step.item), part);
    to += part * static_cast<int64_t>(run.item);
    element += part;
    count -= part;
  }
}

// Any broadcast: runs along the innermost dimension, each a copy or one element repeated.
void broadcast_chunk(const Run& run, const TileStep& step, int64_t element, int64_t count) {
  const std::vector<int64_t>& dims = run.tile.dims;
  const int rank = static_cast<int>(dims.size());
  int64_t index[kMaxRank] = {};
  int64_t position = 0;
  int64_t rest = element;
  for (int d = rank - 1; d >= 0; --d) {
    index[d] = rest % dims[d];
    rest /= dims[d];
    position += index[d] * step.strides[d];
  }
  const char* from = static_cast<const char*>(run.call.tile_loads[step.slot]);
  char* to = run.pointers[step.out];
  const int64_t inner_stride = step.strides[rank - 1];
  while (count > 0) {
    int64_t part = std::min(count, dims[rank - 1] - index[rank - 1]);
    const char* at = from + position * static_cast<int64_t>(step.item);
    if (inner_stride != 0) {
      step.load(to, at, part);
    } else {
      int64_t number;  // room for any register's element
      step.load(&number, at, 1);
      run.tile.table->splat(to, &number, nullptr, nullptr, nullptr, part);
    }
    to += part * static_cast<int64_t>(run.item);
    count -= part;
    index[rank - 1] += part;
    position += part * inner_stride;
    for (int d = rank - 1; d > 0 && index[d] == dims[d]; --d) {
      position += step.strides[d - 1] - dims[d] * step.strides[d];
      index[d] = 0;
      ++index[d - 1];
    }
  }
}

void run_steps(const Run& run, int64_t element, int64_t count) {
  for (const TileStep& step : run.tile.steps) {
    switch (step.kind) {
      case TileStep::Kind::compute:
        compute(run, step, count);
        break;
      case TileStep::Kind::uniform:
        run.tile.table->uniform(run.pointers[step.out], run.call.state->seed, run.call.state->step,
                                step.stream, element, count);
        break;
      case TileStep::Kind::convert:
        convert_chunk(run, step, element, count);
        break;
      case TileStep::Kind::broadcast:
        broadcast_chunk(run, step, element, count);
        break;
    }
  }
}

Run start(const BoundTile& tile, const Call& call, void* scratch, int64_t begin, int64_t end) {
  Run run{tile, call, static_cast<char*>(scratch), static_cast<char**>(scratch),
          size_of(tile.compute)};
  for (size_t i = 0; i < tile.values.size(); ++i)
    run.pointers[i] = run.scratch + tile.values[i].offset;
  prepare_numbers(run);
  prepare_patterns(run, begin, end);
  return run;
}

}  // namespace

void run_tile(const BoundTile& tile, const Call& call, void* scratch, int64_t begin, int64_t end) {
  if (begin >= end) return;
  Run run = start(tile, call, scratch, begin, end);
  for (int64_t element = begin; element < end;) {
    int64_t count = move_to(run, element, std::min(tile.chunk, end - element));
    for (const TileStore& store : tile.stores) {
      if (store.store) continue;
      run.pointers[store.value] = static_cast<char*>(call.tile_stores[store.slot]) +
                                  element * static_cast<int64_t>(store.item);
    }
    run_steps(run, element, count);
    for (const TileStore& store : tile.stores) {
      if (!store.store) continue;
      store.store(static_cast<char*>(call.tile_stores[store.slot]) +
                      element * static_cast<int64_t>(store.item),
                  run.pointers[store.value], count);
    }
    element += count;
  }
}

void run_tile_value(const BoundTile& tile, const Call& call, void* scratch, int64_t begin,
                    int64_t end, void* out) {
  if (begin >= end) return;
  Run run = start(tile, call, scratch, begin, end);
  for (int64_t element = begin; element < end;) {
    int64_t count = move_to(run, element, std::min(tile.chunk, end - element));
    run.pointers[tile.result] =
        static_cast<char*>(out) + (element - begin) * static_cast<int64_t>(run.item);
    run_steps(run, element, count);
    element += count;
  }
}

}  // namespace nnrt
