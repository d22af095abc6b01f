// The devices of this build.
#include "cpu/engine/cpu_backend.h"
#include "nnrt/backend.h"
#include "null/null_backend.h"

namespace nnrt {

std::vector<std::string> device_names() { return {"cpu", "null"}; }

std::unique_ptr<Backend> make_backend(const Options& options) {
  if (options.device == "cpu" || options.device == "auto")
    return std::make_unique<CpuBackend>(options);
  if (options.device == "null") return std::make_unique<NullBackend>();
  NNC_CHECK(options.device != "cuda", "the device `cuda` is not in this build: choose cpu or auto");
  throw Error("there is no device `" + options.device + "`: choose cpu, cuda or auto");
}

}  // namespace nnrt
