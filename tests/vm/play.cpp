// SPDX-License-Identifier: Apache-2.0
#include "vm/play.h"

#include <stdexcept>

namespace memcrest::scenarios {

using namespace std::chrono_literals;

std::string nothing_lacks(const Machine& /*machine*/) { return {}; }
std::string only_v1(const Machine& machine) { return machine.tree.version() == 1 ? "" : "cgroup v1 only"; }
std::string only_v2(const Machine& machine) { return machine.tree.version() == 2 ? "" : "cgroup v2 only"; }
std::string only_v1_with_swap(const Machine& machine) {
  return machine.tree.version() != 1 ? "cgroup v1 only" : machine.swap ? "" : "no swap";
}
std::string only_v2_with_swap(const Machine& machine) {
  return machine.tree.version() != 2 ? "cgroup v2 only" : machine.swap ? "" : "no swap";
}
std::string only_vm(const Machine& machine) { return machine.vm ? "" : "would harm others"; }
std::string only_numa(const Machine& machine) {
  return !machine.vm ? "would harm others" : machine.nodes > 1 ? "" : "one memory node";
}

// Kernels leave huge pages off where there is little memory, as in a small VM.
std::string huge_pages_off(const Machine& machine) {
  const char* const kSetting = "/sys/kernel/mm/transparent_hugepage/enabled";
  if (machine.vm) {
    ignore_result(write_file(kSetting, "madvise"));
  }
  const auto now = read_file(kSetting);
  return now && !now->contains("[never]") ? "" : "huge pages are switched off";
}

Truth truth_of_limit(const Stage& stage, const Cgroup& limited, std::uint64_t bytes) {
  Truth truth;
  truth.path = limited.path();
  truth.limit_bytes = bytes;
  truth.limit_kind = stage.machine().tree.limit_file();
  truth.limit_path = limited.path();
  return truth;
}

void finish(Hog& hog, const Cgroup& cgroup, Truth& truth) {
  truth.killed.insert(hog.pid());
  const bool ended = comes_true(
      [&] {
        truth.killed.merge(cgroup.members());
        return hog.ended();
      },
      180s);  // emulated processors are slow
  if (!ended || !hog.was_killed()) {
    throw std::runtime_error(ended ? "hog ended by itself" : "hog was not killed");
  }
  truth.victims = truth.killed.size();
  truth.kills = cgroup.oom_kills();
  truth.peak = cgroup.peak();
}

void play_until_killed(Stage& stage, const Cgroup& cgroup, const std::string& words, Truth& truth) {
  Hog hog(stage.machine(), cgroup, words);
  finish(hog, cgroup, truth);
}

}  // namespace memcrest::scenarios
