// A bound program of the CPU, and how it runs.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "cpu/engine/binding.h"
#include "cpu/engine/cpu_backend.h"

namespace nnrt {

// Columns of a loop. Rows that a batch names are gathered into memory of their own by the threads
// of the run; consecutive rows are used where they lie.
class CpuRows : public DataRows {
 public:
  CpuRows(const std::vector<DataColumn>& columns, size_t most, bool shuffled);

  // Where the rows of a batch are once they are gathered.
  const char* place(size_t column, const Batch& batch) const;
  // Gathers rows [begin, end) of the batch.
  void gather(const Batch& batch, int64_t begin, int64_t end) const;
  const std::vector<DataColumn>& columns() const { return columns_; }

 private:
  std::vector<DataColumn> columns_;
  std::vector<size_t> offsets_;  // of the columns in `staging_`
  Block staging_;
};

class CpuProgram : public BoundProgram {
 public:
  CpuProgram(CpuContext& context, const Program& program, std::unique_ptr<Binding> binding)
      : context_(context),
        program_(program),
        binding_(std::move(binding)),
        inputs_(program.inputs.size()) {}

  const Binding& binding() const { return *binding_; }

  const std::vector<TensorInfo>& buffers() const override { return binding_->buffers; }
  bool is_prepared(uint64_t version) const override {
    return binding_->prepared_version == version;
  }
  void prepare(uint64_t version) override;
  void run(const RunRequest& request) override;
  std::optional<IndexError> take_fault() override;
  ProgramReport report() const override;
  void reset_times() override;

 private:
  // Thread `number` of `workers` of a run does these of the binding's shares.
  struct Worker {
    int number;
    int workers;
    int first;  // share
    int last;
  };

  void resolve();
  void patch(const RunRequest& request);
  void copy_outputs(void* const* outputs) const;
  template <class Body>
  void run_side_by_side(Body body);
  void* scratch_of(const BoundStep& step, int share) const;
  void work_phase(const BoundStep& step, const Phase& phase, const Worker& worker) const;
  void work(const RunRequest& request, const Worker& worker);
  void work_prepare(uint64_t version, const Worker& worker);
  void work_phases(const BoundPart& part, const Worker& worker, bool waiting);
  void work_timed(const Worker& worker);

  CpuContext& context_;
  const Program& program_;
  std::unique_ptr<Binding> binding_;
  std::vector<const void*> inputs_;  // of the run at hand
  RunState state_;
};

}  // namespace nnrt
