// Reductions, pooling, normalization and softmax against their plain loops in double: odd sizes,
// every instruction set, any cut.
#include <cmath>
#include <limits>

#include "cpu/engine/denormals.h"
#include "kernel_case.h"

namespace {

using namespace test;

Case make(const std::string& kernel, nnrt::AttributeMap attributes, std::vector<Array> operands,
          std::vector<Shape> results) {
  Case result;
  result.kernel = kernel;
  result.attributes = std::move(attributes);
  result.operands = std::move(operands);
  for (Shape& shape : results) result.results.push_back({DType::f32, std::move(shape)});
  return result;
}

Array floats(Shape shape, uint32_t seed, double low = -1, double high = 1) {
  return random_array(DType::f32, std::move(shape), seed, low, high);
}

int64_t integer(bool value) { return value ? 1 : 0; }

nnrt::TileInstruction instruction(const std::string& op, std::vector<int> arguments,
                                  double number = 0) {
  nnrt::TileInstruction result;
  result.op = op;
  result.arguments = std::move(arguments);
  result.number = number;
  return result;
}

// x * row as a prologue.
void add_prologue(Case& test, Array row) {
  test.domain = test.operands[0].info.shape;
  test.operands.push_back(std::move(row));
  test.tile_loads = {0, 1};
  test.tile.code = {instruction("load", {0}), instruction("load", {1}), instruction("mul", {0, 1}),
                    instruction("store", {0, 2})};
}

// maximum(result, 0) * 0.5
void add_epilogue(Case& test) {
  test.domain = test.results[0].shape;
  test.tile_loads = {-1};
  test.tile.code = {instruction("load", {0}),       instruction("const", {}, 0.0),
                    instruction("maximum", {0, 1}), instruction("const", {}, 0.5),
                    instruction("mul", {2, 3}),     instruction("store", {0, 4})};
}

struct ReduceShape {
  Shape shape;
  std::vector<int64_t> axes;
};

void test_reduce() {
  const ReduceShape shapes[] = {{{1}, {0}},
                                {{7}, {0}},
                                {{1000}, {0}},
                                {{70001}, {0}},
                                {{128, 10}, {1}},
                                {{33, 257}, {1}},
                                {{3, 40000}, {1}},
                                {{5, 100}, {0}},
                                {{3000, 8}, {0}},
                                {{3001, 10}, {0}},
                                {{700, 100}, {0}},
                                {{300, 5000}, {0}},
                                {{2, 300, 70}, {1}},
                                {{4, 9, 9, 17}, {1, 2}},
                                {{4, 9, 9, 17}, {0, 1, 2}},
                                {{4, 9, 9, 17}, {3}},
                                {{6, 5, 7}, {0, 2}},
                                {{6, 5, 7}, {0, 1, 2}},
                                {{6, 5, 7}, {}},
                                {{5, 1, 3}, {1}},
                                {{100000, 3}, {0}},
                                {{2, 3, 4, 5}, {1, 3}}};
  for (const ReduceShape& entry : shapes) {
    for (const char* op : {"sum", "mean", "max", "min"}) {
      for (bool keep : {false, true}) {
        Shape result;
        for (size_t d = 0; d < entry.shape.size(); ++d) {
          const bool reduced = std::find(entry.axes.begin(), entry.axes.end(),
                                         static_cast<int64_t>(d)) != entry.axes.end();
          if (!reduced) result.push_back(entry.shape[d]);
          if (reduced && keep) result.push_back(1);
        }
        Case test =
            make("reduce",
                 {{"axes", dims(entry.axes)}, {"op", std::string(op)}, {"keepdims", integer(keep)}},
                 {floats(entry.shape, 3)}, {result});
        const std::string name =
            std::string("reduce ") + op + " of " + nnrt::text_of(test.operands[0].info);
        verify(name, test, 2e-6);
        if (keep) continue;
        test.operands[0].values[test.operands[0].values.size() / 2] = NAN;
        verify(name + " with a NaN", test, 2e-6);
        test.operands[0] = floats(entry.shape, 4);
        add_prologue(test, floats({entry.shape.back()}, 5));
        verify(name + " with a prologue", test, 2e-6);
      }
    }
  }
}

void test_argmax() {
  struct Entry {
    Shape shape;
    int64_t axis;
  };
  for (const Entry& entry : {Entry{{128, 10}, 1}, Entry{{7, 1000}, 1}, Entry{{5, 33, 3}, 1},
                             Entry{{9}, 0}, Entry{{4, 5}, 0}}) {
    Shape result = entry.shape;
    result.erase(result.begin() + entry.axis);
    for (int kind = 0; kind < 3; ++kind) {
      Case test = make("argmax", {{"axis", entry.axis}, {"keepdims", int64_t{0}}},
                       {floats(entry.shape, 6)}, {result});
      test.results[0].dtype = DType::i64;
      // Few different values, so that there are ties; then NaN.
      if (kind == 1) {
        for (double& value : test.operands[0].values) value = std::floor(value * 3);
      }
      if (kind == 2) test.operands[0].values[3] = test.operands[0].values[4] = NAN;
      verify("argmax", test, 0);
    }
  }
}

struct Window {
  int64_t n, h, w, c, kernel, stride, pad, dilation;
};

void verify_pool(const std::string& name, Case test) {
  verify(name, test, 1e-6);
  add_epilogue(test);
  verify(name + " with an epilogue", test, 1e-6);
}

void test_pool() {
  const Window windows[] = {
      {2, 8, 8, 8, 2, 2, 0, 1},    {3, 7, 9, 16, 2, 2, 0, 1},  {2, 9, 9, 5, 3, 2, 1, 1},
      {2, 11, 8, 33, 3, 1, 1, 1},  {1, 13, 13, 1, 2, 2, 0, 1}, {2, 10, 10, 3, 3, 3, 0, 1},
      {1, 12, 12, 70, 3, 2, 0, 1}, {2, 15, 9, 20, 4, 3, 1, 1}, {1, 9, 9, 4, 2, 1, 0, 2},
      {5, 24, 24, 10, 2, 2, 0, 1}, {2, 9, 7, 7, 2, 3, 0, 1},   {2, 10, 10, 130, 3, 2, 1, 1},
      {1, 20, 19, 5, 17, 2, 0, 1}};
  for (const Window& a : windows) {
    const int64_t extent = (a.kernel - 1) * a.dilation + 1;
    const Shape x = {a.n, a.h, a.w, a.c};
    const Shape y = {a.n, (a.h + 2 * a.pad - extent) / a.stride + 1,
                     (a.w + 2 * a.pad - extent) / a.stride + 1, a.c};
    nnrt::AttributeMap attributes = {{"kernel", dims({a.kernel, a.kernel})},
                                     {"stride", dims({a.stride, a.stride})},
                                     {"padding", dims({a.pad, a.pad, a.pad, a.pad})},
                                     {"dilation", dims({a.dilation, a.dilation})}};
    const std::string name = "of " + nnrt::text_of({DType::f32, x}) + " by " +
                             std::to_string(a.kernel) + "/" + std::to_string(a.stride);
    for (int kind = 0; kind < 3; ++kind) {
      Array input = floats(x, 7);
      if (kind == 1) {
        for (double& value : input.values) value = std::floor(value * 2);  // ties
      }
      if (kind == 2) {
        for (size_t i = 0; i < input.values.size(); i += 17)
          input.values[i] = i % 2 == 0 ? NAN : -INFINITY;
      }
      verify_pool("max_pool " + name, make("max_pool", attributes, {input}, {y}));
      const DType number = a.kernel * a.kernel > 256 ? DType::i32 : DType::u8;
      Case indexed = make("max_pool_index", attributes, {input}, {y});
      indexed.results.push_back({number, y});
      verify_pool("max_pool_index " + name, indexed);
      Array index = floats(y, 8, 0, static_cast<double>(a.kernel * a.kernel) - 0.01);
      index.info.dtype = number;
      for (double& value : index.values) value = std::floor(value);
      verify_pool("max_pool_backward " + name,
                  make("max_pool_backward", attributes, {index, floats(y, 8)}, {x}));
    }
    if (a.dilation != 1) continue;
    for (bool count_padding : {false, true}) {
      nnrt::AttributeMap average = attributes;
      average.erase("dilation");
      average["count_padding"] = integer(count_padding);
      verify_pool("avg_pool " + name, make("avg_pool", average, {floats(x, 9)}, {y}));
      verify_pool("avg_pool_backward " + name,
                  make("avg_pool_backward", average, {floats(y, 10)}, {x}));
    }
  }
}

void test_batch_norm() {
  const Shape shapes[] = {{1, 4},     {37, 8},   {4, 9, 9, 8}, {3000, 10}, {5, 7, 64},
                          {600, 100}, {5000, 3}, {33, 1030},   {9000, 16}, {2, 1}};
  for (const Shape& shape : shapes) {
    const Shape channels = {shape.back()};
    for (double center : {0.0, 300.0}) {
      for (double epsilon : {1e-5}) {
        const nnrt::AttributeMap attributes = {{"epsilon", epsilon}};
        Array x = floats(shape, 11, center - 1, center + 1);
        Case test =
            make("batch_norm", attributes, {x, floats(channels, 12, 0.5, 2), floats(channels, 13)},
                 {shape, channels, channels});
        const std::string name =
            "of " + nnrt::text_of(x.info) + " around " + std::to_string(center);
        // One row: the variance is what rounding leaves, its inverse root amplifies it.
        const double tolerance = center == 0 ? 3e-6 : 1e-4;
        verify("batch_norm " + name, test, tolerance);
        add_epilogue(test);
        verify("batch_norm with an epilogue " + name, test, tolerance);
        const Outcome forward =
            run_case(make("batch_norm", attributes, {x, floats(channels, 12), floats(channels, 13)},
                          {shape, channels, channels}),
                     Isa::reference);
        Case backward = make("batch_norm_backward", attributes,
                             {x, floats(channels, 12, 0.5, 2), floats(channels, 13),
                              forward.results[1], forward.results[2], floats(shape, 14)},
                             {shape, channels, channels});
        verify("batch_norm_backward " + name, backward, center == 0 ? 2e-5 : 2e-4);
        if (center != 0) continue;
        // A channel of zeros: none of them is above 0.
        backward.operands[1].values[0] = backward.operands[2].values[0] = 0;
        const nnrt::FlushDenormals as_in_a_run;
        backward.attributes["low"] = 0.0;
        verify("batch_norm_backward above 0 " + name, backward, 2e-5);
        backward.attributes["high"] = 0.75;
        verify("batch_norm_backward between bounds " + name, backward, 2e-5);
        backward.attributes.erase("low");
        verify("batch_norm_backward below a bound " + name, backward, 2e-5);
      }
    }
  }
}

void test_layer_norm() {
  const Shape shapes[] = {{1, 4},    {37, 8},   {4, 9, 17}, {130, 64},
                          {20, 100}, {3, 5000}, {500, 3},   {70, 768}};
  for (const Shape& shape : shapes) {
    const Shape rows(shape.begin(), shape.end() - 1);
    const Shape extent = {shape.back()};
    for (double center : {0.0, 300.0}) {
      const nnrt::AttributeMap attributes = {{"epsilon", 1e-5}};
      Array x = floats(shape, 15, center - 1, center + 1);
      const std::string name = "of " + nnrt::text_of(x.info) + " around " + std::to_string(center);
      Case test = make("layer_norm", attributes,
                       {x, floats(extent, 16, 0.5, 2), floats(extent, 17)}, {shape, rows, rows});
      verify("layer_norm " + name, test, center == 0 ? 3e-6 : 1e-4);
      const Outcome forward = run_case(test, Isa::reference);
      verify("layer_norm_backward " + name,
             make("layer_norm_backward", attributes,
                  {x, floats(extent, 16, 0.5, 2), forward.results[1], forward.results[2],
                   floats(shape, 18)},
                  {shape, extent, extent}),
             center == 0 ? 2e-5 : 2e-4);
    }
  }
}

void test_softmax() {
  const Shape shapes[] = {{128, 10},   {1, 1}, {3, 2},    {33, 16},    {20, 33}, {2, 9, 35, 2},
                          {4, 3, 100}, {7},    {5, 5000}, {300, 1000}, {61, 4},  {70, 5}};
  for (const Shape& shape : shapes) {
    const Shape rows(shape.begin(), shape.end() - 1);
    const int64_t extent = shape.back();
    for (double range : {2.0, 60.0}) {
      Array x = floats(shape, 19, -range, range);
      const std::string name = "of " + nnrt::text_of(x.info);
      for (const char* kernel : {"softmax", "log_softmax"}) {
        Case test = make(kernel, {}, {x}, {shape});
        verify(kernel + std::string(" ") + name, test, 2e-6);
        const Outcome forward = run_case(test, Isa::reference);
        verify(kernel + std::string("_backward ") + name,
               make(kernel + std::string("_backward"), {}, {forward.results[0], floats(shape, 20)},
                    {shape}),
               5e-6);
      }
      for (double smoothing : {0.0, 0.1}) {
        for (DType type : {DType::i64, DType::i32, DType::u8}) {
          Array labels =
              random_array(type, rows, 21, 0, static_cast<double>(std::min<int64_t>(extent, 200)));
          if (type != DType::u8 && labels.values.size() > 2) {
            labels.values[1] = -1;
            labels.values[2] = static_cast<double>(extent);
          }
          const nnrt::AttributeMap attributes = {{"smoothing", smoothing}};
          verify("softmax_cross_entropy " + name,
                 make("softmax_cross_entropy", attributes, {x, labels}, {rows}), 2e-6);
          verify("softmax_cross_entropy_backward " + name,
                 make("softmax_cross_entropy_backward", attributes, {x, labels, floats(rows, 22)},
                      {shape}),
                 2e-6);
        }
      }
    }
  }
  // Extreme logits: no overflow.
  Case extreme = make("softmax", {},
                      {Array(DType::f32, {2, 3}, {1e30, -1e30, 0, -200, -200, -200})}, {{2, 3}});
  verify("softmax of extreme logits", extreme, 1e-6);
}

}  // namespace

int main() {
  test_reduce();
  test_argmax();
  test_pool();
  test_batch_norm();
  test_layer_norm();
  test_softmax();
  return test::finish();
}
