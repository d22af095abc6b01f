#include "core/kernels/attributes.h"

namespace nnrt {
namespace {

const AttributeValue& find(const AttributeMap& attributes, const std::string& name) {
  auto found = attributes.find(name);
  NNC_CHECK(found != attributes.end(), "attribute `" + name + "` is missing");
  return found->second;
}

int64_t constant_of(const Dim& dim, const std::string& name) {
  NNC_CHECK(dim.code.size() == 1 && dim.code[0].kind == DimOp::Kind::constant,
            "attribute `" + name + "` is not a number: " + dim.text);
  return dim.code[0].value;
}

const AttributeValue& expect(const StepSpec& step, const std::string& name) {
  auto found = step.attributes.find(name);
  NNC_CHECK(found != step.attributes.end(), step.kernel + ": attribute `" + name + "` is missing");
  return found->second;
}

}  // namespace

int64_t integer_attribute(const AttributeMap& attributes, const std::string& name) {
  const AttributeValue& value = find(attributes, name);
  if (const auto* integer = std::get_if<int64_t>(&value)) return *integer;
  const auto* dims = std::get_if<std::vector<Dim>>(&value);
  NNC_CHECK(dims != nullptr && dims->size() == 1, "attribute `" + name + "` is not an integer");
  return constant_of(dims->front(), name);
}

int64_t integer_attribute(const AttributeMap& attributes, const std::string& name,
                          int64_t otherwise) {
  return attributes.count(name) != 0 ? integer_attribute(attributes, name) : otherwise;
}

double number_attribute(const AttributeMap& attributes, const std::string& name) {
  const AttributeValue& value = find(attributes, name);
  if (const auto* number = std::get_if<double>(&value)) return *number;
  return static_cast<double>(integer_attribute(attributes, name));
}

std::vector<int64_t> integers_attribute(const AttributeMap& attributes, const std::string& name) {
  const AttributeValue& value = find(attributes, name);
  std::vector<int64_t> result;
  if (const auto* dims = std::get_if<std::vector<Dim>>(&value)) {
    for (const Dim& dim : *dims) result.push_back(constant_of(dim, name));
    return result;
  }
  // An empty list has no kind of its own.
  const auto* numbers = std::get_if<std::vector<double>>(&value);
  NNC_CHECK(numbers != nullptr && numbers->empty(),
            "attribute `" + name + "` is no list of integers");
  return result;
}

std::vector<int64_t> integers_attribute(const AttributeMap& attributes, const std::string& name,
                                        size_t count) {
  std::vector<int64_t> result = integers_attribute(attributes, name);
  NNC_CHECK(result.size() == count, "attribute `" + name + "` has " +
                                        std::to_string(result.size()) + " entries, not " +
                                        std::to_string(count));
  return result;
}

void expect_integer(const StepSpec& step, const std::string& name) {
  NNC_CHECK(std::holds_alternative<int64_t>(expect(step, name)),
            step.kernel + ": attribute `" + name + "` is not an integer");
}

void expect_number(const StepSpec& step, const std::string& name) {
  const AttributeValue& value = expect(step, name);
  NNC_CHECK(std::holds_alternative<int64_t>(value) || std::holds_alternative<double>(value),
            step.kernel + ": attribute `" + name + "` is not a number");
}

void expect_integers(const StepSpec& step, const std::string& name, std::optional<size_t> count) {
  const AttributeValue& value = expect(step, name);
  const auto* dims = std::get_if<std::vector<Dim>>(&value);
  const auto* numbers = std::get_if<std::vector<double>>(&value);
  const bool is_list = dims != nullptr || (numbers != nullptr && numbers->empty());
  NNC_CHECK(is_list, step.kernel + ": attribute `" + name + "` is no list of integers");
  const size_t size = dims != nullptr ? dims->size() : 0;
  NNC_CHECK(!count || size == *count, step.kernel + ": attribute `" + name + "` has " +
                                          std::to_string(size) + " entries, not " +
                                          std::to_string(count.value_or(0)));
}

void expect_counts(const StepSpec& step, size_t operands, size_t results) {
  NNC_CHECK(step.operands.size() == operands, step.kernel + " takes " + std::to_string(operands) +
                                                  " operands, found " +
                                                  std::to_string(step.operands.size()));
  NNC_CHECK(step.results.size() == results, step.kernel + " gives " + std::to_string(results) +
                                                " results, found " +
                                                std::to_string(step.results.size()));
}

DType expect_floats(const StepSpec& step, const std::vector<BufferSpec>& buffers,
                    const std::vector<int>& indices) {
  NNC_CHECK(!indices.empty(), step.kernel + " has no operands");
  const DType type = buffers.at(static_cast<size_t>(indices.front())).dtype;
  NNC_CHECK(is_float(type), step.kernel + " takes f32 or f64, found " + name_of(type));
  for (int index : indices) {
    const DType other = buffers.at(static_cast<size_t>(index)).dtype;
    NNC_CHECK(other == type, step.kernel + " takes operands of one type, found " + name_of(type) +
                                 " and " + name_of(other));
  }
  return type;
}

void expect_rank(const StepSpec& step, const std::vector<BufferSpec>& buffers, int index,
                 int rank) {
  const size_t found = buffers.at(static_cast<size_t>(index)).shape.size();
  NNC_CHECK(
      found == static_cast<size_t>(rank),
      step.kernel + " takes rank " + std::to_string(rank) + ", found " + std::to_string(found));
}

}  // namespace nnrt
