// Tests as named functions: a check throws, and a test program is a list of tests.
#pragma once

#include <cstdio>
#include <exception>
#include <initializer_list>
#include <stdexcept>
#include <string>

namespace nnrt::test {

struct Failure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Test {
  const char* name;
  void (*run)();
};

inline void check(bool condition, const char* text, const char* file, int line) {
  if (!condition) throw Failure(std::string(file) + ":" + std::to_string(line) + ": " + text);
}

// The text of what `run` throws; empty where it throws nothing.
template <class Run>
std::string error_of(Run&& run) {
  try {
    run();
  } catch (const Failure&) {
    throw;
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

inline int run_tests(std::initializer_list<Test> tests) {
  int failed = 0;
  for (const Test& test : tests) {
    try {
      test.run();
      std::printf("ok    %s\n", test.name);
    } catch (const std::exception& error) {
      std::printf("FAIL  %s: %s\n", test.name, error.what());
      ++failed;
    }
  }
  return failed == 0 ? 0 : 1;
}

}  // namespace nnrt::test

#define CHECK(condition) ::nnrt::test::check(condition, #condition, __FILE__, __LINE__)
#define CHECK_ERROR(expression, part)                                                             \
  do {                                                                                            \
    const std::string text_ = ::nnrt::test::error_of([&] { (void)(expression); });                \
    ::nnrt::test::check(!text_.empty() && ::nnrt::test::contains(text_, part),                    \
                        (std::string(#expression) + " gave the error \"" + text_ + "\"").c_str(), \
                        __FILE__, __LINE__);                                                      \
  } while (false)
