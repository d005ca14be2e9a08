// SPDX-License-Identifier: Apache-2.0
#include "export/otlp_json_export.h"

#include <algorithm>
#include <limits>

#include "export/json_line.h"
#include "identity/container_filter.h"
#include "util/units.h"

namespace memcrest {
namespace {

// The Collector takes lines of up to 1 MiB.
constexpr std::size_t kMaxBytes = 512U << 10U;
constexpr std::size_t kPerCgroup = 800;  // what stands around a resource and its points
constexpr std::size_t kPerStep = 240;    // three points

constexpr const char* kSchemaUrl = "https://opentelemetry.io/schemas/1.27.0";
// Of the log data model.
constexpr int kWarn = 13;
constexpr int kError = 17;
constexpr int kInfo = 9;

// The members of an attribute list. Numbers are text, since JSON's have no 64 bits.
class Attributes {
 public:
  Attributes& text(std::string_view key, std::string_view value) {
    return value.empty() ? *this : add(key, "{\"stringValue\":" + json_text(value) + "}");
  }
  Attributes& number(std::string_view key, std::uint64_t value) {
    const auto most = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    return add(key, "{\"intValue\":\"" + std::to_string(std::min(value, most)) + "\"}");
  }
  Attributes& number(std::string_view key, const std::optional<std::uint64_t>& value) {
    return value ? number(key, *value) : *this;
  }
  Attributes& flag(std::string_view key, bool value) {
    return add(key, value ? "{\"boolValue\":true}" : "{\"boolValue\":false}");
  }
  Attributes& texts(std::string_view key, const std::vector<std::string>& values) {
    std::string array;
    for (const std::string& value : values) {
      array += (array.empty() ? "" : ",") + ("{\"stringValue\":" + json_text(value) + "}");
    }
    return values.empty() ? *this : add(key, "{\"arrayValue\":{\"values\":[" + array + "]}}");
  }
  [[nodiscard]] const std::string& members() const { return out_; }

