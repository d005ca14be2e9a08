// SPDX-License-Identifier: Apache-2.0
#include "probe/hooks.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include <charconv>
#include <cstring>
#include <optional>

#include "util/fd.h"

namespace memcrest {
namespace {

// `return 0`
constexpr bpf_insn kNothing[] = {
    {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .src_reg = 0, .off = 0, .imm = 0},
    {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0},
};

bool is_tracepoint(const Hook& hook) { return hook.kind == "tp_btf" || hook.kind == "raw_tp"; }
bool is_kprobe(const Hook& hook) { return hook.kind == "kprobe" || hook.kind == "kretprobe"; }

bpf_attach_type attach_type_of(const std::string& kind) {
  if (kind == "fexit") {
    return BPF_TRACE_FEXIT;
  }
  return kind == "fentry" ? BPF_TRACE_FENTRY : BPF_TRACE_RAW_TP;
}

void refuse(Hook& hook, const char* when, int code) {
  hook.state = HookState::kRefused;
  hook.reason = std::string(when) + ": " + errno_text(code);
}

void try_typed(Hook& hook, std::uint32_t btf_id) {
  LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = attach_type_of(hook.kind), .attach_btf_id = btf_id);
  const Fd program(
      bpf_prog_load(BPF_PROG_TYPE_TRACING, "memcrest_probe", "GPL", kNothing, std::size(kNothing), &options));
  if (!program) {
    return refuse(hook, "load", errno);
  }
  const Fd link(bpf_raw_tracepoint_open(nullptr, program.get()));
  if (!link) {
    return refuse(hook, "attach", errno);
  }
  hook.state = HookState::kAvailable;
}

void try_raw_tracepoint(Hook& hook) {
  const Fd program(
      bpf_prog_load(BPF_PROG_TYPE_RAW_TRACEPOINT, "memcrest_probe", "GPL", kNothing, std::size(kNothing), nullptr));
  if (!program) {
    return refuse(hook, "load", errno);
  }
  const Fd link(bpf_raw_tracepoint_open(hook.target.c_str(), program.get()));
  if (!link) {
    return refuse(hook, "attach", errno);
  }
  hook.state = HookState::kAvailable;
}

// One number from a file of the kprobe event source, after `prefix`.
std::optional<std::uint32_t> read_number(const std::string& path, std::string_view prefix) {
  const auto text = read_file(path);
  std::uint32_t value = 0;
  if (!text || !text->starts_with(prefix) ||
      std::from_chars(text->data() + prefix.size(), text->data() + text->size(), value).ec != std::errc{}) {
    return std::nullopt;
  }
  return value;
}

void try_kprobe(Hook& hook, const std::string& sys) {
  const std::string source = sys + "/bus/event_source/devices/kprobe";
  const auto type = read_number(source + "/type", "");
  if (!type) {
    hook.state = HookState::kMissing;
    hook.reason = "this kernel has no kprobes";
    return;
  }
  const auto return_bit = read_number(source + "/format/retprobe", "config:");
  const Fd program(
      bpf_prog_load(BPF_PROG_TYPE_KPROBE, "memcrest_probe", "GPL", kNothing, std::size(kNothing), nullptr));
  if (!program) {
    return refuse(hook, "load", errno);
  }
  perf_event_attr attributes{};
  attributes.size = sizeof(attributes);
  attributes.type = *type;
  attributes.config = hook.kind == "kretprobe" ? 1ULL << return_bit.value_or(0) : 0;
  attributes.kprobe_func = reinterpret_cast<std::uintptr_t>(hook.target.c_str());
  const Fd event(static_cast<int>(::syscall(SYS_perf_event_open, &attributes, -1, 0, -1, PERF_FLAG_FD_CLOEXEC)));
  if (!event) {
    return refuse(hook, "attach", errno);
  }
  if (::ioctl(event.get(), PERF_EVENT_IOC_SET_BPF, program.get()) != 0) {
    return refuse(hook, "attach", errno);
  }
  hook.state = HookState::kAvailable;
}

}  // namespace

const char* to_string(HookState state) {
  switch (state) {
    case HookState::kAvailable:
      return "available";
    case HookState::kMissing:
      return "missing";
    case HookState::kRefused:
      return "refused";
    case HookState::kUntested:
      return "untested";
  }
  return "untested";
}

