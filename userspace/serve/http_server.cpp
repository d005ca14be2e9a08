// SPDX-License-Identifier: Apache-2.0
#include "serve/http_server.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <openssl/crypto.h>
#include <sys/socket.h>

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <list>
#include <mutex>
#include <string_view>
#include <thread>

#include "export/json_line.h"
#include "serve/listen_address.h"
#include "serve/live_api.h"
#include "serve/tls_front.h"
#include "util/fd.h"

namespace memcrest {
namespace {

constexpr std::size_t kConnectionBytes = 16U << 10U;  // of memory: request line and headers must fit
constexpr std::size_t kForgetSent = 64U << 10U;
constexpr std::size_t kMaxStreamBytes = 1U << 20U;  // that wait for a client that does not read
constexpr auto kHeartbeat = std::chrono::seconds(10);
constexpr auto kTick = std::chrono::milliseconds(1000);  // how late a deadline may be seen, at most
constexpr unsigned kThreads = 2;
constexpr intptr_t kIdleSeconds = 15;
constexpr std::size_t kMaxQuery = 16;
constexpr const char* kPagePolicy =
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'; "
    "base-uri 'none'; form-action 'none'";
constexpr const char* kPolicy = "default-src 'none'; frame-ancestors 'none'";

std::string header(MHD_Connection* connection, const char* name) {
  const char* value = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
  return value == nullptr ? std::string() : std::string(value);
}

std::string address_text(const sockaddr* address) {
  char text[INET6_ADDRSTRLEN] = {};
  if (address != nullptr && address->sa_family == AF_INET) {
    ::inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(address)->sin_addr, text, sizeof(text));
  } else if (address != nullptr && address->sa_family == AF_INET6) {
    ::inet_ntop(AF_INET6, &reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr, text, sizeof(text));
  }
  return text;
}

bool same_secret(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

// What a probe of an orchestrator asks, and the live page's files: no token comes with it, and the answers tell
// nothing.
bool is_open_to_all(std::string_view path) { return path == "/healthz" || path == "/readyz" || is_live_page(path); }

// Takes the body over: /metrics has megabytes of it.
MHD_Response* body_response(std::string& body) {
  auto held = std::make_unique<std::string>(std::move(body));
  MHD_Response* out = MHD_create_response_from_buffer_with_free_callback_cls(
      held->size(), held->data(), [](void* text) { delete static_cast<std::string*>(text); }, held.get());
  if (out != nullptr) {
    static_cast<void>(held.release());
  }
  return out;
}

}  // namespace

HttpResponse http_error(int status, const std::string& reason) {
  HttpResponse out;
  out.status = status;
  out.body = JsonLine().text("error", reason).take() + "\n";
  return out;
}

Result<void> check_http_settings(const HttpSettings& settings) {
  const auto address = parse_listen_address(settings.listen);
  if (!address) {
    return std::unexpected(address.error());
  }
  const bool tls = !settings.tls_certificate.empty() && !settings.tls_key.empty();
  if (settings.tls_certificate.empty() != settings.tls_key.empty()) {
    return fail("listen on", settings.listen, EINVAL, "TLS needs a certificate and its key");
  }
  if (!address->local && (!tls || settings.token.empty())) {
    return fail("listen on", settings.listen, EINVAL,
                "an address beyond this host needs TLS (--tls-certificate, --tls-key) and a token (--token-file)");
  }
  return {};
}

struct HttpServer::State {
  using TimePoint = std::chrono::steady_clock::time_point;
  // libmicrohttpd's own time-out is of idleness: a client that sends a byte now and then would stay for ever.
  struct Connection {
    int fd = -1;
    TimePoint deadline;
  };
  struct Stream {
    MHD_Connection* connection = nullptr;
    std::string waiting;
    std::size_t sent = 0;
    bool suspended = false;
    bool usage = false;
    bool over = false;
    State* owner = nullptr;
  };

