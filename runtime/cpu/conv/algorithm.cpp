#include "cpu/conv/algorithm.h"

#include <algorithm>
#include <cstdio>
#include <vector>

namespace nnrt {

BoundKernel bind_fastest(const ConvProblem& problem,
                         std::initializer_list<ConvAlgorithm> algorithms) {
  std::vector<const ConvAlgorithm*> able;
  for (const ConvAlgorithm& algorithm : algorithms) {
    if (algorithm.applies(problem)) able.push_back(&algorithm);
  }
  NNC_CHECK(!able.empty(), "internal error: no algorithm for this convolution");
  if (able.size() == 1) return able.front()->bind(problem);
  const ConvAlgorithm* best = nullptr;
  double least = 0;
  std::string note = "expected:";
  for (const ConvAlgorithm* algorithm : able) {
    const double nanoseconds = algorithm->predict(problem);
    char text[64];
    std::snprintf(text, sizeof(text), "%s %s %.1f us", best == nullptr ? "" : ",", algorithm->name,
                  nanoseconds / 1e3);
    note += text;
    if (best != nullptr && nanoseconds >= least) continue;
    best = algorithm;
    least = nanoseconds;
  }
  BoundKernel bound = best->bind(problem);
  bound.note = note;
  return bound;
}

bool winograd_applies(const ConvProblem& problem) {
  if (problem.request.strict || !problem.vectors()) return false;
  const WinogradScheme scheme =
      winograd_scheme(problem.shape, problem.direction, problem.request.isa);
  // Few channels leave most of a vector empty, and have a direct kernel of their own.
  const bool narrow =
      std::min(problem.shape.in_channels, problem.shape.out_channels) <= kNarrowChannels;
  if (narrow && problem.direction != ConvDirection::backward_weight)
    return scheme == WinogradScheme::folded;
  return scheme != WinogradScheme::none;
}

double predict_winograd(const ConvProblem& problem) {
  return winograd_nanoseconds(problem.shape, problem.direction, problem.request.isa,
                              problem.fixed_weights());
}

double predict_direct(const ConvProblem& problem) {
  return direct_nanoseconds(problem.shape, problem.direction, problem.request.isa,
                            problem.fixed_weights());
}

}  // namespace nnrt
