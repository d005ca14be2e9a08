// SPDX-License-Identifier: Apache-2.0
#include "app/privileges.h"

#include <cap-ng.h>
#include <sys/prctl.h>

#include <vector>

namespace memcrest {

namespace {

Result<void> keep_only(const std::vector<unsigned>& wanted);

}  // namespace

Result<void> drop_all_privileges() { return keep_only({}); }

bool may_signal_all() { return capng_get_caps_process() == 0 && capng_have_capability(CAPNG_EFFECTIVE, CAP_KILL) != 0; }

Result<void> drop_privileges(const KeptPrivileges& kept) {
  std::vector<unsigned> wanted = {CAP_BPF, CAP_PERFMON, CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH, CAP_SYSLOG};
  if (capng_get_caps_process() != 0) {
    return fail_errno("read", "capabilities");
  }
  // Runtimes that do not know CAP_BPF (Docker 20.10) give the capability that it was once part of.
  const bool by_name =
      capng_have_capability(CAPNG_PERMITTED, CAP_BPF) != 0 && capng_have_capability(CAPNG_PERMITTED, CAP_PERFMON) != 0;
  if (kept.kprobes || !by_name) {
    wanted.push_back(CAP_SYS_ADMIN);
  }
  if (kept.users_podman) {
    wanted.push_back(CAP_DAC_OVERRIDE);
  }
  return keep_only(wanted);
}

namespace {

Result<void> keep_only(const std::vector<unsigned>& wanted) {
  if (capng_get_caps_process() != 0) {
    return fail_errno("read", "capabilities");
  }
  std::vector<unsigned> held;
  for (const unsigned one : wanted) {
    if (capng_have_capability(CAPNG_PERMITTED, one) != 0) {
      held.push_back(one);
    }
  }
  const bool may_bound = capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP) != 0;
  capng_clear(CAPNG_SELECT_BOTH);
  for (const unsigned one : held) {
    capng_update(CAPNG_ADD, static_cast<capng_type_t>(CAPNG_EFFECTIVE | CAPNG_PERMITTED), one);
  }
  if (const int code = capng_apply(may_bound ? CAPNG_SELECT_BOTH : CAPNG_SELECT_CAPS); code != 0) {
    return fail("drop", "capabilities", EPERM, "libcap-ng says " + std::to_string(code));
  }
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    return fail_errno("set", "no_new_privs");
  }
  return {};
}

}  // namespace

}  // namespace memcrest
