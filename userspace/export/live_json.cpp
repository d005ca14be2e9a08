// SPDX-License-Identifier: Apache-2.0
#include "export/live_json.h"

#include <cerrno>

#include "export/incident_reader.h"
#include "export/json.h"
#include "export/json_reader.h"
#include "export/json_reader_container.h"
#include "export/json_value.h"
#include "export/ps_json.h"
#include "util/units.h"

namespace memcrest {
namespace {

constexpr CgroupKind kCgroupKinds[] = {CgroupKind::kContainer, CgroupKind::kUnit, CgroupKind::kOther};
constexpr MemoryKind kMemoryKinds[] = {
    MemoryKind::kUnknown, MemoryKind::kAnon,        MemoryKind::kHugePage,   MemoryKind::kFile,    MemoryKind::kShmem,
    MemoryKind::kSlab,    MemoryKind::kKernelStack, MemoryKind::kPageTables, MemoryKind::kSockets, MemoryKind::kPipes,
    MemoryKind::kPercpu,  MemoryKind::kVmalloc,     MemoryKind::kBpf,        MemoryKind::kHugetlb};
constexpr std::size_t kMaxPoints = 65536;

Json live_json(const LiveRow& row) {
  Json json;
  json["peak_interval_bytes"] = row.peak_interval_bytes;
  json["peak_interval_exact"] = row.peak_interval_exact;
  json["history_bytes"] = row.history;
  json["growth_bytes_per_s"] = finite(row.growth_bytes_per_s);
  json["stall_ms"] = span_ms(row.stall_ms);
  json["bursts"] = row.bursts;
  json["incidents"] = row.incidents;
  json["memory_kind"] = text_or_null(row.kind);
  json["gone"] = row.gone;
  return json;
}

// `line` is one object: its last brace is where members are added.
void add_member(std::string& line, const char* name, const std::string& json) {
  line.pop_back();
  line += std::string(",\"") + name + "\":" + json + "}";
}

void read_effective(const JsonReader& json, EffectiveLimit& out) {
  json.number("bytes", out.bytes);
  json.text("cgroup_path", out.cgroup_path);
  json.number("usage_bytes", out.usage_bytes);
}

void read_swap(const JsonReader& json, Swap& out) {
  json.number("usage_bytes", out.usage_bytes);
  json.number("limit_bytes", out.limit_bytes);
  json.text("kind", out.kind);
}

void read_memory(const JsonReader& json, ContainerMemory& out) {
  json.word("kind", out.kind, kCgroupKinds);
  json.object("container", out.container, read_container);
  json.object("cgroup", out.cgroup, [](const JsonReader& cgroup, CgroupRef& ref) {
    cgroup.number("id", ref.id);
    cgroup.text("path", ref.path);
  });
  MemoryFigures& figures = out.figures;
  json.number("usage_bytes", figures.usage_bytes);
  json.number("peak_bytes", figures.peak_bytes);
  json.number("limit_bytes", figures.limit_bytes);
  std::optional<bool> has_limit;
  json.boolean("has_limit", has_limit);
  figures.limit_known = has_limit.has_value();
  json.object("effective_limit", figures.effective, read_effective);
  json.boolean("effective_limit_known", figures.effective_known);
  json.object("swap", figures.swap, read_swap);
  json.number("oom_kills", figures.oom_kills);
  json.texts("gaps", figures.gaps);
  std::optional<std::uint64_t> working_set;
  json.number("working_set_bytes", working_set);
  if (working_set && figures.usage_bytes && *working_set <= *figures.usage_bytes) {
    figures.inactive_file_bytes = *figures.usage_bytes - *working_set;
  }
}

void read_live(const JsonReader& json, LiveRow& out) {
  json.number("peak_interval_bytes", out.peak_interval_bytes);
  json.boolean("peak_interval_exact", out.peak_interval_exact);
  json.numbers("history_bytes", out.history);
  if (out.history.size() > kLiveSeconds) {
    json.refuse("history_bytes");
  }
  json.real("growth_bytes_per_s", out.growth_bytes_per_s);
  json.real("stall_ms", out.stall_ms);
  json.number("bursts", out.bursts);
  json.number("incidents", out.incidents);
  json.text("memory_kind", out.kind);
  json.boolean("gone", out.gone);
}

void read_row(const JsonReader& json, LiveRow& out) {
  read_memory(json, out.memory);
  json.object("live", out, read_live);
}

std::unexpected<Error> refused(const std::string& bad) { return fail("read", "the row of a container", EBADMSG, bad); }

std::vector<Incident> incidents_in(const Json& json) {
  std::vector<Incident> out;
  const auto found = json.is_object() ? json.find("incidents") : json.end();
  if (found == json.end() || !found->is_array()) {
    return out;
  }
  for (const Json& one : *found) {
    if (auto incident = incident_from_json(to_line(one))) {
      out.push_back(std::move(*incident));
    }
  }
  return out;
}

std::vector<LivePoint> points_of(const std::vector<std::uint64_t>& flat) {
  std::vector<LivePoint> out;
  for (std::size_t i = 0; i + 2 < flat.size() && out.size() < kMaxPoints; i += 3) {
    out.push_back({flat[i], flat[i + 1], flat[i + 2]});
  }
  return out;
}

}  // namespace

std::string to_json(const LiveRow& row, std::int64_t unix_ns) {
  std::string out = to_json(row.memory, unix_ns);
  add_member(out, "live", to_line(live_json(row)));
  return out;
}

std::string to_json(const LiveDetail& detail, std::int64_t unix_ns) {
  std::string out = to_json(detail.row, unix_ns);
  Json points = Json::array();
  for (const LivePoint& one : detail.points) {
    points.push_back(one.time_ns);
    points.push_back(one.usage_bytes);
    points.push_back(one.high_bytes);
  }
  add_member(out, "points", to_line(points));
  add_member(out, "points_cut", detail.cut ? "true" : "false");
  add_member(out, "growers", to_line(array_json(detail.growers, [](const Contributor& one) {
               Json json;
               json["pid"] = one.pid;
               json["comm"] = text(one.comm);
               json["bytes"] = one.bytes;
               json["share"] = finite(one.share);
               return json;
             })));
  add_member(out, "kinds", to_line(array_json(detail.kinds, [](const KindShare& one) {
               Json json;
               json["kind"] = to_string(one.kind);
               json["bytes"] = one.bytes;
               json["share"] = finite(one.share);
               return json;
             })));
  std::string incidents;
  for (const auto& one : detail.incidents) {
    incidents += (incidents.empty() ? "" : ",") + to_json(*one);
  }
  add_member(out, "incidents", "[" + incidents + "]");
  return out;
}

std::string head_to_json(const LiveSnapshot& snapshot) {
  Json json;
  json["schema"] = "memcrest.usage.v1";
  json["time"] = format_rfc3339(snapshot.unix_ns);
  json["boot_time_ns"] = snapshot.boot_ns;
  json["charge_tier"] = text(snapshot.charge_tier);
  json["oom_tier"] = text(snapshot.oom_tier);
  const LossCount& lost = snapshot.lost;
  json["lost"] = {{"critical", lost.critical},
                  {"bulk", lost.bulk},
                  {"throttled", lost.throttled},
                  {"invalid", lost.invalid},
                  {"untracked", lost.untracked}};
  json["notes"] = array_json(snapshot.notes, text);
  return to_line(json);
}

Result<LiveRow> live_row_from_json(std::string_view line) {
  const auto json = parse_untrusted(line);
  if (!json) {
    return std::unexpected(json.error());
  }
  std::string bad;
  LiveRow out;
  read_row(JsonReader(*json, bad), out);
  return bad.empty() ? Result<LiveRow>(std::move(out)) : refused(bad);
}

Result<LiveDetail> live_detail_from_json(std::string_view text) {
  const auto json = parse_untrusted(text);
  if (!json) {
    return std::unexpected(json.error());
  }
  std::string bad;
  LiveDetail out;
  const JsonReader reader(*json, bad);
  read_row(reader, out.row);
  std::vector<std::uint64_t> flat;
  reader.numbers("points", flat);
  out.points = points_of(flat);
  reader.boolean("points_cut", out.cut);
  reader.objects("growers", out.growers, [](const JsonReader& one, Contributor& grower) {
    one.number("pid", grower.pid);
    one.text("comm", grower.comm);
    one.number("bytes", grower.bytes);
    one.real("share", grower.share);
  });
  reader.objects("kinds", out.kinds, [](const JsonReader& one, KindShare& kind) {
    one.word("kind", kind.kind, kMemoryKinds);
    one.number("bytes", kind.bytes);
    one.real("share", kind.share);
  });
  if (!bad.empty()) {
    return refused(bad);
  }
  for (Incident& one : incidents_in(*json)) {
    out.incidents.push_back(std::make_shared<const Incident>(std::move(one)));
  }
  return out;
}

Result<std::vector<Incident>> incidents_from_json(std::string_view text) {
  auto page = incident_page_from_json(text);
  return page ? Result<std::vector<Incident>>(std::move(page->incidents)) : std::unexpected(page.error());
}

Result<IncidentPage> incident_page_from_json(std::string_view text) {
  const auto json = parse_untrusted(text);
  if (!json) {
    return std::unexpected(json.error());
  }
  IncidentPage out;
  const auto found = json->is_object() ? json->find("incidents") : json->end();
  if (found == json->end() || !found->is_array()) {
    return fail("read", "a page of incidents", EBADMSG, "incidents");
  }
  std::string bad;
  JsonReader(*json, bad).number("next", out.next);
  if (!bad.empty()) {
    return fail("read", "a page of incidents", EBADMSG, bad);
  }
  out.incidents = incidents_in(*json);
  out.unreadable = found->size() - out.incidents.size();
  return out;
}

Result<LiveSnapshot> live_head_from_json(std::string_view line) {
  const auto json = parse_untrusted(line);
  if (!json) {
    return std::unexpected(json.error());
  }
  std::string bad;
  LiveSnapshot out;
  const JsonReader reader(*json, bad);
  std::string schema;
  reader.text("schema", schema);
  if (schema != "memcrest.usage.v1") {
    reader.refuse("schema");
  }
  reader.time("time", out.unix_ns);
  reader.number("boot_time_ns", out.boot_ns);
  reader.text("charge_tier", out.charge_tier);
  reader.text("oom_tier", out.oom_tier);
  reader.object("lost", out.lost, [](const JsonReader& one, LossCount& lost) {
    one.number("critical", lost.critical);
    one.number("bulk", lost.bulk);
    one.number("throttled", lost.throttled);
    one.number("invalid", lost.invalid);
    one.number("untracked", lost.untracked);
  });
  reader.texts("notes", out.notes);
  return bad.empty() ? Result<LiveSnapshot>(std::move(out)) : refused(bad);
}

}  // namespace memcrest
