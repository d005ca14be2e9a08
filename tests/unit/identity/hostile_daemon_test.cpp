// SPDX-License-Identifier: Apache-2.0
// Each way in which a daemon can misbehave, against each question that is asked of one: an end in time, little memory,
// a reason. (Event streams: runtime_events_test.)
#include <gmock/gmock.h>

#include <fstream>
#include <functional>

#include "identity/docker_api.h"
#include "identity/podman_api.h"
#include "support/fake_cgroups.h"
#include "support/fake_daemon.h"

namespace memcrest {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;
using testing_support::FakeDaemon;
using testing_support::TempDir;
using Connection = FakeDaemon::Connection;
using SteadyClock = std::chrono::steady_clock;
using Answer = Result<std::optional<Container>>;

constexpr milliseconds kTimeout{600};
constexpr milliseconds kSlack{1000};
constexpr std::size_t kMuchMemory = std::size_t{32} << 20U;
const std::string kId(64, 'a');

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kMemoryIsPlain = false;  // freed memory is kept for a while
#else
constexpr bool kMemoryIsPlain = true;
#endif

// The process's largest resident size so far.
std::size_t peak_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) {
      return std::stoul(line.substr(6)) * 1024;
    }
  }
  return 0;
}

struct Question {
  const char* name;
  bool list;  // the answer is a list of containers, not one
  std::function<Answer(const std::string& socket)> ask;
};

const std::vector<Question>& questions() {
  static const std::vector<Question> all = {
      {"docker_look_up", true,
       [](const std::string& socket) {
         return DockerApi(socket, kTimeout).look_up({.container_id = kId, .docker_candidate = true});
       }},
      {"docker_inspect", false,
       [](const std::string& socket) {
         return DockerApi(socket, kTimeout).inspect({.container_id = kId, .docker_candidate = true});
       }},
      {"podman_look_up", true,
       [](const std::string& socket) { return PodmanApi({.root = socket}, kTimeout).look_up({.container_id = kId}); }},
      {"podman_inspect", false,
       [](const std::string& socket) { return PodmanApi({.root = socket}, kTimeout).inspect({.container_id = kId}); }},
  };
  return all;
}

class HostileDaemonTest : public ::testing::TestWithParam<Question> {
 protected:
  Answer ask(FakeDaemon::Handler handler) {
    const FakeDaemon daemon(dir_.path() + "/s", std::move(handler));
    const std::size_t before = peak_bytes();
    const auto start = SteadyClock::now();
    Answer answer = GetParam().ask(dir_.path() + "/s");
    EXPECT_LT(SteadyClock::now() - start, kTimeout + kSlack);
    if (kMemoryIsPlain) {
      EXPECT_LT(peak_bytes() - before, kMuchMemory);
    }
    return answer;
  }
  // The error's code; its message must tell `why`.
  int refused(const char* why, FakeDaemon::Handler handler) {
    const Answer answer = ask(std::move(handler));
    if (answer) {
      return 0;
    }
    EXPECT_THAT(answer.error().message(), HasSubstr(why));
    EXPECT_THAT(answer.error().message(), HasSubstr(" at " + dir_.path() + "/s"));
    return answer.error().code;
  }
  // As the answer to this question, an object with these members besides Id.
  [[nodiscard]] std::string object(const std::string& members, const std::string& id = kId) const {
    const std::string one = R"({"Id":")" + id + "\"" + members + "}";
    return GetParam().list ? "[" + one + "]" : one;
  }
  [[nodiscard]] std::string named(const std::string& name) const {
    return GetParam().list ? R"(,"Names":[")" + name + "\"]" : R"(,"Name":")" + name + "\"";
  }
  [[nodiscard]] milliseconds patience() const { return GetParam().list ? kTimeout : milliseconds(250); }

  TempDir dir_;
};

TEST_P(HostileDaemonTest, AcceptsAndNeverAnswers) {
  const std::string why = "no complete answer within " + std::to_string(patience().count()) + " ms";
  EXPECT_EQ(refused(why.c_str(), [](Connection& c) { c.hang(); }), ETIMEDOUT);
}

TEST_P(HostileDaemonTest, DripsOneByteASecond) {
  EXPECT_EQ(refused("no complete answer",
                    [&](Connection& c) {
                      for (const char byte : std::string("HTTP/1.0 200 OK\r\n\r\n[]")) {
                        if (!c.send(std::string_view(&byte, 1)) || !c.sleep(milliseconds(1000))) {
                          return;
                        }
                      }
                    }),
            ETIMEDOUT);
  EXPECT_EQ(refused("no complete answer",
                    [&](Connection& c) {
                      c.send("HTTP/1.0 200 OK\r\n\r\n");
                      while (c.send(" ") && c.sleep(milliseconds(1000))) {
                      }
                    }),
            ETIMEDOUT);
}

