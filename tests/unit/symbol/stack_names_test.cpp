// SPDX-License-Identifier: Apache-2.0
#include "symbol/stack_names.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace memcrest {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> telling(const std::vector<std::string>& functions) {
  std::vector<std::string> out;
  for (const Frame& one : telling_frames(functions)) {
    EXPECT_EQ(one.module, "[kernel]");
    out.push_back(one.name);
  }
  return out;
}

Frame frame(std::string name, std::string module = "/app") {
  return {.name = std::move(name), .module = std::move(module)};
}

TEST(StackNames, OfTheKernelWhatSaysWhy) {
  EXPECT_THAT(telling({"bpf_trace_run1", "lru_add", "do_anonymous_page", "__handle_mm_fault", "handle_mm_fault"}),
              ElementsAre("do_anonymous_page"));
  EXPECT_THAT(telling({"bpf_trace_run3", "mod_memcg_state", "pte_alloc_one", "do_huge_pmd_anonymous_page"}),
              ElementsAre("do_huge_pmd_anonymous_page"));
  EXPECT_THAT(telling({"mod_memcg_state", "anon_pipe_write", "vfs_write", "__x64_sys_write"}),
              ElementsAre("anon_pipe_write", "__x64_sys_write"));
  EXPECT_THAT(telling({"", "try_charge_memcg", "some_driver_ioctl", "__x64_sys_ioctl"}),
              ElementsAre("some_driver_ioctl", "__x64_sys_ioctl"));
  EXPECT_THAT(telling({"", "try_charge"}), ElementsAre());
  EXPECT_THAT(telling({}), ElementsAre());
}

TEST(StackNames, WhyCallersMayBeMissing) {
  PlacedStack placed;
  placed.places.resize(2);
  EXPECT_EQ(gap_of(placed, {frame("f"), frame("__libc_start_call_main")}, true), "");
  EXPECT_THAT(gap_of(placed, {frame("f"), frame("_start")}, false), HasSubstr("direct caller"));
  EXPECT_THAT(gap_of(placed, {frame("f"), frame("g")}, true), HasSubstr("may be missing"));
  placed.cut = true;
  EXPECT_EQ(gap_of(placed, {frame("f")}, true), kNoFramePointers);
  EXPECT_THAT(gap_of(placed, {frame("f")}, true, true), HasSubstr("without unwind tables"));
  EXPECT_EQ(gap_of(placed, {frame("f"), frame("_start")}, true), "") << "what came after it did not matter";
  placed.full = true;
  EXPECT_THAT(gap_of(placed, {frame("f")}, true), HasSubstr("deeper"));
  EXPECT_THAT(gap_of({}, {}, true), HasSubstr("not known"));
}

TEST(StackNames, WhatToSwitchOn) {
  EXPECT_THAT(hint_for("java", {frame("", "[jit]"), frame("JavaMain", "/jdk/lib/server/libjvm.so")}),
              HasSubstr("-XX:+PreserveFramePointer"));
  EXPECT_EQ(hint_for("java", {frame("Lapp;::load", "[jit]"), frame("JavaMain", "/jdk/lib/server/libjvm.so")}), "");
  EXPECT_THAT(hint_for("node", {frame("", "[jit]"), frame("main", "/usr/bin/node")}), HasSubstr("--perf-basic-prof"));
  EXPECT_THAT(hint_for("python3", {frame("_PyEval_EvalFrameDefault", "/usr/bin/python3.11")}), HasSubstr("-X perf"));
  EXPECT_EQ(hint_for("python3", {frame("py::load:/app.py", "[jit]"), frame("x", "/usr/bin/python3.12")}), "");
  EXPECT_THAT(hint_for("lua", {frame("", "[jit]")}), HasSubstr("perf-PID.map"));
  EXPECT_EQ(hint_for("app", {frame("main")}), "");
}

}  // namespace
}  // namespace memcrest
