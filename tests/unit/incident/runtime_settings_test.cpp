// SPDX-License-Identifier: Apache-2.0
#include "incident/runtime_settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <string>

#include "incident/verdict.h"

namespace memcrest {
namespace {

using testing::HasSubstr;

constexpr std::uint64_t kMebi = 1U << 20U;

// As the kernel keeps it: each entry ends in NUL.
std::string environment(std::initializer_list<std::string> entries) {
  std::string out;
  for (const std::string& entry : entries) {
    out += entry + std::string(1, '\0');
  }
  return out;
}

TEST(RuntimeSettings, SizesInTheirUnits) {
  EXPECT_EQ(settings_of("java -Xmx512m -jar x").at(0).bytes, 512 * kMebi);
  EXPECT_EQ(settings_of("node --max-old-space-size=300 a.js").at(0).bytes, 300 * kMebi);
  EXPECT_EQ(settings_of("python3 /usr/bin/gunicorn -w 12 app").at(0).value, "12");
  EXPECT_FALSE(settings_of("java -XX:MaxRAMPercentage=75.0").at(0).bytes);
  EXPECT_TRUE(settings_of("hog -Xmx512m").empty());
  EXPECT_TRUE(settings_of("java -Xmx$(reboot)").empty());
  EXPECT_FALSE(settings_of("java -Xmx99999999999999999999g").at(0).bytes);
}

TEST(RuntimeSettings, OfAnEnvironmentOnlyWhatSaysSomethingOfMemoryIsKept) {
  const std::string raw =
      environment({"PASSWORD=secret", "JAVA_TOOL_OPTIONS=-Dkey=secret -Xmx1g  -XX:MaxRAMPercentage=80.0",
                   "GOMEMLIMIT=512MiB", "GOGC=off", "MALLOC_ARENA_MAX=2", "GOMEMLIMITS=7",
                   "NODE_OPTIONS=--max-old-space-size=300 --require /secret.js", "WEB_CONCURRENCY=8"});
  EXPECT_EQ(memory_environment(raw),
            "JAVA_TOOL_OPTIONS=-Xmx1g JAVA_TOOL_OPTIONS=-XX:MaxRAMPercentage=80.0 GOMEMLIMIT=512MiB GOGC=off "
            "MALLOC_ARENA_MAX=2 NODE_OPTIONS=--max-old-space-size=300 WEB_CONCURRENCY=8");
}

TEST(RuntimeSettings, WhatIsKeptIsReadBack) {
  const std::string line =
      memory_environment(environment({"JAVA_TOOL_OPTIONS=-Xmx1g", "GOMEMLIMIT=512MiB", "GUNICORN_CMD_ARGS=-w 12",
                                      "_JAVA_OPTIONS=-XX:MaxHeapSize=2g", "DOTNET_GCHeapHardLimit=C800000"}));
  std::vector<RuntimeSetting> settings;
  for (const char* program : {"java -jar a", "server", "python3 /usr/bin/gunicorn app"}) {
    std::ranges::copy(settings_of_environment(line, program, ""), std::back_inserter(settings));
  }
  ASSERT_EQ(settings.size(), 5U);
  EXPECT_EQ(settings[0].name, "-Xmx");
  EXPECT_EQ(settings[0].from, "JAVA_TOOL_OPTIONS");
  EXPECT_EQ(settings[0].bytes, 1024 * kMebi);
  EXPECT_EQ(settings[1].bytes, 2048 * kMebi);
  EXPECT_EQ(settings[2].name, "GOMEMLIMIT");
  EXPECT_EQ(settings[2].bytes, 512 * kMebi);
  EXPECT_EQ(settings[3].bytes, 200 * kMebi);
  EXPECT_EQ(settings[4].name, "workers");
  EXPECT_EQ(settings[4].value, "12");
}

// An image's variables are there for the shell, too.
TEST(RuntimeSettings, OnlyWhoReadsAVariableIsSetByIt) {
  EXPECT_TRUE(
      settings_of_environment("JAVA_TOOL_OPTIONS=-Xmx1g NODE_OPTIONS=--max-old-space-size=9", "server", "").empty());
  EXPECT_EQ(settings_of_environment("JAVA_TOOL_OPTIONS=-Xmx1g", "[redacted]", "/usr/lib/jvm/bin/java").size(), 1U);
  for (const char* program : {"sh -c server", "/usr/bin/python3 a.py", "/bin/bash", "node a.js"}) {
    EXPECT_TRUE(settings_of_environment("GOGC=off DOTNET_GCHeapHardLimit=64", program, "").empty()) << program;
  }
  EXPECT_TRUE(settings_of_environment("GOGC=off", "server", "/usr/bin/python3.11 (deleted)").empty());
  EXPECT_TRUE(settings_of_environment("NODE_OPTIONS=--max-old-space-size=9", "/usr/bin/node_exporter", "").empty());
  EXPECT_TRUE(settings_of_environment("NODE_OPTIONS=--max-old-space-size=9", "python3 /app/node.py", "").empty());
  EXPECT_TRUE(settings_of_environment("JAVA_TOOL_OPTIONS=-Xmx1g", "bash /opt/java", "/bin/bash").empty());
  EXPECT_EQ(settings_of_environment("GOGC=off", "/srv/shop", "/srv/shop").size(), 1U);
}

TEST(RuntimeSettings, HostileEnvironments) {
  EXPECT_EQ(memory_environment(""), "");
  EXPECT_EQ(memory_environment(std::string(3, '\0')), "");
  EXPECT_EQ(memory_environment("GOMEMLIMIT"), "");
  EXPECT_EQ(memory_environment(environment({"GOMEMLIMIT=$(reboot)", "GOGC=\x1b[2J", "JAVA_TOOL_OPTIONS=-Xmx"})), "");
  EXPECT_EQ(memory_environment("GOGC=50"), "GOGC=50") << "the last entry may lack its end";
  std::string many;
  for (int i = 0; i < 10000; ++i) {
    many += environment({"GOGC=" + std::to_string(i)});
  }
  EXPECT_EQ(settings_of_environment(memory_environment(many), "server", "").size(), 16U);
  EXPECT_TRUE(settings_of_environment("GOGC GOGC= =7 PATH=7", "server", "").empty());
}

Incident killed_with(const std::string& cmdline, const std::string& environment) {
  Incident out;
  out.kind = IncidentKind::kOom;
  out.limit.bytes = 256 * kMebi;
  out.usage_bytes = 256 * kMebi;
  Victim victim;
  victim.pid = 7;
  victim.comm = "server";
  victim.cmdline = cmdline;
  victim.environment = environment;
  victim.anon_bytes = 250 * kMebi;
  out.victims.push_back(victim);
  conclude(out);
  return out;
}

TEST(RuntimeSettings, AHeapSetInTheEnvironmentIsNamedWithItsVariable) {
  const Incident incident = killed_with("java -jar app.jar", "JAVA_TOOL_OPTIONS=-Xmx1g");
  ASSERT_TRUE(incident.verdict);
  EXPECT_EQ(incident.verdict->causes.front().cause, Cause::kRuntimeHeapVsLimit);
  EXPECT_THAT(incident.verdict->causes.front().reasons_for.front(), HasSubstr("-Xmx in JAVA_TOOL_OPTIONS"));
  ASSERT_TRUE(incident.advice);
  EXPECT_THAT(incident.advice->text, HasSubstr("Set -Xmx179m in JAVA_TOOL_OPTIONS"));
}

TEST(RuntimeSettings, WhatTheRuntimeObeysCounts) {
  const auto heap_of = [](const std::string& cmdline, const std::string& environment) {
    const Incident incident = killed_with(cmdline, environment);
    const RuntimeSetting* const heap = heap_above(incident.settings, 256 * kMebi);
    return heap == nullptr ? std::string() : heap->value;
  };
  EXPECT_EQ(heap_of("java -Xmx100m -jar a", "JAVA_TOOL_OPTIONS=-Xmx4g"), "") << "the command line wins";
  EXPECT_EQ(heap_of("java -Xmx100m -jar a", "_JAVA_OPTIONS=-Xmx4g"), "4g") << "but not over this one";
  EXPECT_EQ(heap_of("java -jar a", "JDK_JAVA_OPTIONS=-Xmx100m JAVA_TOOL_OPTIONS=-Xmx4g"), "");
  EXPECT_EQ(heap_of("java -Xmx4g -XX:MaxHeapSize=100m -jar a", ""), "");
  EXPECT_EQ(heap_of("java -Xmx100m -jar a", "JAVA_TOOL_OPTIONS=-XX:MaxRAMPercentage=90"), "") << "ignored beside -Xmx";
  EXPECT_EQ(heap_of("node --max-old-space-size=100 a.js", "NODE_OPTIONS=--max-old-space-size=900"), "");
  EXPECT_EQ(heap_of("server", "GOMEMLIMIT=240MiB"), "") << "Go's limit is that of all it takes";
  EXPECT_EQ(heap_of("server", "GOMEMLIMIT=256MiB"), "256MiB");
}

// The -Xmx of one process is nothing beside the direct memory of another.
TEST(RuntimeSettings, SumsAreOfOneProcess) {
  Incident incident = killed_with("java -Xmx200m -jar a", "");
  incident.victims.push_back(incident.victims.front());
  incident.victims.back().pid = 8;
  incident.victims.back().cmdline = "java -Xmx20m -XX:MaxDirectMemorySize=100m -jar b";
  conclude(incident);
  EXPECT_NE(incident.verdict->causes.front().cause, Cause::kRuntimeHeapVsLimit);
}

TEST(RuntimeSettings, SumsThatAreAboveTheLimit) {
  const auto cause_of = [](const std::string& cmdline, const std::string& environment = "") {
    return killed_with(cmdline, environment).verdict->causes.front().cause;
  };
  EXPECT_EQ(cause_of("java -Xmx200m -XX:MaxDirectMemorySize=100m -jar a"), Cause::kRuntimeHeapVsLimit);
  EXPECT_NE(cause_of("java -Xmx100m -XX:MaxDirectMemorySize=100m -jar a"), Cause::kRuntimeHeapVsLimit);
  EXPECT_EQ(cause_of("postgres -c shared_buffers=64MB -c work_mem=4MB -c max_connections=100"),
            Cause::kRuntimeHeapVsLimit);
  EXPECT_NE(cause_of("postgres -c shared_buffers=64MB -c work_mem=1MB -c max_connections=100"),
            Cause::kRuntimeHeapVsLimit);
  EXPECT_EQ(cause_of("java -XX:MaxRAMPercentage=90 -jar a"), Cause::kRuntimeHeapVsLimit);
  EXPECT_EQ(cause_of("server", "GOGC=off"), Cause::kRuntimeHeapVsLimit);
  EXPECT_NE(cause_of("server", "GOGC=off GOMEMLIMIT=100MiB"), Cause::kRuntimeHeapVsLimit);
  EXPECT_EQ(cause_of("server", "GOMEMLIMIT=1GiB"), Cause::kRuntimeHeapVsLimit);
  EXPECT_EQ(cause_of("postgres -c work_mem=99999999999GB -c max_connections=99999"), Cause::kUnknown) << "no figure";
}

}  // namespace
}  // namespace memcrest
