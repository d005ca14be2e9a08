// SPDX-License-Identifier: Apache-2.0
// The process that acts for the agent at a line: signals, dumps, commands. It is forked before the agent gives up its
// privileges, keeps them, and does nothing but what the configuration of its start allows, whatever the agent tells it
// later. When the agent is gone it lets go of everybody and ends; when it is gone itself its guardian does.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "app/break_policy_options.h"
#include "memcrest/event.h"
#include "memcrest/incident.h"
#include "probe/breakpoint_table.h"
#include "util/fd.h"
#include "util/redact.h"

namespace memcrest {

class BreakRunner {
 public:
  // Forks it: before threads are started.
  [[nodiscard]] static Result<BreakRunner> start(const BreakPolicyOptions& options, CmdlineDetail cmdlines);

  BreakRunner(const BreakRunner&) = delete;
  BreakRunner& operator=(const BreakRunner&) = delete;
  BreakRunner(BreakRunner&& other) noexcept;
  BreakRunner& operator=(BreakRunner&&) = delete;
  ~BreakRunner();  // lets everybody go, and waits for its end

  // The kernel's table: once, before anything else.
  [[nodiscard]] Result<void> give(const BreakpointTable& table);
  // `action`: its place in BreakPolicyOptions::allowed. None of these waits: an error (EAGAIN) is a runner that is
  // stuck.
  [[nodiscard]] Result<void> arm(std::uint64_t cgroup_id, std::size_t action, const std::string& path);
  [[nodiscard]] Result<void> forget(std::uint64_t cgroup_id);
  [[nodiscard]] Result<void> hit(const BreakpointEvent& event);

  // What it says of a hit: an incident with cgroup.id, boot_ns and breakpoint, and update "breakpoint" where it is
  // over; or that the hit is part of one that was told; or a hit whose record was lost, which it wants to hear of.
  struct Part {
    std::uint64_t cgroup_id = 0;
    std::uint64_t time_ns = 0;
  };
  using Answer = std::variant<Incident, Part, BreakpointEvent>;
  // Waits for the next one at most so long. nullopt: none, or it is gone (see is_there()).
  [[nodiscard]] std::optional<Answer> answer(std::chrono::milliseconds patience);
  // It is to let everybody go; what it still has to say can be read until it is gone.
  void end();
  [[nodiscard]] bool is_there() const { return static_cast<bool>(socket_); }

 private:
  BreakRunner(pid_t pid, Fd socket) : pid_(pid), socket_(std::move(socket)) {}
  [[nodiscard]] Result<void> say(const std::string& message);
  pid_t pid_ = -1;
  Fd socket_;
};

}  // namespace memcrest
