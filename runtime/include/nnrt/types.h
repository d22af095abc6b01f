// Element types, shapes and errors shared by every part of the runtime.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

#include "nnrt/storage.h"

namespace nnrt {

enum class DType : uint8_t {
#define NNC_DTYPE(type, name, Storage, kind, stored) type,
#include "nnrt/dtypes.def"
};

enum class DTypeKind : uint8_t { floating, narrow, integer, truth };

struct DTypeInfo {
  const char* name;
  size_t bytes;
  DTypeKind kind;
  const char* kind_name;
  const char* stored;  // its name in safetensors
};
// In the order of DType.
inline constexpr DTypeInfo kDTypes[] = {
#define NNC_DTYPE(type, name, Storage, kind, stored) \
  {name, sizeof(Storage), DTypeKind::kind, #kind, stored},
#include "nnrt/dtypes.def"
};
inline constexpr size_t kDTypeCount = std::size(kDTypes);

inline constexpr int kMaxRank = 8;

constexpr const DTypeInfo& info_of(DType type) { return kDTypes[static_cast<size_t>(type)]; }
constexpr size_t size_of(DType type) { return info_of(type).bytes; }
constexpr const char* name_of(DType type) { return info_of(type).name; }
// f32 and f64: what kernels compute in.
constexpr bool is_float(DType type) { return info_of(type).kind == DTypeKind::floating; }

DType dtype_from(const std::string& name);  // throws Error

using Shape = std::vector<int64_t>;

// What a kernel knows of an operand or result at bind: element type and actual shape. Always dense,
// row-major.
struct TensorInfo {
  DType dtype = DType::f32;
  Shape shape;

  int rank() const { return static_cast<int>(shape.size()); }
  int64_t elements() const {
    int64_t total = 1;
    for (int64_t dim : shape) total *= dim;
    return total;
  }
  size_t bytes() const { return static_cast<size_t>(elements()) * size_of(dtype); }
};

// Bytes of a tensor whose shape comes from outside: throws Error for negative dimensions and sizes
// that overflow.
size_t checked_bytes(const TensorInfo& info, const std::string& what);

// "f32[32, 64]", for messages.
std::string text_of(const TensorInfo& info);

// A mistake in a plan, a file or an argument; its text is shown to the user.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// An index that lies outside of what it points into.
class IndexError : public Error {
 public:
  IndexError(const std::string& place, int64_t row, int64_t rows, int64_t index, int64_t limit)
      : Error(place + ": the index " + std::to_string(index) + " in row " + std::to_string(row) +
              " is out of range: it must lie between 0 and " + std::to_string(limit - 1)),
        place(place),
        row(row),
        rows(rows),
        index(index),
        limit(limit) {}

  std::string place;  // of the text
  int64_t row;        // of the operand that holds the indices
  int64_t rows;       // it has
  int64_t index;
  int64_t limit;
};

}  // namespace nnrt

// Throws nnrt::Error; will not compile without a text (a std::string expression).
#define NNC_CHECK(condition, text)                            \
  do {                                                        \
    if (!(condition)) throw ::nnrt::Error(std::string(text)); \
  } while (false)
