// SPDX-License-Identifier: Apache-2.0
#include "incident/verdict.h"

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "incident/advice.h"
#include "incident/composition.h"
#include "incident/runtime_settings.h"
#include "incident/saturating.h"
#include "incident/verdict_course.h"
#include "incident/verdict_exit.h"
#include "incident/verdict_words.h"
#include "util/units.h"

namespace memcrest {
namespace {

constexpr double kSurest = 0.95;
constexpr double kMostly = 0.5;  // of the memory: a kind that holds so much is what filled it

double kernel_share(const Composition& of) {
  double out = 0;
  for (const char* name : {"kernel", "slab", "kernel_stack", "pagetables", "page_tables", "sock", "sockets", "percpu",
                           "vmalloc", "pipes", "bpf"}) {
    out += share_of(of, name);
  }
  return out;
}

class Judge {
 public:
  explicit Judge(const Incident& incident) : incident_(incident) {}
  std::optional<Verdict> run();

 private:
  JudgedCause& add(Cause cause, double confidence, std::string reason) {
    causes_.push_back({cause, confidence, {std::move(reason)}, {}});
    return causes_.back();
  }
  void by_order();
  void by_scope();
  void by_limit_above();
  void by_kind();
  void by_page_cache(double share, double sure, std::string reason);
  void by_processes();
  void by_heap(const RuntimeSetting& one, std::uint64_t limit);
  void by_sums(const std::vector<RuntimeSetting>& settings, std::uint64_t limit);
  void by_settings();
  void of_go(double sure, std::string reason);
  [[nodiscard]] bool is_go() const;
  void by_course();
  void rank_kind_first();
  void rank_scope_first();
  void weigh_evidence();

