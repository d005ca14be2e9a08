// SPDX-License-Identifier: Apache-2.0
// Whom and where an event is about.
#pragma once

#include <cstdint>
#include <optional>
#include <variant>

#include "memcrest/event.h"

namespace memcrest {

struct EventSubject {
  std::optional<std::uint64_t> cgroup_id;
  std::optional<std::uint32_t> pid;
};

inline EventSubject subject_of(const Event& event) {
  return std::visit(
      [](const auto& one) -> EventSubject {
        EventSubject out;
        if constexpr (requires { one.cgroup_id; }) {
          out.cgroup_id = one.cgroup_id;
        } else if constexpr (requires { one.memcg_id; }) {
          out.cgroup_id = one.memcg_id;
        } else if constexpr (requires { one.task; }) {
          out.cgroup_id = one.task.cgroup_id;
        } else if constexpr (requires { one.target; }) {
          out.cgroup_id = one.target.cgroup_id;
        }
        if constexpr (requires { one.task; }) {
          out.pid = one.task.process.tgid;
        } else if constexpr (requires { one.target; }) {
          out.pid = one.target.process.tgid;
        } else if constexpr (requires { one.chosen_tgid; }) {
          out.pid = one.chosen_tgid;
        }
        return out;
      },
      event);
}

}  // namespace memcrest
