// SPDX-License-Identifier: Apache-2.0
// Any bytes as a connection to the agent's HTTP: the real server, API, spool and book, by way of a socket. Whatever
// comes is answered properly or closed, in time, and nothing of it comes back unescaped.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "export/json.h"
#include "memcrest/clock.h"
#include "serve/api.h"
#include "serve/http_server.h"
#include "store/incident_spool.h"
#include "support/event_builder.h"
#include "util/fd.h"

namespace {

using namespace memcrest;  // NOLINT(google-build-using-namespace)

void require(bool promise, std::string_view what, std::string_view answer) {
  if (!promise) {
    std::fprintf(stderr, "%.*s:\n%.*s\n", static_cast<int>(what.size()), what.data(),
                 static_cast<int>(std::min<std::size_t>(answer.size(), 2000)), answer.data());
    std::abort();
  }
}

std::unique_ptr<IncidentSpool> open_spool(const std::string& directory, const Clock& clock) {
  auto spool = IncidentSpool::open(directory, {}, clock);
  require(spool.has_value(), "no spool", "");
  Incident incident = testing_support::oom_incident();
  incident.id = "one";
  incident.container.name = "<script>\x1b]0;x\x07\"\n";
  (*spool)->add(incident, to_json(incident));
  require((*spool)->flush(std::chrono::seconds(10)), "the spool is not written", "");
  return std::move(*spool);
}

class Agent {
 public:
  Agent() {
    auto server = HttpServer::start({.listen = "127.0.0.1:0", .request = std::chrono::milliseconds(40)},
                                    [this](const HttpRequest& request) { return api_.answer(request); });
    require(server.has_value(), "no server", "");
    server_ = std::move(*server);
  }
  ~Agent() {
    server_.reset();
    spool_.reset();
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }
  Agent(const Agent&) = delete;
  Agent& operator=(const Agent&) = delete;

  [[nodiscard]] std::string ask(std::string_view request) const;

 private:
  std::string directory_ = std::filesystem::temp_directory_path() / ("memcrest-fuzz-" + std::to_string(::getpid()));
  SystemClock clock_;
  MetricsBook book_{MetricsSettings{}};
  std::unique_ptr<IncidentSpool> spool_ = open_spool(directory_, clock_);
  Api api_{{.book = book_,
            .spool = *spool_,
            .clock = clock_,
            .status = [] { return AgentStatus{}; },
            .refresh = [] {},
            .answered = [] { return std::map<int, std::uint64_t>(); },
            .recording = [](const std::string& /*id*/) { return std::string(); },
            .trace = [](const std::string& /*path*/) { return Result<std::string>(""); }}};
  std::unique_ptr<HttpServer> server_;
};

// All that comes until the server closes, or a stream has begun.
std::string Agent::ask(std::string_view request) const {
  const Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(server_->port());
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  require(::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0, "cannot connect", "");
  ignore_result(::send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL));
  ::shutdown(fd.get(), SHUT_WR);
  std::string out;
  while (out.find("text/event-stream") == std::string::npos) {
    pollfd one{.fd = fd.get(), .events = POLLIN, .revents = 0};
    require(::poll(&one, 1, 20'000) == 1, "neither answered nor closed", request);
    char bytes[8192];
    const ssize_t got = ::recv(fd.get(), bytes, sizeof(bytes), 0);
    if (got <= 0) {
      break;
    }
    out.append(bytes, static_cast<std::size_t>(got));
  }
  return out;
}

void check_answer(std::string_view answer) {
  require(answer.starts_with("HTTP/1."), "no HTTP", answer);
  const auto head_end = answer.find("\r\n\r\n");
  require(head_end != std::string_view::npos, "no head", answer);
  const std::string_view head = answer.substr(0, head_end);
  const int status = std::atoi(std::string(head.substr(9, 3)).c_str());
  require(status >= 100 && status < 600, "no status", answer);
  if (head.find("X-Content-Type-Options: nosniff") == std::string_view::npos) {
    return;  // of the library's own: a head that it does not take
  }
  require(head.find("Content-Security-Policy: default-src 'none'") != std::string_view::npos, "no policy", answer);
  require(head.find('\x1b') == std::string_view::npos, "an escape in the head", answer);
  std::string_view body = answer.substr(head_end + 4);
  const auto length_at = head.find("Content-Length: ");
  if (length_at == std::string_view::npos || body.empty()) {
    return;
  }
  body = body.substr(0, static_cast<std::size_t>(std::atoll(head.data() + length_at + 16)));  // more may follow
  require(body.find("<script>\x1b") == std::string_view::npos, "a name as it is", answer);
  if (head.find("Content-Type: application/json") != std::string_view::npos) {
    require(nlohmann::json::accept(body), "no JSON", answer);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Agent agent;
  const std::string answer = agent.ask(std::string(reinterpret_cast<const char*>(data), size) + "\r\n\r\n");
  if (!answer.empty()) {
    check_answer(answer);
  }
  return 0;
}
