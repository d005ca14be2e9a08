// SPDX-License-Identifier: Apache-2.0
// Names of functions as their authors wrote them: C++ and Rust (legacy and v0); others stay as they are. The input is
// hostile: a short name can stand for gigabytes of text, so what is made of it is cut.
#pragma once

#include <string>

namespace memcrest {

// At most 1 KiB. A hash that rustc appends is left out.
[[nodiscard]] std::string demangle(const std::string& symbol);

}  // namespace memcrest
