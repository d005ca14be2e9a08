// SPDX-License-Identifier: Apache-2.0
#include "live/usage_board.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/live_builder.h"

namespace memcrest {
namespace {

using namespace testing_support;
using ::testing::UnorderedElementsAre;

void note(UsageBoard& board, std::vector<Event> events) { board.note(events); }

TEST(UsageBoard, RowIsAsOfTheLastStepNotOfTheFigures) {
  UsageBoard board;
  StepBuilder steps(7);
  board.note(container_memory(7, "web", 20_MiB), 1000_ms);
  note(board, {steps.first(1000_ms, 20_MiB), steps.up(1500_ms, 60_MiB), steps.down(1600_ms, 30_MiB)});
  const auto rows = board.rows(2000_ms, 1200_ms);
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].memory.figures.usage_bytes, 30_MiB);
  EXPECT_EQ(rows[0].memory.figures.peak_bytes, 60_MiB);
  EXPECT_EQ(rows[0].peak_interval_bytes, 60_MiB);
  EXPECT_TRUE(rows[0].peak_interval_exact);
  EXPECT_EQ(rows[0].memory.figures.effective->usage_bytes, 30_MiB);
}

TEST(UsageBoard, CgroupsWithoutFiguresAreNoRows) {
  UsageBoard board;
  note(board, {StepBuilder(7).first(1000_ms, 20_MiB)});
  EXPECT_TRUE(board.rows(2000_ms, 0).empty());
}

TEST(UsageBoard, NewsNameWhatMovedAndThatCgroupsCame) {
  UsageBoard board;
  note(board, {StepBuilder(7).first(1000_ms, 20_MiB), StepBuilder(8).first(1000_ms, 20_MiB)});
  auto news = board.take_news();
  EXPECT_THAT(news.moved, UnorderedElementsAre(7, 8));
  EXPECT_FALSE(news.cgroups);
  CgroupEvent created;
  created.cgroup_id = 9;
  created.created = true;
  note(board, {created});
  EXPECT_TRUE(board.take_news().cgroups);
  EXPECT_FALSE(board.take_news().cgroups);
}

TEST(UsageBoard, WhoIsGoneStaysForAMinute) {
  UsageBoard board;
  board.note(container_memory(7, "web", 20_MiB), 1000_ms);
  CgroupEvent removed;
  removed.time_ns = 2000_ms;
  removed.cgroup_id = 7;
  removed.watermark_bytes = 70_MiB;
  note(board, {removed});
  auto rows = board.rows(3000_ms, 0);
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_TRUE(rows[0].gone);
  EXPECT_EQ(rows[0].peak_interval_bytes, 70_MiB);  // the mark that it left behind
  board.keep_only({}, 30'000_ms);
  EXPECT_EQ(board.rows(30'000_ms, 0).size(), 1U);
  board.keep_only({}, 70'000_ms);
  EXPECT_TRUE(board.rows(70'000_ms, 0).empty());
}

TEST(UsageBoard, DetailTellsWhoGrewIt) {
  UsageBoard board;
  StepBuilder steps(7);
  board.note(container_memory(7, "web", 10_MiB), 900_ms);
  note(board, {steps.by(task(10, "a")).first(1000_ms, 10_MiB), steps.by(task(11, "b")).up(1100_ms, 40_MiB),
               steps.by(task(10, "a")).up(1200_ms, 50_MiB)});
  const auto detail = board.detail(7, 2000_ms, 0);
  ASSERT_TRUE(detail);
  ASSERT_EQ(detail->growers.size(), 2U);
  EXPECT_EQ(detail->growers[0].comm, "b");
  EXPECT_EQ(detail->growers[0].bytes, 30_MiB);
  EXPECT_DOUBLE_EQ(detail->growers[0].share, 0.75);
  EXPECT_FALSE(board.detail(8, 2000_ms, 0));
}

TEST(UsageBoard, IncidentsCountOnceAndNewestComesFirst) {
  UsageBoard board;
  board.note(container_memory(7, "web", 10_MiB), 900_ms);
  Incident burst;
  burst.kind = IncidentKind::kBurst;
  burst.id = "one";
  burst.cgroup.id = 7;
  Incident again = burst;
  again.update = "runtime_state";
  Incident oom;
  oom.id = "two";
  oom.cgroup.id = 7;
  oom.victims.resize(2);
  board.note(burst);
  board.note(again);
  board.note(oom);
  const auto rows = board.rows(2000_ms, 0);
  EXPECT_EQ(rows[0].bursts, 1U);
  EXPECT_EQ(rows[0].incidents, 2U);
  EXPECT_EQ(rows[0].memory.figures.oom_kills, 2U);
  ASSERT_EQ(board.incidents().size(), 2U);
  EXPECT_EQ(board.incidents()[0]->id, "two");
  EXPECT_EQ(board.incidents()[1]->update, "runtime_state");
  EXPECT_EQ(board.detail(7, 2000_ms, 0)->incidents.size(), 2U);
}

TEST(UsageBoard, StaysWithinItsBounds) {
  UsageBoard board({.max_cgroups = 10, .max_points = 100, .all_points = 300, .max_incidents = 2});
  for (std::uint64_t id = 1; id <= 5; ++id) {
    board.note(container_memory(id, "c" + std::to_string(id), 1_MiB), 1_ms);
  }
  for (std::uint64_t i = 0; i < 2000; ++i) {
    note(board, {StepBuilder(1 + i % 50).up(1000_ms + i * 1_ms, (i + 1) * 1_MiB)});
  }
  EXPECT_EQ(board.rows(5000_ms, 0).size(), 5U);  // containers are not what is forgotten
  std::size_t points = 0;
  for (std::uint64_t id = 1; id <= 5; ++id) {
    points += board.detail(id, 5000_ms, 0)->points.size();
  }
  EXPECT_LE(points, 300U);
  for (const char* id : {"a", "b", "c"}) {
    Incident one;
    one.id = id;
    board.note(one);
  }
  EXPECT_EQ(board.incidents().size(), 2U);
}

TEST(MainKind, IsTheLargestPart) {
  MemoryFigures figures;
  EXPECT_EQ(main_kind(figures), "");
  figures.usage_bytes = 100_MiB;
  figures.anon_bytes = 10_MiB;
  figures.file_bytes = 20_MiB;
  figures.shmem_bytes = 5_MiB;
  EXPECT_EQ(main_kind(figures), "kernel");
  figures.file_bytes = 80_MiB;
  EXPECT_EQ(main_kind(figures), "file");
}

}  // namespace
}  // namespace memcrest
