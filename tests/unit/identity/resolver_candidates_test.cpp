// SPDX-License-Identifier: Apache-2.0
// Cgroups whose path cannot tell whether they are a container's own: `ctr` makes "/<namespace>/<id>" of any two words.
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

#include "support/resolver_fixture.h"

namespace memcrest {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;
using testing_support::id_of;
using testing_support::know_all;
using testing_support::ResolverTest;
using Connection = testing_support::FakeDaemon::Connection;

constexpr milliseconds kSoon{3000};

class ResolverCandidates : public ResolverTest {
 protected:
  ResolverCandidates() { std::filesystem::create_directories(cgroups_.root().run); }

  Resolver& with_bundles(milliseconds api_timeout = milliseconds(300)) {
    auto both = settings();
    both.bundles = cgroups_.root();
    both.api_timeout = api_timeout;
    return resolver(both);
  }
  [[nodiscard]] std::string bundle_of(const std::string& name) const {
    return cgroups_.root().run + "/containerd/io.containerd.runtime.v2.task/default/" + name;
  }
  // What containerd leaves on disk for `ctr run IMAGE name`.
  void put_bundle(const std::string& name) const {
    std::filesystem::create_directories(bundle_of(name));
    std::ofstream(bundle_of(name) + "/config.json")
        << R"({"ociVersion":"1.0.2","linux":{"cgroupsPath":"/default/)" << name << R"("}})";
  }
  Identity answer(std::uint64_t id) { return resolver().wait(id, kSoon, true); }
};

TEST_F(ResolverCandidates, NamedByItsBundle) {
  put_bundle("job");
  with_bundles().appeared(7, "/default/job");
  with_bundles().appeared(8, "/default/job/sub");
  for (const std::uint64_t id : {7U, 8U}) {
    const Identity identity = answer(id);
    EXPECT_EQ(identity.container.runtime, Runtime::kContainerd);
    EXPECT_EQ(identity.container.id, "job");
    EXPECT_EQ(identity.container.name, "job");
  }
}

TEST_F(ResolverCandidates, WithoutABundleItIsNoContainer) {
  with_bundles().appeared(7, "/default/job");
  const Identity identity = answer(7);
  EXPECT_TRUE(identity.known);
  EXPECT_FALSE(identity.pending);
  EXPECT_EQ(identity.container.runtime, Runtime::kNone);
  EXPECT_EQ(identity.container.unknown_reason, "");
}

TEST_F(ResolverCandidates, AYesIsRemembered) {
  put_bundle("job");
  with_bundles().appeared(7, "/default/job");
  EXPECT_EQ(answer(7).container.name, "job");
  std::filesystem::remove_all(bundle_of("job"));
  resolver().appeared(8, "/default/job/late");
  EXPECT_EQ(answer(8).container.name, "job");
}

TEST_F(ResolverCandidates, ANoIsForAWhile) {
  with_bundles().appeared(7, "/default/job");
  EXPECT_EQ(answer(7).container.runtime, Runtime::kNone);
  put_bundle("job");
  EXPECT_FALSE(resolver().find(7).pending) << "it was looked for a moment ago";
  EXPECT_EQ(answer(7).container.runtime, Runtime::kNone);
  std::this_thread::sleep_for(milliseconds(1050));
  EXPECT_EQ(answer(7).container.name, "job");
}

TEST_F(ResolverCandidates, ANewCgroupOfTheSamePathIsDecidedAnew) {
  with_bundles().appeared(7, "/default/job");
  EXPECT_EQ(answer(7).container.runtime, Runtime::kNone);
  resolver().removed(7);
  put_bundle("job");
  resolver().appeared(8, "/default/job");
  EXPECT_EQ(answer(8).container.name, "job");

  resolver().removed(8);
  std::filesystem::remove_all(bundle_of("job"));
  resolver().appeared(9, "/default/job");
  const Identity plain = answer(9);
  EXPECT_EQ(plain.container.runtime, Runtime::kNone) << "not the container that was there before";
}

TEST_F(ResolverCandidates, EvenIfNobodyToldThatTheOldOneWent) {
  const auto first = cgroups_.add("/default/job");
  with_bundles().scan();
  EXPECT_EQ(answer(first).container.runtime, Runtime::kNone);
  cgroups_.remove("/default/job");
  EXPECT_FALSE(answer(987654321).known);  // makes it look, and bury the first
  put_bundle("job");
  resolver().appeared(first + 1'000'000, "/default/job");
  EXPECT_EQ(answer(first + 1'000'000).container.name, "job");
}

TEST_F(ResolverCandidates, TakeTurnsWithWhatMustNotWait) {
  constexpr std::uint64_t kMany = 4000;
  start(know_all);
  with_bundles();
  for (std::uint64_t id = 1; id <= kMany; ++id) {
    resolver().appeared(id, "/default/job" + std::to_string(id));
  }
  resolver().appeared(kMany + 1, "/docker/" + id_of('a'));
  EXPECT_EQ(answer(kMany + 1).container.name, "n-a");
  EXPECT_TRUE(resolver().find(kMany).pending) << "all candidates came first";
}

TEST_F(ResolverCandidates, TooManyAtOnceSayWhatIsNotKnown) {
  constexpr std::uint64_t kMost = 4096;
  start([](Connection& c) { c.hang(); });
  with_bundles(milliseconds(1000)).appeared(1, "/docker/" + id_of('a'));  // holds the thread up
  while (daemon_->requests() == 0) {
    std::this_thread::sleep_for(milliseconds(1));
  }
  put_bundle("last");
  for (std::uint64_t id = 2; id < 2 + kMost; ++id) {
    resolver().appeared(id, "/default/job" + std::to_string(id));
  }
  const std::uint64_t last = 2 + kMost;
  resolver().appeared(last, "/default/last");
  EXPECT_TRUE(resolver().find(last - 1).pending);
  const Identity beyond = resolver().find(last);
  EXPECT_FALSE(beyond.pending);
  EXPECT_EQ(beyond.container.unknown_reason, "it was not found out whether this is a container");

  EXPECT_FALSE(resolver().wait(last - 1, std::chrono::seconds(20)).pending);
  EXPECT_EQ(answer(last).container.name, "last") << "there is room for it now";
}

TEST_F(ResolverCandidates, WithoutBundlesNobodyCanTell) {
  put_bundle("job");
  resolver().appeared(7, "/default/job");
  EXPECT_FALSE(resolver().find(7).pending);
  EXPECT_EQ(resolver().find(7).container.runtime, Runtime::kNone);
}

}  // namespace
}  // namespace memcrest