  HttpSettings settings;
  ListenAddress address;
  Handler handler;
  std::uint16_t port = 0;
  MHD_Daemon* daemon = nullptr;
  std::unique_ptr<TlsFront> tls;
  mutable std::mutex mutex;  // of what follows
  std::condition_variable wake;
  std::string token;
  std::list<std::shared_ptr<Stream>> streams;
  std::map<MHD_Connection*, Connection> connections;
  std::map<int, std::uint64_t> answered;
  bool stopping = false;
  std::thread heart;

  ~State();
  Result<void> open();
  void beat();
  void end_overdue();
  void publish(const std::string& bytes, bool usage = false);
  MHD_Result answer(MHD_Connection* connection, const char* url, const char* method);
  [[nodiscard]] HttpResponse respond(MHD_Connection* connection, const char* url, const char* method);
  MHD_Result send(MHD_Connection* connection, HttpResponse response);
  MHD_Response* stream_response(MHD_Connection* connection, HttpResponse response);

  static MHD_Result on_request(void* self, MHD_Connection* connection, const char* url, const char* method,
                               const char* version, const char* upload, std::size_t* upload_size, void** state);
  static void on_connection(void* self, MHD_Connection* connection, void** state, MHD_ConnectionNotificationCode what);
  static void on_completed(void* self, MHD_Connection* connection, void** state, MHD_RequestTerminationCode how);
  void set_deadline(MHD_Connection* connection, TimePoint deadline);
  static ssize_t on_stream(void* context, std::uint64_t position, char* out, std::size_t size);
  static void on_stream_end(void* context);
};

MHD_Result HttpServer::State::on_request(void* self, MHD_Connection* connection, const char* url, const char* method,
                                         const char* /*version*/, const char* /*upload*/, std::size_t* /*upload_size*/,
                                         void** /*state*/) {
  // Answered at the head: a body is never read, and closes the connection.
  return static_cast<State*>(self)->answer(connection, url, method);
}

// Of connections. That one closes is told before its descriptor is another's.
void HttpServer::State::on_connection(void* self, MHD_Connection* connection, void** /*state*/,
                                      MHD_ConnectionNotificationCode what) {
  auto& state = *static_cast<State*>(self);
  const MHD_ConnectionInfo* info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
  const std::lock_guard lock(state.mutex);
  if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
    state.connections.erase(connection);
  } else if (info != nullptr) {
    state.connections[connection] = {info->connect_fd, std::chrono::steady_clock::now() + state.settings.request};
  }
}

void HttpServer::State::on_completed(void* self, MHD_Connection* connection, void** /*state*/,
                                     MHD_RequestTerminationCode /*how*/) {
  auto& state = *static_cast<State*>(self);
  state.set_deadline(connection, std::chrono::steady_clock::now() + state.settings.request);  // of the next one
}

void HttpServer::State::set_deadline(MHD_Connection* connection, TimePoint deadline) {
  const std::lock_guard lock(mutex);
  if (const auto found = connections.find(connection); found != connections.end()) {
    found->second.deadline = deadline;
  }
}

// Under the lock, so that no descriptor is another connection's by now.
void HttpServer::State::end_overdue() {
  const TimePoint now = std::chrono::steady_clock::now();
  for (auto& [connection, one] : connections) {
    if (one.deadline < now) {
      ::shutdown(one.fd, SHUT_RDWR);
      one.deadline = TimePoint::max();
    }
  }
}

MHD_Result HttpServer::State::answer(MHD_Connection* connection, const char* url, const char* method) {
  HttpResponse response;
  try {
    response = respond(connection, url, method);
  } catch (const std::exception& error) {  // of third-party code: no memory
    response = http_error(MHD_HTTP_INTERNAL_SERVER_ERROR, error.what());
  }
  return send(connection, std::move(response));
}

