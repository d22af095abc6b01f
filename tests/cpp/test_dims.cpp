#include "cases.h"
#include "nnrt/plan.h"

using namespace nnrt;

namespace {

const std::vector<std::string> kSymbols = {"N", "T", "H"};

int64_t value(const std::string& text, int64_t n = 5, int64_t t = 7, int64_t h = 28) {
  return evaluate(parse_dim(text, kSymbols), {n, t, h});
}

void reads_what_the_compiler_prints() {
  CHECK(value("12") == 12);
  CHECK(value("N") == 5);
  CHECK(value("N*26*26") == 5 * 26 * 26);
  CHECK(value("2*N*T-T+3") == 2 * 5 * 7 - 7 + 3);
  CHECK(value("((H+1)//2)*3") == 42);
  CHECK(value("(((H+1)//2)//3)") == 4);
  CHECK(value("max(H-30,0)") == 0);
  CHECK(value("max(H-1,0)") == 27);
  CHECK(value("-N+8") == 3);
  CHECK(value("-2*N") == -10);
  CHECK(value(" N + 1 ") == 6);
}

void divides_like_python() {
  CHECK(value("(N-12)//4") == -2);
  CHECK(value("(0-8)//4") == -2);
  CHECK(value("7//(0-2)") == -4);
}

void refuses_what_is_no_dimension() {
  for (const char* text : {"", "N+", "N N", "(N", "N)", "max(N)", "max(N,1", "N/2", "N%2", "1.5",
                           "+N", "99999999999999999999"}) {
    CHECK_ERROR(parse_dim(text, kSymbols), "dimension");
  }
  CHECK_ERROR(parse_dim("K", kSymbols), "unknown symbol `K`");
}

void stops_at_overflow_and_zero() {
  CHECK_ERROR(value("N*N*N", int64_t{1} << 40), "too large");
  CHECK_ERROR(value("N+N", INT64_MAX), "too large");
  CHECK_ERROR(value("0-N-N", INT64_MAX), "too large");
  CHECK_ERROR(value("N//(T-7)"), "division by zero");
  CHECK_ERROR(value("N//(T-8)", INT64_MIN), "too large");
}

void limits_depth_and_length() {
  CHECK_ERROR(parse_dim(std::string(1000, '(') + "N" + std::string(1000, ')'), kSymbols),
              "too deeply");
  CHECK_ERROR(parse_dim(std::string(1000, '-') + "N", kSymbols), "too deeply");
  CHECK_ERROR(parse_dim(std::string(5000, ' ') + "N", kSymbols), "too long");
  std::string deep = "N";
  for (int i = 0; i < 60; ++i) deep = "(1+(" + deep + "))";
  CHECK_ERROR(parse_dim(deep, kSymbols), "too deeply");
  std::string nested = "N";
  for (int i = 0; i < 60; ++i) nested = "1*max(1+-1*(" + nested + "),1)";
  CHECK_ERROR(parse_dim(nested, kSymbols), "too deeply");
  std::string fine = "N";
  for (int i = 0; i < 15; ++i) fine = "1+1*max(1+1*(" + fine + "),1)";
  CHECK(value(fine) == 35);
}

void refuses_malformed_code() {
  CHECK_ERROR(evaluate(Dim{{}, "x"}, {}), "malformed");
  CHECK_ERROR(evaluate(Dim{{{DimOp::Kind::add, 0}}, "x"}, {}), "malformed");
  CHECK_ERROR(evaluate(Dim{{{DimOp::Kind::symbol, 3}}, "x"}, {1}), "unknown symbol");
}

}  // namespace

int main() {
  return test::run_tests({{"reads what the compiler prints", reads_what_the_compiler_prints},
                          {"divides like Python", divides_like_python},
                          {"refuses what is no dimension", refuses_what_is_no_dimension},
                          {"stops at overflow and zero", stops_at_overflow_and_zero},
                          {"limits depth and length", limits_depth_and_length},
                          {"refuses malformed code", refuses_malformed_code}});
}
