// SPDX-License-Identifier: Apache-2.0
#include "serve/receivers.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <ctime>

#include "export/incident_reader.h"
#include "export/json_line.h"
#include "export/otlp_attributes.h"
#include "identity/container_filter.h"
#include "util/fd.h"
#include "util/text.h"
#include "util/units.h"

namespace memcrest {
namespace {

constexpr std::size_t kOtlpBatch = 64;
constexpr std::size_t kMaxSyslog = 900;        // bytes of a line; 1 KiB is what all take
constexpr std::size_t kMaxJournal = 32 << 10;  // JSON in a datagram
constexpr const char* kJournalSocket = "/run/systemd/journal/socket";
constexpr const char* kSyslogSocket = "/dev/log";
constexpr int kFacilityDaemon = 3 << 3;

Delivered later(std::string why, std::optional<std::chrono::seconds> after = {}) {
  return {.outcome = Outcome::kLater, .why = std::move(why), .retry_after = after};
}

Delivered delivered_by(const Result<PostAnswer>& answer) {
  if (!answer) {
    return later(answer.error().message());
  }
  const Outcome outcome = outcome_of(answer->status);
  std::string why = outcome == Outcome::kTaken
                        ? std::string()
                        : "it answered " + std::to_string(answer->status) + " " + answer->body.substr(0, 200);
  return {.outcome = outcome, .why = std::move(why), .retry_after = answer->retry_after};
}

HttpHeaders otlp_headers(bool compressed) {
  HttpHeaders out = {{"Content-Type", "application/x-protobuf"}};
  if (compressed) {
    out.emplace_back("Content-Encoding", "gzip");
  }
  return out;
}

// What lies on a disk may be anything: what is no incident is told to nobody.
std::vector<OtlpIncident> readable(std::span<const SpooledIncident> spooled) {
  std::vector<OtlpIncident> out;
  for (const SpooledIncident& one : spooled) {
    auto json = clean_json_line(one.json);
    auto incident = incident_from_json(one.json);
    if (json && incident) {
      out.push_back({std::move(*incident), std::move(*json)});
    }
  }
  return out;
}

class OtlpReceiver final : public Receiver {
 public:
  // What a batch becomes; empty: nothing of it is to be sent.
  using Encode = std::function<std::string(const std::vector<OtlpIncident>&)>;
  OtlpReceiver(const char* name, const char* target, const OtlpSettings& settings, HttpPost post, Encode encode)
      : name_(name), target_(target), settings_(settings), post_(std::move(post)), encode_(std::move(encode)) {}
  [[nodiscard]] const char* name() const override { return name_; }
  [[nodiscard]] std::size_t batch() const override { return kOtlpBatch; }

  Delivered send(std::span<const SpooledIncident> incidents, const StopEvent& stop) override {
    const std::vector<OtlpIncident> read = readable(incidents);
    const std::uint64_t unreadable = incidents.size() - read.size();
    const char* why_refused = unreadable > 0 ? "not readable in the spool" : "";
    std::string body = encode_(read);
    if (body.empty()) {
      return {.outcome = Outcome::kTaken, .why = why_refused, .refused = unreadable};
    }
    body = settings_.compress ? gzip(body) : body;
    const auto answer = post_.send(target_, otlp_headers(settings_.compress), body, settings_.timeout, stop);
    Delivered out = delivered_by(answer);
    if (out.outcome == Outcome::kTaken) {
      const OtlpPartialSuccess partial = read_partial_success(answer->body);
      out.refused = unreadable + partial.rejected;
      out.why = partial.message.empty() ? why_refused : partial.message;
    }
    return out;
  }

 private:
  const char* name_;
  const char* target_;
  OtlpSettings settings_;
  HttpPost post_;
  Encode encode_;
};

class Webhook final : public Receiver {
 public:
  Webhook(WebhookSettings settings, HttpPost post, const Clock& clock)
      : settings_(std::move(settings)), post_(std::move(post)), clock_(clock) {}
  [[nodiscard]] const char* name() const override { return "webhook"; }