HttpResponse HttpServer::State::respond(MHD_Connection* connection, const char* url, const char* method) {
  const std::string_view verb = method;
  if (verb != MHD_HTTP_METHOD_GET && verb != MHD_HTTP_METHOD_HEAD) {
    HttpResponse out = http_error(MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD: nothing here changes anything");
    out.headers.emplace_back("Allow", "GET, HEAD");
    return out;
  }
  const std::string length = header(connection, "Content-Length");
  if ((!length.empty() && length != "0") || !header(connection, "Transfer-Encoding").empty()) {
    return http_error(MHD_HTTP_CONTENT_TOO_LARGE, "a request has no body");
  }
  std::unique_lock lock(mutex);
  const std::string wanted = token;
  lock.unlock();
  if (wanted.empty() && address.unix_path.empty() && !is_plain_host(header(connection, "Host"))) {
    return http_error(MHD_HTTP_FORBIDDEN, "the Host header names neither an address nor localhost");
  }
  const std::string_view path = url;
  if (!wanted.empty() && !is_open_to_all(path)) {
    constexpr std::string_view kBearer = "Bearer ";
    const std::string given = header(connection, "Authorization");
    if (!given.starts_with(kBearer) || !same_secret(std::string_view(given).substr(kBearer.size()), wanted)) {
      HttpResponse out = http_error(MHD_HTTP_UNAUTHORIZED, "a bearer token is needed");
      out.headers.emplace_back("WWW-Authenticate", "Bearer");
      return out;
    }
  }
  HttpRequest request{.path = url, .query = {}, .accept = header(connection, "Accept"), .peer = {}};
  const auto collect = [](void* out, MHD_ValueKind, const char* key, const char* value) {
    auto& query = *static_cast<std::map<std::string, std::string>*>(out);
    if (query.size() < kMaxQuery) {
      query[key] = value == nullptr ? "" : value;
    }
    return MHD_YES;
  };
  MHD_get_connection_values(connection, MHD_GET_ARGUMENT_KIND, collect, &request.query);
  const MHD_ConnectionInfo* info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
  request.peer = info == nullptr ? "" : address_text(info->client_addr);
  return handler(request);
}

MHD_Result HttpServer::State::send(MHD_Connection* connection, HttpResponse response) {
  std::unique_lock lock(mutex);
  if (response.stream && (streams.size() >= settings.max_streams || stopping)) {
    response = http_error(MHD_HTTP_SERVICE_UNAVAILABLE, "too many streams");
  }
  ++answered[response.status];
  lock.unlock();
  set_deadline(connection, response.stream ? TimePoint::max() : std::chrono::steady_clock::now() + settings.answer);
  MHD_Response* out = response.stream ? stream_response(connection, response) : body_response(response.body);
  if (out == nullptr) {
    return MHD_NO;
  }
  MHD_add_response_header(out, "Content-Type", response.type.c_str());
  MHD_add_response_header(out, "X-Content-Type-Options", "nosniff");
  MHD_add_response_header(out, "Referrer-Policy", "no-referrer");
  MHD_add_response_header(out, "X-Frame-Options", "DENY");
  MHD_add_response_header(out, "Cross-Origin-Resource-Policy", "same-origin");
  MHD_add_response_header(out, "Cache-Control", "no-store");
  MHD_add_response_header(out, "Content-Security-Policy",
                          !response.policy.empty() ? response.policy.c_str()
                          : response.page          ? kPagePolicy
                                                   : kPolicy);
  for (const auto& [name, value] : response.headers) {
    MHD_add_response_header(out, name.c_str(), value.c_str());
  }
  if (response.status >= MHD_HTTP_BAD_REQUEST) {
    MHD_add_response_header(out, "Connection", "close");
  }
  const MHD_Result queued = MHD_queue_response(connection, static_cast<unsigned>(response.status), out);
  MHD_destroy_response(out);
  return queued;
}

MHD_Response* HttpServer::State::stream_response(MHD_Connection* connection, HttpResponse response) {
  auto stream = std::make_shared<Stream>();
  stream->connection = connection;
  stream->waiting = std::move(response.body);
  stream->usage = response.usage;
  stream->owner = this;
  auto* held = new std::shared_ptr<Stream>(stream);
  MHD_Response* out = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 4096, on_stream, held, on_stream_end);
  if (out == nullptr) {
    delete held;
    return nullptr;
  }
  const std::lock_guard lock(mutex);
  streams.push_back(std::move(stream));
  return out;
}

