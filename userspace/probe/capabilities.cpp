// SPDX-License-Identifier: Apache-2.0
#include "probe/capabilities.h"

#include <cap-ng.h>

#include <algorithm>

namespace memcrest {
namespace {

struct Wanted {
  unsigned number;
  const char* name;
  bool required;
  const char* consequence;
};

constexpr Wanted kWanted[] = {
    {CAP_BPF, "CAP_BPF", true, "no BPF program can be loaded"},
    {CAP_PERFMON, "CAP_PERFMON", true, "no tracing program can be loaded: CAP_BPF alone is not enough"},
    {CAP_SYS_PTRACE, "CAP_SYS_PTRACE", false, "programs and mappings of other users' processes cannot be read"},
    {CAP_SYSLOG, "CAP_SYSLOG", false, "kernel addresses have no names: a memory cgroup's OOM is told by its counters"},
    {CAP_SYS_RESOURCE, "CAP_SYS_RESOURCE", false, "needed before kernel 5.11 only, to lock memory for BPF maps"},
};

}  // namespace

std::vector<CapabilityStatus> read_capabilities() {
  std::vector<CapabilityStatus> out;
  capng_clear(CAPNG_SELECT_BOTH);
  const bool readable = capng_get_caps_process() == 0;
  const auto effective = [&](unsigned number) {
    return readable && capng_have_capability(CAPNG_EFFECTIVE, number) != 0;
  };
  const bool admin = effective(CAP_SYS_ADMIN);
  for (const Wanted& wanted : kWanted) {
    const bool covered = admin && (wanted.number == CAP_BPF || wanted.number == CAP_PERFMON);
    out.push_back({wanted.name, covered || effective(wanted.number), wanted.required, wanted.consequence});
  }
  return out;
}

bool holds(const std::vector<CapabilityStatus>& all, const std::string& name) {
  return std::ranges::any_of(all, [&](const auto& one) { return one.name == name && one.held; });
}

}  // namespace memcrest
