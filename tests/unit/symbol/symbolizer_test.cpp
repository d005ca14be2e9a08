// SPDX-License-Identifier: Apache-2.0
// The worker with this process, and children of it that die, in the place of a container's.
#include "symbol/symbolizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "util/process_start.h"

extern "C" {
// Their return addresses are what a kernel would have found.
__attribute__((noinline)) void* memcrest_test_inner() { return __builtin_return_address(0); }
__attribute__((noinline)) void* memcrest_test_outer() {
  void* out = memcrest_test_inner();
  asm volatile("" : "+r"(out));
  return out;
}
}

namespace memcrest {
namespace {

using testing::HasSubstr;
using namespace std::chrono_literals;

TaskInfo task_of(pid_t pid) {
  TaskInfo out;
  out.process = {static_cast<std::uint32_t>(pid), process_start_ns("/proc/" + std::to_string(pid)).value_or(0)};
  out.tid = out.ns_tgid = out.process.tgid;
  out.comm = "test";
  return out;
}

std::vector<std::uint64_t> own_stack() {
  return {reinterpret_cast<std::uint64_t>(&memcrest_test_inner),
          reinterpret_cast<std::uint64_t>(memcrest_test_outer())};
}

StackGrowth growth(const TaskInfo& task, std::vector<std::uint64_t> stack) {
  StackGrowth out;
  out.process = task.process;
  out.comm = task.comm;
  out.user_stack = std::move(stack);
  out.bytes = 1;
  return out;
}

// As long as the worker has something to do.
void settle(const Symbolizer& symbols, std::size_t stacks) {
  for (int i = 0; i < 500 && symbols.status().stacks < stacks; ++i) {
    std::this_thread::sleep_for(10ms);
  }
}

TEST(Symbolizer, NamesFunctionsOfALivingProcess) {
  Symbolizer symbols({}, {});
  const TaskInfo self = task_of(getpid());
  symbols.seen(self, own_stack(), {});
  const StackNames names = symbols.name("1", {growth(self, own_stack())}, 10s);
  ASSERT_FALSE(names.pending);
  ASSERT_EQ(names.stacks.size(), 1U);
  const auto& frames = names.stacks[0].frames;
  ASSERT_EQ(frames.size(), 2U);
  EXPECT_EQ(frames[0].name, "memcrest_test_inner");
  EXPECT_EQ(frames[1].name, "memcrest_test_outer");
  EXPECT_THAT(frames[0].module, HasSubstr("symbolizer_test"));
  EXPECT_GE(frames[0].build_id.size(), 16U);
  EXPECT_NE(frames[0].offset, 0U);
  EXPECT_THAT(names.stacks[0].gap, HasSubstr("callers"));
  EXPECT_EQ(names.gap, "");
}

TEST(Symbolizer, AndOfOneThatHasDied) {
  Symbolizer symbols({}, {});
  const pid_t child = fork();
  if (child == 0) {
    for (;;) {
      pause();
    }
  }
  const TaskInfo task = task_of(child);
  symbols.seen(task, own_stack(), {});
  settle(symbols, 1);
  ASSERT_EQ(symbols.status().stacks, 1U);
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  const StackNames names = symbols.name("1", {growth(task, own_stack())}, 10s);
  ASSERT_EQ(names.stacks.size(), 1U);
  EXPECT_EQ(names.stacks[0].frames.at(1).name, "memcrest_test_outer");
}

TEST(Symbolizer, OneThatWasNeverLookedAtHasNoNamesAndSaysSo) {
  Symbolizer symbols({}, {});
  TaskInfo nobody = task_of(getpid());
  nobody.process.start_ns += 1'000'000'000'000;  // another process of this pid
  symbols.seen(nobody, own_stack(), {});
  const StackNames names = symbols.name("1", {growth(nobody, own_stack())}, 10s);
  ASSERT_EQ(names.stacks.size(), 1U);
  EXPECT_TRUE(names.stacks[0].frames.empty());
  EXPECT_THAT(names.gap, HasSubstr("gone"));
}

TEST(Symbolizer, JunkIsTrimmed) {
  Symbolizer symbols({}, {});
  const TaskInfo self = task_of(getpid());
  auto stack = own_stack();
  stack.push_back(stack[0] + 3);  // code, but behind no call
  stack.push_back(stack[1]);
  symbols.seen(self, stack, {});
  stack.resize(4);
  auto other = own_stack();
  other.push_back(0x1234);  // no code
  symbols.seen(self, other, {});
  const StackNames names = symbols.name("1", {growth(self, stack), growth(self, other)}, 10s);
  ASSERT_EQ(names.stacks.size(), 2U);
  for (const NamedStack& one : names.stacks) {
    EXPECT_EQ(one.frames.size(), 2U);
    EXPECT_THAT(one.gap, HasSubstr("without frame pointers"));
  }
}

TEST(Symbolizer, ANewProgramOfAProcessIsLookedAtAgain) {
  Symbolizer symbols({}, {});
  const TaskInfo self = task_of(getpid());
  symbols.seen(self, own_stack(), {});
  settle(symbols, 1);
  EXPECT_EQ(symbols.status().processes, 1U);
  symbols.started(self.process);
  for (int i = 0; i < 500 && symbols.status().processes > 0; ++i) {
    std::this_thread::sleep_for(10ms);
  }
  EXPECT_EQ(symbols.status().processes, 0U);
  EXPECT_EQ(symbols.status().stacks, 1U) << "what was seen of the old program holds";
}

TEST(Symbolizer, BoundsHoldAndAreTold) {
  SymbolizerSettings settings;
  settings.max_stacks = 10;
  settings.max_queue = 100'000;
  Symbolizer symbols(settings, {});
  const TaskInfo self = task_of(getpid());
  for (std::uint64_t i = 0; i < 100; ++i) {
    symbols.seen(self, {own_stack()[0] + i}, {});
  }
  const StackNames names = symbols.name("1", {growth(self, {own_stack()[0] + 99})}, 10s);
  EXPECT_EQ(symbols.status().stacks, 10U);
  EXPECT_EQ(symbols.status().left_out, 90U);
  EXPECT_NE(names.gap, "");
}

TEST(Symbolizer, AnAnswerIsGivenOnce) {
  Symbolizer symbols({}, {});
  EXPECT_FALSE(symbols.name("1", {}, 10s).pending);
  EXPECT_TRUE(symbols.name("2", {}, 0ms).stacks.empty());
}

}  // namespace
}  // namespace memcrest
