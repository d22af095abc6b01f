#include "cpu/checks.h"

#include <algorithm>

namespace nnrt {
namespace {

const BufferSpec& buffer_at(const std::vector<BufferSpec>& buffers, int index) {
  return buffers.at(static_cast<size_t>(index));
}

}  // namespace

void expect_type(const StepSpec& step, const std::vector<BufferSpec>& buffers, int index,
                 DType type) {
  const DType found = buffer_at(buffers, index).dtype;
  NNC_CHECK(found == type,
            step.kernel + " takes " + name_of(type) + " here, found " + name_of(found));
}

void expect_integer_type(const StepSpec& step, const std::vector<BufferSpec>& buffers, int index) {
  const DType found = buffer_at(buffers, index).dtype;
  NNC_CHECK(found == DType::i32 || found == DType::i64 || found == DType::u8,
            step.kernel + " takes i32, i64 or u8 here, found " + name_of(found));
}

void expect_same_type(const StepSpec& step, const std::vector<BufferSpec>& buffers,
                      const std::vector<int>& indices) {
  for (int index : indices) {
    NNC_CHECK(buffer_at(buffers, index).dtype == buffer_at(buffers, indices.front()).dtype,
              step.kernel + " takes operands of one type");
  }
}

void expect_rank_at_least(const StepSpec& step, const std::vector<BufferSpec>& buffers, int index,
                          size_t rank) {
  NNC_CHECK(rank_of(buffers, index) >= rank, step.kernel + " takes at least rank " +
                                                 std::to_string(rank) + ", found " +
                                                 std::to_string(rank_of(buffers, index)));
}

void expect_text(const StepSpec& step, const std::string& name,
                 const std::vector<std::string>& allowed) {
  const std::string found = text_attribute(step.attributes, name);
  NNC_CHECK(std::find(allowed.begin(), allowed.end(), found) != allowed.end(),
            step.kernel + ": attribute `" + name + "` cannot be `" + found + "`");
}

size_t rank_of(const std::vector<BufferSpec>& buffers, int index) {
  return buffer_at(buffers, index).shape.size();
}

std::string text_attribute(const AttributeMap& attributes, const std::string& name) {
  auto found = attributes.find(name);
  NNC_CHECK(found != attributes.end(), "attribute `" + name + "` is missing");
  const auto* text = std::get_if<std::string>(&found->second);
  NNC_CHECK(text != nullptr, "attribute `" + name + "` is not a text");
  return *text;
}

void check_shape(const TensorInfo& info, const Shape& expected, const std::string& what) {
  NNC_CHECK(info.shape == expected,
            what + " must be " + text_of({info.dtype, expected}) + ", found " + text_of(info));
}

double bytes_of(const BindRequest& request) {
  double total = 0;
  for (const TensorInfo& info : request.operands) total += static_cast<double>(info.bytes());
  for (const TensorInfo& info : request.results) total += static_cast<double>(info.bytes());
  return total;
}

int64_t elements_between(const Shape& shape, size_t begin, size_t end) {
  int64_t total = 1;
  for (size_t i = begin; i < end; ++i) total *= shape[i];
  return total;
}

}  // namespace nnrt
