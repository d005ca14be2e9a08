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
#include "probe/kernel_log_reports.h"

namespace memcrest {

class KernelLogParser {
 public:
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
  using Report = KernelLogReport;
  using Line = KernelLogLine;

  // The beginning of a line that the kernel prints in pieces.
  struct Piece {
    std::string text;
    std::string caller;
    std::uint64_t time_ns = 0;
    std::uint64_t now_ns = 0;
    bool cut = false;  // one piece was as long as the kernel allows
  };
  void follow(std::uint64_t sequence);
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

  static void add_victim(Report& report, kernel_log::Killed killed);
  [[nodiscard]] std::uint64_t piece_due_ns() const;

  KernelLogSettings settings_;
  KernelLogReports reports_;
  std::optional<Piece> piece_;
  std::optional<std::uint64_t> next_sequence_;
  std::uint64_t overwritten_ = 0;
};

}  // namespace memcrest