std::vector<Hook> all_hooks() {
  std::vector<Hook> out;
  const auto add = [&](const char* program, const char* kind, std::vector<std::string> targets, const char* role,
                       const char* purpose) {
    std::string first = targets.front();
    out.push_back({program, kind, std::move(targets), role, purpose, std::move(first), {}, {}});
  };
  // A tracepoint: typed by the kernel's BTF, or raw where the kernel has none.
  const auto add_tracepoint = [&](const std::string& program, const char* tracepoint, const char* role,
                                  const char* purpose) {
    add(program.c_str(), "tp_btf", {tracepoint}, role, purpose);
    add((program + "_raw").c_str(), "raw_tp", {tracepoint}, role, purpose);
  };
  constexpr const char* kCharges = "charges of every kind";
  constexpr const char* kForced = "charges that may pass a limit";
  constexpr const char* kGivenBack = "memory that is given back";
  constexpr const char* kOomView = "the OOM killer's own view: limit, order, gfp";
  constexpr const char* kThrottle = "time held up by memory.high";
  constexpr const char* kFailed = "charges that fail without a kill; attached only while limits are met";
  add("on_page_counter_try_charge", "fexit", {"page_counter_try_charge"}, "charge", kCharges);
  add("on_page_counter_charge", "fexit", {"page_counter_charge"}, "forced_charge", kForced);
  add("on_page_counter_uncharge", "fexit", {"page_counter_uncharge"}, "uncharge", kGivenBack);
  add("on_page_counter_try_charge_kprobe", "kprobe", {"page_counter_try_charge"}, "charge", kCharges);
  add("on_page_counter_charge_kprobe", "kprobe", {"page_counter_charge"}, "forced_charge", kForced);
  add("on_page_counter_uncharge_kprobe", "kprobe", {"page_counter_uncharge"}, "uncharge", kGivenBack);
  add_tracepoint("on_mm_lru_insertion", "mm_lru_insertion", "lru", "anon, page cache and tmpfs pages");
  add_tracepoint("on_mod_memcg_state", "mod_memcg_state", "state", "kernel memory and sockets");
  add("on_oom_kill_process", "fentry", {"oom_kill_process"}, "oom", kOomView);
  add("on_oom_kill_process_kprobe", "kprobe", {"oom_kill_process"}, "oom", kOomView);
  add_tracepoint("on_mark_victim", "mark_victim", "victim", "every OOM victim");
  add_tracepoint("on_signal_generate", "signal_generate", "signal", "who sent a SIGKILL");
  add_tracepoint("on_cgroup_mkdir", "cgroup_mkdir", "mkdir", "containers that appear");
  add_tracepoint("on_cgroup_rmdir", "cgroup_rmdir", "rmdir", "containers that go");
  add_tracepoint("on_sched_process_exec", "sched_process_exec", "exec", "command lines");
  add_tracepoint("on_sched_process_exit", "sched_process_exit", "exit", "processes that a signal ended");
  add_tracepoint("on_memcg_reclaim_begin", "mm_vmscan_memcg_reclaim_begin", "reclaim_begin", "direct reclaim begins");
  add_tracepoint("on_memcg_reclaim_end", "mm_vmscan_memcg_reclaim_end", "reclaim_end", "direct reclaim ends");
  const std::vector<std::string> over_high = {"__mem_cgroup_handle_over_high", "mem_cgroup_handle_over_high"};
  add("on_over_high_begin", "fentry", over_high, "throttle_begin", kThrottle);
  add("on_over_high_end", "fexit", over_high, "throttle_end", kThrottle);
  add("on_over_high_begin_kprobe", "kprobe", over_high, "throttle_begin", kThrottle);
  add("on_over_high_end_kprobe", "kretprobe", over_high, "throttle_end", kThrottle);
  add("on_try_charge", "fexit", {"try_charge_memcg", "try_charge"}, "failure", kFailed);
  add("on_try_charge_begin_kprobe", "kprobe", {"try_charge_memcg", "try_charge"}, "failure_begin", kFailed);
  add("on_try_charge_kprobe", "kretprobe", {"try_charge_memcg", "try_charge"}, "failure", kFailed);
  return out;
}

int try_bpf() {
  const Fd program(
      bpf_prog_load(BPF_PROG_TYPE_RAW_TRACEPOINT, "memcrest_probe", "GPL", kNothing, std::size(kNothing), nullptr));
  return program ? 0 : errno;
}

void try_hook(Hook& hook, const HookTrial& trial) {
  std::optional<std::uint32_t> id;
  for (const std::string& target : hook.targets) {
    id = is_tracepoint(hook) ? trial.btf.tracepoint(target) : trial.btf.function(target);
    if (id) {
      hook.target = target;
      break;
    }
  }
  if (!id) {
    hook.state = HookState::kMissing;
    hook.reason = std::string("this kernel has no such ") + (is_tracepoint(hook) ? "tracepoint" : "function");
  } else if (is_kprobe(hook)) {
    try_kprobe(hook, trial.sys);
  } else if (hook.kind == "raw_tp") {
    try_raw_tracepoint(hook);
  } else if (trial.kernel_btf) {
    try_typed(hook, *id);
  } else {
    hook.state = HookState::kMissing;
    hook.reason = "this kernel offers no BTF of its own";
  }
}

}  // namespace memcrest
