// SPDX-License-Identifier: Apache-2.0
#include "store/recording_directory.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <fstream>

#include "recording_fixture.h"

namespace memcrest {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using namespace testing_support;  // NOLINT(google-build-using-namespace): literals

constexpr std::int64_t kSecond = 1'000'000'000;

class RecordingDirectoryTest : public RecordingDirectoryFixture {
 protected:
  void record(RecordingDirectory& directory, std::int64_t unix_ns) {
    auto writer = directory.begin(unix_ns, file_, {});
    ASSERT_TRUE(writer) << writer.error().message();
    (*writer)->add(Moment{1, unix_ns});
    directory.end(std::move(*writer), unix_ns);
    ASSERT_TRUE(directory.wait());
  }
  std::vector<std::string> names() const {
    std::vector<std::string> out;
    for (const std::string& file : files()) {
      out.push_back(std::filesystem::path(file).filename());
    }
    return out;
  }
};

TEST_F(RecordingDirectoryTest, IsMadeForItsOwner) {
  const auto directory = open();
  const auto mode = std::filesystem::status(path()).permissions();
  EXPECT_EQ(mode, std::filesystem::perms::owner_all);
}

TEST_F(RecordingDirectoryTest, NamesTellTheTime) {
  const auto directory = open();
  record(*directory, kNow);
  record(*directory, kNow);  // the same moment again
  EXPECT_THAT(names(), ElementsAre("memcrest-20261118T110640.000000000Z.db", "memcrest-20261118T110640.000000001Z.db"));
}

TEST_F(RecordingDirectoryTest, OneProcessAtATime) {
  auto directory = open();
  const auto second = RecordingDirectory::open(path(), {});
  ASSERT_FALSE(second);
  EXPECT_THAT(second.error().message(), HasSubstr("another memcrest records there"));
  directory.reset();
  EXPECT_TRUE(RecordingDirectory::open(path(), {}));
}

TEST_F(RecordingDirectoryTest, WhereNoneCanBe) {
  EXPECT_THAT(RecordingDirectory::open(path() + "/deeper", {}).error().message(), HasSubstr("No such file"));
  std::ofstream(path()) << "a file";
  EXPECT_THAT(RecordingDirectory::open(path(), {}).error().message(), HasSubstr("Not a directory"));
}

TEST_F(RecordingDirectoryTest, KeepsByCount) {
  const auto directory = open({.max_count = 2});
  for (int i = 0; i < 5; ++i) {
    record(*directory, kNow + i * kSecond);
  }
  EXPECT_THAT(names(), ElementsAre("memcrest-20261118T110643.000000000Z.db", "memcrest-20261118T110644.000000000Z.db"));
}

TEST_F(RecordingDirectoryTest, KeepsByBytes) {
  std::uint64_t one = 0;
  {
    const auto directory = open();
    for (int i = 0; i < 4; ++i) {
      record(*directory, kNow + i * kSecond);
    }
    one = std::filesystem::file_size(files().front());
  }
  const auto directory = open({.max_bytes = 2 * one});
  record(*directory, kNow + 9 * kSecond);
  EXPECT_THAT(names(), ElementsAre("memcrest-20261118T110643.000000000Z.db", "memcrest-20261118T110649.000000000Z.db"));
}

TEST_F(RecordingDirectoryTest, KeepsByAge) {
  const auto directory = open({.max_age = std::chrono::hours(1)});
  record(*directory, kNow);
  record(*directory, kNow + kSecond);
  std::filesystem::last_write_time(files()[0], std::filesystem::file_time_type::clock::now() - std::chrono::hours(2));
  const std::int64_t now = std::chrono::nanoseconds(std::chrono::system_clock::now().time_since_epoch()).count();
  record(*directory, now);
  EXPECT_THAT(files(), SizeIs(2));
  EXPECT_THAT(names().front(), "memcrest-20261118T110641.000000000Z.db");
}

TEST_F(RecordingDirectoryTest, WhatHoldsNothingCostsNothing) {
  const auto directory = open({.max_count = 1});
  record(*directory, kNow);
  auto empty = directory->begin(kNow + kSecond, file_, {});
  ASSERT_TRUE(empty);
  directory->end(std::move(*empty), kNow);
  ASSERT_TRUE(directory->wait());
  EXPECT_THAT(names(), ElementsAre("memcrest-20261118T110640.000000000Z.db"));
}

TEST_F(RecordingDirectoryTest, NoneIsBegunWithoutRoom) {
  const auto directory = open({.max_count = 1});
  record(*directory, kNow);
  RecordingSettings no_room;
  no_room.min_free_bytes = ~0ULL;
  const auto refused = directory->begin(kNow + kSecond, no_room, {});
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message(), HasSubstr("are kept free"));
  EXPECT_THAT(files(), SizeIs(1)) << "and the one that is there stays";
}

