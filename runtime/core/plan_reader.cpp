// The JSON form of a plan to nnrt::Plan. Only the form is checked here; check_plan checks the
// meaning.
#include "core/plan_reader.h"

#include <cmath>
#include <limits>
#include <type_traits>

#include "core/json.h"

namespace nnrt {
namespace {

using json::Kind;
using json::Value;

std::string place_of(const Value& value) {
  const std::string path = value.path();
  return path.empty() ? "a plan" : path;
}

[[noreturn]] void wrong(const Value& value, const std::string& expected) {
  throw Error("malformed plan: " + place_of(value) + " must be " + expected);
}

// Runs `read`, and says which value it was about where that throws.
template <class Read>
auto about(const Value& value, Read&& read) {
  try {
    return read();
  } catch (const Error& error) {
    throw Error("malformed plan: " + place_of(value) + ": " + error.what());
  }
}

std::string to_string(const Value& value) {
  if (!value.is(Kind::string)) wrong(value, "a string");
  return std::string(value.text());
}

int64_t to_integer(const Value& value) {
  if (value.is(Kind::large)) wrong(value, "a number of 64 bits");
  if (!value.is(Kind::integer)) wrong(value, "a whole number");
  return value.integer();
}

int to_index(const Value& value) {
  const int64_t number = to_integer(value);
  if (number < std::numeric_limits<int>::min() || number > std::numeric_limits<int>::max())
    wrong(value, "an index");
  return static_cast<int>(number);
}

bool is_number(const Value& value) {
  return value.is(Kind::integer) || value.is(Kind::large) || value.is(Kind::number);
}

double to_number(const Value& value) {
  if (!is_number(value)) wrong(value, "a number");
  return value.number();
}

Value to_object(const Value& value) {
  if (!value.is(Kind::object)) wrong(value, "an object");
  return value;
}

Value to_list(const Value& value) {
  if (!value.is(Kind::list)) wrong(value, "a list");
  return value;
}

DType to_dtype(const Value& value) {
  const std::string name = to_string(value);
  return about(value, [&] { return dtype_from(name); });
}

Value field(const Value& object, std::string_view key) {
  const std::optional<Value> found = to_object(object).find(key);
  if (!found) wrong(object, "an object with the key `" + std::string(key) + "`");
  return *found;
}

template <class Item>
auto map_list(const Value& list, Item&& item) {
  std::vector<std::invoke_result_t<Item&, const Value&>> result;
  result.reserve(to_list(list).size());
  list.each_item([&](const Value& value, size_t) { result.push_back(item(value)); });
  return result;
}

int optional_index(const Value& object, std::string_view key) {
  const std::optional<Value> found = object.find(key);
  return found && !found->is(Kind::null) ? to_index(*found) : -1;
}

std::string optional_string(const Value& object, std::string_view key, const char* fallback) {
  const std::optional<Value> found = object.find(key);
  return found ? to_string(*found) : fallback;
}

VariableSpec to_variable(const Value& source) {
  VariableSpec result;
  result.name = to_string(field(source, "name"));
  result.dtype = to_dtype(field(source, "dtype"));
  result.shape = map_list(field(source, "shape"), to_integer);
  result.kind = to_string(field(source, "kind"));
  result.master_of = optional_string(source, "master_of", "");
  return result;
}

BufferKind to_kind(const Value& value) {
  static const std::map<std::string, BufferKind, std::less<>> kinds = {
      {"input", BufferKind::input},       {"variable", BufferKind::variable},
      {"constant", BufferKind::constant}, {"temporary", BufferKind::temporary},
      {"prepared", BufferKind::prepared}, {"output", BufferKind::output}};
  const auto found = kinds.find(to_string(value));
  if (found == kinds.end()) wrong(value, "a kind of buffer, found `" + to_string(value) + "`");
  return found->second;
}

TileRole to_role(const Value& value) {
  for (const TileRole role : {TileRole::self, TileRole::epilogue, TileRole::prologue}) {
    if (to_string(value) == name_of(role)) return role;
  }
  wrong(value, "self, epilogue or prologue, found `" + to_string(value) + "`");
}

NamedBuffer to_named(const Value& source) {
  NamedBuffer result;
  result.name = to_string(field(source, "name"));
  result.buffer = to_index(field(source, "buffer"));
  result.role = optional_string(source, "role", "data");
  if (const std::optional<Value> limit = source.find("limit")) result.limit = to_integer(*limit);
  return result;
}

class PlanReader {
 public:
  Plan read(const Value& source) {
    plan_.version = to_index(field(source, "version"));
    if (plan_.version != kPlanVersion)
      return std::move(plan_);  // check_plan says why it stops here
    plan_.symbols = map_list(field(source, "symbols"), to_string);
    plan_.variables = map_list(field(source, "variables"), to_variable);
    const int64_t strict = to_integer(field(source, "strict"));
    if (strict != 0 && strict != 1) wrong(field(source, "strict"), "0 or 1");
    plan_.strict = strict == 1;
    to_object(field(source, "programs"))
        .each_member([&](std::string_view name, const Value& value) {
          plan_.programs.emplace(name, program(value));
        });
    return std::move(plan_);
  }

