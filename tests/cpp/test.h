// A small check header: CHECK(condition) counts, a failure prints where; `finish()` prints the
// totals and gives the exit code.
#pragma once

#include <cstdio>

namespace test {

inline int passed = 0;
inline int failed = 0;

inline bool check(bool ok, const char* what, const char* file, int line) {
  if (ok) {
    ++passed;
  } else {
    ++failed;
    std::printf("%s:%d: failed: %s\n", file, line, what);
  }
  return ok;
}

inline int finish() {
  std::printf("%d passed, %d failed\n", passed, failed);
  return failed == 0 ? 0 : 1;
}

}  // namespace test

#define CHECK(condition) ::test::check(static_cast<bool>(condition), #condition, __FILE__, __LINE__)

// The statement must throw an exception of this type.
#define CHECK_THROWS(statement, Type)                                       \
  do {                                                                      \
    bool caught = false;                                                    \
    try {                                                                   \
      statement;                                                            \
    } catch (const Type&) {                                                 \
      caught = true;                                                        \
    }                                                                       \
    ::test::check(caught, #statement " throws " #Type, __FILE__, __LINE__); \
  } while (false)
