#include "core/prepared.h"

namespace nnrt {

std::shared_ptr<Prepared> PreparedStore::find(const std::string& key, size_t bytes) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const std::string sized = key + " " + std::to_string(bytes);
  if (std::shared_ptr<Prepared> found = known_[sized].lock()) return found;
  require_memory(bytes, "prepared weights");
  auto made = std::make_shared<Prepared>(bytes);
  known_[sized] = made;
  return made;
}

}  // namespace nnrt
