// SPDX-License-Identifier: Apache-2.0
// The middle of the path: events from a source, through identity and the detectors, to finished incidents. One
// thread calls turn(); only the resolver works beside it.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "collector/aftermath.h"
#include "incident/burst_detector.h"
#include "incident/charge_failures.h"
#include "incident/exit_tracker.h"
#include "incident/floor_history.h"
#include "incident/oom_assembler.h"
#include "incident/stall_history.h"
#include "memcrest/event_source.h"
#include "memcrest/incident.h"
#include "memcrest/surroundings.h"

namespace memcrest {

struct CollectorSettings {
  MemcgFiles files;
  BurstSettings bursts;
  OomSettings ooms;
  std::string charge_tier;
  std::string oom_tier;
  std::vector<std::string> standing_gaps;  // what no incident of this session can know, in words
  Host host;
  std::optional<std::uint64_t> host_memory_bytes;
  std::chrono::milliseconds identity_wait{2500};  // how long an incident waits for its container's name
  std::chrono::milliseconds stack_wait{1500};     // and for the names of functions
  bool stalls_are_seen = false;                   // hooks measure direct reclaim
  bool throttle_is_seen = false;                  // and memory.high
  bool ends_are_told = false;                     // hooks see OOM victims, signals and exits
  bool falls_are_seen = false;                    // the charge tier shows memory being given back: no sampling of usage
};

struct Totals {
  std::uint64_t ooms = 0;
  std::uint64_t victims = 0;
  std::uint64_t bursts = 0;
  std::uint64_t charge_failures = 0;  // incidents, not charges
  std::uint64_t kills = 0;            // ends by a signal without an OOM
  std::uint64_t breakpoints = 0;
  std::uint64_t steps = 0;
  std::uint64_t events = 0;
};

class Collector {
 public:
  using Sink = std::function<void(const Incident&)>;

  Collector(EventSource& source, Surroundings& around, CollectorSettings settings, Sink sink);

  // Waits at most `longest` for something to happen, handles it and emits what is finished.
  EventSource::Status turn(std::chrono::milliseconds longest);
  // Emits what is still open or waits for a name. Call once, last.
  void finish();

  [[nodiscard]] const Totals& totals() const { return totals_; }
  [[nodiscard]] LossCount loss() const { return source_.loss(); }

 private:
  // What tells whether a victim was its container's first process, until that container is known.
  struct Place {
    std::uint64_t cgroup_id = 0;
    std::uint64_t parent_cgroup_id = 0;  // 0: not known
    std::uint32_t init_pid = 0;          // first process of its pid namespace, on the host; 0: not known
    std::uint64_t init_cgroup_id = 0;
  };
  // Where the growth of an incident's burst came from, until its functions have names.
  struct Origin {
    std::vector<StackGrowth> stacks;
    std::uint64_t seen_bytes = 0;  // what shares are of
  };
  struct Waiting {
    Incident incident;
    std::uint64_t since_ns = 0;
    std::uint64_t evidence_from_ns = 0;
    std::vector<Place> places;  // of the victims, in their order
    Origin origin;              // its stacks are gone once they are named
  };
  struct Told {  // a burst already emitted, to keep an ancestor from telling it again
    std::string path;
    std::uint64_t start_ns = 0;
    std::uint64_t end_ns = 0;
    std::uint64_t growth_bytes = 0;
  };
  struct Ended {  // a burst not told yet
    BurstFinding finding;
    std::string path;
    std::uint64_t since_ns = 0;
  };

