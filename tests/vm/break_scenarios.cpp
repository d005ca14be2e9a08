// SPDX-License-Identifier: Apache-2.0
// Memory breakpoints: on each charge rung that runs in the allocating task's context whoever crosses a line stands
// still there, and what is 5 % above is never reached. A `memcrest break` of its own, beside the watch of all
// scenarios.
#include <unistd.h>

#include <stdexcept>

#include "vm/judge.h"
#include "vm/play.h"

namespace memcrest::scenarios {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kLine = 40 * kMiB;
constexpr std::uint64_t kAbove = 42 * kMiB;  // 5 %

// All threads of a process are stopped, or it is gone.
bool is_stopped(pid_t pid) {
  const auto status = read_file("/proc/" + std::to_string(pid) + "/status");
  return status && status->contains("\nState:\tT");
}

Truth crossing(Stage& stage, const std::string& name, const std::string& words, const std::string& action) {
  const Machine& machine = stage.machine();
  Cgroup& cgroup = stage.cgroup(name);
  cgroup.no_swap();
  cgroup.limit(kAbove);
  Truth truth = truth_of_limit(stage, cgroup, kAbove);
  truth.line = kLine;
  truth.huge_pages = words.contains("--thp");
  std::vector<std::string> argv{machine.memcrest,      "break",      "--json",         "--charge-tier",
                                stage.rung().charge,   "--oom-tier", stage.rung().oom, "--at",
                                std::to_string(kLine), "--cgroup",   cgroup.path()};
  const bool stops = action.empty();
  argv.insert(argv.end(), {stops ? "--hold" : "--signal", stops ? "1s" : action});
  Watch watch(argv, "breaking at");
  if (!watch.attached()) {
    throw std::runtime_error("break did not attach: " + watch.log());
  }
  pause_for(2s);  // until its line is set, on a busy machine too
  Hog hog(machine, cgroup, words);
  truth.stood_still = stops && comes_true([&] { return is_stopped(hog.pid()) || hog.ended(); }, 30s) && !hog.ended();
  if (!hog.ends_within(60s)) {
    throw std::runtime_error("hog never came to its end");
  }
  truth.ended_well = stops ? hog.exit_code() == 0 : hog.was_killed();
  truth.kills = cgroup.oom_kills();
  pause_for(300ms);
  if (const int code = watch.stop(); code != 0) {
    throw std::runtime_error("break ended with " + std::to_string(code) + ": " + watch.log());
  }
  truth.own = watch.incidents();
  return truth;
}

Scenario scenario(const char* name, const char* words, const char* signal, bool main,
                  std::string (*lacks)(const Machine&) = nothing_lacks) {
  return {.name = name,
          .axis = Axis::kCharge,
          .main = main,
          .lacks = lacks,
          .play = [=](Stage& stage) { return crossing(stage, name, words, signal); },
          .judge = judge_break};
}

}  // namespace

std::vector<Scenario> break_scenarios() {
  return {scenario("break-stop", "anon 41m --no-thp --hold 400", "", true),
          // What they want is far above the limit: whoever is not caught in time dies of an OOM.
          scenario("break-fast", "anon 200m --no-thp --hold 100", "KILL", true),
          scenario("break-threads", "anon 200m --no-thp --threads 4 --hold 100", "KILL", false),
          scenario("break-thp", "anon 200m --thp --hold 100", "KILL", false, huge_pages_off)};
}

}  // namespace memcrest::scenarios
