// SPDX-License-Identifier: Apache-2.0
// The report's page as web/ bundles it: @DATA@ and @NOSCRIPT@ are left to be filled in.
#pragma once

#include <string_view>

extern "C" {
extern const char memcrest_report_page[];      // NOLINT(readability-identifier-naming)
extern const char memcrest_report_page_end[];  // NOLINT(readability-identifier-naming)
}

namespace memcrest {

[[nodiscard]] inline std::string_view report_page() {
  return {memcrest_report_page, static_cast<std::size_t>(memcrest_report_page_end - memcrest_report_page)};
}

}  // namespace memcrest