  void handle(const Event& event);
  void on(const StepEvent& event);
  void on(const SampleEvent& event);
  void on(const ExecEvent& event);
  void on(const ThrottleEvent& event);
  void on(const OomEvent& event);
  void on(const VictimEvent& event);
  void on(const KillEvent& event);
  void on(const CgroupEvent& event);
  void on(const ExitEvent& event);
  void on(const ChargeFailureEvent& event);
  void on(const LogOomEvent& event);
  void on(const OomCountEvent& event);
  void on(const StuckEvent& event);
  void on(const BreakpointEvent& event);
  void sample_active();
  void collect_bursts(std::uint64_t now_ns, bool all);
  void collect_ooms(std::uint64_t now_ns);
  [[nodiscard]] std::optional<BurstFinding> take_back(std::uint64_t cgroup_id, std::uint64_t time_ns);
  void tell_oom(const OomFinding& finding);
  void tell_burst(const BurstFinding& finding);
  void tell_failure(const ChargeFailureFinding& finding);
  void collect_failures(std::uint64_t now_ns, bool all);
  void collect_exits(std::uint64_t now_ns);
  void tell_exit(const ExitFinding& finding);
  [[nodiscard]] Sender sender_of(const TaskInfo& task);
  void place(Sender& sender, const Container& target);
  [[nodiscard]] bool senders_pending(const ProcessEnd& end);
  static void judge_role(ProcessEnd& end, const Container& container);
  void cut_rise(const ProcessKey& victim, std::uint64_t cgroup_id, std::uint64_t time_ns,
                std::optional<std::uint64_t> watermark);
  [[nodiscard]] Origin take_rise(Incident& incident, const ProcessKey& victim,
                                 const std::vector<std::uint64_t>& cgroup_ids, std::uint64_t& from_ns);
  void add_detail(Incident& incident, const OomFinding& finding);
  void sharpen_peak(BurstFinding& finding) const;
  [[nodiscard]] std::string id_of(std::uint64_t boot_ns, std::uint64_t cgroup_id, std::uint32_t pid) const;
  [[nodiscard]] Incident begin(IncidentKind kind, std::uint64_t boot_ns, std::uint64_t cgroup_id);
  [[nodiscard]] Incident begin(IncidentKind kind, std::uint64_t boot_ns, const std::string& path);
  [[nodiscard]] Limit limit_of(const OomFinding& finding, const Incident& incident) const;
  [[nodiscard]] Limit nearest_limit(const std::string& path, std::optional<std::uint64_t> own) const;
  [[nodiscard]] bool told_below(const Ended& ended) const;
  void hold(Incident incident, std::uint64_t evidence_from_ns, std::vector<Place> places, Origin origin);
  void hold(Incident incident, std::uint64_t evidence_from_ns) { hold(std::move(incident), evidence_from_ns, {}, {}); }
  [[nodiscard]] Origin take_origin(Incident& incident, const BurstFinding& finding);
  static void take_names(Incident& incident, const Origin& origin, const StackNames& names);
  [[nodiscard]] bool named(Waiting& one, std::chrono::milliseconds patience, bool last);
  [[nodiscard]] Victim victim_of(const VictimEvent& event);
  [[nodiscard]] static Place place_of(const VictimEvent& event);
  [[nodiscard]] bool lives_in(std::uint64_t cgroup_id, const Container& container, const Place& place);
  void judge_role(Victim& victim, const Container& container, const Place& place);
  void judge_roles(Incident& incident, const std::vector<Place>& places);
  [[nodiscard]] bool is_worth_telling(Incident& incident);
  void release(std::uint64_t now_ns, bool all);
  void note_loss(std::uint64_t now_ns);
  void look_back(Incident& incident, std::uint64_t cgroup_id);
  void add_evidence(Incident& incident, std::uint64_t from_ns) const;
  [[nodiscard]] std::chrono::milliseconds wait_time(std::chrono::milliseconds longest) const;

  EventSource& source_;
  Surroundings& around_;
  CollectorSettings settings_;
  Sink sink_;
  BurstDetector bursts_;
  OomAssembler ooms_;
  ChargeFailures failures_;
  ExitTracker exits_;
  StallHistory stalls_;
  FloorHistory floors_;
  Aftermath aftermath_;
  Moment now_;  // of this turn: before events are read, then after it
  std::vector<Event> batch_;
  std::vector<Waiting> waiting_;
  std::deque<Told> told_;
  std::vector<Ended> ended_;
  // Rises cut at the moment of a kill, by victim and cgroup, until the OOM's finding is complete.
  std::map<std::pair<ProcessKey, std::uint64_t>, BurstFinding> cut_;
  std::deque<std::pair<std::uint64_t, LossCount>> loss_history_;
  std::uint64_t last_sample_ns_ = 0;
  std::uint64_t last_full_sample_ns_ = 0;
  std::uint64_t last_loss_ns_ = 0;
  Totals totals_;
};

}  // namespace memcrest
