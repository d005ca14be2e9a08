// SPDX-License-Identifier: Apache-2.0
#include "export/json.h"
#include "export/incident_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

#include "support/event_builder.h"
#include "util/text.h"

namespace memcrest {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using namespace testing_support;  // NOLINT(google-build-using-namespace): literals

nlohmann::ordered_json parsed(const Incident& incident) { return nlohmann::ordered_json::parse(to_json(incident)); }

std::vector<std::string> keys(const nlohmann::ordered_json& object) {
  std::vector<std::string> out;
  for (const auto& [key, value] : object.items()) {
    out.push_back(key);
  }
  return out;
}

// Every incident that a test makes, for the schema check that runs after this program.
void record(const std::string& line) {
  if (const char* path = std::getenv("MEMCREST_INCIDENT_LINES")) {
    std::ofstream(path, std::ios::app) << line << '\n';
  }
}

Incident empty_burst() {
  Incident out;
  out.kind = IncidentKind::kBurst;
  out.id = "1";
  out.container.runtime = Runtime::kNone;
  out.burst = Burst{};
  return out;
}

TEST(Json, StacksWithNames) {
  const Incident incident = with_stacks(oom_incident());
  const auto burst = parsed(incident)["burst"];
  record(to_json(incident));
  EXPECT_EQ(burst["kinds"][0].dump(), R"({"kind":"anon","bytes":1664090112,"share":0.97})");
  EXPECT_THAT(keys(burst["programs"][0]), ElementsAre("comm", "cmdline", "processes", "bytes", "share"));
  EXPECT_THAT(keys(burst["threads"][0]), ElementsAre("comm", "thread", "threads", "bytes", "share"));
  const auto& stack = burst["stacks"][0];
  EXPECT_THAT(keys(stack), ElementsAre("frames", "kind", "bytes", "share", "gap"));
  const auto& frame = stack["frames"][1];
  EXPECT_THAT(keys(frame), ElementsAre("name", "module", "file", "line", "build_id", "offset", "inlined"));
  EXPECT_EQ(frame["name"], "realloc");
  EXPECT_EQ(frame["build_id"], "abcd1234");
  EXPECT_TRUE(frame["file"].is_null());
  EXPECT_TRUE(frame["line"].is_null());
  EXPECT_TRUE(stack["frames"][0]["offset"].is_null()) << "of the kernel";
  EXPECT_EQ(burst["hints"].size(), 1U);
  Incident hostile = with_stacks(hostile_incident());
  for (Frame& one : hostile.burst->stacks[0].frames) {
    one.name = one.module = one.file = one.build_id = hostile_name();
    one.offset = ~0ULL;
    one.line = ~0U;
  }
  hostile.burst->hints = {hostile_name()};
  hostile.burst->threads[0].thread = hostile_name();
  hostile.burst->programs[0].comm = hostile.burst->programs[0].cmdline = hostile_name();
  record(to_json(hostile));
  EXPECT_EQ(parsed(hostile)["burst"]["stacks"][0]["frames"][0]["offset"], ~0ULL);
}

TEST(Json, AnEndByASignal) {
  Incident incident = oom_incident();
  incident.kind = IncidentKind::kKill;
  incident.victims.clear();
  incident.end = ProcessEnd{.signal = 9, .pid = 7, .comm = hostile_name(), .main_process = true};
  record(to_json(incident));
  EXPECT_TRUE(parsed(incident)["end"]["sender"].is_null());
  Sender sender{.pid = 8, .uid = 1000, .comm = hostile_name(), .cmdline = hostile_name(), .known = true};
  sender.container_name = hostile_name();
  incident.end->sender = sender;
  incident.end->asked = AskedToEnd{.signal = 37, .before_ms = 10.5, .sender = sender};
  record(to_json(incident));
  const auto end = parsed(incident)["end"];
  EXPECT_THAT(keys(end), ElementsAre("signal_number", "signal", "core_dumped", "pid", "container_pid", "comm",
                                     "cmdline", "exe", "uid", "main_process", "main_process_known", "by_kernel",
                                     "without_info", "sender", "asked", "left_out"));
  EXPECT_EQ(end["signal"], "SIGKILL");
  EXPECT_EQ(end["asked"]["signal"], "signal 37");
  EXPECT_EQ(end["asked"]["before_ms"], 10.5);
  EXPECT_EQ(end["sender"]["uid"], 1000);
  const auto back = incident_from_json(to_json(incident));
  ASSERT_TRUE(back) << back.error().message();
  EXPECT_EQ(to_json(*back), to_json(incident));
}

TEST(Json, SettingsAndWhereASenderComesFromAreReadBack) {
  Incident incident = oom_incident();
  incident.victims[0].environment = "JAVA_TOOL_OPTIONS=-Xmx1g";
  incident.settings = {{7, "java", "-Xmx", "1g", 1_GiB, "JAVA_TOOL_OPTIONS"}, {7, "java", "workers", "4", {}, ""}};
  ProcessEnd& end = incident.end.emplace();
  end.sender.emplace().parents = {{41, 0, "bash", "-bash"}, {40, 0, "sshd", ""}};
  const auto json = parsed(incident);
  EXPECT_EQ(json["victims"][0]["environment"], "JAVA_TOOL_OPTIONS=-Xmx1g");
  EXPECT_EQ(json["settings"][0]["from"], "JAVA_TOOL_OPTIONS");
  EXPECT_TRUE(json["settings"][1]["from"].is_null());
  EXPECT_EQ(json["end"]["sender"]["parents"][1]["comm"], "sshd");
  const auto back = incident_from_json(to_json(incident));
  ASSERT_TRUE(back) << back.error().message();
  EXPECT_EQ(to_json(*back), to_json(incident));
}

TEST(Json, HasTheFieldsOfTheContractInItsOrder) {
  const auto json = parsed(oom_incident());
  EXPECT_THAT(keys(json), ElementsAre("schema", "kind", "id", "update", "time", "boot_time_ns", "host", "container",
                                      "cgroup", "scope", "limit", "usage_bytes", "peak_bytes", "trigger", "victims",
                                      "burst", "samplers", "oom", "reclaim", "swap", "ranking", "stuck",
                                      "charge_failure", "end", "breakpoint", "memory_stat", "verdict", "advice",
                                      "composition", "trend", "processes", "settings", "mapped_bytes", "evidence"));
  EXPECT_THAT(keys(json["host"]), ElementsAre("name", "kernel", "boot_id"));
  EXPECT_THAT(keys(json["container"]),
              ElementsAre("runtime", "id", "name", "image", "labels", "unknown_reason", "init_pid", "runtime_namespace",
                          "unit", "machine", "pod", "compose", "ecs", "memory_request_bytes", "memory_limit_bytes",
                          "swap_limit_bytes", "state", "outer"));
  EXPECT_THAT(keys(json["cgroup"]), ElementsAre("id", "path"));
  EXPECT_THAT(keys(json["limit"]), ElementsAre("bytes", "kind", "cgroup_path", "own_usage_bytes", "own", "of_pod"));
  EXPECT_THAT(keys(json["trigger"]), ElementsAre("pid", "tid", "comm", "container_pid"));
  EXPECT_THAT(keys(json["victims"][0]),
              ElementsAre("pid", "container_pid", "comm", "cmdline", "uid", "oom_score_adj", "anon_bytes", "file_bytes",
                          "shmem_bytes", "swap_bytes", "pagetable_bytes", "main_process", "main_process_known", "exe",
                          "environment", "start", "start_boot_time_ns", "parents", "parents_complete"));
  EXPECT_THAT(keys(json["burst"]),
              ElementsAre("start", "duration_ms", "base_bytes", "peak_bytes", "growth_bytes", "slope_bytes_per_s",
                          "contributors", "peak_exact", "page_cache_bytes", "above_half_ms", "end",
                          "end_uncertainty_ms", "shape", "kinds", "programs", "threads", "stacks", "hints"));
  EXPECT_THAT(keys(json["burst"]["contributors"][0]), ElementsAre("pid", "comm", "bytes", "share"));
  EXPECT_THAT(keys(json["samplers"][0]), ElementsAre("name", "interval_ms", "typical_seen_bytes", "chance_seen"));
  EXPECT_THAT(keys(json["evidence"]),
              ElementsAre("charge_tier", "oom_tier", "lost_critical", "lost_bulk", "complete", "gaps"));
}

Container whole_container() {
  Container out;
  out.runtime = Runtime::kContainerd;
  out.id = std::string(64, 'a');
  out.name = "app";
  out.labels = {{"com.docker.compose.project", "shop"},
                {"com.docker.compose.service", "web"},
                {"com.docker.compose.container-number", "2"},
                {"com.amazonaws.ecs.cluster", "prod"},
                {"com.amazonaws.ecs.task-arn", "arn:aws:ecs:eu-west-1:123456789012:task/prod/0123456789abcdef"},
                {"com.amazonaws.ecs.task-definition-family", "shop"},
                {"com.amazonaws.ecs.task-definition-version", "7"}};
  out.init_pid = 4242;
  out.runtime_namespace = "k8s.io";
  out.unit = "kubelet.service";
  out.pod = Pod{.uid = "u-1",
                .name = "shop-1",
                .name_space = "prod",
                .qos = "burstable",
                .attempt = 3,
                .labels = {{"app", "shop"}},
                .owner = Owner{"Deployment", "shop"},
                .unknown_reason = "the API was busy"};
  out.memory_request_bytes = 1;
  out.memory_limit_bytes = 2;
  out.swap_limit_bytes = -1;
  out.state = RuntimeState{.status = "exited",
                           .exit_code = 137,
                           .oom_killed = false,
                           .restart_count = 4,
                           .finished_unix_ns = 1795340143'841000123};
  out.outer = {{Runtime::kDocker, std::string(64, 'b'), "kind-worker"}, {Runtime::kUnknown, "x", ""}};
  return out;
}

TEST(Json, TheWholeContainer) {
  Incident incident = oom_incident();
  incident.container = whole_container();
  incident.update = "runtime_state";
  const auto json = parsed(incident);
  EXPECT_EQ(json["update"], "runtime_state");
  const auto& container = json["container"];
  EXPECT_EQ(container["init_pid"], 4242);
  EXPECT_EQ(container["runtime_namespace"], "k8s.io");
  EXPECT_EQ(container["unit"], "kubelet.service");
  EXPECT_TRUE(container["machine"].is_null());
  EXPECT_EQ(container["pod"], nlohmann::ordered_json::parse(R"({"uid": "u-1", "name": "shop-1", "namespace": "prod",
    "qos": "burstable", "sandbox": false, "attempt": 3, "labels": {"app": "shop"},
    "owner": {"kind": "Deployment", "name": "shop"}, "unknown_reason": "the API was busy"})"));
  EXPECT_EQ(container["compose"],
            nlohmann::ordered_json::parse(R"({"project": "shop", "service": "web", "number": 2})"));
  EXPECT_EQ(container["ecs"]["cluster"], "prod");
  EXPECT_EQ(container["ecs"]["family"], "shop");
  EXPECT_EQ(container["ecs"]["revision"], 7);
  EXPECT_EQ(container["memory_request_bytes"], 1);
  EXPECT_EQ(container["memory_limit_bytes"], 2);
  EXPECT_EQ(container["swap_limit_bytes"], -1);
  EXPECT_EQ(container["state"],
            nlohmann::ordered_json::parse(R"({"status": "exited", "exit_code": 137, "oom_killed": false,
    "error": null, "reason": null, "restart_count": 4, "finished": "2026-11-22T09:35:43.841000123Z"})"));
  EXPECT_EQ(container["outer"][0]["name"], "kind-worker");
  EXPECT_TRUE(container["outer"][1]["name"].is_null());
}

TEST(Json, HostileTextAnywhereInAContainer) {
  const std::string bad = hostile_name();
  Incident incident = oom_incident();
  Container& container = incident.container = whole_container();
  container.labels = {{"com.docker.compose.project", bad}, {"com.docker.compose.service", bad}, {bad, bad}};
  container.runtime_namespace = container.unit = container.machine = bad;
  container.pod = Pod{.uid = bad, .name = bad, .name_space = bad, .labels = {{bad, bad}}, .owner = Owner{bad, bad}};
  container.state = RuntimeState{.status = bad, .error = bad, .reason = bad};
  container.outer = {{Runtime::kUnknown, bad, bad}};
  const auto json = parsed(incident);
  EXPECT_EQ(json["container"]["pod"]["name"], to_valid_utf8(bad));
  EXPECT_EQ(json["container"]["state"]["error"], to_valid_utf8(bad));
}

TEST(Json, CarriesTheValues) {
  const Incident incident = oom_incident();
  const auto json = parsed(incident);
  EXPECT_EQ(json["schema"], "memcrest.incident.v1");
  EXPECT_EQ(json["kind"], "oom");
  EXPECT_EQ(json["time"], "2026-11-22T09:35:43.841000123Z");
  EXPECT_EQ(json["boot_time_ns"], 1'234'567'890'123);
  EXPECT_EQ(json["container"]["id"], incident.container.id);
  EXPECT_EQ(json["container"]["unknown_reason"], nullptr);
  EXPECT_EQ(json["container"]["labels"]["com.docker.compose.project"], "shop");
  EXPECT_EQ(json["scope"], "memcg");
  EXPECT_EQ(json["limit"]["bytes"], 2_GiB);
  EXPECT_EQ(json["trigger"]["tid"], 5950);
  EXPECT_EQ(json["victims"][0]["cmdline"], "python app.py");
  EXPECT_EQ(json["victims"][0]["main_process"], true);
  EXPECT_EQ(json["burst"]["start"], "2026-11-22T09:35:43.101000123Z");
  EXPECT_EQ(json["burst"]["end"], "killed");
  EXPECT_EQ(json["burst"]["shape"].size(), 16);
  EXPECT_EQ(json["evidence"]["complete"], true);
  record(to_json(incident));
}

TEST(Json, NullIsUnknownAndZeroIsZero) {
  Incident incident = oom_incident();
  incident.container = {};
  incident.cgroup.path.clear();
  incident.limit = {std::nullopt, "host", ""};
  incident.scope = Scope::kHost;
  incident.usage_bytes.reset();
  incident.peak_bytes = 0;
  incident.trigger.reset();
  incident.burst.reset();
  incident.samplers.clear();
  incident.victims[0].container_pid = 0;
  incident.victims[0].cmdline.clear();
  const auto json = parsed(incident);
  EXPECT_TRUE(json["container"]["id"].is_null());
  EXPECT_TRUE(json["container"]["name"].is_null());
  EXPECT_TRUE(json["container"]["labels"].is_object());
  EXPECT_TRUE(json["cgroup"]["path"].is_null());
  EXPECT_TRUE(json["limit"]["bytes"].is_null());
  EXPECT_TRUE(json["limit"]["cgroup_path"].is_null());
  EXPECT_TRUE(json["usage_bytes"].is_null());
  EXPECT_EQ(json["peak_bytes"], 0);
  EXPECT_TRUE(json["trigger"].is_null());
  EXPECT_TRUE(json["burst"].is_null());
  EXPECT_EQ(json["samplers"], nlohmann::ordered_json::array());
  EXPECT_TRUE(json["victims"][0]["container_pid"].is_null());
  EXPECT_TRUE(json["victims"][0]["cmdline"].is_null());
  record(to_json(incident));
}

TEST(Json, AVictimsOriginAndItsUnknowns) {
  Incident incident = oom_incident();
  Victim& victim = incident.victims[0];
  victim.main_process = false;
  victim.parents = {{5901, 3, "sh", "sh -c x"}, {5900, 0, "entrypoint.sh", ""}};
  auto json = parsed(incident)["victims"][0];
  record(to_json(incident));
  EXPECT_EQ(json["exe"], "/usr/local/bin/python3.12");
  EXPECT_EQ(json["start"], "2026-11-22T09:31:02.118000123Z");
  EXPECT_EQ(json["start_boot_time_ns"], 952'844'890'123);
  EXPECT_EQ(json["main_process_known"], true);
  EXPECT_EQ(json["parents_complete"], true);
  ASSERT_EQ(json["parents"].size(), 2);
  EXPECT_THAT(keys(json["parents"][0]), ElementsAre("pid", "container_pid", "comm", "cmdline"));
  EXPECT_EQ(json["parents"][0]["pid"], 5901);
  EXPECT_EQ(json["parents"][0]["container_pid"], 3);
  EXPECT_EQ(json["parents"][0]["cmdline"], "sh -c x");
  EXPECT_TRUE(json["parents"][1]["container_pid"].is_null());
  EXPECT_TRUE(json["parents"][1]["cmdline"].is_null());
  victim = Victim{};
  victim.main_process_known = false;
  json = parsed(incident)["victims"][0];
  record(to_json(incident));
  EXPECT_TRUE(json["exe"].is_null());
  EXPECT_TRUE(json["start"].is_null());
  EXPECT_TRUE(json["start_boot_time_ns"].is_null());
  EXPECT_EQ(json["parents"], nlohmann::ordered_json::array());
  EXPECT_EQ(json["parents_complete"], false);
  EXPECT_EQ(json["main_process_known"], false);
}

TEST(Json, LargestNumbersStayIntegers) {
  Incident incident = oom_incident();
  incident.boot_ns = incident.cgroup.id = std::numeric_limits<std::uint64_t>::max();
  incident.limit.bytes = std::numeric_limits<std::uint64_t>::max();
  incident.victims[0].oom_score_adj = -1000;
  const std::string line = to_json(incident);
  EXPECT_THAT(line, HasSubstr("\"boot_time_ns\":18446744073709551615,"));
  EXPECT_THAT(line, HasSubstr("\"limit\":{\"bytes\":18446744073709551615,"));
  EXPECT_THAT(line, HasSubstr("\"oom_score_adj\":-1000,"));
  record(line);
}

TEST(Json, NumbersThatJsonLacksBecomeNullOrZero) {
  Incident incident = empty_burst();
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double infinite = std::numeric_limits<double>::infinity();
  incident.burst->slope_bytes_per_s = nan;
  incident.burst->duration_ms = infinite;
  incident.burst->contributors = {{1, "x", 1, nan}};
  incident.samplers = {{"docker stats", 1000, 0, infinite}};
  const auto json = parsed(incident);
  EXPECT_TRUE(json["burst"]["slope_bytes_per_s"].is_null());
  EXPECT_EQ(json["burst"]["duration_ms"], 0);
  EXPECT_EQ(json["burst"]["contributors"][0]["share"], 0);
  EXPECT_EQ(json["samplers"][0]["chance_seen"], 0);
  record(to_json(incident));
}

TEST(Json, HostileTextStaysOneValidPrintableLine) {
  const std::string line = to_json(hostile_incident());
  EXPECT_EQ(to_valid_utf8(line), line);
  EXPECT_EQ(line.find('\n'), std::string::npos);
  // Nothing in the line would be changed on its way to a terminal, except JSON's own backslashes.
  for (const char* raw : {"\x1b", "\x7f", "\xc2\x85", "\xc2\x9b", "\xe2\x80\xa8", "\xe2\x80\xae"}) {
    EXPECT_THAT(line, Not(HasSubstr(raw)));
  }
  const auto json = nlohmann::json::parse(line);
  EXPECT_EQ(json["container"]["name"], to_valid_utf8(hostile_name()));
  record(line);
}

TEST(Json, EscapesWhatEndsALineOrMovesATerminalAndNothingElse) {
  Incident incident = oom_incident();
  incident.container.name =
      "a\xc2\x85\xe2\x80\xa9\x7f\xe2\x81\xa6\xd8\x9c z\xc3\xa9\xe6\x97\xa5\xf0\x9f\x90\xb3\xc2\xa0";
  const std::string line = to_json(incident);
  EXPECT_THAT(line,
              HasSubstr("\"a\\u0085\\u2029\\u007f\\u2066\\u061c z\xc3\xa9\xe6\x97\xa5\xf0\x9f\x90\xb3\xc2\xa0\""));
  EXPECT_EQ(nlohmann::json::parse(line)["container"]["name"], incident.container.name);
}

TEST(Json, LabelsThatDifferOnlyInInvalidBytesDoNotRepeatAKey) {
  Incident incident = oom_incident();
  incident.container.labels = {{"k\xfe", "first"}, {"k\xff", "second"}};
  const auto json = parsed(incident);
  EXPECT_EQ(json["container"]["labels"].size(), 1);
  EXPECT_EQ(json["container"]["labels"]["k\xef\xbf\xbd"], "first");
}

TEST(Json, AnyBytesInANameAreValidJson) {
  std::uint32_t state = 1;
  for (int round = 0; round < 500; ++round) {
    Incident incident = oom_incident();
    incident.container.name.clear();
    for (int i = 0; i < 40; ++i) {
      state = state * 1664525U + 1013904223U;
      incident.container.name += static_cast<char>(state >> 24U);
    }
    const std::string line = to_json(incident);
    ASSERT_EQ(to_valid_utf8(line), line);
    ASSERT_EQ(nlohmann::json::parse(line)["container"]["name"], to_valid_utf8(incident.container.name));
  }
}

TEST(Json, EveryKindScopeRuntimeAndEndIsInTheSchema) {
  using enum Scope;
  using enum Runtime;
  for (const auto kind : {IncidentKind::kOom, IncidentKind::kBurst, IncidentKind::kKill, IncidentKind::kChargeFailure,
                          IncidentKind::kBreakpoint}) {
    for (const auto scope : {kMemcg, kAncestor, kHost, kCpuset, kMempolicy}) {
      for (const auto runtime : {kDocker, kContainerd, kCrio, kPodman, kSystemd, Runtime::kNone, kUnknown}) {
        Incident incident = oom_incident();
        incident.kind = kind;
        incident.scope = scope;
        incident.container.runtime = runtime;
        record(to_json(incident));
      }
    }
  }
  for (const auto end :
       {BurstEnd::kFell, BurstEnd::kLevelled, BurstEnd::kKilled, BurstEnd::kRemoved, BurstEnd::kOpen}) {
    Incident incident = empty_burst();
    incident.burst->end = end;
    record(to_json(incident));
  }
}

}  // namespace
}  // namespace memcrest
