// SPDX-License-Identifier: Apache-2.0
#include "identity/http_answer.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <utility>

namespace memcrest {
namespace {

constexpr std::string_view kProtocol = "HTTP/1.";

std::unexpected<Error> not_http(std::string why) { return fail("read the answer", {}, EPROTO, std::move(why)); }

std::unexpected<Error> too_large(const char* what, std::size_t limit) {
  return fail("read the answer", {}, EMSGSIZE, std::string(what) + " of more than " + std::to_string(limit) + " bytes");
}

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  return std::ranges::equal(a, b, {}, lower, lower);
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r";
  const std::size_t first = text.find_first_not_of(kBlank);
  return first == std::string_view::npos ? std::string_view()
                                         : text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

// Where the head ends (after its empty line), looking no further back than needed.
std::optional<std::size_t> end_of_head(std::string_view text, std::size_t from) {
  for (std::size_t at = text.find('\n', from); at != std::string_view::npos; at = text.find('\n', at + 1)) {
    const std::string_view rest = text.substr(at + 1);
    if (rest.starts_with('\n')) {
      return at + 2;
    }
    if (rest.starts_with("\r\n")) {
      return at + 3;
    }
  }
  return std::nullopt;
}

}  // namespace

Result<std::optional<std::string_view>> HttpHeadReader::feed(std::string_view bytes) {
  const std::size_t known = head_.size();
  head_ += bytes.substr(0, limit_ + 1);  // one more shows that the limit is passed
  const std::size_t compared = std::min(head_.size(), kProtocol.size());
  if (std::string_view(head_).substr(0, compared) != kProtocol.substr(0, compared)) {
    return not_http("this is not HTTP");
  }
  const auto end = end_of_head(head_, known < 2 ? 0 : known - 2);
  if (end.value_or(head_.size()) > limit_) {
    return too_large("a header", limit_);
  }
  if (!end) {
    return std::nullopt;
  }
  const auto read = read_head(std::string_view(head_).substr(0, *end));
  if (!read) {
    return std::unexpected(read.error());
  }
  head_ = {};
  return bytes.substr(*end - known);
}

Error HttpHeadReader::closed() const {
  return not_http(head_.empty() ? "closed without an answer" : "closed within the header").error();
}

Result<void> HttpHeadReader::read_head(std::string_view head) {
  const std::size_t end_of_status = head.find('\n');
  const std::string_view status_line = head.substr(0, end_of_status);
  const std::size_t space = status_line.find(' ');
  const std::string_view status = space == std::string_view::npos ? "" : status_line.substr(space + 1, 3);
  const auto [end, error] = std::from_chars(status.data(), status.data() + status.size(), status_);
  if (error != std::errc() || status.size() != 3 || end != status.data() + 3 || status_ < 100) {
    return not_http("no HTTP status");
  }
  head.remove_prefix(end_of_status + 1);
  while (!head.empty()) {
    const std::size_t end_of_line = std::min(head.find('\n'), head.size());
    const auto read = read_field(head.substr(0, end_of_line));
    if (!read) {
      return read;
    }
    head.remove_prefix(std::min(end_of_line + 1, head.size()));
  }
  return {};
}

Result<void> HttpHeadReader::read_field(std::string_view line) {
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) {
    return {};
  }
  const std::string_view name = line.substr(0, colon);
  if (equal_ignoring_case(name, "transfer-encoding")) {
    return not_http("a transfer encoding, which HTTP/1.0 does not have");
  }
  if (!equal_ignoring_case(name, "content-length")) {
    return {};
  }
  const std::string_view value = trim(line.substr(colon + 1));
  std::size_t length = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), length);
  if (error == std::errc::result_out_of_range) {
    length = std::numeric_limits<std::size_t>::max();
  }
  if (error == std::errc::invalid_argument || end != value.data() + value.size() || (length_ && *length_ != length)) {
    return not_http("no valid Content-Length");
  }
  length_ = length;
  return {};
}

Result<bool> HttpAnswerReader::feed(std::string_view bytes) {
  if (in_body_) {
    return feed_body(bytes);
  }
  const auto body = head_.feed(bytes);
  if (!body) {
    return std::unexpected(body.error());
  }
  if (!*body) {
    return false;
  }
  in_body_ = true;
  answer_.status = head_.status();
  return feed_body(**body);
}

Result<bool> HttpAnswerReader::feed_body(std::string_view bytes) {
  const auto length = head_.length();
  if (length.value_or(0) > limits_.body_bytes) {  // before its first byte
    return too_large("a body", limits_.body_bytes);
  }
  const std::size_t wanted = length.value_or(limits_.body_bytes + 1) - received();
  answer_.body += bytes.substr(0, wanted);
  if (received() > limits_.body_bytes) {
    return too_large("a body", limits_.body_bytes);
  }
  return length && received() == *length;
}

std::string HttpAnswerReader::take_body() {
  taken_ += answer_.body.size();
  return std::exchange(answer_.body, {});
}

Result<bool> HttpAnswerReader::end() {
  if (!in_body_) {
    return std::unexpected(head_.closed());
  }
  if (const auto length = head_.length(); length && received() < *length) {
    return not_http("closed after " + std::to_string(received()) + " of " + std::to_string(*length) + " bytes");
  }
  return true;
}

}  // namespace memcrest
