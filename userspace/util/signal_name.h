// SPDX-License-Identifier: Apache-2.0
// Signals by name.
#pragma once

#include <signal.h>

#include <charconv>
#include <cstdint>
#include <cstring>
#include <string>

namespace memcrest {

// "SIGKILL"; "signal 37" for one that has no name, and for any number that is none.
inline std::string signal_name(std::uint32_t number) {
  const char* name = number <= 64 ? sigabbrev_np(static_cast<int>(number)) : nullptr;
  return name != nullptr ? "SIG" + std::string(name) : "signal " + std::to_string(number);
}

// "TERM", "SIGTERM", "15"; 0: none of these.
inline int parse_signal(const std::string& text) {
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc{} && end == text.data() + text.size()) {
    return number > 0 && number < NSIG ? number : 0;
  }
  const std::string name = text.starts_with("SIG") ? text.substr(3) : text;
  for (int one = 1; one < NSIG; ++one) {
    const char* known = sigabbrev_np(one);
    if (known != nullptr && name == known) {
      return one;
    }
  }
  return 0;
}

// Whether a process that does nothing about it stands still then.
inline bool stops(int number) {
  return number == SIGSTOP || number == SIGTSTP || number == SIGTTIN || number == SIGTTOU;
}

}  // namespace memcrest
