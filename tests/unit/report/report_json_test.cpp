// SPDX-License-Identifier: Apache-2.0
#include "report/report_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

#include "support/detail_builder.h"
#include "support/report_builder.h"
#include "util/text.h"

namespace memcrest {
namespace {

using testing::HasSubstr;
using testing::Not;
using namespace testing_support;  // NOLINT(google-build-using-namespace): literals

class ReportJsonTest : public testing::Test {
 protected:
  std::string file() const { return dir_.path() + "/a.memcrest"; }
  // Each document goes to the schema check that runs after this program.
  nlohmann::ordered_json document() {
    const std::string text = to_json(report_of(file()));
    EXPECT_EQ(to_valid_utf8(text), text);
    EXPECT_EQ(text.find('\n'), std::string::npos);
    if (const char* path = std::getenv("MEMCREST_REPORT_LINES")) {
      std::ofstream(path, std::ios::app) << text << '\n';
    }
    return nlohmann::ordered_json::parse(text);
  }
  TempDir dir_;
};

TEST_F(ReportJsonTest, HoldsTheIncidentByteForByteAndWhatLiesAroundIt) {
  RecordingBuilder recording(file());
  record_oom(recording);
  recording.finish();
  EXPECT_THAT(to_json(report_of(file())), HasSubstr(",\"incident\":" + to_json(oom_incident()) + ",\"detail\":"));
  const auto json = document();
  EXPECT_EQ(json["schema"], "memcrest.report.v1");
  EXPECT_EQ(json["recording"]["steps"], 102);
  EXPECT_EQ(json["recording"]["duration_ms"], 61'000);
  const auto& detail = json["incidents"][0]["detail"];
  EXPECT_EQ(detail["growth"]["total_bytes"], 1600_MiB);
  EXPECT_EQ(detail["growth"]["stacks"]["children"][0]["name"], "python[5943]");
  EXPECT_EQ(detail["growth"]["stacks"]["children"][0]["children"][0]["name"], "0x1000");
  EXPECT_EQ(detail["cgroups_at_kill"][0]["path"], oom_incident().cgroup.path);
  EXPECT_EQ(detail["cgroups_at_kill"][1]["path"], "/docker");
  EXPECT_EQ(detail["processes"][1]["oom_score_adj"], -999);
}

TEST_F(ReportJsonTest, AnEmptyRecordingIsADocumentToo) {
  RecordingBuilder(file()).finish();
  const auto json = document();
  EXPECT_EQ(json["incidents"].size(), 0U);
  EXPECT_TRUE(json["recording"]["from"].is_null());
}

TEST_F(ReportJsonTest, HostileTextStaysText) {
  RecordingBuilder recording(file());
  Incident incident = hostile_detail();
  recording.add(incident).add(oom_incident(), "{\"kind\":\"\xff</script>\"");
  recording.finish();
  const auto json = document();
  EXPECT_EQ(json["incidents"][0]["incident"]["container"]["name"], to_valid_utf8(hostile_name()));
  EXPECT_TRUE(json["incidents"][1]["incident"].is_null());
}

TEST_F(ReportJsonTest, NothingInThePagesDataCanEndItsElement) {
  RecordingBuilder recording(file());
  Incident incident = oom_incident();
  incident.container.name = "</script><!--<script><img src=x onerror=alert(1)>&amp;";
  incident.victims[0].cmdline = "]]></SCRIPT >";
  record_oom(recording, incident);
  recording.finish();
  const std::string data = page_data(report_of(file()));
  EXPECT_THAT(data, Not(HasSubstr("<")));
  EXPECT_THAT(data, Not(HasSubstr(">")));
  EXPECT_THAT(data, Not(HasSubstr("&")));
  const auto json = nlohmann::json::parse(data);
  EXPECT_EQ(json["report"]["incidents"][0]["incident"]["container"]["name"], incident.container.name);
  EXPECT_EQ(json["charts"]["tracks"][0]["count"], 103);
  EXPECT_EQ(json["charts"]["incidents"][0]["track"], 0);
}

}  // namespace
}  // namespace memcrest