TEST_P(HostileDaemonTest, AHundredMegabytes) {
  constexpr std::size_t kHuge = 100U << 20U;
  EXPECT_EQ(refused("a body of more than",
                    [](Connection& c) {
                      c.send("HTTP/1.0 200 OK\r\nContent-Length: " + std::to_string(kHuge) + "\r\n\r\n");
                      const std::string piece(65536, ' ');
                      for (std::size_t sent = 0; sent < kHuge && c.send(piece); sent += piece.size()) {
                      }
                    }),
            EMSGSIZE);
  EXPECT_EQ(refused("a body of more than",
                    [](Connection& c) {
                      c.send("HTTP/1.0 200 OK\r\n\r\n");
                      const std::string piece(65536, '[');
                      for (std::size_t sent = 0; sent < kHuge && c.send(piece); sent += piece.size()) {
                      }
                    }),
            EMSGSIZE);
}

TEST_P(HostileDaemonTest, EndlessHeaders) {
  for (const char* line : {"a: b\r\n", "aaaaaaaaaaaaaaaaaaaa"}) {
    EXPECT_EQ(refused("a header of more than",
                      [=](Connection& c) {
                        std::string piece;
                        while (piece.size() < 65536) {
                          piece += line;
                        }
                        c.send("HTTP/1.0 200 OK\r\n");
                        while (c.send(piece)) {
                        }
                      }),
              EMSGSIZE);
  }
}

TEST_P(HostileDaemonTest, NotJson) {
  for (const char* body : {"", "<html>", "{", "[", "{\"Id\":\"", "\xff\xff", "nul", "[1,]", "\x00"}) {
    EXPECT_EQ(refused("not JSON", [=](Connection& c) { c.answer(200, body); }), EPROTO) << body;
  }
}

TEST_P(HostileDaemonTest, DeepNesting) {
  std::string objects;
  while (objects.size() < (3U << 20U)) {
    objects += "{\"a\":";
  }
  for (const std::string& body : {std::string(3U << 20U, '['), objects, object(",\"Config\":" + objects)}) {
    EXPECT_EQ(refused("nested", [&](Connection& c) { c.answer(200, body); }), EPROTO);
  }
}

TEST_P(HostileDaemonTest, WrongTypes) {
  const std::string wrong =
      R"(,"Image":[1],"Labels":"x","Pod":{"a":1},"PodName":7,"IsInfra":"yes","Config":[[]],"State":"running",)"
      R"("HostConfig":{"Memory":"lots","MemorySwap":{}},"RestartCount":1e99)";
  const Answer answer = ask([&](Connection& c) { c.answer(200, object(named("web") + wrong)); });
  ASSERT_TRUE(answer && *answer) << answer.error().message();
  EXPECT_EQ((*answer)->name, "web");
  EXPECT_EQ((*answer)->image, "");
  EXPECT_TRUE((*answer)->labels.empty());
  EXPECT_FALSE((*answer)->pod);
  if (const auto& state = (*answer)->state) {  // of a list: a word
    EXPECT_EQ(state->status, "running");
    EXPECT_FALSE(state->exit_code || state->oom_killed || state->restart_count || state->finished_unix_ns);
  }
  EXPECT_FALSE((*answer)->memory_limit_bytes);
  for (const char* name :
       {R"(,"Name":7,"Names":7)", R"(,"Name":null,"Names":[null,7])", R"(,"Name":{},"Names":{})", ""}) {
    EXPECT_EQ(refused("no name", [&](Connection& c) { c.answer(200, object(name)); }), EPROTO) << name;
  }
  if (GetParam().list) {
    EXPECT_EQ(refused("not a list", [&](Connection& c) { c.answer(200, R"({"a":1})"); }), EPROTO);
  }
}

TEST_P(HostileDaemonTest, AnIdThatWasNotAskedFor) {
  for (const std::string& id : {std::string(64, 'b'), kId.substr(1), kId + "a", std::string()}) {
    const Answer answer = ask([&](Connection& c) { c.answer(200, object(named("web"), id)); });
    if (GetParam().list) {  // others in a list are no error
      ASSERT_TRUE(answer) << answer.error().message();
      EXPECT_FALSE(*answer) << id;
    } else {
      ASSERT_FALSE(answer);
      EXPECT_THAT(answer.error().message(), HasSubstr("not about the container"));
    }
  }
}

TEST_P(HostileDaemonTest, NamesWithEscapeCodesStayAsTheyAre) {
  const Answer answer = ask([&](Connection& c) { c.answer(200, object(named("\\u001b]0;x\\u0007\\nweb\\u202e"))); });
  ASSERT_TRUE(answer && *answer);
  EXPECT_EQ((*answer)->name, "\x1b]0;x\x07\nweb\u202e");
}

TEST_P(HostileDaemonTest, ManyContainersAndManyLabels) {
  std::string labels = "{";
  for (int i = 0; i < 2'000; ++i) {
    labels += (i == 0 ? "\"l" : ",\"l") + std::to_string(i) + "\":\"" + std::string(50, 'v') + "\"";
  }
  labels += "}";
  const Answer answer = ask([&](Connection& c) {
    c.answer(200, object(named("web") + ",\"Labels\":" + labels + ",\"Config\":{\"Labels\":" + labels + "}"));
  });
  ASSERT_TRUE(answer && *answer) << answer.error().message();
  EXPECT_LE((*answer)->labels.size(), 256U);
}

INSTANTIATE_TEST_SUITE_P(Questions, HostileDaemonTest, ::testing::ValuesIn(questions()),
                         [](const auto& suite) { return std::string(suite.param.name); });

}  // namespace
}  // namespace memcrest
