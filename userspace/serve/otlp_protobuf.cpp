// SPDX-License-Identifier: Apache-2.0
#include "serve/otlp_protobuf.h"

#include <openssl/sha.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <protozero/pbf_reader.hpp>
#include <protozero/pbf_writer.hpp>

#include "export/otlp_attributes.h"
#include "util/text.h"

namespace memcrest {
namespace {

using protozero::pbf_writer;

// Field numbers of opentelemetry/proto.
enum Request : std::uint32_t { kResources = 1 };
enum ResourceRecords : std::uint32_t { kResource = 1, kScopes = 2, kResourceSchema = 3 };
enum Resource : std::uint32_t { kResourceAttributes = 1 };
enum ScopeRecords : std::uint32_t { kScope = 1, kRecords = 2 };
enum Scope : std::uint32_t { kScopeName = 1, kScopeVersion = 2 };
enum LogRecord : std::uint32_t {
  kTime = 1,
  kSeverity = 2,
  kSeverityText = 3,
  kBody = 5,
  kAttributes = 6,
  kTraceId = 9,
  kSpanId = 10,
  kObservedTime = 11
};
enum Span : std::uint32_t {
  kSpanTrace = 1,
  kSpanOwn = 2,
  kSpanName = 5,
  kSpanKind = 6,
  kSpanStart = 7,
  kSpanEnd = 8,
  kSpanAttributes = 9,
  kSpanStatus = 15
};
enum Status : std::uint32_t { kStatusMessage = 2, kStatusCode = 3 };
constexpr std::int32_t kInternal = 1;
constexpr std::int32_t kStatusError = 2;
enum KeyValue : std::uint32_t { kKey = 1, kValue = 2 };
enum AnyValue : std::uint32_t { kString = 1, kBool = 2, kInt = 3, kArray = 5 };
enum ArrayValue : std::uint32_t { kValues = 1 };
enum Metric : std::uint32_t { kName = 1, kDescription = 2, kUnit = 3, kGauge = 5, kSum = 7 };
enum Data : std::uint32_t { kPoints = 1, kTemporality = 2, kMonotonic = 3 };
enum Point : std::uint32_t { kPointStart = 2, kPointTime = 3, kPointInt = 6, kPointAttributes = 7 };
constexpr std::int32_t kCumulative = 2;
// Quoted as an attribute; a receiver takes messages of some MiB.
constexpr std::size_t kMaxJson = 256U << 10U;

std::uint64_t time_of(std::int64_t unix_ns) { return static_cast<std::uint64_t>(std::max<std::int64_t>(unix_ns, 0)); }

void put_text(pbf_writer& value, const std::string& text) { value.add_string(kString, to_valid_utf8(text)); }

void put_value(pbf_writer& value, const std::string& text) { put_text(value, text); }
void put_value(pbf_writer& value, std::int64_t number) { value.add_int64(kInt, number); }
void put_value(pbf_writer& value, bool flag) { value.add_bool(kBool, flag); }
void put_value(pbf_writer& value, const std::vector<std::string>& texts) {
  pbf_writer array(value, kArray);
  for (const std::string& one : texts) {
    pbf_writer inner(array, kValues);
    put_text(inner, one);
  }
}

void put_attributes(pbf_writer& out, std::uint32_t field, const OtlpAttributes& attributes) {
  for (const OtlpAttribute& one : attributes.all()) {
    pbf_writer pair(out, field);
    pair.add_string(kKey, one.key);
    pbf_writer value(pair, kValue);
    std::visit([&](const auto& held) { put_value(value, held); }, one.value);
  }
}

OtlpAttributes host_attributes(const Host& host) {
  OtlpAttributes out;
  out.text("service.name", "memcrest").text("host.name", host.name).text("os.type", "linux");
  out.text("os.version", host.kernel).text("memcrest.boot_id", host.boot_id);
  return out;
}

void put_scope(pbf_writer& records) {
  pbf_writer scope(records, kScope);
  scope.add_string(kScopeName, "memcrest");
  scope.add_string(kScopeVersion, MEMCREST_VERSION);
}

// One resource with what `fill` puts in its scope.
template <typename Fill>
void put_resource(pbf_writer& request, const OtlpAttributes& attributes, const Fill& fill) {
  pbf_writer of_resource(request, kResources);
  {
    pbf_writer resource(of_resource, kResource);
    put_attributes(resource, kResourceAttributes, attributes);
  }
  {
    pbf_writer records(of_resource, kScopes);
    put_scope(records);
    fill(records);
  }
  of_resource.add_string(kResourceSchema, kOtlpSchemaUrl);
}

// The same for the same incident whoever asks, so that log records and spans of it meet.
struct TraceIds {
  std::string trace;
  std::string span;
};
TraceIds ids_of(const Incident& incident) {
  const std::string text = incident.host.boot_id + "/" + incident.id;
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest);
  const std::string bytes(reinterpret_cast<const char*>(digest), sizeof(digest));
  return {bytes.substr(0, 16), bytes.substr(16, 8)};
}

bool has_span(const Incident& incident) {
  return incident.update.empty() && (incident.kind == IncidentKind::kOom || incident.burst);
}

void put_span(pbf_writer& records, const OtlpIncident& one) {
  const Incident& incident = one.incident;
  const bool oom = incident.kind == IncidentKind::kOom;
  std::int64_t begin = incident.unix_ns;
  std::int64_t end = incident.unix_ns;
  if (incident.burst) {
    constexpr double kLongestMs = 86'400'000;
    const double ms = std::clamp(incident.burst->duration_ms, 0.0, kLongestMs);
    begin = incident.burst->start_unix_ns;
    end = oom ? end : begin + static_cast<std::int64_t>(ms * 1e6);
  }
  pbf_writer span(records, kRecords);
  const TraceIds ids = ids_of(incident);
  span.add_bytes(kSpanTrace, ids.trace);
  span.add_bytes(kSpanOwn, ids.span);
  span.add_string(kSpanName, oom ? "memory OOM" : "memory burst");
  span.add_enum(kSpanKind, kInternal);
  span.add_fixed64(kSpanStart, time_of(std::min(begin, end)));
  span.add_fixed64(kSpanEnd, time_of(end));
  put_attributes(span, kSpanAttributes, attributes_of(incident));
  if (oom) {
    pbf_writer status(span, kSpanStatus);
    status.add_string(kStatusMessage, to_valid_utf8(body_of(incident)));
    status.add_enum(kStatusCode, kStatusError);
  }
}

void put_log(pbf_writer& records, const OtlpIncident& one, std::int64_t observed_unix_ns, bool linked) {
  pbf_writer record(records, kRecords);
  const int severity = severity_of(one.incident);
  record.add_fixed64(kTime, time_of(one.incident.unix_ns));
  record.add_enum(kSeverity, severity);
  record.add_string(kSeverityText, severity_text(severity));
  {
    pbf_writer body(record, kBody);
    put_text(body, body_of(one.incident));
  }
  put_attributes(record, kAttributes, OtlpAttributes().text("event.name", "memcrest.incident"));
  put_attributes(record, kAttributes, attributes_of(one.incident));
  if (one.json.size() <= kMaxJson) {
    put_attributes(record, kAttributes, OtlpAttributes().text("memcrest.incident.json", one.json));
  }
  if (linked && has_span(one.incident)) {
    const TraceIds ids = ids_of(one.incident);
    record.add_bytes(kTraceId, ids.trace);
    record.add_bytes(kSpanId, ids.span);
  }
  record.add_fixed64(kObservedTime, time_of(observed_unix_ns));
}

void put_gauge(pbf_writer& records, const char* name, const char* description,
               const std::optional<std::uint64_t>& value, std::int64_t unix_ns) {
  if (!value) {
    return;
  }
  pbf_writer metric(records, kRecords);
  metric.add_string(kName, name);
  metric.add_string(kDescription, description);
  metric.add_string(kUnit, "By");
  pbf_writer gauge(metric, kGauge);
  pbf_writer point(gauge, kPoints);
  point.add_fixed64(kPointTime, time_of(unix_ns));
  const auto most = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  point.add_sfixed64(kPointInt, static_cast<std::int64_t>(std::min(*value, most)));
}

void put_incident_counts(pbf_writer& records, const OtlpFigures& figures) {
  pbf_writer metric(records, kRecords);
  metric.add_string(kName, "memcrest.incidents");
  metric.add_string(kDescription, "Incidents that were told");
  metric.add_string(kUnit, "{incident}");
  pbf_writer sum(metric, kSum);
  for (std::size_t i = 0; i < figures.incidents.size(); ++i) {
    pbf_writer point(sum, kPoints);
    point.add_fixed64(kPointStart, time_of(figures.start_unix_ns));
    point.add_fixed64(kPointTime, time_of(figures.unix_ns));
    point.add_sfixed64(kPointInt, static_cast<std::int64_t>(figures.incidents[i]));
    put_attributes(point, kPointAttributes,
                   OtlpAttributes().text("memcrest.incident.kind", to_string(static_cast<IncidentKind>(i))));
  }
  sum.add_enum(kTemporality, kCumulative);
  sum.add_bool(kMonotonic, true);
}

}  // namespace

