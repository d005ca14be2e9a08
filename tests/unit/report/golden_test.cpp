// SPDX-License-Identifier: Apache-2.0
// What a person reads of each cause, kept in tests/golden: incidents that were seen (NAME.json), and how the terminal
// (NAME.txt) and Markdown (NAME.md) tell them. NAME is the cause; those of a NAME-more have some fields of another's
// end. With MEMCREST_GOLDEN=write verdicts and texts are written anew, to be read before they are kept.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string_view>

#include "export/incident_reader.h"
#include "export/json.h"
#include "incident/verdict.h"
#include "report/report_markdown.h"
#include "view/text.h"

namespace memcrest {
namespace {

namespace fs = std::filesystem;

std::string content_of(const fs::path& path) {
  std::ostringstream out;
  out << std::ifstream(path).rdbuf();
  return out.str();
}

std::vector<fs::path> seen() {
  std::vector<fs::path> out;
  for (const auto& entry : fs::directory_iterator(MEMCREST_GOLDEN_DIR)) {
    if (entry.path().extension() == ".json") {
      out.push_back(entry.path());
    }
  }
  std::ranges::sort(out);
  return out;
}

Incident read(const fs::path& path) {
  auto incident = incident_from_json(content_of(path));
  EXPECT_TRUE(incident) << path;
  return incident ? *incident : Incident{};
}

std::string markdown_of(const Incident& incident) {
  Report report;
  report.recording.file = "recording.memcrest";
  report.recording.memcrest_version = "0.1.0";
  report.recording.host = incident.host;
  report.recording.charge_tier = incident.evidence.charge_tier;
  report.recording.oom_tier = incident.evidence.oom_tier;
  ReportedIncident one;
  one.id = incident.id;
  one.incident = incident;
  report.incidents.push_back(one);
  return to_markdown(report);
}

bool writing() {
  const char* const asked = std::getenv("MEMCREST_GOLDEN");
  return asked != nullptr && std::string_view(asked) == "write";
}

void compare(const fs::path& path, const std::string& text) {
  if (writing()) {
    std::ofstream(path) << text;
    return;
  }
  EXPECT_EQ(text, content_of(path)) << path.filename() << ": read the difference; MEMCREST_GOLDEN=write keeps it";
}

TEST(Golden, TextAndMarkdown) {
  ::setenv("TZ", "UTC", 1);
  for (const fs::path& path : seen()) {
    Incident incident = read(path);
    if (writing()) {
      conclude(incident);
      std::ofstream(path) << to_json(incident) << "\n";
    }
    compare(fs::path(path).replace_extension(".txt"), to_text(incident, TextStyle{}));
    compare(fs::path(path).replace_extension(".md"), markdown_of(incident));
  }
}

// The verdict is a function of what the incident holds: from the JSON alone it comes out again.
TEST(Golden, TheVerdictFollowsFromTheIncident) {
  for (const fs::path& path : seen()) {
    const Incident told = read(path);
    Incident again = told;
    conclude(again);
    ASSERT_TRUE(told.verdict && again.verdict) << path;
    EXPECT_EQ(again.verdict->text, told.verdict->text) << path;
    ASSERT_EQ(again.verdict->causes.size(), told.verdict->causes.size()) << path;
    for (std::size_t i = 0; i < told.verdict->causes.size(); ++i) {
      EXPECT_EQ(again.verdict->causes[i].cause, told.verdict->causes[i].cause) << path;
      EXPECT_NEAR(again.verdict->causes[i].confidence, told.verdict->causes[i].confidence, 0.001) << path;
      EXPECT_EQ(again.verdict->causes[i].reasons_for, told.verdict->causes[i].reasons_for) << path;
      EXPECT_EQ(again.verdict->causes[i].reasons_against, told.verdict->causes[i].reasons_against) << path;
    }
    EXPECT_EQ(again.advice ? again.advice->text : "", told.advice ? told.advice->text : "") << path;
  }
}

// Each cause has its NAME.json, with what each of the three views says of it. The page is compared by
// tests/e2e/test_report.
TEST(Golden, EachCauseHasItsOwn) {
  std::size_t causes = 0;
  for (; std::string_view(to_string(static_cast<Cause>(causes))) != "unknown" || causes == 0; ++causes) {
    const auto cause = static_cast<Cause>(causes);
    const fs::path path = fs::path(MEMCREST_GOLDEN_DIR) / (std::string(to_string(cause)) + ".json");
    ASSERT_TRUE(fs::exists(path)) << path << ": keep an incident of this cause that was seen";
    const auto there = read(path).verdict.value_or(Verdict{}).causes;
    EXPECT_TRUE(std::ranges::any_of(there, [&](const JudgedCause& one) { return one.cause == cause; })) << path;
    // Full swap never is the only cause.
    EXPECT_TRUE(cause == Cause::kSwapFull || there.front().cause == cause) << path;
    for (const char* view : {".txt", ".md", ".page"}) {
      EXPECT_FALSE(content_of(fs::path(path).replace_extension(view)).empty()) << path << view;
    }
  }
  EXPECT_GE(causes, 24);
}

}  // namespace
}  // namespace memcrest
