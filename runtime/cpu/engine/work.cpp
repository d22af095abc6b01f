#include "cpu/engine/work.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>

#include "cpu/kernel_tables.h"
#include "cpu/tile/tile.h"

namespace nnrt {
namespace {

// A training step of VGG-16 with 1024 images is 1e14 operations: 40 minutes on one core by the
// rates below, 20 on two. So large a batch can be divided; single rows are far below.
constexpr double kMostSeconds = 3600;

// Nanoseconds of one core for an operation of a matrix product, of other vector code and of a plain
// loop, and for a byte.
constexpr double kProduct = 0.025;
constexpr double kVector = 0.25;
constexpr double kPlain = 1;
constexpr double kByte = 0.1;

struct Work {
  double operations = 0;
  double seconds = 0;
};

bool is_product(const std::string& kernel) {
  return kernel == "matmul" || kernel.rfind("conv2d", 0) == 0;
}

Work work_of(const BoundStep& step, Isa isa, int threads) {
  const BoundKernel& kernel = step.kernel;
  const bool plain = isa == Isa::reference || std::string(kernel.algorithm) == "reference";
  Work work;
  double nanoseconds = step.bytes * kByte + kernel.copied * kVector;
  const auto add = [&](double operations, double rate) {
    work.operations += operations;
    nanoseconds += operations * rate;
  };
  if (!step.spec->tile || step.spec->tile->role != TileRole::self) {
    add(kernel.flops, plain ? kPlain : is_product(step.spec->kernel) ? kProduct : kVector);
  }
  if (step.tile) {
    const bool vectors = vector_kernels(isa, tile_compute_type(*step.tile)) != nullptr;
    add(static_cast<double>(tile_elements(*step.tile)) *
            static_cast<double>(step.spec->tile->code.size()),
        vectors ? kVector : kPlain);
  }
  int64_t units = 1;
  for (const Phase& phase : kernel.phases) units = std::max(units, phase.units);
  work.seconds = nanoseconds * 1e-9 / static_cast<double>(std::min<int64_t>(units, threads));
  return work;
}

// "1.8e13"
std::string number_text(double number) {
  const int exponent = static_cast<int>(std::floor(std::log10(std::max(1.0, number))));
  char text[32];
  std::snprintf(text, sizeof(text), "%.1fe%d", number / std::pow(10, exponent), exponent);
  return text;
}

std::string hours_text(double seconds) {
  char text[32];
  std::snprintf(text, sizeof(text), seconds < 1e7 ? "%.1f" : "%.1e", seconds / 3600);
  return text;
}

}  // namespace

void check_work(const Binding& binding, Isa isa, int threads) {
  Work total;
  double most = 0;
  std::string where;
  for (const BoundPart* part : {&binding.prepare, &binding.main}) {
    for (const BoundStep& step : part->steps) {
      const Work work = work_of(step, isa, threads);
      total.operations += work.operations;
      total.seconds += work.seconds;
      if (work.seconds <= most) continue;
      most = work.seconds;
      where = (part == &binding.prepare ? "prepare " : "") + describe(*step.spec, step.index);
    }
  }
  NNC_CHECK(total.seconds <= kMostSeconds,
            "a call with these sizes would take about " + number_text(total.operations) +
                " operations, " + hours_text(total.seconds) + " hours, most of them in " + where +
                "; more than " + hours_text(kMostSeconds) +
                " hours are refused: use a smaller batch or smaller inputs");
}

}  // namespace nnrt
