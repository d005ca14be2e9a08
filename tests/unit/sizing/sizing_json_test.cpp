// SPDX-License-Identifier: Apache-2.0
#include "sizing/sizing_json.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

#include "sizing/judge_size.h"
#include "support/sizing_builder.h"

namespace memcrest {
namespace {

using namespace testing_support;

// Also for advise_schema_test.sh, which checks all of them against the published schema.
nlohmann::json parsed(const SizingReport& report) {
  const std::string line = to_json(report);
  EXPECT_EQ(line.find('\n'), std::string::npos);
  if (const char* path = std::getenv("MEMCREST_ADVISE_LINES")) {
    std::ofstream(path, std::ios::app) << line << "\n";
  }
  return nlohmann::json::parse(line);
}

SizingReport report_of(std::vector<SizedUsage> usages) {
  SizingReport out;
  out.host = "node1";
  out.charge_tier = "page_counter";
  out.recordings = 1;
  out.begin_unix_ns = 1'795'000'000'000'000'000;
  out.end_unix_ns = 1'795'003'600'000'000'000;
  for (SizedUsage& one : usages) {
    out.sizings.push_back(judge_size(std::move(one), out.settings));
  }
  return out;
}

TEST(SizingJson, AContainerWithAllThatIsKnown) {
  SizedUsage usage = usage_of(100_MiB, 1_GiB);
  usage.grown_bytes = 400;
  usage.cache_bytes = 100;
  const auto json = parsed(report_of({usage}));
  EXPECT_EQ(json["schema"], "memcrest.advise.v1");
  EXPECT_EQ(json["begin"], "2026-11-18T11:06:40.000000000Z");
  EXPECT_EQ(json["window_ns"], 60'000'000'000);
  EXPECT_EQ(json["margin_percent"], 20);
  EXPECT_EQ(json["by"], "container");
  EXPECT_EQ(json["complete"], true);
  const auto& one = json["containers"][0];
  EXPECT_EQ(one["name"], "web");
  EXPECT_EQ(one["class"], "wasteful");
  EXPECT_EQ(one["limit_bytes"], 1_GiB);
  EXPECT_EQ(one["peak_bytes"], 100_MiB);
  EXPECT_EQ(one["peak_exact"], true);
  EXPECT_EQ(one["window_peaks"]["p50"], 50_MiB);
  EXPECT_EQ(one["window_peaks"]["p100"], 100_MiB);
  EXPECT_EQ(one["page_cache_share"], 0.25);
  EXPECT_EQ(one["advised_bytes"], 120_MiB);
  EXPECT_EQ(one["other_limits"].back()["kind"], "current");
  EXPECT_EQ(one["lines"][0]["tool"], "docker update");
}

TEST(SizingJson, WhatIsNotKnownIsNullAndNeverZero) {
  SizedUsage usage = usage_of(0, std::nullopt);
  usage.peaks = {};
  usage.mark_bytes = 0;
  usage.limit_known = false;
  SizingReport report = report_of({usage});
  report.begin_unix_ns.reset();
  report.host.clear();
  const auto json = parsed(report);
  EXPECT_TRUE(json["begin"].is_null());
  EXPECT_TRUE(json["host"].is_null());
  const auto& one = json["containers"][0];
  for (const char* name : {"has_limit", "limit_bytes", "peak_bytes", "mark_bytes", "window_peaks", "page_cache_share",
                           "needed_bytes", "advised_bytes", "request_bytes"}) {
    EXPECT_TRUE(one[name].is_null()) << name;
  }
}

TEST(SizingJson, AnOomLeavesOpenWhatLiesAboveItsLimit) {
  SizedUsage usage = oomed(64_MiB);
  usage.ooms.guessed_bytes = 96_MiB;
  usage.leak_confidence = 0.5;
  const auto json = parsed(report_of({usage}));
  const auto& one = json["containers"][0];
  EXPECT_EQ(one["ooms"]["own_limit"], 1);
  EXPECT_EQ(one["advised_guessed"], true);
  EXPECT_TRUE(one["other_limits"].back()["windows_above"].is_null());
}

TEST(SizingJson, AnyBytesMakeValidLines) {
  SizedUsage usage = usage_of(100_MiB, 1_GiB);
  usage.label = usage.container.name = usage.cgroup.path = "a\xff\n\x1b\xe2\x80\xa8";
  usage.ooms.elsewhere = 1;
  SizingReport report = report_of({usage});
  report.gaps = report.notes = {"\xff\n"};
  report.left_out = 7;
  report.live = true;
  const auto json = parsed(report);
  EXPECT_EQ(json["complete"], false);
  EXPECT_EQ(json["left_out"], 7);
}

}  // namespace
}  // namespace memcrest
