// SPDX-License-Identifier: Apache-2.0
#include "serve/live_api.h"

#include <charconv>
#include <string_view>

#include "serve/live_page.h"

namespace memcrest {
namespace {

constexpr std::string_view kUsage = "/api/v1/usage";
// No inline script, nothing from elsewhere. Styles that depend on data are set through the DOM, which this allows.
constexpr const char* kPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; frame-ancestors "
    "'none'; "
    "base-uri 'none'; form-action 'none'";

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t out = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), out);
  return read.ec == std::errc{} && read.ptr == text.data() + text.size() ? std::optional(out) : std::nullopt;
}

HttpResponse file(std::string_view bytes, const char* type) {
  HttpResponse out;
  out.type = type;
  out.body = bytes;
  out.policy = kPolicy;
  return out;
}

}  // namespace

bool is_live_page(std::string_view path) { return path == "/" || path == "/live.js" || path == "/live.css"; }

std::optional<HttpResponse> LiveApi::answer(const HttpRequest& request) const {
  const std::string_view path = request.path;
  if (path == "/") {
    return file(embedded(memcrest_live_page, memcrest_live_page_end), "text/html; charset=utf-8");
  }
  if (path == "/live.js") {
    return file(embedded(memcrest_live_script, memcrest_live_script_end), "text/javascript; charset=utf-8");
  }
  if (path == "/live.css") {
    return file(embedded(memcrest_live_style, memcrest_live_style_end), "text/css; charset=utf-8");
  }
  if (path == "/api/v1/events" && request.query.contains("usage")) {
    HttpResponse out;
    out.type = "text/event-stream";
    out.body = ": memcrest\n\n";
    out.stream = out.usage = true;
    return out;
  }
  if (!path.starts_with(kUsage) || (path.size() > kUsage.size() && path[kUsage.size()] != '/')) {
    return std::nullopt;
  }
  const auto asked = request.query.find("since");
  const auto since = asked == request.query.end() ? std::optional<std::uint64_t>(0) : number(asked->second);
  if (!since) {
    return http_error(400, "since must be a time since boot in nanoseconds: boot_time_ns of an answer");
  }
  HttpResponse out;
  if (path == kUsage) {
    out.type = "application/jsonl";
    out.body = feed_.snapshot(*since);
    return out;
  }
  const auto id = number(path.substr(kUsage.size() + 1));
  auto detail = id ? feed_.detail(*id, *since) : std::nullopt;
  if (!detail) {
    return http_error(404, "no such container: the id is that of its cgroup");
  }
  out.body = std::move(*detail) + "\n";
  return out;
}

}  // namespace memcrest
