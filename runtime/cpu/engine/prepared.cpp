#include "cpu/engine/prepared.h"

namespace nnrt {

std::shared_ptr<Prepared> PreparedStore::find(const std::string& key, const Layout& layout) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const std::string sized = key + " " + std::to_string(layout.bytes);
  if (std::shared_ptr<Prepared> found = known_[sized].lock()) return found;
  require_memory(layout.bytes, "prepared weights");
  auto made = std::make_shared<Prepared>(layout);
  known_[sized] = made;
  return made;
}

}  // namespace nnrt
