// SPDX-License-Identifier: Apache-2.0
#include "identity/inquiry.h"

#include <gmock/gmock.h>

#include <deque>
#include <functional>
#include <thread>

namespace memcrest {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;
using ::testing::Not;
using SteadyClock = std::chrono::steady_clock;
using Answer = Result<std::optional<Container>>;

const std::string kId(64, 'a');
const std::string kOther(64, 'b');

// Gives prepared answers; the last one for ever.
class FakeSource final : public ContainerSource {
 public:
  [[nodiscard]] Runtime runtime() const override { return Runtime::kDocker; }
  [[nodiscard]] const char* name() const override { return "Docker"; }
  [[nodiscard]] bool may_add(const CgroupPath& path, const Container& known) const override {
    return path.docker_candidate && (known.name.empty() || adds);
  }
  [[nodiscard]] Answer look_up(const CgroupPath& path, const std::stop_token&) override {
    asked.push_back(path.container_id);
    return next(answers);
  }
  [[nodiscard]] Answer inspect(const CgroupPath& path, const std::stop_token&) override {
    inspected.push_back(path.container_id);
    return next(inspections);
  }

  static Answer next(std::deque<Answer>& from) {
    Answer answer = from.front();
    if (from.size() > 1) {
      from.pop_front();
    }
    return answer;
  }

  bool adds = false;  // also to what has a name
  std::deque<Answer> answers;
  std::deque<Answer> inspections{Answer(std::nullopt)};
  std::vector<std::string> asked;
  std::vector<std::string> inspected;
};

Answer web() { return Container{.name = "web", .image = "my-app:latest"}; }
Answer nobody() { return std::optional<Container>(); }
Answer error(int code) { return fail("ask", "docker.sock", code); }

class InquiryTest : public ::testing::Test {
 protected:
  InquiryTest() : inquiry_(make_sources()) {}

  std::vector<std::unique_ptr<ContainerSource>> make_sources() {
    auto source = std::make_unique<FakeSource>();
    source_ = source.get();
    std::vector<std::unique_ptr<ContainerSource>> sources;
    sources.push_back(std::move(source));
    return sources;
  }
  static std::shared_ptr<KnownContainer> container(const std::string& path) {
    auto made = std::make_shared<KnownContainer>();
    made->path = parse_cgroup_path(path);
    made->container = container_from_path(made->path);
    made->live = 1;
    return made;
  }
  // Runs jobs until none is due within `patience`.
  void run(milliseconds patience = milliseconds(0)) {
    const auto end = SteadyClock::now() + patience;
    while (inquiry_.next_due() <= end) {
      if (inquiry_.next_due() != Inquiry::kAtOnce) {
        std::this_thread::sleep_until(inquiry_.next_due());
      }
      inquiry_.run_next(lock_, {});
      EXPECT_TRUE(lock_.owns_lock());
    }
  }

  std::mutex mutex_;
  std::unique_lock<std::mutex> lock_{mutex_};
  FakeSource* source_ = nullptr;
  Inquiry inquiry_;
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

TEST_F(InquiryTest, WhoeverWaitsForAllWaitsForASourceThatIsJustBeginning) {
  auto more = std::make_unique<FakeSource>();
  FakeSource& late = *more;
  late.adds = true;
  late.answers = {error(EINPROGRESS)};
  late.inspections = {error(EINPROGRESS), error(EINPROGRESS), Container{.labels = {{"tier", "front"}}}};
  std::vector<std::unique_ptr<ContainerSource>> sources = make_sources();
  source_->answers = {web()};
  sources.push_back(std::move(more));
  inquiry_ = Inquiry(std::move(sources));

  const auto it = container("/docker/" + kId);
  inquiry_.ask(it, Inquiry::kAtOnce);
  run();
  EXPECT_EQ(it->container.name, "web");
  EXPECT_EQ(it->beginning, 1U);
  run(milliseconds(800));
  EXPECT_EQ(it->beginning, 0U);
  EXPECT_EQ(it->container.labels.at("tier"), "front");
  EXPECT_EQ(late.inspected.size(), 3U);
}

TEST_F(InquiryTest, NobodyWaitsForASourceThatBeganAndFailed) {
  auto more = std::make_unique<FakeSource>();
  more->adds = true;
  more->answers = {error(EINPROGRESS)};
  more->inspections = {error(EAGAIN)};
  std::vector<std::unique_ptr<ContainerSource>> sources = make_sources();
  source_->answers = {web()};
  sources.push_back(std::move(more));
  inquiry_ = Inquiry(std::move(sources));

  const auto it = container("/docker/" + kId);
  inquiry_.ask(it, Inquiry::kAtOnce);
  run(milliseconds(300));
  EXPECT_EQ(it->beginning, 0U);
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
  EXPECT_THAT(source_->asked, ::testing::ElementsAre(kId, kOther));
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
