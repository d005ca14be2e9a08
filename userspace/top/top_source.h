// SPDX-License-Identifier: Apache-2.0
// Where `memcrest top` gets its rows: this machine, an agent, a recording. One thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "memcrest/live.h"
#include "util/result.h"

namespace memcrest {

// Where in a recording one stands.
struct TimeTravel {
  std::uint64_t begin_ns = 0;  // since boot
  std::uint64_t end_ns = 0;
  std::uint64_t now_ns = 0;
};

class TopSource {
 public:
  virtual ~TopSource() = default;

  // For a person: "this machine", "night.db".
  [[nodiscard]] virtual std::string name() const = 0;
  // Peaks since the look before this one. An error: nobody answers, ask again.
  [[nodiscard]] virtual Result<LiveSnapshot> look() = 0;
  [[nodiscard]] virtual Result<std::optional<LiveDetail>> detail(std::uint64_t cgroup_id) = 0;
  // Newest first.
  [[nodiscard]] virtual Result<std::vector<std::shared_ptr<const Incident>>> incidents() = 0;
  // Works at what comes in, no longer than this; false: there will be nothing more.
  virtual bool tend(std::chrono::milliseconds longest) = 0;
  // Rows that are about to be shown: their figures are wanted first.
  virtual void shown(const std::vector<std::uint64_t>& /*cgroup_ids*/) {}

  // A recording only.
  [[nodiscard]] virtual std::optional<TimeTravel> travel() const { return std::nullopt; }
  virtual void go_to(std::uint64_t /*boot_ns*/) {}
};

}  // namespace memcrest
