// What a step of a tile program on its own must be.
#include "core/kernels/checks.h"

namespace nnrt {

void check_tile(const StepSpec& step, const std::vector<BufferSpec>&) {
  NNC_CHECK(step.tile.has_value(), "kernel tile needs a tile program");
  NNC_CHECK(step.operands == step.tile->loads && step.results == step.tile->stores,
            "kernel tile: operands and results must be the loads and stores of its program");
}

}  // namespace nnrt
