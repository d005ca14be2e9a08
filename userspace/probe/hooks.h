// SPDX-License-Identifier: Apache-2.0
// Every program of the kernel side with the place where it attaches, and the trial that tells whether this kernel and
// these privileges allow it: BTF first, then a program that does nothing.
#pragma once

#include <string>
#include <vector>

#include "probe/btf.h"

namespace memcrest {

enum class HookState { kUntested, kAvailable, kMissing, kRefused };
[[nodiscard]] const char* to_string(HookState state);

// Programs of one role see the same thing in different ways; they are listed best first, and one of them is used.
struct Hook {
  std::string program;               // in the BPF object
  std::string kind;                  // "fexit", "fentry", "tp_btf", "raw_tp", "kprobe", "kretprobe"
  std::vector<std::string> targets;  // functions or tracepoints, one of which a kernel has
  std::string role;                  // what it is for: programs of the same role stand in for each other
  std::string purpose;               // what it shows
  std::string target;                // the one of `targets` that this kernel has; the first where none
  HookState state = HookState::kUntested;
  std::string reason;  // why it is not available
};

[[nodiscard]] std::vector<Hook> all_hooks();

// What the trial of a hook may ask.
struct HookTrial {
  const KernelBtf& btf;
  bool kernel_btf = false;  // it is the running kernel's own, so that programs can be typed by it
  std::string sys;          // root of sysfs
};

// 0, or the errno with which the kernel refuses the smallest program: ENOSYS where bpf(2) is not there at all. Needs
// CAP_BPF and CAP_PERFMON.
[[nodiscard]] int try_bpf();

// Sets target, state and reason. Needs CAP_BPF and CAP_PERFMON; kprobes need CAP_SYS_ADMIN on some kernels.
void try_hook(Hook& hook, const HookTrial& trial);

}  // namespace memcrest
