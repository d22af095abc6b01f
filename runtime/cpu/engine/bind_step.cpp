// One step at actual sizes: shapes, attributes, tile program and kernel.
#include <algorithm>

#include "core/sizes.h"
#include "cpu/engine/binding.h"
#include "cpu/tile/tile.h"

namespace nnrt {
namespace {

std::shared_ptr<const BoundTile> bind_tile_of(const StepSpec& spec,
                                              const std::vector<TensorInfo>& buffers,
                                              const std::vector<int64_t>& symbols, Isa isa) {
  const TileProgram& tile = *spec.tile;
  const Shape domain = tile_domain(spec, buffers, symbols);
  const std::vector<TensorInfo> loads = infos_of(tile.loads, buffers);
  const std::vector<TensorInfo> stores = infos_of(tile.stores, buffers);
  const int result = tile.role == TileRole::epilogue ? spec.results.front() : -1;
  return bind_tile(tile, domain, loads, stores, symbols, isa, result);
}

void estimate_cost(BoundStep& step, const std::vector<TensorInfo>& buffers) {
  double bytes = 0;
  double elements = 0;
  for (int index : step.access.reads)
    bytes += static_cast<double>(buffers[static_cast<size_t>(index)].bytes());
  for (int index : step.access.writes) {
    bytes += static_cast<double>(buffers[static_cast<size_t>(index)].bytes());
    elements += static_cast<double>(buffers[static_cast<size_t>(index)].elements());
  }
  const double instructions =
      step.spec->tile ? static_cast<double>(step.spec->tile->code.size()) : 1;
  step.flops = std::max(step.kernel.flops, elements * instructions);
  step.bytes = step.kernel.bytes > 0 ? step.kernel.bytes : bytes;
}

}  // namespace

BoundStep bind_step(const StepSpec& spec, size_t index, const std::vector<TensorInfo>& buffers,
                    const std::vector<bool>& fixed, bool passing,
                    const std::vector<int64_t>& symbols, const BindOptions& options) {
  BoundStep step;
  step.spec = &spec;
  step.index = index;
  step.access = access_of(spec);
  try {
    const AttributeMap attributes = evaluate_attributes(spec.attributes, symbols);
    BindRequest request;
    request.attributes = &attributes;
    request.operands = infos_of(spec.operands, buffers);
    request.results = infos_of(spec.results, buffers);
    for (int operand : spec.operands) request.fixed.push_back(fixed[static_cast<size_t>(operand)]);
    request.isa = options.isa;
    request.threads = options.threads;
    request.strict = options.strict;
    request.passing = passing;
    if (spec.tile) {
      step.tile = bind_tile_of(spec, buffers, symbols, options.isa);
      request.tile = step.tile.get();
      request.tile_scratch = tile_scratch_bytes(*step.tile);
    }
    step.kernel = options.lookup(spec.kernel)(request);
    if (step.kernel.index_operand >= 0) step.fault = std::make_shared<IndexFault>();
  } catch (const Error& error) {
    throw Error(place_of(spec) + describe(spec, index) + ": " + error.what());
  }
  estimate_cost(step, buffers);
  return step;
}

}  // namespace nnrt
