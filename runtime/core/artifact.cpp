// From the file of a compiled model to an executable with its weights.
#include "core/artifact.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <vector>

#include "core/json.h"
#include "core/plan_reader.h"
#include "core/zip.h"

namespace nnrt {
namespace {

using json::Kind;
using json::Value;

constexpr int64_t kFormat = 1;
constexpr const char* kManifest = "manifest.json";
constexpr const char* kPlan = "plan.json";
constexpr const char* kWeights = "weights.safetensors";
constexpr std::string_view kSources = "sources/";

[[noreturn]] void damaged(const std::string& why) {
  throw Error("the compiled model is damaged: " + why);
}

void require_key(bool condition, const std::string& key, const std::string& wanted) {
  if (!condition) damaged("`" + key + "` of its manifest must be " + wanted);
}

// Reads the keys of a manifest that an executable needs. nnrt/manifest.py checks the others.
void read_manifest(std::string_view text, Artifact& artifact) {
  const json::Document document(text, kManifest, json::Numbers::any);
  const Value manifest = document.root();
  if (!manifest.is(Kind::object)) damaged(std::string(kManifest) + " holds no object");
  const std::optional<Value> format = manifest.find("format");
  const bool whole = format && format->is(Kind::integer);
  NNC_CHECK(!whole || format->integer() <= kFormat,
            "this compiled model has format " + std::to_string(format->integer()) +
                ", and this runtime reads up to " + std::to_string(kFormat) +
                ": install a newer one");
  require_key(whole && format->integer() == kFormat, "format", std::to_string(kFormat));
  const std::optional<Value> precision = manifest.find("precision");
  const bool strict = precision && precision->is(Kind::string) && precision->text() == "strict";
  require_key(strict == artifact.plan.strict, "precision", "that of its plan");
  if (const std::optional<Value> step = manifest.find("step")) {
    require_key(step->is(Kind::integer) && step->integer() >= 0, "step",
                "a whole number of at least 0");
    artifact.step = static_cast<uint64_t>(step->integer());
  }
}

// A file that is open for reading.
class File {
 public:
  explicit File(const std::string& path)
      : handle_(open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC)) {
    require(handle_ >= 0);
  }
  ~File() { close(handle_); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  // As much as its size says.
  std::string read() const {
    struct stat about = {};
    require(fstat(handle_, &about) == 0);
    NNC_CHECK(S_ISREG(about.st_mode), "it is no regular file");
    const auto size = static_cast<size_t>(about.st_size);
    require_memory(size, "the compiled model");
    std::string content(size, '\0');
    for (size_t at = 0; at < size;) {
      const ssize_t count = ::read(handle_, content.data() + at, size - at);
      require(count >= 0);
      NNC_CHECK(count > 0, "it ends early");
      at += static_cast<size_t>(count);
    }
    return content;
  }

 private:
  static void require(bool condition) {
    NNC_CHECK(condition, std::string("it cannot be read: ") + std::strerror(errno));
  }

  int handle_;
};

}  // namespace

Artifact parse_artifact(std::string_view file) {
  NNC_CHECK(file.substr(0, 4) == std::string_view("PK\x03\x04", 4),
            "this is not a compiled model (.nnc), or its beginning is damaged");
  const std::map<std::string, std::string_view> parts = read_zip(file);
  for (const char* name : {kManifest, kPlan, kWeights}) {
    if (parts.count(name) == 0) damaged(std::string("it has no ") + name);
  }
  for (const auto& [name, content] : parts) {
    const bool known = name == kManifest || name == kPlan || name == kWeights ||
                       name.compare(0, kSources.size(), kSources) == 0;
    if (!known) damaged("it has a part `" + name + "`, which no compiled model has");
  }
  Artifact artifact;
  artifact.plan = read_plan(parts.at(kPlan));
  read_manifest(parts.at(kManifest), artifact);
  artifact.weights = read_safetensors(parts.at(kWeights), kWeights);
  return artifact;
}

std::unique_ptr<Executable> load_executable(const Artifact& artifact, const Options& options) {
  auto executable = std::make_unique<Executable>(artifact.plan, options);
  std::vector<Executable::Source> values;
  for (size_t i = 0; i < artifact.plan.variables.size(); ++i) {
    const VariableSpec& variable = artifact.plan.variables[i];
    const auto found = artifact.weights.find(variable.name);
    NNC_CHECK(found != artifact.weights.end(),
              "the compiled model has no value for `" + variable.name + "`");
    const TensorInfo wanted = {variable.dtype, variable.shape};
    const TensorInfo& info = found->second.info;
    NNC_CHECK(info.dtype == wanted.dtype && info.shape == wanted.shape,
              "the value of `" + variable.name + "` is " + text_of(info) + " and should be " +
                  text_of(wanted));
    values.push_back({i, found->second.data.data(), found->second.data.size()});
  }
  const uint64_t step = artifact.step;
  executable->set_variables(values, &step);
  return executable;
}

std::unique_ptr<Executable> load_executable(const std::string& path, const Options& options) {
  try {
    const std::string content = File(path).read();
    return load_executable(parse_artifact(content), options);
  } catch (const Error& error) {
    throw Error(path + ": " + error.what());
  }
}

}  // namespace nnrt
