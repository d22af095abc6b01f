#include "null/null_backend.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <map>
#include <utility>

#include "core/planner.h"
#include "core/sizes.h"
#include "nnrt/executable.h"

namespace nnrt {
namespace {

class NullProgram : public BoundProgram {
 public:
  NullProgram(Executable& executable, const Executable::Entry& entry,
              const std::vector<int64_t>& symbols)
      : entry_(entry), debug_(executable.options().debug) {
    buffers_ = evaluate_buffers(*entry.program, symbols);
    for (const std::vector<StepSpec>* steps : {&entry.program->prepare, &entry.program->steps}) {
      for (size_t i = 0; i < steps->size(); ++i) {
        const StepSpec& step = (*steps)[i];
        if (is_empty(step, i, buffers_)) continue;
        check_hazards(step, i, entry.info.roots, buffers_, symbols);
        evaluate_attributes(step.attributes, symbols);
        if (step.tile) tile_domain(step, buffers_, symbols);
        plan(step);
        if (steps == &entry.program->steps) describe(step);
      }
    }
    const MemoryPlan plan = plan_memory(request_);
    const OverlapReport overlap = check_overlap(request_, plan);
    NNC_CHECK(overlap.problem.empty(), "internal error in the memory planner: " + overlap.problem);
    report_.arena_bytes = plan.bytes;
    report_.lower_bound_bytes = plan.lower_bound;
  }

  const std::vector<TensorInfo>& buffers() const override { return buffers_; }
  bool is_prepared(uint64_t) const override { return true; }
  void prepare(uint64_t) override {}
  std::optional<IndexError> take_fault() override { return {}; }
  ProgramReport report() const override { return report_; }
  void reset_times() override {}

  void run(const RunRequest& request) override {
    for (size_t i = 0; i < entry_.program->outputs.size(); ++i) {
      const int buffer = entry_.program->outputs[i].buffer;
      std::memset(request.outputs[i], 0, buffers_[static_cast<size_t>(buffer)].bytes());
    }
    if (debug_ < 2) return;
    for (const StepReport& step : report_.steps) {
      std::fprintf(stderr, "nnrt: would run %s: %s, %s\n", step.path.c_str(), step.kernel.c_str(),
                   step.shape.c_str());
    }
  }

 private:
  // A step as the planner sees it.
  void plan(const StepSpec& step) {
    const StepAccess access = access_of(step);
    MemoryRequest::Step planned;
    for (const auto& [from, to] :
         {std::pair(&access.reads, &planned.reads), std::pair(&access.writes, &planned.writes)}) {
      for (int buffer : *from) {
        const int item = item_of(buffer);
        if (item >= 0 && std::find(to->begin(), to->end(), item) == to->end()) to->push_back(item);
      }
    }
    request_.steps.push_back(std::move(planned));
  }

  // And as people do.
  void describe(const StepSpec& step) {
    const int first = !step.results.empty() ? step.results.front() : step.tile->stores.front();
    report_.steps.push_back({step.path, step.source, step.kernel, "none",
                             text_of(buffers_[static_cast<size_t>(first)]), 0, 0, 0, ""});
  }

  // The planner's number of a buffer's memory; -1 where it lies elsewhere.
  int item_of(int buffer) {
    const int root = entry_.info.roots[static_cast<size_t>(buffer)];
    const BufferKind kind = entry_.program->buffers[static_cast<size_t>(root)].kind;
    if (kind != BufferKind::temporary && kind != BufferKind::output) return -1;
    const auto [found, added] = items_.try_emplace(root, static_cast<int>(items_.size()));
    if (added) request_.sizes.push_back(buffers_[static_cast<size_t>(root)].bytes());
    return found->second;
  }

  const Executable::Entry& entry_;
  int debug_;
  std::vector<TensorInfo> buffers_;
  MemoryRequest request_;
  std::map<int, int> items_;  // by root buffer
  ProgramReport report_;
};

class NullContext : public Context {
 public:
  explicit NullContext(Executable& executable) : executable_(executable) {}
  std::unique_ptr<BoundProgram> bind(size_t program, const std::vector<int64_t>& symbols) override {
    return std::make_unique<NullProgram>(executable_, executable_.programs()[program], symbols);
  }

 private:
  Executable& executable_;
};

}  // namespace

std::unique_ptr<DataRows> NullBackend::open(const std::vector<DataColumn>&, size_t, bool) {
  return std::make_unique<DataRows>();
}

std::unique_ptr<Context> NullBackend::make_context(Executable& executable) {
  return std::make_unique<NullContext>(executable);
}

}  // namespace nnrt
