// SPDX-License-Identifier: Apache-2.0
// Stacks of this process, built without frame pointers, against the C library's own unwinder.
#include "symbol/stack_unwinder.h"

#include <execinfo.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <set>
#include <thread>

#include "event/memory_source.h"
#include "symbol/unwind_expression.h"
#include "symbol/unwinding_source.h"
#include "util/process_start.h"

namespace memcrest {
namespace {

using namespace std::chrono_literals;

struct Taken {
  StackCopy copy;
  std::vector<std::uint64_t> expected;  // return addresses
};
Taken taken;  // NOLINT: also by a signal handler

#ifdef __x86_64__
#ifdef __clang__
#define WITHOUT_FRAME_POINTER __attribute__((noinline))
#else
#define WITHOUT_FRAME_POINTER __attribute__((noinline, optimize("omit-frame-pointer")))
#endif

// Other functions' frames, which sanitizers would guard.
__attribute__((noinline, no_sanitize("address"))) void copy_words(volatile std::uint64_t* to, std::uint64_t from,
                                                                  std::size_t bytes) {
  const auto* words = reinterpret_cast<const volatile std::uint64_t*>(from);
  for (std::size_t i = 0; i < bytes / sizeof(std::uint64_t); ++i) {
    to[i] = words[i];
  }
}

// As the kernel side does it: registers and the stack above them.
WITHOUT_FRAME_POINTER void take_here() {
  auto& r = taken.copy.registers;
  asm volatile(
      "movq %%rbx, 24(%0)\n movq %%rbp, 48(%0)\n movq %%rsp, 56(%0)\n movq %%r12, 96(%0)\n movq %%r13, 104(%0)\n"
      "movq %%r14, 112(%0)\n movq %%r15, 120(%0)\n leaq 0(%%rip), %%rax\n movq %%rax, 128(%0)\n"
      :
      : "r"(r.data())
      : "rax", "memory");
  taken.copy.tid = static_cast<std::uint32_t>(gettid());
  taken.copy.begin = r[kStackPointer] & ~511ULL;
  const std::uint64_t top = (r[kStackPointer] | 4095U) + 1;  // at least, of the page
  taken.copy.bytes.assign(top + 4096 - taken.copy.begin, '\0');
  copy_words(reinterpret_cast<volatile std::uint64_t*>(taken.copy.bytes.data()), taken.copy.begin,
             taken.copy.bytes.size());
  void* addresses[64];
  const int count = backtrace(addresses, 64);
  taken.expected.clear();
  const void* const caller = __builtin_return_address(0);
  // Sanitizers put a frame of their own in between.
  for (const void* const* one = std::find(addresses, addresses + count, caller); one != addresses + count; ++one) {
    taken.expected.push_back(reinterpret_cast<std::uint64_t>(*one));
  }
}

WITHOUT_FRAME_POINTER int middle(int depth) {
  volatile char room[96] = {};
  room[0] = static_cast<char>(depth);
  if (depth == 0) {
    take_here();
  } else {
    room[1] = static_cast<char>(middle(depth - 1));
  }
  return room[0] + 1;
}

class Code {
 public:
  explicit Code(pid_t pid = getpid()) {
    task_.process = {static_cast<std::uint32_t>(pid), process_start_ns("/proc/" + std::to_string(pid)).value_or(0)};
    task_.tid = task_.ns_tgid = task_.process.tgid;
    code_ = look_at_process("/proc", task_, {}, modules_);
  }
  const ProcessCode* at(std::uint64_t address) {
    static_cast<void>(open_modules("/proc", task_, {address}, modules_, code_));
    return &code_;
  }
  [[nodiscard]] const TaskInfo& task() const { return task_; }

