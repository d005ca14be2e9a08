// SPDX-License-Identifier: Apache-2.0
#include "export/csv_export.h"

#include <algorithm>

#include "identity/container_filter.h"
#include "util/text.h"
#include "util/units.h"

namespace memcrest {
namespace {

using Row = std::vector<std::string>;

const Row& columns_of(ExportTable table) {
  static const Row kWhose{"cgroup_id",      "cgroup_serial", "cgroup_path", "runtime",  "container_id",
                          "container_name", "image",         "pod",         "namespace"};
  static const auto with_whose = [](Row before, const Row& after) {
    before.insert(before.end(), kWhose.begin(), kWhose.end());
    before.insert(before.end(), after.begin(), after.end());
    return before;
  };
  static const Row kSteps = with_whose({"time", "boot_time_ns"}, {"usage_bytes",
                                                                  "limit_bytes",
                                                                  "watermark_bytes",
                                                                  "quantum_bytes",
                                                                  "direction",
                                                                  "growth_bytes",
                                                                  "growth_by_process",
                                                                  "pid",
                                                                  "process_start_boot_time_ns",
                                                                  "tid",
                                                                  "container_pid",
                                                                  "uid",
                                                                  "comm",
                                                                  "thread_comm",
                                                                  "ancestor",
                                                                  "foreign",
                                                                  "page_cache",
                                                                  "suppressed",
                                                                  "oom_events",
                                                                  "reclaim_ns",
                                                                  "throttle_ns",
                                                                  "user_stack",
                                                                  "kernel_stack"});
  static const Row kIncidents{"time",
                              "boot_time_ns",
                              "id",
                              "update",
                              "kind",
                              "scope",
                              "cgroup_id",
                              "cgroup_path",
                              "runtime",
                              "container_id",
                              "container_name",
                              "image",
                              "pod",
                              "namespace",
                              "limit_bytes",
                              "usage_bytes",
                              "peak_bytes",
                              "victims",
                              "killed",
                              "burst_start",
                              "burst_duration_ms",
                              "burst_base_bytes",
                              "burst_peak_bytes",
                              "complete",
                              "json"};
  static const Row kEvents = with_whose({"time", "boot_time_ns", "kind"}, {"json"});
  static const Row kLoss{"time", "boot_time_ns", "more", "critical", "bulk", "throttled", "invalid", "untracked"};
  switch (table) {
    case ExportTable::kSteps:
      return kSteps;
    case ExportTable::kIncidents:
      return kIncidents;
    case ExportTable::kEvents:
      return kEvents;
    case ExportTable::kLoss:
      return kLoss;
    case ExportTable::kCgroups:
      return kWhose;
  }
  return kSteps;
}

std::string time_text(const std::optional<std::int64_t>& unix_ns) {
  return unix_ns ? format_rfc3339(*unix_ns) : std::string();
}

template <typename T>
std::string number_text(const T& value) {
  return std::to_string(value);
}

template <typename T>
std::string number_text(const std::optional<T>& value) {
  return value ? std::to_string(*value) : std::string();
}

std::string flag_text(bool value) { return value ? "1" : "0"; }

void add_container(Row& row, const Container& container) {
  row.insert(row.end(), {container.id.empty() ? std::string() : to_string(container.runtime), container.id,
                         container.name, container.image, pod_name(container), pod_namespace(container)});
}

void add_whose(Row& row, const ExportedCgroup& cgroup) {
  row.insert(row.end(), {number_text(cgroup.cgroup_id), number_text(cgroup.serial), cgroup.path});
  add_container(row, cgroup.container);
}

// Innermost first.
template <typename Name>
std::string stack_text(const std::vector<std::uint64_t>& stack, Name name) {
  std::string out;
  for (const std::uint64_t address : stack) {
    out += (out.empty() ? "" : ";") + name(address);
  }
  return out;
}

}  // namespace

std::string csv_field(std::string_view raw) {
  std::string text = to_valid_utf8(raw);
  // A NUL ends the text for many readers.
  std::size_t nul = 0;
  while ((nul = text.find('\0', nul)) != std::string::npos) {
    text.replace(nul, 1, "\xef\xbf\xbd");
  }
  if (!text.empty() && std::string_view("=+-@\t\r").contains(text.front())) {
    const bool number = text.size() > 1 && text.find_first_not_of("0123456789", 1) == std::string::npos;
    text.insert(0, number && text.front() == '-' ? "" : "'");
  }
  if (text.find_first_of(",\"\r\n") == std::string::npos) {
    return text;
  }
  std::string out = "\"";
  for (const char c : text) {
    out += c == '"' ? "\"\"" : std::string(1, c);
  }
  return out + '"';
}

CsvExport::CsvExport(const ExportContext& context, EventText events, ExportTable table)
    : context_(context), events_(events), table_(table) {
  row(columns_of(table));
}

void CsvExport::row(const Row& fields) {
  std::string line;
  for (const std::string& field : fields) {
    line += line.empty() && &field == &fields.front() ? "" : ",";
    line += csv_field(field);
  }
  context_.sink.write(line + "\r\n");
}

void CsvExport::add(const ExportedStep& step) {
  if (table_ != ExportTable::kSteps) {
    return;
  }
  const StepEvent& event = step.event;
  const TaskInfo& task = event.task;
  Row out{time_text(step.unix_ns), number_text(event.time_ns)};
  add_whose(out, step.cgroup);
  out.insert(out.end(), {number_text(event.usage_bytes),
                         number_text(event.limit_bytes),
                         number_text(event.watermark_bytes),
                         number_text(event.quantum_bytes),
                         event.up     ? "up"
                         : event.down ? "down"
                                      : "",
                         number_text(step.growth.bytes),
                         flag_text(step.growth.by_task),
                         number_text(task.process.tgid),
                         number_text(task.process.start_ns),
                         number_text(task.tid),
                         number_text(task.ns_tgid),
                         number_text(task.uid),
                         task.comm,
                         task.thread_comm,
                         flag_text(event.ancestor),
                         flag_text(event.foreign),
                         flag_text(event.page_cache),
                         number_text(event.suppressed),
                         number_text(event.oom_events),
                         number_text(event.reclaim_ns),
                         number_text(event.throttle_ns)});
  out.push_back(stack_text(event.user_stack, [&](auto at) { return context_.frames.user(task.process, at); }));
  out.push_back(stack_text(event.kernel_stack, [&](auto at) { return context_.frames.kernel(at); }));
  row(out);
}

void CsvExport::add(const ExportedEvent& event) {
  if (table_ != ExportTable::kEvents) {
    return;
  }
  Row out{time_text(event.unix_ns), number_text(time_of(event.event)), events_.kind(event.event)};
  if (event.cgroup != nullptr) {
    add_whose(out, *event.cgroup);
  } else {
    out.resize(out.size() + columns_of(ExportTable::kCgroups).size());
  }
  out.push_back(events_.json(event.event));
  row(out);
}

void CsvExport::add(const ExportedLoss& loss) {
  if (table_ == ExportTable::kLoss) {
    row({time_text(loss.unix_ns), number_text(loss.boot_ns), number_text(loss.more), number_text(loss.so_far.critical),
         number_text(loss.so_far.bulk), number_text(loss.so_far.throttled), number_text(loss.so_far.invalid),
         number_text(loss.so_far.untracked)});
  }
}

void CsvExport::add(const ExportedIncident& exported) {
  if (table_ != ExportTable::kIncidents) {
    return;
  }
  const Incident& incident = exported.incident;
  Row out{format_rfc3339(incident.unix_ns),
          number_text(incident.boot_ns),
          incident.id,
          incident.update,
          to_string(incident.kind),
          to_string(incident.scope),
          number_text(incident.cgroup.id),
          incident.cgroup.path};
  add_container(out, incident.container);
  std::string killed;
  for (const Victim& victim : incident.victims) {
    killed += (killed.empty() ? "" : ";") + victim.comm + "[" + std::to_string(victim.pid) + "]";
  }
  const bool rose = incident.burst.has_value();
  const Burst burst = incident.burst.value_or(Burst{});
  out.insert(out.end(),
             {number_text(incident.limit.bytes), number_text(incident.usage_bytes), number_text(incident.peak_bytes),
              number_text(incident.victims.size()), killed, rose ? format_rfc3339(burst.start_unix_ns) : "",
              rose ? number_text(burst.duration_ms) : "", rose ? number_text(burst.base_bytes) : "",
              rose ? number_text(burst.peak_bytes) : "", flag_text(incident.evidence.complete), exported.json});
  row(out);
}

void CsvExport::finish(const ExportEnd& /*end*/) {
  if (table_ != ExportTable::kCgroups) {
    return;
  }
  for (const ExportedCgroup& cgroup : context_.cgroups.all()) {
    Row out;
    add_whose(out, cgroup);
    row(out);
  }
}

}  // namespace memcrest