std::string otlp_logs(std::span<const OtlpIncident> incidents, std::int64_t observed_unix_ns, bool linked) {
  std::string out;
  pbf_writer request(out);
  for (const OtlpIncident& one : incidents) {
    OtlpAttributes attributes = host_attributes(one.incident.host);
    add_container(attributes, one.incident.container, one.incident.cgroup.path);
    put_resource(request, attributes, [&](pbf_writer& records) { put_log(records, one, observed_unix_ns, linked); });
  }
  return out;
}

std::string otlp_spans(std::span<const OtlpIncident> incidents) {
  std::string out;
  pbf_writer request(out);
  for (const OtlpIncident& one : incidents) {
    if (has_span(one.incident)) {
      OtlpAttributes attributes = host_attributes(one.incident.host);
      add_container(attributes, one.incident.container, one.incident.cgroup.path);
      put_resource(request, attributes, [&](pbf_writer& records) { put_span(records, one); });
    }
  }
  return out;
}

std::string otlp_metrics(const OtlpFigures& figures) {
  std::string out;
  pbf_writer request(out);
  put_resource(request, host_attributes(figures.host),
               [&](pbf_writer& records) { put_incident_counts(records, figures); });
  for (const ContainerMemory& one : figures.containers) {
    OtlpAttributes attributes = host_attributes(figures.host);
    add_container(attributes, one.container, one.cgroup.path);
    put_resource(request, attributes, [&](pbf_writer& records) {
      put_gauge(records, "memcrest.memory.usage", "Memory charged to the container", one.figures.usage_bytes,
                figures.unix_ns);
      put_gauge(records, "memcrest.memory.working_set", "Usage without files that were not read lately",
                one.figures.working_set_bytes(), figures.unix_ns);
      put_gauge(records, "memcrest.memory.limit", "The container's own limit", one.figures.limit_bytes,
                figures.unix_ns);
      put_gauge(records, "memcrest.memory.peak", "The kernel's own mark of the highest usage", one.figures.peak_bytes,
                figures.unix_ns);
    });
  }
  return out;
}

OtlpPartialSuccess read_partial_success(std::string_view body) {
  OtlpPartialSuccess out;
  try {  // protozero throws on what is no message
    protozero::pbf_reader response(body.data(), body.size());
    while (response.next()) {
      if (response.tag() != 1 || response.wire_type() != protozero::pbf_wire_type::length_delimited) {
        response.skip();
        continue;
      }
      protozero::pbf_reader partial = response.get_message();
      while (partial.next()) {
        if (partial.tag() == 1 && partial.wire_type() == protozero::pbf_wire_type::varint) {
          out.rejected = static_cast<std::uint64_t>(std::max<std::int64_t>(partial.get_int64(), 0));
        } else if (partial.tag() == 2 && partial.wire_type() == protozero::pbf_wire_type::length_delimited) {
          out.message = partial.get_string().substr(0, 256);
        } else {
          partial.skip();
        }
      }
    }
  } catch (const protozero::exception&) {
    return {};
  }
  return out;
}

}  // namespace memcrest
