// SPDX-License-Identifier: Apache-2.0
// The agent's HTTP: libmicrohttpd with limits, security headers and, where it leaves the host, TLS and a bearer token.
// Answers GET and HEAD only; nothing that it offers changes anything. Handlers run on the server's threads.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "util/result.h"

namespace memcrest {

struct HttpSettings {
  std::string listen = "127.0.0.1:9464";  // ADDRESS:PORT, [V6]:PORT, or unix:PATH
  std::string token;                      // empty: none is asked for
  std::string tls_certificate;            // PEM files; both or neither
  std::string tls_key;
  unsigned max_connections = 256;
  unsigned max_per_address = 64;
  unsigned max_streams = 32;
  std::chrono::milliseconds request{15'000};  // until its last header is there, idle time before it included
  std::chrono::milliseconds answer{60'000};   // until the client has all of it; a stream has no end
};

// EINVAL where an address beyond this host lacks TLS or a token, or is none.
[[nodiscard]] Result<void> check_http_settings(const HttpSettings& settings);

struct HttpRequest {
  std::string path;
  std::map<std::string, std::string> query;
  std::string accept;
  std::string peer;  // its address, without the port; empty: a unix socket
};

struct HttpResponse {
  int status = 200;
  std::string type = "application/json";
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;
  bool page = false;    // HTML of ours: its own inline script and style may run
  bool stream = false;  // body is only its beginning: what publish() is given follows
  bool usage = false;   // of a stream: also what publish_usage() is given
  std::string policy;   // the content security policy; empty: that of a page, or the strictest
};

[[nodiscard]] HttpResponse http_error(int status, const std::string& reason);

class HttpServer {
 public:
  using Handler = std::function<HttpResponse(const HttpRequest&)>;

  [[nodiscard]] static Result<std::unique_ptr<HttpServer>> start(const HttpSettings& settings, Handler handler);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  // To every open stream. Never waits: a client that does not read loses its connection.
  void publish(const std::string& bytes);
  // To the streams that asked for it; whether there are any.
  void publish_usage(const std::string& bytes);
  [[nodiscard]] bool is_usage_wanted() const;
  void set_token(std::string token);
  [[nodiscard]] std::uint16_t port() const;                     // 0: a unix socket
  [[nodiscard]] std::map<int, std::uint64_t> answered() const;  // by status

 private:
  struct State;
  explicit HttpServer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace memcrest
