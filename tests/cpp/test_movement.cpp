// Kernels that move elements, of every type, against their plain loops; indices out of range;
// mistakes.
#include <cmath>

#include "kernel_case.h"

namespace {

using namespace test;

constexpr DType kTypes[] = {DType::f32, DType::f64, DType::i32,
                            DType::i64, DType::u8,  DType::boolean};

Case make(const std::string& kernel, nnrt::AttributeMap attributes, std::vector<Array> operands,
          TensorInfo result) {
  Case test;
  test.kernel = kernel;
  test.attributes = std::move(attributes);
  test.operands = std::move(operands);
  test.results = {std::move(result)};
  return test;
}

Array numbered(DType type, Shape shape) {
  Array result(type, std::move(shape));
  for (size_t i = 0; i < result.values.size(); ++i) {
    result.values[i] =
        type == DType::boolean ? static_cast<double>(i % 3 == 0) : static_cast<double>(i % 251);
  }
  return result;
}

// The bytes of the plain loop on every instruction set and any cut.
void verify_bytes(const std::string& name, const Case& test) {
  const Outcome expected = run_case(test, Isa::reference);
  for (Isa isa : available_isas()) {
    for (Cut cut : {Cut::whole, Cut::single, Cut::backward}) {
      if (!CHECK(run_case(test, isa, cut).bytes == expected.bytes))
        std::printf("  %s, %s\n", name.c_str(), name_of(isa));
    }
  }
}

void test_transpose() {
  struct Entry {
    Shape shape;
    std::vector<int64_t> permutation;
  };
  const Entry entries[] = {{{5}, {0}},
                           {{3, 4}, {1, 0}},
                           {{129, 67}, {1, 0}},
                           {{2, 17, 33}, {0, 2, 1}},
                           {{2, 3, 5, 7}, {3, 1, 0, 2}},
                           {{4, 16, 16, 3}, {0, 3, 1, 2}},
                           {{2, 3, 20, 30}, {0, 2, 3, 1}},
                           {{6, 1, 4, 1}, {2, 3, 0, 1}},
                           {{0, 4}, {1, 0}},
                           {{3, 50, 4, 8}, {0, 2, 1, 3}}};
  for (const Entry& entry : entries) {
    for (DType type : kTypes) {
      Shape result;
      for (int64_t axis : entry.permutation) result.push_back(entry.shape[axis]);
      Case test = make("transpose", {{"permutation", dims(entry.permutation)}},
                       {numbered(type, entry.shape)}, {type, result});
      verify_bytes("transpose of " + text_of(test.operands[0].info), test);
    }
  }
  Outcome small = run_case(make("transpose", {{"permutation", dims({1, 0})}},
                                {numbered(DType::f32, {2, 3})}, {DType::f32, {3, 2}}),
                           Isa::reference);
  CHECK((small.results[0].values == std::vector<double>{0, 3, 1, 4, 2, 5}));
}

void test_concat() {
  for (DType type : kTypes) {
    for (int64_t axis : {0, 1, 2}) {
      std::vector<Array> operands;
      Shape result = {3, 4, 5};
      result[axis] = 0;
      for (int64_t extent : {2, 1, 9}) {
        Shape shape = {3, 4, 5};
        shape[axis] = extent;
        result[axis] += extent;
        operands.push_back(numbered(type, shape));
      }
      verify_bytes("concat", make("concat", {{"axis", axis}}, operands, {type, result}));
    }
  }
  Outcome small =
      run_case(make("concat", {{"axis", int64_t{1}}},
                    {Array(DType::f32, {2, 1}, {1, 2}), Array(DType::f32, {2, 2}, {3, 4, 5, 6})},
                    {DType::f32, {2, 3}}),
               Isa::reference);
  CHECK((small.results[0].values == std::vector<double>{1, 3, 4, 2, 5, 6}));
}

void test_slice() {
  struct Entry {
    Shape from, to;
    std::vector<int64_t> begin, step;
  };
  const Entry entries[] = {{{10}, {4}, {2}, {2}},
                           {{10}, {10}, {9}, {-1}},
                           {{6, 7}, {3, 5}, {1, 2}, {2, 1}},
                           {{6, 7}, {6, 2}, {0, 6}, {1, -3}},
                           {{3, 40, 50}, {3, 33, 50}, {0, 5, 0}, {1, 1, 1}},
                           {{3, 40, 50}, {3, 40, 1}, {0, 0, 49}, {1, 1, 1}},
                           {{5, 5}, {0, 5}, {0, 0}, {1, 1}}};
  for (const Entry& entry : entries) {
    for (DType type : kTypes) {
      nnrt::AttributeMap attributes = {{"begin", dims(entry.begin)}, {"step", dims(entry.step)}};
      verify_bytes("slice",
                   make("slice", attributes, {numbered(type, entry.from)}, {type, entry.to}));
      verify_bytes("slice_backward", make("slice_backward", attributes, {numbered(type, entry.to)},
                                          {type, entry.from}));
    }
  }
  Outcome small = run_case(make("slice", {{"begin", dims({4})}, {"step", dims({-2})}},
                                {numbered(DType::f32, {5})}, {DType::f32, {3}}),
                           Isa::reference);
  CHECK((small.results[0].values == std::vector<double>{4, 2, 0}));
  auto bad = [](std::vector<int64_t> begin, std::vector<int64_t> step, int64_t extent) {
    Case test = make("slice", {{"begin", dims(begin)}, {"step", dims(step)}},
                     {numbered(DType::f32, {5})}, {DType::f32, {extent}});
    CHECK_THROWS(run_case(test, Isa::generic), nnrt::Error);
  };
  bad({3}, {1}, 3);
  bad({-1}, {1}, 3);
  bad({5}, {1}, 1);
  bad({1}, {-1}, 3);
  bad({0}, {0}, 2);
  bad({0}, {int64_t{1} << 62}, 3);
}

void test_pad() {
  for (DType type : kTypes) {
    verify_bytes("pad", make("pad", {{"low", dims({1, 0, 3})}, {"value", 1.0}},
                             {numbered(type, {4, 5, 6})}, {type, {6, 5, 100}}));
  }
  Outcome small = run_case(make("pad", {{"low", dims({1})}, {"value", -2.5}},
                                {numbered(DType::f32, {2})}, {DType::f32, {4}}),
                           Isa::generic);
  CHECK((small.results[0].values == std::vector<double>{-2.5, 0, 1, -2.5}));
  Case bad = make("pad", {{"low", dims({3})}, {"value", 0.0}}, {numbered(DType::f32, {2})},
                  {DType::f32, {4}});
  CHECK_THROWS(run_case(bad, Isa::generic), nnrt::Error);
}

void test_resize() {
  for (DType type : kTypes) {
    verify_bytes("resize_nearest", make("resize_nearest", {{"factor", dims({2, 3})}},
                                        {numbered(type, {2, 5, 7, 3})}, {type, {2, 10, 21, 3}}));
  }
  Case backward = make("resize_nearest_backward", {{"factor", dims({2, 3})}},
                       {random_array(DType::f32, {2, 10, 21, 3}, 1)}, {DType::f32, {2, 5, 7, 3}});
  verify("resize_nearest_backward", backward, 1e-6);
}

void test_gather() {
  for (DType type : {DType::f32, DType::f64, DType::i32, DType::i64, DType::u8}) {
    for (DType ids : {DType::i32, DType::i64, DType::u8}) {
      Array index = random_array(ids, {4, 9}, 2, 0, 12);
      if (ids != DType::u8) index.values[3] = -1;
      index.values[5] = 12;
      verify_bytes("gather",
                   make("gather", {}, {numbered(type, {12, 5, 3}), index}, {type, {4, 9, 5, 3}}));
      if (!is_float(type)) continue;
      Outcome found =
          run_case(make("gather", {}, {numbered(type, {12, 2}), Array(DType::i64, {2}, {3, 12})},
                        {type, {2, 2}}),
                   Isa::generic);
      CHECK(found.results[0].values[0] == 6 && found.results[0].values[1] == 7);
      CHECK(std::isnan(found.results[0].values[2]) && std::isnan(found.results[0].values[3]));
    }
  }
  Array index = random_array(DType::i64, {500}, 3, -1, 41);
  Case backward = make("gather_backward", {}, {index, random_array(DType::f32, {500, 33}, 4)},
                       {DType::f32, {40, 33}});
  verify("gather_backward", backward, 2e-6);
  // Against the definition.
  Outcome found = run_case(backward, Isa::generic);
  std::vector<double> expected(40 * 33, 0.0);
  for (size_t i = 0; i < 500; ++i) {
    const double id = index.values[i];
    if (id < 0 || id >= 40) continue;
    for (size_t c = 0; c < 33; ++c)
      expected[static_cast<size_t>(id) * 33 + c] += backward.operands[1].values[i * 33 + c];
  }
  double worst = 0;
  for (size_t i = 0; i < expected.size(); ++i)
    worst = std::max(worst, std::fabs(expected[i] - found.results[0].values[i]));
  CHECK(worst < 1e-5);
}

void test_iota() {
  for (DType type : {DType::f32, DType::f64, DType::i32, DType::i64, DType::u8}) {
    Case test = make("iota", {{"axis", int64_t{1}}}, {}, {type, {3, 4, 2}});
    verify_bytes("iota", test);
    Outcome found = run_case(test, Isa::generic);
    for (size_t i = 0; i < 24; ++i)
      CHECK(found.results[0].values[i] == static_cast<double>(i / 2 % 4));
  }
}

// Wrong steps are found by check or bind, before anything runs.
void test_mistakes() {
  const Array x = random_array(DType::f32, {4, 8, 8, 3}, 1);
  const Array wrong = random_array(DType::i32, {4, 8, 8, 3}, 1, 0, 9);
  const TensorInfo same{DType::f32, {4, 8, 8, 3}};
  auto bad = [](const Case& test) { CHECK_THROWS(run_case(test, Isa::generic), nnrt::Error); };
  bad(make("softmax", {}, {wrong}, {DType::i32, {4, 8, 8, 3}}));
  bad(make("softmax", {}, {x}, {DType::f32, {4, 8, 8, 4}}));
  bad(make("softmax", {}, {x, x}, same));
  bad(make("reduce", {{"axes", dims({4})}, {"op", std::string("sum")}, {"keepdims", int64_t{0}}},
           {x}, same));
  bad(make("reduce", {{"axes", dims({1, 1})}, {"op", std::string("sum")}, {"keepdims", int64_t{0}}},
           {x}, {DType::f32, {4, 8, 3}}));
  bad(make("reduce",
           {{"axes", dims({1})}, {"op", std::string("product")}, {"keepdims", int64_t{0}}}, {x},
           {DType::f32, {4, 8, 3}}));
  bad(make("reduce", {{"axes", dims({1})}, {"keepdims", int64_t{0}}}, {x},
           {DType::f32, {4, 8, 3}}));
  bad(make("argmax", {{"axis", int64_t{-1}}, {"keepdims", int64_t{0}}}, {x},
           {DType::i64, {4, 8, 8}}));
  bad(make("argmax", {{"axis", int64_t{3}}, {"keepdims", int64_t{0}}}, {x},
           {DType::f32, {4, 8, 8}}));
  bad(make("concat", {{"axis", int64_t{0}}}, {x, x}, {DType::f32, {9, 8, 8, 3}}));
  bad(make("concat", {{"axis", int64_t{0}}}, {}, {DType::f32, {9, 8, 8, 3}}));
  bad(make("transpose", {{"permutation", dims({0, 0, 1, 2})}}, {x}, same));
  bad(make("transpose", {{"permutation", dims({0, 1, 2})}}, {x}, same));
  bad(make("gather", {}, {x, x}, same));
  nnrt::AttributeMap window = {{"kernel", dims({2, 2})},
                               {"stride", dims({2, 2})},
                               {"padding", dims({0, 0, 0, 0})},
                               {"dilation", dims({1, 1})}};
  bad(make("max_pool", window, {x}, {DType::f32, {4, 5, 4, 3}}));
  const Array index = random_array(DType::i32, {4, 4, 4, 3}, 1), dy(DType::f32, {4, 4, 4, 3});
  bad(make("max_pool_backward", window, {index, dy}, same));  // bytes are wanted
  bad(make("max_pool_backward", window, {dy, dy}, same));
  window["stride"] = dims({0, 2});
  bad(make("max_pool", window, {x}, {DType::f32, {4, 4, 4, 3}}));
  window["stride"] = dims({2, 2, 2});
  bad(make("max_pool", window, {x}, {DType::f32, {4, 4, 4, 3}}));
  window["stride"] = dims({2, 2});
  window["padding"] = dims({-1, 0, 0, 0});
  bad(make("max_pool", window, {x}, {DType::f32, {4, 4, 4, 3}}));
  CHECK(nnrt::find_kernel("no such kernel") == nullptr);
}

}  // namespace

int main() {
  test_transpose();
  test_concat();
  test_slice();
  test_pad();
  test_resize();
  test_gather();
  test_iota();
  test_mistakes();
  return test::finish();
}
