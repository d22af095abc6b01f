#include "core/kernels/checks.h"

#include <algorithm>

namespace nnrt {
namespace {

const BufferSpec& buffer_at(const std::vector<BufferSpec>& buffers, int index) {
  return buffers.at(static_cast<size_t>(index));
}

// Sets `value` where the dimension is a number.
bool read_number(const Dim& dim, int64_t& value) {
  if (dim.code.size() != 1 || dim.code[0].kind != DimOp::Kind::constant) return false;
  value = dim.code[0].value;
  return true;
}

void check_size(int64_t value, int64_t least, const std::string& what) {
  NNC_CHECK(value >= least && value < kMostExtent, what + " is " + std::to_string(value) +
                                                       ", not between " + std::to_string(least) +
                                                       " and " + std::to_string(kMostExtent - 1));
}

}  // namespace

void check_window(const Window& window, const std::string& what) {
  check_size(window.kernel, 1, what + ": the kernel");
  check_size(window.stride, 1, what + ": the stride");
  check_size(window.dilation, 1, what + ": the dilation");
  check_size(window.before, 0, what + ": the padding");
  check_size(window.after, 0, what + ": the padding");
  check_size(window.reach(), 1, what + ": the extent of the dilated kernel");
}

void check_pool_window(const Window& window, const std::string& what) {
  check_window(window, what);
  const int64_t padding = std::max(window.before, window.after);
  NNC_CHECK(padding < window.reach(), what + ": a padding of " + std::to_string(padding) +
                                          " is not smaller than the window, which reaches over " +
                                          std::to_string(window.reach()));
}

std::string too_small(int64_t input, const Window& window) {
  const int64_t padded = input + window.before + window.after;
  return "a window that reaches over " + std::to_string(window.reach()) + " does not fit into " +
         std::to_string(padded) + " pixels: the image is too small";
}

void check_windows(const StepSpec& step, const std::vector<Dim>& kernel, bool pools) {
  const auto dims = [&step](const char* name) {
    const auto found = step.attributes.find(name);
    const auto* list =
        found != step.attributes.end() ? std::get_if<std::vector<Dim>>(&found->second) : nullptr;
    return list != nullptr ? *list : std::vector<Dim>();
  };
  const std::vector<Dim> stride = dims("stride"), padding = dims("padding"),
                         dilation = dims("dilation");
  for (size_t axis = 0; axis < 2; ++axis) {
    Window window;
    bool known = read_number(kernel.at(axis), window.kernel);
    known &= read_number(stride.at(axis), window.stride);
    known &= read_number(padding.at(2 * axis), window.before);
    known &= read_number(padding.at(2 * axis + 1), window.after);
    known &= dilation.empty() || read_number(dilation.at(axis), window.dilation);
    (pools && known ? check_pool_window : check_window)(window, step.kernel);
  }
}

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

int64_t checked_product(int64_t a, int64_t b, const std::string& what) {
  int64_t product = 0;
  NNC_CHECK(!__builtin_mul_overflow(a, b, &product), what + ": sizes are too large");
  return product;
}

int64_t elements_between(const Shape& shape, size_t begin, size_t end) {
  int64_t total = 1;
  for (size_t i = begin; i < end; ++i) total *= shape[i];
  return total;
}

}  // namespace nnrt
