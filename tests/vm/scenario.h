// SPDX-License-Identifier: Apache-2.0
// A scenario: something that goes wrong with memory, played for real while memcrest watches, what truly happened, and
// the judgement of what memcrest said about it.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "vm/machine.h"
#include "vm/watch.h"

namespace memcrest::scenarios {

// What was asked of `memcrest watch`.
struct Rung {
  std::string charge;
  std::string oom;
};

// Thrown where the kernel did something else than the scenario needs: nothing to judge.
struct NotPlayed : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Truth {
  std::string path;  // the cgroup that it happened in
  std::set<pid_t> killed;
  std::size_t victims = 0;  // how many processes died; more than `killed` names where some are the kernel's to choose
  std::string scope = "memcg";
  std::optional<std::uint64_t> limit_bytes;
  std::string limit_kind;
  std::string limit_path;
  std::optional<std::uint64_t> kills;  // by the kernel's own count
  std::optional<std::uint64_t> peak;   // by the kernel's own watermark
  std::uint64_t used = 0;              // what hog was asked for
  double held_ms = 0;                  // and how long it held it
  bool on_lru = true;                  // it is pages that the kernel puts on its LRU lists
  std::string memory_kind;             // what `kinds` must call it
  double kind_share = 0.95;            // and how much of the growth it is at least
  bool group = false;
  bool shared_memory = false;  // its victims share one address space
  bool sysrq = false;
  bool lowered = false;
  bool throttled = false;
  bool swap_full = false;
  bool ranked = false;
  bool stuck = false;
  std::uint64_t refusals = 0;
  std::uint64_t line = 0;  // of a breakpoint, and what is told by the `memcrest break` that set it
  std::vector<Json> own;
  bool stood_still = false;
  bool ended_well = false;  // as its action has it
  bool huge_pages = false;
};

enum class Result { kExact, kGaps, kNotPossible, kFailed };

struct Verdict {
  Result result = Result::kFailed;
  std::string detail;
};

// The cgroups of one rung: they live until memcrest has ended, since a cgroup that goes takes its counters along.
class Stage {
 public:
  Stage(const Machine& machine, std::string prefix, Rung rung)
      : machine_(machine), prefix_(std::move(prefix)), rung_(std::move(rung)) {}
  ~Stage() {
    while (!cgroups_.empty()) {
      cgroups_.pop_back();  // children before parents
    }
  }
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;

  [[nodiscard]] const Machine& machine() const { return machine_; }
  [[nodiscard]] const Rung& rung() const { return rung_; }
  Cgroup& cgroup(const std::string& name) { return add(prefix_ + name); }
  Cgroup& child(const Cgroup& parent, const std::string& name) { return add(parent.path() + "/" + name); }

 private:
  Cgroup& add(std::string path) { return *cgroups_.emplace_back(std::make_unique<Cgroup>(machine_, std::move(path))); }

  const Machine& machine_;
  std::string prefix_;
  Rung rung_;
  std::vector<std::unique_ptr<Cgroup>> cgroups_;
};

enum class Axis { kOom, kCharge };  // which ladder it puts to the test

struct Scenario {
  std::string name;
  Axis axis = Axis::kOom;
  bool main = false;                                 // part of the short form
  std::function<std::string(const Machine&)> lacks;  // why it cannot be played here; empty: it can
  std::function<Truth(Stage&)> play;
  std::function<Verdict(const Truth&, const std::vector<Json>&, const Rung&)> judge;
};

[[nodiscard]] std::vector<Scenario> oom_scenarios();
[[nodiscard]] std::vector<Scenario> machine_scenarios();  // those that only a machine of our own may suffer
[[nodiscard]] std::vector<Scenario> charge_scenarios();
[[nodiscard]] std::vector<Scenario> break_scenarios();

}  // namespace memcrest::scenarios
