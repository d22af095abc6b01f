// Reading a step's attributes and checking its operands; every function throws Error with the
// kernel's name in it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "nnrt/plan.h"
#include "nnrt/types.h"

namespace nnrt {

// At bind, where every dimension is a constant.
int64_t integer_attribute(const AttributeMap& attributes, const std::string& name);
int64_t integer_attribute(const AttributeMap& attributes, const std::string& name,
                          int64_t otherwise);
double number_attribute(const AttributeMap& attributes, const std::string& name);
std::vector<int64_t> integers_attribute(const AttributeMap& attributes, const std::string& name);
std::vector<int64_t> integers_attribute(const AttributeMap& attributes, const std::string& name,
                                        size_t count);

// At check, where dimensions may be symbolic: present, and of the right kind and length.
void expect_integer(const StepSpec& step, const std::string& name);
void expect_number(const StepSpec& step, const std::string& name);
void expect_integers(const StepSpec& step, const std::string& name,
                     std::optional<size_t> count = {});
void expect_counts(const StepSpec& step, size_t operands, size_t results);
// All of one floating type; returns it.
DType expect_floats(const StepSpec& step, const std::vector<BufferSpec>& buffers,
                    const std::vector<int>& indices);
void expect_rank(const StepSpec& step, const std::vector<BufferSpec>& buffers, int index, int rank);

}  // namespace nnrt
