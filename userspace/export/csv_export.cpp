// SPDX-License-Identifier: Apache-2.0
#include "export/csv_export.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <concepts>

#include "identity/container_filter.h"
#include "util/text.h"
#include "util/units.h"

namespace memcrest {
namespace {

using Row = std::vector<const char*>;

bool is_plain(char c) { return c >= 0x20 && c < 0x7f && c != '"' && c != ','; }

bool may_begin_formula(char c) { return std::string_view("=+-@\t\r").contains(c); }

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
                                                                  "kind",
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

// A row as it is built. Most fields need no quotes, and get none without a copy.
class Fields {
 public:
  Fields& text(std::string_view raw) {
    begin();
    if (std::ranges::all_of(raw, is_plain) && (raw.empty() || !may_begin_formula(raw.front()))) {
      line_ += raw;
    } else {
      line_ += csv_field(raw);
    }
    return *this;
  }
  template <std::integral T>
  Fields& number(T value) {
    begin();
    std::array<char, 24> digits;
    line_.append(digits.data(), std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr);
    return *this;
  }
  Fields& number(double value) { return text(std::to_string(value)); }
  template <typename T>
  Fields& number(const std::optional<T>& value) {
    return value ? number(*value) : text({});
  }
  Fields& flag(bool value) { return number(value ? 1 : 0); }
  Fields& time(const std::optional<std::int64_t>& unix_ns) { return text(unix_ns ? format_rfc3339(*unix_ns) : ""); }

  Fields& container(const Container& one) {
    text(one.id.empty() ? "" : to_string(one.runtime)).text(one.id).text(one.name).text(one.image);
    return text(pod_name(one)).text(pod_namespace(one));
  }
  Fields& whose(const ExportedCgroup& cgroup) {
    return number(cgroup.cgroup_id).number(cgroup.serial).text(cgroup.path).container(cgroup.container);
  }
  // Innermost first.
  template <typename Name>
  Fields& stack(const std::vector<std::uint64_t>& addresses, Name name) {
    std::string out;
    for (const std::uint64_t address : addresses) {
      out += out.empty() ? "" : ";";
      out += name(address);
    }
    return text(out);
  }
  [[nodiscard]] const std::string& end() {
    line_ += "\r\n";
    return line_;
  }

 private:
  void begin() {
    line_ += first_ ? "" : ",";
    first_ = false;
  }
  std::string line_;
  bool first_ = true;
};

}  // namespace

std::string csv_field(std::string_view raw) {
  std::string text = to_valid_utf8(raw);
  // A NUL ends the text for many readers.
  std::size_t nul = 0;
  while ((nul = text.find('\0', nul)) != std::string::npos) {
    text.replace(nul, 1, "\xef\xbf\xbd");
  }
  if (!text.empty() && may_begin_formula(text.front())) {
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
  Fields names;
  for (const char* name : columns_of(table)) {
    names.text(name);
  }
  context_.sink.write(names.end());
}

void CsvExport::add(const ExportedStep& step) {
  if (table_ != ExportTable::kSteps) {
    return;
  }
  const StepEvent& event = step.event;
  const TaskInfo& task = event.task;
  Fields row;
  row.time(step.unix_ns).number(event.time_ns).whose(step.cgroup).number(event.usage_bytes).number(event.limit_bytes);
  row.number(event.watermark_bytes).number(event.quantum_bytes).text(event.up ? "up" : event.down ? "down" : "");
  row.number(step.growth.bytes).flag(step.growth.by_task).number(task.process.tgid).number(task.process.start_ns);
  row.number(task.tid).number(task.ns_tgid).number(task.uid).text(task.comm).text(task.thread_comm);
  row.flag(event.ancestor)
      .flag(event.foreign)
      .flag(event.page_cache)
      .text(to_string(event.kind))
      .number(event.suppressed);
  row.number(event.oom_events).number(event.reclaim_ns).number(event.throttle_ns);
  row.stack(event.user_stack, [&](std::uint64_t at) { return context_.frames.user(task.process, at); });
  row.stack(event.kernel_stack, [&](std::uint64_t at) { return context_.frames.kernel(at); });
  context_.sink.write(row.end());
}

void CsvExport::add(const ExportedEvent& event) {
  if (table_ != ExportTable::kEvents) {
    return;
  }
  Fields row;
  row.time(event.unix_ns).number(time_of(event.event)).text(events_.kind(event.event));
  if (event.cgroup != nullptr) {
    row.whose(*event.cgroup);
  } else {
    for (std::size_t i = 0; i < columns_of(ExportTable::kCgroups).size(); ++i) {
      row.text({});
    }
  }
  context_.sink.write(row.text(events_.json(event.event)).end());
}

void CsvExport::add(const ExportedLoss& loss) {
  if (table_ != ExportTable::kLoss) {
    return;
  }
  Fields row;
  row.time(loss.unix_ns).number(loss.boot_ns).number(loss.more).number(loss.so_far.critical).number(loss.so_far.bulk);
  row.number(loss.so_far.throttled).number(loss.so_far.invalid).number(loss.so_far.untracked);
  context_.sink.write(row.end());
}

void CsvExport::add(const ExportedIncident& exported) {
  if (table_ != ExportTable::kIncidents) {
    return;
  }
  const Incident& incident = exported.incident;
  Fields row;
  row.time(incident.unix_ns).number(incident.boot_ns).text(incident.id).text(incident.update);
  row.text(to_string(incident.kind)).text(to_string(incident.scope)).number(incident.cgroup.id);
  row.text(incident.cgroup.path).container(incident.container).number(incident.limit.bytes);
  row.number(incident.usage_bytes).number(incident.peak_bytes).number(incident.victims.size());
  std::string killed;
  for (const Victim& victim : incident.victims) {
    killed += (killed.empty() ? "" : ";") + victim.comm + "[" + std::to_string(victim.pid) + "]";
  }
  row.text(killed);
  if (incident.burst) {
    row.time(incident.burst->start_unix_ns).number(incident.burst->duration_ms);
    row.number(incident.burst->base_bytes).number(incident.burst->peak_bytes);
  } else {
    row.text({}).text({}).text({}).text({});
  }
  context_.sink.write(row.flag(incident.evidence.complete).text(exported.json).end());
}

void CsvExport::finish(const ExportEnd& /*end*/) {
  if (table_ != ExportTable::kCgroups) {
    return;
  }
  for (const ExportedCgroup& cgroup : context_.cgroups.all()) {
    Fields row;
    context_.sink.write(row.whose(cgroup).end());
  }
}

}  // namespace memcrest
