// SPDX-License-Identifier: Apache-2.0
// Packets of a Perfetto trace, written one after the other as one trusted sequence. For the sources of this room only.
// Times are CLOCK_BOOTTIME, which is the clock of such traces; what does not fit in 63 bits is the largest that does.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "export/byte_sink.h"
#include "memcrest/event.h"

namespace memcrest {

// A name with a value of one of three kinds. No variant: g++ 12 warns of its own when one is moved.
struct TraceNote {
  enum class Kind { kNumber, kFlag, kText };
  TraceNote(const char* of, std::uint64_t value) : name(of), number(value) {}
  TraceNote(const char* of, bool value) : name(of), kind(Kind::kFlag), number(value ? 1 : 0) {}
  TraceNote(const char* of, std::string value) : name(of), kind(Kind::kText), text(std::move(value)) {}
  TraceNote(const char* of, const char* value) : TraceNote(of, std::string(value)) {}

  const char* name;
  Kind kind = Kind::kNumber;
  std::uint64_t number = 0;
  std::string text;
};

struct TraceEvent {
  std::uint64_t time_ns = 0;
  std::uint64_t track = 0;
  std::string_view name;
  const char* category = "memory";
  std::vector<TraceNote> notes;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> counters;  // track and value at this moment
  std::uint64_t callstack = 0;                                    // 0: none
  std::string interned;                                           // a message InternedData, to come with it
};

// Tracks are named by numbers that depend on what they are alone, and on the host's boot: told again, a track is the
// same; beside another trace they do not meet.
class TraceIds {
 public:
  explicit TraceIds(std::string_view seed);
  [[nodiscard]] std::uint64_t of(const char* what, std::uint64_t a = 0, std::uint64_t b = 0, std::uint64_t c = 0) const;

 private:
  std::uint64_t seed_;
};

class PerfettoTrace {
 public:
  explicit PerfettoTrace(ByteSink& sink) : sink_(sink) {}

  void begin(std::string_view kernel_release);
  void clocks(std::uint64_t boot_ns, std::int64_t unix_ns);
  // Each tells a track unless it has been told lately; parent 0: at the top.
  void group(std::uint64_t id, std::uint64_t parent, std::string_view name);
  void counter(std::uint64_t id, std::uint64_t parent, const char* name);
  void process(std::uint64_t id, const TaskInfo& task, std::uint64_t time_ns);
  void thread(std::uint64_t id, std::uint64_t parent, const TaskInfo& task, std::uint64_t time_ns);
  // The process has another name now.
  void forget(std::uint64_t id) { told_.erase(id); }

  void instant(const TraceEvent& event);
  void slice(const TraceEvent& begin, std::uint64_t end_ns);
  void value(std::uint64_t track, std::uint64_t time_ns, std::uint64_t value);
  // Numbers of interned data begin anew.
  void clear_state();
  void loss(std::uint64_t records);

 private:
  template <typename Fill>
  void packet(std::optional<std::uint64_t> time_ns, Fill fill, bool cleared = false);
  [[nodiscard]] bool is_new(std::uint64_t id);
  void event(const TraceEvent& event, std::int32_t type);

  ByteSink& sink_;
  std::string buffer_;
  std::unordered_set<std::uint64_t> told_;  // bounded
};

}  // namespace memcrest
