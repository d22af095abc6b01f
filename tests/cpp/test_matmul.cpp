// matmul: every instruction set against the float64 reference, and the same bits however the units
// are cut.
#include <cmath>
#include <cstdio>
#include <string>

#include "kernel_runner.h"
#include "test.h"

namespace nnrt {
BoundKernel bind_matmul(const BindRequest& request);
void check_matmul(const StepSpec& step, const std::vector<BufferSpec>& buffers);
}  // namespace nnrt

namespace {

using test::Cut;
using test::Job;
using test::Tensor;

// Rounding of a sum of `depth` products of numbers in [-1, 1].
double tolerance(int64_t depth) {
  return 1e-6 * (4.0 + 2.0 * std::sqrt(static_cast<double>(depth)));
}

struct Case {
  nnrt::Shape a, b, c;
  bool transpose_a = false, transpose_b = false;
  int64_t depth = 0;
};

void check_job(const Job<float>& job, const Case& sizes, bool every_cut);

void check_case(const Case& sizes, bool with_tile, bool every_cut) {
  Tensor<float> a = test::random_tensor<float>(sizes.a, 1);
  Tensor<float> b = test::random_tensor<float>(sizes.b, 2);
  Tensor<float> row = test::random_tensor<float>({sizes.c.back()}, 3);
  Job<float> job;
  job.bind = &nnrt::bind_matmul;
  job.attributes = {{"transpose_a", int64_t{sizes.transpose_a}},
                    {"transpose_b", int64_t{sizes.transpose_b}}};
  job.operands = {&a, &b};
  job.result = sizes.c;
  if (with_tile) job.row = &row;
  check_job(job, sizes, every_cut);
  const Tensor<float> other = test::random_tensor<float>(sizes.c, 4);
  if (with_tile) {
    job.other = &other;
    check_job(job, sizes, every_cut);
  }
}

void check_job(const Job<float>& job, const Case& sizes, bool every_cut) {
  const Tensor<double> expected = test::exact(job);
  for (nnrt::Isa isa : test::available_isas()) {
    std::string algorithm;
    const Tensor<float> found = test::run(job, isa, Cut::whole, &algorithm);
    const double difference = test::largest_difference(found, expected);
    if (!CHECK(difference <= tolerance(sizes.depth))) {
      std::printf("  %s %s: c rank %zu %ld x %ld depth %ld transposes %d %d tile %d: %g\n",
                  nnrt::name_of(isa), algorithm.c_str(), sizes.c.size(),
                  static_cast<long>(sizes.c[sizes.c.size() - 2]), static_cast<long>(sizes.c.back()),
                  static_cast<long>(sizes.depth), sizes.transpose_a, sizes.transpose_b,
                  job.row != nullptr, difference);
    }
    Job<float> fixed = job;
    fixed.fixed = true;
    CHECK(test::same_bits(found, test::run(fixed, isa)));
    Job<float> passing = job;
    passing.passing = true;
    if (job.row != nullptr && job.other == nullptr) {
      const bool blocks =
          algorithm != "reference" && algorithm != "matmul dot" && algorithm != "matmul stream";
      for (Cut cut : {Cut::whole, Cut::single, Cut::backward}) {
        std::string held;
        CHECK(test::same_bits(found, test::run(passing, isa, cut, &held)));
        CHECK(held == algorithm + (blocks ? " held" : ""));
      }
    }
    if (every_cut) {
      CHECK(test::same_bits(found, test::run(job, isa, Cut::single)));
      CHECK(test::same_bits(found, test::run(job, isa, Cut::backward)));
      test::check_threads(job, isa, found);
      Job<float> two = job;  // who packs B depends on a few threads too
      two.threads = 2;
      CHECK(test::same_bits(found, test::run(two, isa)));
    }
  }
}

Case plain(int64_t m, int64_t n, int64_t k, bool ta, bool tb) {
  return {ta ? nnrt::Shape{k, m} : nnrt::Shape{m, k},
          tb ? nnrt::Shape{n, k} : nnrt::Shape{k, n},
          {m, n},
          ta,
          tb,
          k};
}

void test_sizes() {
  const int64_t rows[] = {0, 1, 2, 5, 7, 8, 13, 33, 100};
  const int64_t columns[] = {0, 1, 3, 10, 16, 24, 33, 64, 65, 130};
  const int64_t depths[] = {0, 1, 2, 7, 64, 100};
  for (int64_t m : rows) {
    for (int64_t n : columns) {
      for (int64_t k : depths) {
        for (int transposes = 0; transposes < 4; ++transposes) {
          check_case(plain(m, n, k, (transposes & 1) != 0, (transposes & 2) != 0),
                     (m + n + k) % 2 == 0, k == 7);
        }
      }
    }
  }
}

void test_large() {
  for (int transposes = 0; transposes < 4; ++transposes) {
    const bool ta = (transposes & 1) != 0, tb = (transposes & 2) != 0;
    check_case(plain(197, 517, 300, ta, tb), true, true);
    check_case(plain(65, 70, 100, ta, tb), false, true);    // a unit or two
    check_case(plain(130, 200, 512, ta, tb), false, true);  // rows of A on the same cache sets
    check_case(plain(512, 256, 40, ta, tb), true, true);    // the same, transposed
    check_case(plain(1024, 130, 70, ta, tb), true, true);   // on the same set of L1
    check_case(plain(25, 32, 5000, ta, tb), true, true);    // split depth
    check_case(plain(3, 1000, 700, ta, tb), true, true);    // few rows
    check_case(plain(2, 2100, 800, ta, tb), true, true);    // and a large B
    check_case(plain(700, 1, 1200, ta, tb), true, true);    // one column
    check_case(plain(50, 9000, 3, ta, tb), true, true);     // rows longer than a unit's
    check_case(plain(140, 2000, 40, ta, tb), true, true);   // whole rows, a few at a time
  }
}

void test_batches() {
  for (bool tile : {false, true}) {
    for (int transposes = 0; transposes < 4; ++transposes) {
      const bool ta = (transposes & 1) != 0, tb = (transposes & 2) != 0;
      auto pair = [](int64_t x, int64_t y, bool swap) {
        return swap ? nnrt::Shape{y, x} : nnrt::Shape{x, y};
      };
      for (int64_t n : {1, 10, 70}) {
        const nnrt::Shape a = pair(9, 11, ta), b = pair(11, n, tb);
        auto batched = [](nnrt::Shape batch, const nnrt::Shape& matrix) {
          batch.insert(batch.end(), matrix.begin(), matrix.end());
          return batch;
        };
        check_case({batched({3}, a), b, {3, 9, n}, ta, tb, 11}, tile, true);
        check_case({batched({3}, a), batched({3}, b), {3, 9, n}, ta, tb, 11}, tile, true);
        check_case({batched({2, 3}, a), batched({3}, b), {2, 3, 9, n}, ta, tb, 11}, tile, true);
        check_case({batched({2, 1}, a), batched({2, 3}, b), {2, 3, 9, n}, ta, tb, 11}, tile, true);
        check_case({batched({2, 3}, a), batched({2, 1}, b), {2, 3, 9, n}, ta, tb, 11}, tile, true);
        check_case({a, batched({4}, b), {4, 9, n}, ta, tb, 11}, tile, true);
        check_case({batched({0}, a), b, {0, 9, n}, ta, tb, 11}, tile, true);
      }
    }
  }
}

void test_mistakes() {
  Tensor<float> a({3, 4}), b({5, 6});
  Job<float> job;
  job.bind = &nnrt::bind_matmul;
  job.operands = {&a, &b};
  job.result = {3, 6};
  CHECK_THROWS(test::run(job, nnrt::Isa::generic), nnrt::Error);
  Tensor<float> c({4, 6});
  job.operands = {&a, &c};
  job.result = {3, 7};
  CHECK_THROWS(test::run(job, nnrt::Isa::generic), nnrt::Error);
  Tensor<float> d({2, 3, 4}), e({5, 4, 6});
  job.operands = {&d, &e};
  job.result = {2, 3, 6};
  CHECK_THROWS(test::run(job, nnrt::Isa::generic), nnrt::Error);

  std::vector<nnrt::BufferSpec> buffers(3);
  for (nnrt::BufferSpec& buffer : buffers)
    buffer.shape = {test::constant_dim(2), test::constant_dim(2)};
  nnrt::StepSpec step;
  step.kernel = "matmul";
  step.operands = {0, 1};
  step.results = {2};
  nnrt::check_matmul(step, buffers);
  buffers[1].dtype = nnrt::DType::f64;
  CHECK_THROWS(nnrt::check_matmul(step, buffers), nnrt::Error);
  step.operands = {0};
  CHECK_THROWS(nnrt::check_matmul(step, buffers), nnrt::Error);
}

}  // namespace

int main() {
  test_sizes();
  test_large();
  test_batches();
  test_mistakes();
  return test::finish();
}
