// From JSON to a plan: what each part must be, and damaged plans.
#include <cmath>
#include <fstream>
#include <iterator>
#include <random>

#include "cases.h"
#include "core/plan_reader.h"
#include "core/zip.h"
#include "nnrt/program.h"

using namespace nnrt;
using namespace nnrt::test;

namespace {

// y = -x, with a reduction that has attributes of every type.
const std::string kPlan = R"({
  "version": 3, "strict": 1, "symbols": ["N"],
  "variables": [{"name": "w", "dtype": "f64", "shape": [3, 4], "kind": "state"}],
  "programs": {"main": {
    "buffers": [
      {"dtype": "f32", "shape": ["N", 3], "kind": "input"},
      {"dtype": "f32", "shape": ["N*3"], "kind": "output", "variable": null, "alias": null}],
    "steps": [
      {"kernel": "tile", "operands": [0], "results": [1], "path": "a.b", "source": "a.nn:3",
       "attributes": {"whole": -7, "half": 0.5, "least": -Infinity, "text": "sum", "none": [],
                      "sizes": [1, "N+1"], "numbers": [1, 0.25, 1e3]},
       "tile": {"role": "self", "compute": "f32", "domain": ["N", 3], "loads": [0], "stores": [1],
                "code": [["load", 0], ["const", 9007199254740993], ["dim", "N"],
                         ["uniform", 4294967295], ["neg", 0], ["store", 0, 4]]}},
      {"kernel": "reduce", "operands": [], "results": [], "tile": null}],
    "inputs": [{"name": "x", "buffer": 0, "limit": 9}],
    "outputs": [{"name": "y", "buffer": 1}]}}})";

Plan with(const std::string& old, const std::string& now) {
  std::string text = kPlan;
  const size_t at = text.find(old);
  CHECK(at != std::string::npos);
  return read_plan(text.replace(at, old.size(), now));
}

void reads_variables_and_buffers() {
  const Plan plan = read_plan(kPlan);
  CHECK(plan.version == 3);
  CHECK(plan.strict);
  CHECK(!with("\"strict\": 1", "\"strict\": 0").strict);
  CHECK(plan.symbols == std::vector<std::string>{"N"});
  CHECK(plan.variables.size() == 1);
  CHECK(plan.variables[0].name == "w" && plan.variables[0].kind == "state");
  CHECK(plan.variables[0].dtype == DType::f64 && plan.variables[0].shape == (Shape{3, 4}));
  const Program& program = plan.programs.at("main");
  CHECK(program.prepare.empty());
  CHECK(program.buffers.size() == 2);
  CHECK(program.buffers[0].kind == BufferKind::input);
  CHECK(program.buffers[0].variable == -1 && program.buffers[0].alias == -1);
  CHECK(evaluate(program.buffers[1].shape[0], {5}) == 15);
  CHECK(program.inputs[0].role == "data" && program.inputs[0].limit == 9);
  CHECK(program.outputs[0].name == "y" && program.outputs[0].limit == -1);
}

void reads_steps() {
  const Plan plan = read_plan(kPlan);
  const std::vector<StepSpec>& steps = plan.programs.at("main").steps;
  CHECK(steps.size() == 2);
  const StepSpec& step = steps[0];
  CHECK(step.kernel == "tile" && step.path == "a.b" && step.source == "a.nn:3");
  CHECK(step.operands == std::vector<int>{0} && step.results == std::vector<int>{1});
  CHECK(std::get<int64_t>(step.attributes.at("whole")) == -7);
  CHECK(std::get<double>(step.attributes.at("half")) == 0.5);
  CHECK(std::get<double>(step.attributes.at("least")) == -INFINITY);
  CHECK(std::get<std::string>(step.attributes.at("text")) == "sum");
  CHECK(std::get<std::vector<Dim>>(step.attributes.at("none")).empty());
  CHECK(evaluate(std::get<std::vector<Dim>>(step.attributes.at("sizes"))[1], {5}) == 6);
  CHECK((std::get<std::vector<double>>(step.attributes.at("numbers")) ==
         std::vector<double>{1, 0.25, 1000}));
  CHECK(step.tile->code.size() == 6);
  CHECK(step.tile->code[1].number == 9007199254740992.0);
  CHECK(evaluate(step.tile->code[2].dim, {5}) == 5);
  CHECK(step.tile->code[3].stream == 4294967295);
  CHECK(step.tile->code[5].arguments == (std::vector<int>{0, 4}));
  CHECK(!steps[1].tile && steps[1].path.empty());
}

struct Wrong {
  const char* old;
  const char* now;
  const char* message;
};

