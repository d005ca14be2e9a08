// SPDX-License-Identifier: Apache-2.0
#include "identity/kubernetes_settings.h"

#include <arpa/inet.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <utility>

namespace memcrest {
namespace {

constexpr std::size_t kMaxNameBytes = 253;

std::unexpected<Error> refuse(const std::string& what, std::string why) {
  return fail("use the Kubernetes setting", what, EINVAL, std::move(why));
}

bool is_alnum(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }

// A DNS name, an IPv4 address or the name of a node.
bool is_dns_name(std::string_view text) {
  return !text.empty() && text.size() <= kMaxNameBytes && is_alnum(text.front()) &&
         std::ranges::all_of(text, [](char c) { return is_alnum(c) || c == '-' || c == '.'; });
}

bool is_ipv6(const std::string& text) {
  in6_addr address{};
  return ::inet_pton(AF_INET6, text.c_str(), &address) == 1;
}

bool is_loopback(const std::string& host) {
  in_addr address{};
  return host == "localhost" || host == "::1" ||
         (::inet_pton(AF_INET, host.c_str(), &address) == 1 && (ntohl(address.s_addr) >> 24U) == 127);
}

// "HOST", "HOST:PORT", "[IPV6]:PORT"
bool read_authority(std::string_view text, KubernetesEndpoint& out) {
  out.port = out.tls ? 443 : 80;
  std::string_view port;
  if (text.starts_with('[')) {
    const std::size_t close = text.find(']');
    if (close == std::string_view::npos) {
      return false;
    }
    out.host = text.substr(1, close - 1);
    port = text.substr(close + 1);
    if (!is_ipv6(out.host)) {
      return false;
    }
  } else {
    const std::size_t colon = std::min(text.find(':'), text.size());
    out.host = text.substr(0, colon);
    port = text.substr(colon);
    if (!is_dns_name(out.host)) {
      return false;
    }
  }
  if (port.empty()) {
    return true;
  }
  if (port.front() != ':') {
    return false;
  }
  port.remove_prefix(1);
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), out.port);
  return error == std::errc() && end == port.data() + port.size() && out.port != 0;
}

bool is_plain_path(std::string_view path) {
  constexpr std::string_view kOthers = "/-._~";
  return std::ranges::all_of(path, [&](char c) { return is_alnum(c) || kOthers.find(c) != std::string_view::npos; });
}

}  // namespace

std::string KubernetesEndpoint::authority() const {
  const bool brackets = host.find(':') != std::string::npos;
  return (brackets ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

Result<KubernetesEndpoint> check_kubernetes_settings(const KubernetesSettings& settings) {
  KubernetesEndpoint out;
  std::string_view rest = settings.server;
  constexpr std::string_view kHttps = "https://";
  constexpr std::string_view kHttp = "http://";
  if (rest.starts_with(kHttps)) {
    rest.remove_prefix(kHttps.size());
  } else if (rest.starts_with(kHttp)) {
    out.tls = false;
    rest.remove_prefix(kHttp.size());
  } else {
    return refuse("server", "it must begin with https://, or with http:// for this machine itself");
  }
  const std::size_t slash = std::min(rest.find('/'), rest.size());
  if (rest.substr(0, slash).find('@') != std::string_view::npos) {
    return refuse("server", "no user and no password may stand in it");  // and is not repeated here
  }
  if (!read_authority(rest.substr(0, slash), out)) {
    return refuse("server", "\"" + std::string(rest.substr(0, slash)) + "\" is not HOST, HOST:PORT or [IPV6]:PORT");
  }
  std::string_view path = rest.substr(slash);
  while (path.ends_with('/')) {
    path.remove_suffix(1);
  }
  if (!is_plain_path(path)) {
    return refuse("server", "its path holds more than letters, digits and -._~");
  }
  out.base_path = path;
  if (!out.tls && !is_loopback(out.host)) {
    return refuse("server", "plain http is for this machine itself (127.0.0.1, ::1, localhost) only");
  }
  if (out.tls && settings.ca_file.empty()) {
    return refuse("CA file", "https needs one, to know the server by");
  }
  out.server_name = settings.tls_server_name.empty() ? out.host : settings.tls_server_name;
  if (!is_dns_name(out.server_name) && !is_ipv6(out.server_name)) {
    return refuse("TLS server name", "\"" + out.server_name + "\" is neither a name nor an address");
  }
  if (!is_dns_name(settings.node)) {
    return refuse("node name", settings.node.empty()
                                   ? "there is none; in a pod, NODE_NAME comes from fieldRef spec.nodeName"
                                   : "\"" + settings.node + "\" cannot be one");
  }
  out.ca_file = settings.ca_file;
  out.token_file = settings.token_file;
  out.node = settings.node;
  return out;
}

std::optional<KubernetesSettings> in_cluster_settings(const Environment& environment, const std::string& folder) {
  const auto get = [&](const char* name) {
    const char* const value = environment(name);
    return std::string(value == nullptr ? "" : value);
  };
  const std::string host = get("KUBERNETES_SERVICE_HOST");
  const std::string port = get("KUBERNETES_SERVICE_PORT");
  KubernetesSettings out{.ca_file = folder + "/ca.crt", .token_file = folder + "/token", .node = get("NODE_NAME")};
  if (host.empty() || port.empty() || ::access(out.token_file.c_str(), F_OK) != 0) {
    return std::nullopt;
  }
  out.server = "https://" + (host.find(':') == std::string::npos ? host : "[" + host + "]") + ":" + port;
  return out;
}

}  // namespace memcrest
