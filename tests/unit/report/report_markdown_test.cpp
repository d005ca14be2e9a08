// SPDX-License-Identifier: Apache-2.0
#include "report/report_markdown.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "support/detail_builder.h"
#include "support/report_builder.h"

namespace memcrest {
namespace {

using testing::HasSubstr;
using testing::Not;
using namespace testing_support;  // NOLINT(google-build-using-namespace): literals

std::string markdown_of(const Incident& incident) {
  const TempDir dir;
  RecordingBuilder recording(dir.path() + "/a.memcrest");
  record_oom(recording, incident);
  recording.finish();
  return to_markdown(report_of(dir.path() + "/a.memcrest"));
}

TEST(ReportMarkdown, TellsTheStoryInTables) {
  const std::string text = markdown_of(oom_incident());
  EXPECT_THAT(text, HasSubstr("# memcrest report\n"));
  EXPECT_THAT(text, HasSubstr("## OOM kill: `web`\n"));
  EXPECT_THAT(text, HasSubstr("| limit | **2.00 GiB** `memory.max`, in use 2.00 GiB |"));
  EXPECT_THAT(text, HasSubstr("| grew | **412 MiB → 2.00 GiB** |"));
  EXPECT_THAT(text, HasSubstr("| `python app.py[5943]` (main process) | 1.93 GiB |"));
  EXPECT_THAT(text, HasSubstr("| `python[5943]` | 1.41 GiB | 90 % |"));
  EXPECT_THAT(text, HasSubstr("| `docker stats` | 1 s | 418 MiB | 20 % | 37 % |"));
  EXPECT_THAT(text, HasSubstr("```text\n"));
  EXPECT_THAT(text, HasSubstr("OOM KILL   web   docker b5d635627bb8"));
}

TEST(ReportMarkdown, WorkersOfAPoolAreOneLine) {
  Incident incident = oom_incident();
  incident.burst->programs = {{"gunicorn", "gunicorn worker #", 24, 1_GiB, 0.7}, {"redis", "", 1, 1_MiB, 0.1}};
  const std::string text = markdown_of(incident);
  EXPECT_THAT(text, HasSubstr("|  | 24 × `gunicorn worker #` 1.00 GiB |\n|  | `redis` 1.00 MiB |\n"));
}

TEST(ReportMarkdown, TellsWhyAndWhatToDo) {
  Incident incident = oom_incident();
  incident.verdict = Verdict{.causes = {{Cause::kLeak, 0.87, {"floors rose in `a_b`"}, {"only 20 min were seen"}},
                                        {Cause::kUnknown, 0.2, {}, {}}},
                             .text = "It leaks <b>3 MiB</b> a minute in a|b\n# no heading"};
  incident.advice =
      Advice{.text = "No limit helps.", .lines = {{"kubernetes", "spec:\n  a: ```\n\x1b[2J"}, {"ecs", "{}"}}};
  incident.composition = Composition{.parts = {{"anon", 1_GiB}, {"file", 1_MiB}}};
  const std::string text = markdown_of(incident);
  EXPECT_THAT(text, HasSubstr("**Why:** It leaks \\<b\\>3 MiB\\</b\\> a minute in a\\|b\\\\n\\# no heading\n"));
  EXPECT_THAT(text,
              HasSubstr("- leak, 87 % sure\n  - for it: floors rose in \\`a\\_b\\`\n  - against it: only 20 min"));
  EXPECT_THAT(text, HasSubstr("- unknown, 20 % sure\n"));
  EXPECT_THAT(text, HasSubstr("**What to do:** No limit helps.\n\n````\nspec:\n  a: ```\n\\x1b[2J\n````\n"));
  EXPECT_THAT(text, HasSubstr("| `anon` | 1.00 GiB | 50 % |\n| `file` | 1.00 MiB | under 1 % |\n"));
}

TEST(ReportMarkdown, TextFromOutsideIsCodeAndNothingElse) {
  EXPECT_EQ(markdown_code("web"), "`web`");
  EXPECT_EQ(markdown_code("a|b"), "`a\\|b`");
  EXPECT_EQ(markdown_code("@all <img src=x> #1 [x](y)"), "`@all <img src=x> #1 [x](y)`");
  EXPECT_EQ(markdown_code("a`b``c"), "```a`b``c```");
  EXPECT_EQ(markdown_code("`x`"), "`` `x` ``");
  EXPECT_EQ(markdown_code("a\nb\x1b"), "`a\\nb\\x1b`");
  EXPECT_EQ(markdown_code(""), "unknown");
  EXPECT_EQ(markdown_code("  "), "unknown");
  EXPECT_LT(markdown_code(std::string(5000, 'x')).size(), 400U);
}

TEST(ReportMarkdown, AHostileNameEndsNoRowAndNoBlock) {
  Incident incident = hostile_incident();
  incident.container.name = "a`|```\n# owned\n|x|@everyone" + hostile_name();
  incident.victims[0].cmdline = "````\n````";
  const std::string text = markdown_of(incident);
  std::istringstream lines(text);
  bool fenced = false;
  std::string fence;
  std::size_t headings = 0;
  for (std::string line; std::getline(lines, line);) {
    if (!fenced && line.starts_with("```") && line.ends_with("text")) {
      fence = line.substr(0, line.find('t'));
      fenced = true;
    } else if (fenced) {
      fenced = line != fence;
    } else {
      headings += line.starts_with("#") ? 1 : 0;
      EXPECT_TRUE(line.empty() || line[0] == '|' || line[0] == '#' || line[0] == '-' || line.starts_with("Not asked"))
          << line;
    }
  }
  EXPECT_FALSE(fenced);
  EXPECT_EQ(headings, 2U);
  EXPECT_THAT(text, Not(HasSubstr("\x1b")));
}

}  // namespace
}  // namespace memcrest
