// SPDX-License-Identifier: Apache-2.0
#include "incident/advice.h"

#include <algorithm>
#include <cmath>

#include "incident/composition.h"
#include "incident/runtime_settings.h"
#include "incident/saturating.h"
#include "incident/verdict_exit.h"
#include "incident/verdict_words.h"
#include "util/units.h"

namespace memcrest {
namespace {

constexpr std::uint32_t kMargin = 15;
constexpr double kProbably = 0.6;  // below it a cause is only told as probable

std::uint64_t whole(double value) {
  return std::isfinite(value) && value > 0 ? static_cast<std::uint64_t>(std::min(value, 1e18)) : 0;
}

std::string limit_words(const Incident& incident) {
  return incident.limit.bytes ? "the limit of " + format_size(*incident.limit.bytes) : "the limit";
}

std::string kind_sentence(const Incident& incident) {
  if (!incident.composition || incident.composition->parts.empty()) {
    return "";
  }
  std::string out;
  const auto& parts = incident.composition->parts;
  for (std::size_t i = 0; i < std::min<std::size_t>(3, parts.size()); ++i) {
    out += (i == 0 ? "" : ", ") + parts[i].name + " " + format_size(parts[i].bytes);
  }
  switch (incident.composition->source) {
    case CompositionSource::kKernelLog:
      return " By the kernel's own list it was " + out + ".";
    case CompositionSource::kVictims:
      return " The victim held " + out.substr(0, out.find(", other")) + ".";
    case CompositionSource::kGrowth:
      return " What grew was " + out + ".";
  }
  return "";
}

std::string leak_rate(const FloorTrend& trend) {
  const double per_hour = trend.slope_bytes_per_s * 3600;
  // Nobody extrapolates seconds to an hour.
  return trend.window_ms < 600'000 ? format_size(whole(trend.slope_bytes_per_s * 60)) + " per minute"
                                   : format_size(whole(per_hour)) + " per hour";
}

std::string holder(const Incident& incident) {
  if (!incident.ranking || incident.ranking->by_usage.empty()) {
    return "";
  }
  const RankedCgroup& top = incident.ranking->by_usage.front();
  const std::string name = top.container_name.empty() ? top.cgroup.path : top.container_name;
  return " Most was held by " + name + ", " + format_size(top.usage_bytes) + ".";
}

std::string cause_sentence(const Incident& incident, const JudgedCause& top) {
  const auto& burst = incident.burst;
  const auto& trend = incident.trend;
  const std::string reason = top.reasons_for.empty() ? "" : top.reasons_for.front();
  switch (top.cause) {
    case Cause::kLimitTooSmallForBurst: {
      std::string out =
          incident.limit.bytes ? "The limit of " + format_size(*incident.limit.bytes) + " is" : "The limit is";
      out += " too small for this burst";
      if (burst) {
        out += " of " + format_size(burst->growth_bytes) + " in " + span_words(burst->duration_ms);
      }
      out += ".";
      return trend && !trend->rising && trend->window_ms >= 5000
                 ? out + " The floor before it was flat for " + span_words(trend->window_ms) + ": no leak."
                 : out;
    }
    case Cause::kLeak:
      return trend
                 ? std::string(trend->falls >= 3 ? "It leaks: between peaks it gave back less each time, and its floor"
                                                 : "It seems to leak: usage") +
                       " rose by " + leak_rate(*trend) + " over " + span_words(trend->window_ms) + "."
                 : "It leaks.";
    case Cause::kGrowthToPlateau:
      return "It grew to what it needs, and " + limit_words(incident) + " is below or just at that.";
    case Cause::kPageCache:
      return "Page cache filled " + limit_words(incident) +
             " and could not be dropped: it was dirty, locked or in use.";
    case Cause::kTmpfs:
      return "Shared memory (tmpfs, memfd, System V) filled " + limit_words(incident) +
             ": it stays until it is deleted, and killing a process frees none of it.";
    case Cause::kKernelMemory:
      return "The kernel's own memory for this container filled " + limit_words(incident) +
             ": slab, sockets, pipes, page tables, not a program's heap.";
    case Cause::kManyProcesses:
      return "Many processes together filled " + limit_words(incident) + ", none of them alone: " + reason + ".";
    case Cause::kRuntimeHeapVsLimit:
      return "The runtime's heap was allowed to grow past " + limit_words(incident) + ": " + reason + ".";
    case Cause::kAncestorLimit:
      return is_limit_of_pod(incident)
                 ? "Its pod's limit was full: " +
                       (incident.limit.bytes ? format_size(*incident.limit.bytes) : "its size is unknown") +
                       (incident.limit.own_usage_bytes
                            ? ", of which this container held " + format_size(*incident.limit.own_usage_bytes) + "."
                            : ", of which this container held a part that is not known.")
                 : "Its own limit was not the problem: " + limit_words(incident) +
                       " of a cgroup above was full, which others fill too.";
    case Cause::kHostExhausted:
      return "The machine ran out of memory; no container's limit was hit." + holder(incident);
    case Cause::kSwapFull:
      return "Memory and swap were both full.";
    case Cause::kCpuset:
      return "The memory nodes that its cpuset allows were exhausted, while others may have had room.";
    case Cause::kMempolicy:
      return "The memory nodes that its memory policy allows were exhausted, while others may have had room.";
    case Cause::kLimitLowered:
      return "Somebody set the limit below what was in use.";
    case Cause::kAskedFor:
      return "A person asked for this kill (sysrq-f): nothing was exhausted.";
    case Cause::kStoppedByRuntime:
    case Cause::kStoppedByServiceManager:
    case Cause::kEarlyOomKiller:
    case Cause::kKilledFromHost:
    case Cause::kKilledWithin:
    case Cause::kKilledByKernel:
    case Cause::kCrashed:
    case Cause::kAborted:
      return end_sentence(incident, top.cause);
    case Cause::kUnknown:
      return incident.end ? end_sentence(incident, top.cause) : "What was recorded does not tell why.";
  }
  return "";
}

bool limit_helps(Cause cause) {
  switch (cause) {
    case Cause::kLimitTooSmallForBurst:
    case Cause::kGrowthToPlateau:
    case Cause::kTmpfs:
    case Cause::kKernelMemory:
    case Cause::kManyProcesses:
    case Cause::kRuntimeHeapVsLimit:
    case Cause::kPageCache:
    case Cause::kSwapFull:
    case Cause::kUnknown:
      return true;
    case Cause::kLeak:
    case Cause::kAncestorLimit:
    case Cause::kHostExhausted:
    case Cause::kCpuset:
    case Cause::kMempolicy:
    case Cause::kLimitLowered:
    case Cause::kAskedFor:
    case Cause::kStoppedByRuntime:
    case Cause::kStoppedByServiceManager:
    case Cause::kEarlyOomKiller:
    case Cause::kKilledFromHost:
    case Cause::kKilledWithin:
    case Cause::kKilledByKernel:
    case Cause::kCrashed:
    case Cause::kAborted:
      return false;
  }
  return false;
}

// What the limit has to hold at least, as far as that can be told of a program that was killed while it asked for more.
void estimate_need(const Incident& incident, Advice& out) {
  const std::uint64_t limit = incident.limit.bytes.value_or(0);
  if (incident.kind == IncidentKind::kBurst) {  // it survived: this is all it needed
    out.needed_bytes = incident.burst->peak_bytes;
    out.text += "It needed " + format_size(*out.needed_bytes) + (incident.burst->peak_exact ? "" : " or a little more");
    return;
  }
  out.needed_estimated = true;
  // Memory that is no mapping of its own (tmpfs, the kernel's) is not bounded by what it had mapped.
  const bool anon = incident.composition && share_of(*incident.composition, "anon") > 0.5;
  if (anon && incident.mapped_bytes && incident.usage_bytes && !incident.victims.empty()) {
    const Victim& victim = incident.victims.front();
    const std::uint64_t resident =
        saturating_add(saturating_add(victim.anon_bytes, victim.file_bytes), victim.shmem_bytes);
    const std::uint64_t all = saturating_add(saturating_sub(*incident.usage_bytes, resident), *incident.mapped_bytes);
    // Many programs map far more than they ever use: then it tells nothing.
    if (all > limit && all / 6 <= limit) {
      out.needed_bytes = all;
      out.text += "It had asked for about " + format_size(all) + " (estimated: what the victim had mapped)";
      return;
    }
  }
  out.needed_estimated = false;
  out.text += "How much more it needs than " + format_size(limit) + " was never seen";
}

const char* remedy(const Incident& incident, Cause cause) {
  switch (cause) {
    case Cause::kLeak:
      return "No limit helps, it only takes longer: find what is kept, and restart it before it is full meanwhile.";
    case Cause::kTmpfs:
      return "Delete what lies there, or bound it with tmpfs size= (docker run --tmpfs /tmp:size=64m, emptyDir "
             "sizeLimit).";
    case Cause::kManyProcesses:
      return "Fewer workers, or a limit for all of them.";
    case Cause::kKernelMemory:
      return "Look at what makes sockets, pipes, files or mappings; a higher limit helps only if their number is "
             "bounded.";
    case Cause::kPageCache:
      return "Write less before it reaches the disk, or lock less memory.";
    case Cause::kAncestorLimit:
      return is_limit_of_pod(incident) ? "Raise the limit of whichever container of the pod needs more (the pod's is "
                                         "their sum, unless it has "
                                         "one of its own), or let the others use less: kubectl top pod --containers."
                                       : "Raise the limit of the cgroup above, or let its other members use less.";
    case Cause::kHostExhausted:
      return "Give each container a limit, and let their sum stay below the machine's memory.";
    case Cause::kCpuset:
    case Cause::kMempolicy:
      return "Allow more memory nodes.";
    case Cause::kLimitLowered:
      return "Lower a limit only below what can be reclaimed, or restart with the new one.";
    case Cause::kUnknown:
      return "Keep memcrest watch --flight-recorder running, and look at the next one.";
    case Cause::kLimitTooSmallForBurst:
    case Cause::kGrowthToPlateau:
    case Cause::kRuntimeHeapVsLimit:
    case Cause::kSwapFull:
    case Cause::kAskedFor:
    case Cause::kStoppedByRuntime:
    case Cause::kStoppedByServiceManager:
    case Cause::kEarlyOomKiller:
    case Cause::kKilledFromHost:
    case Cause::kKilledWithin:
    case Cause::kKilledByKernel:
    case Cause::kCrashed:
    case Cause::kAborted:
      return "";
  }
  return "";
}

std::string heap_words(const Incident& incident) {
  const std::uint64_t limit = incident.limit.bytes.value_or(0);
  const RuntimeSetting* const one = heap_above(incident.settings, limit);
  const std::string where = one == nullptr || one->from.empty() || one->from == one->name ? "" : " in " + one->from;
  const std::string size = std::to_string(limit / 10 * 7 / kMebi);
  const std::string name = one == nullptr ? "" : one->name;
  if (name == "-Xmx" || name == "-XX:MaxHeapSize") {
    return "Set -Xmx" + size + "m" + where + " (70 % of the limit), or raise the limit.";
  }
  if (name == "-XX:MaxRAMPercentage") {
    return "Set -XX:MaxRAMPercentage=70" + where + ", or raise the limit.";
  }
  if (name == "--max-old-space-size") {
    return "Set --max-old-space-size=" + size + where + " (70 % of the limit), or raise the limit.";
  }
  const auto has = [&](std::string_view wanted) {
    return std::ranges::find(incident.settings, wanted, &RuntimeSetting::name) != incident.settings.end();
  };
  if (name == "GOMEMLIMIT" || (one == nullptr && has("GOGC"))) {
    return "Set GOMEMLIMIT=" + std::to_string(limit / 10 * 9 / kMebi) + "MiB (90 % of the limit), or raise the limit.";
  }
  if (one == nullptr && has("work_mem")) {
    return "Lower max_connections (a pooler) or work_mem: each connection may take work_mem several times; or raise "
           "the limit.";
  }
  if (one == nullptr && has("-XX:MaxDirectMemorySize")) {
    return "Lower -Xmx or -XX:MaxDirectMemorySize: together with metaspace and threads they have to stay below the "
           "limit; or raise the limit.";
  }
  return "Let the heap take at most 70 % of the limit, or raise the limit.";
}

void add_limit(const Incident& incident, Advice& out) {
  if (!incident.limit.bytes || *incident.limit.bytes < kMebi || *incident.limit.bytes > (1ULL << 50U)) {
    return;
  }
  out.text += out.text.empty() ? "" : " ";
  estimate_need(incident, out);
  if (out.needed_bytes) {
    out.margin_percent = kMargin;
    out.limit_bytes = round_limit(*out.needed_bytes, kMargin);
    out.text += "; with a margin of " + std::to_string(kMargin) + " % that is " + format_size(*out.limit_bytes) + ".";
  } else {
    out.limit_guessed = true;
    out.limit_bytes = round_limit(*incident.limit.bytes / 2 * 3, 0);
    out.text += ". " + format_size(*out.limit_bytes) +
                " is a guess, half as much again: with it, look at the peak and set the limit by that.";
  }
  out.lines = limit_lines(incident.container, *out.limit_bytes);
}

}  // namespace

std::string verdict_text(const Incident& incident, const Verdict& verdict) {
  if (verdict.causes.empty()) {
    return "";
  }
  const JudgedCause& top = verdict.causes.front();
  std::string out =
      (top.confidence < kProbably && top.cause != Cause::kUnknown ? "Probably: " : "") + cause_sentence(incident, top);
  if (top.cause == Cause::kLimitTooSmallForBurst || top.cause == Cause::kTmpfs || top.cause == Cause::kKernelMemory ||
      top.cause == Cause::kPageCache || top.cause == Cause::kUnknown) {
    out += kind_sentence(incident);
  }
  return out;
}

std::uint64_t round_limit(std::uint64_t needed_bytes, std::uint32_t margin_percent) {
  const std::uint64_t wanted = saturating_add(needed_bytes, needed_bytes / 100 * margin_percent);
  const std::uint64_t grain = wanted > 1024 * kMebi ? 64 * kMebi : wanted > 256 * kMebi ? 16 * kMebi : 4 * kMebi;
  return saturating_add(wanted, grain - 1) / grain * grain;
}

std::optional<Advice> advise(const Incident& incident, const Verdict& verdict) {
  if (verdict.causes.empty()) {
    return std::nullopt;
  }
  const Cause cause = verdict.causes.front().cause;
  Advice out;
  if (incident.end) {
    out.text = end_remedy(incident, cause);
    return out.text.empty() ? std::nullopt : std::optional(out);
  }
  out.text = cause == Cause::kRuntimeHeapVsLimit ? heap_words(incident) : remedy(incident, cause);
  const bool perhaps_a_leak = cause == Cause::kLeak && verdict.causes.front().confidence < kProbably;
  if (perhaps_a_leak) {
    out.text =
        "If it leaks, no limit helps: find what is kept. If it was still filling what it needs, a higher limit "
        "does.";
  }
  if (limit_helps(cause) || perhaps_a_leak) {
    add_limit(incident, out);
  }
  return out.text.empty() ? std::nullopt : std::optional(out);
}

}  // namespace memcrest
