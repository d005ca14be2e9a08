// SPDX-License-Identifier: Apache-2.0
#include "store/incident_spool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>

#include "memcrest/clock.h"
#include "store/database.h"

namespace memcrest {
namespace {

using std::chrono::seconds;

class IncidentSpoolTest : public testing::Test {
 protected:
  void SetUp() override {
    directory_ = testing::TempDir() + "/spool-" + testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(directory_);
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  std::unique_ptr<IncidentSpool> open(const SpoolRetention& retention = {}) {
    auto out = IncidentSpool::open(directory_, retention, clock_);
    EXPECT_TRUE(out) << out.error().message();
    return out ? std::move(*out) : nullptr;
  }
  static void add(IncidentSpool& spool, const std::string& id, IncidentKind kind = IncidentKind::kOom,
                  std::int64_t unix_ns = SystemClock().unix_ns()) {
    Incident incident;
    incident.id = id;
    incident.kind = kind;
    incident.unix_ns = unix_ns;
    spool.add(incident, "{\"id\":\"" + id + "\"}");
    EXPECT_TRUE(spool.flush(seconds(10)));
  }
  static std::vector<std::string> ids(const IncidentSpool& spool, std::size_t limit = 100,
                                      const std::string& kind = "") {
    std::vector<std::string> out;
    const auto listed = spool.list(limit, 0, kind);
    EXPECT_TRUE(listed) << listed.error().message();
    for (const SpooledIncident& one : listed.value_or(std::vector<SpooledIncident>())) {
      out.push_back(one.id);
    }
    return out;
  }

  struct SteppedClock final : Clock {
    [[nodiscard]] std::uint64_t boot_ns() const override { return SystemClock().boot_ns() + passed.load(); }
    [[nodiscard]] std::int64_t unix_ns() const override {
      return SystemClock().unix_ns() + static_cast<std::int64_t>(passed.load()) + step.load();
    }
    std::atomic<std::uint64_t> passed{0};
    std::atomic<std::int64_t> step{0};
  };

  SteppedClock clock_;
  std::string directory_;
};

TEST_F(IncidentSpoolTest, KeepsThemOverARestartNewestFirst) {
  {
    const auto spool = open();
    add(*spool, "a");
    add(*spool, "b", IncidentKind::kBurst);
    add(*spool, "a");  // told again
  }
  const auto spool = open();
  EXPECT_EQ(ids(*spool), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(ids(*spool, 100, "burst"), (std::vector<std::string>{"b"}));
  EXPECT_EQ(spool->list(100, spool->list(1, 0, "")->front().seq, "")->front().id, "b");
  EXPECT_EQ((*spool->find("b"))->json, "{\"id\":\"b\"}");
  EXPECT_FALSE(*spool->find("c"));
}

TEST_F(IncidentSpoolTest, TheOldestGoFirst) {
  const auto spool = open({.max_count = 2, .max_bytes = 1U << 20U, .max_age = std::chrono::hours(1)});
  add(*spool, "a");
  add(*spool, "b");
  add(*spool, "c");
  EXPECT_EQ(ids(*spool), (std::vector<std::string>{"c", "b"}));
  add(*spool, "old", IncidentKind::kOom, 1);
  EXPECT_EQ(ids(*spool), (std::vector<std::string>{"c", "b"})) << "it pushes nobody out";
  spool->set({.max_count = 100, .max_bytes = 19, .max_age = std::chrono::hours(1)});
  add(*spool, "d");
  EXPECT_EQ(ids(*spool), (std::vector<std::string>{"d"}));
}

// How much is kept is known from before.
TEST_F(IncidentSpoolTest, TheOldestGoFirstAlsoWhenItIsOpenedAgain) {
  const SpoolRetention keep{.max_count = 100, .max_bytes = 25, .max_age = std::chrono::hours(1)};  // of 10 each
  {
    const auto spool = open(keep);
    add(*spool, "a");
    add(*spool, "b");
    EXPECT_EQ(ids(*spool), (std::vector<std::string>{"b", "a"}));
  }
  const auto spool = open(keep);
  add(*spool, "c");
  EXPECT_EQ(ids(*spool), (std::vector<std::string>{"c", "b"}));
  EXPECT_EQ(spool->status().incidents, 2U);
  add(*spool, std::string(40, 'd'));
  EXPECT_TRUE(ids(*spool).empty()) << "larger than all that may be kept";
  add(*spool, "e");
  EXPECT_EQ(ids(*spool), (std::vector<std::string>{"e"}));
}

TEST_F(IncidentSpoolTest, AClockThatIsSetAheadMakesNothingOld) {
  constexpr std::int64_t kYear = 365LL * 24 * 3600 * 1'000'000'000;
  const auto spool = open({.max_age = std::chrono::hours(24)});
  add(*spool, "a");
  clock_.step = kYear;
  add(*spool, "b", IncidentKind::kOom, clock_.unix_ns());
  EXPECT_EQ(ids(*spool), (std::vector<std::string>{"b", "a"}));
  clock_.step = -kYear;
  add(*spool, "c", IncidentKind::kOom, clock_.unix_ns());
  EXPECT_EQ(ids(*spool), (std::vector<std::string>{"c", "b", "a"}));
  clock_.step = 0;
  clock_.passed = std::uint64_t{25} * 3600 * 1'000'000'000;
  add(*spool, "d", IncidentKind::kOom, clock_.unix_ns());
  EXPECT_EQ(ids(*spool), (std::vector<std::string>{"d", "b"}));  // b claims to be of next year
}

TEST_F(IncidentSpoolTest, AReceiverGetsWhatComesAfterIt) {
  const auto spool = open({.max_count = 3, .max_bytes = 1U << 20U, .max_age = std::chrono::hours(1)});
  add(*spool, "before");
  ASSERT_TRUE(spool->subscribe("hook"));
  EXPECT_TRUE(spool->next("hook", 10, 1000)->incidents.empty());
  for (const char* id : {"a", "b", "c", "d"}) {
    add(*spool, id);
  }
  const auto batch = spool->next("hook", 2, 1000);
  ASSERT_EQ(batch->incidents.size(), 2U);
  EXPECT_EQ(batch->incidents[0].id, "b");
  EXPECT_EQ(batch->missed, 1U);  // "a" had to go
  EXPECT_EQ(batch->behind, 1U);
  ASSERT_TRUE(spool->delivered("hook", batch->incidents[1].seq));
  EXPECT_EQ(spool->next("hook", 10, 1000)->incidents.at(0).id, "d");
  ASSERT_TRUE(spool->subscribe("hook"));  // is one already
  EXPECT_EQ(spool->next("hook", 10, 1000)->incidents.size(), 1U);
}

TEST_F(IncidentSpoolTest, ADamagedOneIsMovedAway) {
  {
    add(*open(), "a");
  }
  {
    std::fstream file(directory_ + "/incidents.spool", std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(0);
    file << std::string(8192, 'x');
  }
  const auto spool = open();
  ASSERT_TRUE(spool);
  EXPECT_TRUE(std::filesystem::exists(spool->status().moved_away)) << spool->status().moved_away;
  add(*spool, "b");
  EXPECT_EQ(ids(*spool), (std::vector<std::string>{"b"}));
}

TEST_F(IncidentSpoolTest, OneAgentAtATime) {
  const auto spool = open();
  const auto second = IncidentSpool::open(directory_, {}, clock_);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, EBUSY);
}

// Else an older agent would put a newer one's incidents away.
TEST_F(IncidentSpoolTest, WhatIsNotDamagedIsNotMoved) {
  const std::string path = directory_ + "/incidents.spool";
  for (const char* change :
       {"PRAGMA user_version = 2", "PRAGMA application_id = 7", "CREATE VIEW v AS SELECT 1",
        "CREATE TRIGGER t AFTER INSERT ON incidents BEGIN DELETE FROM targets; END", "CREATE TABLE more (a)",
        "CREATE INDEX odd ON incidents (abs(seq))", "ALTER TABLE incidents ADD COLUMN a AS (json || json)",
        "ALTER TABLE targets ADD COLUMN b DEFAULT (1)"}) {
    std::filesystem::remove_all(directory_);
    add(*open(), "a");
    {
      auto database = Database::open_own(path);
      ASSERT_TRUE(database) << database.error().message();
      const auto changed = database->run(change);
      ASSERT_TRUE(changed) << change << changed.error().message();
    }
    const auto again = IncidentSpool::open(directory_, {}, clock_);
    ASSERT_FALSE(again) << change;
    EXPECT_EQ(again.error().code, ENOTSUP) << again.error().message();
    for (const auto& one : std::filesystem::directory_iterator(directory_)) {
      EXPECT_EQ(one.path().string().find("damaged"), std::string::npos) << change;
    }
    EXPECT_EQ(*Database::open_untrusted(path)->integer("SELECT count(*) FROM incidents"), 1) << change;
  }
}

TEST_F(IncidentSpoolTest, OneThatWasBeingBegunIsFinished) {
  std::filesystem::create_directories(directory_);
  std::ofstream(directory_ + "/incidents.spool").close();
  const auto spool = open();
  ASSERT_TRUE(spool);
  EXPECT_EQ(spool->status().moved_away, "");
  add(*spool, "a");
  EXPECT_EQ(ids(*spool), (std::vector<std::string>{"a"}));
}

TEST_F(IncidentSpoolTest, ALinkIsNotFollowed) {
  std::filesystem::create_directories(directory_);
  std::filesystem::create_symlink(directory_ + "/elsewhere", directory_ + "/incidents.spool");
  EXPECT_FALSE(IncidentSpool::open(directory_, {}, clock_));
  EXPECT_FALSE(std::filesystem::exists(directory_ + "/elsewhere"));
}

}  // namespace
}  // namespace memcrest
