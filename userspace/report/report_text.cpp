// SPDX-License-Identifier: Apache-2.0
#include "report/report_text.h"

#include <array>

#include "util/text.h"
#include "util/units.h"
#include "view/layout.h"
#include "view/loss_text.h"

namespace memcrest {
namespace {

constexpr std::string_view kDot = " · ";

std::string counted(std::uint64_t count, const char* one, const char* many) {
  return std::to_string(count) + " " + (count == 1 ? one : many);
}

void put_recording(Layout& page, const RecordingFacts& facts) {
  page.heading();
  page.piece("", escape_terminal(facts.file), Tone::kBold);
  page.piece("   ", "recording of memcrest " + escape_terminal(facts.memcrest_version));
  page.row("host");
  page.piece("", facts.host.name.empty() ? "unknown" : escape_terminal(facts.host.name));
  page.piece(kDot, "kernel " + escape_terminal(facts.host.kernel));
  page.row("recorded");
  const RecordingSummary& summary = facts.summary;
  if (summary.first && summary.last) {
    page.piece("", words_of_time(summary.first->unix_ns) + " to " + words_of_time(summary.last->unix_ns));
    const std::uint64_t ns =
        summary.last->boot_ns > summary.first->boot_ns ? summary.last->boot_ns - summary.first->boot_ns : 0;
    page.piece(" ", "(" + format_duration(std::chrono::nanoseconds(static_cast<std::int64_t>(ns >> 1U) * 2)) + ")");
  } else {
    page.piece("", "no time is known");
  }
  page.piece(kDot, counted(summary.steps, "step", "steps"));
  page.piece(kDot, counted(summary.events, "other event", "other events"));
  for (const std::string& note : facts.notes) {
    page.row("");
    page.words("", escape_terminal(note));
  }
  page.row("evidence");
  page.piece("", facts.gaps.empty() ? "complete" : "not complete", facts.gaps.empty() ? Tone::kPlain : Tone::kNotice);
  page.piece(kDot, "charges " + escape_terminal(facts.charge_tier));
  page.piece(kDot, "oom " + escape_terminal(facts.oom_tier));
  page.piece(kDot, "lost: " + describe(summary.lost));
  for (const std::string& gap : facts.gaps) {
    page.row("");
    page.words("", "- " + escape_terminal(gap));
  }
}

void put_list(Layout& page, const Report& report) {
  page.row("incidents");
  page.piece("", count_of(report));
  for (const ReportedIncident& one : report.incidents) {
    page.row("");
    if (!one.unreadable.empty()) {
      page.piece("", escape_terminal(one.id), Tone::kDim);
      page.words("  ", "cannot be read: " + escape_terminal(one.unreadable), Tone::kNotice);
      continue;
    }
    page.piece("", words_of_time(one.incident.unix_ns));
    page.piece("  ", words_of_kind(one.incident),
               one.incident.kind == IncidentKind::kOom ? Tone::kAlarm : Tone::kNotice);
    page.piece("  ", escape_terminal(name_of(one.incident)), Tone::kBold);
    page.piece("  ", escape_terminal(one.id), Tone::kDim);
  }
  if (const std::string more = words_of_left_out(report); !more.empty()) {
    page.row("");
    page.words("", more);
  }
}

}  // namespace

std::string words_of_time(std::int64_t unix_ns) {
  const std::string exact = format_rfc3339(unix_ns);  // 2026-11-22T09:35:43.841000123Z
  return exact.size() < 23 ? exact : exact.substr(0, 10) + " " + exact.substr(11, 12) + " UTC";
}

std::string words_of_kind(const Incident& incident) {
  switch (incident.kind) {
    case IncidentKind::kOom:
      return incident.stuck && incident.victims.empty() ? "stuck under OOM" : "OOM kill";
    case IncidentKind::kBurst:
      return "burst";
    case IncidentKind::kKill:
      return "kill";
    case IncidentKind::kChargeFailure:
      return "memory refused";
    case IncidentKind::kBreakpoint:
      return "breakpoint";
  }
  return "incident";
}

std::string name_of(const Incident& incident) {
  if (!incident.container.name.empty()) {
    return incident.container.name;
  }
  if (!incident.container.id.empty()) {
    return incident.container.id.substr(0, 12);
  }
  return incident.cgroup.path.empty() ? "cgroup id " + std::to_string(incident.cgroup.id) : incident.cgroup.path;
}

std::string count_of(const Report& report) {
  constexpr std::size_t kUnreadable = static_cast<std::size_t>(IncidentKind::kBreakpoint) + 1;
  const std::array<std::pair<const char*, const char*>, kUnreadable + 1> words{
      {{"OOM kill", "OOM kills"},
       {"burst", "bursts"},
       {"kill", "kills"},
       {"refusal of memory", "refusals of memory"},
       {"breakpoint", "breakpoints"},
       {"that cannot be read", "that cannot be read"}}};
  std::array<std::uint64_t, kUnreadable + 1> counts{};
  for (const ReportedIncident& one : report.incidents) {
    ++counts[one.unreadable.empty() ? static_cast<std::size_t>(one.incident.kind) : kUnreadable];
  }
  std::string out;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] > 0) {
      out += (out.empty() ? "" : ", ") + counted(counts[i], words[i].first, words[i].second);
    }
  }
  return out.empty() ? "none" : out;
}

std::string words_of_left_out(const Report& report) {
  std::string out;
  if (report.filtered > 0) {
    out = "Not asked for, and not shown: " + std::to_string(report.filtered) + ".";
  }
  if (report.left_out > 0) {
    out += (out.empty() ? "" : " ") + counted(report.left_out, "more is", "more are") + " not shown: a report holds " +
           std::to_string(kMaxIncidents) + " incidents. Ask for them with --incident or a filter.";
  }
  return out;
}

std::string to_text(const Report& report, const TextStyle& style) {
  Layout page(style.columns, style.color);
  put_recording(page, report.recording);
  put_list(page, report);
  std::string out = page.finish() + "\n";
  for (const ReportedIncident& one : report.incidents) {
    if (one.unreadable.empty()) {
      Incident whole = one.incident;
      whole.update.clear();  // its last telling, in full
      out += to_text(whole, style);
    }
  }
  return out;
}

}  // namespace memcrest
