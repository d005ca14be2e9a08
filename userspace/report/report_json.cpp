// SPDX-License-Identifier: Apache-2.0
#include "report/report_json.h"

#include <algorithm>

#include "export/json.h"
#include "export/json_value.h"
#include "report/report_text.h"
#include "util/units.h"
#include "view/loss_text.h"

namespace memcrest {
namespace {

Json loss_json(const LossCount& lost) {
  Json json;
  json["critical"] = lost.critical;
  json["bulk"] = lost.bulk;
  json["throttled"] = lost.throttled;
  json["invalid"] = lost.invalid;
  json["untracked"] = lost.untracked;
  return json;
}

Json recording_json(const Report& report) {
  const RecordingFacts& facts = report.recording;
  const RecordingSummary& summary = facts.summary;
  const bool timed = summary.first && summary.last;
  Json json;
  json["file"] = text(facts.file);
  json["memcrest_version"] = text_or_null(facts.memcrest_version);
  json["host"]["name"] = text_or_null(facts.host.name);
  json["host"]["kernel"] = text_or_null(facts.host.kernel);
  json["host"]["boot_id"] = text_or_null(facts.host.boot_id);
  json["charge_tier"] = text_or_null(facts.charge_tier);
  json["oom_tier"] = text_or_null(facts.oom_tier);
  json["from"] = timed ? Json(format_rfc3339(summary.first->unix_ns)) : Json(nullptr);
  json["to"] = timed ? Json(format_rfc3339(summary.last->unix_ns)) : Json(nullptr);
  json["from_boot_time_ns"] = timed ? Json(summary.first->boot_ns) : Json(nullptr);
  json["to_boot_time_ns"] = timed ? Json(summary.last->boot_ns) : Json(nullptr);
  json["duration_ms"] = timed && summary.last->boot_ns > summary.first->boot_ns
                            ? static_cast<double>(summary.last->boot_ns - summary.first->boot_ns) / 1e6
                            : 0.0;
  json["steps"] = summary.steps;
  json["events"] = summary.events;
  json["ended"] = facts.ended ? Json(text(*facts.ended)) : Json(nullptr);
  json["lost"] = loss_json(summary.lost);
  json["lost_words"] = describe(summary.lost);
  json["unrecorded"] = summary.unrecorded;
  json["notes"] = array_json(facts.notes, text);
  json["gaps"] = array_json(facts.gaps, text);
  return json;
}

// The tree, as deep as a stack can be: bounded by the reader of recordings.
Json stack_json(const std::vector<StackNode>& nodes, std::uint32_t at) {
  const StackNode& node = nodes[at];
  Json json;
  json["name"] = at == 0 ? "all growth" : text(node.name);
  json["kind"] = to_string(node.kind);
  json["module"] = text_or_null(node.module);
  json["bytes"] = node.bytes;
  json["memory"] = Json::object();
  for (const auto& [kind, bytes] : node.kinds) {
    json["memory"][to_string(kind)] = bytes;
  }
  json["children"] = array_json(node.children, [&](std::uint32_t child) { return stack_json(nodes, child); });
  return json;
}

Json growth_json(const IncidentDetail& detail) {
  const GrowthTree& growth = detail.growth;
  Json json;
  json["from_boot_time_ns"] = detail.growth_from_ns;
  json["to_boot_time_ns"] = detail.growth_to_ns;
  json["total_bytes"] = growth.total_bytes();
  json["processes"] = array_json(growth.processes(), [&](const GrownProcess& one) {
    Json process;
    process["pid"] = pid_or_null(one.process.tgid);
    process["start_boot_time_ns"] = one.process.tgid == 0 ? Json(nullptr) : Json(one.process.start_ns);
    process["container_pid"] = pid_or_null(one.container_pid);
    process["comm"] = text_or_null(one.comm);
    process["bytes"] = one.bytes;
    process["share"] =
        growth.total_bytes() == 0 ? 0.0 : static_cast<double>(one.bytes) / static_cast<double>(growth.total_bytes());
    process["page_cache_bytes"] = one.page_cache_bytes;
    process["steps"] = one.steps;
    return process;
  });
  json["has_stacks"] = growth.has_stacks();
  json["has_names"] = growth.has_names();
  json["stacks"] = growth.has_stacks() ? stack_json(growth.nodes(), 0) : Json(nullptr);
  return json;
}

Json cgroup_json(const MemcgState& state, const std::string& path) {
  Json json;
  json["id"] = state.cgroup_id;
  json["path"] = text_or_null(path);
  json["name"] = text_or_null(state.name);
  json["usage_bytes"] = state.usage_bytes;
  json["limit_bytes"] = number_or_null(state.limit_bytes);
  json["high_bytes"] = number_or_null(state.high_bytes);
  json["peak_bytes"] = state.watermark_bytes;
  json["limit_hits"] = state.oom_events;
  return json;
}

Json task_row_json(const LogTask& task) {
  Json json;
  json["pid"] = task.tgid;
  json["tid"] = task.pid;
  json["comm"] = text(task.comm);
  json["uid"] = task.uid;
  json["rss_bytes"] = task.rss_bytes;
  json["swap_bytes"] = task.swap_bytes;
  json["oom_score_adj"] = task.oom_score_adj;
  return json;
}

// Each entry's path is the part of the innermost one's that is so many components shorter.
Json chain_json(const ReportedIncident& one) {
  Json json = Json::array();
  std::string path = one.incident.cgroup.path;
  const auto& entries = one.detail.chain.entries;
  const bool known = !entries.empty() && entries.front().cgroup_id == one.incident.cgroup.id;
  for (const MemcgState& state : entries) {
    json.push_back(cgroup_json(state, known ? (path.empty() ? "/" : path) : std::string()));
    path.resize(std::min(path.size(), path.find_last_of('/') == std::string::npos ? 0 : path.find_last_of('/')));
  }
  return json;
}

Json detail_json(const ReportedIncident& one) {
  Json json;
  json["growth"] = growth_json(one.detail);
  json["cgroups_at_kill"] = chain_json(one);
  json["processes"] = array_json(one.detail.tasks, task_row_json);
  json["total_processes"] = one.detail.total_tasks;
  return json;
}

enum class Incidents { kAsRecorded, kAsRead };

// A browser's numbers hold 53 bits: what has more digits is shown from the text itself.
bool has_long_number(const std::string& json) {
  std::size_t digits = 0;
  return std::ranges::any_of(json, [&](char c) {
    digits = c >= '0' && c <= '9' ? digits + 1 : 0;
    return digits > 15;
  });
}

std::string incident_json(const ReportedIncident& one, Incidents how) {
  Json json;
  json["id"] = text(one.id);
  json["told"] = one.told;
  json["unreadable"] = text_or_null(one.unreadable);
  std::string out = to_line(json);
  out.pop_back();
  const bool readable = one.unreadable.empty() && !one.json.empty();
  const std::string read = readable && how == Incidents::kAsRead ? to_json(one.incident) : std::string();
  out += ",\"incident\":" + (!readable ? "null" : how == Incidents::kAsRead ? read : one.json);
  if (readable && how == Incidents::kAsRead) {
    const bool same = read == one.json && !has_long_number(one.json);
    out += ",\"raw\":" + (same ? "null" : to_line(text(one.json)));
  }
  out += ",\"detail\":" + (readable ? to_line(detail_json(one)) : "null");
  return out + "}";
}

Json series_json(const Series& series, std::uint64_t origin_ns) {
  const EncodedSeries encoded = encode(series.points(), origin_ns);
  Json json;
  json["seen"] = series.seen();
  json["stride"] = series.stride();
  json["count"] = encoded.count;
  json["unit"] = encoded.unit;
  json["data"] = encoded.base64;
  return json;
}

std::uint64_t origin_of(const Report& report) {
  std::uint64_t out = report.recording.summary.first ? report.recording.summary.first->boot_ns : 0;
  for (const Track& track : report.tracks) {
    if (!track.series.points().empty()) {
      out = std::min(out, track.series.points().front().time_ns);
    }
  }
  return out;
}

Json track_json(const Track& track, std::uint64_t origin_ns) {
  Json json = series_json(track.series, origin_ns);
  json["path"] = text_or_null(track.path);
  json["limits"] = array_json(track.limits, [&](const auto& limit) {
    return Json::array({limit.first > origin_ns ? limit.first - origin_ns : 0, number_or_null(limit.second)});
  });
  return json;
}

Json charts_json(const Report& report) {
  const std::uint64_t origin_ns = origin_of(report);
  Json json;
  json["origin_boot_time_ns"] = origin_ns;
  json["tracks"] = array_json(report.tracks, [&](const Track& track) { return track_json(track, origin_ns); });
  json["incidents"] = array_json(report.incidents, [&](const ReportedIncident& one) {
    Json chart;
    chart["track"] = number_or_null(one.detail.track);
    chart["ancestors"] = one.detail.ancestors;
    chart["window"] = one.detail.window ? series_json(*one.detail.window, origin_ns) : Json(nullptr);
    return chart;
  });
  return json;
}

std::string report_json(const Report& report, Incidents how) {
  std::string out = R"({"schema":"memcrest.report.v1","memcrest_version":")" MEMCREST_VERSION R"(","recording":)";
  out += to_line(recording_json(report)) + ",\"incidents\":[";
  for (const ReportedIncident& one : report.incidents) {
    out += (out.back() == '[' ? "" : ",") + incident_json(one, how);
  }
  out += "],\"count_words\":" + to_line(count_of(report));
  out += ",\"left_out\":" + std::to_string(report.left_out) + ",\"not_asked_for\":" + std::to_string(report.filtered);
  out += ",\"left_out_words\":" + to_line(text_or_null(words_of_left_out(report)));
  return out + "}";
}

}  // namespace

std::string to_json(const Report& report) { return report_json(report, Incidents::kAsRecorded); }

std::string page_data(const Report& report) {
  // The page trusts that each field of an incident is there, which of a recorded one is only so when memcrest wrote it.
  const std::string json =
      "{\"report\":" + report_json(report, Incidents::kAsRead) + ",\"charts\":" + to_line(charts_json(report)) + "}";
  std::string out;
  out.reserve(json.size() + json.size() / 64);
  for (const char c : json) {  // only inside of strings
    switch (c) {
      case '<':
        out += "\\u003c";
        break;
      case '>':
        out += "\\u003e";
        break;
      case '&':
        out += "\\u0026";
        break;
      default:
        out += c;
    }
  }
  return out;
}

}  // namespace memcrest
