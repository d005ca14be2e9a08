// SPDX-License-Identifier: Apache-2.0
#include "probe/features.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <sys/utsname.h>

#include <algorithm>
#include <cstring>

#include "probe/btf.h"
#include "util/fd.h"

namespace memcrest {
namespace {

std::string read_lockdown(const std::string& sys) {
  const auto text = read_file(sys + "/kernel/security/lockdown");
  if (!text) {
    return "unknown";
  }
  const auto open = text->find('[');
  const auto close = text->find(']', open);
  if (open == std::string::npos || close == std::string::npos) {
    return "unknown";
  }
  return text->substr(open + 1, close - open - 1);
}

// Whether a program may call bpf_probe_read_kernel: the file about lockdown need not be mounted.
bool may_read_kernel() {
  const bpf_insn code[] = {
      // *(u64 *)(r10 - 8) = 0; probe_read_kernel(r10 - 8, 8, r10 - 8)
      {.code = BPF_ST | BPF_MEM | BPF_DW, .dst_reg = BPF_REG_10, .src_reg = 0, .off = -8, .imm = 0},
      {.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = BPF_REG_1, .src_reg = BPF_REG_10, .off = 0, .imm = 0},
      {.code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = BPF_REG_1, .src_reg = 0, .off = 0, .imm = -8},
      {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_2, .src_reg = 0, .off = 0, .imm = 8},
      {.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = BPF_REG_3, .src_reg = BPF_REG_1, .off = 0, .imm = 0},
      {.code = BPF_JMP | BPF_CALL, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = BPF_FUNC_probe_read_kernel},
      {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .src_reg = 0, .off = 0, .imm = 0},
      {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0},
  };
  const Fd program(
      bpf_prog_load(BPF_PROG_TYPE_RAW_TRACEPOINT, "memcrest_probe", "GPL", code, std::size(code), nullptr));
  return static_cast<bool>(program);
}

// Whether a program may cast an address to a kernel structure: the function must be there, and the JIT be on.
bool may_cast(const KernelBtf& btf) {
  const auto function = btf.function("bpf_rdonly_cast");
  const auto type = btf.structure("task_struct");
  if (!function || !type) {
    return false;
  }
  const bpf_insn code[] = {
      // bpf_rdonly_cast(0, the type's id)
      {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_1, .src_reg = 0, .off = 0, .imm = 0},
      {.code = BPF_ALU64 | BPF_MOV | BPF_K,
       .dst_reg = BPF_REG_2,
       .src_reg = 0,
       .off = 0,
       .imm = static_cast<std::int32_t>(*type)},
      {.code = BPF_JMP | BPF_CALL,
       .dst_reg = 0,
       .src_reg = BPF_PSEUDO_KFUNC_CALL,
       .off = 0,
       .imm = static_cast<std::int32_t>(*function)},
      {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .src_reg = 0, .off = 0, .imm = 0},
      {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0},
  };
  const Fd program(
      bpf_prog_load(BPF_PROG_TYPE_RAW_TRACEPOINT, "memcrest_probe", "GPL", code, std::size(code), nullptr));
  return static_cast<bool>(program);
}

// Whether a program may find the registers of user space: bpf_task_pt_regs(bpf_get_current_task_btf()).
bool may_find_registers() {
#ifdef __x86_64__
  const bpf_insn code[] = {
      {.code = BPF_JMP | BPF_CALL, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = BPF_FUNC_get_current_task_btf},
      {.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = BPF_REG_1, .src_reg = 0, .off = 0, .imm = 0},
      {.code = BPF_JMP | BPF_CALL, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = BPF_FUNC_task_pt_regs},
      {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .src_reg = 0, .off = 0, .imm = 0},
      {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0},
  };
  const Fd program(
      bpf_prog_load(BPF_PROG_TYPE_RAW_TRACEPOINT, "memcrest_probe", "GPL", code, std::size(code), nullptr));
  return static_cast<bool>(program);
#else
  return false;
#endif
}

void look_at_kernel_log(LowerRungs& lower) {
  const auto log = open_file("/dev/kmsg", O_RDONLY | O_NONBLOCK);
  lower.kernel_log = log.has_value();
  if (!log) {
    lower.no_kmsg_reason = log.error().message() + (log.error().code == EPERM ? ", CAP_SYSLOG is missing" : "");
  }
}

}  // namespace

bool Features::can_load() const {
  return btf && std::ranges::all_of(capabilities, [](const auto& one) { return one.held || !one.required; });
}

const Hook* Features::hook(const std::string& program) const {
  const auto found = std::ranges::find(hooks, program, &Hook::program);
  return found == hooks.end() ? nullptr : &*found;
}

bool Features::runs(std::string_view program) const { return std::ranges::find(programs, program) != programs.end(); }

Result<void> choose_tiers(Features& features, const TierWish& wish) {
  features.ladder = build_ladder(features.hooks, features.lower);
  auto charge = choose(features.ladder.charge, wish.charge);
  auto oom = choose(features.ladder.oom, wish.oom);
  if (!charge || !oom) {
    return std::unexpected(!charge ? charge.error() : oom.error());
  }
  features.charge = std::move(*charge);
  features.oom = std::move(*oom);
  features.programs = features.charge.programs;
  features.programs.insert(features.programs.end(), features.oom.programs.begin(), features.oom.programs.end());
  // Nothing of BPF is loaded for the side programs alone.
  if (!features.programs.empty()) {
    const auto side = side_programs(features.hooks);
    features.programs.insert(features.programs.end(), side.begin(), side.end());
  }
  return {};
}

namespace {

// Empty: programs can be loaded.
std::string why_no_bpf(const Features& features) {
  if (!features.can_load()) {
    return features.btf ? "CAP_BPF and CAP_PERFMON are needed" : "no kernel BTF";
  }
  if (const int refused = try_bpf(); refused != 0) {
    return "the kernel refuses every BPF program (" + errno_text(refused) + ")";
  }
  return features.rdonly_cast || may_read_kernel()
             ? ""
             : "lockdown forbids BPF programs to read kernel memory, and this kernel has no other way (6.2 and later)";
}

}  // namespace

Features probe_features(const SystemRoot& root, const FeatureSettings& settings) {
  Features out;
  utsname name{};
  if (uname(&name) == 0) {
    out.kernel = name.release;
    out.machine = name.machine;
  }
  out.lockdown = read_lockdown(root.sys);
  out.capabilities = read_capabilities();
  out.hooks = all_hooks();
  out.btf_file = settings.btf_file;
  look_at_kernel_log(out.lower);
  const auto btf = settings.btf_file.empty() ? KernelBtf::load(root.sys) : KernelBtf::load_file(settings.btf_file);
  out.btf = btf.has_value();
  out.kernel_btf = btf && settings.btf_file.empty();
  if (!btf) {
    out.btf_error = btf.error().message();
  }
  out.rdonly_cast = out.kernel_btf && out.can_load() && may_cast(*btf);
  out.lower.no_bpf_reason = why_no_bpf(out);
  if (!out.lower.no_bpf_reason.empty()) {
    for (Hook& hook : out.hooks) {
      hook.reason = "not tested: " + out.lower.no_bpf_reason;
    }
  } else {
    out.lower.bpf = true;
    out.typed_loads_only = out.rdonly_cast && !may_read_kernel();
    out.stack_copies = may_find_registers();
    out.preempt_off = out.rdonly_cast && btf->function("bpf_preempt_disable") && btf->function("bpf_preempt_enable");
    out.safe_map_allocation = btf->has_struct("bpf_mem_alloc");
    // 7.2 gave the object cgroups this member when it made them the owners of pages.
    out.objcg_pages = btf->has_member("obj_cgroup", "is_root");
    out.lower.mark_victim_pid = btf->tracepoint("mark_victim") && !btf->tracepoint_takes_pointer("mark_victim", 0);
    const HookTrial trial{*btf, out.kernel_btf, root.sys};
    for (Hook& hook : out.hooks) {
      if (std::ranges::find(settings.disabled, hook.program) != settings.disabled.end()) {
        hook.state = HookState::kRefused;
        hook.reason = "disabled by hand";
      } else {
        try_hook(hook, trial);
      }
    }
  }
  ignore_result(choose_tiers(out, {}));
  return out;
}

}  // namespace memcrest
