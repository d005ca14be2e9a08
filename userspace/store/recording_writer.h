// SPDX-License-Identifier: Apache-2.0
// Fills a recording on a thread of its own: whoever adds never waits for the disk. What was added is on disk after the
// flush interval at the latest, and survives the death of this process then; a file that was not finished is whole
// nevertheless. When the disk is full or writing fails, recording ends, what is on disk stays, and status() says why.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "memcrest/event.h"
#include "memcrest/event_source.h"
#include "memcrest/incident.h"
#include "memcrest/surroundings.h"
#include "util/result.h"

namespace memcrest {

struct RecordingSettings {
  std::chrono::milliseconds flush_interval{1000};
  std::uint64_t max_bytes = 0;                 // of the file with its log; 0: as the disk allows
  std::uint64_t min_free_bytes = 256U << 20U;  // of the file system: recording ends before it is full
  std::size_t max_queued = 65536;              // items that wait for the disk; more are counted and left out
};

// What the collector asked the machine, and what it was told: files, names, processes.
struct Answer {
  std::string question;
  std::string text;
  bool operator==(const Answer&) const = default;
};

class RecordingWriter {
 public:
  struct Status {
    bool recording = true;
    std::string stopped;           // why it ended before finish(); empty: it did not
    std::uint64_t unrecorded = 0;  // items left out, since the disk was too slow or recording had ended
    std::uint64_t written = 0;     // items
    std::uint64_t bytes = 0;       // of the file and its log, as of the last flush
  };

  // Makes the file, which must not exist yet. `meta`: what the recording says of itself (docs/recording.md).
  [[nodiscard]] static Result<std::unique_ptr<RecordingWriter>> create(const std::string& path,
                                                                       const RecordingSettings& settings,
                                                                       const std::map<std::string, std::string>& meta);
  ~RecordingWriter();  // finishes
  RecordingWriter(const RecordingWriter&) = delete;
  RecordingWriter& operator=(const RecordingWriter&) = delete;

  // In the order in which it came about. One thread; never waits.
  void add(std::span<const Event> events);
  void add(Answer answer);
  void add(Moment moment);
  void add(const Incident& incident, std::string json);
  void add(const LossCount& loss);
  // Whose cgroup it is, as far as it is known now.
  void add(const CgroupRef& cgroup, const Container& container);

  // Writes what waits, and makes one file of the recording and its log. Call once; nothing is added afterwards.
  Result<void> finish();
  [[nodiscard]] Status status() const;  // any thread

 private:
  struct IncidentItem {
    Incident incident;
    std::string json;
  };
  struct NameItem {
    CgroupRef cgroup;
    Container container;
  };
  using Item = std::variant<Event, Moment, Answer, IncidentItem, LossCount, NameItem>;
  class Tables;

  RecordingWriter(std::unique_ptr<Tables> tables, const RecordingSettings& settings);
  void push(Item item);
  void push_locked(Item item);
  void work();
  [[nodiscard]] Result<void> write(std::deque<Item>& batch);
  [[nodiscard]] Result<void> check_space() const;
  void stop(const Error& error);

  RecordingSettings settings_;
  std::unique_ptr<Tables> tables_;  // of the thread, then of finish()
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Item> queue_;
  Status status_;
  std::uint64_t unrecorded_told_ = 0;
  bool ending_ = false;
  std::thread thread_;
};

}  // namespace memcrest
