// SPDX-License-Identifier: Apache-2.0
#include "top/top_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/live_builder.h"

namespace memcrest {
namespace {

using namespace testing_support;
using ::testing::ElementsAre;

std::vector<std::string> names(const TopModel& model) {
  std::vector<std::string> out;
  for (const TopItem& item : model.items()) {
    out.push_back(item.row ? name_of(model.rows()[*item.row]) : "[" + item.group + "]");
  }
  return out;
}

TopCommand press(TopModel& model, char32_t c) { return model.handle({.key = TopKey::kChar, .character = c}); }
TopCommand press(TopModel& model, TopKey key) { return model.handle({.key = key}); }
void type(TopModel& model, const std::u32string& text) {
  for (const char32_t c : text) {
    (void)press(model, c);
  }
}

std::shared_ptr<const Incident> incident(const std::string& id, std::uint64_t boot_ns) {
  Incident out;
  out.id = id;
  out.boot_ns = boot_ns;
  return std::make_shared<const Incident>(std::move(out));
}

class TopModelTest : public ::testing::Test {
 protected:
  TopModelTest() : model("test", TopOrder::kPercent) {
    model.set(live_snapshot(
        {live_row(1, "web", 10_MiB, 90_MiB), live_row(2, "db", 50_MiB), live_row(3, "free", 70_MiB, 0, std::nullopt)}));
    (void)model.scroll_list(10, 3, model.selected());
  }
  TopModel model;
};

TEST_F(TopModelTest, APeakBetweenTwoLooksCountsForTheOrder) {
  EXPECT_THAT(names(model), ElementsAre("web", "db", "free"));
}

TEST_F(TopModelTest, SortsByWhatIsAskedFor) {
  (void)press(model, U's');
  EXPECT_EQ(model.order(), TopOrder::kUse);
  EXPECT_THAT(names(model), ElementsAre("free", "db", "web"));
  (void)press(model, U'r');
  EXPECT_THAT(names(model), ElementsAre("web", "db", "free"));
  (void)press(model, U'r');
  (void)press(model, U'c');
  (void)press(model, U'n');
  EXPECT_THAT(names(model), ElementsAre("db", "free", "web"));
  (void)press(model, U'c');
  (void)press(model, U'l');
  EXPECT_EQ(names(model).back(), "free");  // no limit: last in either direction
  (void)press(model, U'r');
  EXPECT_EQ(names(model).back(), "free");
}

TEST_F(TopModelTest, FilterShowsOnlyWhatHoldsTheText) {
  (void)press(model, U'f');
  type(model, U"WE");
  EXPECT_THAT(names(model), ElementsAre("web"));
  EXPECT_EQ(model.filtered(), 2U);
  (void)press(model, TopKey::kBackspace);
  (void)press(model, TopKey::kBackspace);
  EXPECT_EQ(model.items().size(), 3U);
  type(model, U"q");  // is text here, not the end
  EXPECT_TRUE(model.items().empty());
  (void)press(model, TopKey::kEscape);
  EXPECT_EQ(model.items().size(), 3U);
  EXPECT_EQ(model.prompt(), TopPrompt::kNone);
}

TEST_F(TopModelTest, SearchGoesToTheNext) {
  (void)press(model, U'/');
  type(model, U"free");
  (void)press(model, TopKey::kEnter);
  EXPECT_EQ(model.selected(), 2U);
  (void)press(model, U'/');
  type(model, U"nothing");
  (void)press(model, TopKey::kEnter);
  EXPECT_EQ(model.selected(), 2U);
  EXPECT_NE(model.message(), "");
}

TEST_F(TopModelTest, TheMarkStaysOnItsContainer) {
  (void)press(model, TopKey::kDown);
  model.set(live_snapshot({live_row(1, "web", 10_MiB), live_row(2, "db", 5_MiB), live_row(4, "new", 99_MiB)}));
  EXPECT_THAT(names(model), ElementsAre("new", "web", "db"));
  EXPECT_EQ(model.selected(), 2U);
  model.set(live_snapshot({live_row(4, "new", 99_MiB)}));  // it is gone
  EXPECT_EQ(model.selected(), 0U);
  model.set(live_snapshot({}));
  EXPECT_EQ(press(model, TopKey::kEnter).look, false);
  (void)press(model, TopKey::kDown);
  EXPECT_EQ(model.selected(), 0U);
}

TEST_F(TopModelTest, TreeGroupsAndFolds) {
  auto shop = live_row(5, "cart", 1_MiB);
  shop.memory.container.labels["com.docker.compose.project"] = "shop";
  auto pod = live_row(6, "app", 2_MiB);
  pod.memory.container.pod.emplace().name = "api-1";
  pod.memory.container.pod->name_space = "prod";
  model.set(live_snapshot({shop, pod}));
  (void)press(model, U't');
  EXPECT_THAT(names(model), ElementsAre("[pod prod/api-1]", "app", "[compose shop]", "cart"));
  (void)press(model, TopKey::kHome);
  (void)press(model, U' ');
  EXPECT_THAT(names(model), ElementsAre("[pod prod/api-1]", "[compose shop]", "cart"));
}

TEST_F(TopModelTest, DetailOfOneThatDiesKeepsWhatWasKnown) {
  EXPECT_TRUE(press(model, TopKey::kEnter).look);
  EXPECT_EQ(model.view(), TopView::kDetail);
  EXPECT_EQ(model.detail_id(), 1U);
  LiveDetail detail;
  detail.row = live_row(1, "web", 10_MiB);
  detail.growers = {{1, "hog", 5, 1}};
  model.set(std::optional(detail));
  EXPECT_FALSE(model.detail_gone());
  model.set(std::optional<LiveDetail>());
  EXPECT_TRUE(model.detail_gone());
  EXPECT_EQ(model.detail()->growers.size(), 1U);
  (void)press(model, TopKey::kEscape);
  EXPECT_EQ(model.view(), TopView::kList);
  EXPECT_FALSE(model.detail_id());
}

TEST_F(TopModelTest, QGoesBackAndEndsInTheList) {
  (void)press(model, U'i');
  EXPECT_EQ(model.view(), TopView::kIncidents);
  EXPECT_FALSE(press(model, U'q').quit);
  EXPECT_TRUE(press(model, U'q').quit);
}

TEST_F(TopModelTest, HeldScreenStandsStill) {
  (void)press(model, U' ');
  EXPECT_TRUE(model.held());
  model.set(live_snapshot({}));
  EXPECT_EQ(model.items().size(), 3U);
  (void)press(model, U' ');
  model.set(live_snapshot({}));
  EXPECT_TRUE(model.items().empty());
}

TEST_F(TopModelTest, TravelsInTime) {
  model.set(std::vector{incident("b", 20'000_ms), incident("a", 15'000_ms)});
  EXPECT_FALSE(press(model, U'[').go_to);  // only in a recording
  model.set(TimeTravel{10'000_ms, 30'000_ms, 15'500_ms});
  EXPECT_EQ(press(model, U'[').go_to, 14'500_ms);
  EXPECT_EQ(press(model, U']').go_to, 16'500_ms);
  EXPECT_EQ(press(model, U'{').go_to, 10'000_ms);
  EXPECT_EQ(press(model, U'}').go_to, 30'000_ms);
  EXPECT_EQ(press(model, U'(').go_to, 15'000_ms);
  EXPECT_EQ(press(model, U')').go_to, 20'000_ms);
  model.set(TimeTravel{10'000_ms, 30'000_ms, 20'000_ms});
  EXPECT_FALSE(press(model, U')').go_to);
  EXPECT_NE(model.message(), "");
  (void)press(model, U' ');
  EXPECT_TRUE(model.playing());
  (void)press(model, U'i');
  EXPECT_EQ(press(model, TopKey::kEnter).go_to, 20'000_ms);  // jumps to it
  EXPECT_EQ(model.story()->id, "b");
  EXPECT_FALSE(model.playing());
}

TEST_F(TopModelTest, MouseMarksThenOpens) {
  model.set_first_line(3);
  const auto click = [&](std::size_t row) { return model.handle({.key = TopKey::kClick, .row = row}); };
  (void)click(4);
  EXPECT_EQ(model.selected(), 1U);
  (void)click(0);
  (void)click(40);
  EXPECT_EQ(model.selected(), 1U);
  (void)click(4);
  EXPECT_EQ(model.view(), TopView::kDetail);
}

TEST_F(TopModelTest, AnyKeysInAnyOrderDoNoHarm) {
  std::uint32_t seed = 7;
  model.set(std::vector{incident("a", 15'000_ms)});
  for (int i = 0; i < 20'000; ++i) {
    seed = seed * 1664525U + 1013904223U;
    const TopInput input{
        .key = static_cast<TopKey>((seed >> 8U) % 17), .character = 32 + (seed >> 16U) % 95, .row = (seed >> 20U) % 30};
    (void)model.handle(input);
    if (i % 5 == 0) {
      model.set(live_snapshot(std::vector<LiveRow>((seed >> 12U) % 4, live_row(seed % 5, "x", 1_MiB))));
      model.set(i % 10 == 0 ? std::optional<LiveDetail>() : std::optional(LiveDetail{}));
      (void)model.scroll_list(5, model.items().size(), model.selected());
    }
    ASSERT_TRUE(model.items().empty() || model.selected() < model.items().size());
  }
}

}  // namespace
}  // namespace memcrest
