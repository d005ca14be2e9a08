// SPDX-License-Identifier: Apache-2.0
// Reads one HTTP answer from bytes as they arrive, and holds no more of it than its limits allow, whatever the peer
// sends. Pure. For answers to HTTP/1.0 requests: the body is what its length says, or all until the peer closes.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "util/result.h"

namespace memcrest {

struct HttpLimits {
  std::size_t head_bytes = std::size_t{32} << 10U;
  std::size_t body_bytes = std::size_t{4} << 20U;
};

struct HttpAnswer {
  int status = 0;
  std::string body;
};

class HttpAnswerReader {
 public:
  explicit HttpAnswerReader(HttpLimits limits) : limits_(limits) {}

  // True once the answer is complete. Errors: EPROTO for what is not HTTP, EMSGSIZE for what is too large.
  [[nodiscard]] Result<bool> feed(std::string_view bytes);
  // The peer closed: true, or an error when something is missing.
  [[nodiscard]] Result<bool> end();
  [[nodiscard]] HttpAnswer take() { return std::move(answer_); }

 private:
  Result<void> read_head(std::string_view head);
  Result<void> read_field(std::string_view line);
  Result<bool> feed_body(std::string_view bytes);

  HttpLimits limits_;
  std::string head_;  // until it is complete
  bool in_body_ = false;
  std::optional<std::size_t> length_;
  HttpAnswer answer_;
};

}  // namespace memcrest
