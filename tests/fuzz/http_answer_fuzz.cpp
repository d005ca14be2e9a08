// SPDX-License-Identifier: Apache-2.0
// Any bytes as an HTTP answer, in pieces of different sizes: what is read must not depend on where they are cut, and
// must keep the limits.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "identity/http_answer.h"

namespace {

constexpr memcrest::HttpLimits kLimits{.head_bytes = 512, .body_bytes = 256};

void require(bool promise) {
  if (!promise) {
    std::abort();
  }
}

struct Outcome {
  int code = 0;
  memcrest::HttpAnswer answer;
};

Outcome read_whole(std::string_view text, std::size_t piece) {
  memcrest::HttpAnswerReader reader(kLimits);
  memcrest::Result<bool> complete = false;
  while (!text.empty() && complete && !*complete) {
    complete = reader.feed(text.substr(0, piece));
    text.remove_prefix(std::min(piece, text.size()));
  }
  if (complete && !*complete) {
    complete = reader.end();
  }
  if (!complete) {
    require(complete.error().code == EPROTO || complete.error().code == EMSGSIZE);
    return {.code = complete.error().code, .answer = {}};
  }
  return {.code = 0, .answer = reader.take()};
}

// The head alone, as a stream is read, and the rest as an answer that goes on: the same.
Outcome read_head_first(std::string_view text, std::size_t piece) {
  memcrest::HttpHeadReader head(kLimits.head_bytes);
  while (!text.empty()) {
    const auto body = head.feed(text.substr(0, piece));
    text.remove_prefix(std::min(piece, text.size()));
    if (!body) {
      return {.code = body.error().code, .answer = {}};
    }
    if (!*body) {
      continue;
    }
    memcrest::HttpAnswerReader reader(kLimits, head);
    auto complete = reader.feed(**body);
    while (!text.empty() && complete && !*complete) {
      complete = reader.feed(text.substr(0, piece));
      text.remove_prefix(std::min(piece, text.size()));
    }
    if (complete && !*complete) {
      complete = reader.end();
    }
    return complete ? Outcome{.code = 0, .answer = reader.take()}
                    : Outcome{.code = complete.error().code, .answer = {}};
  }
  return {.code = head.closed().code, .answer = {}};
}

void require_same(const Outcome& a, const Outcome& b) {
  require(a.code == b.code && a.answer.status == b.answer.status && a.answer.body == b.answer.body);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const Outcome whole = read_whole(text, std::max<std::size_t>(size, 1));
  require(whole.answer.body.size() <= kLimits.body_bytes);
  require(whole.code != 0 || (whole.answer.status >= 100 && whole.answer.status <= 999));
  for (const std::size_t piece : {1U, 2U, 7U, 64U}) {
    require_same(whole, read_whole(text, piece));
    require_same(whole, read_head_first(text, piece));
  }
  return 0;
}
