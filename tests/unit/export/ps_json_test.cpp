// SPDX-License-Identifier: Apache-2.0
#include "export/ps_json.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

namespace memcrest {
namespace {

using Json = nlohmann::ordered_json;
constexpr std::uint64_t kMiB = 1U << 20U;
constexpr std::int64_t kTime = 1'795'340'143'841'000'123;

// Every line that a test makes, for the schema check that runs after this program.
Json written(const ContainerMemory& memory) {
  const std::string line = to_json(memory, kTime);
  if (const char* path = std::getenv("MEMCREST_PS_LINES")) {
    std::ofstream(path, std::ios::app) << line << '\n';
  }
  EXPECT_EQ(line.find('\n'), std::string::npos);
  return Json::parse(line);
}

ContainerMemory full() {
  ContainerMemory out;
  out.cgroup = {.id = 17, .path = "/docker/" + std::string(64, 'a')};
  out.container = {.runtime = Runtime::kDocker,
                   .id = std::string(64, 'a'),
                   .name = "web",
                   .image = "shop:1",
                   .labels = {{"tier", "front"}}};
  out.figures.usage_bytes = 60 * kMiB;
  out.figures.inactive_file_bytes = 28 * kMiB;
  out.figures.peak_bytes = 63 * kMiB;
  out.figures.limit_known = out.figures.effective_known = true;
  out.figures.limit_bytes = 128 * kMiB;
  out.figures.effective = EffectiveLimit{.bytes = 64 * kMiB, .cgroup_path = "/docker", .usage_bytes = 61 * kMiB};
  out.figures.swap = Swap{.usage_bytes = 61 * kMiB, .limit_bytes = 128 * kMiB, .kind = "memory.memsw.limit_in_bytes"};
  out.figures.oom_kills = 2;
  return out;
}

TEST(PsJson, EveryField) {
  const Json json = written(full());
  EXPECT_EQ(json["schema"], "memcrest.ps.v1");
  EXPECT_EQ(json["time"], "2026-11-22T09:35:43.841000123Z");
  EXPECT_EQ(json["kind"], "container");
  EXPECT_EQ(json["container"]["name"], "web");
  EXPECT_EQ(json["container"]["runtime"], "docker");
  EXPECT_EQ(json["container"]["labels"]["tier"], "front");
  EXPECT_EQ(json["cgroup"]["id"], 17);
  EXPECT_EQ(json["cgroup"]["path"], full().cgroup.path);
  EXPECT_EQ(json["usage_bytes"], 60 * kMiB);
  EXPECT_EQ(json["working_set_bytes"], 32 * kMiB);
  EXPECT_EQ(json["peak_bytes"], 63 * kMiB);
  EXPECT_EQ(json["has_limit"], true);
  EXPECT_EQ(json["limit_bytes"], 128 * kMiB);
  EXPECT_EQ(json["effective_limit"]["bytes"], 64 * kMiB);
  EXPECT_EQ(json["effective_limit"]["cgroup_path"], "/docker");
  EXPECT_EQ(json["effective_limit"]["usage_bytes"], 61 * kMiB);
  EXPECT_EQ(json["effective_limit_known"], true);
  EXPECT_EQ(json["share_of_limit"], 0.5);
  EXPECT_EQ(json["swap"]["usage_bytes"], 61 * kMiB);
  EXPECT_EQ(json["swap"]["limit_bytes"], 128 * kMiB);
  EXPECT_EQ(json["swap"]["kind"], "memory.memsw.limit_in_bytes");
  EXPECT_EQ(json["oom_kills"], 2);
  EXPECT_EQ(json["gaps"], Json::array());
}

TEST(PsJson, NoLimitIsNotAnUnknownLimit) {
  ContainerMemory memory = full();
  memory.figures.limit_bytes.reset();
  memory.figures.effective.reset();
  memory.figures.swap->limit_bytes.reset();
  Json json = written(memory);
  EXPECT_EQ(json["has_limit"], false);
  EXPECT_TRUE(json["limit_bytes"].is_null());
  EXPECT_TRUE(json["effective_limit"].is_null());
  EXPECT_EQ(json["effective_limit_known"], true);
  EXPECT_TRUE(json["share_of_limit"].is_null());
  EXPECT_TRUE(json["swap"]["limit_bytes"].is_null());
  memory.figures.limit_known = memory.figures.effective_known = false;
  memory.figures.gaps = {"memory.max: Permission denied"};
  json = written(memory);
  EXPECT_TRUE(json["has_limit"].is_null());
  EXPECT_EQ(json["effective_limit_known"], false);
  EXPECT_EQ(json["gaps"][0], "memory.max: Permission denied");
}

TEST(PsJson, NothingKnown) {
  const Json json = written({});
  for (const char* field : {"usage_bytes", "working_set_bytes", "peak_bytes", "has_limit", "limit_bytes",
                            "effective_limit", "share_of_limit", "swap", "oom_kills"}) {
    EXPECT_TRUE(json.at(field).is_null()) << field;
  }
  EXPECT_EQ(json["container"]["runtime"], "unknown");
}

TEST(PsJson, KindsAndRuntimes) {
  for (const CgroupKind kind : {CgroupKind::kContainer, CgroupKind::kUnit, CgroupKind::kOther}) {
    for (const Runtime runtime : {Runtime::kDocker, Runtime::kContainerd, Runtime::kCrio, Runtime::kPodman,
                                  Runtime::kSystemd, Runtime::kNone, Runtime::kUnknown}) {
      ContainerMemory memory = full();
      memory.kind = kind;
      memory.container.runtime = runtime;
      EXPECT_EQ(written(memory)["kind"], to_string(kind));
    }
  }
}

TEST(PsJson, ExtremeNumbers) {
  constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();
  ContainerMemory memory = full();
  memory.figures.usage_bytes = memory.figures.peak_bytes = memory.figures.oom_kills = kMost;
  memory.figures.inactive_file_bytes = 0;
  memory.figures.effective->bytes = 1;
  Json json = written(memory);
  EXPECT_EQ(json["usage_bytes"], kMost);
  EXPECT_GT(json["share_of_limit"], 1e18);
  memory.figures.effective->bytes = 0;
  EXPECT_EQ(written(memory)["share_of_limit"], 1);
}

TEST(PsJson, HostileTextStaysOneLineOfText) {
  ContainerMemory memory = full();
  const std::string text = "a\n\x1b[2J\"\\\xff\xe2\x80\xa8\x7f";
  memory.container.name = memory.container.image = memory.cgroup.path = text;
  memory.container.labels = {{text, text}};
  memory.figures.effective->cgroup_path = text;
  memory.figures.gaps = {text};
  const std::string line = to_json(memory, kTime);
  for (const char* raw : {"\n", "\x1b", "\xff", "\xe2\x80\xa8", "\x7f"}) {
    EXPECT_EQ(line.find(raw), std::string::npos);
  }
  EXPECT_EQ(written(memory)["container"]["name"], "a\n\x1b[2J\"\\\xef\xbf\xbd\xe2\x80\xa8\x7f");
}

}  // namespace
}  // namespace memcrest
