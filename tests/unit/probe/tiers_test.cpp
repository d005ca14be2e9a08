// SPDX-License-Identifier: Apache-2.0
#include "probe/tiers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "probe/kallsyms.h"

namespace memcrest {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

// A kernel that allows hooks of these kinds, all but the programs named.
std::vector<Hook> kernel(std::initializer_list<const char*> kinds, std::initializer_list<const char*> without = {}) {
  std::vector<Hook> out = all_hooks();
  for (Hook& hook : out) {
    const bool allowed =
        std::ranges::find(kinds, hook.kind) != kinds.end() && std::ranges::find(without, hook.program) == without.end();
    hook.state = allowed ? HookState::kAvailable : HookState::kRefused;
    hook.reason = allowed ? "" : "not today";
  }
  return out;
}

LowerRungs with_bpf() { return {.bpf = true, .no_bpf_reason = {}, .kernel_log = true, .no_kmsg_reason = {}}; }

std::string best(const std::vector<Tier>& rungs) { return choose(rungs, std::nullopt)->name; }

TEST(Tiers, TheBestThatTheKernelAllows) {
  const auto all = build_ladder(kernel({"fexit", "fentry", "tp_btf", "raw_tp", "kprobe", "kretprobe"}), with_bpf());
  EXPECT_EQ(best(all.charge), "page_counter");
  EXPECT_EQ(best(all.oom), "oom_kill_process");
  EXPECT_THAT(all.charge.front().misses, IsEmpty());
  EXPECT_THAT(all.oom.front().misses, IsEmpty());
  const auto no_trampolines = build_ladder(kernel({"tp_btf", "raw_tp", "kprobe", "kretprobe"}), with_bpf());
  EXPECT_EQ(best(no_trampolines.charge), "page_counter-kprobe");
  EXPECT_EQ(best(no_trampolines.oom), "oom_kill_process-kprobe");
  const auto tracepoints = build_ladder(kernel({"tp_btf", "raw_tp"}), with_bpf());
  EXPECT_EQ(best(tracepoints.charge), "lru+state");
  EXPECT_EQ(best(tracepoints.oom), "mark_victim");
  const auto no_state = build_ladder(kernel({"tp_btf"}, {"on_mod_memcg_state"}), with_bpf());
  EXPECT_EQ(best(no_state.charge), "lru");
  const auto no_bpf = build_ladder(kernel({}), {.no_bpf_reason = "no BTF", .kernel_log = true});
  EXPECT_EQ(best(no_bpf.charge), "sampled");
  EXPECT_EQ(best(no_bpf.oom), "kmsg");
  const auto nothing = build_ladder(kernel({}), {.no_bpf_reason = "no BTF", .no_kmsg_reason = "CAP_SYSLOG"});
  EXPECT_EQ(best(nothing.oom), "polling");
}

TEST(Tiers, ARawTracepointStandsInForATypedOne) {
  const auto hooks = kernel({"tp_btf", "raw_tp"}, {"on_mark_victim", "on_mm_lru_insertion"});
  const auto ladder = build_ladder(hooks, with_bpf());
  EXPECT_TRUE(choose(ladder.oom, std::nullopt)->uses("on_mark_victim_raw"));
  const auto charge = choose(ladder.charge, std::nullopt);
  EXPECT_TRUE(charge->uses("on_mm_lru_insertion_raw"));
  EXPECT_TRUE(charge->uses("on_mod_memcg_state"));
  EXPECT_THAT(side_programs(hooks), Contains("on_signal_generate"));
  EXPECT_THAT(side_programs(hooks), Not(Contains("on_signal_generate_raw"))) << "one of each role";
}

TEST(Tiers, AWishIsMetOrRefusedWithItsReason) {
  const auto ladder = build_ladder(kernel({"tp_btf"}), with_bpf());
  EXPECT_EQ(choose(ladder.charge, "lru")->name, "lru");
  const auto refused = choose(ladder.charge, "page_counter");
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message(), HasSubstr("not today"));
  EXPECT_FALSE(choose(ladder.oom, "nonsense"));
}

TEST(Tiers, EveryNameOfTheCommandLineIsARung) {
  const auto ladder = build_ladder(all_hooks(), with_bpf());
  ASSERT_EQ(ladder.charge.size(), std::size(kChargeTiers));
  ASSERT_EQ(ladder.oom.size(), std::size(kOomTiers));
  for (std::size_t i = 0; i < ladder.charge.size(); ++i) {
    EXPECT_EQ(ladder.charge[i].name, kChargeTiers[i]);
    EXPECT_EQ(ladder.oom[i].name, kOomTiers[i]);
  }
}

TEST(Tiers, WhatIsMissedIsSaid) {
  const auto hooks = kernel({"fexit", "fentry", "tp_btf"}, {"on_page_counter_uncharge", "on_signal_generate",
                                                            "on_memcg_reclaim_end", "on_try_charge"});
  const auto ladder = build_ladder(hooks, with_bpf());
  const auto charge = choose(ladder.charge, std::nullopt);
  EXPECT_EQ(charge->name, "page_counter");
  EXPECT_THAT(charge->misses, Contains(HasSubstr("falls")));
  EXPECT_THAT(charge->misses, Contains(HasSubstr("fail without a kill")));
  EXPECT_THAT(charge->misses, Contains(HasSubstr("reclaim")));
  EXPECT_THAT(choose(ladder.oom, std::nullopt)->misses, Contains(HasSubstr("sharing")));
  EXPECT_THAT(side_programs(hooks), Not(Contains("on_memcg_reclaim_begin"))) << "a beginning without its end";
}

TEST(ChargingFunction, IsTheFirstThatIsNotPartOfCharging) {
  EXPECT_EQ(charging_function({"bpf_trampoline_1", "try_charge_memcg", "obj_cgroup_charge_pages", "__kmalloc_node",
                               "alloc_pipe_info", "__x64_sys_pipe2", "do_syscall_64"}),
            "__kmalloc_node (pipe2)");
  EXPECT_EQ(charging_function({"try_charge_memcg", "charge_memcg", "__mem_cgroup_charge", "do_anonymous_page"}),
            "do_anonymous_page");
  EXPECT_EQ(charging_function({}), "");
  EXPECT_EQ(charging_function({"", "", ""}), "") << "no symbols";
}

}  // namespace
}  // namespace memcrest
