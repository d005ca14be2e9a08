// SPDX-License-Identifier: Apache-2.0
// Whom a breakpoint caught, and what is done meanwhile: stop, freeze, dump, run, and let go again. One thread, that of
// the collector; nothing here waits.
#pragma once

#include <chrono>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "app/break_arms.h"
#include "app/options.h"
#include "breakpoint/action_child.h"
#include "breakpoint/container_processes.h"
#include "breakpoint/dump.h"
#include "breakpoint/freezer.h"
#include "breakpoint/guardian.h"
#include "memcrest/incident.h"

namespace memcrest {

class BreakHolds {
 public:
  using Tell = std::function<void(const Incident&)>;

  // `table` and `guardian` null: no hook, and nobody who cleans up after us.
  BreakHolds(const BreakOptions& options, const CgroupTree& tree, const Clock& clock, BreakArms& arms,
             BreakpointTable* table, BreakGuardian* guardian, Tell tell);
  ~BreakHolds();
  BreakHolds(const BreakHolds&) = delete;
  BreakHolds& operator=(const BreakHolds&) = delete;

  // At once, when the event is read. `refused`, if not empty: nothing is done but letting go, for this reason. False:
  // it is part of another hit.
  bool hit(const BreakpointEvent& event, const std::string& refused = {});
  void tick();
  // What is known of the hit by now, into its incident. False: it is part of a hit that was told already.
  [[nodiscard]] bool complete(Incident& incident);
  // Whoever the table names, of whatever hit: what the guardian would do.
  void resume_everybody();
  // Everybody goes on. `why` becomes the outcome.
  void release_all(const std::string& why);

  // The guardian took over, or was killed: nothing may be held any more, and memcrest is to end.
  [[nodiscard]] bool is_unguarded() const { return unguarded_; }

  [[nodiscard]] bool any() const { return !holds_.empty(); }
  [[nodiscard]] std::uint64_t hits() const { return hits_; }
  [[nodiscard]] std::uint64_t ended() const { return ended_; }

 private:
  struct Hold {
    BreakpointEvent event;
    BreakSettings settings;
    bool unknown = false;  // its record was not seen
    std::string rule;
    std::string dir;  // of the memory cgroup
    std::vector<ContainerProcess> processes;
    std::vector<ProcessKey> stopped;  // by userspace
    bool was_frozen = false;
    std::optional<FreezeFile> frozen;
    bool told_frozen = false;  // that it could not be thawed
    std::optional<ActionChild> child;
    std::optional<LeftFile> heap;  // that is being copied, or stayed where it was
    bool heap_taken = false;
    std::optional<SmapsResult> smaps;  // that are being written
    std::size_t next_process = 0;      // of these
    std::chrono::steady_clock::time_point since;
    std::optional<std::chrono::steady_clock::time_point> until;
    std::string output;
    std::string action;
    std::string outcome;
    bool failed = false;
    double held_ms = 0;
    bool over = false;
    std::chrono::steady_clock::time_point over_at;
    bool swept = false;                // nobody is caught any more who was about to be when it was over
    std::optional<Incident> incident;  // once told
    bool updated = false;
  };

  void beat();
  void begin(Hold& hold);
  void stop_all(Hold& hold);
  void freeze(Hold& hold);
  void act(Hold& hold);
  void dump(Hold& hold);
  void look_at_child(Hold& hold, bool time_is_over);
  void write_some_smaps(Hold& hold);
  void find_unknown();
  [[nodiscard]] bool collect(Hold& hold);
  [[nodiscard]] static ProcessKey process_of(const Hold& hold);
  void start(Hold& hold, ActionCommand command);
  void run(Hold& hold, std::vector<std::string> argv);
  void end(Hold& hold, const std::string& why);
  void resume(Hold& hold, bool first);
  void sweep(Hold& hold);
  void thaw(Hold& hold);
  void fill(Incident& incident, const Hold& hold) const;
  [[nodiscard]] bool make_output(Hold& hold);
  [[nodiscard]] static bool holds_somebody(const Hold& hold) { return hold.settings.action != BreakAction::kSignal; }
  [[nodiscard]] std::string how_to_attach(const Hold& hold) const;

  const BreakOptions& options_;
  const CgroupTree& tree_;
  const Clock& clock_;
  BreakArms& arms_;
  BreakpointTable* table_;
  BreakGuardian* guardian_;
  Tell tell_;
  std::list<Hold> holds_;
  std::uint64_t hits_ = 0;
  std::uint64_t ended_ = 0;
  bool unguarded_ = false;
  std::chrono::steady_clock::time_point beaten_;
  std::chrono::steady_clock::time_point looked_;  // for whoever is held and not known
  std::vector<ProcessKey> unknown_;               // at that look
  std::map<std::uint64_t, std::uint64_t> found_;  // by cgroup: when one whose record was missing was found last
};

}  // namespace memcrest
