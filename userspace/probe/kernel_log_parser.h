// SPDX-License-Identifier: Apache-2.0
// Makes LogOomEvents of the records of /dev/kmsg, in any spelling from 5.10 to 7.x: the OOM killer's report, told from
// the lines of everything else that logs, and the kills that follow. Pure: records and time in, events out. Bounded
// whatever the log says. Not thread-safe.
//
// The kernel writes one report at a time (oom_lock), but its lines may be torn apart by other processors, overwritten
// before they are read, or left out by a rate limit of 10 reports in 5 s; then the kill alone is logged. What is
// missing is told in LogOomEvent::gaps.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "memcrest/event.h"
#include "probe/kernel_log_kill.h"
#include "probe/kernel_log_lines.h"
#include "probe/kernel_log_record.h"

namespace memcrest {

struct KernelLogSettings {
  std::uint64_t page_size = 4096;               // of the kernel that wrote the log
  std::chrono::milliseconds settle{20};         // after a kill: how long its "memory.oom.group" may take
  std::chrono::milliseconds group_settle{100};  // memory.oom.group: after the last victim
  std::chrono::milliseconds abandon{5000};      // after the last line of a report that tells of no kill
};

class KernelLogParser {
 public:
  static constexpr std::size_t kMaxOpen = 16;
  static constexpr std::size_t kMaxTasks = 4096;
  static constexpr std::size_t kMaxVictims = 4096;

  explicit KernelLogParser(KernelLogSettings settings = {});

  // One read of /dev/kmsg. Returns the record's own time (KernelLogRecord::time_ns). An error: it is no such record,
  // which counts as a lost one. `now_ns` is any clock that `take` is given as well.
  Result<std::uint64_t> feed(std::string_view raw, std::uint64_t now_ns);
  // Reading failed with EPIPE: records were overwritten before they were read. How many, the next one tells.
  void note_overwritten();
  // Events that nothing more can join, by time of their first line. LogOomEvent::time_ns is in the log's own clock.
  [[nodiscard]] std::vector<LogOomEvent> take(std::uint64_t now_ns);
  // When `take` is next worth a call; nullopt: nothing is open.
  [[nodiscard]] std::optional<std::uint64_t> deadline() const;
  // Records known to have been lost so far.
  [[nodiscard]] std::uint64_t overwritten() const { return overwritten_; }

 private:
  struct Report {
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
  };
  // The beginning of a line that the kernel prints in pieces.
  struct Piece {
    std::string text;
    std::string caller;
    std::uint64_t time_ns = 0;
    std::uint64_t now_ns = 0;
    bool cut = false;  // one piece was as long as the kernel allows
  };
  struct Line {
    std::string_view text;
    std::string_view caller;
    std::uint64_t time_ns = 0;
    std::uint64_t now_ns = 0;
    bool cut = false;
  };

  void follow(std::uint64_t sequence);
  bool tell_open();  // of lost records; false: no report is open
  void on_text(const KernelLogRecord& record, std::uint64_t now_ns);
  void flush_piece();
  void on_line(const Line& line);
  [[nodiscard]] bool on_report_line(const Line& line);
  void on_invoked(kernel_log::Invoked invoked, const Line& line);
  void on_summary(const Line& line);
  void on_killed(kernel_log::Killed killed, const Line& line);
  void on_group(std::string path, const Line& line);
  void on_exiting(const kernel_log::Named& named, const Line& line);
  void on_announcement(const kernel_log::Named& named, const Line& line);
  void on_none_killable(const Line& line);
  static bool on_stats(Report& report, std::string_view text);
  bool on_tasks(Report& report, std::string_view text) const;

  Report& open(const Line& line);
  // The report whose lines `line` may belong to: the newest of that caller that is not over.
  [[nodiscard]] Report* writing(const Line& line);
  [[nodiscard]] Report* waiting_for(std::uint32_t pid, std::optional<bool> memcg, const Line& line);
  [[nodiscard]] Report* group_of(const Line& line, std::uint32_t pid);
  void add_victim(Report& report, kernel_log::Killed killed);
  [[nodiscard]] std::uint64_t due_ns(const Report& report) const;
  bool quiet(LogOomEvent& event);
  void finish(Report report);

  KernelLogSettings settings_;
  std::vector<Report> reports_;  // by age
  std::vector<LogOomEvent> finished_;
  // The last report told that killed nothing.
  struct NoneKilled {
    std::string path;
    std::uint64_t time_ns = 0;
    std::uint64_t left_out = 0;
  };
  std::optional<NoneKilled> none_killed_;
  std::optional<Piece> piece_;
  std::optional<std::uint64_t> next_sequence_;
  std::uint64_t overwritten_ = 0;
  bool untold_ = false;               // records were lost and no event tells of it yet
  std::uint64_t untold_records_ = 0;  // how many, as far as that is known
  std::uint64_t dropped_events_ = 0;  // there was no room for them, and no event tells of it yet
};

}  // namespace memcrest
