// What a call would cost, judged before it begins: a small file can ask for any amount of work.
#pragma once

#include "cpu/engine/binding.h"

namespace nnrt {

// Throws Error where a call of the bound program would take longer than any network does.
void check_work(const Binding& binding, Isa isa, int threads);

}  // namespace nnrt