TEST_F(RecordingDirectoryTest, AClockThatRanAhead) {
  const auto directory = open({.max_count = 1});
  record(*directory, kNow + 365 * 86'400 * kSecond);
  record(*directory, kNow);
  EXPECT_THAT(names(), ElementsAre("memcrest-20261118T110640.000000000Z.db")) << "the one that ended last";
}

TEST_F(RecordingDirectoryTest, TidiesWhatIsThere) {
  std::filesystem::create_directory(path());
  const std::string old = path() + "/memcrest-20250103T000000.000000000Z.db";
  std::ofstream(old) << "x";
  std::filesystem::last_write_time(old, std::filesystem::file_time_type::clock::now() - std::chrono::hours(2));
  const auto directory = open({.max_age = std::chrono::hours(1)});
  directory->tidy(std::chrono::nanoseconds(std::chrono::system_clock::now().time_since_epoch()).count());
  EXPECT_TRUE(directory->wait());
  EXPECT_THAT(files(), IsEmpty());
}

TEST_F(RecordingDirectoryTest, RemovesNothingOfOthers) {
  std::filesystem::create_directory(path());
  std::ofstream(path() + "/thesis.db") << "x";
  std::ofstream(dir_.path() + "/elsewhere") << "x";
  const std::string link = path() + "/memcrest-20250101T000000.000000000Z.db";
  std::filesystem::create_symlink(dir_.path() + "/elsewhere", link);
  std::filesystem::create_directory(path() + "/memcrest-20250102T000000.000000000Z.db");
  std::ofstream(path() + "/memcrest-20250103T000000.000000000Z.db") << "left by a crash";
  std::ofstream(path() + "/memcrest-20250103T000000.000000000Z.db-wal") << "its log";
  const auto directory = open({.max_count = 1});
  record(*directory, kNow);
  EXPECT_THAT(names(), ElementsAre("memcrest-20250101T000000.000000000Z.db", "memcrest-20250102T000000.000000000Z.db",
                                   "memcrest-20261118T110640.000000000Z.db", "thesis.db"));
  EXPECT_TRUE(std::filesystem::exists(dir_.path() + "/elsewhere"));
}

TEST_F(RecordingDirectoryTest, NeverRemovesWhatIsWritten) {
  const auto directory = open({.max_count = 1});
  auto writing = directory->begin(kNow, file_, {});
  ASSERT_TRUE(writing);
  (*writing)->add(Moment{1, kNow});
  record(*directory, kNow + kSecond);
  record(*directory, kNow + 2 * kSecond);
  EXPECT_TRUE(std::filesystem::exists((*writing)->status().path));
  directory->end(std::move(*writing), kNow);
  ASSERT_TRUE(directory->wait());
  EXPECT_THAT(names(), ElementsAre("memcrest-20261118T110640.000000000Z.db")) << "the one that ended last";
}

}  // namespace
}  // namespace memcrest
