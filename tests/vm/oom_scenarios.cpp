// SPDX-License-Identifier: Apache-2.0
// OOMs under a memory cgroup's limit: anywhere, no danger to anybody else.
#include <stdexcept>

#include "vm/judge.h"
#include "vm/play.h"

namespace memcrest::scenarios {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kLimit = 32 * kMiB;

// One limit, one hog that goes beyond it.
Truth over_limit(Stage& stage, const std::string& name, const std::string& words) {
  Cgroup& cgroup = stage.cgroup(name);
  cgroup.no_swap();
  cgroup.limit(kLimit);
  Truth truth = truth_of_limit(stage, cgroup, kLimit);
  play_until_killed(stage, cgroup, words, truth);
  return truth;
}

Truth clone_vm(Stage& stage) {
  // Slow enough that the sibling, which shares the memory, can be found among the members.
  Truth truth = over_limit(stage, "clone-vm", "sleep 20 clone-vm 100m");
  truth.shared_memory = true;
  return truth;
}

Truth group(Stage& stage) {
  Cgroup& cgroup = stage.cgroup("group");
  cgroup.no_swap();
  cgroup.limit(kLimit);
  cgroup.write("memory.oom.group", "1");
  Truth truth = truth_of_limit(stage, cgroup, kLimit);
  truth.group = true;
  Hog first(stage.machine(), cgroup, "sleep 60000");
  Hog second(stage.machine(), cgroup, "sleep 60000");
  truth.killed = {first.pid(), second.pid()};
  play_until_killed(stage, cgroup, "sleep 20 anon 100m", truth);
  if (!first.ends_within(5s) || !second.ends_within(5s)) {
    throw std::runtime_error("the group was not killed as a whole");
  }
  truth.victims = 3;
  return truth;
}

Truth lowered(Stage& stage) {
  constexpr std::uint64_t kHeld = 48 * kMiB;
  constexpr std::uint64_t kNew = 16 * kMiB;
  Cgroup& cgroup = stage.cgroup("lowered");
  cgroup.no_swap();
  Truth truth = truth_of_limit(stage, cgroup, kNew);
  truth.lowered = true;
  truth.used = kHeld;
  Hog hog(stage.machine(), cgroup, "anon 48m --hold 60000");
  if (!comes_true([&] { return cgroup.usage() >= kHeld; }, 20s)) {
    throw std::runtime_error("hog did not take its memory");
  }
  pause_for(300ms);  // until it sleeps: what it still charges meets the new limit itself
  cgroup.limit(kNew);
  finish(hog, cgroup, truth);
  return truth;
}

Truth ancestor(Stage& stage) {
  Cgroup& parent = stage.cgroup("ancestor");
  parent.allow_children();
  parent.no_swap();
  Cgroup& child = stage.child(parent, "inner");
  child.no_swap();
  if (stage.machine().tree.version() == 1) {
    ignore_result(write_file(parent.file("memory.use_hierarchy"), "1"));
  }
  parent.limit(kLimit);
  Truth truth = truth_of_limit(stage, parent, kLimit);
  truth.path = child.path();
  truth.scope = "ancestor";
  play_until_killed(stage, child, "anon 100m", truth);
  return truth;
}

Truth high(Stage& stage) {
  Cgroup& cgroup = stage.cgroup("high");
  cgroup.no_swap();
  cgroup.write("memory.high", std::to_string(kLimit));
  constexpr std::uint64_t kMax = kLimit + 3 * kMiB / 2;
  cgroup.limit(kMax);
  Truth truth = truth_of_limit(stage, cgroup, kMax);
  truth.throttled = true;
  play_until_killed(stage, cgroup, "anon 100m", truth);
  return truth;
}

Truth swap_full(Stage& stage) {
  Cgroup& cgroup = stage.cgroup("swap-full");
  cgroup.limit(kLimit);
  cgroup.write("memory.swap.max", std::to_string(kLimit / 4));
  Truth truth = truth_of_limit(stage, cgroup, kLimit);
  truth.swap_full = true;
  play_until_killed(stage, cgroup, "anon 100m", truth);
  return truth;
}

Truth memsw(Stage& stage) {
  constexpr std::uint64_t kBoth = kLimit + 8 * kMiB;
  Cgroup& cgroup = stage.cgroup("memsw");
  cgroup.limit(kLimit);
  cgroup.write("memory.memsw.limit_in_bytes", std::to_string(kBoth));
  Truth truth = truth_of_limit(stage, cgroup, kBoth);
  truth.limit_kind = "memory.memsw.limit_in_bytes";
  truth.swap_full = true;
  play_until_killed(stage, cgroup, "anon 100m", truth);
  truth.peak = cgroup.peak();
  return truth;
}

Truth stuck(Stage& stage) {
  Cgroup& cgroup = stage.cgroup("stuck");
  cgroup.no_swap();
  cgroup.limit(kLimit);
  cgroup.write("memory.oom_control", "1");
  Truth truth = truth_of_limit(stage, cgroup, kLimit);
  truth.stuck = true;
  Hog hog(stage.machine(), cgroup, "anon 64m");
  truth.killed = {hog.pid()};  // would be
  if (!comes_true([&] { return cgroup.event("memory.oom_control", "under_oom") == 1; }, 20s)) {
    throw std::runtime_error("hog does not hang");
  }
  pause_for(2500ms);
  cgroup.limit(4 * kLimit);
  if (!hog.ends_within(20s) || hog.exit_code() != 0) {
    throw std::runtime_error("hog did not go on after its limit was raised");
  }
  return truth;
}

Scenario of(const char* name, Truth (*play)(Stage&), std::string (*lacks)(const Machine&) = nothing_lacks) {
  return {.name = name, .lacks = lacks, .play = play, .judge = judge_oom};
}

Scenario hogging(const char* name, const char* words) {
  return {.name = name,
          .lacks = nothing_lacks,
          .play = [name, words](Stage& stage) { return over_limit(stage, name, words); },
          .judge = judge_oom};
}

}  // namespace

std::vector<Scenario> oom_scenarios() {
  std::vector<Scenario> out{hogging("anon", "anon 100m --no-thp"),
                            hogging("thp", "anon 100m --thp"),
                            hogging("tmpfs", "memfd 100m"),
                            hogging("threads", "anon 100m --threads 4"),
                            of("clone-vm", clone_vm),
                            of("group", group, only_v2),
                            of("lowered", lowered, only_v2),
                            of("ancestor", ancestor),
                            of("high", high, only_v2),
                            of("swap-full", swap_full, only_v2_with_swap),
                            of("memsw", memsw, only_v1_with_swap),
                            of("stuck", stuck, only_v1)};
  out.back().judge = judge_stuck;
  for (Scenario& scenario : out) {
    scenario.main = scenario.name == "anon" || scenario.name == "group" || scenario.name == "ancestor" ||
                    scenario.name == "lowered" || scenario.name == "clone-vm";
  }
  return out;
}

}  // namespace memcrest::scenarios
