#include "core/state_lock.h"

#include <algorithm>
#include <new>
#include <vector>

#include "nnrt/types.h"

namespace nnrt {
namespace {

// The locks that this thread reads under.
thread_local std::vector<const StateLock*> reading;

bool is_reading(const StateLock& lock) {
  return std::find(reading.begin(), reading.end(), &lock) != reading.end();
}

}  // namespace

StateLock::Reading::Reading(StateLock& lock) : lock_(lock), first_(!is_reading(lock)) {
  if (!first_) return;
  reading.push_back(&lock);
  const std::lock_guard<std::mutex> turn(lock.queue_);
  lock.state_.lock_shared();
}

StateLock::Reading::~Reading() {
  if (!first_) return;
  lock_.state_.unlock_shared();
  reading.erase(std::find(reading.begin(), reading.end(), &lock_));
}

StateLock::Changing::Changing(StateLock& lock) : lock_(lock) {
  NNC_CHECK(!is_reading(lock),
            "the weights cannot be changed by a function that a pass over data calls");
  const std::lock_guard<std::mutex> turn(lock.queue_);
  lock.state_.lock();
}

void StateLock::renew() {
  new (&queue_) std::mutex;
  new (&state_) std::shared_mutex;
  if (is_reading(*this)) state_.lock_shared();
}

}  // namespace nnrt
