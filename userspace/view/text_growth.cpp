// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include "util/text.h"
#include "view/text_parts.h"
#include "view/text_words.h"

namespace memcrest::view {
namespace {

constexpr std::size_t kContributorsShown = 3;
constexpr std::size_t kLongestProgram = 48;

// Workers of one pool are one line: "24 × gunicorn".
bool put_pools(Layout& page, const Burst& burst) {
  if (burst.programs.empty() || burst.programs.front().processes < 2) {
    return false;
  }
  double rest = 1;
  for (std::size_t i = 0; i < std::min(burst.programs.size(), kContributorsShown); ++i) {
    const Program& program = burst.programs[i];
    page.row("");
    page.piece("", percent(program.share));
    std::string name = escape_terminal(program.cmdline.empty() ? program.comm : program.cmdline);
    name = truncate_middle(name, kLongestProgram);
    page.piece(kGap, program.processes > 1 ? std::to_string(program.processes) + " × " + name : name);
    page.piece(kGap, bytes(program.bytes));
    rest -= program.share;
  }
  if (rest >= 0.01) {
    page.row("");
    page.piece("", percent(rest));
    page.piece(kGap, "others, or not seen by a step");
  }
  return true;
}

void put_contributors(Layout& page, const Burst& burst) {
  if (put_pools(page, burst)) {
    return;
  }
  double rest = 1;
  const std::size_t shown = std::min(burst.contributors.size(), kContributorsShown);
  for (std::size_t i = 0; i < shown; ++i) {
    const Contributor& contributor = burst.contributors[i];
    page.row("");
    page.piece("", percent(contributor.share));
    page.piece(kGap, process(contributor.comm, contributor.pid));
    page.piece(kGap, bytes(contributor.bytes));
    rest -= contributor.share;
  }
  if (rest >= 0.01) {
    page.row("");
    page.piece("", percent(rest));
    page.piece(kGap, shown == 0 ? "by processes that no step names" : "others, or not seen by a step");
  }
}

// "threads" only where there is more to tell than a process of one thread.
void put_threads(Layout& page, const Burst& burst) {
  constexpr double kLeastShare = 0.01;
  bool first = true;
  for (std::size_t i = 0; i < std::min(burst.threads.size(), kContributorsShown); ++i) {
    const ThreadPool& pool = burst.threads[i];
    if (pool.share < kLeastShare) {
      continue;
    }
    if (first) {
      page.row("");
      page.piece("", "threads", Tone::kDim);
    }
    const std::string name = escape_terminal(pool.thread);
    page.piece(first ? kGap : kDot,
               (pool.threads > 1 ? std::to_string(pool.threads) + " × " + name : name) + " " + percent(pool.share));
    first = false;
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

}  // namespace

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
  put_threads(page, burst);
}

void put_samplers(Layout& page, const Incident& incident) {
  bool first = true;
  for (const auto& sampler : incident.samplers) {
    page.row(first ? "samplers" : "");
    first = false;
    page.piece("", escape_terminal(sampler.name) + ", every " + seconds(sampler.interval_ms));
    std::string seen = sampler.typical_seen_bytes == 0 ? std::string("had shown nothing yet")
                                                       : "last showed about " + bytes(sampler.typical_seen_bytes);
    if (sampler.typical_seen_bytes > 0 && incident.limit.bytes && *incident.limit.bytes > 0 && is_own_limit(incident)) {
      seen += " (" +
              percent(static_cast<double>(sampler.typical_seen_bytes) / static_cast<double>(*incident.limit.bytes)) +
              ")";
    }
    page.piece(kGap, seen);
    page.piece(kGap, "chance to see the burst " + percent(sampler.chance_seen));
  }
}

}  // namespace memcrest::view
