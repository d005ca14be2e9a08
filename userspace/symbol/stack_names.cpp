// SPDX-License-Identifier: Apache-2.0
#include "symbol/stack_names.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "symbol/memory_kind.h"

namespace memcrest {
namespace {

constexpr const char* kKernel = "[kernel]";
constexpr const char* kJit = "[jit]";

// Tracing itself, and every way into a charge.
constexpr std::string_view kNoise[] = {
    "bpf_",          "__bpf_",     "trace_",      "__traceiter",   "arch_rethook",   "rethook",       "kretprobe",
    "__kretprobe",   "get_perf",   "try_charge",  "charge_",       "mem_cgroup",     "__mem_cgroup",  "obj_cgroup",
    "memcg_",        "__memcg",    "ftrace",      "perf_",         "mod_memcg",      "__mod_memcg",   "stack_trace",
    "refill_obj",    "lru_",       "current_obj", "consume_",      "folio_batch",    "__folio_batch", "folio_add_lru",
    "lru_cache_add", "pagevec_",   "alloc_pages", "__alloc_pages", "__alloc_frozen", "get_page_from", "page_counter",
    "__lru",         "_einittext", "uncharge_"};

bool is_noise(const std::string& name) {
  return std::ranges::any_of(kNoise, [&](std::string_view one) { return name.starts_with(one); });
}

bool is_call(const std::string& name) {
  constexpr std::string_view kCalls[] = {"__x64_sys_", "__arm64_sys_", "__se_sys_",
                                         "__do_sys_",  "ksys_",        "__ia32_sys_"};
  return std::ranges::any_of(kCalls, [&](std::string_view one) { return name.starts_with(one); });
}

// Where programs and threads begin.
bool is_root(const Frame& frame) {
  constexpr std::string_view kRoots[] = {"_start",         "__libc_start",        "__clone",
                                         "clone",          "start_thread",        "_dl_start",
                                         "runtime.goexit", "runtime.main",        "_rt0_",
                                         "runtime.rt0",    "runtime.mstart",      "thread_start",
                                         "runtime.mcall",  "runtime.systemstack", "thread_native_entry"};
  return std::ranges::any_of(kRoots, [&](std::string_view one) { return frame.name.starts_with(one); });
}

std::string_view file_name(std::string_view path) { return path.substr(path.rfind('/') + 1); }

}  // namespace

std::vector<Frame> telling_frames(const std::vector<std::string>& kernel_functions) {
  std::vector<Frame> out;
  const std::string* tells = nullptr;
  int weight = 0;
  for (const std::string& name : kernel_functions) {
    const auto rule = name.empty() ? std::nullopt : kind_rule(name);
    if (rule && rule->weight > weight) {
      tells = &name;
      weight = rule->weight;
    }
    if (rule && rule->boundary) {
      break;
    }
  }
  if (tells == nullptr) {
    const auto first =
        std::ranges::find_if(kernel_functions, [](const std::string& one) { return !one.empty() && !is_noise(one); });
    tells = first == kernel_functions.end() ? nullptr : &*first;
  }
  if (tells != nullptr) {
    out.push_back({.name = *tells, .module = kKernel});
  }
  const auto call = std::ranges::find_if(kernel_functions, is_call);
  if (call != kernel_functions.end() && (tells == nullptr || *call != *tells)) {
    out.push_back({.name = *call, .module = kKernel});
  }
  return out;
}

std::string gap_of(const PlacedStack& placed, const std::vector<Frame>& frames, bool innermost_framed, bool unwound) {
  if (placed.full) {
    return "deeper than the kernel looks: its outermost callers are missing";
  }
  if (placed.places.empty()) {
    return "its functions are not known";
  }
  if (std::ranges::any_of(frames, is_root)) {
    return innermost_framed ? "" : "the direct caller of the innermost function may be missing: that one has no frame";
  }
  if (unwound) {
    return "callers are missing: code without unwind tables, or a stack deeper than its copy";
  }
  return placed.cut ? kNoFramePointers : "callers may be missing: it does not lead back to where the program begins";
}

std::string hint_for(const std::string& comm, const std::vector<Frame>& frames) {
  const auto has = [&](auto&& what) { return std::ranges::any_of(frames, what); };
  const auto in = [&](std::string_view start) {
    return has([&](const Frame& one) { return file_name(one.module).starts_with(start); });
  };
  const bool jit_named = has([](const Frame& one) { return one.module == kJit && !one.name.empty(); });
  const bool jit_unnamed = has([](const Frame& one) { return one.module == kJit && one.name.empty(); });
  if (in("libjvm.so") || (jit_unnamed && comm.starts_with("java"))) {
    return jit_named ? ""
                     : "Java: start it with -XX:+PreserveFramePointer, and let 'jcmd PID Compiler.perfmap' (17 and "
                       "later) or -XX:+DumpPerfMapAtExit write the names of its methods";
  }
  if (in("libpython3") || in("python3")) {
    const bool named = has([](const Frame& one) { return one.name.starts_with("py::"); });
    return named ? "" : "Python: 3.12 and later show Python functions with -X perf (or PYTHONPERFSUPPORT=1)";
  }
  if (in("node") || in("libnode")) {
    return jit_named ? "" : "Node: --perf-basic-prof --interpreted-frames-native-stack shows JavaScript functions";
  }
  if (in("libcoreclr")) {
    return jit_named ? "" : ".NET: DOTNET_PerfMapEnabled=1 shows managed functions";
  }
  if (jit_unnamed) {
    return "code that was made at run time has no names: its runtime may write /tmp/perf-PID.map";
  }
  return {};
}

}  // namespace memcrest
