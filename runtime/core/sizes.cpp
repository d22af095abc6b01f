#include "core/sizes.h"

#include <algorithm>
#include <set>

namespace nnrt {
namespace {

// The line of the step that writes a buffer.
std::string place_of(const Program& program, int buffer) {
  for (const StepSpec& spec : program.steps) {
    const StepAccess access = access_of(spec);
    if (std::find(access.writes.begin(), access.writes.end(), buffer) != access.writes.end())
      return place_of(spec);
  }
  return "";
}

bool broadcasts_to(const Shape& shape, const Shape& domain) {
  if (shape.size() > domain.size()) return false;
  const size_t lead = domain.size() - shape.size();
  for (size_t axis = 0; axis < shape.size(); ++axis) {
    if (shape[axis] != 1 && shape[axis] != domain[lead + axis]) return false;
  }
  return true;
}

}  // namespace

std::string place_of(const StepSpec& spec) { return spec.source.empty() ? "" : spec.source + ": "; }

AttributeMap evaluate_attributes(const AttributeMap& attributes,
                                 const std::vector<int64_t>& symbols) {
  AttributeMap result = attributes;
  for (auto& [name, value] : result) {
    auto* dims = std::get_if<std::vector<Dim>>(&value);
    if (dims == nullptr) continue;
    for (Dim& dim : *dims) {
      const int64_t number = evaluate(dim, symbols);
      dim = Dim{{{DimOp::Kind::constant, number}}, std::to_string(number)};
    }
  }
  return result;
}

std::vector<TensorInfo> infos_of(const std::vector<int>& indices,
                                 const std::vector<TensorInfo>& buffers) {
  std::vector<TensorInfo> infos;
  infos.reserve(indices.size());
  for (int index : indices) infos.push_back(buffers[static_cast<size_t>(index)]);
  return infos;
}

Shape evaluate_shape(const std::vector<Dim>& dims, const std::vector<int64_t>& symbols) {
  Shape shape;
  shape.reserve(dims.size());
  for (const Dim& dim : dims) {
    const int64_t value = evaluate(dim, symbols);
    NNC_CHECK(value >= 0, "the dimension `" + dim.text + "` is " + std::to_string(value) +
                              " here: the input is too small for this net");
    shape.push_back(value);
  }
  return shape;
}

std::vector<TensorInfo> evaluate_buffers(const Program& program,
                                         const std::vector<int64_t>& symbols) {
  std::vector<TensorInfo> buffers;
  buffers.reserve(program.buffers.size());
  for (size_t i = 0; i < program.buffers.size(); ++i) {
    const BufferSpec& spec = program.buffers[i];
    try {
      buffers.push_back({spec.dtype, evaluate_shape(spec.shape, symbols)});
    } catch (const Error& error) {
      throw Error(place_of(program, static_cast<int>(i)) + error.what());
    }
    checked_bytes(buffers.back(), "buffer " + std::to_string(i));
    if (spec.alias >= 0) {
      const TensorInfo& base = buffers[static_cast<size_t>(spec.alias)];
      NNC_CHECK(base.elements() == buffers.back().elements(),
                "buffer " + std::to_string(i) + ", " + text_of(buffers.back()) + ", is a view of " +
                    text_of(base) + ", which has another number of elements");
    }
  }
  return buffers;
}

Shape tile_domain(const StepSpec& spec, const std::vector<TensorInfo>& buffers,
                  const std::vector<int64_t>& symbols) {
  const TileProgram& tile = *spec.tile;
  const Shape domain = evaluate_shape(tile.domain, symbols);
  checked_bytes({tile.compute, domain}, "the tile program's domain");
  for (const TensorInfo& load : infos_of(tile.loads, buffers)) {
    NNC_CHECK(broadcasts_to(load.shape, domain), "the tile program loads " + text_of(load) +
                                                     ", which does not broadcast to its domain");
  }
  for (const TensorInfo& store : infos_of(tile.stores, buffers)) {
    // A prologue's store stands for what the kernel consumes.
    NNC_CHECK(tile.role == TileRole::prologue || store.shape == domain,
              "the tile program stores " + text_of(store) + ", which is not its domain");
  }
  if (tile.role == TileRole::epilogue) {
    NNC_CHECK(buffers[static_cast<size_t>(spec.results.front())].shape == domain,
              "the epilogue's domain is not the shape of the first result");
  }
  return domain;
}

bool is_empty(const StepSpec& step, size_t index, const std::vector<TensorInfo>& buffers) {
  const auto info = [&buffers](int buffer) { return buffers[static_cast<size_t>(buffer)]; };
  const std::vector<int> writes = access_of(step).writes;
  if (!std::all_of(writes.begin(), writes.end(),
                   [&](int buffer) { return info(buffer).elements() == 0; }))
    return false;
  static const std::set<std::string> windows = {"conv2d", "max_pool", "max_pool_index", "avg_pool"};
  NNC_CHECK(windows.count(step.kernel) == 0 || info(step.operands.front()).elements() == 0,
            place_of(step) + describe(step, index) +
                ": the image is too small for the window, so nothing is left of it");
  return true;
}

void check_hazards(const StepSpec& step, size_t index, const std::vector<int>& roots,
                   const std::vector<TensorInfo>& buffers, const std::vector<int64_t>& symbols) {
  const StepAccess access = access_of(step);
  std::set<int> read;
  for (int buffer : access.reads) read.insert(roots[static_cast<size_t>(buffer)]);
  for (int write : access.writes) {
    const int shared = roots[static_cast<size_t>(write)];
    if (read.count(shared) == 0) continue;
    const Shape domain = step.tile ? evaluate_shape(step.tile->domain, symbols) : Shape{};
    NNC_CHECK(
        in_place_safe(step, roots, shared, shared, buffers, domain),
        describe(step, index) + " changes buffer " + std::to_string(write) + " while reading it");
  }
}

bool in_place_safe(const StepSpec& step, const std::vector<int>& roots, int read_root,
                   int write_root, const std::vector<TensorInfo>& buffers, const Shape& domain) {
  if (!step.tile) return false;
  const TileProgram& tile = *step.tile;
  const auto root = [&roots](int buffer) { return roots[static_cast<size_t>(buffer)]; };
  const auto touches = [&](const std::vector<int>& list, int wanted) {
    return std::any_of(list.begin(), list.end(),
                       [&](int buffer) { return root(buffer) == wanted; });
  };
  // Beyond the tile program the kernel reads operands and writes results in an order of its own.
  if (tile.role != TileRole::self &&
      (touches(step.operands, read_root) || touches(step.results, write_root)))
    return false;
  int64_t elements = 1;
  for (int64_t dim : domain) elements *= dim;
  size_t last_load = 0;
  size_t first_store = tile.code.size();
  for (size_t i = 0; i < tile.code.size(); ++i) {
    const TileInstruction& instruction = tile.code[i];
    if (instruction.op == "load") {
      const int buffer = tile.loads[static_cast<size_t>(instruction.arguments[0])];
      if (root(buffer) != read_root) continue;
      if (buffers[static_cast<size_t>(buffer)].elements() != elements) return false;
      last_load = i;
    } else if (instruction.op == "store") {
      const int buffer = tile.stores[static_cast<size_t>(instruction.arguments[0])];
      if (root(buffer) == write_root) first_store = std::min(first_store, i);
    }
  }
  return last_load < first_store;
}

}  // namespace nnrt
