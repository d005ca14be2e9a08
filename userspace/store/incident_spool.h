// SPDX-License-Identifier: Apache-2.0
// The incidents of the last weeks on disk: what the agent's API shows and what its receivers have not got yet. Adding
// never waits for the disk; a thread writes at once what was added. Any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "memcrest/clock.h"
#include "memcrest/incident.h"
#include "util/result.h"

namespace memcrest {

// What is kept; the oldest go first, delivered or not.
struct SpoolRetention {
  std::uint64_t max_count = 10'000;
  std::uint64_t max_bytes = 64ULL << 20U;  // of JSON
  std::chrono::nanoseconds max_age{std::chrono::hours(24 * 30)};
};

struct SpooledIncident {
  std::int64_t seq = 0;  // rises; later tellings of the same incident have a later one
  std::string id;
  std::string json;  // as it lies on the disk: who passes it on checks it
};

class IncidentSpool {
 public:
  struct Status {
    std::uint64_t incidents = 0;  // tellings
    std::uint64_t bytes = 0;
    std::uint64_t waiting = 0;
    std::uint64_t failures = 0;
    std::uint64_t lost = 0;
    std::string last_error;
    std::string moved_away;  // a spool that could not be read: where it lies now
  };

  // A file that is damaged is moved away and a new one begun. Errors: the directory cannot be written, another process
  // works with the spool (EBUSY), the file is no spool, one of another version, or has a schema that no spool has
  // (ENOTSUP: nothing is touched). `clock` outlives it: age counts by its wall time, but a jump ahead makes nothing
  // older.
  [[nodiscard]] static Result<std::unique_ptr<IncidentSpool>> open(const std::string& directory,
                                                                   const SpoolRetention& retention, const Clock& clock);
  ~IncidentSpool();  // writes what waits
  IncidentSpool(const IncidentSpool&) = delete;
  IncidentSpool& operator=(const IncidentSpool&) = delete;

  void add(const Incident& incident, std::string json);
  void set(const SpoolRetention& retention);
  // Waits until all that was added is on disk; false: not in time.
  [[nodiscard]] bool flush(std::chrono::milliseconds longest);

  // Latest telling of each, newest first; `before`: only those with a smaller seq (0: all).
  [[nodiscard]] Result<std::vector<SpooledIncident>> list(std::size_t limit, std::int64_t before,
                                                          const std::string& kind) const;
  [[nodiscard]] Result<std::optional<SpooledIncident>> find(const std::string& id) const;

  // For a receiver: tellings in order behind the one that it has; those that have gone meanwhile are `missed`.
  struct Batch {
    std::vector<SpooledIncident> incidents;
    std::uint64_t missed = 0;
    std::uint64_t behind = 0;  // tellings after those in the batch
  };
  [[nodiscard]] Result<Batch> next(const std::string& target, std::size_t limit, std::size_t max_bytes) const;
  [[nodiscard]] Result<void> delivered(const std::string& target, std::int64_t seq);
  // A receiver that is new begins with what comes from now on.
  [[nodiscard]] Result<void> subscribe(const std::string& target);
  // Waits for something new to be on disk.
  void wait(std::chrono::milliseconds longest) const;

  [[nodiscard]] Status status() const;

 private:
  struct State;
  explicit IncidentSpool(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace memcrest
