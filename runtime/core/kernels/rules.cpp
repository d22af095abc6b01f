// What a step of each kernel must be, in the order of kernels.def.
#include "nnrt/program.h"

namespace nnrt {

#define NNC_KERNEL(name, tile) \
  void check_##name(const StepSpec& step, const std::vector<BufferSpec>& buffers);
#include "nnrt/kernels.def"

namespace {

// As kernels.def names them.
constexpr std::optional<TileRole> k_none;
constexpr std::optional<TileRole> k_self = TileRole::self;
constexpr std::optional<TileRole> k_epilogue = TileRole::epilogue;
constexpr std::optional<TileRole> k_prologue = TileRole::prologue;

constexpr KernelRule kRules[] = {
#define NNC_KERNEL(name, tile) {#name, k_##tile, &check_##name},
#include "nnrt/kernels.def"
};

}  // namespace

const KernelRule* find_rule(const std::string& kernel) {
  for (const KernelRule& rule : kRules) {
    if (kernel == rule.name) return &rule;
  }
  return nullptr;
}

}  // namespace nnrt
