// SPDX-License-Identifier: Apache-2.0
#include "sizing/sizing_text.h"

#include <gmock/gmock.h>

#include <sstream>

#include "sizing/judge_size.h"
#include "support/sizing_builder.h"
#include "util/text.h"

namespace memcrest {
namespace {

using namespace testing_support;
using testing::HasSubstr;
using testing::Not;

SizingReport report_of(std::vector<SizedUsage> usages) {
  SizingReport out;
  out.host = "node1";
  out.charge_tier = "page_counter";
  out.recordings = 1;
  for (SizedUsage& one : usages) {
    out.sizings.push_back(judge_size(std::move(one), out.settings));
  }
  return out;
}

std::vector<SizedUsage> some() {
  std::vector<SizedUsage> out{oomed(64_MiB), usage_of(20_MiB, 1_GiB), usage_of(50_MiB, 100_MiB)};
  out[0].ooms.guessed_bytes = 96_MiB;
  out[1].label = "quiet";
  out[2].label = "good";
  return out;
}

TEST(SizingText, SaysWhatToDoAboutEachThatWantsIt) {
  const std::string text = to_text(report_of(some()), {});
  for (const char* words :
       {"3 containers", "VERDICT", "too-small", "wasteful", "fine", "try 96.0 MiB",
        "docker update --memory 96m --memory-swap 96m web", "1 OOM kill by its own limit of 64.0 MiB",
        "windows seen above", "complete", "lost: nothing"}) {
    EXPECT_THAT(text, HasSubstr(words));
  }
}

TEST(SizingText, LinesFitTheTerminal) {
  for (const std::size_t columns : {60U, 72U, 80U, 100U, 140U}) {
    SizingReport report = report_of(some());
    report.sizings[0].usage.label = std::string(80, 'n');
    report.gaps = {std::string(30, 'w') + " " + std::string(90, 'x')};
    std::istringstream lines(to_text(report, {false, columns}));
    for (std::string line; std::getline(lines, line);) {
      EXPECT_LE(display_width(line), columns) << line;
    }
  }
}

TEST(SizingText, APeakThatIsNoMoreThanALowerBoundSaysSo) {
  SizedUsage usage = usage_of(20_MiB, 100_MiB);
  usage.peak_exact = false;
  EXPECT_THAT(to_text(report_of({usage}), {}), HasSubstr(">= 20.0 MiB"));
}

TEST(SizingText, NamesMoveNoCursorAndForgeNoLine) {
  SizedUsage usage = usage_of(20_MiB, 1_GiB);
  usage.label = usage.container.name = "web\x1b[2J\nlost: nothing\xff";
  SizingReport report = report_of({usage});
  report.host = report.charge_tier = "\x1b]0;x\a";
  report.gaps = report.notes = {"gap\x1b[1m\r"};
  const std::string text = to_text(report, {});
  EXPECT_THAT(text, Not(HasSubstr("\x1b")));
  EXPECT_THAT(text, Not(HasSubstr("\a")));
  EXPECT_THAT(text, Not(HasSubstr("\nlost: nothing")));
  EXPECT_THAT(text, HasSubstr("not complete"));
}

TEST(SizingText, NoContainerIsSaid) { EXPECT_THAT(to_text({}, {}), HasSubstr("No container was seen.")); }

}  // namespace
}  // namespace memcrest
