// SPDX-License-Identifier: Apache-2.0
// The agent's own seccomp filter: what its threads may still ask of the kernel once their set-up is done. An
// allow-list; docs/security.md shows it.
#pragma once

#include "util/result.h"

namespace memcrest {

enum class ThreadDuty {
  kServe,           // HTTP, spool, receivers: files and sockets; no bpf()
  kCollect,         // maps are read, a hook is attached when charges fail
  kCollectKprobes,  // the same by way of perf events
};

// For the calling thread, and the threads that it starts later. A call that is not in the list fails with EPERM, and is
// reported to the kernel's audit log where only an intruder would make it; none ends the process, except one by way of
// another ABI (32 bit). Two filters, after the thread's own set-up. Sets no_new_privs. Fails where the kernel has no
// seccomp filters.
[[nodiscard]] Result<void> filter_syscalls(ThreadDuty duty);

}  // namespace memcrest
