// SPDX-License-Identifier: Apache-2.0
#include "probe/features.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/utsname.h>

#include <algorithm>
#include <cstring>

#include "probe/btf.h"
#include "util/fd.h"

namespace memcrest {
namespace {

std::vector<Hook> all_hooks() {
  return {
      {"on_page_counter_try_charge", "fexit", "page_counter_try_charge", "charges of every kind", {}, {}},
      {"on_page_counter_charge", "fexit", "page_counter_charge", "charges that may pass a limit", {}, {}},
      {"on_page_counter_uncharge", "fexit", "page_counter_uncharge", "memory that is given back", {}, {}},
      {"on_mm_lru_insertion", "tp_btf", "mm_lru_insertion", "anon, page cache and tmpfs pages", {}, {}},
      {"on_mod_memcg_state", "tp_btf", "mod_memcg_state", "kernel memory and sockets", {}, {}},
      {"on_oom_kill_process", "fentry", "oom_kill_process", "the OOM killer's own view: limit, order, gfp", {}, {}},
      {"on_mark_victim", "tp_btf", "mark_victim", "every OOM victim", {}, {}},
      {"on_signal_generate", "tp_btf", "signal_generate", "who sent a SIGKILL", {}, {}},
      {"on_cgroup_mkdir", "tp_btf", "cgroup_mkdir", "containers that appear", {}, {}},
      {"on_cgroup_rmdir", "tp_btf", "cgroup_rmdir", "containers that go", {}, {}},
      {"on_sched_process_exec", "tp_btf", "sched_process_exec", "command lines", {}, {}},
      {"on_sched_process_exit", "tp_btf", "sched_process_exit", "processes that a signal ended", {}, {}},
  };
}

bpf_attach_type attach_type_of(const std::string& kind) {
  if (kind == "fexit") {
    return BPF_TRACE_FEXIT;
  }
  return kind == "fentry" ? BPF_TRACE_FENTRY : BPF_TRACE_RAW_TP;
}

// Loads and attaches `return 0` at the target: the only honest way to know.
void try_hook(Hook& hook, std::uint32_t btf_id) {
  const bpf_insn code[] = {
      {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .src_reg = 0, .off = 0, .imm = 0},
      {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0},
  };
  LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = attach_type_of(hook.kind), .attach_btf_id = btf_id);
  const Fd program(bpf_prog_load(BPF_PROG_TYPE_TRACING, "memcrest_probe", "GPL", code, std::size(code), &options));
  if (!program) {
    hook.state = HookState::kRefused;
    hook.reason = std::string("load: ") + std::strerror(errno);
    return;
  }
  const Fd link(bpf_raw_tracepoint_open(nullptr, program.get()));
  if (!link) {
    hook.state = HookState::kRefused;
    hook.reason = std::string("attach: ") + std::strerror(errno);
    return;
  }
  hook.state = HookState::kAvailable;
}

void probe_hook(Hook& hook, const KernelBtf& btf, bool allowed) {
  const auto id = hook.kind == "tp_btf" ? btf.tracepoint(hook.target) : btf.function(hook.target);
  if (!id) {
    hook.state = HookState::kMissing;
    hook.reason = "this kernel has no such " + std::string(hook.kind == "tp_btf" ? "tracepoint" : "function");
    return;
  }
  // Some stable kernels of 5.10 still pass a pid here.
  if (hook.target == "mark_victim" && !btf.tracepoint_takes_pointer(hook.target, 0)) {
    hook.state = HookState::kMissing;
    hook.reason = "this kernel's mark_victim carries a pid, not a task";
    return;
  }
  if (!allowed) {
    hook.reason = "not tested: CAP_BPF and CAP_PERFMON are needed";
    return;
  }
  try_hook(hook, *id);
}

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

bool available(const Features& features, const char* program) {
  const Hook* hook = features.hook(program);
  return hook != nullptr && hook->state == HookState::kAvailable;
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

bool Features::can_load() const {
  return btf && std::ranges::all_of(capabilities, [](const auto& one) { return one.held || !one.required; });
}

const Hook* Features::hook(const std::string& program) const {
  const auto found = std::ranges::find(hooks, program, &Hook::program);
  return found == hooks.end() ? nullptr : &*found;
}

void choose_tiers(Features& features) {
  const auto has = [&](const char* program) { return available(features, program); };
  if (!features.can_load()) {
    features.charge = features.oom = {"untested", {}, {"no hook could be tried"}};
    return;
  }
  features.charge = {"none", {}, {"no charge is seen: no bursts, no growth before an OOM"}};
  if (has("on_page_counter_try_charge") && has("on_page_counter_charge")) {
    features.charge = {"page_counter", {"on_page_counter_try_charge", "on_page_counter_charge"}, {}};
    if (has("on_page_counter_uncharge")) {
      features.charge.programs.emplace_back("on_page_counter_uncharge");
    } else {
      features.charge.misses.emplace_back("falls of usage are sampled, not seen as they happen");
    }
  } else if (has("on_mm_lru_insertion")) {
    features.charge = {"lru", {"on_mm_lru_insertion"}, {"falls of usage are sampled, not seen as they happen"}};
    if (has("on_mod_memcg_state")) {
      features.charge.name = "lru+state";
      features.charge.programs.emplace_back("on_mod_memcg_state");
    } else {
      features.charge.misses.emplace_back("kernel memory and sockets alone do not make a step (usage includes them)");
    }
  }
  features.oom = {"none", {}, {"no OOM kill is seen"}};
  if (has("on_mark_victim")) {
    features.oom = {"mark_victim", {"on_mark_victim"}, {}};
    if (has("on_oom_kill_process")) {
      features.oom.name = "oom_kill_process";
      features.oom.programs.emplace_back("on_oom_kill_process");
    } else {
      features.oom.misses.emplace_back(
          "order, gfp mask and constraint are not shown; the limit that was hit is found by walking the ancestors");
    }
    if (!has("on_signal_generate")) {
      features.oom.misses.emplace_back("processes that die for sharing a victim's memory are not seen");
    }
  }
}

Features probe_features(const SystemRoot& root) {
  Features out;
  utsname name{};
  if (uname(&name) == 0) {
    out.kernel = name.release;
    out.machine = name.machine;
  }
  out.lockdown = read_lockdown(root.sys);
  out.capabilities = read_capabilities();
  out.hooks = all_hooks();
  const auto btf = KernelBtf::load(root.sys);
  if (!btf) {
    out.btf_error = btf.error().message();
    for (Hook& hook : out.hooks) {
      hook.reason = "not tested: no kernel BTF";
    }
  } else {
    out.btf = true;
    out.rdonly_cast = btf->function("bpf_rdonly_cast").has_value();
    for (Hook& hook : out.hooks) {
      probe_hook(hook, *btf, out.can_load());
    }
  }
  choose_tiers(out);
  return out;
}

}  // namespace memcrest