  Delivered send(std::span<const SpooledIncident> incidents, const StopEvent& stop) override {
    const std::vector<OtlpIncident> read = readable(incidents);
    if (read.empty()) {
      return {.outcome = Outcome::kTaken, .why = "not readable in the spool", .refused = incidents.size()};
    }
    const auto& [incident, json] = read.front();
    if (settings_.format != WebhookFormat::kJson && (!incident.update.empty() || is_no_alarm(incident))) {
      return {};  // a person has been told, or ordered it
    }
    const std::string body = webhook_body(settings_.format, incident, json);
    HttpHeaders headers = {{"Content-Type", "application/json"}};
    if (!settings_.secret.empty()) {
      const std::string time = std::to_string(clock_.unix_ns() / 1'000'000'000);
      headers.emplace_back("X-Memcrest-Timestamp", time);
      headers.emplace_back("X-Memcrest-Signature", webhook_signature(settings_.secret, time, body));
    }
    return delivered_by(post_.send("", headers, body, settings_.timeout, stop));
  }

 private:
  WebhookSettings settings_;
  HttpPost post_;
  const Clock& clock_;
};

// "NAME", its length and the bytes: journald's own form for values that may hold line ends.
void add_field(std::string& out, std::string_view name, std::string_view value) {
  if (value.empty()) {
    return;
  }
  out += name;
  out += '\n';
  const std::uint64_t size = value.size();
  for (int i = 0; i < 8; ++i) {
    out += static_cast<char>(size >> (8 * i) & 0xffU);
  }
  out += value;
  out += '\n';
}

int priority_of(const Incident& incident) {
  return severity_of(incident) == kOtlpError ? 3 : severity_of(incident) == kOtlpInfo ? 6 : 4;
}

std::string journal_entry(const Incident& incident, const std::string& json) {
  std::string out;
  add_field(out, "MESSAGE", to_valid_utf8(line_of(incident)));
  add_field(out, "MESSAGE_ID", "6f2c1e0a9d334b5b8f0e4a7c2d915e63");
  add_field(out, "PRIORITY", std::to_string(priority_of(incident)));
  add_field(out, "SYSLOG_IDENTIFIER", "memcrest");
  add_field(out, "MEMCREST_INCIDENT_ID", incident.id);
  add_field(out, "MEMCREST_KIND", to_string(incident.kind));
  add_field(out, "MEMCREST_CONTAINER_ID", incident.container.id);
  add_field(out, "MEMCREST_CONTAINER", to_valid_utf8(incident.container.name));
  add_field(out, "MEMCREST_POD", pod_name(incident.container));
  add_field(out, "MEMCREST_NAMESPACE", pod_namespace(incident.container));
  add_field(out, "MEMCREST_JSON", json.size() <= kMaxJournal ? json : "");
  return out;
}

std::string syslog_line(const Incident& incident) {
  const auto time = static_cast<std::time_t>(incident.unix_ns / 1'000'000'000);
  std::tm parts{};
  ::localtime_r(&time, &parts);
  constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  char clock[32];
  const std::size_t size = std::strftime(clock, sizeof(clock), "%e %H:%M:%S", &parts);
  return "<" + std::to_string(kFacilityDaemon | priority_of(incident)) + ">" + kMonths[parts.tm_mon % 12] + " " +
         std::string(clock, size) + " memcrest[" + std::to_string(::getpid()) +
         "]: " + escape_terminal(line_of(incident)).substr(0, kMaxSyslog);
}

class HostLogReceiver final : public Receiver {
 public:
  HostLogReceiver(HostLog log, std::string socket) : log_(log), socket_(std::move(socket)) {}
  [[nodiscard]] const char* name() const override { return log_ == HostLog::kJournald ? "journald" : "syslog"; }

  Delivered send(std::span<const SpooledIncident> incidents, const StopEvent& /*stop*/) override {
    const std::vector<OtlpIncident> read = readable(incidents);
    if (read.empty()) {
      return {.outcome = Outcome::kTaken, .why = "not readable in the spool", .refused = incidents.size()};
    }
    const auto& [incident, json] = read.front();
    if (!incident.update.empty()) {
      return {};
    }
    const std::string bytes = log_ == HostLog::kJournald ? journal_entry(incident, json) : syslog_line(incident);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (socket_.size() >= sizeof(address.sun_path)) {
      return later("the socket's path is too long");
    }
    std::memcpy(address.sun_path, socket_.data(), socket_.size());
    const Fd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd || ::sendto(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL, reinterpret_cast<sockaddr*>(&address),
                        sizeof(address)) < 0) {
      return later(Error{"log to", socket_, errno, ""}.message());
    }
    return {};
  }

 private:
  HostLog log_;
  std::string socket_;
};

std::string who_of(const Incident& incident) {
  const Container& container = incident.container;
  const std::string pod = pod_name(container);
  if (!pod.empty()) {
    return pod_namespace(container) + "/" + pod + " " + container.name;
  }
  return !container.name.empty() ? container.name : !container.id.empty() ? container.id : incident.cgroup.path;
}

// Slack reads &, < and > as its own marks.
std::string slack_text(const std::string& text) {
  std::string out;
  for (const char c : text) {
    out += c == '&' ? "&amp;" : c == '<' ? "&lt;" : c == '>' ? "&gt;" : std::string(1, c);
  }
  return out;
}

std::string alert_of(const Incident& incident) {
  JsonLine labels;
  labels.text("alertname", "Memcrest" + std::string(incident.kind == IncidentKind::kOom    ? "Oom"
                                                    : incident.kind == IncidentKind::kKill ? "Kill"
                                                                                           : "Memory"));
  labels.text("severity", severity_of(incident) == kOtlpError ? "critical" : "warning");
  labels.text("kind", to_string(incident.kind)).text("scope", to_string(incident.scope));
  for (const auto& [name, value] :
       {std::pair("container", incident.container.name), std::pair("container_id", incident.container.id),
        std::pair("pod", pod_name(incident.container)), std::pair("namespace", pod_namespace(incident.container)),
        std::pair("host", incident.host.name)}) {
    if (!value.empty()) {
      labels.text(name, value);
    }
  }
  JsonLine notes;
  notes.text("summary", line_of(incident)).text("incident_id", incident.id);
  JsonLine alert;
  alert.raw("labels", labels.take()).raw("annotations", notes.take()).time("startsAt", incident.unix_ns);
  return alert.take();
}

}  // namespace

std::string line_of(const Incident& incident) {
  std::string out = who_of(incident);
  if (!incident.container.image.empty()) {
    out += " (" + incident.container.image + ")";
  }
  out += ": " + body_of(incident);
  if (incident.limit.bytes) {
    out += "; limit " + format_size(*incident.limit.bytes);
  }
  if (!incident.host.name.empty()) {
    out += "; on " + incident.host.name;
  }
  return out;
}

std::string webhook_body(WebhookFormat format, const Incident& incident, const std::string& json) {
  switch (format) {
    case WebhookFormat::kJson:
      return JsonLine().text("schema", "memcrest.webhook.v1").raw("incident", json).take();
    case WebhookFormat::kSlack:
      return JsonLine().text("text", slack_text(line_of(incident))).take();
    case WebhookFormat::kAlertmanager:
      return "[" + alert_of(incident) + "]";
  }
  return {};
}

std::string webhook_signature(const std::string& secret, const std::string& timestamp, std::string_view body) {
  const std::string text = timestamp + "." + std::string(body);
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
       reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest, &size);
  constexpr const char* kHex = "0123456789abcdef";
  std::string out = "v1=";
  for (unsigned i = 0; i < size; ++i) {
    out += kHex[digest[i] >> 4U];
    out += kHex[digest[i] & 15U];
  }
  return out;
}

Result<std::unique_ptr<Receiver>> make_otlp_receiver(const OtlpSettings& settings, const Clock& clock) {
  auto post = HttpPost::make(settings.endpoint, settings.tls, settings.headers);
  if (!post) {
    return std::unexpected(post.error());
  }
  const bool linked = settings.spans;
  return std::make_unique<OtlpReceiver>("otlp", "/v1/logs", settings, std::move(*post),
                                        [&clock, linked](const std::vector<OtlpIncident>& incidents) {
                                          return otlp_logs(incidents, clock.unix_ns(), linked);
                                        });
}

Result<std::unique_ptr<Receiver>> make_otlp_spans(const OtlpSettings& settings) {
  auto post = HttpPost::make(settings.endpoint, settings.tls, settings.headers);
  if (!post) {
    return std::unexpected(post.error());
  }
  return std::make_unique<OtlpReceiver>(
      "otlp_spans", "/v1/traces", settings, std::move(*post),
      [](const std::vector<OtlpIncident>& incidents) { return otlp_spans(incidents); });
}

Result<std::unique_ptr<Receiver>> make_webhook(const WebhookSettings& settings, const Clock& clock) {
  auto post = HttpPost::make(settings.url, settings.tls, settings.headers);
  if (!post) {
    return std::unexpected(post.error());
  }
  return std::make_unique<Webhook>(settings, std::move(*post), clock);
}

std::unique_ptr<Receiver> make_host_log(HostLog log, std::string socket) {
  if (socket.empty()) {
    socket = log == HostLog::kJournald ? kJournalSocket : kSyslogSocket;
  }
  return std::make_unique<HostLogReceiver>(log, std::move(socket));
}

OtlpMetrics::OtlpMetrics(OtlpSettings settings, HttpPost post, Read read)
    : settings_(std::move(settings)), post_(std::move(post)), read_(std::move(read)) {
  status_.name = "otlp_metrics";
}

Result<std::unique_ptr<OtlpMetrics>> OtlpMetrics::start(const OtlpSettings& settings, Read read) {
  auto post = HttpPost::make(settings.endpoint, settings.tls, settings.headers);
  if (!post) {
    return std::unexpected(post.error());
  }
  std::unique_ptr<OtlpMetrics> out(new OtlpMetrics(settings, std::move(*post), std::move(read)));
  out->thread_ = std::jthread([raw = out.get()](const std::stop_token& stop) { raw->run(stop); });
  return out;
}

void OtlpMetrics::run(const std::stop_token& token) {
  const StopEvent stop(token);
  const auto interval = std::chrono::duration_cast<std::chrono::steady_clock::duration>(settings_.metrics_interval);
  while (stop.sleep_until(std::chrono::steady_clock::now() + interval)) {
    std::string body = otlp_metrics(read_());
    body = settings_.compress ? gzip(body) : body;
    const Delivered done =
        delivered_by(post_.send("/v1/metrics", otlp_headers(settings_.compress), body, settings_.timeout, stop));
    const std::lock_guard lock(mutex_);
    ++(done.outcome == Outcome::kTaken ? status_.sent : status_.failures);
    status_.last_error = done.why;
  }
}

TargetStatus OtlpMetrics::status() const {
  const std::lock_guard lock(mutex_);
  return status_;
}

}  // namespace memcrest
