// SPDX-License-Identifier: Apache-2.0
// The live page and what it is fed with: `/` and its files, /api/v1/usage, the stream with usage in it. Handlers run on
// any thread.
#pragma once

#include <optional>

#include "serve/http_server.h"
#include "serve/live_feed.h"

namespace memcrest {

class LiveApi {
 public:
  explicit LiveApi(LiveFeed& feed) : feed_(feed) {}

  // nullopt: the path is somebody else's.
  [[nodiscard]] std::optional<HttpResponse> answer(const HttpRequest& request) const;

 private:
  LiveFeed& feed_;
};

// Files of the page hold nothing of this machine: a browser gets them without a token, which it cannot send yet.
[[nodiscard]] bool is_live_page(std::string_view path);

}  // namespace memcrest
