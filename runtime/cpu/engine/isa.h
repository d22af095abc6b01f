// Which instruction sets this CPU and its operating system offer.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace nnrt {

enum class Isa : uint8_t { reference, generic, avx2, avx512, neon };
const char* name_of(Isa isa);

bool is_available(Isa isa);
Isa best_isa();
// Throws Error for an unknown name and for a set this machine lacks.
Isa isa_from(const std::string& name);
// The features the choice was made from ("avx2", "fma", "avx512f", ...), for `nnc doctor`.
std::vector<std::string> cpu_features();

}  // namespace nnrt
