// SPDX-License-Identifier: Apache-2.0
// The OOM reports of the kernel log that are not over yet: which of them a line belongs to, and when one is told. Pure.
// For kernel_log_parser alone.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "memcrest/event.h"
#include "probe/kernel_log_lines.h"

namespace memcrest {

struct KernelLogSettings {
  std::uint64_t page_size = 4096;               // of the kernel that wrote the log
  std::chrono::milliseconds settle{20};         // after a kill: how long its "memory.oom.group" may take
  std::chrono::milliseconds group_settle{100};  // memory.oom.group: after the last victim
  std::chrono::milliseconds abandon{5000};      // after the last line of a report that tells of no kill
};

// A line with its pieces put together.
struct KernelLogLine {
  std::string_view text;
  std::string_view caller;
  std::uint64_t time_ns = 0;
  std::uint64_t now_ns = 0;
  bool cut = false;
};

struct KernelLogReport {
  LogOomEvent event;
  std::string caller;
  std::uint64_t last_ns = 0;  // `now_ns` of its last line
  std::uint32_t chosen_pid = 0;
  kernel_log::TaskColumns columns;
  std::string stats_path;
  bool begun = false;      // its first line was there
  bool in_stats = false;   // the last line was one of the statistics
  bool dump_seen = false;  // "Tasks state", or the header below
  bool summary = false;
  bool over = false;  // the kill was told, or that there is none
  bool lost = false;  // records of it may have been overwritten

  // The dumped task that is, or belongs to, `pid`.
  [[nodiscard]] const LogTask* task_of(std::uint32_t pid) const;
  // The kernel names another thread of a process whose main thread has gone: the dump tells the process.
  [[nodiscard]] std::uint32_t process_of(std::uint32_t pid) const;
};

// Each gap once, and not too many.
void add_gap(LogOomEvent& event, std::string gap);
// Without CONFIG_PRINTK_CALLER callers are empty, and may be anybody.
[[nodiscard]] bool same_caller(std::string_view a, std::string_view b);

class KernelLogReports {
 public:
  static constexpr std::size_t kMaxOpen = 16;

  explicit KernelLogReports(KernelLogSettings settings);

  KernelLogReport& open(const KernelLogLine& line);
  // The report whose lines `line` may belong to: the newest of that caller that has not chosen a victim.
  [[nodiscard]] KernelLogReport* writing(const KernelLogLine& line);
  // The same, if its dump lists that process.
  [[nodiscard]] KernelLogReport* listing(std::uint32_t pid, const KernelLogLine& line);
  // The report that must tell of the death of `pid` before it is over.
  [[nodiscard]] KernelLogReport* waiting_for(std::uint32_t pid, std::optional<bool> memcg, const KernelLogLine& line);
  // The report that told of a kill last.
  [[nodiscard]] KernelLogReport* last_killed(const KernelLogLine& line);
  // The report of memory.oom.group that `pid` may be a victim of.
  [[nodiscard]] KernelLogReport* group_of(const KernelLogLine& line, std::uint32_t pid);
  // Records were lost, at least so many.
  void note_lost(std::uint64_t records);

  [[nodiscard]] std::vector<LogOomEvent> take(std::uint64_t now_ns);
  [[nodiscard]] std::optional<std::uint64_t> deadline() const;

 private:
  // The last report told that killed nothing.
  struct NoneKilled {
    std::string path;
    std::uint64_t time_ns = 0;
    std::uint64_t left_out = 0;
  };
  [[nodiscard]] std::uint64_t due_ns(const KernelLogReport& report) const;
  bool quiet(LogOomEvent& event);
  void finish(KernelLogReport report);

  KernelLogSettings settings_;
  std::vector<KernelLogReport> reports_;  // by age
  std::vector<LogOomEvent> finished_;
  std::optional<NoneKilled> none_killed_;
  bool untold_ = false;               // records were lost and no event tells of it yet
  std::uint64_t untold_records_ = 0;  // how many, as far as that is known
  std::uint64_t dropped_events_ = 0;  // there was no room for them, and no event tells of it yet
};

}  // namespace memcrest
