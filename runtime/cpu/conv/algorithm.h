// The choice among the ways to compute a convolution or one of its gradients.
#pragma once

#include <initializer_list>

#include "cpu/conv/conv.h"
#include "cpu/conv/winograd/winograd.h"
#include "cpu/kernel_tables.h"

namespace nnrt {

// A convolution to bind. The request is checked: `shape` follows from it.
struct ConvProblem {
  const BindRequest& request;
  ConvShape shape;
  ConvDirection direction;

  bool vectors() const { return vector_kernels(request.isa, request.operands[0].dtype) != nullptr; }
  bool empty() const { return request.results[0].elements() == 0; }
  // The weights are constant from run to run, so what is made of them alone is kept.
  bool fixed_weights() const {
    return direction != ConvDirection::backward_weight && is_fixed(request, 1);
  }
};

// Depends on shape, instruction set and cache size alone, never on a measurement at run time: the
// choice decides bits.
struct ConvAlgorithm {
  const char* name;
  bool (*applies)(const ConvProblem& problem);
  double (*predict)(const ConvProblem& problem);  // nanoseconds of one core
  BoundKernel (*bind)(const ConvProblem& problem);
};

// Binds the algorithm that applies and takes least time; the first one of equals. If several apply,
// the note gives what each is expected to take. Throws Error if none applies.
BoundKernel bind_fastest(const ConvProblem& problem,
                         std::initializer_list<ConvAlgorithm> algorithms);

// Winograd's algorithm, for each direction.
bool winograd_applies(const ConvProblem& problem);
double predict_winograd(const ConvProblem& problem);
// Kernels that multiply without a transformation.
double predict_direct(const ConvProblem& problem);

}  // namespace nnrt
