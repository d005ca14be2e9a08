// SPDX-License-Identifier: Apache-2.0
// Plays every scenario on every rung that this kernel has, against the built `memcrest watch`, and writes one line of
// JSON for each to standard output. Exit code 1 when memcrest got one wrong, 2 when it could not be tried at all.
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <iostream>
#include <map>
#include <stdexcept>

#include "vm/judge.h"

namespace memcrest::scenarios {
namespace {

using namespace std::chrono_literals;

struct Options {
  std::string memcrest = MEMCREST_BINARY;
  std::string hog = MEMCREST_HOG;
  std::string label;
  bool vm = false;
  bool short_form = false;
  std::string only;  // scenarios whose names begin so
  std::string oom;   // one rung
  std::string charge;
  bool verbose = false;
};

const char* name_of(Result result) {
  switch (result) {
    case Result::kExact:
      return "exact";
    case Result::kGaps:
      return "gaps";
    case Result::kNotPossible:
      return "not_possible";
    case Result::kFailed:
      return "FAILED";
  }
  return "";
}

struct Tried {
  Rung rung;
  bool oom = true;     // play the OOM scenarios
  bool charge = true;  // play the charge scenarios
};

// What `memcrest check` says of a ladder: names in order, and why not where one cannot be had.
struct Ladder {
  std::vector<std::string> possible;
  std::vector<std::pair<std::string, std::string>> impossible;
};

Ladder read_ladder(const Json& rungs) {
  Ladder out;
  for (const Json& rung : rungs) {
    if (rung["available"] == true) {
      out.possible.push_back(rung["name"]);
    } else {
      out.impossible.emplace_back(rung["name"], rung["reason"]);
    }
  }
  return out;
}

// Each OOM rung with the charge rung that stands beside it, then the charge rungs that are left with the best OOM rung.
std::vector<Tried> pair_up(const Ladder& charge, const Ladder& oom) {
  const std::map<std::string, std::vector<std::string>> beside{{"oom_kill_process", {"page_counter"}},
                                                               {"oom_kill_process-kprobe", {"page_counter-kprobe"}},
                                                               {"mark_victim", {"lru+state", "lru"}},
                                                               {"kmsg", {"lru", "sampled"}},
                                                               {"polling", {"sampled"}}};
  std::vector<Tried> out;
  std::set<std::string> used;
  for (const std::string& name : oom.possible) {
    std::string partner = charge.possible.front();
    for (const std::string& wish : beside.contains(name) ? beside.at(name) : std::vector<std::string>{}) {
      if (std::ranges::find(charge.possible, wish) != charge.possible.end()) {
        partner = wish;
        break;
      }
    }
    out.push_back({{partner, name}, true, used.insert(partner).second});
  }
  for (const std::string& name : charge.possible) {
    if (used.insert(name).second) {
      out.push_back({{name, oom.possible.front()}, false, true});
    }
  }
  return out;
}

class Runner {
 public:
  Runner(const Options& options, Machine machine) : options_(options), machine_(std::move(machine)) {
    for (auto* list : {&oom_scenarios, &machine_scenarios, &charge_scenarios, &break_scenarios}) {
      std::ranges::move((*list)(), std::back_inserter(scenarios_));
    }
    std::erase_if(scenarios_, [&](const Scenario& one) {
      return (options.short_form && !one.main) || !one.name.starts_with(options.only);
    });
  }

  int run();

 private:
  void try_rung(const Tried& tried, int number);
  void refuse(const std::string& option, const std::pair<std::string, std::string>& rung, Axis axis);
  void tell(const Rung& rung, const std::string& scenario, const Verdict& verdict);
  [[nodiscard]] std::vector<std::string> command(const std::vector<std::string>& more) const {
    std::vector<std::string> argv{options_.memcrest, "watch", "--json"};
    argv.insert(argv.end(), more.begin(), more.end());
    return argv;
  }

