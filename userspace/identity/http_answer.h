// SPDX-License-Identifier: Apache-2.0
// Reads one HTTP answer from bytes as they arrive, and holds no more of it than its limits allow, whatever the peer
// sends. Pure. For answers to HTTP/1.0 requests: the body is what its length says, or all until the peer closes; there
// are no chunks to decode, in an endless answer neither.
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

// Status line and headers.
class HttpHeadReader {
 public:
  explicit HttpHeadReader(std::size_t limit) : limit_(limit) {}

  // Once the head is complete: those of `bytes` that follow it, the body's first. Do not feed it more then. Errors:
  // EPROTO for what is not HTTP, EMSGSIZE for what is too large.
  [[nodiscard]] Result<std::optional<std::string_view>> feed(std::string_view bytes);
  // Why it is an error that the peer closed before the head was complete.
  [[nodiscard]] Error closed() const;

  [[nodiscard]] int status() const { return status_; }
  [[nodiscard]] std::optional<std::size_t> length() const { return length_; }  // of the body, as the peer says

 private:
  Result<void> read_head(std::string_view head);
  Result<void> read_field(std::string_view line);

  std::size_t limit_;
  std::string head_;  // until it is complete
  int status_ = 0;
  std::optional<std::size_t> length_;
};

class HttpAnswerReader {
 public:
  explicit HttpAnswerReader(HttpLimits limits) : limits_(limits), head_(limits.head_bytes) {}
  // Goes on after a head that is complete.
  HttpAnswerReader(HttpLimits limits, HttpHeadReader head) : limits_(limits), head_(std::move(head)), in_body_(true) {
    answer_.status = head_.status();
  }

  // True once the answer is complete. Errors as for HttpHeadReader.
  [[nodiscard]] Result<bool> feed(std::string_view bytes);
  // The peer closed: true, or an error when something is missing.
  [[nodiscard]] Result<bool> end();
  [[nodiscard]] HttpAnswer take() { return std::move(answer_); }

  // For a body that is read while it arrives: the status once the head is complete, else 0, and what of the body came
  // since it was last taken. The limit is still for all of it.
  [[nodiscard]] int status() const { return in_body_ ? answer_.status : 0; }
  [[nodiscard]] std::string take_body();

 private:
  Result<bool> feed_body(std::string_view bytes);
  [[nodiscard]] std::size_t received() const { return taken_ + answer_.body.size(); }

  HttpLimits limits_;
  HttpHeadReader head_;
  bool in_body_ = false;
  std::size_t taken_ = 0;  // of the body
  HttpAnswer answer_;
};

}  // namespace memcrest
