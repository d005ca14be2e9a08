// SPDX-License-Identifier: Apache-2.0
// OOMs that concern the whole machine or a memory node: only where the machine is ours.
#include <stdexcept>

#include "vm/judge.h"
#include "vm/play.h"

namespace memcrest::scenarios {
namespace {

using namespace std::chrono_literals;

constexpr const char* kAll = "anon 64g --thp";  // more than any guest has

Truth sysrq(Stage& stage) {
  Cgroup& cgroup = stage.cgroup("sysrq");
  Truth truth{.path = cgroup.path(), .scope = "host", .sysrq = true};
  Hog hog(stage.machine(), cgroup, "anon 100m --hold 60000");
  if (!comes_true([&] { return cgroup.usage() >= 100 * kMiB; }, 20s)) {
    throw std::runtime_error("hog did not take its memory");
  }
  if (auto asked = write_file("/proc/sysrq-trigger", "f"); !asked) {
    throw std::runtime_error(asked.error().message());
  }
  finish(hog, cgroup, truth);
  return truth;
}

Truth global(Stage& stage) {
  Cgroup& idle = stage.cgroup("bystander");
  Cgroup& cgroup = stage.cgroup("global");
  cgroup.no_swap();
  Hog bystander(stage.machine(), idle, "anon 40m --hold 60000");
  if (!comes_true([&] { return idle.usage() >= 40 * kMiB; }, 20s)) {
    throw std::runtime_error("the bystander did not take its memory");
  }
  Truth truth{.path = cgroup.path(), .scope = "host", .ranked = true};
  play_until_killed(stage, cgroup, kAll, truth);
  if (bystander.ended()) {
    throw std::runtime_error("the kernel chose the bystander");
  }
  return truth;
}

Truth cpuset(Stage& stage) {
  Cgroup& cgroup = stage.cgroup("cpuset");
  cgroup.no_swap();
  cgroup.only_node(1);
  Truth truth{.path = cgroup.path(), .scope = "cpuset"};
  play_until_killed(stage, cgroup, kAll, truth);
  return truth;
}

Truth mempolicy(Stage& stage) {
  Cgroup& cgroup = stage.cgroup("mempolicy");
  cgroup.no_swap();
  Truth truth{.path = cgroup.path(), .scope = "mempolicy"};
  play_until_killed(stage, cgroup, std::string("bind 1 ") + kAll, truth);
  return truth;
}

}  // namespace

std::vector<Scenario> machine_scenarios() {
  return {{.name = "sysrq", .lacks = only_vm, .play = sysrq, .judge = judge_oom},
          {.name = "cpuset", .lacks = only_numa, .play = cpuset, .judge = judge_oom},
          {.name = "mempolicy", .lacks = only_numa, .play = mempolicy, .judge = judge_oom},
          {.name = "global", .main = true, .lacks = only_vm, .play = global, .judge = judge_oom}};
}

}  // namespace memcrest::scenarios
