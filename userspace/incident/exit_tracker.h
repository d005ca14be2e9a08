// SPDX-License-Identifier: Apache-2.0
// Joins the records of one process's end by a signal: who sent it, who had asked it to end before, and that it was no
// OOM kill. Whose container it was, and what follows, is for others. Bounded. One thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "memcrest/event.h"

namespace memcrest {

struct ExitFinding {
  std::uint64_t time_ns = 0;  // of the end
  TaskInfo task;
  std::uint32_t signal = 0;  // SIGTERM: a killer of user space asked, and it ended, by the signal or by itself
  bool core_dumped = false;
  std::optional<KillEvent> kill;             // of a SIGKILL: the first that reached it; of a SIGTERM: that one
  std::optional<KillEvent> asked;            // what had asked it to end before, within an hour
  std::optional<std::uint64_t> usage_bytes;  // of its cgroup, when the signal came
};

class ExitTracker {
 public:
  struct Settings {
    std::chrono::milliseconds settle{20};  // records of different CPUs overtake each other
    std::size_t per_cgroup = 8;            // ends that are told within one window
    std::chrono::nanoseconds window{10'000'000'000};
    std::size_t in_all = 60;  // the same of all cgroups, within one minute
  };
  ExitTracker();
  explicit ExitTracker(Settings settings);

  // `usage`: of the target's cgroup at that moment, as far as it is known.
  void feed(const KillEvent& event, std::optional<std::uint64_t> usage = {});
  // A process that the OOM killer chose.
  void feed(const VictimEvent& event);
  void feed(const ExitEvent& event, std::optional<std::uint64_t> usage = {});
  // Ends of which nothing more will come, in order. Those by the OOM killer are not among them, nor what went with the
  // first process of its pid namespace.
  [[nodiscard]] std::vector<ExitFinding> take(std::uint64_t now_ns);
  [[nodiscard]] std::optional<std::uint64_t> deadline() const;
  // Whether one more end of this cgroup may be told; counts it as left out where not.
  [[nodiscard]] bool may_tell(std::uint64_t cgroup_id, std::uint64_t time_ns);
  // Ends of this cgroup that were left out since the last call.
  [[nodiscard]] std::uint64_t take_left_out(std::uint64_t cgroup_id);
  // Whether an end by this signal is told.
  [[nodiscard]] static bool is_fatal(std::uint32_t signal);
  [[nodiscard]] std::size_t size() const {
    return kills_.size() + asked_.size() + victims_.size() + ended_keys_.size();
  }

 private:
  struct Told {
    std::uint64_t since_ns = 0;
    std::size_t count = 0;
    std::uint64_t left_out = 0;
  };
  struct Kill {
    KillEvent event;  // the first
    std::optional<std::uint64_t> usage;
    std::uint64_t last_ns = 0;
  };
  struct End {
    ExitEvent event;
    std::optional<std::uint64_t> usage;
  };
  [[nodiscard]] Told& told_of(std::uint64_t cgroup_id);
  [[nodiscard]] bool by_oom_killer(const ExitFinding& finding) const;
  [[nodiscard]] bool was_asked_by_killer(const ExitEvent& event) const;

  Settings settings_;
  std::map<ProcessKey, Kill> kills_;
  std::map<ProcessKey, Kill> asked_;
  std::map<ProcessKey, std::uint64_t> victims_;         // by the OOM killer -> time
  std::map<std::uint32_t, std::uint64_t> oom_threads_;  // threads that ran it -> time
  std::map<ProcessKey, std::uint64_t> ended_keys_;      // two of its threads can each have been the last
  std::vector<End> ended_;
  std::map<std::uint64_t, std::size_t> pending_;  // of ended_, by cgroup id
  std::map<std::uint64_t, Told> told_;            // by cgroup id
  Told in_all_;
};

}  // namespace memcrest
