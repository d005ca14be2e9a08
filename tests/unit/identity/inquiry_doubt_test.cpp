// SPDX-License-Identifier: Apache-2.0
// Whoever was handed a cgroup can make others below it that are named like somebody's container.
#include <gmock/gmock.h>

#include "identity/inquiry.h"
#include "support/inquiry_fixture.h"

namespace memcrest {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing_support::Answer;
using testing_support::error;
using testing_support::FakeBundle;
using testing_support::FakeDocker;
using testing_support::nobody;
using testing_support::web;

const std::string kId(64, 'a');
const std::string kReal = "/docker/" + kId;
const std::string kForged = "/user.slice/user-1000.slice/user@1000.service/docker/" + kId;

class InquiryDoubt : public testing_support::InquiryFixture<FakeBundle, FakeDocker> {
 protected:
  // As the resolver is told of cgroups: in this order, both live.
  std::shared_ptr<KnownContainer> appeared(const std::string& path) {
    return known_.add(++last_, path, 0).entry->container;
  }

  FakeBundle& bundle_ = source<FakeBundle>();
  FakeDocker& docker_ = source<FakeDocker>();
  KnownCgroups known_{100, 10min};
  std::uint64_t last_ = 0;
};

TEST_F(InquiryDoubt, ABundleOfAnotherCgroupEndsTheRound) {
  bundle_.answers = {error(EBADMSG)};
  docker_.answers = {web()};
  const auto forged = appeared(kForged);
  look_up(forged);
  EXPECT_TRUE(docker_.asked.empty()) << "by the id alone it would tell the other's name";
  EXPECT_EQ(forged->container.name, "");
  EXPECT_FALSE(forged->pending);
  EXPECT_EQ(forged->container.unknown_reason, "the container of this id is in another cgroup");

  run(2s);
  inquiry_.ask_again_if_due(forged);
  EXPECT_EQ(bundle_.asked.size(), 1U) << "its pause is not over";
  forged->ask_again = {};
  inquiry_.ask_again_if_due(forged);
  run();
  EXPECT_EQ(bundle_.asked.size(), 2U);
  EXPECT_TRUE(docker_.asked.empty());
}

TEST_F(InquiryDoubt, OtherErrorsOfTheBundleDoNotEndIt) {
  bundle_.answers = {error(EACCES)};
  docker_.answers = {web()};
  const auto it = appeared(kReal);
  look_up(it);
  EXPECT_EQ(it->container.name, "web");
}

TEST_F(InquiryDoubt, TheSecondOfOneIdIsNotAskedForByIt) {
  docker_.answers = {web()};
  const auto real = appeared(kReal);
  look_up(real);
  const auto forged = appeared(kForged);
  look_up(forged);
  EXPECT_EQ(real->container.name, "web");
  EXPECT_EQ(forged->container.name, "");
  EXPECT_EQ(forged->container.unknown_reason, "another cgroup carries the same container id: " + kReal);
  EXPECT_THAT(docker_.asked, ElementsAre(kReal));
  EXPECT_EQ(known_.container(kId), real);
}

TEST_F(InquiryDoubt, TheOneThatAForgerImitatesRegainsItsName) {
  const auto forged = appeared(kForged);
  const auto real = appeared(kReal);
  EXPECT_THAT(real->container.unknown_reason, HasSubstr(kForged));
  bundle_.answers = {web()};
  look_up(real);
  EXPECT_EQ(real->container.name, "web");
  EXPECT_EQ(real->container.unknown_reason, "");
  EXPECT_EQ(real->doubt, "");
  bundle_.answers = {error(EBADMSG)};
  look_up(forged);
  EXPECT_EQ(forged->container.name, "");
  EXPECT_EQ(known_.container(kId), real);
  EXPECT_TRUE(docker_.asked.empty());
}

TEST_F(InquiryDoubt, AForgerThatWasFirstGetsNoNameEither) {
  docker_.answers = {nobody()};
  const auto forged = appeared(kForged);
  look_up(forged);
  const auto real = appeared(kReal);
  EXPECT_EQ(forged->container.unknown_reason, "another cgroup carries the same container id: " + kReal);
  docker_.answers = {web()};
  look_up(forged);
  look_up(real);
  run(2s);
  EXPECT_EQ(forged->container.name, "") << "without a bundle nobody can tell which is which";
  EXPECT_EQ(real->container.name, "");
  EXPECT_EQ(known_.container(kId), nullptr);
}

TEST_F(InquiryDoubt, WhatComesUpWhileOneIsAskedCounts) {
  docker_.answers = {web()};
  const auto forged = appeared(kForged);
  std::shared_ptr<KnownContainer> real;
  docker_.while_asked = [&] {
    lock_.lock();
    if (!real) {
      real = appeared(kReal);
    }
    lock_.unlock();
  };
  look_up(forged);
  EXPECT_EQ(forged->container.name, "");
  EXPECT_THAT(forged->container.unknown_reason, HasSubstr(kReal));
}

TEST_F(InquiryDoubt, OnceTheBundleToldTheCgroupTheOthersAreAskedToo) {
  appeared(kForged);
  const auto real = appeared(kReal);
  bundle_.answers = {Answer(Container{.image = "my-app:latest"})};
  docker_.answers = {web()};
  look_up(real);
  EXPECT_EQ(real->container.name, "web") << "the bundle tells no name, but that the id is this cgroup's";
}

Answer web_that_is(const std::string& status) {
  return Container{.name = "web", .image = "my-app:latest", .state = RuntimeState{.status = status}};
}

TEST_F(InquiryDoubt, AnEndedContainersNameIsNotForACgroupThatLives) {
  for (const char* const status : {"exited", "stopped", "dead", "terminated", "waiting", "restarting", "removing"}) {
    docker_.answers = {web_that_is(status)};
    const auto forged = container("/user.slice/user-1000.slice/user@1000.service/docker/" + kId);
    look_up(forged);
    EXPECT_TRUE(forged->pending);
    EXPECT_THAT(forged->container.unknown_reason, HasSubstr("does not run")) << "for who does not wait";
    run(1500ms);
    EXPECT_EQ(forged->container.name, "") << status;
    EXPECT_FALSE(forged->pending);
    EXPECT_EQ(forged->container.unknown_reason, "Docker says that the container of this id does not run");
  }
}

TEST_F(InquiryDoubt, OneThatIsStartedAgainIsNamedOnceItRuns) {
  docker_.answers = {web_that_is("exited"), web_that_is("running")};
  const auto it = appeared(kReal);
  look_up(it);
  EXPECT_TRUE(it->pending);
  run(200ms);
  EXPECT_EQ(it->container.name, "web");
  EXPECT_FALSE(it->container.state) << "a state of the moment is none to be told";
}

TEST_F(InquiryDoubt, OneThatEndedAtOnceIsNamedWhenItsCgroupIsGoneToo) {
  docker_.answers = {web_that_is("exited")};
  const auto it = appeared(kReal);
  look_up(it);
  it->live = 0;
  run(200ms);
  EXPECT_EQ(it->container.name, "web");
}

TEST_F(InquiryDoubt, OneInDoubtIsNotInspected) {
  docker_.answers = {web()};
  docker_.inspections = {Answer(Container{.name = "web", .init_pid = 42})};
  const auto it = appeared(kReal);
  look_up(it);
  it->doubt = "the container of this id is in another cgroup";
  run(1100ms);
  EXPECT_TRUE(docker_.inspected.empty());
}

}  // namespace
}  // namespace memcrest
