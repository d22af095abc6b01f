// The memory planner: where in the arena each buffer of a bound program lies.
#pragma once

#include <cstddef>
#include <vector>

#include "nnrt/memory.h"
#include "nnrt/program.h"

namespace nnrt {

// A bound program as the planner and the overlap checker see it.
struct MemoryRequest {
  struct Step {
    std::vector<int> reads;  // items, each once
    std::vector<int> writes;
    size_t workspace = 0;  // bytes that only this step uses
    // Pairs (read item, written item): the result may take the operand's memory if the operand is
    // not read again.
    std::vector<std::pair<int, int>> in_place;
  };
  std::vector<size_t> sizes;  // bytes of each item; items of size 0 get no memory
  std::vector<Step> steps;
};

struct MemoryPlan {
  std::vector<size_t> offsets;            // of items
  std::vector<size_t> workspace_offsets;  // of steps
  size_t bytes = 0;                       // of the arena
  size_t lower_bound = 0;  // the most bytes in use at any step, with this plan's reuse in place
};

// Best fit: the largest first, each into the smallest gap among those that live at the same time.
MemoryPlan plan_memory(const MemoryRequest& request);

// Each item and workspace at a place of its own, except results in place of operands: for guarded
// memory. `layout` gets the places too.
MemoryPlan plan_apart(const MemoryRequest& request, Layout& layout);

// The independent check (core/overlap.cpp): walks the steps with a set of live items, knows nothing
// of how the plan was made.
struct OverlapReport {
  std::string problem;     // empty where nothing that lives at the same time overlaps
  size_t lower_bound = 0;  // the most bytes that live at any step: no plan can need less
};
OverlapReport check_overlap(const MemoryRequest& request, const MemoryPlan& plan);

}  // namespace nnrt
