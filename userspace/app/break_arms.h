// SPDX-License-Identifier: Apache-2.0
// Which cgroups have a line of `memcrest break`, and where it lies: chosen by the filter once their names are known,
// moved when a limit changes, settled when reached. Where no hook can catch anybody, usage is read here instead. One
// thread, that of the collector.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "app/options.h"
#include "breakpoint/growth_rule.h"
#include "identity/cgroup_tree.h"
#include "identity/resolver.h"
#include "memcrest/clock.h"
#include "probe/breakpoint_table.h"

namespace memcrest {

// Not one that a container made inside of its own.
[[nodiscard]] bool is_own_cgroup(const std::string& path, const Identity& identity, Resolver& resolver);

class BreakArms {
 public:
  using Inject = std::function<void(const BreakpointEvent&)>;

  // `inject` takes the hits that no hook sees. `table` null: there is no hook at all.
  BreakArms(const BreakOptions& options, const CgroupTree& tree, const Clock& clock, BreakpointTable* table,
            Inject inject);

  // All cgroups that exist; of those that come later, note() is told.
  void scan(Resolver& resolver);
  void note(const CgroupEvent& event);
  // Only this one, whatever its name: the command's.
  void arm_command(std::uint64_t cgroup_id, const std::string& path);
  // One that somebody else chose, with what is to be done there (which outlives this).
  void arm_chosen(std::uint64_t cgroup_id, const std::string& path, const BreakSettings& settings);
  void forget(std::uint64_t cgroup_id);
  // No line is armed meanwhile.
  void pause(bool paused);
  // Names that have come, limits that moved, usage where that has to be read.
  void tick();
  // The line of this cgroup was reached: it stays where it is while its processes are held.
  void reach(std::uint64_t cgroup_id);
  // And is no more: it may be armed again once usage falls.
  void settle(std::uint64_t cgroup_id);
  void disarm_all();
  // What is known of a hit that no record tells: line, usage and limit as they are now. tell() hands it to whoever
  // takes such hits.
  [[nodiscard]] BreakpointEvent hit_as_of_now(std::uint64_t cgroup_id) const;
  void tell(const BreakpointEvent& event) const { inject_(event); }

  [[nodiscard]] std::size_t armed() const;
  [[nodiscard]] std::optional<std::string> dir_of(std::uint64_t cgroup_id) const;
  // "80%", "64.0 MiB within 1.00 s"; empty: not ours.
  [[nodiscard]] std::string rule_of(std::uint64_t cgroup_id) const;
  [[nodiscard]] bool is_ours(std::uint64_t cgroup_id) const;
  // What is to be done there.
  [[nodiscard]] const BreakSettings& settings_of(std::uint64_t cgroup_id) const;

 private:
  enum class Stage {
    kUndecided,  // its container's name is not known yet
    kNoLine,     // wanted, and has no limit to take a part of; or a daemon lives there
    kArmed,
    kReached,  // settled, or about to be
    kWaiting,  // for usage to fall below --rearm-below
  };
  struct One {
    std::string path;
    Stage stage = Stage::kUndecided;
    std::uint64_t line_bytes = 0;
    std::optional<GrowthFloor> floor;         // of --growth
    bool by_growth = false;                   // the line is that of --growth, not that of --at
    std::uint64_t since_ns = 0;               // it was seen, or armed
    bool limitless = false;                   // has no line since it has no limit, as a container that is being made
    bool refreshed = false;                   // CPUs were told a second time
    bool told = false;                        // why it has no line
    std::uint64_t rest_ns = 0;                // kWaiting: so long at least
    const BreakSettings* settings = nullptr;  // null: those of the command line
  };

  [[nodiscard]] const BreakSettings& settings(const One& one) const {
    return one.settings != nullptr ? *one.settings : options_.settings;
  }
  void wait(std::uint64_t cgroup_id, One& one, std::uint64_t rest_ns);
  [[nodiscard]] std::optional<std::uint64_t> rearm_below(const One& one) const;
  void decide(std::uint64_t cgroup_id, One& one);
  void arm(std::uint64_t cgroup_id, One& one);
  void arm_at(std::uint64_t cgroup_id, One& one, std::uint64_t bytes);
  // Where the line belongs now; nullopt: nowhere, as a part of no limit.
  [[nodiscard]] std::optional<std::uint64_t> line_now(One& one);
  void follow(std::uint64_t cgroup_id, One& one);
  void move(std::uint64_t cgroup_id, One& one, std::uint64_t bytes);
  void watch_usage(std::uint64_t cgroup_id, One& one);
  void no_line(std::uint64_t cgroup_id, One& one, const std::string& why);
  void tell_once(One& one, const std::string& why);
  [[nodiscard]] bool is_wanted(const Identity& identity, const std::string& path);
  [[nodiscard]] std::optional<std::uint64_t> effective_limit(const std::string& path) const;
  [[nodiscard]] std::optional<std::uint64_t> number(const std::string& path, const char* file) const;
  void reached_late(std::uint64_t cgroup_id, One& one, std::uint64_t usage);

  const BreakOptions& options_;
  const CgroupTree& tree_;
  const Clock& clock_;
  BreakpointTable* table_;
  Inject inject_;
  Resolver* resolver_ = nullptr;
  std::map<std::uint64_t, One> known_;
  std::uint64_t last_limits_ns_ = 0;
  std::uint64_t last_usage_ns_ = 0;
  std::uint64_t last_seldom_ns_ = 0;
  bool paused_ = false;
};

}  // namespace memcrest
