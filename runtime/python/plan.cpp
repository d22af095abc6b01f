// The dict form of a plan (what plan.json holds) to nnrt::Plan. Only the form is checked here;
// check_plan checks the meaning.
#include <cmath>
#include <limits>

#include "python/bindings.h"

namespace nnrt::python {
namespace {

[[noreturn]] void wrong(const std::string& where, const std::string& expected) {
  throw Error("malformed plan: " + where + " must be " + expected);
}

std::string to_string(const py::handle& value, const std::string& where) {
  if (!py::isinstance<py::str>(value)) wrong(where, "a string");
  Py_ssize_t size = 0;
  const char* text = PyUnicode_AsUTF8AndSize(value.ptr(), &size);
  if (text == nullptr) {
    PyErr_Clear();
    wrong(where, "valid text");
  }
  return std::string(text, static_cast<size_t>(size));
}

int64_t to_integer(const py::handle& value, const std::string& where) {
  if (!PyLong_Check(value.ptr()))
    wrong(where, "a whole number");  // True and False count as 1 and 0
  int overflow = 0;
  const long long number = PyLong_AsLongLongAndOverflow(value.ptr(), &overflow);
  if (overflow != 0) wrong(where, "a number of 64 bits");
  return number;
}

int to_index(const py::handle& value, const std::string& where) {
  const int64_t number = to_integer(value, where);
  if (number < std::numeric_limits<int>::min() || number > std::numeric_limits<int>::max())
    wrong(where, "an index");
  return static_cast<int>(number);
}

double to_number(const py::handle& value, const std::string& where) {
  if (!PyFloat_Check(value.ptr()) && !PyLong_Check(value.ptr())) wrong(where, "a number");
  const double number = PyFloat_AsDouble(value.ptr());
  if (PyErr_Occurred() != nullptr) {
    PyErr_Clear();
    wrong(where, "a number that a double can hold");
  }
  return number;
}

py::dict to_dict(const py::handle& value, const std::string& where) {
  if (!py::isinstance<py::dict>(value)) wrong(where, "an object");
  return py::reinterpret_borrow<py::dict>(value);
}

py::list to_list(const py::handle& value, const std::string& where) {
  if (py::isinstance<py::tuple>(value)) return py::list(py::reinterpret_borrow<py::tuple>(value));
  if (!py::isinstance<py::list>(value)) wrong(where, "a list");
  return py::reinterpret_borrow<py::list>(value);
}

py::object field(const py::dict& source, const char* key, const std::string& where) {
  if (!source.contains(key)) wrong(where, std::string("an object with the key `") + key + "`");
  return source[key];
}

py::object field_or(const py::dict& source, const char* key, py::object fallback) {
  return source.contains(key) ? py::object(source[key]) : std::move(fallback);
}

template <class Item>
auto map_list(const py::handle& value, const std::string& where, Item&& item) {
  std::vector<decltype(item(py::handle(), where))> result;
  const py::list list = to_list(value, where);
  for (size_t i = 0; i < list.size(); ++i)
    result.push_back(item(list[i], where + "[" + std::to_string(i) + "]"));
  return result;
}

class PlanReader {
 public:
  Plan read(const py::dict& source) {
    plan_.version = to_index(field(source, "version", "a plan"), "version");
    if (plan_.version != kPlanVersion)
      return std::move(plan_);  // check_plan says why it stops here
    plan_.symbols = map_list(field(source, "symbols", "a plan"), "symbols", to_string);
    plan_.variables = map_list(
        field(source, "variables", "a plan"), "variables",
        [](const py::handle& value, const std::string& where) { return variable(value, where); });
    if (source.contains("strict")) plan_.strict = to_integer(source["strict"], "strict") != 0;
    for (const auto& [key, value] : to_dict(field(source, "programs", "a plan"), "programs")) {
      const std::string name = to_string(key, "a program's name");
      plan_.programs.emplace(name, program(to_dict(value, "program " + name), "program " + name));
    }
    return std::move(plan_);
  }

 private:
  static VariableSpec variable(const py::handle& value, const std::string& where) {
    const py::dict source = to_dict(value, where);
    return {to_string(field(source, "name", where), where + ".name"),
            dtype_from(to_string(field(source, "dtype", where), where + ".dtype")),
            map_list(field(source, "shape", where), where + ".shape", to_integer),
            to_string(field(source, "kind", where), where + ".kind")};
  }

  Dim dim(const py::handle& value, const std::string& where) const {
    if (PyLong_Check(value.ptr())) {
      const int64_t number = to_integer(value, where);
      return {{{DimOp::Kind::constant, number}}, std::to_string(number)};
    }
    return parse_dim(to_string(value, where), plan_.symbols);
  }

  std::vector<Dim> dims(const py::handle& value, const std::string& where) const {
    return map_list(value, where, [this](const py::handle& item, const std::string& at) {
      return dim(item, at);
    });
  }

