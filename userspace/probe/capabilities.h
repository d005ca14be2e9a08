// SPDX-License-Identifier: Apache-2.0
// What this process may do, and what follows from what it may not.
#pragma once

#include <string>
#include <vector>

namespace memcrest {

struct CapabilityStatus {
  std::string name;         // "CAP_BPF"
  bool held = false;        // in the effective set
  bool required = false;    // watch cannot work without it
  std::string consequence;  // of not holding it
};

// In a fixed order. CAP_SYS_ADMIN stands in for CAP_BPF and CAP_PERFMON, as in the kernel.
[[nodiscard]] std::vector<CapabilityStatus> read_capabilities();

[[nodiscard]] bool holds(const std::vector<CapabilityStatus>& all, const std::string& name);

}  // namespace memcrest
