// SPDX-License-Identifier: Apache-2.0
// Who takes the agent's incidents: an OTLP receiver, a webhook, the host's log.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "memcrest/clock.h"
#include "serve/delivery.h"
#include "serve/http_post.h"
#include "serve/otlp_protobuf.h"

namespace memcrest {

struct OtlpSettings {
  std::string endpoint;  // "http://127.0.0.1:4318": /v1/logs and /v1/metrics follow; empty: none
  TlsFiles tls;
  HttpHeaders headers;
  bool compress = true;
  bool spans = false;  // one for each burst and each OOM, to /v1/traces
  std::chrono::nanoseconds metrics_interval{std::chrono::seconds(60)};  // 0: no metrics
  std::chrono::milliseconds timeout{10'000};
};

enum class WebhookFormat { kJson, kSlack, kAlertmanager };

struct WebhookSettings {
  std::string url;  // empty: none
  TlsFiles tls;
  HttpHeaders headers;
  WebhookFormat format = WebhookFormat::kJson;
  std::string secret;  // signs; empty: unsigned
  std::chrono::milliseconds timeout{10'000};
};

enum class HostLog { kNone, kJournald, kSyslog };

[[nodiscard]] Result<std::unique_ptr<Receiver>> make_otlp_receiver(const OtlpSettings& settings, const Clock& clock);
// Beside that one, with a mark of its own: a receiver of logs need not take spans.
[[nodiscard]] Result<std::unique_ptr<Receiver>> make_otlp_spans(const OtlpSettings& settings);
[[nodiscard]] Result<std::unique_ptr<Receiver>> make_webhook(const WebhookSettings& settings, const Clock& clock);
// `socket` empty: the usual one.
[[nodiscard]] std::unique_ptr<Receiver> make_host_log(HostLog log, std::string socket = {});

// Metrics by OTLP, on a thread of their own. None is kept for later: the next ones tell more.
class OtlpMetrics {
 public:
  using Read = std::function<OtlpFigures()>;
  [[nodiscard]] static Result<std::unique_ptr<OtlpMetrics>> start(const OtlpSettings& settings, Read read);
  [[nodiscard]] TargetStatus status() const;  // its counts are those of requests

 private:
  OtlpMetrics(OtlpSettings settings, HttpPost post, Read read);
  void run(const std::stop_token& stop);
  OtlpSettings settings_;
  HttpPost post_;
  Read read_;
  mutable std::mutex mutex_;
  TargetStatus status_;
  std::jthread thread_;  // last: it uses the others
};

// "docker web (my-app:latest): OOM kill: killed python[12]; limit 64 MiB": one line, as it was told.
[[nodiscard]] std::string line_of(const Incident& incident);
// What a webhook is sent.
[[nodiscard]] std::string webhook_body(WebhookFormat format, const Incident& incident, const std::string& json);
// "v1=" and HMAC-SHA256 of "<timestamp>.<body>" in hexadecimal.
[[nodiscard]] std::string webhook_signature(const std::string& secret, const std::string& timestamp,
                                            std::string_view body);

}  // namespace memcrest
