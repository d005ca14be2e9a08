// SPDX-License-Identifier: Apache-2.0
#include "live/recorded_usage.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "store/recording_reader.h"
#include "store/recording_writer.h"
#include "support/event_builder.h"
#include "support/fake_cgroups.h"

namespace memcrest {
namespace {

using namespace testing_support;  // NOLINT(google-build-using-namespace): literals

// What `memcrest top FILE` shows of a recording of these events.
RecordedUsage recorded(const std::vector<Event>& events, std::vector<ExportedCgroup> listed) {
  const TempDir dir;
  const std::string file = dir.path() + "/a.memcrest";
  auto writer = RecordingWriter::create(file, {.min_free_bytes = 0}, {});
  EXPECT_TRUE(writer) << writer.error().message();
  (*writer)->add(events);
  EXPECT_TRUE((*writer)->finish());
  auto reader = RecordingReader::open(file, {});
  EXPECT_TRUE(reader) << reader.error().message();
  ExportedCgroups cgroups(std::move(listed));
  return RecordedUsage::read(*reader, cgroups);
}

ExportedCgroup cgroup(std::uint64_t id, std::string path) {
  return {.cgroup_id = id, .serial = id + 1'000'000, .path = std::move(path)};
}

const LiveRow* row_of(const LiveSnapshot& snapshot, std::uint64_t id) {
  const auto found = std::ranges::find(snapshot.rows, id, [](const LiveRow& one) { return one.memory.cgroup.id; });
  return found == snapshot.rows.end() ? nullptr : &*found;
}

TEST(RecordedUsage, TheEffectiveLimitIsTheLowestOfThoseAround) {
  StepBuilder slice(7);
  StepBuilder inner(8);
  StepBuilder tight(9);
  StepBuilder beside(10);
  slice.limit(64_MiB);
  tight.limit(16_MiB);
  CgroupEvent removed;
  removed.cgroup_id = 7;
  removed.time_ns = 900_ms;
  const RecordedUsage usage = recorded(
      {slice.up(100_ms, 40_MiB), inner.up(100_ms, 8_MiB), tight.up(100_ms, 8_MiB), beside.up(100_ms, 8_MiB),
       slice.up(200_ms, 4_MiB), slice.limit(32_MiB).up(600_ms, 1_MiB), removed, inner.up(950_ms, 1_MiB)},
      {cgroup(7, "/a.slice"), cgroup(8, "/a.slice/inner"), cgroup(9, "/a.slice/tight"), cgroup(10, "/a.slicer")});

  const LiveSnapshot early = usage.look(300_ms, 0);
  const LiveRow* row = row_of(early, 8);
  ASSERT_NE(row, nullptr);
  EXPECT_FALSE(row->memory.figures.limit_bytes);
  ASSERT_TRUE(row->memory.figures.effective);
  EXPECT_EQ(row->memory.figures.effective->bytes, 64_MiB);
  EXPECT_EQ(row->memory.figures.effective->cgroup_path, "/a.slice");
  EXPECT_EQ(row->memory.figures.effective->usage_bytes, row_of(early, 7)->memory.figures.usage_bytes);
  EXPECT_EQ(row_of(early, 9)->memory.figures.effective->bytes, 16_MiB);
  EXPECT_EQ(row_of(early, 9)->memory.figures.effective->cgroup_path, "/a.slice/tight");
  EXPECT_FALSE(row_of(early, 10)->memory.figures.effective) << "its name only begins alike";

  // It was lowered, and went.
  EXPECT_EQ(row_of(usage.look(700_ms, 0), 8)->memory.figures.effective->bytes, 32_MiB);
  EXPECT_FALSE(row_of(usage.look(960_ms, 0), 8)->memory.figures.effective);
}

}  // namespace
}  // namespace memcrest
