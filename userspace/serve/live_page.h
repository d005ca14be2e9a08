// SPDX-License-Identifier: Apache-2.0
// The live page's files as web/ bundles them.
#pragma once

#include <string_view>

extern "C" {
extern const char memcrest_live_page[];        // NOLINT(readability-identifier-naming)
extern const char memcrest_live_page_end[];    // NOLINT(readability-identifier-naming)
extern const char memcrest_live_script[];      // NOLINT(readability-identifier-naming)
extern const char memcrest_live_script_end[];  // NOLINT(readability-identifier-naming)
extern const char memcrest_live_style[];       // NOLINT(readability-identifier-naming)
extern const char memcrest_live_style_end[];   // NOLINT(readability-identifier-naming)
}

namespace memcrest {

[[nodiscard]] inline std::string_view embedded(const char* begin, const char* end) {
  return {begin, static_cast<std::size_t>(end - begin)};
}

}  // namespace memcrest
