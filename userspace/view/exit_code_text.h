// SPDX-License-Identifier: Apache-2.0
// What an exit code of a container means, in general, and which evidence tells the cases apart; and what its runtime
// says of its end. Pure.
#pragma once

#include <string>

#include "memcrest/container.h"

namespace memcrest {

// Several lines. `code`: 0 to 255.
[[nodiscard]] std::string exit_code_text(int code);

// Several lines, escaped: for a container that no incident tells of.
[[nodiscard]] std::string runtime_end_text(const Container& container);

}  // namespace memcrest
