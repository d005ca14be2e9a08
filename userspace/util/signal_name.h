// SPDX-License-Identifier: Apache-2.0
// Signals by name.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>

namespace memcrest {

// "SIGKILL"; "signal 37" for one that has no name, and for any number that is none.
inline std::string signal_name(std::uint32_t number) {
  const char* name = number <= 64 ? sigabbrev_np(static_cast<int>(number)) : nullptr;
  return name != nullptr ? "SIG" + std::string(name) : "signal " + std::to_string(number);
}

}  // namespace memcrest
