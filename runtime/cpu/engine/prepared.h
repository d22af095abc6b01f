// What a program computes from its variables alone and keeps from run to run: prepared buffers, and
// weights as kernels pack them. All bindings of a program, in all threads, share one copy of each.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "cpu/engine/arena.h"

namespace nnrt {

struct Prepared {
  explicit Prepared(const Layout& layout) : memory(layout) {}

  Block memory;
  uint64_t version = 0;  // of the variables it was made from; 0: never. Changed under the
                         // executable's exclusive lock
};

class PreparedStore {
 public:
  // The one for `key`, which determines its content and size; made if no binding has it yet. Throws
  // Error if there is not enough memory.
  std::shared_ptr<Prepared> find(const std::string& key, const Layout& layout);
  // Around a fork().
  void lock() { mutex_.lock(); }
  void unlock() { mutex_.unlock(); }

 private:
  std::mutex mutex_;
  std::map<std::string, std::weak_ptr<Prepared>> known_;
};

}  // namespace nnrt