  const Options& options_;
  Machine machine_;
  std::vector<Scenario> scenarios_;
  bool failed_ = false;
};

void Runner::tell(const Rung& rung, const std::string& scenario, const Verdict& verdict) {
  failed_ = failed_ || verdict.result == Result::kFailed;
  std::cout << Json({{"kernel", options_.label.empty() ? machine_.kernel : options_.label},
                     {"release", machine_.kernel},
                     {"cgroup_version", machine_.tree.version()},
                     {"charge_tier", rung.charge},
                     {"oom_tier", rung.oom},
                     {"scenario", scenario},
                     {"result", name_of(verdict.result)},
                     {"detail", verdict.detail}})
                   .dump(-1, ' ', false, Json::error_handler_t::replace)
            << std::endl;
}

void Runner::try_rung(const Tried& tried, int number) {
  struct Played {
    const Scenario* scenario;
    Truth truth;
    std::string problem;
  };
  const Rung& rung = tried.rung;
  std::vector<Played> played;
  std::vector<std::string> not_played;  // paths where something else happened than was to be judged
  const std::string prefix = "/mc-" + std::to_string(::getpid()) + "-" + std::to_string(number) + "-";
  Stage stage(machine_, prefix, rung);
  Watch watch(command({"--charge-tier", rung.charge, "--oom-tier", rung.oom, "--burst-min", "8MiB"}));
  if (!watch.attached()) {
    tell(rung, "attach", {Result::kFailed, "watch did not attach: " + watch.log()});
    return;
  }
  for (const Scenario& scenario : scenarios_) {
    if (!(scenario.axis == Axis::kOom ? tried.oom : tried.charge)) {
      continue;
    }
    if (const std::string lacks = scenario.lacks(machine_); !lacks.empty()) {
      tell(rung, scenario.name, {Result::kNotPossible, lacks});
      continue;
    }
    Played one{&scenario, {}, {}};
    try {
      one.truth = scenario.play(stage);
    } catch (const NotPlayed& other) {
      tell(rung, scenario.name, {Result::kNotPossible, other.what()});
      not_played.push_back(prefix + scenario.name);
      continue;
    } catch (const std::exception& error) {
      one.problem = error.what();
    }
    // Who held the machine's memory is read when the kill is handled, which takes its time under emulation: the next
    // scenario would be in that list.
    const auto pause = one.truth.ranked ? 1500ms : rung.oom == "kmsg" || rung.oom == "mark_victim" ? 400ms : 50ms;
    played.push_back(std::move(one));
    // The kernel dumps at most ten OOMs in five seconds into its log.
    pause_for(pause);
  }
  pause_for(rung.oom == "polling" || rung.charge == "sampled" ? 2000ms : 1200ms);
  const int code = watch.stop();
  const std::vector<Json> told = watch.incidents();
  if (options_.verbose) {
    for (const Json& incident : told) {
      std::cerr << incident.dump() << "\n";
    }
    std::cerr << watch.log();
  }
  if (watch.bad_lines() > 0) {
    tell(rung, "output", {Result::kFailed, std::to_string(watch.bad_lines()) + " lines that are no incident"});
  }
  for (const Json& incident : told) {
    const std::string path = incident["cgroup"]["path"].is_string() ? incident["cgroup"]["path"] : Json("");
    const bool known = std::ranges::any_of(played, [&](const Played& one) { return is_about(incident, one.truth); }) ||
                       std::ranges::find(not_played, path) != not_played.end();
    // Bursts happen beside the scenarios too; and a machine that is not ours has OOMs of its own.
    if (incident["kind"] != "burst" && !known && (machine_.vm || path.starts_with(prefix))) {
      tell(rung, "unexpected", {Result::kFailed, incident.dump()});
    }
  }
  for (const Played& one : played) {
    tell(rung, one.scenario->name,
         one.problem.empty() ? one.scenario->judge(one.truth, told, rung)
                             : Verdict{Result::kFailed, "could not be played: " + one.problem});
  }
  if (code != 0) {
    tell(rung, "end", {Result::kFailed, "watch ended with " + std::to_string(code) + ": " + watch.log()});
  }
}

// A rung that this kernel does not have must be refused in words, with exit code 3.
void Runner::refuse(const std::string& option, const std::pair<std::string, std::string>& rung, Axis axis) {
  Watch watch(command({option, rung.first}));
  const bool attached = watch.attached();
  const int code = watch.stop();
  const Rung asked{axis == Axis::kCharge ? rung.first : "", axis == Axis::kOom ? rung.first : ""};
  const bool right = !attached && code == 3 && !watch.log().empty();
  tell(asked, "attach",
       right ? Verdict{Result::kNotPossible, rung.second}
             : Verdict{Result::kFailed, "cannot be had (" + rung.second + "), but watch " +
                                            (attached ? "attached" : "ended with " + std::to_string(code)) + ": " +
                                            watch.log()});
}

int Runner::run() {
  int code = 0;
  const Json check = Json::parse(output_of({options_.memcrest, "check", "--json"}, &code), nullptr, false);
  if (!check.is_object()) {
    throw std::runtime_error("memcrest check ended with " + std::to_string(code) + " and no JSON");
  }
  const Ladder charge = read_ladder(check["charge_tiers"]);
  const Ladder oom = read_ladder(check["oom_tiers"]);
  if (charge.possible.empty() || oom.possible.empty()) {
    throw std::runtime_error("memcrest sees no way to watch this kernel");
  }
  if (!options_.short_form && options_.oom.empty() && options_.charge.empty()) {
    for (const auto& one : charge.impossible) {
      refuse("--charge-tier", one, Axis::kCharge);
    }
    for (const auto& one : oom.impossible) {
      refuse("--oom-tier", one, Axis::kOom);
    }
  }
  std::vector<Tried> rungs = pair_up(charge, oom);
  std::erase_if(rungs, [&](const Tried& one) {
    return (!options_.oom.empty() && one.rung.oom != options_.oom) ||
           (!options_.charge.empty() && one.rung.charge != options_.charge);
  });
  if (options_.short_form && rungs.size() > 2) {
    rungs = {rungs.front(), rungs[std::min<std::size_t>(2, rungs.size() - 1)]};
  }
  int number = 0;
  for (const Tried& one : rungs) {
    try_rung(one, ++number);
  }
  std::cout << Json({{"scenarios_done", number}}).dump() << std::endl;
  return failed_ ? 1 : 0;
}

constexpr const char* kHelp =
    "usage: scenarios [--memcrest FILE] [--hog FILE] [--label NAME] [--vm] [--short] [--only START-OF-NAME]\n"
    "                 [--oom-tier T] [--charge-tier T] [--verbose]\n"
    "  --vm       this machine is ours: global OOMs and sysrq may be tried\n"
    "  --short    the main scenarios, on the best rung and one lower\n"
    "  --verbose  every incident, and what watch said, to standard error\n";

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    const std::map<std::string, std::string*> values{
        {"--memcrest", &options.memcrest}, {"--hog", &options.hog},      {"--label", &options.label},
        {"--only", &options.only},         {"--oom-tier", &options.oom}, {"--charge-tier", &options.charge}};
    const std::map<std::string, bool*> flags{
        {"--vm", &options.vm}, {"--short", &options.short_form}, {"--verbose", &options.verbose}};
    if (flags.contains(name)) {
      *flags.at(name) = true;
    } else if (values.contains(name) && i + 1 < argc) {
      *values.at(name) = argv[++i];
    } else {
      throw std::invalid_argument(kHelp);
    }
  }
  return options;
}

}  // namespace
}  // namespace memcrest::scenarios

int main(int argc, char** argv) {
  using namespace memcrest::scenarios;
  try {
    const Options options = parse(argc, argv);
    return Runner(options, Machine::look(options.memcrest, options.hog, options.vm)).run();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "scenarios: %s\n", error.what());
    return 2;
  }
}