  const Incident& incident_;
  std::vector<JudgedCause> causes_;
};

// Somebody's deed: no other cause is looked for.
void Judge::by_order() {
  if (incident_.oom && incident_.oom->sysrq) {
    add(Cause::kAskedFor, 0.95, "the kill was asked for by sysrq-f: no memory was exhausted");
  } else if (incident_.oom && incident_.oom->limit_lowered) {
    add(Cause::kLimitLowered, 0.9, "the limit was set below what was in use");
  }
}

void Judge::by_limit_above() {
  const Limit& limit = incident_.limit;
  if (!is_limit_of_pod(incident_)) {
    add(Cause::kAncestorLimit, 0.9,
        "the limit that was hit is that of " + (limit.cgroup_path.empty() ? "a cgroup above" : limit.cgroup_path) +
            ", not its own");
    return;
  }
  JudgedCause& out =
      add(Cause::kAncestorLimit, limit.own_usage_bytes ? 0.9 : 0.6,
          "the limit that was hit is that of its pod" +
              (limit.own_usage_bytes ? ", of which it held " + format_size(*limit.own_usage_bytes) : ""));
  if (!limit.own_usage_bytes) {
    out.reasons_against.emplace_back("how much of it this container held is not known");
  }
}

void Judge::by_scope() {
  switch (incident_.scope) {
    case Scope::kMemcg:
      return;
    case Scope::kAncestor:
      if (!is_own_limit(incident_)) {
        by_limit_above();
      }
      return;
    case Scope::kHost: {
      JudgedCause& out = add(Cause::kHostExhausted, 0.9, "no cgroup's limit was hit: the machine had no memory left");
      if (!incident_.ranking || incident_.ranking->by_usage.empty()) {
        out.confidence = 0.75;
        out.reasons_against.emplace_back("who held the machine's memory is not known");
      } else if (!incident_.ranking->incomplete.empty()) {
        out.reasons_against.push_back("the ranking of holders may be wrong: " + incident_.ranking->incomplete);
      }
      if (incident_.evidence.oom_tier == "polling") {
        out.confidence = std::min(out.confidence, 0.6);
        out.reasons_against.emplace_back(
            "a counter alone told of it: the memory nodes of a cpuset or of a memory policy may have been exhausted "
            "instead");
      }
      return;
    }
    case Scope::kCpuset:
      add(Cause::kCpuset, 0.9, "the memory nodes that the cpuset allows were exhausted");
      return;
    case Scope::kMempolicy:
      add(Cause::kMempolicy, 0.9, "the memory nodes that the memory policy allows were exhausted");
      return;
  }
}

void Judge::by_kind() {
  if (!incident_.composition) {
    return;
  }
  const Composition& of = *incident_.composition;
  // Shares of growth alone, and what is left by difference, tell less than the kernel's own list.
  const double sure = of.source == CompositionSource::kKernelLog ? 0.9 : 0.7;
  const auto told = [&](double share, const char* what) {
    return percent_words(share) +
           (of.source == CompositionSource::kGrowth ? " of the growth was " : " of the memory was ") + what;
  };
  if (const double share = share_of(of, "shmem"); share >= kMostly) {
    add(Cause::kTmpfs, sure,
        told(share,
             "shared memory: files in a tmpfs, memfd or System V segments, which only a "
             "deletion frees"));
  }
  if (const double share = kernel_share(of); share >= kMostly) {
    add(Cause::kKernelMemory, sure, told(share, "the kernel's own: slab, sockets, pipes, page tables, stacks"));
  }
  by_page_cache(share_of(of, "file"), sure, told(share_of(of, "file"), "page cache"));
}

void Judge::by_page_cache(double share, double sure, std::string reason) {
  if (share < kMostly) {
    return;
  }
  JudgedCause& out = add(Cause::kPageCache, sure, std::move(reason));
  if (incident_.composition->source == CompositionSource::kKernelLog) {
    out.reasons_for.emplace_back("it was there still when the kernel had tried to drop it");
    return;
  }
  // What grew as page cache may have been dropped again. What the victim maps of files cannot be, where it is locked.
  if (!incident_.victims.empty() && incident_.usage_bytes &&
      incident_.victims.front().file_bytes >= *incident_.usage_bytes / 2) {
    out.reasons_for.push_back("the victim had " + format_size(incident_.victims.front().file_bytes) +
                              " of files mapped");
    return;
  }
  out.confidence -= 0.2;
  out.reasons_against.emplace_back("page cache is dropped before anybody is killed, unless it is dirty or locked");
}

void Judge::by_processes() {
  std::uint64_t count = 0;
  double largest = 1;
  if (const auto& processes = incident_.processes; processes && processes->total_bytes > 0) {
    count = processes->count;
    largest = static_cast<double>(processes->largest_bytes) / static_cast<double>(processes->total_bytes);
  } else if (incident_.burst && !incident_.burst->programs.empty()) {
    count = incident_.burst->programs.front().processes;
    largest = count > 0 ? 1.0 / static_cast<double>(count) : 1;
  }
  if (count >= 6 && largest <= 0.35) {
    add(Cause::kManyProcesses, incident_.processes ? 0.85 : 0.7,
        std::to_string(count) + " processes shared the memory, the largest held " + percent_words(largest));
  }
}

bool Judge::is_go() const {
  return incident_.burst && std::ranges::any_of(incident_.burst->stacks, [](const auto& stack) {
           return std::ranges::any_of(stack.frames,
                                      [](const Frame& frame) { return frame.name.starts_with("runtime."); });
         });
}

void Judge::by_heap(const RuntimeSetting& one, std::uint64_t limit) {
  const std::string where = one.name + (one.from.empty() || one.from == one.name ? "" : " in " + one.from);
  if (one.name == "-XX:MaxRAMPercentage") {
    add(Cause::kRuntimeHeapVsLimit, 0.8,
        where + " lets the heap take " + one.value + " % of the limit, and there is more than the heap");
    return;
  }
  const std::string sizes = format_size(one.bytes.value_or(0)) + ", the limit is " + format_size(limit);
  if (one.name == "GOMEMLIMIT") {
    of_go(0.75, where + " lets Go's runtime take " + sizes);
  } else if (one.name == "DOTNET_GCHeapHardLimit") {
    add(Cause::kRuntimeHeapVsLimit, 0.6, where + " lets the heap grow to " + sizes)
        .reasons_against.emplace_back("whether it is a program of .NET is not known");
  } else {
    add(Cause::kRuntimeHeapVsLimit, 0.9,
        where + " lets the heap grow to " + sizes + ", and there is more than the heap");
  }
}

void Judge::of_go(double sure, std::string reason) {
  JudgedCause& out = add(Cause::kRuntimeHeapVsLimit, is_go() ? sure : 0.6, std::move(reason));
  if (!is_go()) {
    out.reasons_against.emplace_back("whether it is a Go program is not known");
  }
}

// Parts of one process that may be more than the limit together, though none is alone.
void Judge::by_sums(const std::vector<RuntimeSetting>& settings, std::uint64_t limit) {
  const auto find = [&](std::string_view name) {
    const auto found = std::ranges::find(settings, name, &RuntimeSetting::name);
    return found == settings.end() ? nullptr : &*found;
  };
  const auto bytes = [&](std::string_view name) {
    const RuntimeSetting* const found = find(name);
    return found != nullptr ? found->bytes.value_or(0) : 0;
  };
  const std::uint64_t heap = std::max(bytes("-Xmx"), bytes("-XX:MaxHeapSize"));
  const std::uint64_t java = heap + bytes("-XX:MaxDirectMemorySize") + bytes("-XX:MaxMetaspaceSize");
  if (heap > 0 && java >= limit) {
    add(Cause::kRuntimeHeapVsLimit, 0.7,
        "heap, direct memory and metaspace may take " + format_size(java) + " together, the limit is " +
            format_size(limit));
  }
  const std::uint64_t shared = bytes("shared_buffers");
  const std::uint64_t each = bytes("work_mem");
  const RuntimeSetting* const connections = find("max_connections");
  const std::uint64_t count = connections != nullptr ? std::strtoull(connections->value.c_str(), nullptr, 10) : 0;
  if (count > 0 && count < 100'000 && each > 0 && each < (1ULL << 40U) && shared + each * count >= limit) {
    add(Cause::kRuntimeHeapVsLimit, 0.6,
        "shared_buffers and work_mem for each of " + std::to_string(count) + " connections may take " +
            format_size(shared + each * count) + ", the limit is " + format_size(limit));
  }
  const RuntimeSetting* const collects = find("GOGC");
  if (collects != nullptr && collects->value == "off" && bytes("GOMEMLIMIT") == 0) {
    of_go(0.85, "GOGC=off, and no GOMEMLIMIT: Go's heap is never collected");
  }
}

void Judge::by_settings() {
  if (!incident_.limit.bytes) {
    return;
  }
  if (const RuntimeSetting* const heap = heap_above(incident_.settings, *incident_.limit.bytes)) {
    by_heap(*heap, *incident_.limit.bytes);
    return;
  }
  // Those of one process stand together.
  for (std::size_t i = 0; i < incident_.settings.size();) {
    std::vector<RuntimeSetting> one;
    do {
      one.push_back(incident_.settings[i++]);
    } while (i < incident_.settings.size() && incident_.settings[i].pid == one.front().pid &&
             incident_.settings[i].comm == one.front().comm);
    const std::size_t before = causes_.size();
    by_sums(one, *incident_.limit.bytes);
    if (causes_.size() > before) {
      return;
    }
  }
}

void Judge::by_course() {
  for (JudgedCause& one : judge_course(incident_)) {
    causes_.push_back(std::move(one));
  }
  const auto& swap = incident_.swap;
  if (swap && swap->limit_bytes && swap->usage_bytes && *swap->limit_bytes > 0 && swap->kind == "memory.swap.max" &&
      *swap->usage_bytes >= *swap->limit_bytes / 50 * 49) {
    add(Cause::kSwapFull, 0.4, "its swap of " + format_size(*swap->limit_bytes) + " was full as well");
  }
}

// How fast it came, how many took it and what a heap may be say little where it was no program's own memory.
void Judge::rank_kind_first() {
  const auto of_kind = [](Cause cause) {
    return cause == Cause::kTmpfs || cause == Cause::kKernelMemory || cause == Cause::kPageCache;
  };
  const auto kind = std::ranges::find_if(causes_, [&](const JudgedCause& one) { return of_kind(one.cause); });
  if (kind == causes_.end()) {
    return;
  }
  const double most = kind->confidence - 0.1;
  const std::string reason = kind->reasons_for.front();
  for (JudgedCause& one : causes_) {
    if (one.cause == Cause::kLimitTooSmallForBurst || one.cause == Cause::kLeak ||
        one.cause == Cause::kGrowthToPlateau || one.cause == Cause::kManyProcesses ||
        one.cause == Cause::kRuntimeHeapVsLimit) {
      one.confidence = std::min(one.confidence, std::min(most, 0.6));
      one.reasons_against.push_back(reason);
    }
  }
}

// Whose limit it was is known: how it was used up comes second.
void Judge::rank_scope_first() {
  if (is_own_limit(incident_) || causes_.empty()) {
    return;
  }
  const double most = causes_.front().confidence - 0.1;
  for (std::size_t i = 1; i < causes_.size(); ++i) {
    causes_[i].confidence = std::min(causes_[i].confidence, most);
  }
}

// What is missing or contradicts itself makes everything less sure.
void Judge::weigh_evidence() {
  double penalty = 0;
  std::vector<std::string> doubts;
  const Evidence& evidence = incident_.evidence;
  const auto doubt = [&](double cost, std::string words) {
    penalty += cost;
    doubts.push_back(std::move(words));
  };
  if (evidence.lost_critical + evidence.lost_bulk > 0) {
    doubt(0.1, std::to_string(evidence.lost_critical + evidence.lost_bulk) + " records were lost");
  }
  if (evidence.charge_tier == "sampled") {
    doubt(0.1, "usage was sampled, not seen at each charge");
  }
  if (incident_.kind == IncidentKind::kOom && is_own_limit(incident_) && incident_.limit.bytes &&
      incident_.usage_bytes && *incident_.usage_bytes < *incident_.limit.bytes / 10 * 9) {
    doubt(0.2, "contradiction: only " + format_size(*incident_.usage_bytes) + " were in use, below the limit");
  }
  if (!incident_.victims.empty() && incident_.usage_bytes && is_own_limit(incident_) &&
      saturating_sub(incident_.victims.front().anon_bytes, *incident_.usage_bytes) > *incident_.usage_bytes / 8) {
    doubt(0.2, "contradiction: the victim held more than was in use");
  }
  const bool of_a_kind = incident_.composition.has_value();
  for (JudgedCause& one : causes_) {
    one.confidence = std::clamp(one.confidence - penalty, 0.05, kSurest);
    one.reasons_against.insert(one.reasons_against.end(), doubts.begin(), doubts.end());
    if (!of_a_kind && is_own_limit(incident_) && one.cause != Cause::kAskedFor && one.cause != Cause::kLimitLowered) {
      one.confidence = std::min(one.confidence, 0.7);
      one.reasons_against.emplace_back("what kind of memory it was is not known");
    }
  }
}

std::optional<Verdict> Judge::run() {
  if (incident_.end) {
    causes_.push_back(judge_end(incident_));
    if (incident_.evidence.lost_critical + incident_.evidence.lost_bulk > 0) {
      causes_.back().confidence -= 0.1;
      causes_.back().reasons_against.emplace_back("records were lost");
    }
    Verdict out{causes_, {}};
    out.text = verdict_text(incident_, out);
    return out;
  }
  if (incident_.kind == IncidentKind::kBurst) {
    const auto& limit = incident_.limit.bytes;
    if (!incident_.burst || !limit || incident_.burst->peak_bytes < *limit / 10 * 9) {
      return std::nullopt;
    }
  } else if (incident_.kind != IncidentKind::kOom || incident_.stuck) {
    return std::nullopt;
  }
  by_order();
  if (causes_.empty()) {
    by_scope();
    by_kind();
    by_processes();
    by_settings();
    by_course();
    rank_kind_first();
    rank_scope_first();
  }
  weigh_evidence();
  if (causes_.empty()) {
    JudgedCause& out = add(Cause::kUnknown, 0.2, "nothing that was recorded tells how it came about");
    out.reasons_against.emplace_back(incident_.burst ? "no history before the rise" : "no rise was seen before it");
  }
  std::ranges::stable_sort(causes_, std::ranges::greater{}, &JudgedCause::confidence);
  Verdict out{causes_, {}};
  out.text = verdict_text(incident_, out);
  return out;
}

void collect_settings(Incident& incident) {
  const auto take = [&](std::uint32_t pid, const std::string& comm, std::vector<RuntimeSetting> settings) {
    for (RuntimeSetting& setting : settings) {
      const bool there = std::ranges::any_of(incident.settings, [&](const RuntimeSetting& one) {
        return one.name == setting.name && one.value == setting.value && one.from == setting.from && one.comm == comm;
      });
      if (!there && incident.settings.size() < 16) {
        setting.pid = pid;
        setting.comm = comm;
        incident.settings.push_back(std::move(setting));
      }
    }
  };
  incident.settings.clear();
  for (const Victim& victim : incident.victims) {
    take(victim.pid, victim.comm, effective_settings(victim.cmdline, victim.environment, victim.exe));
  }
  if (incident.burst) {
    for (const Program& program : incident.burst->programs) {
      take(0, program.comm, effective_settings(program.cmdline, "", ""));
    }
  }
}

}  // namespace

std::optional<Verdict> judge(const Incident& incident) { return Judge(incident).run(); }

void conclude(Incident& incident) {
  collect_settings(incident);
  incident.composition = incident.kind == IncidentKind::kOom ? composition_of(incident) : std::nullopt;
  incident.verdict = judge(incident);
  incident.advice = incident.verdict ? advise(incident, *incident.verdict) : std::nullopt;
}

}  // namespace memcrest
