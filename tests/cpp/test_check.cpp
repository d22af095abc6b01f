// check_plan refuses everything that could make a run read or write where it must not.
#include "cases.h"
#include "nnrt/program.h"
#include "toy.h"

using namespace nnrt;
using namespace nnrt::test;

namespace {

// x -> scale -> t -> t + w -> y, with a view of t, and a clock.
struct Valid {
  PlanWriter writer;
  int x, w, t, view, y, clock;
  Valid() {
    x = writer.input("x", {"N", "4"});
    w = writer.variable("w", {4});
    t = writer.temporary({"N", "4"});
    view = writer.alias(t, {"N*4"});
    y = writer.output("y", {"N", "4"});
    clock = writer.clock("step");
    writer.scale(x, t, 2);
    writer.binary("add", t, w, y, {"N", "4"});
  }
  Program& program() { return writer.program(); }
  BufferSpec& buffer(int index) { return program().buffers[static_cast<size_t>(index)]; }
  TileProgram& tile() { return *program().steps[1].tile; }
};

std::string error_of_plan(const Plan& plan) {
  return error_of([&] { check_plan(plan, &toy_rule); });
}

template <class Change>
void refuses(Change&& change, const std::string& part) {
  Valid valid;
  change(valid);
  const std::string text = error_of_plan(valid.writer.plan());
  if (text.empty() || !contains(text, part)) {
    throw Failure("expected an error with \"" + part + "\", found \"" + text + "\"");
  }
}

void accepts_a_valid_plan() { CHECK(error_of_plan(Valid().writer.plan()).empty()); }

void header() {
  refuses([](Valid& v) { v.writer.plan().version = 4; }, "version 4");
  refuses([](Valid& v) { v.writer.plan().symbols = {"N", "N"}; }, "symbol `N`");
  refuses([](Valid& v) { v.writer.plan().symbols = {"N", "2K"}; }, "symbol `2K`");
  refuses([](Valid& v) { v.writer.plan().programs.clear(); }, "without programs");
}

void variables() {
  refuses([](Valid& v) { v.writer.plan().variables.push_back(v.writer.plan().variables[0]); },
          "named twice");
  refuses([](Valid& v) { v.writer.plan().variables[0].kind = "thing"; }, "unknown kind");
  refuses([](Valid& v) { v.writer.plan().variables[0].shape = {-4}; }, "negative");
  refuses([](Valid& v) { v.writer.plan().variables[0].shape = {int64_t{1} << 40, 1 << 20}; },
          "too large");
  refuses([](Valid& v) { v.writer.plan().variables[0].shape = {0, int64_t{1} << 50}; },
          "too large");
  refuses([](Valid& v) { v.writer.plan().variables[0].shape = {5}; }, "differ in type or shape");
  refuses([](Valid& v) { v.writer.plan().variables[0].kind = "constant"; }, "constant");
  refuses([](Valid& v) { v.buffer(v.w).variable = 7; }, "unknown variable");
  refuses([](Valid& v) { v.buffer(v.w).variable = -1; }, "names no variable");
  refuses([](Valid& v) { v.buffer(v.t).variable = 0; }, "may not name a variable");
  refuses([](Valid& v) { v.program().buffers.push_back(v.buffer(v.w)); },
          "another buffer already names");
}

void buffers() {
  refuses([](Valid& v) { v.buffer(v.view).alias = v.view; }, "does not come before");
  refuses([](Valid& v) { v.buffer(v.view).alias = v.y; }, "does not come before");
  refuses([](Valid& v) { v.buffer(v.view).alias = 99; }, "does not come before");
  refuses([](Valid& v) { v.buffer(v.view).alias = -5; }, "alias -5");
  refuses([](Valid& v) { v.buffer(v.view).dtype = DType::i64; }, "another element type");
  refuses(
      [](Valid& v) {
        v.buffer(v.t).shape = v.writer.dims({"1", "1", "1", "1", "1", "1", "1", "1", "N"});
      },
      "9 dimensions");
  refuses([](Valid& v) { v.buffer(v.t).shape = v.writer.dims({"K"}); }, "symbol `K`");
  refuses([](Valid& v) { v.buffer(v.t).shape[0].code.clear(); }, "empty dimension");
  refuses([](Valid& v) { v.buffer(v.t).shape[0].code[0] = {DimOp::Kind::symbol, 9}; },
          "unknown symbol");
}

void interface() {
  refuses([](Valid& v) { v.program().inputs[0].buffer = v.t; }, "no buffer of kind `input`");
  refuses([](Valid& v) { v.program().inputs[0].buffer = -2; }, "names buffer -2");
  refuses([](Valid& v) { v.program().inputs[0].buffer = 1000; }, "names buffer 1000");
  refuses([](Valid& v) { v.program().inputs.push_back(v.program().inputs[0]); }, "named twice");
  refuses([](Valid& v) { v.program().inputs.push_back({"z", v.x, "data", -1}); },
          "shares its buffer");
  refuses([](Valid& v) { v.program().inputs.pop_back(); }, "no input names it");
  refuses([](Valid& v) { v.program().inputs[0].role = "wish"; }, "unknown role");
  refuses([](Valid& v) { v.program().inputs[1].name = "time"; }, "clocks are");
  refuses(
      [](Valid& v) {
        v.program().inputs[0].role = "clock";
        v.program().inputs[0].name = "epoch";
      },
      "scalar float");
  refuses([](Valid& v) { v.program().inputs[0].limit = 5; }, "no integer");
  refuses([](Valid& v) { v.program().inputs[0].limit = -2; }, "negative limit");
  refuses([](Valid& v) { v.program().outputs.push_back(v.program().outputs[0]); }, "named twice");
  refuses([](Valid& v) { v.program().outputs[0].buffer = 77; }, "names buffer 77");
  refuses([](Valid& v) { v.program().steps.pop_back(); }, "never written");
}

void steps() {
  refuses([](Valid& v) { v.program().steps[0].kernel = "nothing"; }, "no kernel `nothing`");
  refuses([](Valid& v) { v.program().steps[0].operands = {55}; }, "names buffer 55");
  refuses([](Valid& v) { v.program().steps[0].results = {-1}; }, "names buffer -1");
  refuses([](Valid& v) { v.program().steps[0].results.clear(); }, "no result");
  refuses([](Valid& v) { v.program().steps[0].operands = {v.y}; }, "before it is written");
  refuses([](Valid& v) { std::swap(v.program().steps[0], v.program().steps[1]); },
          "before it is written");
  refuses([](Valid& v) { v.writer.scale(v.x, v.t, 1); }, "already written");
  refuses([](Valid& v) { v.writer.scale(v.x, v.view, 1); }, "already written");
  refuses([](Valid& v) { v.writer.scale(v.t, v.x, 1); }, "an input");
  refuses([](Valid& v) { v.program().steps[0].results = {v.t, v.view}; }, "twice");
  refuses([](Valid& v) { v.program().steps[0].results = {v.t, v.t}; }, "repeats a result");
  refuses(
      [](Valid& v) {
        const int constant = v.writer.variable("c", {4}, "constant");
        v.writer.scale(v.w, constant, 1);
      },
      "a constant");
  refuses([](Valid& v) { v.program().steps[0].attributes["size"] = v.writer.dims({"K"}); },
          "symbol `K`");
}

void preparation() {
  refuses(
      [](Valid& v) { v.writer.step("toy_scale", {v.x}, {v.writer.temporary({"N", "4"})}, true); },
      "depends on variables alone");
  refuses([](Valid& v) { v.writer.step("toy_scale", {v.w}, {v.w}, true); },
          "only prepared and temporary");
  refuses(
      [](Valid& v) {
        const int prepared = v.writer.buffer(BufferKind::prepared, {"4"});
        v.writer.scale(v.w, prepared, 1);
      },
      "only preparation may write");
  refuses(
      [](Valid& v) {
        const int temporary = v.writer.temporary({"4"});
        v.writer.step("toy_scale", {v.w}, {temporary}, true);
        v.writer.scale(temporary, v.writer.temporary({"4"}), 1);
      },
      "before it is written");
}

void tiles() {
  refuses([](Valid& v) { v.program().steps[1].tile.reset(); }, "tile program is missing");
  refuses([](Valid& v) { v.program().steps[0].tile = v.tile(); }, "takes no tile program");
  refuses([](Valid& v) { v.program().steps[1].tile->role = TileRole::epilogue; },
          "takes a tile program of the role `self`, found `epilogue`");
  refuses([](Valid& v) { v.program().steps[1].operands.pop_back(); },
          "differ from the loads and stores");
  refuses([](Valid& v) { v.tile().loads = {v.t, 99}; }, "names buffer 99");
  refuses([](Valid& v) { v.tile().compute = DType::u8; }, "computes in");
  refuses([](Valid& v) { v.tile().code[0].arguments = {2}; }, "slot 2 of 2");
  refuses([](Valid& v) { v.tile().code[0].arguments = {-1}; }, "slot -1");
  refuses([](Valid& v) { v.tile().code[0].arguments = {0, 1}; }, "takes one slot");
  refuses([](Valid& v) { v.tile().code[2].arguments = {0}; }, "takes 2 registers");
  refuses([](Valid& v) { v.tile().code[2].arguments = {0, 2}; }, "not defined before");
  refuses([](Valid& v) { v.tile().code[2].arguments = {0, -1}; }, "not defined before");
  refuses([](Valid& v) { v.tile().code[2].op = "explode"; }, "no elementwise operation");
  refuses([](Valid& v) { v.tile().code.pop_back(); }, "never stores to slot 0");
  refuses([](Valid& v) { v.tile().code.push_back(v.tile().code.back()); }, "repeats a slot");
  refuses([](Valid& v) { v.tile().code.push_back(PlanWriter::instruction("neg", {3})); },
          "register of a store");
  refuses([](Valid& v) { v.tile().code.push_back(PlanWriter::instruction("dim", {})); },
          "dimension");
  refuses([](Valid& v) { v.tile().domain = v.writer.dims({"K"}); }, "symbol `K`");
  refuses(
      [](Valid& v) {
        v.tile().code.push_back(PlanWriter::instruction("uniform", {}));
        v.tile().code.back().stream = -1;
      },
      "32-bit");
}

}  // namespace

int main() {
  return run_tests({{"accepts a valid plan", accepts_a_valid_plan},
                    {"refuses wrong headers", header},
                    {"refuses wrong variables", variables},
                    {"refuses wrong buffers", buffers},
                    {"refuses wrong inputs and outputs", interface},
                    {"refuses wrong steps", steps},
                    {"refuses wrong preparation", preparation},
                    {"refuses wrong tile programs", tiles}});
}
