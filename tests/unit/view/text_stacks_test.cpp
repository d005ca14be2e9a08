// SPDX-License-Identifier: Apache-2.0
// Where the growth came from, in words.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/event_builder.h"
#include "view/text.h"

namespace memcrest {
namespace {

using testing::HasSubstr;
using testing::Not;
using namespace testing_support;  // NOLINT(google-build-using-namespace): literals

std::string shown(const Incident& incident) { return to_text(incident, {.columns = 110}); }

Incident with_frames(std::vector<Frame> frames) {
  Incident out = with_stacks(oom_incident());
  out.burst->stacks[0].frames = std::move(frames);
  return out;
}

TEST(TextStacks, FoldedToWhatMattersOutermostFirst) {
  const std::string text = shown(with_stacks(oom_incident()));
  EXPECT_THAT(text, HasSubstr("97 %  pd::read_csv → _tokenize_rows → realloc  [anon]"));
  EXPECT_THAT(text, HasSubstr("kinds      anon 97 % · page tables 3 %"));
  EXPECT_THAT(text, HasSubstr("Python: -X perf"));
  EXPECT_THAT(text, Not(HasSubstr("do_anonymous_page")));
  EXPECT_THAT(text, Not(HasSubstr("__libc_start")));
}

TEST(TextStacks, NamesWithoutTheirArguments) {
  const auto name = [](const std::string& full) {
    const std::string text = shown(with_frames({{.name = full, .module = "/app"}}));
    const auto begin = text.find("97 %  ", text.find("outermost")) + 6;
    return text.substr(begin, text.find("  [", begin) - begin);
  };
  EXPECT_EQ(name("f(int)"), "f");
  EXPECT_EQ(name("ns::S<int, (anonymous namespace)::T>::f(std::vector<int> const&)"), "ns::S::f");
  EXPECT_EQ(name("(anonymous namespace)::f(int)"), "(anonymous namespace)::f");
  EXPECT_EQ(name("S::operator()(int) const"), "S::operator()");
  EXPECT_EQ(name("operator<<(A, B)"), "operator<<");
  EXPECT_EQ(name("<Vec<T> as Clone>::clone"), "<Vec as Clone>::clone");
  EXPECT_EQ(name("main.loadBatch"), "main.loadBatch");
}

TEST(TextStacks, WithoutNamesThePlaceInTheFile) {
  EXPECT_THAT(
      shown(with_frames({{.module = "/usr/bin/app", .offset = 0x1abc}, {.module = "[jit]"}, {.module = "[jit]"}})),
      HasSubstr("[jit] → app+0x1abc  [anon]"));
}

TEST(TextStacks, OnlyTheKernelIsKnown) {
  EXPECT_THAT(shown(with_frames({{.name = "filemap_add_folio", .module = "[kernel]"}})),
              HasSubstr("97 %  filemap_add_folio  [anon]"));
}

TEST(TextStacks, DeepOnesLoseTheirMiddle) {
  std::vector<Frame> frames;
  for (int i = 0; i < 20; ++i) {
    frames.push_back({.name = "f" + std::to_string(i), .module = "/app"});
  }
  EXPECT_THAT(shown(with_frames(frames)), HasSubstr("f19 → f18 → … → f3 → f2 → f1 → f0"));
}

TEST(TextStacks, LinesWhereTheyAreKnown) {
  EXPECT_THAT(shown(with_frames({{.name = "load", .module = "/app", .file = "/src/a b.cpp", .line = 12}})),
              HasSubstr("load (a b.cpp:12)"));
}

TEST(TextStacks, WorkersOfAPoolAreOneLine) {
  Incident incident = with_stacks(oom_incident());
  incident.burst->programs = {{"gunicorn", "gunicorn: worker [app]", 24, 1500_MiB, 0.9},
                              {"redis", "", 1, 100_MiB, 0.06}};
  const std::string text = shown(incident);
  EXPECT_THAT(text, HasSubstr("90 %  24 × gunicorn: worker [app]  1.46 GiB"));
  EXPECT_THAT(text, HasSubstr("6 %  redis"));
}

TEST(TextStacks, HostileNamesAreEscaped) {
  Incident incident = with_stacks(oom_incident());
  for (Frame& one : incident.burst->stacks[0].frames) {
    one.name = one.module = one.file = hostile_name();
  }
  incident.burst->stacks[0].gap = incident.burst->hints[0] = hostile_name();
  incident.burst->programs = {{hostile_name(), hostile_name(), 2, 1, 0.5}};
  const std::string text = shown(incident);
  EXPECT_THAT(text, Not(HasSubstr("\x1b")));
  EXPECT_THAT(text, Not(HasSubstr("\x07")));
  for (const char* name :
       {"<<<<<", ">>>>", "((((", ")", "<(", "operator", "operator<", "{closure", "(anonymous namespace"}) {
    EXPECT_THAT(shown(with_frames({{.name = name, .module = "/app"}})), HasSubstr("from")) << name;
  }
}

}  // namespace
}  // namespace memcrest
