// Where items lie in a block; in guarded memory, that what lies behind an item faults.
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "cases.h"
#include "cpu/engine/arena.h"
#include "nnrt/memory.h"
#include "nnrt/types.h"

using namespace nnrt;

namespace {

const size_t kSizes[] = {1, 0, 63, 64, 65, 4095, 4096, 4097, 100000};

void items_are_aligned_and_apart() {
  for (size_t unit : {kAlignment, sizeof(double), size_t{1}}) {
    Layout layout;
    size_t end = 0;
    for (size_t size : kSizes) {
      const size_t offset = layout.add(size, unit);
      CHECK(offset % unit == 0);
      CHECK(offset >= end);
      end = offset + round_up(size, unit);
      CHECK(end <= layout.bytes);
    }
  }
}

void shipped_items_are_close() {
  if (guarded()) return;
  Layout layout;
  CHECK(layout.add(1) == 0);
  CHECK(layout.add(64) == 64);
  CHECK(layout.add(65) == 128);
  CHECK(layout.bytes == 256);
  CHECK(layout.guards.empty());
}

void too_large_is_an_error() {
  Layout layout;
  CHECK_ERROR(layout.add(~size_t{0} / 2), "too large");
  for (int i = 0; i < 3; ++i) layout.add(size_t{1} << 60);
  CHECK_ERROR(layout.add(size_t{1} << 60), "too large");
}

// Whether a process of its own survives touching that byte.
bool survives(volatile char* byte) {
  const pid_t child = fork();
  if (child == 0) {
    std::signal(SIGSEGV, SIG_DFL);  // a sanitizer's handler would print
    *byte = 1;
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return status == 0;
}

void guarded_items_end_at_a_page_that_faults() {
  if (!guarded()) return;
  Layout layout;
  size_t offsets[std::size(kSizes)];
  for (size_t i = 0; i < std::size(kSizes); ++i) offsets[i] = layout.add(kSizes[i]);
  const Block block(layout);
  for (size_t i = 0; i < std::size(kSizes); ++i) {
    const size_t owned = round_up(kSizes[i], kAlignment);
    char* const item = block.data() + offsets[i];
    if (owned > 0) CHECK(survives(item) && survives(item + owned - 1));
    CHECK(!survives(item + owned));
  }
}

}  // namespace

int main() {
  return test::run_tests(
      {{"items are aligned and apart", items_are_aligned_and_apart},
       {"shipped items are close", shipped_items_are_close},
       {"too large is an error", too_large_is_an_error},
       {"guarded items end at a page that faults", guarded_items_end_at_a_page_that_faults}});
}
