// SPDX-License-Identifier: Apache-2.0
// What is asked of a runtime once the name is known, and what a slow one costs.
#include <gmock/gmock.h>

#include "identity/inquiry.h"
#include "support/inquiry_fixture.h"

namespace memcrest {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;
using testing_support::Answer;
using testing_support::error;
using testing_support::FakeDocker;
using testing_support::FakePodman;
using testing_support::web;

class InquiryInspection : public testing_support::InquiryFixture<FakeDocker, FakePodman> {
 protected:
  InquiryInspection() {
    docker_.answers = {web()};
    podman_.answers = {web()};
  }
  // A container that has its name.
  std::shared_ptr<KnownContainer> named(const std::string& before, char digit) {
    auto it = container(before + std::string(64, digit));
    look_up(it);
    EXPECT_EQ(it->container.name, "web");
    return it;
  }
  void refresh(const std::shared_ptr<KnownContainer>& it) {
    inquiry_.refresh(it);
    run();
  }

  FakeDocker& docker_ = source<FakeDocker>();
  FakePodman& podman_ = source<FakePodman>();
};

TEST_F(InquiryInspection, AnEndIsReadFromItsOwnRuntimeAlone) {
  docker_.inspections = {Answer(Container{.name = "web", .state = RuntimeState{.status = "exited", .exit_code = 137}})};
  const auto it = named("/docker/", '1');
  it->live = 0;
  inquiry_.refresh(it);
  inquiry_.refresh(it);
  run();
  EXPECT_EQ(docker_.inspected.size(), 1U) << "told twice before it was asked: queued once";
  EXPECT_TRUE(podman_.inspected.empty());
  ASSERT_TRUE(it->container.state);
  EXPECT_EQ(it->container.state->exit_code, 137);
}

TEST_F(InquiryInspection, ThreeSlowOnesInARowStopAllQuestionsToThatRuntime) {
  docker_.inspections = {error(ETIMEDOUT)};
  for (const char digit : {'1', '2', '3'}) {
    refresh(named("/docker/", digit));
  }
  EXPECT_EQ(docker_.inspected.size(), 3U);
  const std::size_t asked = docker_.asked.size();
  const auto other = container("/docker/" + std::string(64, '4'));
  look_up(other);
  EXPECT_EQ(docker_.asked.size(), asked) << "hangs, so it is left alone for a while";
  EXPECT_THAT(other->container.unknown_reason, HasSubstr("Docker did not answer in time"));

  const auto podmans = named("/libpod_parent/libpod-", '5');
  refresh(podmans);
  EXPECT_EQ(podman_.inspected.size(), 1U) << "another runtime is asked all the same";
}

TEST_F(InquiryInspection, TwoSlowOnesAreBusyWithTheirContainers) {
  docker_.inspections = {error(ETIMEDOUT), error(ETIMEDOUT), Answer(Container{.name = "web", .init_pid = 7}),
                         error(ETIMEDOUT)};
  for (const char digit : {'1', '2', '3', '4', '5'}) {
    refresh(named("/docker/", digit));
  }
  EXPECT_EQ(docker_.inspected.size(), 5U);
  named("/docker/", '6');
}

TEST_F(InquiryInspection, OtherErrorsDoNotCount) {
  docker_.inspections = {error(EPROTO)};
  for (const char digit : {'1', '2', '3', '4'}) {
    refresh(named("/docker/", digit));
  }
  named("/docker/", '5');
}

TEST_F(InquiryInspection, OneThatIsGoneIsInspectedOnlyForItsEnd) {
  const auto it = named("/docker/", '1');
  it->live = 0;
  run(milliseconds(1100));
  EXPECT_TRUE(docker_.inspected.empty());
  refresh(it);
  EXPECT_EQ(docker_.inspected.size(), 1U);
}

}  // namespace
}  // namespace memcrest
