// SPDX-License-Identifier: Apache-2.0
#include "collector/usage_poller.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <optional>

#include "support/event_builder.h"
#include "support/fake_cgroups.h"

namespace memcrest {
namespace {

using std::chrono::milliseconds;
using testing::IsEmpty;
using testing::SizeIs;
using namespace testing_support;  // NOLINT(google-build-using-namespace): literals

class UsagePollerTest : public testing::Test {
 protected:
  explicit UsagePollerTest(FakeCgroups::Version version = FakeCgroups::Version::kV1)
      : host_(version), tree_(*CgroupTree::open(host_.root())) {
    poller_.emplace(tree_, UsagePollSettings{}, cpu());
  }
  CpuClock cpu() {
    return [this] { return cpu_ += cost_; };
  }

  std::uint64_t make(const std::string& path, std::uint64_t usage) {
    const std::uint64_t id = host_.add(path);
    use(path, usage);
    poller_->added({id, 0, path}, false);
    return id;
  }
  void use(const std::string& path, std::uint64_t usage) {
    host_.write(path, tree_.usage_file(), std::to_string(usage) + "\n");
  }
  std::vector<StepEvent> look(std::uint64_t now_ns) {
    std::vector<Event> out;
    poller_->look(now_ns, out);
    std::vector<StepEvent> steps;
    for (const Event& event : out) {
      steps.push_back(std::get<StepEvent>(event));
    }
    return steps;
  }

