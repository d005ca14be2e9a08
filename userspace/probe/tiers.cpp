// SPDX-License-Identifier: Apache-2.0
#include "probe/tiers.h"

#include <algorithm>

namespace memcrest {
namespace {

constexpr const char* kFallsSampled = "falls of usage are sampled, not seen as they happen";
constexpr const char* kNoFailures = "charges that fail without a kill are not seen";

// Why a rung that needs `role` (of `kind`) cannot be had; empty when it can.
std::string lacks(const std::vector<Hook>& hooks, std::string_view role, std::string_view kind) {
  if (best_of(hooks, role, kind) != nullptr) {
    return {};
  }
  for (const Hook& hook : hooks) {
    if (hook.role == role && (kind.empty() || hook.kind == kind)) {
      return hook.kind + "/" + hook.target + " " + to_string(hook.state) +
             (hook.reason.empty() ? "" : " (" + hook.reason + ")");
    }
  }
  return "no program for it";
}

class Builder {
 public:
  Builder(const std::vector<Hook>& hooks, const LowerRungs& lower) : hooks_(hooks), lower_(lower) {}

  // A rung of programs: all of `roles` are needed.
  Tier rung(const char* name, std::string_view kind, std::initializer_list<const char*> roles) const {
    Tier out{.name = name, .programs = {}, .misses = {}, .unavailable = lower_.bpf ? "" : lower_.no_bpf_reason};
    for (const char* role : roles) {
      if (const Hook* hook = best_of(hooks_, role, kind)) {
        out.programs.push_back(hook->program);
      } else if (out.unavailable.empty()) {
        out.unavailable = lacks(hooks_, role, kind);
      }
    }
    return out;
  }
  void also(Tier& tier, const char* role, std::string_view kind, const char* else_misses) const {
    if (const Hook* hook = best_of(hooks_, role, kind)) {
      tier.programs.push_back(hook->program);
    } else {
      tier.misses.emplace_back(else_misses);
    }
  }
  [[nodiscard]] bool sees(const char* role) const { return lower_.bpf && best_of(hooks_, role) != nullptr; }

  [[nodiscard]] std::vector<Tier> charge() const;
  [[nodiscard]] std::vector<Tier> oom() const;

 private:
  [[nodiscard]] Tier victim_rung(const char* name, std::string_view kind) const;

