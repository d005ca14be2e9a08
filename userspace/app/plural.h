// SPDX-License-Identifier: Apache-2.0
// "1 incident", "2 incidents".
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string>

namespace memcrest {

inline std::string plural(std::uint64_t count, const char* one, const char* many) {
  return std::to_string(count) + " " + (count == 1 ? one : many);
}

}  // namespace memcrest