void tells_what_each_part_must_be() {
  const Wrong cases[] = {
      {"\"version\": 3", "\"version\": \"3\"", "version must be a whole number"},
      {"\"version\": 3", "\"version\": 2.0", "version must be a whole number"},
      {"\"version\": 3", "\"version\": true", "version must be a whole number"},
      {"\"version\": 3", "\"version\": 99999999999", "version must be an index"},
      {"\"version\": 3, ", "", "a plan must be an object with the key `version`"},
      {"\"strict\": 1,", "", "a plan must be an object with the key `strict`"},
      {"\"strict\": 1", "\"strict\": 2", "strict must be 0 or 1"},
      {"[\"N\"]", "\"N\"", "symbols must be a list"},
      {"[\"N\"]", "[7]", "symbols[0] must be a string"},
      {"[3, 4]", "[3, \"N\"]", "variables[0].shape[1] must be a whole number"},
      {"[3, 4]", "[3, 9223372036854775808]", "variables[0].shape[1] must be a number of 64 bits"},
      {"\"f64\"", "\"f16\"", "variables[0].dtype: there is no element type `f16`"},
      {"\"N*3\"", "\"N*\"", "programs.main.buffers[1].shape[0]: no dimension: `N*`"},
      {"\"N*3\"", "\"K\"", "programs.main.buffers[1].shape[0]: unknown symbol `K`"},
      {"\"N*3\"", "1.5", "programs.main.buffers[1].shape[0] must be a dimension"},
      {"\"N*3\"", "null", "programs.main.buffers[1].shape[0] must be a dimension"},
      {"\"kind\": \"input\"", "\"kind\": \"inputs\"",
       "programs.main.buffers[0].kind must be a kind of buffer, found `inputs`"},
      {"\"alias\": null", "\"alias\": [0]",
       "programs.main.buffers[1].alias must be a whole number"},
      {"\"operands\": [0]", "\"operands\": [null]",
       "programs.main.steps[0].operands[0] must be a whole number"},
      {"\"path\": \"a.b\"", "\"path\": null", "programs.main.steps[0].path must be a string"},
      {"\"whole\": -7", "\"whole\": 18446744073709551616",
       "programs.main.steps[0].attributes.whole must be a number of 64 bits"},
      {"\"whole\": -7", "\"whole\": true",
       "programs.main.steps[0].attributes.whole must be a number, a string or a list"},
      {"0.25, 1e3", "0.25, \"N\"", "programs.main.steps[0].attributes.numbers[2] must be a number"},
      {"\"sizes\": [1,", "\"sizes\": [[1],",
       "programs.main.steps[0].attributes.sizes[0] must be a dimension"},
      {"\"tile\": null", "\"tile\": 0", "programs.main.steps[1].tile must be an object"},
      {"\"compute\": \"f32\", ", "",
       "programs.main.steps[0].tile must be an object with the key `compute`"},
      {"[\"neg\", 0]", "[]", "programs.main.steps[0].tile.code[4] must be an instruction"},
      {"[\"neg\", 0]", "[\"neg\", 0.5]",
       "programs.main.steps[0].tile.code[4][1] must be a whole number"},
      {"[\"neg\", 0]", "[0, 0]", "programs.main.steps[0].tile.code[4][0] must be a string"},
      {"[\"dim\", \"N\"]", "[\"dim\"]",
       "programs.main.steps[0].tile.code[2] must be an instruction with one argument"},
      {"[\"dim\", \"N\"]", "[\"const\", \"1\"]",
       "programs.main.steps[0].tile.code[2][1] must be a number"},
      {"\"limit\": 9", "\"limit\": \"9\"", "programs.main.inputs[0].limit must be a whole number"},
      {"\"programs\": {\"main\": {", "\"programs\": {\"main\": [], \"other\": {",
       "programs.main must be an object"},
  };
  for (const auto& [old, now, message] : cases)
    CHECK_ERROR(with(old, now), std::string("malformed plan: ") + message);
  CHECK_ERROR(read_plan("[]"), "malformed plan: a plan must be an object");
  CHECK_ERROR(read_plan(""), "plan.json cannot be read: byte 0: the text ends early");
  CHECK_ERROR(read_plan("{\"version\": 2, \"version\": 3}"), "the key `version` twice");
}

void reads_no_more_of_another_version() {
  const Plan plan = read_plan("{\"version\": 4, \"programs\": []}");
  CHECK_ERROR(check_plan(plan), "this runtime reads version 3: compile the .nn file");
}

std::string fixture() {
  std::ifstream file(NNC_TEST_DATA "/marks.nnc", std::ios::binary);
  const std::string content{std::istreambuf_iterator<char>(file), {}};
  return std::string(read_zip(content).at("plan.json"));
}

// A compiled plan with a few bytes changed, or with pieces of itself elsewhere, is refused with an
// error or passes the check.
void survives_damage() {
  const std::string sound = fixture();
  const std::string pieces = "{}[]\",:-+.eE0123456789N*/()";
  std::mt19937 choose(2);
  const auto below = [&](size_t count) { return choose() % count; };
  int passed = 0, unread = 0, malformed = 0, refused = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::string text = sound;
    for (size_t changes = 1 + below(2); changes-- > 0;) {
      const size_t at = below(text.size());
      switch (below(4)) {
        case 0:
          text[at] = pieces[below(pieces.size())];
          break;
        case 1:
          text.insert(at, 1, pieces[below(pieces.size())]);
          break;
        case 2: {  // one number for another
          const size_t digit = text.find_first_of("0123456789", at);
          if (digit != std::string::npos) text.replace(digit, 1, std::to_string(below(300)));
          break;
        }
        default:
          text.replace(at, 1 + below(8), text.substr(below(text.size()), below(8)));
      }
    }
    try {
      const Plan plan = read_plan(text);
      ++refused;
      check_plan(plan);
      --refused;
      ++passed;
    } catch (const Error& error) {
      unread += contains(error.what(), "plan.json cannot be read: byte ");
      malformed += contains(error.what(), "malformed plan: ");
    }
  }
  CHECK(passed > 1000);
  CHECK(unread > 1000);
  CHECK(malformed > 1000);
  CHECK(refused > 300);
  CHECK(passed + unread + malformed + refused == 20'000);
}

}  // namespace

int main() {
  return run_tests({{"reads variables and buffers", reads_variables_and_buffers},
                    {"reads steps", reads_steps},
                    {"tells what each part must be", tells_what_each_part_must_be},
                    {"reads no more of another version", reads_no_more_of_another_version},
                    {"survives damage", survives_damage}});
}
