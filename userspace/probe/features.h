// SPDX-License-Identifier: Apache-2.0
// What this kernel and these privileges allow, found by trying: BTF first, then a trial load. Nothing is decided by a
// kernel version.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "probe/capabilities.h"
#include "util/system_root.h"

namespace memcrest {

enum class HookState { kUntested, kAvailable, kMissing, kRefused };
[[nodiscard]] const char* to_string(HookState state);

struct Hook {
  std::string program;  // in the BPF object
  std::string kind;     // "fexit", "fentry", "tp_btf"
  std::string target;   // function or tracepoint
  std::string purpose;  // what it shows
  HookState state = HookState::kUntested;
  std::string reason;  // why it is not available
};

// A rung of the ladder: which programs, and what it cannot see.
struct Tier {
  std::string name;  // "page_counter", "lru+state", "lru", "none"; "oom_kill_process", "mark_victim", "none"
  std::vector<std::string> programs;
  std::vector<std::string> misses;
};

struct Features {
  std::string kernel;   // uname release
  std::string machine;  // uname machine
  bool btf = false;
  std::string btf_error;
  bool rdonly_cast = false;
  std::string lockdown;  // "none", "integrity", "confidentiality", "unknown"
  std::vector<CapabilityStatus> capabilities;
  std::vector<Hook> hooks;
  Tier charge;
  Tier oom;
  [[nodiscard]] bool can_load() const;  // the required capabilities are held and BTF is there
  [[nodiscard]] const Hook* hook(const std::string& program) const;
};

[[nodiscard]] Features probe_features(const SystemRoot& root);

// The best tiers that the available hooks make; called again by the loader when a program falls out after all.
void choose_tiers(Features& features);

}  // namespace memcrest
