// SPDX-License-Identifier: Apache-2.0
#include "incident/growth_stacks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace memcrest {
namespace {

StackGrowth growth(std::uint32_t pid, std::uint64_t bytes, MemoryKind kind = MemoryKind::kAnon,
                   std::string comm = "app") {
  StackGrowth out;
  out.process = {pid, pid};
  out.comm = std::move(comm);
  out.bytes = bytes;
  out.kind = kind;
  return out;
}

NamedStack named(std::initializer_list<const char*> functions, std::uint64_t offset = 1) {
  NamedStack out;
  for (const char* name : functions) {
    out.frames.push_back({.name = name, .module = "/app", .offset = offset++});
  }
  return out;
}

TEST(GrowthStacks, TheSamePlaceInSeveralProcessesIsOne) {
  StackNames names;
  names.stacks = {named({"malloc", "load", "main"}, 10),
                  named({"malloc", "load", "main"}, 500),
                  named({"main"}),
                  named({"malloc", "load", "main"}, 10),
                  {}};
  const auto out = merge_stacks(
      {growth(1, 60), growth(2, 50), growth(1, 70), growth(3, 5, MemoryKind::kHugePage), growth(4, 1000)}, names, 200);
  ASSERT_EQ(out.size(), 3U);
  EXPECT_EQ(out[0].bytes, 110U);
  EXPECT_DOUBLE_EQ(out[0].share, 0.55);
  EXPECT_EQ(out[0].frames.at(0).offset, 10U) << "of the heaviest";
  EXPECT_EQ(out[1].bytes, 70U);
  EXPECT_EQ(out[2].kind, MemoryKind::kHugePage);
}

TEST(GrowthStacks, WithoutNamesTheInstructionTellsPlacesApart) {
  StackNames names;
  names.stacks = {named({""}, 10), named({""}, 11), named({""}, 10)};
  EXPECT_EQ(merge_stacks({growth(1, 3), growth(1, 2), growth(2, 1)}, names, 0).size(), 2U);
}

TEST(GrowthStacks, FewerNamesThanStacksAndTheEndOfNumbers) {
  StackNames names;
  names.stacks = {named({"f"}), named({"f"})};
  const auto out = merge_stacks({growth(1, ~0ULL), growth(2, ~0ULL), growth(3, 1)}, names, ~0ULL);
  ASSERT_EQ(out.size(), 1U);
  EXPECT_EQ(out[0].bytes, ~0ULL);
  EXPECT_LE(out[0].share, 1);
  EXPECT_TRUE(merge_stacks({growth(1, 1)}, {}, 1).empty());
}

TEST(GrowthStacks, AtMostSixteen) {
  StackNames names;
  std::vector<StackGrowth> all;
  for (std::uint64_t i = 0; i < 40; ++i) {
    names.stacks.push_back(named({""}, i + 1));
    all.push_back(growth(1, i + 1));
  }
  const auto out = merge_stacks(all, names, 100);
  ASSERT_EQ(out.size(), 16U);
  EXPECT_EQ(out[0].bytes, 40U);
}

TEST(GrowthStacks, WorkersOfAPoolAreOneProgram) {
  std::vector<StackGrowth> all;
  for (std::uint32_t i = 0; i < 24; ++i) {
    all.push_back(growth(100 + i, 10, MemoryKind::kAnon, "gunicorn"));
    all.push_back(growth(100 + i, 5, MemoryKind::kSlab, "gunicorn"));
  }
  all.push_back(growth(1, 40, MemoryKind::kAnon, "redis"));
  int asked = 0;
  const auto out = merge_programs(all, 400, [&](const ProcessKey& process) {
    ++asked;
    return process.tgid >= 100 ? std::string("gunicorn worker") : std::string();
  });
  EXPECT_EQ(asked, 25) << "once for each process";
  ASSERT_EQ(out.size(), 2U);
  EXPECT_EQ(out[0].comm, "gunicorn");
  EXPECT_EQ(out[0].cmdline, "gunicorn worker");
  EXPECT_EQ(out[0].processes, 24U);
  EXPECT_EQ(out[0].bytes, 360U);
  EXPECT_DOUBLE_EQ(out[0].share, 0.9);
  EXPECT_EQ(out[1].processes, 1U);
}

// As multiprocessing's children carry a descriptor, and servers number their workers.
TEST(GrowthStacks, WorkersThatAreNumberedAreOneProgram) {
  const auto out = merge_programs({growth(1, 10, MemoryKind::kAnon, "w1"), growth(2, 10, MemoryKind::kAnon, "w22"),
                                   growth(3, 5, MemoryKind::kAnon, "w3"), growth(4, 1, MemoryKind::kAnon, "w4"),
                                   growth(3, 1, MemoryKind::kSlab, "sh")},  // before it became a worker
                                  27, [](const ProcessKey& process) {
                                    return process.tgid == 4
                                               ? std::string("w: master 4")
                                               : "w: worker " + std::to_string(process.tgid * 7) + " of 24";
                                  });
  ASSERT_EQ(out.size(), 2U);
  EXPECT_EQ(out[0].comm, "w#");
  EXPECT_EQ(out[0].cmdline, "w: worker # of 24") << "the number that all have stays";
  EXPECT_EQ(out[0].processes, 3U);
  EXPECT_EQ(out[0].bytes, 26U);
  EXPECT_EQ(out[1].cmdline, "w: master 4") << "alone it keeps its number";
}

}  // namespace
}  // namespace memcrest
