// SPDX-License-Identifier: Apache-2.0
#include "serve/delivery.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <mutex>

#include "memcrest/clock.h"

namespace memcrest {
namespace {

using std::chrono::milliseconds;
using ::testing::ElementsAre;

// What a receiver was given, and what it says: the last answer for all that follow.
struct Script {
  std::mutex mutex;
  std::vector<Delivered> answers{{}};
  std::string poison;  // batches with it are refused for good
  std::vector<std::vector<std::string>> batches;

  std::vector<std::vector<std::string>> seen() {
    const std::lock_guard lock(mutex);
    return batches;
  }
};

class FakeReceiver final : public Receiver {
 public:
  explicit FakeReceiver(Script& script) : script_(script) {}
  [[nodiscard]] const char* name() const override { return "fake"; }
  [[nodiscard]] std::size_t batch() const override { return 3; }
  Delivered send(std::span<const SpooledIncident> incidents, const StopEvent& /*stop*/) override {
    const std::lock_guard lock(script_.mutex);
    std::vector<std::string> ids;
    for (const SpooledIncident& one : incidents) {
      ids.push_back(one.id);
    }
    script_.batches.push_back(ids);
    if (std::ranges::find(ids, script_.poison) != ids.end()) {
      return {.outcome = Outcome::kNever, .why = "refused"};
    }
    const Delivered answer = script_.answers.front();
    if (script_.answers.size() > 1) {
      script_.answers.erase(script_.answers.begin());
    }
    return answer;
  }

 private:
  Script& script_;
};

class DeliveryTest : public testing::Test {
 protected:
  void SetUp() override {
    directory_ = testing::TempDir() + "/delivery-" + testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(directory_);
    open();
    ASSERT_TRUE(spool_->subscribe("fake"));
  }
  void TearDown() override {
    spool_.reset();
    std::filesystem::remove_all(directory_);
  }
  void open(const SpoolRetention& keep = {}) {
    spool_.reset();
    auto spool = IncidentSpool::open(directory_, keep, clock_);
    ASSERT_TRUE(spool) << spool.error().message();
    spool_ = std::move(*spool);
  }
  void add(const std::string& id) {
    Incident incident;
    incident.id = id;
    incident.unix_ns = SystemClock().unix_ns();
    spool_->add(incident, "{}");
    ASSERT_TRUE(spool_->flush(std::chrono::seconds(10)));
  }
  std::unique_ptr<Delivery> begin() {
    return std::make_unique<Delivery>(*spool_, std::make_unique<FakeReceiver>(script_),
                                      DeliveryPace{milliseconds(5), milliseconds(20)});
  }
  template <typename Condition>
  static bool comes_true(const Condition& condition) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!condition() && std::chrono::steady_clock::now() < deadline) {
      std::this_thread::sleep_for(milliseconds(2));
    }
    return condition();
  }

  std::string directory_;
  SystemClock clock_;
  std::unique_ptr<IncidentSpool> spool_;
  Script script_;
};

TEST_F(DeliveryTest, SendsInOrderAndOnce) {
  for (const char* id : {"a", "b", "c", "d"}) {
    add(id);
  }
  {
    const auto delivery = begin();
    EXPECT_TRUE(comes_true([&] { return delivery->status().sent == 4; }));
    EXPECT_EQ(delivery->status().queue, 0U);
  }
  EXPECT_THAT(script_.seen(), ElementsAre(ElementsAre("a", "b", "c"), ElementsAre("d")));
  open();  // over a restart
  add("e");
  const auto delivery = begin();
  EXPECT_TRUE(comes_true([&] { return delivery->status().sent == 1; }));
  EXPECT_THAT(script_.seen().back(), ElementsAre("e"));
}

TEST_F(DeliveryTest, WhatIsNotTakenIsSentAgainAndNothingIsLost) {
  script_.answers.insert(script_.answers.begin(), 4, {.outcome = Outcome::kLater, .why = "down"});
  add("a");
  const auto delivery = begin();
  EXPECT_TRUE(comes_true([&] { return delivery->status().sent == 1; }));
  EXPECT_EQ(delivery->status().failures, 4U);
  EXPECT_EQ(delivery->status().dropped, 0U);
  EXPECT_THAT(script_.seen(), testing::SizeIs(5));
}

TEST_F(DeliveryTest, OneThatIsRefusedForGoodDoesNotTakeOthersWithIt) {
  script_.poison = "b";
  for (const char* id : {"a", "b", "c"}) {
    add(id);
  }
  const auto delivery = begin();
  EXPECT_TRUE(comes_true([&] { return delivery->status().sent == 2; }));
  EXPECT_EQ(delivery->status().dropped, 1U);
}

TEST_F(DeliveryTest, WhatTheSpoolHadToGiveUpIsCounted) {
  open({.max_count = 2, .max_bytes = 1U << 20U, .max_age = std::chrono::hours(1)});
  for (const char* id : {"a", "b", "c", "d"}) {
    add(id);
  }
  const auto delivery = begin();
  EXPECT_TRUE(comes_true([&] { return delivery->status().sent == 2; }));
  EXPECT_EQ(delivery->status().dropped, 2U);
}

TEST_F(DeliveryTest, EndsWhileItWaits) {
  script_.answers = {{.outcome = Outcome::kLater, .why = "down", .retry_after = std::chrono::seconds(300)}};
  add("a");
  auto delivery = begin();
  EXPECT_TRUE(comes_true([&] { return delivery->status().failures == 1; }));
  EXPECT_EQ(delivery->status().queue, 1U);
  const auto before = std::chrono::steady_clock::now();
  delivery.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(5));
}

TEST(DeliveryOutcomeTest, ByStatus) {
  EXPECT_EQ(outcome_of(204), Outcome::kTaken);
  EXPECT_EQ(outcome_of(400), Outcome::kNever);
  for (const int status : {301, 401, 404, 429, 500, 503}) {
    EXPECT_EQ(outcome_of(status), Outcome::kLater) << status;
  }
}

}  // namespace
}  // namespace memcrest
