// SPDX-License-Identifier: Apache-2.0
#include "memcrest/incident.h"

#include <gtest/gtest.h>

namespace memcrest {
namespace {

TEST(IncidentWords, AreTheContract) {
  EXPECT_STREQ(to_string(IncidentKind::kOom), "oom");
  EXPECT_STREQ(to_string(IncidentKind::kBurst), "burst");
  EXPECT_STREQ(to_string(IncidentKind::kKill), "kill");
  EXPECT_STREQ(to_string(IncidentKind::kChargeFailure), "charge_failure");
  EXPECT_STREQ(to_string(IncidentKind::kBreakpoint), "breakpoint");
  EXPECT_STREQ(to_string(Scope::kMemcg), "memcg");
  EXPECT_STREQ(to_string(Scope::kAncestor), "ancestor");
  EXPECT_STREQ(to_string(Scope::kHost), "host");
  EXPECT_STREQ(to_string(Scope::kCpuset), "cpuset");
  EXPECT_STREQ(to_string(Scope::kMempolicy), "mempolicy");
  EXPECT_STREQ(to_string(Runtime::kDocker), "docker");
  EXPECT_STREQ(to_string(Runtime::kContainerd), "containerd");
  EXPECT_STREQ(to_string(Runtime::kCrio), "cri-o");
  EXPECT_STREQ(to_string(Runtime::kPodman), "podman");
  EXPECT_STREQ(to_string(Runtime::kSystemd), "systemd");
  EXPECT_STREQ(to_string(Runtime::kNone), "none");
  EXPECT_STREQ(to_string(Runtime::kUnknown), "unknown");
  EXPECT_STREQ(to_string(BurstEnd::kFell), "fell");
  EXPECT_STREQ(to_string(BurstEnd::kLevelled), "levelled");
  EXPECT_STREQ(to_string(BurstEnd::kKilled), "killed");
  EXPECT_STREQ(to_string(BurstEnd::kRemoved), "removed");
  EXPECT_STREQ(to_string(BurstEnd::kOpen), "open");
}

}  // namespace
}  // namespace memcrest
