// SPDX-License-Identifier: Apache-2.0
#include "export/otlp_json_export.h"

#include <algorithm>
#include <limits>
#include <variant>

#include "export/json_line.h"
#include "export/otlp_attributes.h"

namespace memcrest {
namespace {

// The Collector takes lines of up to 1 MiB.
constexpr std::size_t kMaxBytes = 512U << 10U;
constexpr std::size_t kPerCgroup = 800;  // what stands around a resource and its points
constexpr std::size_t kPerStep = 240;    // three points

std::string value_of(const std::string& text) { return "{\"stringValue\":" + json_text(text) + "}"; }
// Numbers are text, since JSON's have no 64 bits.
std::string value_of(std::int64_t number) { return "{\"intValue\":\"" + std::to_string(number) + "\"}"; }
std::string value_of(bool flag) { return flag ? "{\"boolValue\":true}" : "{\"boolValue\":false}"; }
std::string value_of(const std::vector<std::string>& texts) {
  std::string array;
  for (const std::string& one : texts) {
    array += (array.empty() ? "" : ",") + value_of(one);
  }
  return "{\"arrayValue\":{\"values\":[" + array + "]}}";
}

// The members of an attribute list.
std::string members_of(const OtlpAttributes& attributes) {
  std::string out;
  for (const OtlpAttribute& one : attributes.all()) {
    out += (out.empty() ? "" : ",") + ("{\"key\":" + json_text(one.key) + ",\"value\":" +
                                       std::visit([](const auto& value) { return value_of(value); }, one.value) + "}");
  }
  return out;
}

std::string joined(const std::string& a, const std::string& b) { return a.empty() || b.empty() ? a + b : a + "," + b; }

std::string number_point(std::int64_t unix_ns, std::uint64_t value) {
  const auto most = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  return "{\"timeUnixNano\":\"" + std::to_string(unix_ns) + "\",\"asInt\":\"" + std::to_string(std::min(value, most)) +
         "\"}";
}

void append_point(std::string& points, std::int64_t unix_ns, std::uint64_t value) {
  points += points.empty() ? "" : ",";
  points += number_point(unix_ns, value);
}

std::string gauge(const char* name, const char* description, const std::string& points) {
  return points.empty() ? std::string()
                        : std::string("{\"name\":\"") + name + R"(","description":")" + description +
                              R"(","unit":"By","gauge":{"dataPoints":[)" + points + "]}}";
}

std::string scope() { return R"({"name":"memcrest","version":")" MEMCREST_VERSION "\"}"; }

}  // namespace

std::string OtlpJsonExport::host_attributes() const {
  OtlpAttributes out;
  out.text("service.name", "memcrest").text("host.name", context_.about("host_name"));
  out.text("os.type", "linux").text("os.version", context_.about("kernel"));
  return members_of(out.text("memcrest.boot_id", context_.about("boot_id")));
}

void OtlpJsonExport::add(const ExportedStep& step) {
  if (!asked_for(tables_, ExportTable::kSteps)) {
    return;
  }
  if (!step.unix_ns || *step.unix_ns < 0) {
    ++undated_;
    return;
  }
  Points& points = points_[{step.cgroup.cgroup_id, step.cgroup.serial}];
  if (points.resource.empty()) {
    OtlpAttributes attributes;
    add_container(attributes, step.cgroup.container, step.cgroup.path);
    points.resource = joined(host_attributes(), members_of(attributes));
    bytes_ += points.resource.size() + kPerCgroup;
  }
  append_point(points.usage, *step.unix_ns, step.event.usage_bytes);
  append_point(points.peak, *step.unix_ns, step.event.watermark_bytes);
  if (step.event.limit_bytes) {
    append_point(points.limit, *step.unix_ns, *step.event.limit_bytes);
  }
  last_unix_ns_ = std::max(last_unix_ns_, *step.unix_ns);
  bytes_ += kPerStep;
  if (++steps_ >= batch_ || bytes_ >= kMaxBytes) {
    flush_metrics();
  }
}

