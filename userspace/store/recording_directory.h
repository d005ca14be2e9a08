// SPDX-License-Identifier: Apache-2.0
// A directory of recordings: how they are called, which are kept, and the end of those that are no longer written.
// One process at a time works in it. Any thread, one at a time, except where said.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "store/recording_writer.h"
#include "util/fd.h"
#include "util/result.h"

namespace memcrest {

// What is kept of the recordings that have ended; 0: no bound. The oldest go first.
struct Retention {
  std::uint64_t max_count = 0;
  std::uint64_t max_bytes = 0;
  std::chrono::nanoseconds max_age{0};  // since they ended
};

class RecordingDirectory {
 public:
  // Makes the directory when it is missing, for its owner only. Errors: it cannot be made or written, another process
  // works in it (EBUSY).
  [[nodiscard]] static Result<std::unique_ptr<RecordingDirectory>> open(const std::string& path,
                                                                        const Retention& retention);
  ~RecordingDirectory();  // waits for what is being ended
  RecordingDirectory(const RecordingDirectory&) = delete;
  RecordingDirectory& operator=(const RecordingDirectory&) = delete;

  // Starts "memcrest-20261126T211313.123456789Z.db". An error where the disk has no room for it. Waits for the disk:
  // any thread but the collector's, once it watches.
  [[nodiscard]] Result<std::unique_ptr<RecordingWriter>> begin(std::int64_t unix_ns, const RecordingSettings& settings,
                                                               const std::map<std::string, std::string>& meta);
  // Finishes it on a thread of its own, and removes what is too much afterwards.
  void end(std::unique_ptr<RecordingWriter> writer, std::int64_t unix_ns);
  // Removes what is too much, on a thread of its own.
  void tidy(std::int64_t unix_ns);
  // Until all that was to be ended has; the first error since begin.
  Result<void> wait();

  // Counts of those that have ended.
  struct Ended {
    std::uint64_t unrecorded = 0;
    std::uint64_t written = 0;
    std::uint64_t bytes = 0;
    std::string stopped;  // of the last one that did not end by itself
  };
  [[nodiscard]] Ended ended() const;  // any thread

 private:
  struct State;
  void spawn(std::function<void()> work);
  explicit RecordingDirectory(std::unique_ptr<State> state);

  std::unique_ptr<State> state_;
};

// A recording that is being begun on a thread of its own, so that a disk that hangs holds up nobody.
class BeginningRecording {
 public:
  using Begun = Result<std::unique_ptr<RecordingWriter>>;

  // The directory outlives it. Not while one is under way.
  void start(RecordingDirectory& directory, std::int64_t unix_ns, RecordingSettings settings,
             std::map<std::string, std::string> meta);
  [[nodiscard]] bool under_way() const { return begun_.valid(); }
  // What became of it, once; nullopt: nothing yet.
  [[nodiscard]] std::optional<Begun> take(std::chrono::milliseconds patience);

 private:
  std::future<Begun> begun_;
};

}  // namespace memcrest
