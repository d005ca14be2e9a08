// SPDX-License-Identifier: Apache-2.0
// The contract between both compilers, checked against BTF: the records as clang laid them out for the BPF target, and
// the kernel types of vmlinux/kernel.h against the running kernel.
#include <bpf/btf.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <memory>
#include <string>

#include "memcrest/abi/records.h"
#include "memcrest/abi/state.h"

namespace {

struct BtfDeleter {
  void operator()(btf* handle) const { btf__free(handle); }
};
using Btf = std::unique_ptr<btf, BtfDeleter>;

const btf_type* find_struct(const btf* types, const char* name) {
  const int id = btf__find_by_name_kind(types, name, BTF_KIND_STRUCT);
  return id > 0 ? btf__type_by_id(types, static_cast<__u32>(id)) : nullptr;
}

// Byte offset of a member, -1 without one. Looks into anonymous structs and unions.
long find_member(const btf* types, const btf_type* type, const std::string& name) {
  for (__u32 i = 0; i < btf_vlen(type); ++i) {
    const btf_member& member = btf_members(type)[i];
    const char* own = btf__name_by_offset(types, member.name_off);
    const long offset = btf_member_bit_offset(type, i) / 8;
    if (name == own) {
      return offset;
    }
    if (*own != '\0') {
      continue;
    }
    const int inner = btf__resolve_type(types, member.type);
    const btf_type* inner_type = btf__type_by_id(types, static_cast<__u32>(inner));
    if (btf_is_composite(inner_type)) {
      if (const long found = find_member(types, inner_type, name); found >= 0) {
        return offset + found;
      }
    }
  }
  return -1;
}

class ObjectLayout : public testing::Test {
 protected:
  void SetUp() override {
    types_.reset(btf__parse(MEMCREST_BPF_OBJECT, nullptr));
    ASSERT_NE(types_, nullptr) << MEMCREST_BPF_OBJECT;
  }
  void expect_size(const char* name, std::size_t size, std::size_t members) {
    const btf_type* type = find_struct(types_.get(), name);
    ASSERT_NE(type, nullptr) << name;
    EXPECT_EQ(type->size, size) << name;
    // A member that was added without a line here would go unchecked.
    EXPECT_EQ(btf_vlen(type), members) << name;
  }
  void expect_member(const char* name, const char* member, std::size_t offset) {
    const btf_type* type = find_struct(types_.get(), name);
    ASSERT_NE(type, nullptr) << name;
    EXPECT_EQ(find_member(types_.get(), type, member), static_cast<long>(offset)) << name << "." << member;
  }
  Btf types_;
};

#define SIZE(type, members) expect_size(#type, sizeof(type), members)
#define MEMBER(type, member) expect_member(#type, #member, offsetof(type, member))

TEST_F(ObjectLayout, Header) {
  SIZE(memcrest_header, 7);
  MEMBER(memcrest_header, type);
  MEMBER(memcrest_header, abi);
  MEMBER(memcrest_header, size);
  MEMBER(memcrest_header, cpu);
  MEMBER(memcrest_header, pad);
  MEMBER(memcrest_header, time_ns);
  MEMBER(memcrest_header, seq);
}

TEST_F(ObjectLayout, Task) {
  SIZE(memcrest_task, 8);
  MEMBER(memcrest_task, tgid);
  MEMBER(memcrest_task, tid);
  MEMBER(memcrest_task, ns_tgid);
  MEMBER(memcrest_task, uid);
  MEMBER(memcrest_task, start_time_ns);
  MEMBER(memcrest_task, cgroup_id);
  MEMBER(memcrest_task, comm);
  MEMBER(memcrest_task, thread_comm);
}

TEST_F(ObjectLayout, Step) {
  SIZE(memcrest_step, 17);
  MEMBER(memcrest_step, reclaim_ns);
  MEMBER(memcrest_step, throttle_ns);
  MEMBER(memcrest_step, oom_events);
  MEMBER(memcrest_step, h);
  MEMBER(memcrest_step, cgroup_id);
  MEMBER(memcrest_step, serial);
  MEMBER(memcrest_step, usage_bytes);
  MEMBER(memcrest_step, watermark_bytes);
  MEMBER(memcrest_step, limit_bytes);
  MEMBER(memcrest_step, quantum_bytes);
  MEMBER(memcrest_step, suppressed);
  MEMBER(memcrest_step, flags);
  MEMBER(memcrest_step, user_frames);
  MEMBER(memcrest_step, kernel_frames);
  MEMBER(memcrest_step, task);
  MEMBER(memcrest_step, user_stack);
  MEMBER(memcrest_step, kernel_stack);
}

TEST_F(ObjectLayout, Stack) {
  SIZE(memcrest_stack, 6);
  MEMBER(memcrest_stack, h);
  MEMBER(memcrest_stack, begin);
  MEMBER(memcrest_stack, tid);
  MEMBER(memcrest_stack, used);
  MEMBER(memcrest_stack, registers);
  MEMBER(memcrest_stack, bytes);
}

TEST_F(ObjectLayout, OomAndVictim) {
  SIZE(memcrest_memcg, 15);
  MEMBER(memcrest_memcg, reclaim_ns);
  MEMBER(memcrest_memcg, throttle_ns);
  MEMBER(memcrest_memcg, limit_bytes);
  MEMBER(memcrest_memcg, oom_events);
  MEMBER(memcrest_memcg, flags);
  MEMBER(memcrest_memcg, name);
  SIZE(memcrest_chain, 3);
  MEMBER(memcrest_chain, entry);
  SIZE(memcrest_oom, 10);
  MEMBER(memcrest_oom, trigger);
  MEMBER(memcrest_oom, memcg_id);
  MEMBER(memcrest_oom, order);
  MEMBER(memcrest_oom, chosen_tgid);
  MEMBER(memcrest_oom, chain);
  SIZE(memcrest_relative, 5);
  MEMBER(memcrest_relative, tgid);
  MEMBER(memcrest_relative, ns_tgid);
  MEMBER(memcrest_relative, start_time_ns);
  MEMBER(memcrest_relative, cgroup_id);
  MEMBER(memcrest_relative, comm);
  SIZE(memcrest_victim, 19);
  MEMBER(memcrest_victim, parents_used);
  MEMBER(memcrest_victim, parents_end);
  MEMBER(memcrest_victim, parent_cgroup_id);
  MEMBER(memcrest_victim, init);
  MEMBER(memcrest_victim, parents);
  MEMBER(memcrest_victim, task);
  MEMBER(memcrest_victim, anon_bytes);
  MEMBER(memcrest_victim, pagetable_bytes);
  MEMBER(memcrest_victim, oom_score_adj);
  MEMBER(memcrest_victim, chain);
  MEMBER(memcrest_victim, kernel_stack);
  MEMBER(memcrest_victim, user_stack);
}

TEST_F(ObjectLayout, OtherRecords) {
  SIZE(memcrest_exec, 7);
  MEMBER(memcrest_exec, exe);
  MEMBER(memcrest_exec, cmdline_total);
  MEMBER(memcrest_exec, cmdline);
  SIZE(memcrest_throttle, 5);
  MEMBER(memcrest_throttle, window_ns);
  SIZE(memcrest_kill, 6);
  MEMBER(memcrest_kill, target);
  MEMBER(memcrest_kill, signal);
  MEMBER(memcrest_kill, code);
  SIZE(memcrest_cgroup, 8);
  MEMBER(memcrest_cgroup, parent_id);
  MEMBER(memcrest_cgroup, watermark_bytes);
  MEMBER(memcrest_cgroup, path);
  SIZE(memcrest_exit, 4);
  MEMBER(memcrest_exit, exit_code);
  SIZE(memcrest_failed, 12);
  MEMBER(memcrest_failed, task);
  MEMBER(memcrest_failed, count);
  MEMBER(memcrest_failed, gfp_mask);
  MEMBER(memcrest_failed, error);
  MEMBER(memcrest_failed, kernel_frames);
  MEMBER(memcrest_failed, chain);
  MEMBER(memcrest_failed, kernel_stack);
  SIZE(memcrest_hit, 13);
  MEMBER(memcrest_hit, limit_bytes);
  MEMBER(memcrest_hit, error);
  MEMBER(memcrest_hit, kernel_frames);
  MEMBER(memcrest_hit, task);
  MEMBER(memcrest_hit, user_stack);
  MEMBER(memcrest_hit, kernel_stack);
}

TEST_F(ObjectLayout, MapValues) {
  SIZE(memcrest_slot, 4);
  MEMBER(memcrest_slot, peak);
  SIZE(memcrest_entry, 13);
  MEMBER(memcrest_entry, throttle_ns);
  SIZE(memcrest_stall, 3);
  MEMBER(memcrest_stall, reclaimed_ns);
  SIZE(memcrest_failure, 4);
  MEMBER(memcrest_failure, told_ns);
  MEMBER(memcrest_entry, last_wake_ns);
  SIZE(memcrest_line, 5);
  MEMBER(memcrest_line, flags);
  SIZE(memcrest_hit_key, 3);
  MEMBER(memcrest_hit_key, tgid);
  SIZE(memcrest_hit_state, 4);
  MEMBER(memcrest_hit_state, signal);
  SIZE(memcrest_counters, 4);
  MEMBER(memcrest_counters, dropped_throttle);
  SIZE(memcrest_stats, 5);
  MEMBER(memcrest_stats, not_memcg);
}

// What the kernel side takes for granted about the kernel it runs on.
class KernelLayout : public testing::Test {
 protected:
  void SetUp() override {
    types_.reset(btf__parse("/sys/kernel/btf/vmlinux", nullptr));
    if (!types_) {
      GTEST_SKIP() << "this kernel offers no BTF";
    }
  }
  void expect_members(const char* name, std::initializer_list<const char*> members) {
    const btf_type* type = find_struct(types_.get(), name);
    ASSERT_NE(type, nullptr) << name;
    for (const char* member : members) {
      EXPECT_GE(find_member(types_.get(), type, member), 0) << name << "." << member;
    }
  }
  Btf types_;
};

TEST_F(KernelLayout, MemCgroupBeginsWithItsCss) {
  const btf_type* type = find_struct(types_.get(), "mem_cgroup");
  ASSERT_NE(type, nullptr);
  EXPECT_EQ(find_member(types_.get(), type, "css"), 0);
}

TEST_F(KernelLayout, EveryMemberThatWeReadExists) {
  expect_members("mem_cgroup", {"css", "memory", "swap", "oom_group", "memory_events_local"});
  expect_members("page_counter", {"usage", "failcnt", "watermark", "high", "max", "parent"});
  expect_members("cgroup_subsys_state", {"cgroup", "ss", "serial_nr", "parent"});
  expect_members("cgroup", {"kn", "subsys", "level"});
  expect_members("css_set", {"subsys"});
  expect_members("kernfs_node", {"name", "id"});
  expect_members("task_struct", {"flags", "pid", "tgid", "exit_code", "start_boottime", "comm", "group_leader",
                                 "real_parent", "mm", "signal", "thread_pid", "real_cred", "cgroups"});
  expect_members("mm_struct", {"rss_stat", "pgtables_bytes", "arg_start", "arg_end"});
  expect_members("signal_struct", {"live", "flags", "oom_score_adj"});
  expect_members("oom_control", {"memcg", "gfp_mask", "order", "totalpages", "chosen", "constraint"});
  expect_members("pid", {"level", "numbers"});
  expect_members("upid", {"nr", "ns"});
  expect_members("pid_namespace", {"child_reaper"});
  expect_members("linux_binprm", {"interp"});
}

}  // namespace
