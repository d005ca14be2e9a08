// SPDX-License-Identifier: Apache-2.0
#include "serve/http_post.h"

#include <algorithm>
#include <charconv>
#include <cstdint>

#include "export/gzip_sink.h"
#include "identity/http_answer.h"

namespace memcrest {
namespace {

constexpr const char* kSystemCa = "/etc/ssl/certs/ca-certificates.crt";
constexpr std::size_t kMaxAnswer = 4096;
constexpr std::size_t kMaxHead = 32U << 10U;
constexpr std::chrono::seconds kLongestPause{300};

bool is_visible(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c > ' ' && c < '\x7f'; });
}

bool is_header_name(std::string_view text) {
  constexpr std::string_view kMore = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::ranges::all_of(text, [&](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           kMore.find(c) != std::string_view::npos;
  });
}

bool is_header_value(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c == '\t' || (c >= ' ' && c < '\x7f'); });
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return out;
}

// The reader of answers leaves aside what it does not need.
std::optional<std::chrono::seconds> retry_after(std::string_view head) {
  constexpr std::string_view kName = "\nretry-after:";
  const std::string text = lower(head);
  const auto at = text.find(kName);
  if (at == std::string::npos) {
    return std::nullopt;
  }
  const auto begin = text.find_first_not_of(' ', at + kName.size());
  std::uint32_t seconds = 0;
  if (begin == std::string::npos ||
      std::from_chars(text.data() + begin, text.data() + text.size(), seconds).ec != std::errc{}) {
    return std::nullopt;
  }
  return std::min<std::chrono::seconds>(std::chrono::seconds(seconds), kLongestPause);
}

class TextSink final : public ByteSink {
 public:
  void write(std::string_view bytes) override { text += bytes; }
  std::string text;
};

std::unexpected<Error> no_url(std::string why) {
  return fail("read", "the receiver's URL", EINVAL, std::move(why));  // which may hold a secret
}

Result<void> take_authority(std::string_view authority, KubernetesEndpoint& out) {
  out.port = out.tls ? 443 : 80;
  const bool v6 = authority.starts_with('[');
  const auto end = v6 ? authority.find(']') : authority.find(':');
  out.host = authority.substr(v6 ? 1 : 0, end == std::string_view::npos ? end : end - (v6 ? 1 : 0));
  const std::string_view rest = end == std::string_view::npos ? "" : authority.substr(end + (v6 ? 1 : 0));
  if (out.host.empty() || (v6 && end == std::string_view::npos) || (!rest.empty() && rest.front() != ':')) {
    return no_url("it names no host");
  }
  if (!rest.empty()) {
    const auto read = std::from_chars(rest.data() + 1, rest.data() + rest.size(), out.port);
    if (read.ec != std::errc{} || read.ptr != rest.data() + rest.size() || out.port == 0) {
      return no_url("its port is none");
    }
  }
  out.server_name = out.host;
  return {};
}

}  // namespace

Result<HttpPost> HttpPost::make(const std::string& url, const TlsFiles& files, HttpHeaders headers) {
  HttpPost out;
  std::string_view rest = url;
  out.endpoint_.tls = rest.starts_with("https://");
  if (!out.endpoint_.tls && !rest.starts_with("http://")) {
    return no_url("it begins with neither http:// nor https://");
  }
  rest.remove_prefix(rest.find("//") + 2);
  const auto slash = std::min(rest.find('/'), rest.size());
  const std::string_view authority = rest.substr(0, slash);
  out.path_ = rest.substr(slash);
  if (!is_visible(rest) || rest.find_first_of("#\\") != std::string_view::npos ||
      authority.find_first_of("@?") != std::string_view::npos) {
    return no_url("it holds a user, a fragment, or characters that must be encoded");
  }
  if (auto taken = take_authority(authority, out.endpoint_); !taken) {
    return std::unexpected(taken.error());
  }
  if (files.cert.empty() != files.key.empty()) {
    return fail("use", "a certificate", EINVAL, "a certificate of one's own needs its key, and a key its certificate");
  }
  if (!files.cert.empty() && !out.endpoint_.tls) {
    return fail("use", "a certificate", EINVAL, "plain http shows no certificate: the URL must begin with https://");
  }
  out.endpoint_.ca_file = files.ca.empty() ? kSystemCa : files.ca;
  out.endpoint_.client_cert_file = files.cert;
  out.endpoint_.client_key_file = files.key;
  for (const auto& [name, value] : headers) {
    if (!is_header_name(name) || !is_header_value(value)) {
      return fail("use", "a header", EINVAL, "a name or value of a header is none");
    }
    out.fixed_ += name + ": " + value + "\r\n";
  }
  return out;
}

HttpPost HttpPost::to(KubernetesEndpoint endpoint) {
  HttpPost out;
  out.path_ = endpoint.base_path;
  out.endpoint_ = std::move(endpoint);
  return out;
}

Result<PostAnswer> HttpPost::send(std::string_view target, const HttpHeaders& headers, std::string_view body,
                                  std::chrono::milliseconds timeout, const StopEvent& stop) const {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  std::string path = path_ + std::string(target);
  if (path.empty() || path.front() != '/') {
    path.insert(0, "/");
  }
  std::string request =
      "POST " + path + " HTTP/1.0\r\nHost: " + endpoint_.authority() +
      "\r\nUser-Agent: memcrest/" MEMCREST_VERSION "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" +
      fixed_;
  for (const auto& [name, value] : headers) {
    request += name + ": " + value + "\r\n";
  }
  request += "\r\n";
  request += body;
  auto connection = TlsConnection::open(endpoint_, deadline, stop);
  if (!connection) {
    return std::unexpected(connection.error());
  }
  if (auto sent = connection->send(request, deadline); !sent) {
    return std::unexpected(sent.error());
  }
  HttpAnswerReader reader({.head_bytes = kMaxHead, .body_bytes = kMaxAnswer});
  std::string head;
  while (true) {
    const auto bytes = connection->receive(deadline);
    if (!bytes) {
      return std::unexpected(bytes.error());
    }
    head += reader.status() == 0 ? *bytes : std::string_view();
    const auto complete = bytes->empty() ? reader.end() : reader.feed(*bytes);
    // With the head the receiver has decided: what else it says may be long, or not end.
    if (reader.status() != 0 && (!complete || *complete || bytes->empty())) {
      return PostAnswer{.status = reader.status(), .body = reader.take_body(), .retry_after = retry_after(head)};
    }
    if (!complete) {
      return std::unexpected(complete.error());
    }
  }
}

Result<HttpHeaders> parse_headers(std::string_view text) {
  HttpHeaders out;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    line = line.substr(0, line.find_last_not_of(" \r\t") + 1);
    if (line.empty() || line.front() == '#') {
      continue;
    }
    const auto colon = line.find(':');
    const auto value = colon == std::string_view::npos ? colon : line.find_first_not_of(" \t", colon + 1);
    if (value == std::string_view::npos || !is_header_name(line.substr(0, colon)) ||
        !is_header_value(line.substr(value))) {
      return fail("read", "headers", EINVAL, "a line is not \"Name: value\"");
    }
    out.emplace_back(line.substr(0, colon), line.substr(value));
  }
  return out;
}

std::string gzip(std::string_view bytes) {
  TextSink sink;
  GzipSink packer(sink);
  packer.write(bytes);
  packer.finish();
  return std::move(sink.text);
}

}  // namespace memcrest
