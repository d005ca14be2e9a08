// SPDX-License-Identifier: Apache-2.0
// What the live page and `memcrest top --agent` are told of containers as they go on: a board behind a lock, whose
// figures are read only while somebody asks. Any thread.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "live/usage_board.h"
#include "memcrest/clock.h"
#include "memcrest/live.h"

namespace memcrest {

// What was read of cgroup files.
struct FeedRound {
  std::vector<ContainerMemory> figures;
  std::optional<std::unordered_set<std::uint64_t>> running;  // where the list was made anew: all of them
};

class LiveFeed {
 public:
  using Read = std::function<FeedRound(const UsageBoard::News&)>;
  // All of a snapshot but its times and rows.
  using Head = std::function<LiveSnapshot()>;
  LiveFeed(const Clock& clock, Read read, Head head);

  // The collector's thread: waits for no more than the copying of rows.
  void note(std::span<const Event> events);
  void note(const Incident& incident);

  // Lines: the head, then a row each. Peaks since `since_ns`, since boot; 0: since the watch began.
  [[nodiscard]] std::string snapshot(std::uint64_t since_ns);
  // nullopt: no such container.
  [[nodiscard]] std::optional<std::string> detail(std::uint64_t cgroup_id, std::uint64_t since_ns);
  // An event of the stream with the rows that changed since the tick before; empty: none did. One caller.
  [[nodiscard]] std::string tick();

 private:
  void refresh(std::chrono::milliseconds patience);

  const Clock& clock_;
  Read read_;
  Head head_;
  std::timed_mutex reading_;  // one at a time reads figures; taken before mutex_
  std::chrono::steady_clock::time_point read_at_;
  std::atomic<bool> ever_read_ = false;
  std::mutex mutex_;  // of the board
  UsageBoard board_;
  // Of tick() alone: what was told of each row.
  std::unordered_map<std::uint64_t, std::string> told_;
  std::uint64_t ticked_ns_ = 0;
};

}  // namespace memcrest
