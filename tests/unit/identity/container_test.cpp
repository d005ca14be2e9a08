// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "identity/container_source.h"

namespace memcrest {
namespace {

TEST(Merge, FillsWhatIsMissingAndKeepsWhatIsKnown) {
  Container known{.runtime = Runtime::kContainerd, .id = "a", .name = "web", .labels = {{"x", "1"}}};
  merge(known, {.id = "b", .name = "other", .image = "nginx", .labels = {{"x", "2"}, {"y", "3"}}, .init_pid = 7});
  EXPECT_EQ(known.runtime, Runtime::kContainerd) << "not told: it stays";
  EXPECT_EQ(known.id, "a");
  EXPECT_EQ(known.name, "web");
  EXPECT_EQ(known.image, "nginx");
  EXPECT_EQ(known.labels, (std::map<std::string, std::string>{{"x", "1"}, {"y", "3"}}));
  EXPECT_EQ(known.init_pid, 7U);
}

TEST(Merge, WhoAnswersKnowsTheRuntimeBetterThanThePath) {
  Container known{.runtime = Runtime::kContainerd};
  merge(known, {.runtime = Runtime::kDocker});
  EXPECT_EQ(known.runtime, Runtime::kDocker);
}

TEST(Merge, ThePodsFieldsOneByOne) {
  Container known;
  known.pod = Pod{.uid = "u", .qos = "burstable"};
  Container more;
  more.pod = Pod{.uid = "other", .name = "shop", .name_space = "prod", .owner = Owner{"Deployment", "shop"}};
  merge(known, more);
  EXPECT_EQ(known.pod->uid, "u");
  EXPECT_EQ(known.pod->name, "shop");
  EXPECT_EQ(known.pod->qos, "burstable");
  EXPECT_EQ(known.pod->owner->kind, "Deployment");
}

TEST(Merge, TheStateIsTheLatest) {
  Container known;
  known.state = RuntimeState{.status = "running", .restart_count = 1};
  Container more;
  more.state = RuntimeState{.status = "exited", .exit_code = 137, .oom_killed = false};
  merge(known, more);
  EXPECT_EQ(known.state->status, "exited");
  EXPECT_EQ(known.state->exit_code, 137);
  EXPECT_EQ(known.state->oom_killed, false);
  EXPECT_EQ(known.state->restart_count, 1U);
}

}  // namespace
}  // namespace memcrest
