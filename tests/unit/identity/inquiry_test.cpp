// SPDX-License-Identifier: Apache-2.0
#include "identity/inquiry.h"

#include <gmock/gmock.h>

#include <thread>

#include "support/inquiry_fixture.h"

namespace memcrest {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;
using ::testing::Not;
using SteadyClock = std::chrono::steady_clock;
using testing_support::Answer;
using testing_support::error;
using testing_support::FakeDocker;
using testing_support::nobody;
using testing_support::web;

const std::string kId(64, 'a');
const std::string kOther(64, 'b');

class InquiryTest : public testing_support::InquiryFixture<FakeDocker> {
 protected:
  FakeDocker* const source_ = &source<FakeDocker>();
};

TEST_F(InquiryTest, NamesAContainer) {
  source_->answers = {web()};
  const auto it = container("/docker/" + kId);
  inquiry_.ask(it, Inquiry::kAtOnce);
  EXPECT_TRUE(it->pending);
  EXPECT_THAT(it->container.unknown_reason, HasSubstr("not answered yet"));
  run();
  EXPECT_FALSE(it->pending);
  EXPECT_EQ(it->container.name, "web");
  EXPECT_EQ(it->container.image, "my-app:latest");
  EXPECT_EQ(it->container.unknown_reason, "");
  EXPECT_EQ(it->container.id, kId);
}

TEST_F(InquiryTest, ASourceThatIsJustBeginningIsAskedAgainAtOnce) {
  source_->answers = {error(EINPROGRESS), web()};
  const auto it = container("/docker/" + kId);
  inquiry_.ask(it, Inquiry::kAtOnce);
  run(milliseconds(300));
  EXPECT_EQ(it->container.name, "web");
}

TEST_F(InquiryTest, NobodyToAskIsNotPending) {
  const auto it = container("/machine.slice/libpod-" + kId + ".scope");
  inquiry_.ask(it, Inquiry::kAtOnce);
  EXPECT_FALSE(it->pending);
  EXPECT_EQ(inquiry_.next_due(), Inquiry::kNever);
}

TEST_F(InquiryTest, AtOnceGoesBeforeWhatIsDue) {
  source_->answers = {web()};
  inquiry_.ask(container("/docker/" + kOther), SteadyClock::now() - milliseconds(100));
  inquiry_.ask(container("/docker/" + kId), Inquiry::kAtOnce);
  run();
  EXPECT_THAT(source_->asked, ::testing::ElementsAre("/docker/" + kId, "/docker/" + kOther));
}

TEST_F(InquiryTest, UnknownAtFirstIsAskedAgainWhileItLives) {
  source_->answers = {nobody(), error(ECONNREFUSED), web()};
  const auto it = container("/docker/" + kId);
  inquiry_.ask(it, Inquiry::kAtOnce);
  run();
  EXPECT_TRUE(it->pending);
  const auto start = SteadyClock::now();
  run(milliseconds(500));
  EXPECT_EQ(it->container.name, "web");
  EXPECT_EQ(source_->asked.size(), 3U);
  EXPECT_GE(SteadyClock::now() - start, milliseconds(240)) << "50 ms, then 200 ms";
}

TEST_F(InquiryTest, UnknownAndGoneIsSettledAtOnce) {
  source_->answers = {nobody()};
  const auto it = container("/docker/" + kId);
  it->live = 0;
  inquiry_.ask(it, Inquiry::kAtOnce);
  run();
  EXPECT_FALSE(it->pending);
  EXPECT_EQ(it->container.id, kId);
  EXPECT_EQ(it->container.unknown_reason, "Docker knows no container " + kId);
}

TEST_F(InquiryTest, UnknownForGoodAfterAllTries) {
  source_->answers = {nobody()};
  const auto candidate = container("/jobs/" + kId);
  const auto nested = container("/docker/" + kId + "/docker/" + kOther);
  inquiry_.ask(candidate, Inquiry::kAtOnce);
  inquiry_.ask(nested, Inquiry::kAtOnce);
  run(milliseconds(1500));
  EXPECT_EQ(source_->asked.size(), 8U) << "each once and three times again";
  EXPECT_TRUE(candidate->settled);
  EXPECT_EQ(candidate->container.runtime, Runtime::kUnknown);
  EXPECT_THAT(candidate->container.unknown_reason, HasSubstr("Docker knows no container"));
  EXPECT_THAT(nested->container.unknown_reason, HasSubstr("runs inside container " + kId));
  inquiry_.ask_again_if_due(candidate);
  EXPECT_FALSE(candidate->pending) << "settled is settled";
}

TEST_F(InquiryTest, ContainerdUnderKubernetesIsAskedForOnce) {
  source_->answers = {nobody()};
  const auto it = container("/kubepods/pod4c9f1a30-7c0d-4f0e-9d1b-0a1b2c3d4e5f/" + kId);
  inquiry_.ask(it, Inquiry::kAtOnce);
  run(milliseconds(300));
  EXPECT_EQ(source_->asked.size(), 1U);
  EXPECT_EQ(it->container.runtime, Runtime::kContainerd);
  EXPECT_THAT(it->container.unknown_reason, Not(HasSubstr("Docker")));

  source_->answers = {web()};  // a node where Docker runs the pods
  const auto docker = container("/kubepods/pod4c9f1a30-7c0d-4f0e-9d1b-0a1b2c3d4e5f/" + kOther);
  inquiry_.ask(docker, Inquiry::kAtOnce);
  run();
  EXPECT_EQ(docker->container.runtime, Runtime::kDocker);
  EXPECT_EQ(docker->container.name, "web");
}

// Knows pods, as the Kubernetes API does.
class FakePods final : public testing_support::FakeSource {
 public:
  [[nodiscard]] Runtime runtime() const override { return Runtime::kUnknown; }
  [[nodiscard]] const char* name() const override { return "Kubernetes"; }
  [[nodiscard]] bool tells_of_pods() const override { return true; }
  [[nodiscard]] bool may_add(const CgroupPath& path, const Container& /*known*/) const override {
    return !path.pod_uid.empty();
  }
};

class PodInquiryTest : public testing_support::InquiryFixture<FakeDocker, FakePods> {
 protected:
  PodInquiryTest() {
    names_->answers = {Container{.name = "app", .image = "shop:1", .pod = Pod{.name = "shop-1", .name_space = "shop"}}};
  }
  std::shared_ptr<KnownContainer> asked_for() {
    auto it = container("/kubepods/pod4c9f1a30-7c0d-4f0e-9d1b-0a1b2c3d4e5f/" + kId);
    inquiry_.ask(it, Inquiry::kAtOnce);
    run();
    return it;
  }
  static Answer owned() {
    return Container{.name = "app", .pod = Pod{.labels = {{"app", "shop"}}, .owner = Owner{"Deployment", "shop"}}};
  }

