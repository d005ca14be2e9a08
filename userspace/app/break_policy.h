// SPDX-License-Identifier: Apache-2.0
// What the agent has done at lines: it chooses the containers, by their labels and the configuration, and tells what
// came of it; the runner acts. One thread, that of the collector.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "app/break_runner.h"
#include "event/injected_source.h"
#include "identity/cgroup_tree.h"
#include "identity/resolver.h"
#include "memcrest/clock.h"
#include "probe/features.h"
#include "probe/loader.h"

namespace memcrest {

class BreakPolicy {
 public:
  // Forks the runner: before threads are started, with all privileges.
  [[nodiscard]] static Result<std::unique_ptr<BreakPolicy>> start(const BreakPolicyOptions& options,
                                                                  CmdlineDetail cmdlines, const Clock& clock);

  // Where the hooks are loaded and run.
  [[nodiscard]] Result<void> take(LoadedProbe& probe);
  // And what they came to: without one that sees charges there is no policy, which is said.
  void attached(const Features& features);

  // Hits whose records were lost: to be merged with the other sources, and polled by the thread that calls tick().
  [[nodiscard]] std::unique_ptr<EventSource> lost_hits();

  void observe(std::span<const Event> events);
  // Chooses among cgroups whose names have come.
  void tick(Resolver& resolver, const CgroupTree& tree);
  // Adds to a breakpoint's incident what was done. False: it is part of one that was told.
  [[nodiscard]] bool complete(Incident& incident);
  // Incidents that are over now, to be told again.
  [[nodiscard]] std::vector<Incident> updates();

  // Lets everybody go, and waits for it. What is over then.
  [[nodiscard]] std::vector<Incident> finish();

  // By action and result ("done", "failed").
  using Counts = std::map<std::pair<std::string, std::string>, std::uint64_t>;
  [[nodiscard]] const Counts& counts() const { return counts_; }

 private:
  using Key = std::pair<std::uint64_t, std::uint64_t>;  // time of the hit, cgroup: the oldest first
  using Told = std::map<Key, std::pair<Incident, std::string>>;
  struct Candidate {
    std::string path;
    std::uint64_t since_ns = 0;
  };

  BreakPolicy(BreakPolicyOptions options, BreakRunner runner, const Clock& clock)
      : options_(std::move(options)), runner_(std::move(runner)), clock_(clock) {}
  // True: there is nothing more to wait for.
  [[nodiscard]] bool decide(std::uint64_t cgroup_id, const Candidate& one, Resolver& resolver);
  void take(BreakRunner::Answer answer);
  void count(const Incident& incident, const std::string& action);
  void close(Told::iterator told);
  void close_told(const std::string& why);
  void tell_if_gone();

  BreakPolicyOptions options_;
  std::optional<BreakRunner> runner_;  // unset: it can do nothing, or is gone
  const Clock& clock_;
  InjectedSource* lost_hits_ = nullptr;  // the session's
  bool scanned_ = false;
  std::unordered_map<std::uint64_t, Candidate> undecided_;
  std::unordered_map<std::uint64_t, std::size_t> chosen_;  // cgroup: its action
  std::map<Key, std::optional<Breakpoint>> begun_;         // what the runner said; nullopt: a part
  Told told_;                                              // that are not over, with their action
  std::vector<std::uint64_t> gone_;                        // cgroups that the runner is to forget
  std::chrono::steady_clock::time_point impatient_until_;
  std::vector<Incident> over_;
  Counts counts_;
};

}  // namespace memcrest
