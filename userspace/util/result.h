// SPDX-License-Identifier: Apache-2.0
// Recoverable errors as values. An Error names the operation, the object and the errno, and may carry the error that
// caused it; only main turns one into an exit code.
#pragma once

#include <cerrno>
#include <expected>
#include <string>
#include <utility>

namespace memcrest {

// strerror's, and a text for what the kernel answers with although no C library knows it.
[[nodiscard]] std::string errno_text(int code);

struct Error {
  std::string operation;  // what was tried: "open", "load BPF programs"
  std::string object;     // on what: a path, a name; may be empty
  int code = 0;           // errno, 0 when there is none
  std::string detail;     // the cause in words, may be empty

  // One line for a person: "open /sys/x: Permission denied (detail)". Not escaped: the caller owns the terminal.
  [[nodiscard]] std::string message() const;

  // The same failure seen from one level up: `operation object: <this message>`.
  [[nodiscard]] Error within(std::string outer_operation, std::string outer_object = {}) const;
};

template <typename T>
using Result = std::expected<T, Error>;

[[nodiscard]] inline std::unexpected<Error> fail(std::string operation, std::string object, int code,
                                                 std::string detail = {}) {
  return std::unexpected(Error{std::move(operation), std::move(object), code, std::move(detail)});
}

// fail() with the current errno.
[[nodiscard]] std::unexpected<Error> fail_errno(std::string operation, std::string object);

// The one way to drop a result on purpose: grep for it.
template <typename T>
void ignore_result(T&& /*value*/) {}

}  // namespace memcrest
