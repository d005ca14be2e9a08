// SPDX-License-Identifier: Apache-2.0
#include "export/incident_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "export/json.h"
#include "support/detail_builder.h"

namespace memcrest {
namespace {

using testing::HasSubstr;
using namespace testing_support;  // NOLINT(google-build-using-namespace): literals

std::string error_of(const std::string& line) {
  const auto incident = incident_from_json(line);
  return incident ? "" : incident.error().message();
}

std::string replaced(std::string text, const std::string& what, const std::string& with) {
  const auto at = text.find(what);
  EXPECT_NE(at, std::string::npos) << what;
  return at == std::string::npos ? text : text.replace(at, what.size(), with);
}

Incident full_incident() {
  Incident out = hostile_detail();
  Container& container = out.container;
  container.outer = {{Runtime::kDocker, "x", "kind"}, {Runtime::kUnknown, "y", ""}};
  container.init_pid = 7;
  container.runtime_namespace = "k8s.io";
  container.unit = "a.service";
  container.machine = "m";
  container.pod = Pod{.uid = "u",
                      .name = "p",
                      .name_space = "n",
                      .qos = "burstable",
                      .sandbox = true,
                      .attempt = 3,
                      .labels = {{"a", "b"}},
                      .owner = Owner{"Job", "j"},
                      .unknown_reason = "busy"};
  container.memory_request_bytes = 1;
  container.memory_limit_bytes = 2;
  container.swap_limit_bytes = -1;
  container.state = RuntimeState{.status = "exited",
                                 .exit_code = 137,
                                 .oom_killed = true,
                                 .error = "e",
                                 .reason = "r",
                                 .restart_count = 4,
                                 .finished_unix_ns = 1'795'340'143'841'000'123};
  out.update = "runtime_state";
  out.burst->end = BurstEnd::kLevelled;
  out.burst->page_cache_bytes = 5;
  out.burst->threads = {{"java", "exec-#", 200, 8, 0.5}};
  out.burst->end_uncertainty_ms = 0.25;
  out.burst->kinds = {{MemoryKind::kHugetlb, 6, 0.75}, {MemoryKind::kUnknown, 2, 0.25}};
  out.burst->programs = {{.comm = "hog", .cmdline = "hog anon", .processes = 3, .bytes = 7, .share = 0.5}};
  out.burst->stacks = {
      {.frames = {{.name = "f", .module = "/m", .file = "f.c", .line = 7, .build_id = "c0", .offset = 9},
                  {.name = "g", .inlined = true}},
       .kind = MemoryKind::kAnon,
       .bytes = 8,
       .share = 0.5,
       .gap = "callers are missing"}};
  out.burst->hints = {"-X perf"};
  return out;
}

TEST(IncidentReader, ComesBackByteForByte) {
  Incident empty;
  Incident bare_burst;
  bare_burst.kind = IncidentKind::kBurst;
  bare_burst.burst = Burst{};
  Incident state_of_nothing = oom_incident();
  state_of_nothing.container.state = RuntimeState{};
  state_of_nothing.container.pod = Pod{};
  for (const Incident& incident :
       {empty, bare_burst, oom_incident(), stuck_incident(), stuck_incident(false), refused_incident(), host_incident(),
        hostile_incident(), hostile_detail(), full_incident(), state_of_nothing}) {
    const std::string line = to_json(incident);
    const auto back = incident_from_json(line);
    ASSERT_TRUE(back) << back.error().message();
    EXPECT_EQ(to_json(*back), line);
  }
}

TEST(IncidentReader, EveryWordOfTheContractIsKnown) {
  for (const auto kind : {IncidentKind::kOom, IncidentKind::kBurst, IncidentKind::kKill, IncidentKind::kChargeFailure,
                          IncidentKind::kBreakpoint}) {
    for (const auto scope : {Scope::kMemcg, Scope::kAncestor, Scope::kHost, Scope::kCpuset, Scope::kMempolicy}) {
      for (const auto runtime : {Runtime::kDocker, Runtime::kContainerd, Runtime::kCrio, Runtime::kPodman,
                                 Runtime::kLxc, Runtime::kSystemd, Runtime::kNone, Runtime::kUnknown}) {
        Incident incident = oom_incident();
        incident.kind = kind;
        incident.scope = scope;
        incident.container.runtime = runtime;
        const auto back = incident_from_json(to_json(incident));
        ASSERT_TRUE(back) << back.error().message();
        EXPECT_EQ(to_json(*back), to_json(incident));
      }
    }
  }
}

TEST(IncidentReader, TheBurstBeginsByTheBootClockToo) {
  const Incident incident = oom_incident();
  const auto back = incident_from_json(to_json(incident));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->burst->start_boot_ns, incident.burst->start_boot_ns);
  const auto later = incident_from_json(
      replaced(to_json(incident), "\"start\":\"2026-11-22T09:35:43.1", "\"start\":\"2027-11-22T09:35:43.1"));
  ASSERT_TRUE(later);
  EXPECT_EQ(later->burst->start_boot_ns, 0U);
}

TEST(IncidentReader, FieldsOfANewerVersionAreLeftAside) {
  const std::string line = to_json(oom_incident());
  const auto back = incident_from_json(replaced(line, "{\"schema\"", "{\"verdict\":{\"a\":[1]},\"schema\""));
  ASSERT_TRUE(back) << back.error().message();
  EXPECT_EQ(to_json(*back), line);
}

TEST(IncidentReader, NamesTheFieldThatCannotBe) {
  const std::string line = to_json(oom_incident());
  EXPECT_THAT(error_of(replaced(line, "\"kind\":\"oom\"", "\"kind\":\"boom\"")), HasSubstr("no such value: kind"));
  EXPECT_THAT(error_of(replaced(line, "\"anon_bytes\":", "\"anon_bytes\":-")), HasSubstr("victims.0.anon_bytes"));
  EXPECT_THAT(error_of(replaced(line, "\"uid\":0", "\"uid\":4294967296")), HasSubstr("victims.0.uid"));
  EXPECT_THAT(error_of(replaced(line, "\"time\":\"2026", "\"time\":\"x")), HasSubstr("no such value: time"));
  EXPECT_THAT(error_of(replaced(line, "\"gaps\":[]", "\"gaps\":[1]")), HasSubstr("evidence.gaps"));
  EXPECT_THAT(error_of(replaced(line, "\"gaps\":[]", "\"gaps\":{}")), HasSubstr("evidence.gaps"));
  EXPECT_THAT(error_of(replaced(line, "\"shape\":[", "\"shape\":[1.5,")), HasSubstr("burst.shape"));
  EXPECT_THAT(error_of(replaced(line, "\"labels\":{", "\"labels\":{\"a\":1,")), HasSubstr("container.labels"));
  EXPECT_THAT(error_of(replaced(line, "\"memory_stat\":null", "\"memory_stat\":{\"anon\":-1}")),
              HasSubstr("memory_stat.anon"));
  EXPECT_THAT(error_of(replaced(line, "\"trigger\":{", "\"trigger\":[{")), HasSubstr("read JSON"));
  EXPECT_THAT(error_of(replaced(line, "\"id\":\"b7e5-000001\",", "")), HasSubstr("no such value: id"));
}

TEST(IncidentReader, WhatIsNoIncidentIsRefusedAndBounded) {
  EXPECT_THAT(error_of(""), HasSubstr("read JSON"));
  EXPECT_THAT(error_of("[]"), HasSubstr("no object"));
  EXPECT_THAT(error_of("null"), HasSubstr("no object"));
  EXPECT_THAT(error_of("{}"), HasSubstr("no such value: kind"));
  EXPECT_THAT(error_of("{\"kind\":\"oom\xff\"}"), HasSubstr("read JSON"));
  EXPECT_THAT(error_of(std::string(100'000, '[')), HasSubstr("nested too deep"));
  EXPECT_THAT(error_of("\"" + std::string(5U << 20U, 'x') + "\""), HasSubstr("more than 4 MiB"));
  std::string many = "{";
  for (int i = 0; i < 100'000; ++i) {
    many += "\"" + std::to_string(i) + "\":0,";
  }
  EXPECT_THAT(error_of(many + "\"\":0}"), HasSubstr("too many members"));
}

}  // namespace
}  // namespace memcrest