 private:
  TaskInfo task_;
  ModuleTable modules_{64, {}};
  ProcessCode code_;
};

std::vector<std::uint64_t> unwind(const StackCopy& copy, std::size_t deepest = 32) {
  Code code;
  StackUnwinder unwinder;
  return unwinder.unwind(copy, [&](std::uint64_t address) { return code.at(address); }, deepest);
}

std::vector<std::uint64_t> first(const std::vector<std::uint64_t>& all, std::size_t from, std::size_t count) {
  return {all.begin() + static_cast<std::ptrdiff_t>(std::min(from, all.size())),
          all.begin() + static_cast<std::ptrdiff_t>(std::min(from + count, all.size()))};
}

TEST(StackUnwinder, FindsTheCallersThatTheCLibraryFinds) {
  EXPECT_EQ(middle(6), 7);
  const auto stack = unwind(taken.copy);
  ASSERT_GE(stack.size(), 9U);
  ASSERT_GE(taken.expected.size(), 9U);
  EXPECT_EQ(first(stack, 1, 8), first(taken.expected, 0, 8));
}

TEST(StackUnwinder, StopsAtTheDepthAskedFor) {
  EXPECT_EQ(middle(6), 7);
  EXPECT_EQ(unwind(taken.copy, 4).size(), 4U);
}

TEST(StackUnwinder, StopsWhereTheCopyEnds) {
  EXPECT_EQ(middle(6), 7);
  const auto whole = unwind(taken.copy);
  std::set<std::size_t> depths;
  StackCopy copy = taken.copy;
  for (std::size_t above = 128; above < 4096; above += 128) {
    copy.bytes = taken.copy.bytes.substr(0, copy.registers[kStackPointer] - copy.begin + above);
    const auto stack = unwind(copy);
    EXPECT_EQ(stack, first(whole, 0, stack.size())) << above;
    depths.insert(stack.size());
  }
  EXPECT_GE(depths.size(), 3U) << "a longer copy tells more";
  EXPECT_LT(*depths.begin(), whole.size());
  copy.bytes.clear();
  EXPECT_EQ(unwind(copy).size(), 1U);
}

TEST(StackUnwinder, RegistersOfAnyValueEnd) {
  EXPECT_EQ(middle(2), 3);
  for (std::uint64_t i = 0; i < 2000; ++i) {
    StackCopy copy = taken.copy;
    const std::uint64_t number = i % kUnwindRegisters;
    copy.registers[number] ^= (i * 0x9e3779b97f4a7c15ULL) >> (i % 60);
    copy.bytes[(i * 97) % copy.bytes.size()] = static_cast<char>(i);
    EXPECT_LE(unwind(copy).size(), 32U);
    i += 50;
  }
}

void on_signal(int /*number*/) { static_cast<void>(middle(1)); }

TEST(StackUnwinder, GoesThroughAFrameOfASignal) {
  std::signal(SIGUSR1, on_signal);
  ASSERT_EQ(std::raise(SIGUSR1), 0);
  const auto stack = unwind(taken.copy);
  ASSERT_GE(taken.expected.size(), 7U);
  EXPECT_EQ(first(stack, 1, 6), first(taken.expected, 0, 6));
}

TEST(UnwindingSource, GivesStepsTheirCallersAndKeepsTheOrder) {
  EXPECT_EQ(middle(6), 7);
  Code code;
  std::vector<Event> events;
  for (std::uint64_t time = 1; time <= 20; ++time) {
    StepEvent step;
    step.time_ns = time;
    step.task = code.task();
    step.user_stack = {taken.copy.registers.back()};
    if (time % 2 == 0) {
      step.stack_copy = std::make_shared<StackCopy>(taken.copy);
    }
    if (time == 4) {
      step.user_stack = {1};  // of another moment
    }
    events.emplace_back(step);
  }
  MemorySource inner(events);
  UnwindingSource source(inner, {});
  std::vector<Event> out;
  for (int i = 0; i < 200 && out.size() < 20; ++i) {
    if (source.poll(5ms, out) == EventSource::Status::kEnd) {
      break;
    }
  }
  ASSERT_EQ(out.size(), 20U);
  for (std::uint64_t time = 1; time <= 20; ++time) {
    const auto& step = std::get<StepEvent>(out[time - 1]);
    EXPECT_EQ(step.time_ns, time);
    EXPECT_EQ(step.unwound, time % 2 == 0 && time != 4) << time;
    EXPECT_EQ(step.stack_copy, nullptr);
    if (step.unwound) {
      EXPECT_EQ(first(step.user_stack, 1, 8), first(taken.expected, 0, 8));
    }
  }
  EXPECT_EQ(source.status().unwound, 9U);
}

TEST(UnwindingSource, AProcessThatIsGoneKeepsWhatItsFramePointersTold) {
  EXPECT_EQ(middle(1), 2);
  StepEvent step;
  step.task = Code().task();
  step.task.process.start_ns += 1'000'000'000'000;
  step.user_stack = {taken.copy.registers.back(), 2, 3};
  step.stack_copy = std::make_shared<StackCopy>(taken.copy);
  MemorySource inner({step});
  UnwindingSource source(inner, {});
  std::vector<Event> out;
  for (int i = 0; i < 100 && out.empty(); ++i) {
    static_cast<void>(source.poll(5ms, out));
  }
  ASSERT_EQ(out.size(), 1U);
  EXPECT_FALSE(std::get<StepEvent>(out[0]).unwound);
  EXPECT_EQ(std::get<StepEvent>(out[0]).user_stack, step.user_stack);
  EXPECT_EQ(source.status().left_out, 1U);
}
#endif

TEST(UnwindExpression, OfAProcedureLinkageTable) {
  // rsp + 8 + ((rip & 15) >= 11) * 8
  constexpr std::string_view kPlt("\x77\x08\x80\x00\x3f\x1a\x3b\x2a\x33\x24\x22", 11);
  std::array<std::uint64_t, kUnwindRegisters> registers{};
  registers[kStackPointer] = 100;
  registers[kReturnAddress] = 0x1000;
  EXPECT_EQ(evaluate(kPlt, registers, {}, std::nullopt), 108U);
  registers[kReturnAddress] = 0x100b;
  EXPECT_EQ(evaluate(kPlt, registers, {}, std::nullopt), 116U);
}

TEST(UnwindExpression, WhatIsNoneIsRefused) {
  const std::array<std::uint64_t, kUnwindRegisters> registers{};
  EXPECT_EQ(evaluate("", registers, {}, std::nullopt), std::nullopt);
  EXPECT_EQ(evaluate("\x22", registers, {}, 1), std::nullopt) << "plus of one";
  EXPECT_EQ(evaluate("\x06", registers, {}, 1), std::nullopt) << "memory that is not there";
  EXPECT_EQ(evaluate("\xff", registers, {}, 1), std::nullopt) << "not known";
  EXPECT_EQ(evaluate(std::string(40, '\x12'), registers, {}, 1), std::nullopt) << "deeper than anybody needs";
}

}  // namespace
}  // namespace memcrest