void OtlpJsonExport::flush_metrics() {
  if (points_.empty()) {
    return;
  }
  std::string out = "{\"resourceMetrics\":[";
  for (const auto& [key, points] : points_) {
    const std::string metrics =
        joined(joined(gauge("memcrest.memory.usage", "Memory charged to the cgroup, read at each step", points.usage),
                      gauge("memcrest.memory.limit", "The cgroup's own limit", points.limit)),
               gauge("memcrest.memory.peak", "The kernel's own mark of the highest usage", points.peak));
    out += (&points == &points_.begin()->second ? "" : ",") + ("{\"resource\":{\"attributes\":[" + points.resource) +
           "]},\"scopeMetrics\":[{\"scope\":" + scope() + ",\"metrics\":[" + metrics + "]}],\"schemaUrl\":\"" +
           kOtlpSchemaUrl + "\"}";
  }
  context_.sink.write(out + "]}\n");
  points_.clear();
  steps_ = 0;
  bytes_ = 0;
}

void OtlpJsonExport::log(const std::string& resource, std::int64_t unix_ns, int severity, const char* name,
                         const std::string& body, const std::string& attributes) {
  const std::string time = std::to_string(std::max<std::int64_t>(unix_ns, 0));
  JsonLine record;
  record.text("timeUnixNano", time).text("observedTimeUnixNano", time);
  record.number("severityNumber", static_cast<std::uint64_t>(severity)).text("severityText", severity_text(severity));
  // An attribute, since readers that are strict and older do not know the field that names an event.
  const std::string event_name = members_of(OtlpAttributes().text("event.name", name));
  record.raw("body", "{\"stringValue\":" + json_text(body) + "}");
  record.raw("attributes", "[" + joined(event_name, attributes) + "]");
  context_.sink.write("{\"resourceLogs\":[{\"resource\":{\"attributes\":[" + joined(host_attributes(), resource) +
                      "]},\"scopeLogs\":[{\"scope\":" + scope() + ",\"logRecords\":[" + record.take() +
                      "]}],\"schemaUrl\":\"" + kOtlpSchemaUrl + "\"}]}\n");
}

void OtlpJsonExport::add(const ExportedIncident& exported) {
  if (!asked_for(tables_, ExportTable::kIncidents)) {
    return;
  }
  const Incident& incident = exported.incident;
  last_unix_ns_ = std::max(last_unix_ns_, incident.unix_ns);
  OtlpAttributes resource;
  add_container(resource, incident.container, incident.cgroup.path);
  OtlpAttributes attributes = attributes_of(incident);
  if (exported.json.size() < kMaxBytes / 2) {  // quoted once more it is longer
    attributes.text("memcrest.incident.json", exported.json);
  }
  log(members_of(resource), incident.unix_ns, severity_of(incident), "memcrest.incident", body_of(incident),
      members_of(attributes));
}

void OtlpJsonExport::add(const ExportedLoss& loss) {
  last_unix_ns_ = std::max(last_unix_ns_, loss.unix_ns.value_or(0));
  if (loss.more == 0 || !asked_for(tables_, ExportTable::kIncidents)) {
    return;
  }
  OtlpAttributes attributes;
  attributes.number("memcrest.lost.more", loss.more).number("memcrest.lost.critical", loss.so_far.critical);
  attributes.number("memcrest.lost.bulk", loss.so_far.bulk).number("memcrest.lost.throttled", loss.so_far.throttled);
  attributes.number("memcrest.lost.invalid", loss.so_far.invalid);
  attributes.number("memcrest.lost.untracked", loss.so_far.untracked);
  log({}, loss.unix_ns.value_or(0), kOtlpWarn, "memcrest.loss", "records were lost", members_of(attributes));
}

void OtlpJsonExport::finish(const ExportEnd& end) {
  flush_metrics();
  if (!asked_for(tables_, ExportTable::kIncidents)) {
    return;
  }
  OtlpAttributes attributes;
  attributes.flag("memcrest.recording.complete", end.gaps.empty() && end.lost == LossCount{});
  attributes.texts("memcrest.recording.gaps", end.gaps);
  attributes.texts("memcrest.recording.notes", end.notes);
  const bool complete = end.gaps.empty() && end.lost == LossCount{};
  log({}, last_unix_ns_, complete ? kOtlpInfo : kOtlpWarn, "memcrest.recording", "end of the recording",
      members_of(attributes));
}

std::vector<std::string> OtlpJsonExport::left_out() const {
  if (undated_ == 0) {
    return {};
  }
  return {std::to_string(undated_) + " steps have no wall time, and are in no metric"};
}

}  // namespace memcrest
