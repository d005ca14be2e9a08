// SPDX-License-Identifier: Apache-2.0
#include "view/ps_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "util/text.h"

namespace memcrest {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr std::uint64_t kMiB = 1U << 20U;
const std::string kId(64, 'a');

ContainerMemory web() {
  ContainerMemory row;
  row.cgroup = {.id = 7, .path = "/docker/" + kId};
  row.container = {.runtime = Runtime::kDocker, .id = kId, .name = "web", .image = "shop:1"};
  MemoryFigures& figures = row.figures;
  figures.usage_bytes = 60 * kMiB;
  figures.inactive_file_bytes = 28 * kMiB;
  figures.peak_bytes = 63 * kMiB;
  figures.limit_known = figures.effective_known = true;
  figures.limit_bytes = 64 * kMiB;
  figures.effective = EffectiveLimit{.bytes = 64 * kMiB, .cgroup_path = row.cgroup.path, .usage_bytes = 60 * kMiB};
  figures.swap = Swap{.usage_bytes = 0, .limit_bytes = 128 * kMiB, .kind = "memory.swap.max"};
  figures.oom_kills = 2;
  return row;
}

ContainerMemory under_a_parent() {
  ContainerMemory row = web();
  row.cgroup.path = "/kubepods/burstable/pod1/" + kId;
  row.container.name = "app";
  row.container.runtime = Runtime::kContainerd;
  row.container.pod = Pod{.uid = "1", .name = "shop-7d9f", .name_space = "prod"};
  row.figures.limit_bytes.reset();
  row.figures.effective =
      EffectiveLimit{.bytes = 40 * kMiB, .cgroup_path = "/kubepods/burstable/pod1", .usage_bytes = 38 * kMiB};
  row.figures.oom_kills = 0;
  return row;
}

// The row's cells, by runs of two and more spaces.
std::vector<std::string> cells_of_line(const std::string& text, std::size_t line) {
  std::istringstream lines(text);
  std::string one;
  for (std::size_t i = 0; i <= line; ++i) {
    std::getline(lines, one);
  }
  std::vector<std::string> out;
  while (!one.empty()) {
    const std::size_t end = one.find("  ");
    out.push_back(one.substr(0, end));
    one = end == std::string::npos ? "" : one.substr(std::min(one.find_first_not_of(' ', end), one.size()));
  }
  return out;
}

TEST(PsText, NothingForNoRows) { EXPECT_EQ(to_text(std::vector<ContainerMemory>{}, {}).text, ""); }

TEST(PsText, AllColumnsWithoutATerminal) {
  const std::string text = to_text({under_a_parent()}, {}).text;
  EXPECT_THAT(cells_of_line(text, 0), ElementsAre("NAME", "RUNTIME", "POD", "%", "WORKSET", "USAGE", "PEAK", "LIMIT",
                                                  "EFFECTIVE", "SET BY", "SWAP MAX", "OOM", "CGROUP"));
  EXPECT_THAT(
      cells_of_line(text, 1),
      ElementsAre("app", "containerd", "prod/shop-7d9f", "80 %", "32.0 MiB", "60.0 MiB", "63.0 MiB", "none", "40.0 MiB",
                  "/kubepods/burstable/pod1 (95 % full)", "128 MiB", "0", "/kubepods/burstable/pod1/" + kId));
}

TEST(PsText, VersionOneLimitsMemoryAndSwapTogether) {
  EXPECT_THAT(to_text({web()}, {.cgroup_version = 1}).text, HasSubstr("MEM+SWAP"));
}

TEST(PsText, OnATerminalWhatRepeatsTheLimitIsLeftOut) {
  const PsText text = to_text({web()}, {.columns = 80});
  EXPECT_THAT(text.text, Not(HasSubstr("EFFECTIVE")));
  EXPECT_THAT(text.text, HasSubstr("LIMIT"));
  EXPECT_THAT(to_text({web(), under_a_parent()}, {.columns = 80}).text, HasSubstr("EFFECTIVE"));
  EXPECT_THAT(to_text({web()}, {}).text, HasSubstr("itself"));
}

TEST(PsText, FitsTheTerminalAndSaysWhatIsMissing) {
  std::vector<ContainerMemory> rows = {web(), under_a_parent()};
  rows[0].container.name = std::string(100, 'n') + "-end";
  rows[1].container.pod->name = std::string(253, 'p');
  for (const std::size_t columns : {60U, 80U, 100U, 140U, 200U}) {
    const PsText text = to_text(rows, {.columns = columns});
    std::istringstream lines(text.text);
    for (std::string line; std::getline(lines, line);) {
      EXPECT_LE(display_width(line), columns) << line;
    }
    EXPECT_THAT(text.text, HasSubstr("-end")) << "the end of a name tells it from others";
    EXPECT_EQ(text.omitted.empty(), columns == 200) << columns;
  }
}

TEST(PsText, WhatIsNotKnownIsNoNumber) {
  ContainerMemory row = web();
  row.container.name.clear();
  row.figures = {};
  EXPECT_THAT(cells_of_line(to_text({row}, {}).text, 1),
              ElementsAre("? aaaaaaaaaaaa", "docker", "?", "?", "?", "?", "?", "?", "/docker/" + kId));
}

TEST(PsText, NoLimitIsMarked) {
  ContainerMemory row = web();
  row.figures.limit_bytes.reset();
  row.figures.effective.reset();
  const std::string plain = to_text({row}, {.columns = 80}).text;
  EXPECT_THAT(plain, HasSubstr("none"));
  EXPECT_THAT(to_text({row}, {.color = true, .columns = 80}).text, HasSubstr("\x1b[33m"));
}

TEST(PsText, ALimitOutOfSightMakesTheSeenOneABound) {
  ContainerMemory row = web();
  row.figures.effective_known = false;
  EXPECT_THAT(to_text({row}, {.columns = 100}).text, HasSubstr("<= 64.0 MiB"));
}

TEST(PsText, SmallSharesAreNotRoundedToNothing) {
  ContainerMemory row = web();
  row.figures.usage_bytes = row.figures.inactive_file_bytes = 0;
  EXPECT_THAT(to_text({row}, {}).text, HasSubstr(" 0 %"));
  row.figures.usage_bytes = 4096;
  EXPECT_THAT(to_text({row}, {}).text, HasSubstr("<1 %"));
  row.figures.usage_bytes = 64 * kMiB - 4096;
  EXPECT_THAT(to_text({row}, {}).text, HasSubstr(">99 %"));
  row.figures.usage_bytes = 64 * kMiB;
  EXPECT_THAT(to_text({row}, {}).text, HasSubstr("100 %"));
}

TEST(PsText, NamesCannotMoveTheTerminal) {
  ContainerMemory row = under_a_parent();
  row.kind = CgroupKind::kContainer;
  row.container.name = "a\x1b[2Jb\nc";
  row.container.pod->name = "p\r";
  row.cgroup.path = "/x\x1b]0;t\x07";
  row.figures.effective->cgroup_path = "/y\x1b[A";
  const std::string text = to_text({row}, {.columns = 200}).text;
  EXPECT_THAT(text, Not(HasSubstr("\x1b")));
  EXPECT_THAT(text, Not(HasSubstr("\r")));
  EXPECT_EQ(std::ranges::count(text, '\n'), 2);
}

TEST(PsText, ACgroupInsideAContainerSaysSo) {
  ContainerMemory row = web();
  row.kind = CgroupKind::kOther;
  row.cgroup.path += "/inner";
  EXPECT_THAT(to_text({row}, {}).text, HasSubstr("inner in web"));
}

}  // namespace
}  // namespace memcrest
