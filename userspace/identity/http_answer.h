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

  // For a body that is read while it arrives: the status once the head is complete, else 0, and what of the body came
  // since it was last taken. The limit is still for all of it.
  [[nodiscard]] int status() const { return in_body_ ? answer_.status : 0; }
  [[nodiscard]] std::string take_body();

 private:
  Result<void> read_head(std::string_view head);
  Result<void> read_field(std::string_view line);
  Result<bool> feed_body(std::string_view bytes);
  [[nodiscard]] std::size_t received() const { return taken_ + answer_.body.size(); }

  HttpLimits limits_;
  std::string head_;  // until it is complete
  bool in_body_ = false;
  std::optional<std::size_t> length_;
  std::size_t taken_ = 0;  // of the body
  HttpAnswer answer_;
};

}  // namespace memcrest
