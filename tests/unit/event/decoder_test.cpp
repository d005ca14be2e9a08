// SPDX-License-Identifier: Apache-2.0
#include "event/decoder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <cstring>
#include <random>

#include "memcrest/abi/records.h"

namespace memcrest {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

template <typename Record>
Record make(std::uint16_t type) {
  Record record;
  std::memset(&record, 0, sizeof(record));
  record.h.type = type;
  record.h.abi = MEMCREST_ABI_VERSION;
  record.h.size = sizeof(record);
  record.h.time_ns = 42;
  return record;
}

template <typename Record>
std::span<const std::byte> bytes_of(const Record& record) {
  return {reinterpret_cast<const std::byte*>(&record), sizeof(record)};
}

std::string error_of(std::span<const std::byte> bytes) {
  const auto event = decode(bytes);
  return event ? "decoded" : event.error().message();
}

TEST(Decoder, Step) {
  auto record = make<memcrest_step>(MEMCREST_REC_STEP);
  record.cgroup_id = 77;
  record.usage_bytes = 4096;
  record.limit_bytes = MEMCREST_NO_LIMIT;
  record.flags = MEMCREST_STEP_UP | MEMCREST_STEP_ANCESTOR;
  record.user_frames = 2;
  record.user_stack[0] = 0xa;
  record.user_stack[1] = 0xb;
  record.task.tgid = 5;
  std::memcpy(record.task.comm, "0123456789abcdef", 16);  // no closing NUL
  const auto event = decode(bytes_of(record));
  ASSERT_TRUE(event);
  const auto& step = std::get<StepEvent>(*event);
  EXPECT_EQ(step.time_ns, 42U);
  EXPECT_EQ(step.cgroup_id, 77U);
  EXPECT_FALSE(step.limit_bytes);
  EXPECT_TRUE(step.up);
  EXPECT_FALSE(step.down);
  EXPECT_TRUE(step.ancestor);
  EXPECT_FALSE(step.foreign);
  EXPECT_EQ(step.task.comm, "0123456789abcdef");
  EXPECT_THAT(step.user_stack, ElementsAre(0xa, 0xb));
  EXPECT_TRUE(step.kernel_stack.empty());
}

TEST(Decoder, VictimWithChain) {
  auto record = make<memcrest_victim>(MEMCREST_REC_VICTIM);
  record.anon_bytes = 1 << 20;
  record.chain.used = 2;
  record.chain.total = 3;
  record.chain.entry[0].limit_bytes = 64 << 20;
  record.chain.entry[1].limit_bytes = MEMCREST_NO_LIMIT;
  record.chain.entry[0].flags = MEMCREST_MEMCG_OOM_GROUP;
  std::strcpy(record.chain.entry[0].name, "leaf");
  record.kernel_frames = 1;
  record.kernel_stack[0] = 0xffff0000;
  const auto event = decode(bytes_of(record));
  ASSERT_TRUE(event);
  const auto& victim = std::get<VictimEvent>(*event);
  ASSERT_EQ(victim.chain.entries.size(), 2U);
  EXPECT_EQ(victim.chain.total, 3U);
  EXPECT_EQ(victim.chain.entries[0].limit_bytes, 64U << 20U);
  EXPECT_TRUE(victim.chain.entries[0].oom_group);
  EXPECT_EQ(victim.chain.entries[0].name, "leaf");
  EXPECT_FALSE(victim.chain.entries[1].limit_bytes);
  EXPECT_THAT(victim.kernel_stack, ElementsAre(0xffff0000));
  EXPECT_FALSE(victim.memcg_oom);
}

TEST(Decoder, WhereAVictimComesFrom) {
  auto record = make<memcrest_victim>(MEMCREST_REC_VICTIM);
  auto event = decode(bytes_of(record));
  ASSERT_TRUE(event);
  EXPECT_TRUE(std::get<VictimEvent>(*event).parents.empty());
  EXPECT_EQ(std::get<VictimEvent>(*event).parents_end, ParentsEnd::kUnknown);
  EXPECT_FALSE(std::get<VictimEvent>(*event).init);
  record.parents_used = 2;
  record.parents_end = MEMCREST_PARENTS_INIT;
  record.parent_cgroup_id = 9;
  record.parents[0].tgid = 40;
  record.parents[0].ns_tgid = 12;
  record.parents[0].start_time_ns = 4000;
  record.parents[0].cgroup_id = 7;
  std::memcpy(record.parents[0].comm, "0123456789abcdef", 16);  // no closing NUL
  record.parents[1].tgid = 30;
  record.parents[2].tgid = 99;  // beyond what is used
  record.init = record.parents[1];
  event = decode(bytes_of(record));
  ASSERT_TRUE(event);
  const auto& victim = std::get<VictimEvent>(*event);
  ASSERT_EQ(victim.parents.size(), 2U);
  EXPECT_EQ(victim.parents[0].process, (ProcessKey{40, 4000}));
  EXPECT_EQ(victim.parents[0].ns_tgid, 12U);
  EXPECT_EQ(victim.parents[0].cgroup_id, 7U);
  EXPECT_EQ(victim.parents[0].comm, "0123456789abcdef");
  EXPECT_EQ(victim.parents_end, ParentsEnd::kInit);
  EXPECT_EQ(victim.parent_cgroup_id, 9U);
  EXPECT_EQ(victim.init->process.tgid, 30U);
  record.parents_end = MEMCREST_PARENTS_OUTSIDE;
  record.parents_used = MEMCREST_PARENTS_LEN;
  event = decode(bytes_of(record));
  ASSERT_TRUE(event);
  EXPECT_EQ(std::get<VictimEvent>(*event).parents_end, ParentsEnd::kOutside);
  EXPECT_EQ(std::get<VictimEvent>(*event).parents.size(), static_cast<std::size_t>(MEMCREST_PARENTS_LEN));
  record.parents_used = MEMCREST_PARENTS_LEN + 1;
  EXPECT_THAT(error_of(bytes_of(record)), HasSubstr("parents"));
  record.parents_used = 0;
  record.parents_end = MEMCREST_PARENTS_OUTSIDE + 1;
  EXPECT_THAT(error_of(bytes_of(record)), HasSubstr("parents"));
}

TEST(Decoder, APathThatWasCutIsNoPath) {
  auto record = make<memcrest_exec>(MEMCREST_REC_EXEC);
  std::strcpy(record.exe, "/usr/bin/hog");
  auto event = decode(bytes_of(record));
  ASSERT_TRUE(event);
  EXPECT_EQ(std::get<ExecEvent>(*event).exe, "/usr/bin/hog");
  for (const std::size_t length : {sizeof(record.exe), sizeof(record.exe) - 1}) {
    std::memset(record.exe, 0, sizeof(record.exe));
    std::memset(record.exe, 'x', length);
    event = decode(bytes_of(record));
    ASSERT_TRUE(event);
    EXPECT_EQ(std::get<ExecEvent>(*event).exe, "");
  }
}

TEST(Decoder, ChainLongerThanItsFieldIsCut) {
  auto record = make<memcrest_oom>(MEMCREST_REC_OOM);
  record.chain.used = 4000000000U;
  const auto event = decode(bytes_of(record));
  ASSERT_TRUE(event);
  EXPECT_EQ(std::get<OomEvent>(*event).chain.entries.size(), static_cast<std::size_t>(MEMCREST_CHAIN_LEN));
}

TEST(Decoder, OomConstraints) {
  auto record = make<memcrest_oom>(MEMCREST_REC_OOM);
  record.constraint = MEMCREST_CONSTRAINT_MEMCG;
  record.order = -1;
  record.total_bytes = MEMCREST_UNKNOWN;
  const auto event = decode(bytes_of(record));
  ASSERT_TRUE(event);
  EXPECT_EQ(std::get<OomEvent>(*event).constraint, Constraint::kMemcg);
  EXPECT_EQ(std::get<OomEvent>(*event).order, -1);
  EXPECT_FALSE(std::get<OomEvent>(*event).total_bytes);
  record.constraint = 9;
  EXPECT_THAT(error_of(bytes_of(record)), HasSubstr("constraint"));
}

TEST(Decoder, ExecKillThrottleExit) {
  auto exec = make<memcrest_exec>(MEMCREST_REC_EXEC);
  exec.cmdline_len = 5;
  exec.cmdline_total = 900;
  std::memcpy(exec.cmdline, "a\0b\0c", 5);
  auto event = decode(bytes_of(exec));
  ASSERT_TRUE(event);
  EXPECT_EQ(std::get<ExecEvent>(*event).cmdline, std::string("a\0b\0c", 5));
  EXPECT_TRUE(std::get<ExecEvent>(*event).cmdline_cut);
  exec.cmdline_len = MEMCREST_CMDLINE_LEN + 1;
  EXPECT_THAT(error_of(bytes_of(exec)), HasSubstr("command line"));

  auto kill = make<memcrest_kill>(MEMCREST_REC_KILL);
  kill.flags = MEMCREST_KILL_KERNEL;
  kill.signal = 9;
  event = decode(bytes_of(kill));
  ASSERT_TRUE(event);
  EXPECT_TRUE(std::get<KillEvent>(*event).from_kernel);
  EXPECT_FALSE(std::get<KillEvent>(*event).to_group);

  auto throttle = make<memcrest_throttle>(MEMCREST_REC_THROTTLE);
  throttle.window_ns = 5;
  event = decode(bytes_of(throttle));
  ASSERT_TRUE(event);
  EXPECT_EQ(std::get<ThrottleEvent>(*event).window_ns, 5U);

  auto exit = make<memcrest_exit>(MEMCREST_REC_EXIT);
  exit.exit_code = 9;
  event = decode(bytes_of(exit));
  ASSERT_TRUE(event);
  EXPECT_EQ(std::get<ExitEvent>(*event).exit_code, 9);
}

TEST(Decoder, Cgroup) {
  auto record = make<memcrest_cgroup>(MEMCREST_REC_CGROUP);
  record.op = MEMCREST_CGROUP_MKDIR;
  record.path_len = 7;
  std::memcpy(record.path, "/docker", 7);
  auto event = decode(bytes_of(record));
  ASSERT_TRUE(event);
  EXPECT_TRUE(std::get<CgroupEvent>(*event).created);
  EXPECT_EQ(std::get<CgroupEvent>(*event).path, "/docker");
  EXPECT_FALSE(std::get<CgroupEvent>(*event).path_cut);
  record.path_len = MEMCREST_PATH_LEN - 1;
  event = decode(bytes_of(record));
  ASSERT_TRUE(event);
  EXPECT_TRUE(std::get<CgroupEvent>(*event).path_cut);
  record.path_len = MEMCREST_PATH_LEN;
  EXPECT_THAT(error_of(bytes_of(record)), HasSubstr("path"));
  record.path_len = 1;
  record.op = 3;
  EXPECT_THAT(error_of(bytes_of(record)), HasSubstr("operation"));
}

TEST(Decoder, RefusesWhatIsNotARecord) {
  auto record = make<memcrest_step>(MEMCREST_REC_STEP);
  EXPECT_THAT(error_of({}), HasSubstr("shorter"));
  EXPECT_THAT(error_of(bytes_of(record).first(31)), HasSubstr("shorter"));
  EXPECT_THAT(error_of(bytes_of(record).first(100)), HasSubstr("size field"));
  record.h.abi = 999;
  EXPECT_THAT(error_of(bytes_of(record)), HasSubstr("ABI version 999"));
  record = make<memcrest_step>(200);
  EXPECT_THAT(error_of(bytes_of(record)), HasSubstr("unknown type 200"));
  record = make<memcrest_step>(MEMCREST_REC_KILL);
  EXPECT_THAT(error_of(bytes_of(record)), HasSubstr("kill record"));
  record = make<memcrest_step>(MEMCREST_REC_STEP);
  record.user_frames = MEMCREST_USER_FRAMES + 1;
  EXPECT_THAT(error_of(bytes_of(record)), HasSubstr("frames"));
}

// Any bytes give an event or an error, and touch nothing outside (ASan looks).
TEST(Decoder, SurvivesRandomBytes) {
  std::mt19937_64 random(20261122);
  const std::size_t sizes[] = {sizeof(memcrest_step),   sizeof(memcrest_exec),   sizeof(memcrest_throttle),
                               sizeof(memcrest_oom),    sizeof(memcrest_victim), sizeof(memcrest_kill),
                               sizeof(memcrest_cgroup), sizeof(memcrest_exit)};
  int decoded = 0;
  for (int round = 0; round < 20000; ++round) {
    const std::size_t type = random() % std::size(sizes);
    std::vector<std::byte> bytes(sizes[type]);
    for (std::byte& one : bytes) {
      one = static_cast<std::byte>(random());
    }
    memcrest_header header{};
    header.type = static_cast<std::uint16_t>(type + 1);
    header.abi = MEMCREST_ABI_VERSION;
    header.size = static_cast<std::uint32_t>(bytes.size());
    std::memcpy(bytes.data(), &header, sizeof(header));
    decoded += decode(bytes) ? 1 : 0;
  }
  EXPECT_GT(decoded, 0);
}

TEST(Decoder, RefusedCharges) {
  auto record = make<memcrest_failed>(MEMCREST_REC_FAILURE);
  record.cgroup_id = 7;
  record.serial = 8;
  record.count = 9;
  record.error = 12;
  record.gfp_mask = MEMCREST_UNKNOWN;
  record.bytes = 65536;
  record.kernel_frames = 1;
  record.kernel_stack[0] = 0xabc;
  record.chain.used = 1;
  record.chain.total = 1;
  record.chain.entry[0].reclaim_ns = 5;
  const auto event = decode(bytes_of(record));
  ASSERT_TRUE(event);
  const auto& failure = std::get<ChargeFailureEvent>(*event);
  EXPECT_EQ(failure.cgroup_id, 7U);
  EXPECT_EQ(failure.serial, 8U);
  EXPECT_EQ(failure.count, 9U);
  EXPECT_EQ(failure.error, 12);
  EXPECT_FALSE(failure.gfp_mask);
  EXPECT_EQ(failure.bytes, 65536U);
  EXPECT_THAT(failure.kernel_stack, ElementsAre(0xabc));
  EXPECT_EQ(failure.chain.entries.at(0).reclaim_ns, 5U);
  record.kernel_frames = MEMCREST_KERNEL_FRAMES + 1;
  EXPECT_THAT(error_of(bytes_of(record)), HasSubstr("more frames"));
}

TEST(Decoder, ABreakpointThatWasReached) {
  auto record = make<memcrest_hit>(MEMCREST_REC_HIT);
  record.cgroup_id = 7;
  record.line_bytes = 1000;
  record.usage_bytes = 1200;
  record.limit_bytes = MEMCREST_NO_LIMIT;
  record.signal = 19;
  record.error = -16;
  record.task.tgid = 5;
  record.task.tid = 6;
  record.user_frames = 1;
  record.user_stack[0] = 0xabc;
  const auto event = decode(bytes_of(record));
  ASSERT_TRUE(event);
  const auto& hit = std::get<BreakpointEvent>(*event);
  EXPECT_EQ(hit.cgroup_id, 7U);
  EXPECT_EQ(hit.line_bytes, 1000U);
  EXPECT_EQ(hit.usage_bytes, 1200U);
  EXPECT_FALSE(hit.limit_bytes);
  EXPECT_EQ(hit.signal, 19U);
  EXPECT_EQ(hit.error, 16);
  EXPECT_FALSE(hit.late);
  EXPECT_EQ(hit.task.tid, 6U);
  EXPECT_THAT(hit.user_stack, ElementsAre(0xabc));
  for (const std::int32_t odd : {1, -4096, std::numeric_limits<std::int32_t>::min()}) {
    record.error = odd;
    EXPECT_EQ(std::get<BreakpointEvent>(*decode(bytes_of(record))).error, EINVAL) << "no errno of the kernel's";
  }
  record.user_frames = MEMCREST_USER_FRAMES + 1;
  EXPECT_THAT(error_of(bytes_of(record)), HasSubstr("more frames"));
  record.user_frames = 1;
  record.signal = 65;
  EXPECT_THAT(error_of(bytes_of(record)), HasSubstr("no such signal"));
}

class StackCopiesTest : public testing::Test {
 protected:
  static memcrest_stack copy(std::uint32_t cpu, std::uint64_t seq, std::uint32_t used = 1024) {
    auto record = make<memcrest_stack>(MEMCREST_REC_STACK);
    record.h.cpu = cpu;
    record.h.seq = seq;
    record.h.size = static_cast<std::uint32_t>(offsetof(memcrest_stack, bytes)) + used;
    record.tid = 9;
    record.begin = 0x7000;
    record.used = used;
    record.registers[7] = 0x7010;
    record.bytes[3] = 0x5a;
    return record;
  }
  bool take(const memcrest_stack& record) {
    const auto taken = copies_.take(bytes_of(record).first(record.h.size));
    return taken.value_or(false);
  }
  std::shared_ptr<const StackCopy> given(std::uint32_t cpu, std::uint64_t seq, std::uint32_t tid = 9) {
    auto record = make<memcrest_step>(MEMCREST_REC_STEP);
    record.h.cpu = cpu;
    record.h.seq = seq;
    StepEvent step;
    step.task.tid = tid;
    copies_.give(bytes_of(record), step);
    return step.stack_copy;
  }
  StackCopies copies_;
};

TEST_F(StackCopiesTest, BelongToTheStepsThatFollowOnTheirCpu) {
  EXPECT_TRUE(take(copy(1, 10)));
  EXPECT_EQ(given(0, 11), nullptr) << "another CPU";
  const auto first = given(1, 11);
  ASSERT_NE(first, nullptr);
  EXPECT_EQ(first->begin, 0x7000U);
  EXPECT_EQ(first->bytes.size(), 1024U);
  EXPECT_EQ(first->bytes[3], 0x5a);
  EXPECT_EQ(first->registers[7], 0x7010U);
  EXPECT_EQ(given(1, 12), first) << "of an ancestor";
  EXPECT_EQ(given(1, 14), nullptr) << "something else came between";
  EXPECT_EQ(given(1, 15), nullptr);
}

TEST_F(StackCopiesTest, OfAnotherThreadAreNotGiven) {
  EXPECT_TRUE(take(copy(1, 10)));
  EXPECT_EQ(given(1, 11, 8), nullptr);
}

TEST_F(StackCopiesTest, WrongSizesAreRefused) {
  auto wrong = copy(1, 10);
  wrong.used = 4096;
  EXPECT_FALSE(copies_.take(bytes_of(wrong).first(wrong.h.size)));
  wrong = copy(1, 10, 0);
  wrong.h.size = sizeof(memcrest_header);
  EXPECT_FALSE(copies_.take(bytes_of(wrong).first(wrong.h.size)));
  const auto step = make<memcrest_step>(MEMCREST_REC_STEP);
  EXPECT_FALSE(copies_.take(bytes_of(step)).value_or(true)) << "no copy, and no error";
}

}  // namespace
}  // namespace memcrest
