// SPDX-License-Identifier: Apache-2.0
#include "export/live_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/live_builder.h"

namespace memcrest {
namespace {

using namespace testing_support;
using ::testing::HasSubstr;

TEST(LiveJson, ARowComesBackAsItWas) {
  LiveRow row = live_row(7,
                         "w\xff"
                         "eb\n",
                         10_MiB, 90_MiB);
  row.memory.figures.swap = Swap{1_MiB, std::nullopt, "memory.swap.max"};
  row.memory.container.labels["a"] = "b";
  row.growth_bytes_per_s = -5.5;
  row.stall_ms = 12;
  row.kind = "anon";
  row.bursts = 2;
  row.gone = true;
  const std::string json = to_json(row, 1'790'000'000'000'000'000);
  EXPECT_EQ(json.find('\n'), std::string::npos);
  const auto back = live_row_from_json(json);
  ASSERT_TRUE(back) << back.error().message();
  EXPECT_EQ(to_json(*back, 1'790'000'000'000'000'000), json);
  EXPECT_EQ(back->peak_interval_bytes, 90_MiB);
  EXPECT_EQ(back->memory.figures.effective->bytes, 100_MiB);
}

TEST(LiveJson, ADetailComesBackWithItsIncidents) {
  LiveDetail detail;
  detail.row = live_row(7, "web", 10_MiB);
  detail.points = {{1000_ms, 1_MiB, 2_MiB}, {2000_ms, 3_MiB, 3_MiB}};
  detail.cut = true;
  detail.growers = {{10, "hog", 5_MiB, 0.5}};
  detail.kinds = {{MemoryKind::kAnon, 5_MiB, 1}};
  Incident incident;
  incident.id = "one";
  detail.incidents = {std::make_shared<const Incident>(incident)};
  const auto back = live_detail_from_json(to_json(detail, 1'790'000'000'000'000'000));
  ASSERT_TRUE(back) << back.error().message();
  ASSERT_EQ(back->points.size(), 2U);
  EXPECT_EQ(back->points[0].high_bytes, 2_MiB);
  EXPECT_TRUE(back->cut);
  EXPECT_EQ(back->growers.at(0).comm, "hog");
  EXPECT_EQ(back->kinds.at(0).kind, MemoryKind::kAnon);
  ASSERT_EQ(back->incidents.size(), 1U);
  EXPECT_EQ(back->incidents[0]->id, "one");
}

TEST(LiveJson, TheHeadComesBack) {
  LiveSnapshot head = live_snapshot({});
  head.lost.bulk = 3;
  head.notes = {"a note"};
  const auto back = live_head_from_json(head_to_json(head));
  ASSERT_TRUE(back) << back.error().message();
  EXPECT_EQ(back->boot_ns, head.boot_ns);
  EXPECT_EQ(back->unix_ns, head.unix_ns);
  EXPECT_EQ(back->lost, head.lost);
  EXPECT_EQ(back->notes, head.notes);
}

TEST(LiveJson, RefusesWhatItCannotBe) {
  EXPECT_FALSE(live_row_from_json(""));
  EXPECT_FALSE(live_row_from_json("[]"));
  EXPECT_FALSE(live_row_from_json(R"({"usage_bytes":"much"})"));
  EXPECT_FALSE(live_row_from_json(R"({"cgroup":{"id":-1}})"));
  EXPECT_FALSE(live_row_from_json(R"({"kind":"cow"})"));
  std::string many = R"({"live":{"history_bytes":[0)";
  for (std::size_t i = 0; i < kLiveSeconds; ++i) {
    many += ",1";
  }
  const auto refused = live_row_from_json(many + "]}}");
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message(), HasSubstr("history_bytes"));
  EXPECT_FALSE(live_head_from_json(R"({"schema":"memcrest.usage.v2"})"));
  EXPECT_FALSE(live_detail_from_json(R"({"points":[1,"2"]})"));
  EXPECT_FALSE(live_row_from_json(std::string(100'000, '[')));
  EXPECT_FALSE(incidents_from_json("no"));
  EXPECT_TRUE(incidents_from_json(R"({"incidents":[7,{}]})"));
}

TEST(LiveJson, PagesOfIncidents) {
  const auto page = incident_page_from_json(R"({"incidents":[7,{}],"next":41,"more":1})");
  ASSERT_TRUE(page);
  EXPECT_EQ(page->incidents.size() + page->unreadable, 2);
  EXPECT_GE(page->unreadable, 1);
  EXPECT_EQ(page->next, 41);
  EXPECT_FALSE(incident_page_from_json(R"({"incidents":[],"next":null})")->next);
  for (const char* wrong :
       {"no", "[]", "{}", R"({"incidents":{}})", R"({"incidents":[],"next":"x"})", R"({"incidents":[],"next":-1})"}) {
    EXPECT_FALSE(incident_page_from_json(wrong)) << wrong;
  }
}

}  // namespace
}  // namespace memcrest
