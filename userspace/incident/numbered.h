// SPDX-License-Identifier: Apache-2.0
// Names of which there are many: the workers and threads of a pool differ in numbers alone. Pure.
#pragma once

#include <string>

namespace memcrest {

// "exec-12" as "exec-#".
[[nodiscard]] inline std::string without_digits(const std::string& name) {
  std::string out;
  for (const char c : name) {
    const bool digit = c >= '0' && c <= '9';
    if (!digit || !out.ends_with('#')) {
      out += digit ? '#' : c;
    }
  }
  return out;
}

// What is common to two names of which without_digits says the same: "w1 of 8" and "w2 of 8" as "w# of 8". `a` may be
// such a name already.
[[nodiscard]] inline std::string common_name(const std::string& a, const std::string& b) {
  const auto in_number = [](char c) { return (c >= '0' && c <= '9') || c == '#'; };
  std::string out;
  std::size_t i = 0;
  std::size_t k = 0;
  while (i < a.size() && k < b.size()) {
    const std::size_t a_from = i;
    const std::size_t b_from = k;
    while (i < a.size() && in_number(a[i])) {
      ++i;
    }
    while (k < b.size() && in_number(b[k])) {
      ++k;
    }
    const std::string number = a.substr(a_from, i - a_from);
    out += number == b.substr(b_from, k - b_from) ? number : "#";
    if (i < a.size()) {
      out += a[i++];
      ++k;
    }
  }
  return out;
}

}  // namespace memcrest