 private:
  Attributes& add(std::string_view key, const std::string& value) {
    out_ += (out_.empty() ? "" : ",") + ("{\"key\":" + json_text(key) + ",\"value\":" + value + "}");
    return *this;
  }
  std::string out_;
};

std::string joined(const std::string& a, const std::string& b) { return a.empty() || b.empty() ? a + b : a + "," + b; }

void add_owner(Attributes& out, const Owner& owner) {
  if (owner.kind == "Deployment") {
    out.text("k8s.deployment.name", owner.name);
  } else if (owner.kind == "StatefulSet") {
    out.text("k8s.statefulset.name", owner.name);
  } else if (owner.kind == "DaemonSet") {
    out.text("k8s.daemonset.name", owner.name);
  } else if (owner.kind == "Job") {
    out.text("k8s.job.name", owner.name);
  } else if (owner.kind == "CronJob") {
    out.text("k8s.cronjob.name", owner.name);
  }
}

void add_container(Attributes& out, const Container& container, const std::string& cgroup_path) {
  if (!container.id.empty()) {
    out.text("container.id", container.id).text("container.name", container.name);
    out.text("container.runtime", to_string(container.runtime));
    // The tag stands after the last ':' behind the last '/'; a digest is no tag.
    const std::string image = container.image.substr(0, container.image.find('@'));
    const auto colon = image.find(':', image.rfind('/') == std::string::npos ? 0 : image.rfind('/'));
    out.text("container.image.name", image.substr(0, colon));
    if (colon != std::string::npos) {
      out.texts("container.image.tags", {image.substr(colon + 1)});
    }
  }
  const std::string pod = pod_name(container);
  if (!pod.empty()) {
    out.text("k8s.pod.name", pod).text("k8s.namespace.name", pod_namespace(container));
    out.text("k8s.container.name", container.name);
  }
  if (container.pod) {
    out.text("k8s.pod.uid", container.pod->uid);
    if (container.pod->owner) {
      add_owner(out, *container.pod->owner);
    }
  }
  out.text("memcrest.cgroup.path", cgroup_path);
}

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

int severity_of(const Incident& incident) {
  switch (incident.kind) {
    case IncidentKind::kOom:
    case IncidentKind::kKill:
      return kError;
    case IncidentKind::kBurst:
    case IncidentKind::kChargeFailure:
      return kWarn;
  }
  return kWarn;
}

const char* severity_text(int severity) { return severity == kError ? "ERROR" : severity == kWarn ? "WARN" : "INFO"; }

std::string body_of(const Incident& incident) {
  std::string out = incident.kind == IncidentKind::kOom && !incident.victims.empty() ? "OOM kill"
                    : incident.kind == IncidentKind::kBurst                          ? "burst of memory"
                                                                                     : to_string(incident.kind);
  for (const Victim& victim : incident.victims) {
    out += (&victim == &incident.victims.front() ? ": killed " : ", ") + victim.comm + "[" +
           std::to_string(victim.pid) + "]";
  }
  if (incident.burst) {
    out += "; grew " + format_size(incident.burst->base_bytes) + " to " + format_size(incident.burst->peak_bytes);
  }
  return out;
}

Attributes attributes_of(const Incident& incident) {
  Attributes out;
  out.text("memcrest.incident.id", incident.id).text("memcrest.incident.kind", to_string(incident.kind));
  out.text("memcrest.incident.update", incident.update).text("memcrest.incident.scope", to_string(incident.scope));
  out.number("memcrest.memory.limit", incident.limit.bytes).text("memcrest.limit.kind", incident.limit.kind);
  out.text("memcrest.limit.cgroup.path", incident.limit.cgroup_path);
  out.number("memcrest.memory.usage", incident.usage_bytes).number("memcrest.memory.peak", incident.peak_bytes);
  if (!incident.victims.empty()) {
    const Victim& victim = incident.victims.front();
    out.number("process.pid", std::uint64_t{victim.pid}).text("process.executable.name", victim.comm);
    out.text("process.command_line", victim.cmdline).text("process.executable.path", victim.exe);
    out.number("memcrest.incident.victims", std::uint64_t{incident.victims.size()});
  }
  if (incident.burst) {
    out.number("memcrest.burst.base", incident.burst->base_bytes);
    out.number("memcrest.burst.peak", incident.burst->peak_bytes);
    out.number("memcrest.burst.growth", incident.burst->growth_bytes);
  }
  out.flag("memcrest.evidence.complete", incident.evidence.complete);
  return out.texts("memcrest.evidence.gaps", incident.evidence.gaps);
}

}  // namespace

std::string OtlpJsonExport::host_attributes() const {
  Attributes out;
  out.text("service.name", "memcrest").text("host.name", context_.about("host_name"));
  out.text("os.type", "linux").text("os.version", context_.about("kernel"));
  return out.text("memcrest.boot_id", context_.about("boot_id")).members();
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
    Attributes attributes;
    add_container(attributes, step.cgroup.container, step.cgroup.path);
    points.resource = joined(host_attributes(), attributes.members());
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
           kSchemaUrl + "\"}";
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
  const std::string event_name = Attributes().text("event.name", name).members();
  record.raw("body", "{\"stringValue\":" + json_text(body) + "}");
  record.raw("attributes", "[" + joined(event_name, attributes) + "]");
  context_.sink.write("{\"resourceLogs\":[{\"resource\":{\"attributes\":[" + joined(host_attributes(), resource) +
                      "]},\"scopeLogs\":[{\"scope\":" + scope() + ",\"logRecords\":[" + record.take() +
                      "]}],\"schemaUrl\":\"" + kSchemaUrl + "\"}]}\n");
}

void OtlpJsonExport::add(const ExportedIncident& exported) {
  if (!asked_for(tables_, ExportTable::kIncidents)) {
    return;
  }
  const Incident& incident = exported.incident;
  last_unix_ns_ = std::max(last_unix_ns_, incident.unix_ns);
  Attributes resource;
  add_container(resource, incident.container, incident.cgroup.path);
  Attributes attributes = attributes_of(incident);
  if (exported.json.size() < kMaxBytes / 2) {  // quoted once more it is longer
    attributes.text("memcrest.incident.json", exported.json);
  }
  log(resource.members(), incident.unix_ns, severity_of(incident), "memcrest.incident", body_of(incident),
      attributes.members());
}

void OtlpJsonExport::add(const ExportedLoss& loss) {
  last_unix_ns_ = std::max(last_unix_ns_, loss.unix_ns.value_or(0));
  if (loss.more == 0 || !asked_for(tables_, ExportTable::kIncidents)) {
    return;
  }
  Attributes attributes;
  attributes.number("memcrest.lost.more", loss.more).number("memcrest.lost.critical", loss.so_far.critical);
  attributes.number("memcrest.lost.bulk", loss.so_far.bulk).number("memcrest.lost.throttled", loss.so_far.throttled);
  attributes.number("memcrest.lost.invalid", loss.so_far.invalid);
  attributes.number("memcrest.lost.untracked", loss.so_far.untracked);
  log({}, loss.unix_ns.value_or(0), kWarn, "memcrest.loss", "records were lost", attributes.members());
}

void OtlpJsonExport::finish(const ExportEnd& end) {
  flush_metrics();
  if (!asked_for(tables_, ExportTable::kIncidents)) {
    return;
  }
  Attributes attributes;
  attributes.flag("memcrest.recording.complete", end.gaps.empty() && end.lost == LossCount{});
  attributes.texts("memcrest.recording.gaps", end.gaps);
  attributes.texts("memcrest.recording.notes", end.notes);
  const bool complete = end.gaps.empty() && end.lost == LossCount{};
  log({}, last_unix_ns_, complete ? kInfo : kWarn, "memcrest.recording", "end of the recording", attributes.members());
}

std::vector<std::string> OtlpJsonExport::left_out() const {
  if (undated_ == 0) {
    return {};
  }
  return {std::to_string(undated_) + " steps have no wall time, and are in no metric"};
}

}  // namespace memcrest
