// SPDX-License-Identifier: Apache-2.0
// What the agent gives up once its hooks are attached. For the calling thread, and the threads that it starts later.
#pragma once

#include "util/result.h"

namespace memcrest {

struct KeptPrivileges {
  bool kprobes = false;       // perf-based hooks may be attached later: needs CAP_SYS_ADMIN
  bool users_podman = false;  // sockets of other users: needs CAP_DAC_OVERRIDE
};

// Keeps what reading other processes and attaching late needs, sets no_new_privs and empties the bounding set.
[[nodiscard]] Result<void> drop_privileges(const KeptPrivileges& kept);

// As drop_privileges, and keeps nothing: for threads that only serve and send.
[[nodiscard]] Result<void> drop_all_privileges();
// Whether it may signal processes of any user: who cannot must stop none.
[[nodiscard]] bool may_signal_all();

}  // namespace memcrest