ssize_t HttpServer::State::on_stream(void* context, std::uint64_t /*position*/, char* out, std::size_t size) {
  Stream& stream = **static_cast<std::shared_ptr<Stream>*>(context);
  const std::lock_guard lock(stream.owner->mutex);
  if (stream.over || stream.owner->stopping) {
    return MHD_CONTENT_READER_END_OF_STREAM;
  }
  const std::size_t left = stream.waiting.size() - stream.sent;
  if (left == 0) {
    stream.waiting.clear();
    stream.sent = 0;
    stream.suspended = true;
    MHD_suspend_connection(stream.connection);
    return 0;
  }
  const std::size_t count = std::min(size, left);
  std::memcpy(out, stream.waiting.data() + stream.sent, count);
  stream.sent += count;
  return static_cast<ssize_t>(count);
}

void HttpServer::State::on_stream_end(void* context) {
  auto* held = static_cast<std::shared_ptr<Stream>*>(context);
  State* owner = (*held)->owner;
  {
    const std::lock_guard lock(owner->mutex);
    std::erase(owner->streams, *held);
  }
  delete held;
}

void HttpServer::State::publish(const std::string& bytes, bool usage) {
  const std::lock_guard lock(mutex);
  for (const auto& stream : streams) {
    if (usage && !stream->usage) {
      continue;
    }
    // What a client has taken is not kept, although it never takes all.
    if (stream->sent >= kForgetSent) {
      stream->waiting.erase(0, stream->sent);
      stream->sent = 0;
    }
    if (stream->waiting.size() - stream->sent + bytes.size() > kMaxStreamBytes) {
      stream->over = true;
    } else {
      stream->waiting += bytes;
    }
    if (stream->suspended) {
      stream->suspended = false;
      MHD_resume_connection(stream->connection);
    }
  }
}

// A comment now and then: so a client that has gone is noticed.
void HttpServer::State::beat() {
  std::unique_lock lock(mutex);
  TimePoint next = std::chrono::steady_clock::now() + kHeartbeat;
  const auto tick = std::min<std::chrono::milliseconds>(kTick, settings.request / 4);
  while (!wake.wait_for(lock, tick, [&] { return stopping; })) {
    end_overdue();
    if (std::chrono::steady_clock::now() < next) {
      continue;
    }
    next = std::chrono::steady_clock::now() + kHeartbeat;
    lock.unlock();
    publish(":\n\n");
    lock.lock();
  }
}

