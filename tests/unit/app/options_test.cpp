// SPDX-License-Identifier: Apache-2.0
#include "app/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "app/exit_codes.h"

namespace memcrest {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

ParsedOptions parse(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "memcrest");
  std::vector<char*> raw;
  for (std::string& one : arguments) {
    raw.push_back(one.data());
  }
  return parse_options(static_cast<int>(raw.size()), raw.data());
}

// What is said of a wrong command line, on stderr.
std::string complaint(const std::vector<std::string>& arguments) {
  testing::internal::CaptureStderr();
  const ParsedOptions parsed = parse(arguments);
  EXPECT_FALSE(parsed.options);
  EXPECT_EQ(parsed.exit_code, kExitUsage);
  return testing::internal::GetCapturedStderr();
}

TEST(Options, PsByDefault) {
  const auto parsed = parse({"ps"});
  ASSERT_TRUE(parsed.options);
  EXPECT_EQ(parsed.options->verb, Verb::kPs);
  const PsOptions& ps = parsed.options->ps;
  EXPECT_FALSE(ps.json);
  EXPECT_FALSE(ps.all);
  EXPECT_EQ(ps.order, MemoryOrder::kPercent);
  EXPECT_EQ(ps.wait, std::chrono::seconds(2));
  EXPECT_FALSE(ps.identity.docker_socket.empty());
}

TEST(Options, PsWithEverything) {
  const auto parsed = parse({"ps", "--json", "--all", "--sort", "peak", "--wait", "500ms", "--docker-socket", ""});
  ASSERT_TRUE(parsed.options);
  const PsOptions& ps = parsed.options->ps;
  EXPECT_TRUE(ps.json);
  EXPECT_TRUE(ps.all);
  EXPECT_EQ(ps.order, MemoryOrder::kPeak);
  EXPECT_EQ(ps.wait, std::chrono::milliseconds(500));
  EXPECT_EQ(ps.identity.docker_socket, "");
  EXPECT_EQ(parse({"ps", "--wait", "0s"}).options->ps.wait, std::chrono::nanoseconds(0));
}

TEST(Options, ExportWithEverything) {
  const auto parsed = parse({"export", "a.memcrest", "-f", "jsonl", "-o", "out", "--table", "steps", "--table", "loss",
                             "--container", "web", "--containers-only"});
  ASSERT_TRUE(parsed.options);
  EXPECT_EQ(parsed.options->verb, Verb::kExport);
  const ExportOptions& options = parsed.options->exporting;
  EXPECT_EQ(options.path, "a.memcrest");
  EXPECT_EQ(options.format, ExportFormat::kJsonl);
  EXPECT_EQ(options.output, "out");
  EXPECT_EQ(options.tables, (ExportTables{ExportTable::kSteps, ExportTable::kLoss}));
  EXPECT_THAT(options.filter.containers, ElementsAre("web"));
  EXPECT_TRUE(options.filter.containers_only);
  EXPECT_FALSE(options.to_stdout());
  EXPECT_TRUE(parse({"export", "a", "-f", "csv", "-o", "-"}).options->exporting.to_stdout());
}

TEST(Options, ExportSaysWhatDoesNotGoTogether) {
  EXPECT_THAT(complaint({"export", "a"}), HasSubstr("--format"));
  EXPECT_THAT(complaint({"export", "a", "-f", "svg"}), HasSubstr("must be perfetto"));
  EXPECT_THAT(complaint({"export", "a", "-f", "pprof", "--table", "steps"}), HasSubstr("goes with"));
  EXPECT_THAT(complaint({"export", "a", "-f", "csv", "--table", "steps", "--table", "loss"}), HasSubstr("one table"));
  EXPECT_THAT(complaint({"export", "a", "-f", "otlp-json", "--table", "loss"}), HasSubstr("steps or incidents"));
}

TEST(Options, AdviseWithEverything) {
  const auto parsed = parse({"advise", "a.db", "b.db", "--format", "json", "--by", "image", "--window", "10s",
                             "--margin", "35", "--all", "--container", "web"});
  ASSERT_TRUE(parsed.options);
  EXPECT_EQ(parsed.options->verb, Verb::kAdvise);
  const AdviseOptions& advise = parsed.options->advise;
  EXPECT_THAT(advise.paths, ElementsAre("a.db", "b.db"));
  EXPECT_EQ(advise.format, AdviseFormat::kJson);
  EXPECT_EQ(advise.sizing.by, SizingBy::kImage);
  EXPECT_EQ(advise.sizing.window, std::chrono::seconds(10));
  EXPECT_EQ(advise.sizing.margin_percent, 35U);
  EXPECT_TRUE(advise.sizing.all);
  EXPECT_THAT(advise.filter.containers, ElementsAre("web"));
}

