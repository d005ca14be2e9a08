// SPDX-License-Identifier: Apache-2.0
#include "collector/host_ranking.h"

#include <gmock/gmock.h>

#include "support/collector_fixture.h"

namespace memcrest {
namespace {

using testing::ElementsAre;
using testing::SizeIs;
using namespace testing_support;  // NOLINT(google-build-using-namespace): literals

class HostRankingTest : public CollectorFixture {
 protected:
  std::uint64_t holds(const std::string& path, std::uint64_t bytes) {
    const std::uint64_t id = cgroups_.add(path);
    cgroups_.write(path, "memory.usage_in_bytes", std::to_string(bytes) + "\n");
    return id;
  }
  UsageRanking& ranking() {
    if (!ranking_) {
      collector();  // makes tree and resolver
      resolver_->scan();
      ranking_.emplace(*tree_, *resolver_, clock_);
    }
    return *ranking_;
  }
  static std::vector<std::string> paths(const std::vector<RankedCgroup>& ranked) {
    std::vector<std::string> out;
    std::ranges::transform(ranked, std::back_inserter(out), [](const RankedCgroup& one) { return one.cgroup.path; });
    return out;
  }

  std::optional<UsageRanking> ranking_;
};

TEST_F(HostRankingTest, TheHeaviestFirstAndContainersAsOne) {
  const std::string web = "/docker/" + id_of('a');
  holds("/docker", 900_MiB);
  holds(web, 600_MiB);
  holds(web + "/inner", 500_MiB);
  holds("/system.slice", 300_MiB);
  holds("/system.slice/cron.service", 40_MiB);
  holds("/empty", 0);
  const HostRanking ranked = ranking().rank();
  EXPECT_THAT(paths(ranked.by_usage), ElementsAre(web, "/system.slice/cron.service"));
  EXPECT_EQ(ranked.by_usage[0].usage_bytes, 600_MiB);
  EXPECT_EQ(ranked.by_usage[0].container_id, id_of('a'));
  EXPECT_EQ(ranked.by_usage[1].runtime, Runtime::kSystemd);
  EXPECT_EQ(ranked.incomplete, "only a part of the cgroup hierarchy is mounted here") << "a directory is no cgroupfs";
}

TEST_F(HostRankingTest, GrowthIsMeasuredOverTheLastMinute) {
  const std::uint64_t job = holds("/job", 500_MiB);
  const std::uint64_t old = holds("/old", 700_MiB);
  ranking().note(old, 1'000_ms, 100_MiB);
  ranking().note(old, 30'000_ms, 690_MiB);
  ranking().note(job, 95'000_ms, 100_MiB);
  clock_.set(100'000_ms);
  const HostRanking ranked = ranking().rank();
  ASSERT_THAT(paths(ranked.by_growth), ElementsAre("/job", "/old"));
  EXPECT_EQ(ranked.by_growth[0].growth_bytes, 400_MiB);
  EXPECT_EQ(ranked.by_growth[1].growth_bytes, 10_MiB);
}

TEST_F(HostRankingTest, ACgroupThatTheKillEmptiedCountsWithWhatItHad) {
  const std::uint64_t job = holds("/job", 4_MiB);
  ranking().note(job, 99'900_ms, 800_MiB);
  clock_.set(100'000_ms);
  EXPECT_EQ(ranking().rank().by_usage.at(0).usage_bytes, 800_MiB);
}

TEST_F(HostRankingTest, WhatAKillSawCountsHoweverLateItIsLookedAt) {
  const std::string web = "/docker/" + id_of('a');
  const std::uint64_t emptied = holds("/job", 4_MiB);
  const std::uint64_t gone = holds(web, 600_MiB);
  const std::uint64_t parent = holds("/above", 700_MiB);
  ranking().note(gone, 94'000_ms, 590_MiB);
  MemcgChain chain;
  chain.entries = {{.cgroup_id = emptied, .usage_bytes = 800_MiB}, {.cgroup_id = parent, .usage_bytes = 900_MiB}};
  ranking().note_kill(95'000_ms, chain);
  chain.entries = {{.cgroup_id = gone, .usage_bytes = 600_MiB}};
  ranking().note_kill(95'500_ms, chain);
  chain.entries[0].usage_bytes = 300_MiB;
  ranking().note_kill(95'600_ms, chain);  // what a second kill found left
  cgroups_.remove(web);
  ranking().forget(gone);
  clock_.set(100'000_ms);
  const HostRanking ranked = ranking().rank();
  EXPECT_THAT(paths(ranked.by_usage), ElementsAre("/above", "/job", web));
  EXPECT_EQ(ranked.by_usage[0].usage_bytes, 900_MiB);
  EXPECT_EQ(ranked.by_usage[2].usage_bytes, 600_MiB);
  EXPECT_EQ(ranked.by_usage[2].container_id, id_of('a'));
  ASSERT_THAT(paths(ranked.by_growth), ElementsAre(web));
  EXPECT_EQ(ranked.by_growth[0].growth_bytes, 10_MiB);
  clock_.set(200'000_ms);
  EXPECT_THAT(paths(ranking().rank().by_usage), ElementsAre("/above", "/job")) << "old news";
  EXPECT_EQ(ranking().rank().by_usage[1].usage_bytes, 4_MiB);
}

TEST_F(HostRankingTest, NamesThatComeLateAreFilledIn) {
  daemon_knows({{id_of('a'), "web", "my-app"}}, std::chrono::milliseconds(200));
  const std::uint64_t id = holds("/docker/" + id_of('a'), 600_MiB);
  HostRanking ranked = ranking().rank();
  ASSERT_THAT(ranked.by_usage, SizeIs(1));
  EXPECT_EQ(ranked.by_usage[0].container_name, "");
  ASSERT_EQ(resolver_->wait(id, std::chrono::seconds(3)).container.name, "web");
  ranking().complete_names(ranked);
  EXPECT_EQ(ranked.by_usage[0].container_name, "web");
  EXPECT_EQ(ranked.by_usage[0].usage_bytes, 600_MiB);
}

}  // namespace
}  // namespace memcrest