Result<void> HttpServer::State::open() {
  auto listener = listen_on(address);
  if (!listener) {
    return std::unexpected(listener.error());
  }
  if (address.unix_path.empty()) {
    sockaddr_storage bound{};
    socklen_t size = sizeof(bound);
    ::getsockname(listener->get(), reinterpret_cast<sockaddr*>(&bound), &size);
    port = ntohs(address.v6 ? reinterpret_cast<sockaddr_in6*>(&bound)->sin6_port
                            : reinterpret_cast<sockaddr_in*>(&bound)->sin_port);
  }
  const bool with_tls = !settings.tls_certificate.empty();
  const unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC |
                         (with_tls ? static_cast<unsigned>(MHD_USE_NO_LISTEN_SOCKET) : 0U);
  // Clients of this host share one address: there the limit would lock all out for one of them.
  const unsigned per_address = address.local ? 0 : settings.max_per_address;
  std::vector<MHD_OptionItem> options = {
      {MHD_OPTION_THREAD_POOL_SIZE, kThreads, nullptr},
      {MHD_OPTION_CONNECTION_LIMIT, settings.max_connections, nullptr},
      {MHD_OPTION_PER_IP_CONNECTION_LIMIT, per_address, nullptr},
      {MHD_OPTION_CONNECTION_TIMEOUT, kIdleSeconds, nullptr},
      {MHD_OPTION_CONNECTION_MEMORY_LIMIT, kConnectionBytes, nullptr},
      {MHD_OPTION_STRICT_FOR_CLIENT, 1, nullptr},
      {MHD_OPTION_NOTIFY_CONNECTION, reinterpret_cast<intptr_t>(on_connection), this},
      {MHD_OPTION_NOTIFY_COMPLETED, reinterpret_cast<intptr_t>(on_completed), this},
  };
  if (!with_tls) {
    options.push_back({MHD_OPTION_LISTEN_SOCKET, listener->release(), nullptr});  // the daemon closes it
  }
  options.push_back({MHD_OPTION_END, 0, nullptr});
  daemon =
      MHD_start_daemon(flags, 0, nullptr, nullptr, on_request, this, MHD_OPTION_ARRAY, options.data(), MHD_OPTION_END);
  if (daemon == nullptr) {
    return fail("start the HTTP server on", settings.listen, errno == 0 ? EIO : errno);
  }
  heart = std::thread([this] { beat(); });
  if (with_tls) {
    TlsLimits limits;
    limits.connections = std::min(settings.max_connections, limits.connections);
    limits.per_address = address.local ? limits.connections : settings.max_per_address;
    auto front =
        TlsFront::start(std::move(*listener), settings.tls_certificate, settings.tls_key, limits,
                        [this](Fd plain, const sockaddr_storage& peer, socklen_t size) {
                          MHD_add_connection(daemon, plain.release(), reinterpret_cast<const sockaddr*>(&peer), size);
                        });
    if (!front) {
      return std::unexpected(front.error());
    }
    tls = std::move(*front);
  }
  return {};
}

HttpServer::State::~State() {
  std::unique_lock lock(mutex);
  stopping = true;
  for (const auto& stream : streams) {  // who is suspended cannot be ended
    if (stream->suspended) {
      stream->suspended = false;
      MHD_resume_connection(stream->connection);
    }
  }
  lock.unlock();
  wake.notify_all();
  if (heart.joinable()) {
    heart.join();
  }
  tls.reset();
  if (daemon != nullptr) {
    MHD_stop_daemon(daemon);
  }
  if (!address.unix_path.empty() && daemon != nullptr) {
    ::unlink(address.unix_path.c_str());
  }
}

HttpServer::HttpServer(std::unique_ptr<State> state) : state_(std::move(state)) {}
HttpServer::~HttpServer() = default;

Result<std::unique_ptr<HttpServer>> HttpServer::start(const HttpSettings& settings, Handler handler) {
  if (auto checked = check_http_settings(settings); !checked) {
    return std::unexpected(checked.error());
  }
  auto state = std::make_unique<State>();
  state->settings = settings;
  state->address = *parse_listen_address(settings.listen);
  state->token = settings.token;
  state->handler = std::move(handler);
  if (auto opened = state->open(); !opened) {
    return std::unexpected(opened.error());
  }
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(state)));
}

void HttpServer::publish(const std::string& bytes) { state_->publish(bytes); }

void HttpServer::publish_usage(const std::string& bytes) { state_->publish(bytes, true); }

bool HttpServer::is_usage_wanted() const {
  const std::lock_guard lock(state_->mutex);
  return std::ranges::any_of(state_->streams, [](const auto& stream) { return stream->usage; });
}

void HttpServer::set_token(std::string token) {
  const std::lock_guard lock(state_->mutex);
  state_->token = std::move(token);
}

std::uint16_t HttpServer::port() const { return state_->port; }

std::map<int, std::uint64_t> HttpServer::answered() const {
  const std::lock_guard lock(state_->mutex);
  return state_->answered;
}

}  // namespace memcrest
