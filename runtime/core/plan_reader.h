// From the JSON form of a plan (`plan.json`) to nnrt::Plan.
#pragma once

#include <string_view>

#include "nnrt/plan.h"

namespace nnrt {

// Throws Error where the text is no JSON or has not the form of a plan. What the plan means is
// checked by `check_plan`. Of a plan of another version the version alone is read.
Plan read_plan(std::string_view json);

}  // namespace nnrt
