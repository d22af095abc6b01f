#include <algorithm>
#include <vector>

#include "cases.h"
#include "nnrt/philox.h"
#include "nnrt/trainer.h"

using namespace nnrt;

namespace {

// The published known answers of Philox4x32-10.
void gives_the_known_answers() {
  CHECK((philox4x32({0, 0, 0, 0}, 0, 0) ==
         PhiloxWords{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  const uint32_t ones = 0xffffffffu;
  CHECK((philox4x32({ones, ones, ones, ones}, ones, ones) ==
         PhiloxWords{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  CHECK((philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, 0xa4093822, 0x299f31d0) ==
         PhiloxWords{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

void blocks_place_seed_step_and_stream() {
  const uint64_t seed = 0x0123456789abcdefu;
  CHECK((philox_block(seed, 42, 7, (uint64_t{3} << 32) | 9) ==
         philox4x32({9, 3, 42, 7}, 0x89abcdefu, 0x01234567u)));
}

void uniform_stays_below_one() {
  CHECK(philox_uniform(0) == 0.0f);
  CHECK(philox_uniform(0xffffffffu) < 1.0f);
  CHECK(philox_uniform(0x80000000u) == 0.5f);
}

void shuffles_are_permutations() {
  std::vector<int64_t> order(1000);
  shuffle_rows(1, 0, order);
  std::vector<int64_t> again(1000);
  shuffle_rows(1, 0, again);
  CHECK(order == again);
  shuffle_rows(1, 1, again);
  CHECK(order != again);
  shuffle_rows(2, 0, again);
  CHECK(order != again);
  int64_t at_home = 0;
  for (size_t i = 0; i < order.size(); ++i) at_home += order[i] == static_cast<int64_t>(i);
  CHECK(at_home < 10);
  std::sort(order.begin(), order.end());
  for (size_t i = 0; i < order.size(); ++i) CHECK(order[i] == static_cast<int64_t>(i));
}

void shuffles_are_fair() {
  // Each of the 6 orders of 3 rows comes up in 1 of 6 epochs; the bound is five standard
  // deviations.
  int counts[6] = {};
  for (uint64_t step = 0; step < 6000; ++step) {
    std::vector<int64_t> order(3);
    shuffle_rows(5, step, order);
    ++counts[order[0] * 2 + (order[1] > order[2])];
  }
  for (int count : counts) CHECK(count > 1000 - 145 && count < 1000 + 145);
}

}  // namespace

int main() {
  return test::run_tests({{"gives the known answers", gives_the_known_answers},
                          {"blocks place seed, step and stream", blocks_place_seed_step_and_stream},
                          {"uniform stays below one", uniform_stays_below_one},
                          {"shuffles are permutations", shuffles_are_permutations},
                          {"shuffles are fair", shuffles_are_fair}});
}