 private:
  Dim dim(const Value& value) const {
    if (value.is(Kind::integer)) {
      const int64_t number = value.integer();
      return {{{DimOp::Kind::constant, number}}, std::to_string(number)};
    }
    if (!value.is(Kind::string)) wrong(value, "a dimension: a whole number of 64 bits or a string");
    return about(value, [&] { return parse_dim(std::string(value.text()), plan_.symbols); });
  }

  std::vector<Dim> dims(const Value& value) const {
    return map_list(value, [this](const Value& item) { return dim(item); });
  }

  Program program(const Value& source) const {
    const auto read_step = [this](const Value& value) { return step(value); };
    Program result;
    result.buffers =
        map_list(field(source, "buffers"), [this](const Value& value) { return buffer(value); });
    if (const std::optional<Value> prepare = source.find("prepare"))
      result.prepare = map_list(*prepare, read_step);
    result.steps = map_list(field(source, "steps"), read_step);
    result.inputs = map_list(field(source, "inputs"), to_named);
    result.outputs = map_list(field(source, "outputs"), to_named);
    return result;
  }

  BufferSpec buffer(const Value& source) const {
    BufferSpec result;
    result.dtype = to_dtype(field(source, "dtype"));
    result.shape = dims(field(source, "shape"));
    result.kind = to_kind(field(source, "kind"));
    result.variable = optional_index(source, "variable");
    result.alias = optional_index(source, "alias");
    return result;
  }

  StepSpec step(const Value& source) const {
    StepSpec result;
    result.kernel = to_string(field(source, "kernel"));
    result.operands = map_list(field(source, "operands"), to_index);
    result.results = map_list(field(source, "results"), to_index);
    if (const std::optional<Value> attributes = source.find("attributes")) {
      to_object(*attributes).each_member([&](std::string_view name, const Value& value) {
        result.attributes.emplace(name, attribute(value));
      });
    }
    const std::optional<Value> program = source.find("tile");
    if (program && !program->is(Kind::null)) result.tile = tile(*program);
    result.path = optional_string(source, "path", "");
    result.source = optional_string(source, "source", "");
    return result;
  }

  AttributeValue attribute(const Value& value) const {
    switch (value.kind()) {
      case Kind::integer:
      case Kind::large:
        return to_integer(value);
      case Kind::number:
        return value.number();
      case Kind::string:
        return to_string(value);
      case Kind::list:
        break;
      default:
        wrong(value, "a number, a string or a list");
    }
    bool numbers = false;
    value.each_item([&](const Value& item, size_t) { numbers = numbers || item.is(Kind::number); });
    if (numbers) return map_list(value, to_number);
    return dims(value);
  }

  TileProgram tile(const Value& source) const {
    TileProgram result;
    result.role = to_role(field(source, "role"));
    result.compute = to_dtype(field(source, "compute"));
    result.domain = dims(field(source, "domain"));
    result.loads = map_list(field(source, "loads"), to_index);
    result.stores = map_list(field(source, "stores"), to_index);
    result.code =
        map_list(field(source, "code"), [this](const Value& value) { return instruction(value); });
    return result;
  }

  TileInstruction instruction(const Value& source) const {
    if (to_list(source).size() == 0) wrong(source, "an instruction");
    TileInstruction result;
    bool special = false;
    source.each_item([&](const Value& item, size_t index) {
      if (index == 0) {
        result.op = to_string(item);
        special = result.op == "const" || result.op == "dim" || result.op == "uniform";
        if (special && source.size() != 2) wrong(source, "an instruction with one argument");
      } else if (!special) {
        result.arguments.push_back(to_index(item));
      } else if (result.op == "const") {
        result.number = to_number(item);
      } else if (result.op == "dim") {
        result.dim = dim(item);
      } else {
        result.stream = to_integer(item);
      }
    });
    return result;
  }

  Plan plan_;
};

}  // namespace

Plan read_plan(std::string_view json) {
  const json::Document document(json, "plan.json", json::Numbers::any);
  return PlanReader().read(to_object(document.root()));
}

}  // namespace nnrt
