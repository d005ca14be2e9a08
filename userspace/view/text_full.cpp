// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include "util/text.h"
#include "view/text_parts.h"
#include "view/text_words.h"

namespace memcrest::view {
namespace {

constexpr std::size_t kHoldersShown = 5;
constexpr std::size_t kGrowersShown = 3;

void put_owner_of_limit(Layout& page, const Incident& incident) {
  const std::string kind = incident.limit.kind.empty() ? "limit" : escape_terminal(incident.limit.kind);
  switch (incident.scope) {
    case Scope::kMemcg:
      if (incident.limit.bytes || incident.kind != IncidentKind::kBurst) {
        page.piece(kGap, kind + " of this " + noun(incident.container));
      }
      break;
    case Scope::kAncestor:
      page.words(kGap, kind + (is_limit_of_pod(incident)
                                   ? " of its pod:"
                                   : std::string(" of an ancestor, not of this ") + noun(incident.container) + ":"));
      page.piece(" ",
                 incident.limit.cgroup_path.empty() ? "path unknown" : escape_terminal(incident.limit.cgroup_path));
      break;
    case Scope::kHost:
      page.words(kGap, incident.oom && incident.oom->sysrq ? "asked for by sysrq-f: nothing was exhausted"
                                                           : "the machine's own memory was used up, no cgroup's limit");
      break;
    case Scope::kCpuset:
      page.words(kGap, "the memory nodes that the cpuset allows were used up, no cgroup's limit");
      break;
    case Scope::kMempolicy:
      page.words(kGap, "the memory nodes that the memory policy allows were used up, no cgroup's limit");
      break;
  }
}

// A window looked back on: round ones as the setting that they are.
std::string window(double ms) {
  const double whole = std::isfinite(ms) ? std::clamp(ms, 0.0, 1e15) : 0;
  return std::fmod(whole, 1000) == 0 ? seconds(static_cast<std::uint64_t>(whole)) : milliseconds(whole);
}

bool is_more_than_nothing(double ms) { return std::isfinite(ms) && ms > 0; }

// The name that a person knows, else the id that runtimes go by, else the path.
void put_ranked(Layout& page, const RankedCgroup& ranked) {
  const std::string id = ranked.container_id.substr(0, kShortId);
  if (!ranked.container_name.empty()) {
    page.piece(kGap, escape_terminal(ranked.container_name), Tone::kBold);
  } else if (is_container(ranked.runtime) && !id.empty()) {
    page.piece(kGap, escape_terminal(id), Tone::kBold);
  } else if (!ranked.cgroup.path.empty()) {
    page.piece(kGap, escape_terminal(ranked.cgroup.path), Tone::kBold);
  } else {
    page.piece(kGap, "cgroup id " + std::to_string(ranked.cgroup.id));
  }
  if (is_container(ranked.runtime)) {
    const bool id_told = ranked.container_name.empty() || id.empty();
    page.piece(kGap, escape_terminal(to_string(ranked.runtime) + (id_told ? "" : " " + id)));
  }
  if (!ranked.pod_name.empty()) {
    const std::string name_space = ranked.pod_namespace.empty() ? "" : ranked.pod_namespace + "/";
    page.piece(kDot, "pod " + escape_terminal(name_space + ranked.pod_name));
  }
}

}  // namespace

void put_limit(Layout& page, const Incident& incident) {
  page.row("limit");
  if (incident.limit.bytes) {
    page.piece("", bytes(*incident.limit.bytes), Tone::kBold);
  } else if (incident.scope == Scope::kMemcg || incident.scope == Scope::kAncestor) {
    page.piece("", incident.kind == IncidentKind::kBurst ? "none known" : "size unknown");
  }
  put_owner_of_limit(page, incident);
  if (incident.oom && incident.oom->limit_lowered) {
    page.piece("   ", "was lowered below what was in use", Tone::kNotice);
  }
  if (incident.usage_bytes) {
    page.piece("   ", "in use " + bytes(*incident.usage_bytes));
  }
  if (incident.peak_bytes && incident.peak_bytes != incident.usage_bytes) {
    page.piece("   ",
               std::string("highest ever of this ") + noun(incident.container) + " " + bytes(*incident.peak_bytes));
  }
}

void put_swap(Layout& page, const Incident& incident) {
  if (!incident.swap || !incident.swap->limit_bytes) {
    return;
  }
  const Swap& swap = *incident.swap;
  const std::string kind = swap.kind.empty() ? "its limit" : escape_terminal(swap.kind);
  const bool both = swap.kind.find("memsw") != std::string::npos;
  page.row("swap");
  if (*swap.limit_bytes == 0) {
    page.piece("", "none allowed");
    page.piece(kGap, kind + " is 0");
    return;
  }
  if (!swap.usage_bytes) {
    page.piece("", "limited to " + bytes(*swap.limit_bytes));
  } else {
    const bool full = *swap.usage_bytes >= *swap.limit_bytes;
    const double part = static_cast<double>(*swap.usage_bytes) / static_cast<double>(*swap.limit_bytes);
    page.piece("", bytes(*swap.usage_bytes) + " of " + bytes(*swap.limit_bytes));
    page.piece(" ", full ? "(full)" : "(" + percent(part) + ")", part >= 0.99 ? Tone::kNotice : Tone::kPlain);
  }
  page.piece(kGap, kind + (both ? ": memory and swap together" : ""));
}

void put_stalled(Layout& page, const Incident& incident) {
  if (!incident.reclaim) {
    return;
  }
  const ReclaimStall& reclaim = *incident.reclaim;
  const bool direct = is_more_than_nothing(reclaim.direct_ms);
  const bool throttled = is_more_than_nothing(reclaim.throttle_ms);
  if (!direct && !throttled) {
    return;
  }
  page.row("stalled");
  page.piece("", "waited " + (direct ? milliseconds(reclaim.direct_ms) + " in direct reclaim"
                                     : milliseconds(reclaim.throttle_ms) + " for memory.high"));
  if (direct && throttled) {
    page.piece(", ", milliseconds(reclaim.throttle_ms) + " for memory.high");
  }
  page.piece(", ", "in the " + window(reclaim.window_ms) + " before");
  // Otherwise the figures would seem impossible.
  if ((direct ? reclaim.direct_ms : 0) + (throttled ? reclaim.throttle_ms : 0) > reclaim.window_ms) {
    page.piece(" ", "(all tasks added up)");
  }
}

void put_ranking(Layout& page, const Incident& incident) {
  if (!incident.ranking) {
    return;
  }
  const HostRanking& ranking = *incident.ranking;
  for (std::size_t i = 0; i < std::min(ranking.by_usage.size(), kHoldersShown); ++i) {
    page.row(i == 0 ? "holds" : "");
    page.piece("", bytes(ranking.by_usage[i].usage_bytes));
    put_ranked(page, ranking.by_usage[i]);
  }
  std::size_t shown = 0;
  for (const RankedCgroup& ranked : ranking.by_growth) {
    if (ranked.growth_bytes <= 0 || shown == kGrowersShown) {
      continue;
    }
    page.row(shown == 0 ? "grew most" : "");
    page.piece("", change(ranked.growth_bytes) + (shown == 0 ? " in " + window(ranking.growth_window_ms) : ""));
    put_ranked(page, ranked);
    ++shown;
  }
  if (!ranking.incomplete.empty()) {
    page.row(ranking.by_usage.empty() && shown == 0 ? "holds" : "");
    page.words("", "- may be wrong: " + escape_terminal(ranking.incomplete));
  }
}

}  // namespace memcrest::view
