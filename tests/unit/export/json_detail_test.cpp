// SPDX-License-Identifier: Apache-2.0
#include "export/json_detail.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

#include "export/incident_reader.h"
#include "export/json.h"
#include "support/detail_builder.h"
#include "util/text.h"

namespace memcrest {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using namespace testing_support;  // NOLINT(google-build-using-namespace): literals

// Checked against the schema after this program, as in json_test.
nlohmann::ordered_json parsed(const Incident& incident) {
  const std::string line = to_json(incident);
  if (const char* path = std::getenv("MEMCREST_INCIDENT_LINES")) {
    std::ofstream(path, std::ios::app) << line << '\n';
  }
  return nlohmann::ordered_json::parse(line);
}

std::vector<std::string> keys(const nlohmann::ordered_json& object) {
  std::vector<std::string> out;
  for (const auto& [key, value] : object.items()) {
    out.push_back(key);
  }
  return out;
}

TEST(JsonDetail, WhatIsNotThereIsNull) {
  const auto json = parsed(oom_incident());
  for (const char* name :
       {"oom", "reclaim", "swap", "ranking", "stuck", "charge_failure", "breakpoint", "memory_stat"}) {
    ASSERT_TRUE(json.contains(name)) << name;
    EXPECT_TRUE(json[name].is_null()) << name;
  }
}

TEST(JsonDetail, EmptyPartsAreObjectsAndTheirUnknownsNull) {
  Incident incident = oom_incident();
  incident.oom = OomDetail{};
  incident.reclaim = ReclaimStall{};
  incident.swap = Swap{};
  incident.ranking = HostRanking{};
  incident.stuck = Stuck{};
  incident.charge_failure = ChargeFailure{};
  const auto json = parsed(incident);
  EXPECT_THAT(keys(json["oom"]), ElementsAre("order", "gfp_mask", "group_kill", "sysrq", "limit_lowered", "kills"));
  EXPECT_TRUE(json["oom"]["order"].is_null());
  EXPECT_TRUE(json["oom"]["gfp_mask"].is_null());
  EXPECT_TRUE(json["oom"]["kills"].is_null());
  EXPECT_EQ(json["oom"]["sysrq"], false);
  EXPECT_THAT(keys(json["reclaim"]), ElementsAre("window_ms", "direct_ms", "throttle_ms"));
  EXPECT_EQ(json["reclaim"]["direct_ms"], 0);
  EXPECT_THAT(keys(json["swap"]), ElementsAre("usage_bytes", "limit_bytes", "kind"));
  EXPECT_TRUE(json["swap"]["usage_bytes"].is_null());
  EXPECT_TRUE(json["swap"]["limit_bytes"].is_null());
  EXPECT_TRUE(json["swap"]["kind"].is_null());
  EXPECT_THAT(keys(json["ranking"]), ElementsAre("growth_window_ms", "by_usage", "by_growth", "incomplete"));
  EXPECT_EQ(json["ranking"]["by_usage"], nlohmann::ordered_json::array());
  EXPECT_TRUE(json["ranking"]["incomplete"].is_null());
  EXPECT_THAT(keys(json["stuck"]), ElementsAre("since_boot_time_ns", "duration_ms", "ongoing", "total_tasks", "tasks"));
  EXPECT_EQ(json["stuck"]["tasks"], nlohmann::ordered_json::array());
  EXPECT_THAT(keys(json["charge_failure"]),
              ElementsAre("count", "at_least", "errno", "error", "function", "bytes", "gfp_mask", "duration_ms"));
  EXPECT_TRUE(json["charge_failure"]["errno"].is_null());
  EXPECT_TRUE(json["charge_failure"]["error"].is_null());
  EXPECT_TRUE(json["charge_failure"]["function"].is_null());
}

TEST(JsonDetail, ABreakpoint) {
  const auto empty = parsed([] {
    Incident out = oom_incident();
    out.breakpoint = Breakpoint{};
    return out;
  }())["breakpoint"];
  EXPECT_THAT(keys(empty), ElementsAre("rule", "line_bytes", "overshoot_bytes", "late", "signal_number", "signal",
                                       "errno", "action", "outcome", "failed", "held_ms", "output", "frames",
                                       "stack_gap", "processes", "total_processes"));
  for (const char* unknown : {"rule", "signal_number", "signal", "errno", "action", "outcome", "output", "stack_gap"}) {
    EXPECT_TRUE(empty[unknown].is_null()) << unknown;
  }
  const auto json = parsed(breakpoint_incident())["breakpoint"];
  EXPECT_EQ(json["signal"], "SIGSTOP");
  EXPECT_EQ(json["line_bytes"], 96_MiB);
  EXPECT_EQ(json["frames"][0]["name"], "realloc");
  EXPECT_EQ(json["processes"][0]["held"], true);
  EXPECT_TRUE(json["processes"][1]["rss_bytes"].is_null());
  for (const Incident& incident : {breakpoint_incident(), hostile_detail()}) {
    const auto back = incident_from_json(to_json(incident));
    ASSERT_TRUE(back) << back.error().message();
    EXPECT_EQ(to_json(*back), to_json(incident));
  }
}

TEST(JsonDetail, HowTheKillCameAbout) {
  Incident incident = oom_incident();
  incident.oom = OomDetail{9, 0xcc0, true, false, true, 4};
  incident.reclaim = ReclaimStall{10'000, 1200.5, 300};
  incident.swap = Swap{0, 512_MiB, "memory.swap.max"};
  incident.memory_stat = {{"anon", 5}, {"pgfault", 7}, {"anon", 6}};
  const auto json = parsed(incident);
  EXPECT_EQ(json["oom"]["order"], 9);
  EXPECT_EQ(json["oom"]["gfp_mask"], 0xcc0);
  EXPECT_EQ(json["oom"]["group_kill"], true);
  EXPECT_EQ(json["oom"]["limit_lowered"], true);
  EXPECT_EQ(json["oom"]["kills"], 4);
  EXPECT_EQ(json["reclaim"]["direct_ms"], 1200.5);
  EXPECT_EQ(json["swap"]["usage_bytes"], 0) << "known to be nothing, which is not unknown";
  EXPECT_EQ(json["swap"]["kind"], "memory.swap.max");
  EXPECT_THAT(keys(json["memory_stat"]), ElementsAre("anon", "pgfault"));
  EXPECT_EQ(json["memory_stat"]["anon"], 5);
  incident.oom->order = -1;
  EXPECT_EQ(parsed(incident)["oom"]["order"], -1);
}

TEST(JsonDetail, AStuckCgroupIsTwoLinesWithOneId) {
  const auto first = parsed(stuck_incident(true));
  const auto second = parsed(stuck_incident(false));
  EXPECT_EQ(first["id"], second["id"]);
  EXPECT_EQ(first["kind"], "oom");
  EXPECT_EQ(first["victims"].size(), 0);
  EXPECT_EQ(first["stuck"]["ongoing"], true);
  EXPECT_EQ(second["stuck"]["ongoing"], false);
  EXPECT_EQ(first["stuck"]["since_boot_time_ns"], 1'234'567'890'123 - 3'200'000'000);
  EXPECT_EQ(first["stuck"]["duration_ms"], 3200);
  EXPECT_EQ(first["stuck"]["total_tasks"], 3);
  EXPECT_THAT(keys(first["stuck"]["tasks"][0]), ElementsAre("pid", "tid", "comm", "container_pid"));
  EXPECT_EQ(first["stuck"]["tasks"][1]["tid"], 5950);
  EXPECT_TRUE(first["stuck"]["tasks"][2]["container_pid"].is_null());
}

TEST(JsonDetail, ARefusedCharge) {
  const auto json = parsed(refused_incident());
  EXPECT_EQ(json["kind"], "charge_failure");
  EXPECT_EQ(json["charge_failure"]["count"], 12);
  EXPECT_EQ(json["charge_failure"]["at_least"], false);
  EXPECT_EQ(json["charge_failure"]["errno"], 12);
  EXPECT_EQ(json["charge_failure"]["error"], "ENOMEM");
  EXPECT_EQ(json["charge_failure"]["function"], "__alloc_skb");
  EXPECT_EQ(json["charge_failure"]["bytes"], 4096);
  EXPECT_EQ(json["charge_failure"]["duration_ms"], 3200);
}

TEST(JsonDetail, TheMachinesRanking) {
  Incident incident = host_incident();
  incident.ranking->by_usage[0].pod_name = "c1-pod";
  const auto json = parsed(incident);
  EXPECT_EQ(json["scope"], "host");
  EXPECT_EQ(json["ranking"]["growth_window_ms"], 10'000);
  ASSERT_EQ(json["ranking"]["by_usage"].size(), 7);
  const auto& first = json["ranking"]["by_usage"][0];
  EXPECT_THAT(keys(first), ElementsAre("cgroup", "runtime", "container_id", "container_name", "pod_name",
                                       "pod_namespace", "usage_bytes", "growth_bytes"));
  EXPECT_THAT(keys(first["cgroup"]), ElementsAre("id", "path"));
  EXPECT_EQ(first["container_name"], "c1");
  EXPECT_EQ(first["pod_name"], "c1-pod");
  EXPECT_TRUE(first["pod_namespace"].is_null());
  EXPECT_EQ(first["growth_bytes"], -536'870'912);
  EXPECT_TRUE(json["ranking"]["by_usage"][2]["container_id"].is_null());
  EXPECT_EQ(json["ranking"]["by_usage"][2]["runtime"], "systemd");
  EXPECT_EQ(json["ranking"]["by_growth"][0]["container_name"], "c6");
}

TEST(JsonDetail, TimesThatAreNoNumbersOrBelowZeroBecomeZero) {
  for (const double odd : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity(),
                           -std::numeric_limits<double>::infinity(), -1.0, -0.0}) {
    Incident incident = stuck_incident();
    incident.stuck->duration_ms = odd;
    incident.reclaim = ReclaimStall{odd, odd, odd};
    incident.ranking = HostRanking{odd, {}, {}, ""};
    incident.charge_failure = ChargeFailure{};
    incident.charge_failure->duration_ms = odd;
    const auto json = parsed(incident);
    EXPECT_EQ(json["stuck"]["duration_ms"], 0);
    EXPECT_EQ(json["reclaim"]["window_ms"], 0);
    EXPECT_EQ(json["reclaim"]["direct_ms"], 0);
    EXPECT_EQ(json["reclaim"]["throttle_ms"], 0);
    EXPECT_EQ(json["ranking"]["growth_window_ms"], 0);
    EXPECT_EQ(json["charge_failure"]["duration_ms"], 0);
  }
}

TEST(JsonDetail, LargestNumbersAndHostileTextStayOneValidLine) {
  const std::string line = to_json(hostile_detail());
  EXPECT_EQ(to_valid_utf8(line), line);
  EXPECT_EQ(line.find('\n'), std::string::npos);
  EXPECT_EQ(line.find('\x1b'), std::string::npos);
  EXPECT_THAT(line, HasSubstr("\"kills\":18446744073709551615}"));
  EXPECT_THAT(line, HasSubstr("\"growth_bytes\":-9223372036854775808}"));
  const auto json = parsed(hostile_detail());
  EXPECT_EQ(json["stuck"]["tasks"].size(), 64);
  EXPECT_EQ(json["memory_stat"].size(), 3) << "two names that differ only in invalid bytes are one";
  EXPECT_EQ(json["memory_stat"]["\xef\xbf\xbd"], 1);
}

}  // namespace
}  // namespace memcrest
