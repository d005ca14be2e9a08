// SPDX-License-Identifier: Apache-2.0
#include "app/run_report.h"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

#include "export/json.h"
#include "util/text.h"
#include "util/units.h"
#include "view/loss_text.h"

namespace memcrest {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kMaxBurstLines = 5;

Json number(const std::optional<std::uint64_t>& value) { return value ? Json(*value) : Json(); }

std::string plural(std::uint64_t count, const char* one, const char* many) {
  return std::to_string(count) + " " + (count == 1 ? one : many);
}

bool oom_killed(const RunReport& report) {
  return report.figures.oom_kills.value_or(0) > 0 ||
         std::ranges::any_of(report.incidents, [](const auto& one) { return one.kind == IncidentKind::kOom; });
}

std::string command_line(const std::vector<std::string>& command) {
  std::string raw;
  for (const std::string& part : command) {
    raw += part;
    raw += '\0';
  }
  return join_cmdline(raw);
}

std::string burst_line(const Burst& burst) {
  return format_size(burst.base_bytes) + " → " + format_size(burst.peak_bytes) + " in " +
         format_duration(std::chrono::nanoseconds(static_cast<std::int64_t>(burst.duration_ms * 1e6)));
}

std::string exit_text(const RunReport& report) {
  const std::string after = " after " + format_duration(report.duration);
  if (!report.exit.signalled()) {
    return "exit code " + std::to_string(report.exit.code()) + after;
  }
  const char* name = sigabbrev_np(report.exit.signal());
  return "killed by SIG" + std::string(name != nullptr ? name : std::to_string(report.exit.signal())) + " (exit code " +
         std::to_string(report.exit.code()) + ")" + after;
}

std::string peak_text(const RunReport& report) {
  if (!report.figures.peak_bytes) {
    return "not known: this kernel keeps no peak of a cgroup";
  }
  std::string out = format_size(*report.figures.peak_bytes) + " exact, the kernel's own mark";
  return out;
}

std::string survive_text(const RunReport& report) {
  if (const auto least = smallest_limit(report)) {
    // Rounded up, in the form that --memory takes: the number shown is one that works.
    const std::uint64_t mib = (*least + (1U << 20U) - 1) >> 20U;
    return "a limit of " + std::to_string(mib) + "m (" + std::to_string(*least) + " bytes), with no headroom" +
           (*least < report.figures.peak_bytes ? ", about, if the kernel drops page cache in time" : "");
  }
  if (oom_killed(report)) {
    return "more than " + (report.limits.memory ? format_size(*report.limits.memory) : std::string("it had")) +
           ": it did not survive this run";
  }
  return "not known";
}

std::string oom_text(const RunReport& report) {
  if (!oom_killed(report)) {
    return report.figures.limit_hits.value_or(0) > 0
               ? "none; the limit was reached " + std::to_string(*report.figures.limit_hits) + " times"
               : "none";
  }
  std::string out;
  for (const Incident& incident : report.incidents) {
    for (const Victim& victim : incident.victims) {
      out += (out.empty() ? "" : ", ") + ("killed " + victim.comm + "[" + std::to_string(victim.pid) + "] with " +
                                          format_size(victim.anon_bytes) + " anon");
    }
  }
  return out.empty() ? plural(report.figures.oom_kills.value_or(0), "process", "processes") + " killed" : out;
}

}  // namespace

std::optional<std::uint64_t> smallest_limit(const RunReport& report) {
  if (oom_killed(report) || !report.figures.peak_bytes) {
    return std::nullopt;
  }
  const std::uint64_t peak = *report.figures.peak_bytes;
  if (!report.needed_seen_bytes) {
    return peak;
  }
  const std::uint64_t unseen = peak - std::min(peak, report.highest_seen_bytes);
  return std::min(peak, *report.needed_seen_bytes + unseen);
}

std::string to_json(const RunReport& report) {
  Json out;
  out["schema"] = "memcrest.run.v1";
  out["command"] = Json::array();
  for (const std::string& part : report.command) {
    out["command"].push_back(to_valid_utf8(part));
  }
  out["exit_code"] = report.exit.code();
  out["signal"] = report.exit.signalled() ? Json(report.exit.signal()) : Json();
  out["duration_ms"] = std::chrono::duration<double, std::milli>(report.duration).count();
  out["limit_bytes"] = number(report.limits.memory);
  out["swap_limit_bytes"] = number(report.limits.swap);
  out["peak_bytes"] = number(report.figures.peak_bytes);
  out["needed_seen_bytes"] = number(report.needed_seen_bytes);
  out["smallest_limit_bytes"] = number(smallest_limit(report));
  out["oom_kills"] = number(report.figures.oom_kills);
  out["limit_hits"] = number(report.figures.limit_hits);
  out["left_behind"] = report.left_behind;
  out["tiers"] = report.tiers.empty() ? Json() : Json(report.tiers);
  out["no_hooks_reason"] = report.no_hooks_reason.empty() ? Json() : Json(to_valid_utf8(report.no_hooks_reason));
  out["lost"] = report.tiers.empty() ? Json()
                                     : Json({{"critical", report.loss.critical},
                                             {"bulk", report.loss.bulk},
                                             {"throttled", report.loss.throttled},
                                             {"invalid", report.loss.invalid},
                                             {"untracked", report.loss.untracked}});
  out["bursts_not_listed"] = report.bursts_not_listed;
  out["incidents"] = Json::array();
  for (const Incident& incident : report.incidents) {
    out["incidents"].push_back(Json::parse(to_json(incident)));
  }
  return out.dump();
}

std::string to_text(const RunReport& report, std::size_t columns) {
  std::string out;
  const auto line = [&](const char* label, const std::string& text) {
    std::string head = "  " + std::string(label);
    head.resize(13, ' ');
    out += truncate_columns(head + escape_terminal(text), columns) + "\n";
  };
  out += truncate_columns("memcrest run: " + escape_terminal(command_line(report.command)), columns) + "\n";
  line("ended", exit_text(report));
  line("peak", peak_text(report));
  std::size_t bursts = 0;
  for (const Incident& incident : report.incidents) {
    if (incident.burst && ++bursts <= kMaxBurstLines) {
      line(bursts == 1 ? "grew" : "", burst_line(*incident.burst));
    }
  }
  bursts += report.bursts_not_listed;
  if (bursts > kMaxBurstLines) {
    line("", "+ " + std::to_string(bursts - kMaxBurstLines) + " more bursts");
  } else if (bursts == 0 && !report.tiers.empty()) {
    line("grew", "no burst");
  }
  line("oom", oom_text(report));
  line("survives", survive_text(report));
  if (report.left_behind > 0) {
    line("left", "its cgroup stays until these end: " + plural(report.left_behind, "process", "processes"));
  }
  line("evidence", report.tiers.empty() ? "the kernel's counters only, no hooks could be attached"
                                        : report.tiers + " · lost: " + describe(report.loss));
  return out;
}

}  // namespace memcrest
