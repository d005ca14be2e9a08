// SPDX-License-Identifier: Apache-2.0
#include "export/csv_export.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/export_fixture.h"
#include "util/text.h"

namespace memcrest {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;
using namespace testing_support;  // NOLINT(google-build-using-namespace): literals

constexpr EventText kText{[](const Event& /*event*/) { return "kind"; },
                          [](const Event& /*event*/) { return std::string(R"({"a":"b,c"})"); }};

// By the rules of RFC 4180.
std::vector<std::vector<std::string>> parsed(const std::string& text) {
  std::vector<std::vector<std::string>> rows;
  std::vector<std::string> row{""};
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted && c == '"' && text.compare(i, 2, "\"\"") == 0) {
      row.back() += text[++i];
    } else if (c == '"') {
      quoted = !quoted;
    } else if (!quoted && c == ',') {
      row.emplace_back();
    } else if (!quoted && text.compare(i, 2, "\r\n") == 0) {
      rows.push_back(std::exchange(row, {""}));
      ++i;
    } else {
      row.back() += c;
    }
  }
  EXPECT_FALSE(quoted);
  return rows;
}

TEST(CsvField, QuotesWhatMustBe) {
  EXPECT_EQ(csv_field("plain text"), "plain text");
  EXPECT_EQ(csv_field(""), "");
  EXPECT_EQ(csv_field("a,b"), "\"a,b\"");
  EXPECT_EQ(csv_field("say \"a\""), "\"say \"\"a\"\"\"");
  EXPECT_EQ(csv_field("a\nb"), "\"a\nb\"");
  EXPECT_EQ(csv_field("a\rb"), "\"a\rb\"");
}

TEST(CsvField, IsNoFormulaAndNoBrokenText) {
  EXPECT_EQ(csv_field("=HYPERLINK(1)"), "'=HYPERLINK(1)");
  EXPECT_EQ(csv_field("+1+2"), "'+1+2");
  EXPECT_EQ(csv_field("-1+cmd|x"), "'-1+cmd|x");
  EXPECT_EQ(csv_field("-12"), "-12") << "a number";
  EXPECT_EQ(csv_field("@x"), "'@x");
  EXPECT_EQ(csv_field(std::string_view("a\0b\xff", 4)),
            "a\xef\xbf\xbd"
            "b\xef\xbf\xbd");
}

TEST(CsvExport, StepsAsARowEach) {
  ExportFixture fixture;
  CsvExport csv(fixture.context(), kText, ExportTable::kSteps);
  const auto rows = parsed(fixture.of(
      csv, {base(1'000'000'000, 1_MiB), grown(1'500'000'000, 3_MiB), Event(sample(1, 1))}, {oom_incident()}));
  ASSERT_THAT(rows, SizeIs(3));
  std::map<std::string, std::string> row;
  ASSERT_EQ(rows[0].size(), rows[2].size());
  for (std::size_t i = 0; i < rows[0].size(); ++i) {
    row[rows[0][i]] = rows[2][i];
  }
  EXPECT_EQ(row["time"], "2026-11-18T11:06:41.500000000Z");
  EXPECT_EQ(row["boot_time_ns"], "1500000000");
  EXPECT_EQ(row["container_name"], "web");
  EXPECT_EQ(row["image"], "my-app:latest");
  EXPECT_EQ(row["usage_bytes"], "3145728");
  EXPECT_EQ(row["limit_bytes"], "67108864");
  EXPECT_EQ(row["direction"], "up");
  EXPECT_EQ(row["growth_bytes"], "2097152");
  EXPECT_EQ(row["growth_by_process"], "1");
  EXPECT_EQ(row["pid"], "10");
  EXPECT_EQ(row["comm"], "hog");
  EXPECT_EQ(row["user_stack"], "0x3000;0x2000");
  EXPECT_EQ(row["kernel_stack"], "0xffffffff81000003;0xffffffff81000002");
}

TEST(CsvExport, EveryTableHasAsManyFieldsAsColumns) {
  for (const ExportTable table : {ExportTable::kSteps, ExportTable::kIncidents, ExportTable::kEvents,
                                  ExportTable::kLoss, ExportTable::kCgroups}) {
    ExportFixture fixture;
    fixture.cgroups = ExportedCgroups({web_cgroup(hostile_name()), plain_cgroup("/" + hostile_name())});
    CsvExport csv(fixture.context(), kText, table);
    Incident burst = hostile_incident();
    burst.burst.reset();
    const std::string text =
        fixture.of(csv, {hostile_step(), base(2, 1, 200), Event(sample(1, 1)), Event(LogOomEvent())},
                   {oom_incident(), hostile_incident(), burst}, {LossCount{1, ~0ULL, 0, 0, 0}});
    const auto rows = parsed(text);
    EXPECT_THAT(rows, SizeIs(testing::Ge(2U)));
    for (const auto& row : rows) {
      EXPECT_THAT(row, SizeIs(rows[0].size()));
    }
    EXPECT_EQ(to_valid_utf8(text), text);
  }
}

TEST(CsvExport, IncidentsSayWhoWasKilled) {
  ExportFixture fixture;
  CsvExport csv(fixture.context(), kText, ExportTable::kIncidents);
  const auto rows = parsed(fixture.of(csv, {}, {oom_incident()}));
  ASSERT_THAT(rows, SizeIs(2));
  EXPECT_THAT(rows[1], testing::Contains("python[5943]"));
  EXPECT_EQ(rows[1].back(), to_json(oom_incident()));
}

}  // namespace
}  // namespace memcrest
