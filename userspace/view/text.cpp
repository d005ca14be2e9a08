// SPDX-License-Identifier: Apache-2.0
// Last stage of the path for people: incident -> lines for a terminal. States what was measured and what is not known;
// judges nothing.
#include "view/text.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "util/text.h"
#include "util/units.h"
#include "view/layout.h"

namespace memcrest {
namespace {

constexpr std::size_t kVictimsShown = 5;
constexpr std::size_t kContributorsShown = 3;
constexpr std::size_t kShortId = 12;
constexpr std::string_view kDot = " · ";
constexpr std::string_view kGap = "  ";

std::string percent(double part) {
  const double value = std::isfinite(part) ? std::clamp(part, 0.0, 1e6) * 100 : 0;
  // Rounding must not turn a small chance into none, nor a large one into certainty.
  if ((value > 0 && value < 0.5) || (value >= 99.5 && value < 100)) {
    return value < 0.5 ? "under 1 %" : "over 99 %";
  }
  return std::to_string(static_cast<std::uint64_t>(std::round(value))) + " %";
}

std::string bytes(std::uint64_t value) { return format_size(value); }

std::string milliseconds(double ms) {
  const double ns = std::isfinite(ms) ? std::clamp(ms * 1e6, 0.0, 9e18) : 0;
  return format_duration(std::chrono::nanoseconds(static_cast<std::int64_t>(ns)));
}

// "1 s", "10 s": a setting, not a measurement, so without the digits of one.
std::string seconds(std::uint64_t ms) {
  return ms % 1000 == 0 ? std::to_string(ms / 1000) + " s" : std::to_string(ms) + " ms";
}

std::string label(const Container& container, const std::string& key) {
  const auto found = container.labels.find(key);
  return found == container.labels.end() ? std::string() : found->second;
}

bool is_container(const Container& container) {
  return container.runtime != Runtime::kNone && container.runtime != Runtime::kUnknown &&
         container.runtime != Runtime::kSystemd;
}

// What the limit belongs to, in the word that its user knows it by.
const char* noun(const Container& container) {
  if (is_container(container)) {
    return "container";
  }
  return container.runtime == Runtime::kSystemd ? "unit" : "cgroup";
}

const char* heading_word(IncidentKind kind) {
  switch (kind) {
    case IncidentKind::kOom:
      return "OOM KILL";
    case IncidentKind::kBurst:
      return "BURST";
    case IncidentKind::kKill:
      return "KILL";
    case IncidentKind::kChargeFailure:
      return "CHARGE FAILED";
  }
  return "OOM KILL";
}

Tone heading_tone(IncidentKind kind) {
  return kind == IncidentKind::kOom || kind == IncidentKind::kKill ? Tone::kAlarm : Tone::kNotice;
}

void put_placement(Layout& page, const Container& container) {
  const std::string project = label(container, "com.docker.compose.project");
  const std::string service = label(container, "com.docker.compose.service");
  if (!project.empty() && !service.empty()) {
    const std::string number = label(container, "com.docker.compose.container-number");
    page.piece(kDot, escape_terminal("compose " + project + "/" + service + (number.empty() ? "" : "-" + number)));
  }
  const std::string pod = label(container, "io.kubernetes.pod.name");
  if (!pod.empty()) {
    page.piece(kDot, escape_terminal("pod " + label(container, "io.kubernetes.pod.namespace") + "/" + pod));
  }
}

void put_heading(Layout& page, const Incident& incident) {
  const Container& container = incident.container;
  page.heading();
  page.piece("", format_time_of_day(incident.unix_ns), Tone::kDim);
  page.piece(kGap, heading_word(incident.kind), heading_tone(incident.kind));
  if (!container.name.empty()) {
    page.piece("   ", escape_terminal(container.name), Tone::kBold);
  } else if (!is_container(container) && !incident.cgroup.path.empty()) {
    page.piece("   ", escape_terminal(incident.cgroup.path), Tone::kBold);
  }
  const std::string id = container.id.empty() ? "" : " " + container.id.substr(0, kShortId);
  if (container.runtime == Runtime::kNone) {
    page.piece("   ", "no container");
  } else if (container.runtime == Runtime::kUnknown) {
    page.piece("   ", escape_terminal("runtime unknown" + id));
  } else {
    page.piece("   ", escape_terminal(to_string(container.runtime) + id));
  }
  if (!container.image.empty()) {
    page.piece(kDot, escape_terminal(container.image));
  }
  put_placement(page, container);
}

// Who this is about, when the heading alone cannot say it.
void put_identity(Layout& page, const Incident& incident) {
  const Container& container = incident.container;
  if (!container.unknown_reason.empty()) {
    page.row("unknown");
    page.words("", escape_terminal(container.unknown_reason), Tone::kNotice);
  }
  if (!incident.cgroup.path.empty() && container.name.empty() && is_container(container)) {
    page.row("cgroup");
    page.piece("", escape_terminal(incident.cgroup.path));
  } else if (incident.cgroup.path.empty() && container.name.empty()) {
    page.row("cgroup");
    page.piece("", "id " + std::to_string(incident.cgroup.id) + ", path unknown");
  }
}

void put_victim_role(Layout& page, const Incident& incident, const Victim& victim) {
  if (victim.main_process) {
    page.piece(", ", is_container(incident.container) ? "main process: exit 137" : "main process");
  } else if (is_container(incident.container)) {
    const bool main_died = std::ranges::any_of(incident.victims, &Victim::main_process);
    page.piece(", ", main_died ? "a child" : "a child: the container may live on");
  }
}

void put_victim_memory(Layout& page, const Victim& victim) {
  page.row("");
  page.piece("", "anon " + bytes(victim.anon_bytes));
  page.piece(kDot, "file " + bytes(victim.file_bytes));
  page.piece(kDot, "shmem " + bytes(victim.shmem_bytes));
  page.piece(kDot, "swap " + bytes(victim.swap_bytes));
  page.piece(kDot, "page tables " + bytes(victim.pagetable_bytes));
  page.piece(kDot, "oom_score_adj " + std::to_string(victim.oom_score_adj));
}

void put_victims(Layout& page, const Incident& incident) {
  const std::size_t shown = std::min(incident.victims.size(), kVictimsShown);
  for (std::size_t i = 0; i < shown; ++i) {
    const Victim& victim = incident.victims[i];
    page.row(i == 0 ? "killed" : "");
    page.piece("", escape_terminal(victim.cmdline.empty() ? victim.comm : victim.cmdline), Tone::kBold);
    std::string pid = "pid " + std::to_string(victim.pid);
    if (victim.container_pid != 0 && victim.container_pid != victim.pid) {
      pid += " (" + std::to_string(victim.container_pid) + " in the container)";
    }
    page.piece("   ", pid);
    put_victim_role(page, incident, victim);
    if (incident.victims.size() == 1) {
      put_victim_memory(page, victim);
    } else {
      page.piece(kDot, "anon " + bytes(victim.anon_bytes));
    }
  }
  if (incident.victims.size() > shown) {
    page.row("");
    page.piece("", "+ " + std::to_string(incident.victims.size() - shown) + " more");
  }
}

void put_trigger(Layout& page, const Incident& incident) {
  if (!incident.trigger || std::ranges::any_of(incident.victims, [&](const Victim& victim) {
        return victim.pid == incident.trigger->pid;
      })) {
    return;
  }
  page.row("asked by");
  page.piece("", escape_terminal(incident.trigger->comm));
  page.piece("   ", "pid " + std::to_string(incident.trigger->pid) + ", whose allocation found no memory left");
}

void put_owner_of_limit(Layout& page, const Incident& incident) {
  const std::string kind = incident.limit.kind.empty() ? "limit" : escape_terminal(incident.limit.kind);
  switch (incident.scope) {
    case Scope::kMemcg:
      if (incident.limit.bytes || incident.kind != IncidentKind::kBurst) {
        page.piece(kGap, kind + " of this " + noun(incident.container));
      }
      break;
    case Scope::kAncestor:
      page.words(kGap, kind + " of an ancestor, not of this " + noun(incident.container) + ":");
      page.piece(" ",
                 incident.limit.cgroup_path.empty() ? "path unknown" : escape_terminal(incident.limit.cgroup_path));
      break;
    case Scope::kHost:
      page.words(kGap, "the machine's own memory was used up, no cgroup's limit");
      break;
    case Scope::kCpuset:
      page.words(kGap, "the memory nodes that the cpuset allows were used up, no cgroup's limit");
      break;
    case Scope::kMempolicy:
      page.words(kGap, "the memory nodes that the memory policy allows were used up, no cgroup's limit");
      break;
  }
}

void put_limit(Layout& page, const Incident& incident) {
  page.row("limit");
  if (incident.limit.bytes) {
    page.piece("", bytes(*incident.limit.bytes), Tone::kBold);
  } else if (incident.scope == Scope::kMemcg || incident.scope == Scope::kAncestor) {
    page.piece("", incident.kind == IncidentKind::kBurst ? "none known" : "size unknown");
  }
  put_owner_of_limit(page, incident);
  if (incident.usage_bytes) {
    page.piece("   ", "in use " + bytes(*incident.usage_bytes));
  }
  if (incident.peak_bytes && incident.peak_bytes != incident.usage_bytes) {
    page.piece("   ",
               std::string("highest ever of this ") + noun(incident.container) + " " + bytes(*incident.peak_bytes));
  }
}

void put_contributors(Layout& page, const Burst& burst) {
  double rest = 1;
  const std::size_t shown = std::min(burst.contributors.size(), kContributorsShown);
  for (std::size_t i = 0; i < shown; ++i) {
    const Contributor& contributor = burst.contributors[i];
    page.row("");
    page.piece("", percent(contributor.share));
    page.piece(kGap, escape_terminal(contributor.comm) + "[" + std::to_string(contributor.pid) + "]");
    page.piece(kGap, bytes(contributor.bytes));
    rest -= contributor.share;
  }
  if (rest >= 0.01) {
    page.row("");
    page.piece("", percent(rest));
    page.piece(kGap, shown == 0 ? "by processes that no step names" : "others, or not seen by a step");
  }
}

const char* end_words(BurstEnd end) {
  switch (end) {
    case BurstEnd::kFell:
      return "fell again";
    case BurstEnd::kLevelled:
      return "stayed there";
    case BurstEnd::kKilled:
      return "ended by the kill";
    case BurstEnd::kRemoved:
      return "ended with its cgroup";
    case BurstEnd::kOpen:
      return "still under way";
  }
  return "";
}

void put_burst(Layout& page, const Incident& incident) {
  if (!incident.burst) {
    return;
  }
  const Burst& burst = *incident.burst;
  page.row("grew");
  page.piece("", bytes(burst.base_bytes) + " → " + (burst.peak_exact ? "" : "at least ") + bytes(burst.peak_bytes));
  page.piece(" ", "in " + milliseconds(burst.duration_ms));
  if (std::isfinite(burst.slope_bytes_per_s) && burst.slope_bytes_per_s > 0 && burst.slope_bytes_per_s < 1e19) {
    page.piece(" ", "(" + bytes(static_cast<std::uint64_t>(burst.slope_bytes_per_s)) + "/s)");
  }
  page.piece("   ", sparkline(burst.shape), Tone::kNotice);
  if (incident.kind == IncidentKind::kBurst) {
    page.row("");
    page.piece("", end_words(burst.end));
    page.piece(kDot, "above half of the growth for " + milliseconds(burst.above_half_ms));
    if (burst.end_uncertainty_ms > 0) {
      page.piece(" ", "(up to " + milliseconds(burst.end_uncertainty_ms) + " less)");
    }
  }
  if (burst.page_cache_bytes > burst.growth_bytes / 20) {
    page.row("");
    page.piece("", "about " + bytes(burst.page_cache_bytes) + " of it page cache, which the kernel drops when needed");
  }
  put_contributors(page, burst);
}

void put_samplers(Layout& page, const Incident& incident) {
  bool first = true;
  for (const auto& sampler : incident.samplers) {
    page.row(first ? "samplers" : "");
    first = false;
    page.piece("", escape_terminal(sampler.name) + ", every " + seconds(sampler.interval_ms));
    std::string seen = sampler.typical_seen_bytes == 0 ? std::string("had shown nothing yet")
                                                       : "last showed about " + bytes(sampler.typical_seen_bytes);
    if (sampler.typical_seen_bytes > 0 && incident.limit.bytes && *incident.limit.bytes > 0 &&
        incident.scope == Scope::kMemcg) {
      seen += " (" +
              percent(static_cast<double>(sampler.typical_seen_bytes) / static_cast<double>(*incident.limit.bytes)) +
              ")";
    }
    page.piece(kGap, seen);
    page.piece(kGap, "chance to see the burst " + percent(sampler.chance_seen));
  }
}

std::string loss_words(const Evidence& evidence) {
  if (evidence.lost_critical == 0 && evidence.lost_bulk == 0) {
    return "lost 0";
  }
  return "lost records: " + std::to_string(evidence.lost_critical) + " critical, " +
         std::to_string(evidence.lost_bulk) + " bulk";
}

void put_evidence(Layout& page, const Evidence& evidence) {
  const bool lost = evidence.lost_critical != 0 || evidence.lost_bulk != 0;
  page.row("evidence");
  page.piece("", evidence.complete ? "complete" : "not complete", evidence.complete ? Tone::kPlain : Tone::kNotice);
  page.piece(kDot, "charges " + escape_terminal(evidence.charge_tier));
  page.piece(kDot, "oom " + escape_terminal(evidence.oom_tier));
  page.piece(kDot, loss_words(evidence), lost ? Tone::kNotice : Tone::kPlain);
  for (const auto& gap : evidence.gaps) {
    page.row("");
    page.words("", "- " + escape_terminal(gap));
  }
}

}  // namespace

std::string to_text(const Incident& incident, const TextStyle& style) {
  Layout page(style.columns, style.color);
  put_heading(page, incident);
  put_identity(page, incident);
  put_victims(page, incident);
  put_trigger(page, incident);
  put_limit(page, incident);
  put_burst(page, incident);
  put_samplers(page, incident);
  put_evidence(page, incident.evidence);
  return page.finish() + "\n";
}

}  // namespace memcrest
