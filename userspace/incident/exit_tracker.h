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
  std::uint32_t signal = 0;
  bool core_dumped = false;
  std::optional<KillEvent> kill;   // of a SIGKILL: the first that reached it
  std::optional<KillEvent> asked;  // what had asked it to end before, the first within an hour
  std::uint64_t left_out = 0;      // ends in this cgroup before it that the rate limit left out
};

class ExitTracker {
 public:
  struct Settings {
    std::chrono::milliseconds settle{20};  // records of different CPUs overtake each other
    std::size_t per_cgroup = 8;            // ends that are told within one window
    std::chrono::nanoseconds window{10'000'000'000};
  };
  ExitTracker();
  explicit ExitTracker(Settings settings);

  void feed(const KillEvent& event);
  // A process that the OOM killer chose.
  void feed(const VictimEvent& event);
  void feed(const ExitEvent& event);
  // Ends of which nothing more will come, in order. Those by the OOM killer are not among them, nor what went with the
  // first process of its pid namespace.
  [[nodiscard]] std::vector<ExitFinding> take(std::uint64_t now_ns);
  [[nodiscard]] std::optional<std::uint64_t> deadline() const;
  // Whether an end by this signal is told.
  [[nodiscard]] static bool is_fatal(std::uint32_t signal);

 private:
  struct Told {
    std::uint64_t since_ns = 0;
    std::size_t count = 0;
    std::uint64_t left_out = 0;
  };
  [[nodiscard]] bool may_tell(ExitFinding& finding);
  [[nodiscard]] bool by_oom_killer(const ExitFinding& finding) const;

  Settings settings_;
  std::map<ProcessKey, KillEvent> kills_;
  std::map<ProcessKey, KillEvent> asked_;
  std::map<ProcessKey, std::uint64_t> victims_;         // by the OOM killer -> time
  std::map<std::uint32_t, std::uint64_t> oom_threads_;  // threads that ran it -> time
  std::vector<ExitEvent> ended_;
  std::map<std::uint64_t, Told> told_;  // by cgroup id
};

}  // namespace memcrest
