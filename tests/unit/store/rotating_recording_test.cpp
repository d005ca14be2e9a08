// SPDX-License-Identifier: Apache-2.0
#include "store/rotating_recording.h"

#include <gmock/gmock.h>

#include "recording_fixture.h"

namespace memcrest {
namespace {

using testing::HasSubstr;
using testing::SizeIs;
using namespace std::chrono_literals;
using namespace testing_support;  // NOLINT(google-build-using-namespace): literals

constexpr std::uint64_t kSecond = 1'000'000'000;

class RotatingRecordingTest : public RecordingDirectoryFixture {
 protected:
  RotatingRecording& recording() {
    if (!recording_) {
      settings_.file = file_;
      settings_.patience = 60s;
      auto made = RotatingRecording::create(open(), settings_, {{"host_name", "node1"}}, {kSecond, kNow});
      EXPECT_TRUE(made) << made.error().message();
      recording_ = std::move(*made);
    }
    return *recording_;
  }
  // One turn of the collector with one step. Whether a new file began.
  bool turn(std::uint64_t second) {
    const bool is_new = recording().begin_turn();
    recording().add(Moment{second * kSecond, kNow + static_cast<std::int64_t>(second * kSecond)});
    const Event event = StepBuilder(7).up(second * kSecond, second * 1_MiB);
    recording().add(std::span(&event, 1));
    return is_new;
  }
  RotationSettings settings_;
  std::unique_ptr<RotatingRecording> recording_;
};

TEST_F(RotatingRecordingTest, ByAge) {
  settings_.max_age = 3s;
  int begun = 0;
  for (std::uint64_t second = 1; second <= 10; ++second) {
    begun += turn(second) ? 1 : 0;
  }
  ASSERT_TRUE(recording().finish());
  EXPECT_EQ(begun, 2);
  ASSERT_THAT(files(), SizeIs(3));
  std::size_t steps = 0;
  for (const std::string& file : files()) {
    const Contents found = read_recording(file);
    steps += found.steps.size();
    EXPECT_EQ(found.meta.at("ended"), "whole");
    EXPECT_EQ(found.meta.contains("continues"), file != files().front());
  }
  EXPECT_EQ(steps, 10U) << "none lost, none twice";
  EXPECT_EQ(read_recording(files()[0]).meta.at("continued_by"), std::filesystem::path(files()[1]).filename());
  EXPECT_FALSE(read_recording(files()[2]).meta.contains("continued_by"));
  EXPECT_EQ(read_recording(files()[2]).meta.at("continues"), std::filesystem::path(files()[1]).filename());
}

TEST_F(RotatingRecordingTest, BySize) {
  settings_.max_bytes = 200'000;
  file_.flush_interval = 1ms;
  std::size_t turns = 0;
  for (; turns < 100'000 && recording().status().files < 3; ++turns) {
    turn(turns + 1);
  }
  ASSERT_TRUE(recording().finish());
  std::size_t steps = 0;
  for (const std::string& file : files()) {
    steps += read_recording(file).steps.size();
  }
  EXPECT_THAT(files(), SizeIs(3));
  EXPECT_EQ(steps, turns);
  EXPECT_EQ(recording().status().written, 2 * turns + 4) << "and twice who continues it, and what was lost before";
}

TEST_F(RotatingRecordingTest, LossGoesOnInTheNextFile) {
  settings_.max_age = 2s;
  turn(1);
  recording().add(LossCount{.critical = 4});
  turn(4);
  EXPECT_TRUE(turn(5));
  ASSERT_TRUE(recording().finish());
  const Contents found = read_recording(files().back());
  ASSERT_THAT(found.losses, SizeIs(1));
  EXPECT_EQ(found.losses[0].critical, 4U);
}

TEST_F(RotatingRecordingTest, WithoutTheNextFileTheOldOneGoesOn) {
  settings_.max_age = 2s;
  turn(1);
  std::filesystem::rename(path(), path() + "-away");
  turn(4);
  EXPECT_FALSE(turn(5));
  EXPECT_THAT(recording().status().stopped, HasSubstr("No such file"));
  std::filesystem::rename(path() + "-away", path());
  EXPECT_FALSE(turn(6)) << "not tried at each turn";
  turn(15);
  EXPECT_TRUE(turn(16));
  EXPECT_EQ(recording().status().stopped, "");
  ASSERT_TRUE(recording().finish());
  ASSERT_THAT(files(), SizeIs(2));
  EXPECT_THAT(read_recording(files()[0]).steps, SizeIs(5));
}

}  // namespace
}  // namespace memcrest
