// SPDX-License-Identifier: Apache-2.0
#include "app/run_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <nlohmann/json.hpp>

#include "util/text.h"

namespace memcrest {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr std::uint64_t kMiB = 1U << 20U;

RunReport report() {
  RunReport out;
  out.command = {"job", "--fast"};
  out.duration = std::chrono::milliseconds(1500);
  out.figures.peak_bytes = 100 * kMiB;
  out.figures.oom_kills = 0;
  out.tiers = "charges x · oom y";
  return out;
}

TEST(SmallestLimit, IsThePeakLessTheCacheThatCouldGo) {
  RunReport one = report();
  EXPECT_EQ(smallest_limit(one), 100 * kMiB);
  one.highest_seen_bytes = 100 * kMiB;
  one.needed_seen_bytes = 70 * kMiB;
  EXPECT_EQ(smallest_limit(one), 70 * kMiB);
  one.highest_seen_bytes = 90 * kMiB;  // what no look has seen counts in full
  EXPECT_EQ(smallest_limit(one), 80 * kMiB);
  one.needed_seen_bytes = 500 * kMiB;
  EXPECT_EQ(smallest_limit(one), 100 * kMiB);
}

TEST(SmallestLimit, IsUnknownAfterAKillOrWithoutAPeak) {
  RunReport one = report();
  one.figures.oom_kills = 1;
  EXPECT_FALSE(smallest_limit(one));
  one = report();
  one.figures.peak_bytes.reset();
  EXPECT_FALSE(smallest_limit(one));
  one = report();
  Incident oom;
  oom.kind = IncidentKind::kOom;
  one.incidents.push_back(oom);
  EXPECT_FALSE(smallest_limit(one));
}

TEST(RunReportText, ShowsALimitThatWorks) {
  RunReport one = report();
  one.figures.peak_bytes = 100 * kMiB + 1;
  EXPECT_THAT(to_text(one, 100), HasSubstr("101m (104857601 bytes)"));
  EXPECT_THAT(to_text(one, 100), HasSubstr("exit code 0 after 1.50 s"));
  EXPECT_THAT(to_text(one, 100), HasSubstr("lost: nothing"));
}

TEST(RunReportText, TellsAKill) {
  RunReport one = report();
  one.limits.memory = 64 * kMiB;
  one.figures.oom_kills = 1;
  one.exit.status = SIGKILL;
  const std::string text = to_text(one, 100);
  EXPECT_THAT(text, HasSubstr("killed by SIGKILL (exit code 137)"));
  EXPECT_THAT(text, HasSubstr("1 process killed"));
  EXPECT_THAT(text, HasSubstr("more than 64.0 MiB"));
}

TEST(RunReportText, StaysWithinItsColumnsAndEscapes) {
  RunReport one = report();
  one.command = {"job", "\x1b[2J\n" + std::string(300, 'x')};
  const std::string text = to_text(one, 60);
  EXPECT_THAT(text, Not(HasSubstr("\x1b")));
  std::size_t begin = 0;
  while (begin < text.size()) {
    const std::size_t end = text.find('\n', begin);
    EXPECT_LE(display_width(text.substr(begin, end - begin)), 60U);
    begin = end + 1;
  }
}

TEST(RunReportJson, HoldsItsFieldsAndOnlyValidText) {
  RunReport one = report();
  one.command = {"job", "\xff\xfe"};
  one.loss.bulk = 7;
  const auto parsed = nlohmann::json::parse(to_json(one));
  EXPECT_EQ(parsed["schema"], "memcrest.run.v1");
  EXPECT_EQ(parsed["exit_code"], 0);
  EXPECT_TRUE(parsed["signal"].is_null());
  EXPECT_EQ(parsed["peak_bytes"], 100 * kMiB);
  EXPECT_TRUE(parsed["limit_bytes"].is_null());
  EXPECT_EQ(parsed["lost"]["bulk"], 7);
  one.tiers.clear();
  one.no_hooks_reason = "no BTF";
  const auto without = nlohmann::json::parse(to_json(one));
  EXPECT_TRUE(without["lost"].is_null());
  EXPECT_EQ(without["no_hooks_reason"], "no BTF");
}

}  // namespace
}  // namespace memcrest