  Program program(const py::dict& source, const std::string& where) const {
    Program result;
    result.buffers = map_list(
        field(source, "buffers", where), where + ".buffers",
        [this](const py::handle& value, const std::string& at) { return buffer(value, at); });
    const auto read_step = [this](const py::handle& value, const std::string& at) {
      return step(value, at);
    };
    result.prepare =
        map_list(field_or(source, "prepare", py::list()), where + ".prepare", read_step);
    result.steps = map_list(field(source, "steps", where), where + ".steps", read_step);
    result.inputs = map_list(field(source, "inputs", where), where + ".inputs", named);
    result.outputs = map_list(field(source, "outputs", where), where + ".outputs", named);
    return result;
  }

  static BufferKind kind_from(const std::string& name, const std::string& where) {
    static const std::map<std::string, BufferKind> kinds = {
        {"input", BufferKind::input},       {"variable", BufferKind::variable},
        {"constant", BufferKind::constant}, {"temporary", BufferKind::temporary},
        {"prepared", BufferKind::prepared}, {"output", BufferKind::output}};
    const auto found = kinds.find(name);
    if (found == kinds.end()) wrong(where, "a kind of buffer, found `" + name + "`");
    return found->second;
  }

  static int optional_index(const py::dict& source, const char* key, const std::string& where) {
    const py::object value = field_or(source, key, py::none());
    return value.is_none() ? -1 : to_index(value, where + "." + key);
  }

  BufferSpec buffer(const py::handle& value, const std::string& where) const {
    const py::dict source = to_dict(value, where);
    return {dtype_from(to_string(field(source, "dtype", where), where + ".dtype")),
            dims(field(source, "shape", where), where + ".shape"),
            kind_from(to_string(field(source, "kind", where), where + ".kind"), where + ".kind"),
            optional_index(source, "variable", where), optional_index(source, "alias", where)};
  }

  static NamedBuffer named(const py::handle& value, const std::string& where) {
    const py::dict source = to_dict(value, where);
    NamedBuffer result;
    result.name = to_string(field(source, "name", where), where + ".name");
    result.buffer = to_index(field(source, "buffer", where), where + ".buffer");
    result.role = to_string(field_or(source, "role", py::str("data")), where + ".role");
    result.limit = to_integer(field_or(source, "limit", py::int_(-1)), where + ".limit");
    return result;
  }

  StepSpec step(const py::handle& value, const std::string& where) const {
    const py::dict source = to_dict(value, where);
    StepSpec result;
    result.kernel = to_string(field(source, "kernel", where), where + ".kernel");
    result.operands = map_list(field(source, "operands", where), where + ".operands", to_index);
    result.results = map_list(field(source, "results", where), where + ".results", to_index);
    for (const auto& [key, attribute] :
         to_dict(field_or(source, "attributes", py::dict()), where + ".attributes")) {
      const std::string name = to_string(key, where + ".attributes");
      result.attributes.emplace(name, attribute_value(attribute, where + "." + name));
    }
    const py::object tile_source = field_or(source, "tile", py::none());
    if (!tile_source.is_none())
      result.tile = tile(to_dict(tile_source, where + ".tile"), where + ".tile");
    result.path = to_string(field_or(source, "path", py::str("")), where + ".path");
    result.source = to_string(field_or(source, "source", py::str("")), where + ".source");
    return result;
  }

  AttributeValue attribute_value(const py::handle& value, const std::string& where) const {
    if (PyLong_Check(value.ptr())) return to_integer(value, where);
    if (PyFloat_Check(value.ptr())) return to_number(value, where);
    if (py::isinstance<py::str>(value)) return to_string(value, where);
    const py::list list = to_list(value, where);
    for (const py::handle& item : list) {
      if (PyFloat_Check(item.ptr())) return map_list(list, where, to_number);
    }
    return dims(list, where);
  }

  TileProgram tile(const py::dict& source, const std::string& where) const {
    TileProgram result;
    result.compute = dtype_from(to_string(field(source, "compute", where), where + ".compute"));
    result.domain = dims(field(source, "domain", where), where + ".domain");
    result.loads = map_list(field(source, "loads", where), where + ".loads", to_index);
    result.stores = map_list(field(source, "stores", where), where + ".stores", to_index);
    result.code = map_list(
        field(source, "code", where), where + ".code",
        [this](const py::handle& value, const std::string& at) { return instruction(value, at); });
    return result;
  }

  TileInstruction instruction(const py::handle& value, const std::string& where) const {
    const py::list source = to_list(value, where);
    if (source.empty()) wrong(where, "an instruction");
    TileInstruction result;
    result.op = to_string(source[0], where);
    const bool special = result.op == "const" || result.op == "dim" || result.op == "uniform";
    if (!special) {
      for (size_t i = 1; i < source.size(); ++i)
        result.arguments.push_back(to_index(source[i], where));
      return result;
    }
    if (source.size() != 2) wrong(where, "an instruction with one argument");
    if (result.op == "const") result.number = to_number(source[1], where);
    if (result.op == "dim") result.dim = dim(source[1], where);
    if (result.op == "uniform") result.stream = to_integer(source[1], where);
    return result;
  }

  Plan plan_;
};

}  // namespace

Plan plan_from(const py::handle& source) { return PlanReader().read(to_dict(source, "a plan")); }

}  // namespace nnrt::python
