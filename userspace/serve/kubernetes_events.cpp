// SPDX-License-Identifier: Apache-2.0
#include "serve/kubernetes_events.h"

#include <algorithm>
#include <ctime>

#include "export/incident_reader.h"
#include "export/json_line.h"
#include "identity/container_filter.h"
#include "identity/kubernetes_exchange.h"
#include "serve/receivers.h"
#include "util/text.h"

namespace memcrest {
namespace {

constexpr std::size_t kMaxMessage = 1000;  // bytes; the API takes 1024
constexpr std::size_t kMaxLine = 500;      // of these, for what happened: why and what to do follow
constexpr std::size_t kMaxName = 253;
constexpr std::size_t kMaxLabel = 63;
constexpr std::chrono::milliseconds kTimeout{10'000};

// What lies in the spool may be anything, and names become part of a path.
bool is_api_name(std::string_view name, std::size_t longest, bool dots) {
  return !name.empty() && name.size() <= longest && name.front() != '.' && std::ranges::all_of(name, [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || (dots && c == '.');
  });
}

std::string seconds_of(std::int64_t unix_ns) {
  const auto time = static_cast<std::time_t>(unix_ns / 1'000'000'000);
  std::tm parts{};
  ::gmtime_r(&time, &parts);
  char text[32];
  return {text, std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts)};
}

const char* reason_of(IncidentKind kind) {
  switch (kind) {
    case IncidentKind::kOom:
      return "OOMKill";
    case IncidentKind::kBurst:
      return "MemoryBurst";
    case IncidentKind::kChargeFailure:
      return "MemoryRefused";
    case IncidentKind::kKill:
      return "Killed";
    case IncidentKind::kBreakpoint:
      return "MemoryBreakpoint";
  }
  return "Memory";
}

std::string cut(std::string text, std::size_t most) {
  return text.size() <= most ? text : to_valid_utf8(text.substr(0, most)) + " …";
}

// Who may read the events of a namespace learns of its own pods alone: neither of who else holds the machine's memory,
// nor of who killed from outside.
std::string message_of(const Incident& incident, std::uint64_t left_out) {
  std::string out = left_out > 0 ? "(" + std::to_string(left_out) + " before it left out) " : "";
  out += cut(to_valid_utf8(line_of(incident)), kMaxLine);
  if (incident.end || (incident.scope != Scope::kMemcg && incident.scope != Scope::kAncestor)) {
    return out;
  }
  if (incident.verdict && !incident.verdict->text.empty()) {
    out += ". " + to_valid_utf8(incident.verdict->text);
  }
  if (incident.advice && !incident.advice->text.empty()) {
    out += " " + to_valid_utf8(incident.advice->text);
  }
  return cut(std::move(out), kMaxMessage);
}

class KubernetesEvents final : public Receiver {
 public:
  KubernetesEvents(const KubernetesEndpoint& endpoint, const Clock& clock, const EventRate& rate)
      : endpoint_(endpoint), post_(HttpPost::to(endpoint)), clock_(clock), limiter_(rate) {}
  [[nodiscard]] const char* name() const override { return "kubernetes"; }

  Delivered send(std::span<const SpooledIncident> incidents, const StopEvent& stop) override {
    const auto incident = incident_from_json(incidents.front().json);
    if (!incident) {
      return {.outcome = Outcome::kTaken, .why = "not readable in the spool", .refused = 1};
    }
    if (!incident->update.empty() || !pod_event(*incident, endpoint_.node, 0)) {
      return {};
    }
    // A second try is no second incident.
    if (tried_ != incident->id) {
      tried_ = incident->id;
      left_out_ = limiter_.admit(incident->container.pod->uid, clock_.boot_ns());
    }
    if (!left_out_) {
      return {.outcome = Outcome::kTaken, .why = "too many for one pod", .refused = 1};
    }
    return post(*pod_event(*incident, endpoint_.node, *left_out_), stop);
  }

 private:
  [[nodiscard]] Delivered post(const EventRequest& event, const StopEvent& stop) const {
    HttpHeaders headers = {{"Content-Type", "application/json"}};
    if (endpoint_.tls && !endpoint_.token_file.empty()) {
      const auto token = read_kubernetes_token(endpoint_.token_file);  // it changes
      if (!token) {
        return {.outcome = Outcome::kLater, .why = token.error().message()};
      }
      headers.emplace_back("Authorization", "Bearer " + *token);
    }
    const auto answer = post_.send(event.target, headers, event.body, kTimeout, stop);
    if (!answer) {
      return {.outcome = Outcome::kLater, .why = answer.error().message()};
    }
    constexpr int kForbidden = 403;
    constexpr int kNotFound = 404;
    constexpr int kConflict = 409;
    std::string why = "it answered " + std::to_string(answer->status) + " " + answer->body.substr(0, 200);
    if (answer->status == kConflict) {
      return {};  // it is there
    }
    // The namespace is being removed, or rights are missing: waiting would hold up all that follow.
    if (answer->status == kForbidden || answer->status == kNotFound) {
      return {.outcome = Outcome::kNever, .why = std::move(why)};
    }
    const Outcome outcome = outcome_of(answer->status);
    return {.outcome = outcome, .why = outcome == Outcome::kTaken ? "" : why, .retry_after = answer->retry_after};
  }

  KubernetesEndpoint endpoint_;
  HttpPost post_;
  const Clock& clock_;
  EventLimiter limiter_;
  std::string tried_;
  std::optional<std::uint64_t> left_out_;
};

}  // namespace

std::optional<std::uint64_t> EventLimiter::admit(const std::string& pod_uid, std::uint64_t boot_ns) {
  auto found = buckets_.find(pod_uid);
  if (found == buckets_.end()) {
    if (buckets_.size() >= kMaxPods) {
      buckets_.erase(std::ranges::min_element(buckets_, {}, [](const auto& one) { return one.second.seen_ns; }));
    }
    found = buckets_.emplace(pod_uid, Bucket{.tokens = static_cast<double>(rate_.burst), .seen_ns = boot_ns}).first;
  }
  Bucket& bucket = found->second;
  const double passed = static_cast<double>(boot_ns - std::min(boot_ns, bucket.seen_ns));
  bucket.tokens = std::min<double>(rate_.burst, bucket.tokens + passed / static_cast<double>(rate_.refill.count()));
  bucket.seen_ns = boot_ns;
  if (bucket.tokens < 1) {
    ++bucket.left_out;
    return std::nullopt;
  }
  bucket.tokens -= 1;
  return std::exchange(bucket.left_out, 0);
}

std::optional<EventRequest> pod_event(const Incident& incident, const std::string& node, std::uint64_t left_out) {
  const std::string pod = pod_name(incident.container);
  const std::string name_space = pod_namespace(incident.container);
  std::string id = incident.id;
  std::ranges::transform(id, id.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  const std::string name = "memcrest." + id;
  if (!incident.container.pod || incident.container.pod->uid.empty() || !is_api_name(pod, kMaxName, true) ||
      !is_api_name(name_space, kMaxLabel, false) || !is_api_name(name, kMaxName, true)) {
    return std::nullopt;
  }
  const std::string message = message_of(incident, left_out);
  JsonLine about;
  about.text("kind", "Pod").text("apiVersion", "v1").text("namespace", name_space).text("name", pod);
  about.text("uid", incident.container.pod->uid);
  if (is_api_name(incident.container.name, kMaxLabel, false)) {
    about.text("fieldPath", "spec.containers{" + incident.container.name + "}");
  }
  JsonLine event;
  event.text("apiVersion", "v1").text("kind", "Event");
  event.raw("metadata", JsonLine().text("name", name).text("namespace", name_space).take());
  event.raw("involvedObject", about.take());
  event.text("reason", reason_of(incident.kind)).text("type", "Warning");
  event.text("message", message);
  event.raw("source", JsonLine().text("component", "memcrest").text("host", node).take());
  event.text("firstTimestamp", seconds_of(incident.unix_ns)).text("lastTimestamp", seconds_of(incident.unix_ns));
  event.number("count", std::uint64_t{1});
  event.text("reportingComponent", "memcrest").text("reportingInstance", node);
  return EventRequest{.target = "/api/v1/namespaces/" + name_space + "/events", .body = event.take()};
}

std::unique_ptr<Receiver> make_kubernetes_events(const KubernetesEndpoint& endpoint, const Clock& clock,
                                                 const EventRate& rate) {
  return std::make_unique<KubernetesEvents>(endpoint, clock, rate);
}

}  // namespace memcrest
