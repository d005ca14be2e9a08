// SPDX-License-Identifier: Apache-2.0
// Joins the records of one OOM (the killer's start, every victim, every SIGKILL it sent) into one finding, and finds
// whose limit was hit. Pure: events and time in, findings out.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "memcrest/event.h"
#include "memcrest/incident.h"

namespace memcrest {

struct OomSettings {
  // Single victim: how long to wait for siblings. The kernel prints a line between the two, 15 ms on a serial console.
  std::chrono::milliseconds settle{30};
  std::chrono::milliseconds group_settle{50};  // memory.oom.group: after the last victim
  // The kernel log is read as well: how long an OOM waits to be told by it, too. 0: it is not.
  std::chrono::milliseconds log_wait{0};
  std::chrono::milliseconds group_log_wait{0};  // the same after the last victim of a group: its report ends later
  // The same where no cgroup's limit was hit: only the log tells whether a cpuset or a memory policy was the limit, and
  // its report is long.
  std::chrono::milliseconds host_log_wait{0};
  bool memsw = false;              // cgroup v1: the swap figures of a MemcgState are memory and swap together
  std::uint64_t page_size = 4096;  // of the kernel that the events come from
};

struct OomFinding {
  std::uint64_t time_ns = 0;           // of the first record
  Scope scope = Scope::kMemcg;         // relative to the victim's cgroup
  std::uint64_t victim_cgroup_id = 0;  // of the first victim
  std::optional<MemcgState> hit;       // whose limit it was; unset for the host
  std::optional<MemcgState> own;       // the victim's own cgroup
  std::optional<TaskInfo> trigger;
  bool group_kill = false;
  std::vector<VictimEvent> victims;  // each process once, in order
  std::vector<TaskInfo> siblings;    // killed with a victim since they share its memory (CLONE_VM)
  std::optional<OomEvent> control;   // what only oom_kill_process shows
  std::optional<std::int32_t> order;
  std::optional<std::uint64_t> gfp_mask;
  bool sysrq = false;
  bool limit_lowered = false;
  bool memsw_hit = false;          // the limit of memory and swap together, not that of memory
  std::string victim_path;         // only from the kernel log
  std::string limit_path;          // the same, of `hit`
  std::optional<LogOomEvent> log;  // the kernel log's report of it
  bool log_only = false;           // no hook saw it
  std::vector<std::string> gaps;   // what could not be known
};

// cgroup v1, where memory stands at its limit and memory and swap together seem to as well: whether theirs was hit. The
// kernel charges against it first. Without swap in use their counters are the same, and the limits tell.
[[nodiscard]] bool memsw_comes_first(const MemcgState& memcg);

class OomAssembler {
 public:
  explicit OomAssembler(OomSettings settings = {});

  // How often a cgroup's own limit has led to an OOM, as of any step of it: the base line that tells a new one.
  void note(std::uint64_t serial, std::uint64_t oom_events);
  void feed(const OomEvent& event);
  void feed(const VictimEvent& event);
  void feed(const KillEvent& event);
  void feed(const ExitEvent& event);
  // Joins the OOM that a hook saw, or makes one of its own where none did.
  void feed(const LogOomEvent& event);
  // Findings that nothing more can join, in order.
  [[nodiscard]] std::vector<OomFinding> take(std::uint64_t now_ns);
  // When `take` is next worth a call; nullopt: nothing is open.
  [[nodiscard]] std::optional<std::uint64_t> deadline() const;

 private:
  struct Open {
    OomFinding finding;
    std::uint64_t last_ns = 0;
    std::uint64_t trigger_end_ns = ~0ULL;  // the trigger's process ended: its SIGKILLs since then are not the killer's
  };
  [[nodiscard]] bool known(const ProcessKey& process, std::uint64_t time_ns);
  void take_control(OomFinding& finding, const VictimEvent& event);
  void locate(OomFinding& finding, const VictimEvent& event);
  void locate_by_counters(OomFinding& finding, const VictimEvent& event);
  // Whether a cgroup's own limit was hit since it was last looked at; kPerhaps: it was not looked at before.
  enum class Raised { kNo, kPerhaps, kYes };
  [[nodiscard]] Raised raised(const MemcgState& memcg) const;
  [[nodiscard]] std::uint64_t settle_ns(const OomFinding& finding) const;
  [[nodiscard]] std::uint64_t due_ns(const Open& open) const;
  struct PendingLog {
    LogOomEvent event;
    std::uint64_t since_ns = 0;
  };
  void join_log(Open& open);
  [[nodiscard]] bool told_pid(std::uint32_t pid) const;
  void take_unmatched_logs(std::uint64_t now_ns, std::vector<OomFinding>& out);

  OomSettings settings_;
  std::vector<Open> open_;
  std::vector<PendingLog> logs_;                       // not yet met by a victim
  std::vector<OomEvent> controls_;                     // not yet met by a victim
  std::map<std::uint64_t, std::uint64_t> oom_counts_;  // serial -> last seen memory.events.local "oom"
  std::map<ProcessKey, std::uint64_t> told_;           // victims -> time
};

}  // namespace memcrest
