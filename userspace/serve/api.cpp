// SPDX-License-Identifier: Apache-2.0
#include "serve/api.h"

#include <algorithm>
#include <charconv>
#include <string_view>

#include "export/incident_reader.h"
#include "export/json_line.h"
#include "export/ps_json.h"
#include "report/report.h"
#include "report/report_html.h"
#include "report/report_markdown.h"
#include "serve/openapi.h"
#include "serve/process_figures.h"

namespace memcrest {
namespace {

constexpr std::string_view kIncidents = "/api/v1/incidents";
constexpr std::size_t kPage = 100;
constexpr std::size_t kMaxPage = 1000;
constexpr std::size_t kMaxAnswer = 16U << 20U;

std::string query(const HttpRequest& request, const char* name) {
  const auto found = request.query.find(name);
  return found == request.query.end() ? std::string() : found->second;
}

// Empty: `usual`. Nothing: no number.
std::optional<std::int64_t> number(const std::string& text, std::int64_t usual) {
  std::int64_t out = usual;
  if (text.empty()) {
    return out;
  }
  const auto read = std::from_chars(text.data(), text.data() + text.size(), out);
  return read.ec == std::errc{} && read.ptr == text.data() + text.size() && out >= 0 ? std::optional(out)
                                                                                     : std::nullopt;
}

HttpResponse plain(int status, std::string body) {
  HttpResponse out;
  out.status = status;
  out.type = "text/plain; charset=utf-8";
  out.body = std::move(body);
  return out;
}

// Of the recording where there is one, else what the incident itself tells. The spool has its last telling; what was
// done at a line comes after the recording was made.
Result<Report> report_of(const SpooledIncident& spooled, const std::string& recording) {
  auto incident = incident_from_json(spooled.json);
  if (!recording.empty()) {
    if (auto report = read_report({.path = recording, .incident = spooled.id, .filter = {}, .details = true})) {
      for (ReportedIncident& one : report->incidents) {
        if (one.id == spooled.id && incident) {
          one.json = spooled.json;
          one.incident = std::move(*incident);
          one.unreadable.clear();
          break;
        }
      }
      return report;
    }
  }
  if (!incident) {
    return std::unexpected(incident.error());
  }
  Report out;
  out.recording.file = "the agent's spool";
  out.recording.memcrest_version = MEMCREST_VERSION;
  out.recording.host = incident->host;
  out.recording.charge_tier = incident->evidence.charge_tier;
  out.recording.oom_tier = incident->evidence.oom_tier;
  out.recording.notes.emplace_back("no recording holds this incident: there is no usage over time");
  ReportedIncident one;
  one.id = spooled.id;
  one.json = spooled.json;
  one.incident = std::move(*incident);
  out.incidents.push_back(std::move(one));
  return out;
}

void write_process(MetricsText& out, const ProcessFigures& process, const AgentStatus& status) {
  out.family(metric::kBuild);
  out.sample(MetricLabels().add("version", MEMCREST_VERSION).text(), std::uint64_t{1});
  out.family(metric::kCpu);
  out.sample({}, process.cpu_seconds);
  out.family(metric::kResident);
  out.sample({}, process.resident_bytes);
  out.family(metric::kOwnMemory);
  out.sample({}, process.own_bytes);
  out.family(metric::kMemoryBudget);
  out.sample({}, status.memory_budget_bytes);
  out.family(metric::kFlightMemory);
  if (status.flight_bytes != 0) {
    out.sample({}, status.flight_bytes);
  }
  out.family(metric::kFds);
  out.sample({}, process.open_fds);
  out.family(metric::kThreads);
  out.sample({}, process.threads);
  out.family(metric::kStart);
  out.sample({}, static_cast<double>(status.start_unix_ns / 1'000'000) / 1000);
}

void write_probe(MetricsText& out, const AgentStatus& status) {
  const LossCount& lost = status.lost;
  out.family(metric::kLost);
  out.sample(R"(ring="critical",reason="full")", lost.critical);
  out.sample(R"(ring="bulk",reason="full")", lost.bulk);
  out.sample(R"(ring="bulk",reason="throttled")", lost.throttled);
  out.sample(R"(ring="any",reason="invalid")", lost.invalid);
  out.sample(R"(ring="any",reason="untracked")", lost.untracked);
  out.family(metric::kProbe);
  out.sample(MetricLabels()
                 .add("charge_tier", status.charge_tier)
                 .add("oom_tier", status.oom_tier)
                 .add("kernel", status.kernel)
                 .text(),
             std::uint64_t{1});
  out.family(metric::kReady);
  out.sample({}, std::uint64_t{status.ready ? 1U : 0U});
  out.family(metric::kEvents);
  out.sample({}, status.events);
  out.family(metric::kLookupFailures);
  for (const LookupStatus& one : status.lookups) {
    out.sample(MetricLabels().add("source", one.source).text(), one.failures);
  }
  out.family(metric::kLookupUp);
  for (const LookupStatus& one : status.lookups) {
    if (one.up) {
      out.sample(MetricLabels().add("source", one.source).text(), std::uint64_t{*one.up ? 1U : 0U});
    }
  }
}

void write_delivery(MetricsText& out, const IncidentSpool::Status& spool, const AgentStatus& status) {
  const auto one = [&](const MetricInfo& info, std::uint64_t value) {
    out.family(info);
    out.sample({}, value);
  };
  one(metric::kSpoolIncidents, spool.incidents);
  one(metric::kSpoolBytes, spool.bytes);
  one(metric::kSpoolWaiting, spool.waiting);
  one(metric::kSpoolFailures, spool.failures);
  one(metric::kSpoolLost, spool.lost);
  const auto each = [&](const MetricInfo& info, std::uint64_t TargetStatus::* member) {
    out.family(info);
    for (const TargetStatus& target : status.targets) {
      out.sample(MetricLabels().add("target", target.name).text(), target.*member);
    }
  };
  each(metric::kExportSent, &TargetStatus::sent);
  each(metric::kExportFailures, &TargetStatus::failures);
  each(metric::kExportDropped, &TargetStatus::dropped);
  each(metric::kExportQueue, &TargetStatus::queue);
  out.family(metric::kBreakActions);
  for (const auto& [what, count] : status.actions) {
    out.sample(MetricLabels().add("action", what.first).add("result", what.second).text(), count);
  }
}

}  // namespace

HttpResponse Api::metrics(const HttpRequest& request) const {
  const MetricsFormat format = choose_metrics_format(request.accept);
  sources_.refresh();
  const AgentStatus status = sources_.status();
  MetricsText out(format);
  const std::string named = query(request, "scraper");
  sources_.book.write(out, named.empty() ? request.peer : named);
  write_probe(out, status);
  write_delivery(out, sources_.spool.status(), status);
  out.family(metric::kHttpRequests);
  for (const auto& [code, count] : sources_.answered()) {
    out.sample("code=\"" + std::to_string(code) + "\"", count);
  }
  write_process(out, read_process_figures(SystemRoot{}), status);
  HttpResponse response;
  response.type = content_type_of(format);
  response.body = out.take();
  return response;
}

HttpResponse Api::incidents(const HttpRequest& request) const {
  const auto limit = number(query(request, "limit"), kPage);
  const auto before = number(query(request, "before"), 0);
  if (!limit || *limit == 0 || *limit > static_cast<std::int64_t>(kMaxPage) || !before) {
    return http_error(400, "limit must be a number from 1 to 1000, before one that an answer gave as next");
  }
  const auto found = sources_.spool.list(static_cast<std::size_t>(*limit), *before, query(request, "kind"));
  if (!found) {
    return http_error(503, found.error().message());
  }
  std::string list;
  std::int64_t next = 0;
  bool cut = false;
  for (const SpooledIncident& one : *found) {
    if (!list.empty() && list.size() + one.json.size() > kMaxAnswer) {
      cut = true;
      break;
    }
    next = one.seq;
    if (const auto clean = clean_json_line(one.json)) {  // what lies on a disk may be anything
      list += (list.empty() ? "" : ",") + *clean;
    }
  }
  const bool more = cut || found->size() == static_cast<std::size_t>(*limit);
  JsonLine line;
  line.raw("incidents", "[" + list + "]");
  line.raw("next", more ? std::to_string(next) : "null");
  HttpResponse out;
  out.body = line.take() + "\n";
  return out;
}

HttpResponse Api::incident(const HttpRequest& request, const std::string& id) const {
  auto found = sources_.spool.find(id);
  if (!found) {
    return http_error(503, found.error().message());
  }
  if (!*found) {
    return http_error(404, "no such incident");
  }
  auto clean = clean_json_line((*found)->json);
  if (!clean) {
    return http_error(500, "the spool's entry is damaged");
  }
  (*found)->json = std::move(*clean);
  const std::string format = query(request, "format");
  HttpResponse out;
  if (format.empty() || format == "json") {
    out.body = (*found)->json + "\n";
    return out;
  }
  const std::string recording = sources_.recording(id);
  if (format == "perfetto") {
    if (recording.empty()) {
      return http_error(404, "no recording holds this incident");
    }
    auto trace = sources_.trace(recording);
    if (!trace) {
      return http_error(503, trace.error().message());
    }
    out.type = "application/octet-stream";
    out.headers.emplace_back("Content-Disposition", "attachment; filename=\"incident.pftrace\"");
    out.body = std::move(*trace);
    return out;
  }
  if (format != "html" && format != "markdown") {
    return http_error(400, "format must be json, html, markdown or perfetto");
  }
  const auto report = report_of(**found, recording);
  if (!report) {
    return http_error(503, report.error().message());
  }
  out.page = format == "html";
  out.type = out.page ? "text/html; charset=utf-8" : "text/markdown; charset=utf-8";
  out.body = out.page ? to_html(*report) : to_markdown(*report);
  return out;
}

HttpResponse Api::containers() const {
  sources_.refresh();
  std::string list;
  for (const ContainerMemory& one : sources_.book.running()) {
    list += (list.empty() ? "" : ",") + to_json(one, sources_.clock.unix_ns());
  }
  HttpResponse out;
  out.body = JsonLine().raw("containers", "[" + list + "]").take() + "\n";
  return out;
}

std::string Api::event_of(const std::string& id, const std::string& json) {
  return "id: " + id + "\nevent: incident\ndata: " + json + "\n\n";
}

HttpResponse Api::answer(const HttpRequest& request) const {
  const std::string& path = request.path;
  if (path == "/metrics") {
    return metrics(request);
  }
  if (path == "/healthz") {
    return plain(200, "ok\n");
  }
  if (path == "/readyz") {
    const AgentStatus status = sources_.status();
    return status.ready ? plain(200, "ready\n") : plain(503, "not ready: " + status.not_ready + "\n");
  }
  if (path == kIncidents) {
    return incidents(request);
  }
  if (path.starts_with(kIncidents) && path[kIncidents.size()] == '/') {
    return incident(request, path.substr(kIncidents.size() + 1));
  }
  if (path == "/api/v1/containers") {
    return containers();
  }
  if (path == "/api/v1/events") {
    HttpResponse out;
    out.type = "text/event-stream";
    out.body = ": memcrest\n\n";
    out.stream = true;
    return out;
  }
  if (path == "/api/v1/openapi.json") {
    HttpResponse out;
    out.body = kOpenApi;
    return out;
  }
  if (path == "/") {
    return plain(200, "memcrest " MEMCREST_VERSION "\n/metrics /healthz /readyz /api/v1/openapi.json\n");
  }
  return http_error(404, "no such path; /api/v1/openapi.json lists them");
}

}  // namespace memcrest