TEST(Options, AdviseByDefaultDependsOnWhatIsAsked) {
  const auto sizing = [](const std::vector<std::string>& arguments) { return parse(arguments).options->advise.sizing; };
  EXPECT_EQ(sizing({"advise", "a.db"}).window, std::chrono::minutes(1));
  EXPECT_EQ(sizing({"advise", "a.db"}).by, SizingBy::kContainer);
  EXPECT_EQ(sizing({"advise", "a.db", "--format", "kubernetes"}).by, SizingBy::kWorkload);
  EXPECT_EQ(sizing({"advise", "a.db", "--format", "compose", "--by", "container"}).by, SizingBy::kContainer);
  EXPECT_EQ(sizing({"advise", "--live", "2m"}).window, std::chrono::seconds(4));
  EXPECT_EQ(sizing({"advise", "--live", "1s"}).window, std::chrono::seconds(1));
  EXPECT_EQ(sizing({"advise", "--live", "8h"}).window, std::chrono::minutes(1));
}

TEST(Options, AdviseSaysWhatDoesNotGoTogether) {
  EXPECT_THAT(complaint({"advise"}), HasSubstr("give a recording, or --live"));
  EXPECT_THAT(complaint({"advise", "a.db", "--live", "1m"}), HasSubstr("--live"));
  EXPECT_THAT(complaint({"advise", "a.db", "--format", "docker", "--by", "image"}), HasSubstr("--by"));
  EXPECT_THAT(complaint({"advise", "a.db", "--by", "pod"}), HasSubstr("--by"));
  EXPECT_THAT(complaint({"advise", "a.db", "--margin", "401"}), HasSubstr("--margin"));
  EXPECT_THAT(complaint({"advise", "a.db", "--window", "1ns"}), HasSubstr("--window"));
}

TEST(Options, TheSameFiltersInEachVerb) {
  const std::vector<std::string> filters = {"--container", "a",   "--container", "b",       "--pod",     "p",
                                            "--namespace", "n",   "--label",     "k=v",     "--label",   "only",
                                            "--image",     "i:1", "--cgroup",    "/docker", "--runtime", "podman"};
  for (const char* verb : {"ps", "watch"}) {
    std::vector<std::string> arguments = {verb};
    arguments.insert(arguments.end(), filters.begin(), filters.end());
    const auto parsed = parse(arguments);
    ASSERT_TRUE(parsed.options) << verb;
    const ContainerFilter& filter =
        parsed.options->verb == Verb::kPs ? parsed.options->ps.filter : parsed.options->watch.filter;
    EXPECT_THAT(filter.containers, ElementsAre("a", "b"));
    EXPECT_THAT(filter.pods, ElementsAre("p"));
    EXPECT_THAT(filter.namespaces, ElementsAre("n"));
    ASSERT_EQ(filter.labels.size(), 2U);
    EXPECT_EQ(filter.labels[0].key, "k");
    EXPECT_EQ(filter.labels[0].value, "v");
    EXPECT_EQ(filter.labels[1].key, "only");
    EXPECT_EQ(filter.labels[1].value, std::nullopt);
    EXPECT_THAT(filter.images, ElementsAre("i:1"));
    EXPECT_THAT(filter.cgroups, ElementsAre("/docker"));
    EXPECT_THAT(filter.runtimes, ElementsAre(Runtime::kPodman));
    EXPECT_FALSE(filter.containers_only);
  }
  EXPECT_TRUE(parse({"watch", "--containers-only"}).options->watch.filter.containers_only);
}

TEST(Options, BadFiltersAreErrorsThatNameTheOption) {
  for (const char* verb : {"ps", "watch"}) {
    EXPECT_THAT(complaint({verb, "--runtime", "rkt"}), HasSubstr("--runtime: must be one of: docker"));
    EXPECT_THAT(complaint({verb, "--label", "=v"}), HasSubstr("--label: needs a key"));
    EXPECT_THAT(complaint({verb, "--cgroup", "docker"}), HasSubstr("--cgroup: must be a path"));
    EXPECT_THAT(complaint({verb, "--cgroup", "/a/../b"}), HasSubstr("--cgroup: must not hold '..'"));
    for (const char* option : {"--container", "--pod", "--namespace", "--label", "--image", "--cgroup", "--runtime"}) {
      EXPECT_THAT(complaint({verb, option, ""}), HasSubstr(std::string(option) + ": must not be empty"));
      EXPECT_THAT(complaint({verb, option}), HasSubstr(option)) << "no value";
    }
  }
}

TEST(Options, PsRefusesWhatMakesNoSense) {
  EXPECT_THAT(complaint({"ps", "--sort", "size"}), HasSubstr("--sort"));
  EXPECT_THAT(complaint({"ps", "--wait", "5"}), HasSubstr("--wait"));
  EXPECT_THAT(complaint({"ps", "--wait", "2h"}), HasSubstr("--wait"));
  EXPECT_THAT(complaint({"ps", "extra"}), HasSubstr("extra"));
}

}  // namespace
}  // namespace memcrest
