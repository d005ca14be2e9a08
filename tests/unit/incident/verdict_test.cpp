// SPDX-License-Identifier: Apache-2.0
#include "incident/verdict.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "incident/advice.h"
#include "incident/composition.h"
#include "support/event_builder.h"

namespace memcrest {
namespace {

using testing::Contains;
using testing::Field;
using testing::HasSubstr;
using namespace testing_support;  // NOLINT(google-build-using-namespace): literals

constexpr std::uint64_t kGibi = 1ULL << 30U;
constexpr std::uint64_t kMebi = 1ULL << 20U;

// A container of 1 GiB, full, whose one victim held `anon`.
Incident full(std::uint64_t anon) {
  Incident out = oom_incident();
  out.scope = Scope::kMemcg;
  out.limit.bytes = kGibi;
  out.usage_bytes = kGibi;
  out.victims.resize(1);
  out.victims[0].anon_bytes = anon;
  out.victims[0].shmem_bytes = 0;
  out.victims[0].pagetable_bytes = 0;
  out.victims[0].cmdline = "python app.py";
  out.burst->base_bytes = 200 * kMebi;
  out.burst->peak_bytes = kGibi;
  out.burst->growth_bytes = 824 * kMebi;
  out.burst->duration_ms = 740;
  out.burst->kinds.clear();
  out.burst->programs.clear();
  out.memory_stat.clear();
  out.oom = OomDetail{};
  out.swap.reset();
  out.evidence.lost_bulk = out.evidence.lost_critical = 0;
  return out;
}

FloorTrend flat() {
  FloorTrend out;
  out.window_ms = 60'000;
  out.floors = 16;
  out.first_bytes = out.last_bytes = 200 * kMebi;
  return out;
}

FloorTrend leaking() {
  FloorTrend out = flat();
  out.window_ms = 3'600'000;
  out.last_bytes = 1000 * kMebi;
  out.slope_bytes_per_s = 800.0 * kMebi / 3600;
  out.p_value = 1e-6;
  out.rising = true;
  out.falls = 12;
  return out;
}

const JudgedCause& top(Incident& incident) {
  conclude(incident);
  return incident.verdict->causes.front();
}

TEST(Verdict, ABurstOverAFlatFloorIsNoLeak) {
  Incident incident = full(900 * kMebi);
  incident.trend = flat();
  EXPECT_EQ(top(incident).cause, Cause::kLimitTooSmallForBurst);
  EXPECT_GE(top(incident).confidence, 0.8);
  EXPECT_THAT(incident.verdict->text, HasSubstr("flat for 1 min: no leak"));
}

TEST(Verdict, WithoutHistoryABurstIsLessSureAndSaysSo) {
  Incident incident = full(900 * kMebi);
  incident.trend.reset();
  EXPECT_EQ(top(incident).cause, Cause::kLimitTooSmallForBurst);
  EXPECT_LT(top(incident).confidence, 0.8);
  EXPECT_THAT(top(incident).reasons_against, Contains(HasSubstr("too short")));
}

TEST(Verdict, RisingFloorsAreALeakAndNoLimitHelps) {
  Incident incident = full(900 * kMebi);
  incident.burst.reset();
  incident.trend = leaking();
  EXPECT_EQ(top(incident).cause, Cause::kLeak);
  EXPECT_GE(top(incident).confidence, 0.8);
  EXPECT_THAT(incident.verdict->text, HasSubstr("800 MiB per hour"));
  ASSERT_TRUE(incident.advice);
  EXPECT_THAT(incident.advice->text, HasSubstr("No limit helps"));
  EXPECT_FALSE(incident.advice->limit_bytes);
}

TEST(Verdict, ALeakOfSecondsIsNeverSure) {
  Incident incident = full(900 * kMebi);
  incident.burst.reset();
  incident.trend = leaking();
  incident.trend->window_ms = 20'000;
  EXPECT_EQ(top(incident).cause, Cause::kLeak);
  EXPECT_LT(top(incident).confidence, 0.8);
}

TEST(Verdict, KindsOfMemoryComeFromTheKernelsOwnList) {
  Incident incident = full(10 * kMebi);
  incident.memory_stat = {{"anon", 20 * kMebi}, {"file", 980 * kMebi}, {"shmem", 970 * kMebi}, {"slab", 5 * kMebi}};
  EXPECT_EQ(top(incident).cause, Cause::kTmpfs);
  EXPECT_EQ(incident.composition->source, CompositionSource::kKernelLog);
  incident.memory_stat = {{"anon", 20 * kMebi}, {"file", 4 * kMebi}, {"slab", 950 * kMebi}};
  EXPECT_EQ(top(incident).cause, Cause::kKernelMemory);
  // v1 lists no kernel memory: what is left is.
  incident.memory_stat = {{"total_rss", 20 * kMebi}, {"total_cache", 4 * kMebi}, {"total_shmem", 0}};
  EXPECT_EQ(top(incident).cause, Cause::kKernelMemory);
}

TEST(Verdict, ManyEqualProcesses) {
  Incident incident = full(60 * kMebi);
  incident.processes = ProcessCount{16, 64 * kMebi, 1000 * kMebi};
  incident.memory_stat = {{"anon", 1000 * kMebi}, {"file", 0}};
  EXPECT_EQ(top(incident).cause, Cause::kManyProcesses);
  EXPECT_THAT(incident.verdict->text, HasSubstr("16 processes"));
}

TEST(Verdict, AHeapAboveTheLimit) {
  Incident incident = full(900 * kMebi);
  incident.victims[0].cmdline = "/usr/bin/java -Xmx2g -jar app.jar";
  EXPECT_EQ(top(incident).cause, Cause::kRuntimeHeapVsLimit);
  EXPECT_THAT(incident.advice->text, HasSubstr("-Xmx"));
}

TEST(Verdict, WhoseLimitItWas) {
  Incident incident = full(900 * kMebi);
  incident.scope = Scope::kAncestor;
  incident.limit.cgroup_path = "/kubepods/pod1";
  EXPECT_EQ(top(incident).cause, Cause::kAncestorLimit);
  EXPECT_FALSE(incident.advice->limit_bytes);
  incident.scope = Scope::kHost;
  incident.ranking.reset();
  EXPECT_EQ(top(incident).cause, Cause::kHostExhausted);
  EXPECT_LT(top(incident).confidence, 0.8);
  incident.ranking.emplace().by_usage.emplace_back();
  EXPECT_GE(top(incident).confidence, 0.8);
  incident.evidence.oom_tier = "polling";
  EXPECT_LT(top(incident).confidence, 0.8) << "a counter tells no cpuset from the host";
}

// Kubelet gives a pod the sum of its containers' limits, and the sandbox is counted in it: with one container the pod's
// is full first, and its container's is too small all the same.
TEST(Verdict, ThePodsLimitOfOneContainerIsItsOwn) {
  Incident incident = full(900 * kMebi);
  incident.trend = flat();
  incident.scope = Scope::kAncestor;
  incident.container.runtime = Runtime::kContainerd;
  incident.container.pod = Pod{.uid = "0651efcf-946b-44f8", .name = "web-1", .name_space = "shop"};
  const std::uint64_t used = incident.usage_bytes.value();
  incident.limit.own_usage_bytes = used - kMebi;
  for (const char* path : {"/kubepods/burstable/pod0651efcf-946b-44f8",
                           "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod0651efcf_946b_44f8.slice"}) {
    incident.limit.cgroup_path = path;
    EXPECT_EQ(top(incident).cause, Cause::kLimitTooSmallForBurst) << path;
    EXPECT_TRUE(incident.advice->limit_bytes);
    EXPECT_THAT(incident.advice->lines, Contains(Field(&AdviceLine::tool, "kubernetes")));
  }
  incident.limit.own_usage_bytes = used / 10 * 6;  // there are others
  EXPECT_EQ(top(incident).cause, Cause::kAncestorLimit);
  EXPECT_GE(top(incident).confidence, 0.8);
  EXPECT_THAT(incident.verdict->text, HasSubstr("of which this container held"));
  EXPECT_FALSE(incident.advice->limit_bytes);
  // Not known by the cgroup's own counter: what the victims held is a lower bound.
  incident.limit.own_usage_bytes.reset();
  incident.victims[0].anon_bytes = used / 2;
  EXPECT_EQ(top(incident).cause, Cause::kAncestorLimit);
  EXPECT_LT(top(incident).confidence, 0.8);
  EXPECT_THAT(top(incident).reasons_against, Contains(HasSubstr("is not known")));
  incident.victims[0].anon_bytes = used - kMebi;
  EXPECT_EQ(top(incident).cause, Cause::kLimitTooSmallForBurst);
  incident.limit.cgroup_path = "/kubepods/burstable";
  EXPECT_EQ(top(incident).cause, Cause::kAncestorLimit) << "not the pod's";
  incident.limit.cgroup_path = "/libpod_parent/pod0651efcf-946b-44f8";
  incident.container.runtime = Runtime::kPodman;
  EXPECT_EQ(top(incident).cause, Cause::kAncestorLimit) << "a person gave it, whatever its containers have";
}

TEST(Verdict, SomebodysDeedIsTheOnlyCause) {
  Incident incident = full(900 * kMebi);
  incident.oom->sysrq = true;
  EXPECT_EQ(top(incident).cause, Cause::kAskedFor);
  EXPECT_EQ(incident.verdict->causes.size(), 1U);
}

TEST(Verdict, ContradictionsAndLossesLowerTheConfidenceAndAreNamed) {
  Incident incident = full(900 * kMebi);
  incident.trend = flat();
  const double sure = top(incident).confidence;
  incident.evidence.lost_bulk = 3;
  EXPECT_LT(top(incident).confidence, sure);
  EXPECT_THAT(top(incident).reasons_against, Contains("3 records were lost"));
  incident.usage_bytes = 100 * kMebi;
  EXPECT_LT(top(incident).confidence, sure - 0.2);
  EXPECT_THAT(top(incident).reasons_against, Contains(HasSubstr("contradiction")));
}

TEST(Verdict, NothingKnownIsUnknown) {
  Incident incident = full(0);
  incident.victims.clear();
  incident.burst.reset();
  incident.usage_bytes.reset();
  EXPECT_EQ(top(incident).cause, Cause::kUnknown);
  EXPECT_LE(top(incident).confidence, 0.2);
}

TEST(Verdict, ABurstFarBelowTheLimitHasNone) {
  Incident incident = full(900 * kMebi);
  incident.kind = IncidentKind::kBurst;
  incident.burst->peak_bytes = 500 * kMebi;
  conclude(incident);
  EXPECT_FALSE(incident.verdict);
  EXPECT_FALSE(incident.advice);
}

TEST(Verdict, LargestNumbersDoNotOverflow) {
  Incident incident = full(UINT64_MAX);
  incident.limit.bytes = incident.usage_bytes = UINT64_MAX;
  incident.burst->growth_bytes = incident.burst->peak_bytes = UINT64_MAX;
  incident.memory_stat = {{"anon", UINT64_MAX}, {"file", UINT64_MAX}, {"shmem", UINT64_MAX}, {"slab", UINT64_MAX}};
  incident.mapped_bytes = UINT64_MAX;
  conclude(incident);
  EXPECT_FALSE(incident.verdict->text.empty());
}

TEST(Advice, WhatTheVictimHadMappedIsAnEstimate) {
  Incident incident = full(900 * kMebi);
  incident.victims[0].file_bytes = 0;
  incident.mapped_bytes = 1500 * kMebi;
  conclude(incident);
  ASSERT_TRUE(incident.advice);
  EXPECT_TRUE(incident.advice->needed_estimated);
  EXPECT_EQ(incident.advice->needed_bytes, 1624 * kMebi);
  EXPECT_GE(*incident.advice->limit_bytes, 1624 * kMebi / 100 * 115);
}

TEST(Advice, LinesQuoteNames) {
  Container container;
  container.runtime = Runtime::kDocker;
  container.name = "we$(reboot)b'";
  container.labels["com.docker.compose.service"] = "a: \"b\"";
  const auto lines = limit_lines(container, 256 * kMebi);
  ASSERT_FALSE(lines.empty());
  EXPECT_EQ(lines[0].text, "docker update --memory 256m --memory-swap 256m 'we$(reboot)b'\\'''");
  EXPECT_THAT(lines[2].text, HasSubstr("\"a: \\\"b\\\"\":"));
  container.memory_limit_bytes = 128 * kMebi;
  container.swap_limit_bytes = 192 * kMebi;
  EXPECT_THAT(limit_lines(container, 256 * kMebi)[0].text, HasSubstr("--memory-swap 320m"));
  container.swap_limit_bytes = -1;
  EXPECT_THAT(limit_lines(container, 256 * kMebi)[0].text, HasSubstr("--memory-swap -1"));
}

TEST(Advice, KubernetesAndSystemdHaveTheirOwn) {
  Container container;
  container.runtime = Runtime::kContainerd;
  container.name = "app";
  container.pod.emplace();
  EXPECT_THAT(limit_lines(container, 256 * kMebi)[0].text, HasSubstr("limits:\n            memory: 256Mi"));
  container = {};
  container.runtime = Runtime::kSystemd;
  container.unit = "nginx.service";
  EXPECT_EQ(limit_lines(container, 256 * kMebi)[0].text, "systemctl set-property nginx.service MemoryMax=256M");
}

}  // namespace
}  // namespace memcrest
