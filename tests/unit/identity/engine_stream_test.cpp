// SPDX-License-Identifier: Apache-2.0
#include "identity/engine_stream.h"

#include <gmock/gmock.h>

namespace memcrest {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const Container kDocker{.runtime = Runtime::kDocker, .id = std::string(64, 'a')};
const Container kPodman{.runtime = Runtime::kPodman, .id = std::string(64, 'b')};
constexpr const char* kRootsPodman = "/machine.slice/libpod-b.scope";

EngineStream stream(Runtime runtime, RuntimeEventsState state) {
  return {runtime == Runtime::kDocker ? "Docker" : "Podman", runtime, std::move(state)};
}
RuntimeEventsState followed(std::uint64_t connections = 1) {
  return {.connected_since_unix_ns = 1, .connections = connections, .attempts = connections};
}
RuntimeEventsState refused() { return {.last_error = "ask Docker at x: Connection refused", .attempts = 3}; }
RuntimeEventsState absent() { return {.last_error = "no socket at x", .no_socket = true, .attempts = 3}; }
RuntimeEventsState stopped() {
  return {.last_error = "no socket at x", .no_socket = true, .connections = 1, .attempts = 3};
}
RuntimeEventsState beginning() { return {.attempts = 1}; }

TEST(EngineStream, DownIsWhatWasTriedAndIsNotConnected) {
  EXPECT_FALSE(is_down(stream(Runtime::kDocker, followed())));
  EXPECT_FALSE(is_down(stream(Runtime::kDocker, beginning())));
  EXPECT_TRUE(is_down(stream(Runtime::kDocker, refused())));
  EXPECT_TRUE(is_down(stream(Runtime::kDocker, absent())));
  RuntimeEventsState again = followed(2);
  again.last_error = "it ended the stream of events";
  EXPECT_FALSE(is_down(stream(Runtime::kDocker, again)));
}

TEST(EngineStream, ADaemonThatWasStoppedWasThere) {
  EXPECT_TRUE(was_never_there(stream(Runtime::kDocker, absent())));
  EXPECT_FALSE(was_never_there(stream(Runtime::kDocker, stopped())));
  EXPECT_FALSE(was_never_there(stream(Runtime::kDocker, refused())));
}

TEST(EngineStream, AGapOnlyForContainersOfTheDaemonThatIsAway) {
  EXPECT_EQ(stream_gap({}, kDocker, "/docker/a"), "") << "not followed at all: nobody is asked";
  EXPECT_EQ(stream_gap({stream(Runtime::kDocker, followed())}, kDocker, "/docker/a"), "");
  EXPECT_EQ(stream_gap({stream(Runtime::kDocker, beginning())}, kDocker, "/docker/a"), "");
  EXPECT_EQ(stream_gap({stream(Runtime::kDocker, refused())}, kDocker, "/docker/a"),
            "how the container ended, or a new name of it, may be missing: the events of Docker are not followed: ask "
            "Docker at x: Connection refused");
  EXPECT_THAT(stream_gap({stream(Runtime::kDocker, stopped())}, kDocker, "/docker/a"), HasSubstr("no socket"));
  EXPECT_THAT(stream_gap({stream(Runtime::kDocker, absent())}, kDocker, "/docker/a"), HasSubstr("no socket"))
      << "there is one of its containers, so there is a daemon somewhere";
  EXPECT_EQ(stream_gap({stream(Runtime::kDocker, refused())}, kPodman, kRootsPodman), "");
  EXPECT_EQ(stream_gap({stream(Runtime::kDocker, refused())}, Container{.runtime = Runtime::kDocker}, "/docker"), "");
}

TEST(EngineStream, PodmanNeedsNoDaemon) {
  EXPECT_EQ(stream_gap({stream(Runtime::kPodman, absent())}, kPodman, kRootsPodman), "");
  EXPECT_NE(stream_gap({stream(Runtime::kPodman, stopped())}, kPodman, kRootsPodman), "");
  EXPECT_NE(stream_gap({stream(Runtime::kPodman, refused())}, kPodman, kRootsPodman), "");
  EXPECT_NE(stream_gap({stream(Runtime::kPodman, refused())}, kPodman, "/user.slice/user-0.slice/libpod-b.scope"), "")
      << "root in a session is root";
  EXPECT_EQ(stream_gap({stream(Runtime::kPodman, refused())}, kPodman,
                       "/user.slice/user-1000.slice/user@1000.service/libpod-b.scope"),
            "")
      << "root's service knows nothing of a user's container";
}

TEST(EngineStream, TroublesInASummary) {
  EXPECT_THAT(stream_troubles({}), IsEmpty());
  EXPECT_THAT(stream_troubles({stream(Runtime::kDocker, followed()), stream(Runtime::kPodman, absent())}), IsEmpty());
  EXPECT_THAT(stream_troubles({stream(Runtime::kDocker, refused()), stream(Runtime::kPodman, stopped())}),
              ElementsAre("the events of Docker are not followed: ask Docker at x: Connection refused",
                          "the events of Podman are not followed: no socket at x"));
  EXPECT_THAT(
      stream_troubles({stream(Runtime::kDocker, followed(2)), stream(Runtime::kPodman, followed(4))}),
      ElementsAre("the events of Docker were interrupted 1 time", "the events of Podman were interrupted 3 times"));
  RuntimeEventsState garbled = followed();
  garbled.refused = 5;
  EXPECT_THAT(stream_troubles({stream(Runtime::kDocker, garbled)}),
              ElementsAre("5 events of Docker could not be read"));
}

}  // namespace
}  // namespace memcrest