  FakeDocker* const names_ = &source<FakeDocker>();
  FakePods* const pods_ = &source<FakePods>();
};

TEST_F(PodInquiryTest, APodThatIsToldLacksNothing) {
  pods_->answers = {owned()};
  const auto it = asked_for();
  EXPECT_EQ(it->container.pod->owner->name, "shop");
  EXPECT_EQ(it->container.pod->unknown_reason, "");
}

TEST_F(PodInquiryTest, WhyNobodyTellsOfThePodIsSaid) {
  pods_->answers = {fail("ask Kubernetes at", "10.0.0.1:443", ECONNREFUSED)};
  const auto it = asked_for();
  EXPECT_EQ(it->container.name, "app");
  EXPECT_EQ(it->container.unknown_reason, "") << "name and image are known";
  EXPECT_THAT(it->container.pod->unknown_reason, HasSubstr("ask Kubernetes at 10.0.0.1:443"));
}

TEST_F(PodInquiryTest, AnApiThatKnowsNoSuchPodIsToldToo) {
  pods_->answers = {nobody()};
  EXPECT_THAT(asked_for()->container.pod->unknown_reason, HasSubstr("Kubernetes knows no container " + kId));
}

TEST_F(PodInquiryTest, AContainerThatTheKubeletHasNotReported) {
  pods_->answers = {Container{.unknown_reason = "not reported", .pod = Pod{.owner = Owner{"Job", "x"}}}};
  EXPECT_EQ(asked_for()->container.pod->unknown_reason, "not reported") << "its request is not known";
  names_->answers = {Container{.name = "pause", .image = "pause", .pod = Pod{.name = "shop-1", .sandbox = true}}};
  EXPECT_EQ(asked_for()->container.pod->unknown_reason, "") << "a sandbox has none";
}

TEST_F(PodInquiryTest, AnApiThatComesBackTellsWhatWasMissing) {
  pods_->answers = {error(ECONNREFUSED)};
  pods_->inspections = {fail("ask Kubernetes at", "10.0.0.1:443", EPROTO, "answered 403"), owned()};
  const auto it = asked_for();
  run(milliseconds(1500));
  EXPECT_THAT(it->container.pod->unknown_reason, HasSubstr("answered 403")) << "the last reason counts";
  run(milliseconds(5500));
  EXPECT_EQ(it->container.pod->unknown_reason, "");
  EXPECT_EQ(it->container.pod->owner->name, "shop");
}

TEST_F(PodInquiryTest, WhoeverWaitsForAllWaitsForASourceThatIsJustBeginning) {
  pods_->answers = {error(EINPROGRESS)};
  pods_->inspections = {error(EINPROGRESS), error(EINPROGRESS), owned()};
  const auto it = asked_for();
  EXPECT_EQ(it->container.name, "app");
  EXPECT_EQ(it->beginning, 1U);
  run(milliseconds(800));
  EXPECT_EQ(it->beginning, 0U);
  EXPECT_EQ(it->container.pod->owner->name, "shop");
  EXPECT_EQ(it->container.pod->unknown_reason, "");
  EXPECT_EQ(pods_->inspected.size(), 3U);
}

// The API tells of a pod's sandbox only the pod, and that is all there is.
TEST_F(PodInquiryTest, ASandboxSeenBeforeTheFirstListGetsItsPod) {
  names_->answers = {Container{.name = "shop-1", .image = "pause", .pod = Pod{.name = "shop-1", .sandbox = true}}};
  pods_->answers = {error(EINPROGRESS)};
  pods_->inspections = {error(EINPROGRESS), Container{.unknown_reason = "not reported", .pod = owned()->value().pod}};
  const auto it = asked_for();
  run(milliseconds(1300));
  EXPECT_EQ(it->container.pod->owner->name, "shop");
  EXPECT_EQ(it->container.pod->unknown_reason, "");
  EXPECT_EQ(it->container.unknown_reason, "");
  EXPECT_LE(pods_->inspected.size(), 3U) << "and nothing more is asked for";
  EXPECT_EQ(inquiry_.next_due(), Inquiry::kNever);
}

// The kubelet reports a container some seconds after its start; its pod is known before.
TEST_F(PodInquiryTest, AContainerThatIsNotReportedYetHasItsPodsOwner) {
  pods_->answers = {error(EINPROGRESS)};
  pods_->inspections = {Container{.unknown_reason = "not reported", .pod = owned()->value().pod}};
  const auto it = asked_for();
  run(milliseconds(300));
  EXPECT_EQ(it->container.pod->owner->name, "shop");
  EXPECT_EQ(it->container.pod->unknown_reason, "not reported");
  EXPECT_EQ(it->container.name, "app");
  EXPECT_NE(inquiry_.next_due(), Inquiry::kNever) << "it is asked for again";
}

TEST_F(PodInquiryTest, ManyRoundsAreOneChainOfQuestions) {
  pods_->answers = {fail("ask Kubernetes at", "10.0.0.1:443", ECONNREFUSED)};
  pods_->inspections = {error(ECONNREFUSED)};
  const auto it = asked_for();
  for (int i = 0; i < 20; ++i) {
    it->settled = false;
    inquiry_.ask(it, Inquiry::kAtOnce);
    run();
  }
  run(milliseconds(1500));
  EXPECT_EQ(pods_->inspected.size(), 1U);
}

TEST_F(PodInquiryTest, NobodyWaitsForASourceThatBeganAndFailed) {
  pods_->answers = {error(EINPROGRESS)};
  pods_->inspections = {error(EAGAIN)};
  const auto it = asked_for();
  run(milliseconds(300));
  EXPECT_EQ(it->beginning, 0U);
  EXPECT_EQ(it->container.name, "app");
  EXPECT_NE(it->container.pod->unknown_reason, "");
}

TEST_F(InquiryTest, WhereNobodyIsAskedForPodsTheyLackNothing) {
  source_->answers = {Container{.name = "app", .image = "shop:1", .pod = Pod{.name = "shop-1", .name_space = "shop"}}};
  const auto it = container("/kubepods/pod4c9f1a30-7c0d-4f0e-9d1b-0a1b2c3d4e5f/" + kId);
  look_up(it);
  EXPECT_EQ(it->container.pod->name, "shop-1");
  EXPECT_EQ(it->container.pod->unknown_reason, "");
}

TEST_F(InquiryTest, ATimeOutStopsAllOtherQuestionsForAWhile) {
  source_->answers = {error(ETIMEDOUT)};
  std::vector<std::shared_ptr<KnownContainer>> all;
  for (const char digit : {'1', '2', '3', '4'}) {
    all.push_back(container("/docker/" + std::string(64, digit)));
    inquiry_.ask(all.back(), Inquiry::kAtOnce);
  }
  run();
  EXPECT_EQ(source_->asked.size(), 1U);
  EXPECT_THAT(all[0]->container.unknown_reason, HasSubstr("timed out"));
  for (const auto& it : all) {
    EXPECT_FALSE(it->pending);
    EXPECT_NE(it->container.unknown_reason, "");
    inquiry_.ask_again_if_due(it);
    EXPECT_FALSE(it->pending) << "the pause is not over";
  }
  std::this_thread::sleep_for(milliseconds(1050));
  source_->answers = {web()};
  inquiry_.ask_again_if_due(all[1]);
  EXPECT_TRUE(all[1]->pending);
  run();
  EXPECT_EQ(all[1]->container.name, "web");
}

TEST_F(InquiryTest, OtherFailuresPauseTheContainerOnly) {
  source_->answers = {error(EACCES)};
  const auto it = container("/docker/" + kId);
  inquiry_.ask(it, Inquiry::kAtOnce);
  run(milliseconds(300));
  EXPECT_EQ(source_->asked.size(), 1U);
  EXPECT_EQ(it->container.unknown_reason, "ask docker.sock: Permission denied");
  inquiry_.ask_again_if_due(it);
  EXPECT_FALSE(it->pending);
  it->ask_again = {};  // as if the pause were over
  source_->answers = {web()};
  inquiry_.ask_again_if_due(it);
  run();
  EXPECT_EQ(it->container.name, "web");
}

TEST_F(InquiryTest, ARestartKeepsTheOldFactsUntilTheNewOnesCome) {
  source_->answers = {web()};
  const auto it = container("/docker/" + kId);
  inquiry_.ask(it, Inquiry::kAtOnce);
  run();
  it->container.init_pid = 7;
  source_->answers = {error(EPROTO), Answer(Container{.name = "renamed", .image = "x"})};
  inquiry_.ask(it, Inquiry::kAtOnce);
  EXPECT_FALSE(it->pending);
  EXPECT_EQ(it->container.init_pid, std::nullopt);
  run();
  EXPECT_EQ(it->container.name, "web");
  EXPECT_EQ(it->container.unknown_reason, "");
  inquiry_.ask(it, Inquiry::kAtOnce);
  run();
  EXPECT_EQ(it->container.name, "renamed");
}

TEST_F(InquiryTest, AskedForOftenIsQueuedOnce) {
  source_->answers = {web()};
  const auto it = container("/docker/" + kId);
  for (int i = 0; i < 5; ++i) {
    inquiry_.ask(it, i % 2 == 0 ? Inquiry::kAtOnce : SteadyClock::now());
    inquiry_.ask_again_if_due(it);
  }
  EXPECT_TRUE(it->asking);
  run();
  EXPECT_FALSE(it->asking);
  EXPECT_EQ(source_->asked.size(), 1U);
  look_up(it);
  EXPECT_EQ(source_->asked.size(), 2U) << "answered, so it may be asked for again";
}

TEST_F(InquiryTest, WhatIsAskedAgainBeforeItsTurnIsQueuedOnce) {
  source_->answers = {nobody()};
  const auto it = container("/docker/" + kId);
  look_up(it);  // it waits for its next try
  inquiry_.ask(it, Inquiry::kAtOnce);
  run();
  EXPECT_EQ(source_->asked.size(), 1U);
  run(milliseconds(100));
  EXPECT_EQ(source_->asked.size(), 2U);
}

// What was answered may be of before.
TEST_F(InquiryTest, ChangedWhileItIsAskedForIsAskedOnceMore) {
  source_->answers = {web(), Answer(Container{.name = "renamed", .image = "x"})};
  const auto it = container("/docker/" + kId);
  source_->while_asked = [&, first = true]() mutable {
    if (std::exchange(first, false)) {
      lock_.lock();
      inquiry_.changed(it, SteadyClock::now());
      inquiry_.changed(it, SteadyClock::now());
      inquiry_.ask(it, SteadyClock::now());
      lock_.unlock();
    }
  };
  look_up(it);
  run(milliseconds(10));
  EXPECT_EQ(source_->asked.size(), 2U);
  EXPECT_EQ(it->container.name, "renamed");
  inquiry_.changed(it, Inquiry::kAtOnce);
  inquiry_.changed(it, Inquiry::kAtOnce);
  run();
  EXPECT_EQ(source_->asked.size(), 3U) << "not asked for yet: once is enough";
}

TEST_F(InquiryTest, InspectsASecondLater) {
  source_->answers = {web()};
  source_->inspections = {Answer(Container{.name = "web", .image = "my-app:1", .init_pid = 42})};
  const auto it = container("/docker/" + kId);
  inquiry_.ask(it, Inquiry::kAtOnce);
  run();
  EXPECT_TRUE(source_->inspected.empty());
  run(milliseconds(1100));
  EXPECT_EQ(it->container.init_pid, 42U);
  EXPECT_EQ(it->container.image, "my-app:1");
}

TEST_F(InquiryTest, ManyWaitingAreRefusedWithAReason) {
  source_->answers = {web()};
  std::shared_ptr<KnownContainer> last;
  for (int i = 0; i < 10000; ++i) {
    std::string id = std::to_string(i);
    id.resize(64, 'c');
    last = container("/docker/" + id);
    inquiry_.ask(last, Inquiry::kAtOnce);
  }
  EXPECT_FALSE(last->pending);
  EXPECT_THAT(last->container.unknown_reason, HasSubstr("too many"));
}

}  // namespace
}  // namespace memcrest
