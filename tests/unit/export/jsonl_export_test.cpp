// SPDX-License-Identifier: Apache-2.0
// Lines of every kind; run with a file's name, this writes what the tests made there (export_schema_test.sh).
#include "export/jsonl_export.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "support/export_fixture.h"

namespace memcrest {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;
using namespace testing_support;  // NOLINT(google-build-using-namespace): literals

constexpr EventText kText{[](const Event& event) { return event.index() == 1 ? "sample" : "exec"; },
                          [](const Event& /*event*/) { return std::string("{\"a\":\"\xe2\x80\xa8\",\n\"b\":1}"); }};

std::vector<json> lines_of(const std::string& text) {
  if (const char* file = std::getenv("MEMCREST_SCHEMA_LINES")) {
    std::ofstream(file, std::ios::app) << text;
  }
  std::vector<json> out;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) {
    EXPECT_EQ(line.find("\xe2\x80\xa8"), std::string::npos) << "would end the line for some readers";
    out.push_back(json::parse(line));
  }
  return out;
}

std::vector<json> all(const ExportTables& tables, const std::vector<Event>& events, ExportEnd end = {}) {
  ExportFixture fixture;
  JsonlExport jsonl(fixture.context(), kText, tables);
  return lines_of(fixture.of(jsonl, events, {oom_incident()}, {LossCount{1, 2, 3, 4, 5}}, std::move(end)));
}

TEST(JsonlExport, AStepSaysWhoseItIs) {
  const auto lines = all({ExportTable::kSteps}, {base(1'000'000'000, 1_MiB), grown(1'500'000'000, 3_MiB)});
  ASSERT_THAT(lines, SizeIs(3));
  const json& step = lines[1];
  EXPECT_EQ(step["schema"], "memcrest.step.v1");
  EXPECT_EQ(step["time"], "2026-11-18T11:06:41.500000000Z");
  EXPECT_EQ(step["cgroup"]["id"], 100);
  EXPECT_EQ(step["container"]["name"], "web");
  EXPECT_TRUE(step["container"]["pod"].is_null());
  EXPECT_EQ(step["usage_bytes"], 3_MiB);
  EXPECT_EQ(step["growth_bytes"], 2_MiB);
  EXPECT_EQ(step["direction"], "up");
  EXPECT_TRUE(lines[0]["direction"].is_null());
  EXPECT_EQ(step["process"]["pid"], 10);
  EXPECT_THAT(step["user_stack"], ElementsAre("0x3000", "0x2000"));
}

TEST(JsonlExport, AllOfItInOrder) {
  const auto lines = all({}, {base(1, 1_MiB), Event(sample(2, 5)), Event(ExecEvent{})});
  std::vector<std::string> schemas;
  for (const json& line : lines) {
    schemas.push_back(line["schema"]);
  }
  EXPECT_THAT(schemas,
              ElementsAre("memcrest.step.v1", "memcrest.event.v1", "memcrest.event.v1", "memcrest.incident.v1",
                          "memcrest.loss.v1", "memcrest.cgroup.v1", "memcrest.cgroup.v1", "memcrest.recording.v1"));
  EXPECT_EQ(lines[1]["container"]["name"], "web");
  EXPECT_TRUE(lines[2]["container"].is_null());
  EXPECT_EQ(lines[1]["event"]["b"], 1);
  EXPECT_EQ(lines[4]["more"], 15);
  EXPECT_EQ(lines.back()["complete"], false);
  EXPECT_EQ(lines.back()["lost"]["bulk"], 2);
}

TEST(JsonlExport, AnIncidentIsAsItWasWritten) {
  ExportFixture fixture;
  JsonlExport jsonl(fixture.context(), kText, {ExportTable::kIncidents});
  EXPECT_THAT(fixture.of(jsonl, {base(1, 1)}, {oom_incident(), hostile_incident()}),
              testing::StartsWith(to_json(oom_incident()) + "\n" + to_json(hostile_incident()) + "\n"));
}

TEST(JsonlExport, TheEndTellsTheGaps) {
  ExportEnd end;
  end.gaps = {"no end", hostile_name()};
  const auto lines = all({ExportTable::kIncidents}, {}, end);
  EXPECT_THAT(lines.back()["gaps"], SizeIs(2));
  EXPECT_EQ(lines.back()["gaps"][0], "no end");
  EXPECT_EQ(lines.back()["host"]["name"], "node1");
}

TEST(JsonlExport, HostileNamesAndNumbers) {
  ExportFixture fixture;
  fixture.meta = {{"host_name", hostile_name()}, {"kernel", hostile_name()}};
  fixture.cgroups = ExportedCgroups({web_cgroup(hostile_name()), plain_cgroup(hostile_name())});
  JsonlExport jsonl(fixture.context(), kText, {});
  StepEvent unlisted = hostile_step();
  unlisted.cgroup_id = ~0ULL;
  const auto lines = lines_of(fixture.of(jsonl, {hostile_step(), unlisted, Event(sample(~0ULL, ~0ULL, ~0ULL))}, {},
                                         {LossCount{~0ULL, ~0ULL, ~0ULL, ~0ULL, ~0ULL}}));
  EXPECT_EQ(lines[0]["boot_time_ns"], ~0ULL);
  EXPECT_EQ(lines[1]["cgroup"]["id"], ~0ULL);
}

TEST(JsonlExport, ACgroupThatIsNotListedIsNotTakenForAnother) {
  ExportFixture fixture;
  JsonlExport jsonl(fixture.context(), kText, {ExportTable::kSteps});
  StepEvent one = base(1, 1);
  one.cgroup_id = 7;
  StepEvent two = base(2, 1);
  two.cgroup_id = 8;
  const auto lines = lines_of(fixture.of(jsonl, {one, two, base(3, 1), one}));
  EXPECT_EQ(lines[0]["cgroup"]["id"], 7);
  EXPECT_EQ(lines[1]["cgroup"]["id"], 8);
  EXPECT_EQ(lines[2]["container"]["name"], "web");
  EXPECT_EQ(lines[3]["cgroup"]["id"], 7);
}

}  // namespace
}  // namespace memcrest
