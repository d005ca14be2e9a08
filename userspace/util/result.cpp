// SPDX-License-Identifier: Apache-2.0
#include "util/result.h"

#include <cstring>

namespace memcrest {

std::string errno_text(int code) {
  // Kernels answer with it from within: an arm64 before 6.4 for fentry and fexit.
  constexpr int kNotSupported = 524;
  return code == kNotSupported ? "not supported by this kernel" : std::strerror(code);
}

std::string Error::message() const {
  std::string text = operation;
  if (!object.empty()) {
    text += ' ';
    text += object;
  }
  if (code != 0) {
    text += ": ";
    text += errno_text(code);
    if (!detail.empty()) {
      text += " (" + detail + ")";
    }
  } else if (!detail.empty()) {
    text += ": " + detail;
  }
  return text;
}

Error Error::within(std::string outer_operation, std::string outer_object) const {
  return Error{std::move(outer_operation), std::move(outer_object), 0, message()};
}

std::unexpected<Error> fail_errno(std::string operation, std::string object) {
  const int code = errno;
  return fail(std::move(operation), std::move(object), code);
}

}  // namespace memcrest