  const std::vector<Hook>& hooks_;
  const LowerRungs& lower_;
};

std::vector<Tier> Builder::charge() const {
  std::vector<Tier> out;
  for (const auto& [name, kind] : {std::pair{kChargeTiers[0], "fexit"}, {kChargeTiers[1], "kprobe"}}) {
    Tier tier = rung(name, kind, {"charge", "forced_charge"});
    also(tier, "uncharge", kind, kFallsSampled);
    out.push_back(std::move(tier));
  }
  Tier both = rung(kChargeTiers[2], {}, {"lru", "state"});
  both.misses = {kFallsSampled};
  Tier lru = rung(kChargeTiers[3], {}, {"lru"});
  lru.misses = {kFallsSampled, "kernel memory and sockets alone do not make a step (usage includes them)"};
  out.push_back(std::move(both));
  out.push_back(std::move(lru));
  for (Tier& tier : out) {
    // Only the page counters tell that a limit is met, and with that when to look.
    if (!sees("failure") || !(tier.name == kChargeTiers[0] || tier.name == kChargeTiers[1])) {
      tier.misses.emplace_back(kNoFailures);
    }
    if (!sees("reclaim_begin") || !sees("reclaim_end")) {
      tier.misses.emplace_back("time stalled in reclaim is not measured");
    }
    if (!sees("throttle_begin") || !sees("throttle_end")) {
      tier.misses.emplace_back("time held up by memory.high is not measured");
    }
  }
  out.push_back(
      {.name = kChargeTiers[4],
       .programs = {},
       .misses = {"usage is read every 20 ms at best: shorter bursts are missed, and nobody is named for growth",
                  kNoFailures},
       .unavailable = lower_.cgroup_files ? "" : "no cgroup hierarchy with the memory controller is mounted"});
  return out;
}

Tier Builder::victim_rung(const char* name, std::string_view kind) const {
  Tier tier;
  if (kind.empty()) {
    tier = rung(name, {}, {"victim"});
    tier.misses.emplace_back(lower_.kernel_log
                                 ? "order, gfp mask and constraint come from the kernel log"
                                 : "order, gfp mask and constraint are not shown; the limit that was hit is found by "
                                   "walking the ancestors");
  } else {
    tier = rung(name, kind, {"oom"});
    also(tier, "victim", {}, "victims are not described");
    if (best_of(hooks_, "victim") == nullptr && tier.unavailable.empty()) {
      tier.unavailable = lacks(hooks_, "victim", {});
    }
  }
  if (!sees("signal")) {
    tier.misses.emplace_back("processes that die for sharing a victim's memory are not seen");
    if (lower_.mark_victim_pid) {
      tier.misses.emplace_back("victims are known by pid only: this kernel's mark_victim says no more");
    }
  }
  return tier;
}

std::vector<Tier> Builder::oom() const {
  std::vector<Tier> out{victim_rung(kOomTiers[0], "fentry"), victim_rung(kOomTiers[1], "kprobe"),
                        victim_rung(kOomTiers[2], {})};
  out.push_back({.name = kOomTiers[3],
                 .programs = {},
                 .misses = {"only what the kernel log says: no stacks, no limits of ancestors, nothing that the log's "
                            "rate limit left out"},
                 .unavailable = lower_.kernel_log ? "" : lower_.no_kmsg_reason});
  out.push_back(
      {.name = kOomTiers[4],
       .programs = {},
       .misses = {"kills are counted, victims are not known; a cgroup that goes at once takes its count along",
                  "the host's own OOM kills outside of cgroups with a count are not seen"},
       .unavailable = lower_.cgroup_files ? "" : "no cgroup hierarchy with the memory controller is mounted"});
  return out;
}

}  // namespace

bool Tier::uses(std::string_view program) const { return std::ranges::find(programs, program) != programs.end(); }

const Hook* best_of(const std::vector<Hook>& hooks, std::string_view role, std::string_view kind) {
  const auto found = std::ranges::find_if(hooks, [&](const Hook& hook) {
    return hook.role == role && hook.state == HookState::kAvailable && (kind.empty() || hook.kind == kind);
  });
  return found == hooks.end() ? nullptr : &*found;
}

Ladder build_ladder(const std::vector<Hook>& hooks, const LowerRungs& lower) {
  const Builder builder(hooks, lower);
  return {builder.charge(), builder.oom()};
}

Result<Tier> choose(const std::vector<Tier>& rungs, const std::optional<std::string>& wish) {
  std::string why;
  for (const Tier& tier : rungs) {
    if (wish && tier.name != *wish) {
      continue;
    }
    if (tier.unavailable.empty()) {
      return tier;
    }
    why += (why.empty() ? "" : "; ") + tier.name + ": " + tier.unavailable;
  }
  return fail("choose a tier", wish.value_or(""), 0, why.empty() ? "no such tier" : why);
}

std::vector<std::string> side_programs(const std::vector<Hook>& hooks) {
  std::vector<std::string> out;
  for (const char* role : {"signal", "mkdir", "rmdir", "exec", "exit"}) {
    if (const Hook* hook = best_of(hooks, role)) {
      out.push_back(hook->program);
    }
  }
  // Both ends or neither: a beginning without an end would be a stall that never ends.
  const std::pair<const char*, const char*> pairs[] = {{"reclaim_begin", "reclaim_end"},
                                                       {"throttle_begin", "throttle_end"}};
  for (const auto& [begin_role, end_role] : pairs) {
    const Hook* begin = best_of(hooks, begin_role);
    const Hook* end = best_of(hooks, end_role);
    if (begin != nullptr && end != nullptr) {
      out.push_back(begin->program);
      out.push_back(end->program);
    }
  }
  if (const Hook* hook = best_of(hooks, "failure")) {
    // A kretprobe does not see what was asked for: its beginning does.
    if (const Hook* begin = best_of(hooks, "failure_begin"); begin != nullptr && hook->kind == "kretprobe") {
      out.push_back(begin->program);
    }
    out.push_back(hook->program);
  }
  return out;
}

}  // namespace memcrest