  FakeCgroups host_;
  CgroupTree tree_;
  std::uint64_t cpu_ = 0;
  std::uint64_t cost_ = 0;
  std::optional<UsagePoller> poller_;
};

class UsagePollerV2Test : public UsagePollerTest {
 protected:
  UsagePollerV2Test() : UsagePollerTest(FakeCgroups::Version::kV2) {}
};

TEST_F(UsagePollerTest, TellsABaseLineThenLevels) {
  const std::uint64_t id = make("/a", 5_MiB);
  auto steps = look(1000_ms);
  ASSERT_THAT(steps, SizeIs(1));
  EXPECT_EQ(steps[0].time_ns, 1000_ms);
  EXPECT_EQ(steps[0].cgroup_id, id);
  EXPECT_EQ(steps[0].serial, id);
  EXPECT_EQ(steps[0].usage_bytes, 5_MiB);
  EXPECT_EQ(steps[0].watermark_bytes, 5_MiB) << "no file says more";
  EXPECT_EQ(steps[0].quantum_bytes, 1_MiB);
  EXPECT_EQ(steps[0].limit_bytes, std::nullopt);
  EXPECT_TRUE(steps[0].foreign);
  EXPECT_FALSE(steps[0].up || steps[0].down || steps[0].ancestor);

  use("/a", 6_MiB - 1);
  EXPECT_THAT(look(1020_ms), IsEmpty());
  use("/a", 9_MiB);
  host_.write("/a", "memory.max_usage_in_bytes", std::to_string(12_MiB) + "\n");
  steps = look(1040_ms);
  ASSERT_THAT(steps, SizeIs(1));
  EXPECT_TRUE(steps[0].up);
  EXPECT_EQ(steps[0].watermark_bytes, 12_MiB);
  use("/a", 8_MiB);
  EXPECT_THAT(look(1060_ms), IsEmpty()) << "within the hysteresis";
  use("/a", 3_MiB);
  steps = look(1080_ms);
  ASSERT_THAT(steps, SizeIs(1));
  EXPECT_TRUE(steps[0].down);
  EXPECT_EQ(steps[0].watermark_bytes, 12_MiB);
  EXPECT_EQ(poller_->highest(id), 12_MiB);
  EXPECT_EQ(poller_->highest(id + 1), 0);
}

TEST_F(UsagePollerV2Test, LevelsFollowTheLowestLimitAbove) {
  host_.add("/pod");
  host_.write("/pod", "memory.max", std::to_string(1_GiB) + "\n");
  make("/pod/a", 5_MiB);
  host_.write("/pod/a", "memory.max", std::to_string(4_GiB) + "\n");
  const auto steps = look(1000_ms);
  ASSERT_THAT(steps, SizeIs(1));
  EXPECT_EQ(steps[0].limit_bytes, 4_GiB) << "the own one";
  EXPECT_EQ(steps[0].quantum_bytes, 8_MiB) << "but fine enough for the one above";
}

TEST_F(UsagePollerTest, TheUsersStepIsTaken) {
  poller_.emplace(tree_, UsagePollSettings{.step_bytes = 64 << 10U}, cpu());
  make("/a", 0);
  EXPECT_EQ(look(1000_ms).at(0).quantum_bytes, 64 << 10U);
  use("/a", 64 << 10U);
  EXPECT_THAT(look(1020_ms), SizeIs(1));
}

TEST_F(UsagePollerTest, NotMoreOftenThanTheInterval) {
  make("/a", 0);
  look(1000_ms);
  use("/a", 5_MiB);
  EXPECT_THAT(look(1010_ms), IsEmpty());
  EXPECT_THAT(look(1019_ms), SizeIs(1)) << "a timer may come a moment early";
}

TEST_F(UsagePollerTest, QuietOnesShareABudgetMovingOnesAreReadAtTheInterval) {
  poller_.emplace(tree_, UsagePollSettings{.max_open = 8, .quiet_share = 0.001}, cpu());
  for (int i = 0; i < 200; ++i) {
    make("/quiet" + std::to_string(i), 1_MiB);
  }
  make("/moving", 0);
  look(1000_ms);
  cost_ = 100'000;  // of CPU for 15 cgroups; at 0.1 % worth 100 ms
  std::uint64_t usage = 0;
  std::size_t steps = 0;
  for (std::uint64_t now = 1020_ms; now < 6000_ms; now += 20_ms) {
    use("/moving", usage += 1_MiB);
    steps += look(now).size();
  }
  EXPECT_GE(steps, 245) << "each step of the one that moves, once it was seen to move";
  EXPECT_GE(poller_->quiet_gap(), milliseconds(1000)) << "what the budget leaves for the rest, said aloud";
  EXPECT_LE(poller_->quiet_gap(), milliseconds(5000));
  EXPECT_EQ(poller_->moving_gap(), milliseconds(20));
}

TEST_F(UsagePollerTest, AQuietOneThatMovesIsFoundInItsTurn) {
  make("/a", 1_MiB);
  look(1000_ms);
  for (std::uint64_t now = 1020_ms; now < 4000_ms; now += 20_ms) {
    EXPECT_THAT(look(now), IsEmpty());
  }
  use("/a", 20_MiB);
  EXPECT_THAT(look(4000_ms), SizeIs(1));
}

TEST_F(UsagePollerTest, FirstLooksDoNotWaitForTheBudget) {
  poller_.emplace(tree_, UsagePollSettings{.quiet_share = 0, .moving_share = 0}, cpu());
  for (int i = 0; i < 50; ++i) {
    make("/c" + std::to_string(i), 1_MiB);
  }
  EXPECT_THAT(look(1000_ms), SizeIs(50));
}

TEST_F(UsagePollerTest, OneWithoutTheControllerOrGoneIsPassedOver) {
  const std::uint64_t id = host_.add("/bare");
  poller_->added({id, 0, "/bare"}, true);
  make("/a", 1_MiB);
  EXPECT_THAT(look(1000_ms), SizeIs(1));
  use("/bare", 3_MiB);  // the controller was enabled later
  EXPECT_THAT(look(1020_ms), SizeIs(1));
  host_.remove("/a");
  EXPECT_THAT(look(1040_ms), IsEmpty());
  poller_->removed(id);
  poller_->removed(id);
  EXPECT_THAT(look(1060_ms), IsEmpty());
}

TEST_F(UsagePollerTest, NeverMoreDescriptorsThanAllowed) {
  const auto open_files = [] {
    return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), std::filesystem::directory_iterator{});
  };
  poller_.emplace(tree_, UsagePollSettings{.max_open = 5}, cpu());
  const auto before = open_files();
  for (int i = 0; i < 20; ++i) {
    make("/c" + std::to_string(i), 1_MiB);
  }
  std::uint64_t usage = 1_MiB;
  for (std::uint64_t now = 1000_ms; now < 5000_ms; now += 20_ms) {
    usage += 1_MiB;
    for (int i = 14; i < 20; ++i) {
      use("/c" + std::to_string(i), usage);
    }
    EXPECT_EQ(look(now).size(), now == 1000_ms ? 20 : 6);
    ASSERT_LE(open_files() - before, 5);
  }
}

}  // namespace
}  // namespace memcrest
