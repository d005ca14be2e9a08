// SPDX-License-Identifier: Apache-2.0
#include "serve/live_api.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "export/live_json.h"
#include "support/fake_clock.h"
#include "support/live_builder.h"

namespace memcrest {
namespace {

using namespace testing_support;
using ::testing::HasSubstr;
using ::testing::Not;

class LiveApiTest : public ::testing::Test {
 protected:
  LiveApiTest()
      : feed(
            clock,
            [this](const UsageBoard::News& news) {
              moved = news.moved;
              FeedRound out;
              out.figures = {container_memory(7, "web", 10_MiB), container_memory(8, "db", 20_MiB)};
              return out;
            },
            [] { return live_snapshot({}); }),
        api(feed) {
    clock.set(100'000_ms);
  }

  HttpResponse ask(const std::string& path, std::map<std::string, std::string> query = {}) {
    auto out = api.answer({.path = path, .query = std::move(query), .accept = {}, .peer = {}});
    return out ? std::move(*out) : http_error(599, "not ours");
  }

  FakeClock clock;
  std::unordered_set<std::uint64_t> moved;
  LiveFeed feed;
  LiveApi api;
};

TEST_F(LiveApiTest, ServesThePageWithoutInlineScript) {
  for (const auto& [path, type] :
       {std::pair("/", "text/html"), {"/live.js", "text/javascript"}, {"/live.css", "text/css"}}) {
    const HttpResponse answer = ask(path);
    EXPECT_EQ(answer.status, 200);
    EXPECT_THAT(answer.type, HasSubstr(type));
    EXPECT_THAT(answer.policy, HasSubstr("script-src 'self'"));
    EXPECT_THAT(answer.policy, Not(HasSubstr("unsafe")));
    EXPECT_GT(answer.body.size(), 300U);
    EXPECT_TRUE(is_live_page(path));
  }
  EXPECT_THAT(ask("/").body, Not(HasSubstr("<script>")));
  EXPECT_LT(ask("/live.js").body.size(), 200'000U);
  EXPECT_FALSE(is_live_page("/api/v1/usage"));
}

TEST_F(LiveApiTest, UsageIsAHeadAndALineEach) {
  const HttpResponse answer = ask("/api/v1/usage");
  EXPECT_EQ(std::ranges::count(answer.body, '\n'), 3);
  EXPECT_TRUE(live_head_from_json(answer.body.substr(0, answer.body.find('\n'))));
  EXPECT_EQ(ask("/api/v1/usage", {{"since", "x"}}).status, 400);
  EXPECT_EQ(ask("/api/v1/usage/7").status, 200);
  EXPECT_EQ(ask("/api/v1/usage/9").status, 404);
  EXPECT_EQ(ask("/api/v1/usage/7x").status, 404);
  EXPECT_FALSE(api.answer({.path = "/api/v1/usagex", .query = {}, .accept = {}, .peer = {}}));
  EXPECT_FALSE(api.answer({.path = "/api/v1/events", .query = {}, .accept = {}, .peer = {}}));
  const HttpResponse stream = ask("/api/v1/events", {{"usage", "1"}});
  EXPECT_TRUE(stream.stream);
  EXPECT_TRUE(stream.usage);
}

TEST_F(LiveApiTest, ATickTellsOnlyWhatChanged) {
  EXPECT_THAT(feed.tick(), HasSubstr("\"list_changed\":true"));
  clock.advance(std::chrono::seconds(1));
  const std::vector<Event> events = {StepBuilder(7).up(clock.boot_ns(), 30_MiB)};
  feed.note(events);
  const std::string second = feed.tick();
  EXPECT_THAT(second, HasSubstr("\"list_changed\":false"));
  EXPECT_THAT(second, HasSubstr("[7," + std::to_string(30_MiB) + ","));
  EXPECT_THAT(second, Not(HasSubstr("[8,")));
  EXPECT_TRUE(second.starts_with("event: usage\ndata: {"));
  EXPECT_TRUE(second.ends_with("}\n\n"));
}

}  // namespace
}  // namespace memcrest
