// SPDX-License-Identifier: Apache-2.0
// What this kernel and these privileges allow, found by trying: BTF first, then a trial load. Nothing is decided by a
// kernel version.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "probe/capabilities.h"
#include "probe/hooks.h"
#include "probe/tiers.h"
#include "util/system_root.h"

namespace memcrest {

struct Features {
  std::string kernel;   // uname release
  std::string machine;  // uname machine
  bool btf = false;     // types are known, from the kernel or from btf_file
  bool kernel_btf = false;
  std::string btf_file;  // external BTF, empty: the kernel's own
  std::string btf_error;
  bool rdonly_cast = false;
  bool typed_loads_only = false;     // no helper may read kernel memory (lockdown=confidentiality)
  bool safe_map_allocation = false;  // maps may grow inside any hook (bpf_mem_alloc, 6.1)
  bool preempt_off = false;          // programs may turn preemption off (6.10)
  bool stack_copies = false;         // programs may read the registers of user space (x86-64 alone)
  bool objcg_pages = false;          // pages on LRU lists belong to object cgroups
  std::string lockdown;              // "none", "integrity", "confidentiality", "unknown"
  std::vector<CapabilityStatus> capabilities;
  std::vector<Hook> hooks;
  LowerRungs lower;
  Ladder ladder;
  Tier charge;
  Tier oom;
  std::vector<std::string> programs;  // all that are to run, lifecycle and the like included

  [[nodiscard]] bool can_load() const;  // the required capabilities are held and BTF is there
  [[nodiscard]] const Hook* hook(const std::string& program) const;
  [[nodiscard]] bool runs(std::string_view program) const;
};

struct FeatureSettings {
  std::string btf_file;               // external BTF instead of <sys>/kernel/btf/vmlinux
  std::vector<std::string> disabled;  // programs not to be used, by name
};

[[nodiscard]] Features probe_features(const SystemRoot& root, const FeatureSettings& settings = {});

// The tiers that the available hooks make; called again by the loader when a program falls out after all.
[[nodiscard]] Result<void> choose_tiers(Features& features, const TierWish& wish);

}  // namespace memcrest
