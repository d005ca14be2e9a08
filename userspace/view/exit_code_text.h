// SPDX-License-Identifier: Apache-2.0
// What an exit code of a container means, in general, and which evidence tells the cases apart. Pure.
#pragma once

#include <string>

namespace memcrest {

// Several lines. `code`: 0 to 255.
[[nodiscard]] std::string exit_code_text(int code);

}  // namespace memcrest
