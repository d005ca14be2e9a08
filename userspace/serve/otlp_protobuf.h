// SPDX-License-Identifier: Apache-2.0
// OTLP as protobuf (opentelemetry-proto 1.x, collector services): the bodies that a receiver is sent. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "memcrest/container_memory.h"
#include "memcrest/incident.h"

namespace memcrest {

struct OtlpIncident {
  Incident incident;
  std::string json;
};

// ExportLogsServiceRequest: a log record each, with the attributes of container, Kubernetes and host. `linked`: with
// the trace and span that otlp_spans() makes of the same incident.
[[nodiscard]] std::string otlp_logs(std::span<const OtlpIncident> incidents, std::int64_t observed_unix_ns,
                                    bool linked = false);
// ExportTraceServiceRequest: a span for each burst, from its base to its peak, and for each OOM, from where usage began
// to rise to the kill. Other incidents, and updates of those told before, have none; empty: no span at all.
[[nodiscard]] std::string otlp_spans(std::span<const OtlpIncident> incidents);

struct OtlpFigures {
  std::vector<ContainerMemory> containers;
  std::array<std::uint64_t, 5> incidents{};  // by kind, since the start
  std::int64_t start_unix_ns = 0;
  std::int64_t unix_ns = 0;
  Host host;
};

// ExportMetricsServiceRequest: gauges of each container, and the count of incidents of the host.
[[nodiscard]] std::string otlp_metrics(const OtlpFigures& figures);

// Of an ExportLogsServiceResponse: how many records the receiver refused, and its words. Anything: 0.
struct OtlpPartialSuccess {
  std::uint64_t rejected = 0;
  std::string message;
};
[[nodiscard]] OtlpPartialSuccess read_partial_success(std::string_view body);

}  // namespace memcrest
