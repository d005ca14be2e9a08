// SPDX-License-Identifier: Apache-2.0
#include "event/decoder.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <tuple>
#include <utility>

#include "memcrest/abi/records.h"

namespace memcrest {
namespace {

constexpr std::uint32_t kMostCpus = 8192;  // that Linux knows; a power of two

template <std::size_t N>
std::string text_of(const char (&field)[N]) {
  return {field, strnlen(field, N)};
}

std::optional<std::uint64_t> known(__u64 value) {
  if (value == MEMCREST_NO_LIMIT) {
    return std::nullopt;
  }
  return value;
}

template <std::size_t N>
std::vector<std::uint64_t> frames_of(const __u64 (&stack)[N], std::size_t used) {
  return {stack, stack + std::min(used, N)};
}

TaskInfo task_of(const memcrest_task& raw) {
  TaskInfo task;
  task.process = {raw.tgid, raw.start_time_ns};
  task.tid = raw.tid;
  task.ns_tgid = raw.ns_tgid;
  task.uid = raw.uid;
  task.cgroup_id = raw.cgroup_id;
  task.comm = text_of(raw.comm);
  task.thread_comm = text_of(raw.thread_comm);
  return task;
}

RelativeInfo relative_of(const memcrest_relative& raw) {
  return {{raw.tgid, raw.start_time_ns}, raw.ns_tgid, raw.cgroup_id, text_of(raw.comm)};
}

MemcgState memcg_of(const memcrest_memcg& raw) {
  MemcgState state;
  state.cgroup_id = raw.cgroup_id;
  state.serial = raw.serial;
  state.usage_bytes = raw.usage_bytes;
  state.limit_bytes = known(raw.limit_bytes);
  state.high_bytes = known(raw.high_bytes);
  state.watermark_bytes = raw.watermark_bytes;
  state.swap_usage_bytes = raw.swap_usage_bytes;
  state.swap_limit_bytes = known(raw.swap_limit_bytes);
  state.failcnt = raw.failcnt;
  state.oom_events = raw.oom_events;
  state.reclaim_ns = raw.reclaim_ns;
  state.throttle_ns = raw.throttle_ns;
  state.oom_group = (raw.flags & MEMCREST_MEMCG_OOM_GROUP) != 0;
  state.name = text_of(raw.name);
  return state;
}

MemcgChain chain_of(const memcrest_chain& raw) {
  MemcgChain chain;
  const std::size_t used = std::min<std::size_t>(raw.used, MEMCREST_CHAIN_LEN);
  for (std::size_t i = 0; i < used; ++i) {
    chain.entries.push_back(memcg_of(raw.entry[i]));
  }
  chain.total = raw.total;
  return chain;
}

Result<Event> convert(const memcrest_step& raw) {
  if (raw.user_frames > MEMCREST_USER_FRAMES || raw.kernel_frames > MEMCREST_KERNEL_FRAMES) {
    return fail("decode", "step record", 0, "more frames than fit");
  }
  StepEvent event;
  event.time_ns = raw.h.time_ns;
  event.cgroup_id = raw.cgroup_id;
  event.serial = raw.serial;
  event.usage_bytes = raw.usage_bytes;
  event.watermark_bytes = raw.watermark_bytes;
  event.limit_bytes = known(raw.limit_bytes);
  event.quantum_bytes = raw.quantum_bytes;
  event.suppressed = raw.suppressed;
  event.oom_events = raw.oom_events;
  event.reclaim_ns = raw.reclaim_ns;
  event.throttle_ns = raw.throttle_ns;
  event.up = (raw.flags & MEMCREST_STEP_UP) != 0;
  event.down = (raw.flags & MEMCREST_STEP_DOWN) != 0;
  event.ancestor = (raw.flags & MEMCREST_STEP_ANCESTOR) != 0;
  event.foreign = (raw.flags & MEMCREST_STEP_FOREIGN) != 0;
  event.task = task_of(raw.task);
  event.user_stack = frames_of(raw.user_stack, raw.user_frames);
  event.kernel_stack = frames_of(raw.kernel_stack, raw.kernel_frames);
  return event;
}

Result<Event> convert(const memcrest_exec& raw) {
  if (raw.cmdline_len > MEMCREST_CMDLINE_LEN) {
    return fail("decode", "exec record", 0, "command line longer than its field");
  }
  ExecEvent event;
  event.time_ns = raw.h.time_ns;
  event.task = task_of(raw.task);
  event.parent_tgid = raw.parent_tgid;
  event.cmdline.assign(raw.cmdline, raw.cmdline_len);
  event.cmdline_cut = raw.cmdline_total > raw.cmdline_len;
  if (const std::string exe = text_of(raw.exe); exe.size() < MEMCREST_EXE_LEN - 1) {
    event.exe = exe;
  }
  return event;
}

Result<Event> convert(const memcrest_throttle& raw) {
  return ThrottleEvent{raw.h.time_ns, raw.cgroup_id, raw.steps_per_window, raw.window_ns};
}

Result<Event> convert(const memcrest_oom& raw) {
  if (raw.constraint > MEMCREST_CONSTRAINT_MEMCG) {
    return fail("decode", "oom record", 0, "unknown constraint");
  }
  OomEvent event;
  event.time_ns = raw.h.time_ns;
  event.trigger = task_of(raw.trigger);
  event.memcg_id = raw.memcg_id;
  event.gfp_mask = raw.gfp_mask;
  event.total_bytes = known(raw.total_bytes);
  event.order = raw.order;
  event.constraint = static_cast<Constraint>(raw.constraint);
  event.chosen_tgid = raw.chosen_tgid;
  event.chain = chain_of(raw.chain);
  return event;
}

ParentsEnd end_of(__u32 raw) {
  return raw == MEMCREST_PARENTS_INIT      ? ParentsEnd::kInit
         : raw == MEMCREST_PARENTS_OUTSIDE ? ParentsEnd::kOutside
                                           : ParentsEnd::kUnknown;
}

Result<Event> convert(const memcrest_victim& raw) {
  if (raw.user_frames > MEMCREST_USER_FRAMES || raw.kernel_frames > MEMCREST_KERNEL_FRAMES) {
    return fail("decode", "victim record", 0, "more frames than fit");
  }
  if (raw.parents_used > MEMCREST_PARENTS_LEN || raw.parents_end > MEMCREST_PARENTS_OUTSIDE) {
    return fail("decode", "victim record", 0, "more parents than fit, or an unknown end of them");
  }
  VictimEvent event;
  event.time_ns = raw.h.time_ns;
  event.trigger = task_of(raw.trigger);
  event.task = task_of(raw.task);
  event.anon_bytes = raw.anon_bytes;
  event.file_bytes = raw.file_bytes;
  event.shmem_bytes = raw.shmem_bytes;
  event.swap_bytes = raw.swap_bytes;
  event.pagetable_bytes = raw.pagetable_bytes;
  event.oom_score_adj = raw.oom_score_adj;
  event.chain = chain_of(raw.chain);
  event.kernel_stack = frames_of(raw.kernel_stack, raw.kernel_frames);
  event.user_stack = frames_of(raw.user_stack, raw.user_frames);
  for (std::size_t i = 0; i < raw.parents_used; ++i) {
    event.parents.push_back(relative_of(raw.parents[i]));
  }
  event.parents_end = end_of(raw.parents_end);
  event.parent_cgroup_id = raw.parent_cgroup_id;
  if (raw.init.tgid != 0) {
    event.init = relative_of(raw.init);
  }
  return event;
}

Result<Event> convert(const memcrest_kill& raw) {
  if (raw.signal == 0 || raw.signal > 64) {
    return fail("decode", "kill record", 0, "no such signal");
  }
  KillEvent event;
  event.time_ns = raw.h.time_ns;
  event.sender = task_of(raw.sender);
  event.target = task_of(raw.target);
  event.from_kernel = (raw.flags & MEMCREST_KILL_KERNEL) != 0;
  event.to_group = (raw.flags & MEMCREST_KILL_GROUP) != 0;
  event.without_info = (raw.flags & MEMCREST_KILL_NO_INFO) != 0;
  event.signal = raw.signal;
  event.code = raw.code;
  return event;
}

Result<Event> convert(const memcrest_cgroup& raw) {
  if (raw.path_len >= MEMCREST_PATH_LEN) {
    return fail("decode", "cgroup record", 0, "path longer than its field");
  }
  if (raw.op != MEMCREST_CGROUP_MKDIR && raw.op != MEMCREST_CGROUP_RMDIR) {
    return fail("decode", "cgroup record", 0, "unknown operation");
  }
  CgroupEvent event;
  event.time_ns = raw.h.time_ns;
  event.cgroup_id = raw.cgroup_id;
  event.serial = raw.serial;
  event.parent_id = raw.parent_id;
  event.watermark_bytes = raw.watermark_bytes;
  event.created = raw.op == MEMCREST_CGROUP_MKDIR;
  event.path.assign(raw.path, raw.path_len);
  event.path_cut = raw.path_len == MEMCREST_PATH_LEN - 1;
  return event;
}

Result<Event> convert(const memcrest_exit& raw) { return ExitEvent{raw.h.time_ns, task_of(raw.task), raw.exit_code}; }

Result<Event> convert(const memcrest_failed& raw) {
  if (raw.kernel_frames > MEMCREST_KERNEL_FRAMES) {
    return fail("decode", "failure record", 0, "more frames than fit");
  }
  ChargeFailureEvent event;
  event.time_ns = raw.h.time_ns;
  event.cgroup_id = raw.cgroup_id;
  event.serial = raw.serial;
  event.count = raw.count;
  event.error = raw.error;
  event.gfp_mask = known(raw.gfp_mask);
  event.bytes = known(raw.bytes);
  event.task = task_of(raw.task);
  event.kernel_stack = frames_of(raw.kernel_stack, raw.kernel_frames);
  event.chain = chain_of(raw.chain);
  return event;
}

Result<Event> convert(const memcrest_hit& raw) {
  if (raw.kernel_frames > MEMCREST_KERNEL_FRAMES || raw.user_frames > MEMCREST_USER_FRAMES) {
    return fail("decode", "hit record", 0, "more frames than fit");
  }
  if (raw.signal > 64) {
    return fail("decode", "hit record", 0, "no such signal");
  }
  BreakpointEvent event;
  event.time_ns = raw.h.time_ns;
  event.cgroup_id = raw.cgroup_id;
  event.line_bytes = raw.line_bytes;
  event.usage_bytes = raw.usage_bytes;
  event.limit_bytes = known(raw.limit_bytes);
  event.signal = raw.signal;
  event.error = raw.error > 0 || raw.error < -4095 ? EINVAL : -raw.error;
  event.task = task_of(raw.task);
  event.user_stack = frames_of(raw.user_stack, raw.user_frames);
  event.kernel_stack = frames_of(raw.kernel_stack, raw.kernel_frames);
  return event;
}

Result<memcrest_header> header_of(std::span<const std::byte> bytes) {
  memcrest_header header;
  if (bytes.size() < sizeof(header)) {
    return fail("decode", "record", 0, "shorter than its header");
  }
  std::memcpy(&header, bytes.data(), sizeof(header));
  if (header.abi != MEMCREST_ABI_VERSION) {
    return fail("decode", "record", 0, "ABI version " + std::to_string(header.abi));
  }
  // The ring rounds nothing up for its readers: what was reserved is what arrives.
  if (header.size != bytes.size()) {
    return fail("decode", "record", 0, "its size field does not match its length");
  }
  return header;
}

template <typename Record>
Result<Event> decode_as(std::span<const std::byte> bytes, const char* name) {
  if (bytes.size() != sizeof(Record)) {
    return fail("decode", std::string(name) + " record", 0,
                std::to_string(bytes.size()) + " bytes instead of " + std::to_string(sizeof(Record)));
  }
  Record raw;
  std::memcpy(&raw, bytes.data(), sizeof(raw));
  return convert(raw);
}

}  // namespace

Result<Event> decode(std::span<const std::byte> bytes) {
  const auto header = header_of(bytes);
  if (!header) {
    return std::unexpected(header.error());
  }
  switch (header->type) {
    case MEMCREST_REC_STEP:
      return decode_as<memcrest_step>(bytes, "step");
    case MEMCREST_REC_EXEC:
      return decode_as<memcrest_exec>(bytes, "exec");
    case MEMCREST_REC_THROTTLE:
      return decode_as<memcrest_throttle>(bytes, "throttle");
    case MEMCREST_REC_OOM:
      return decode_as<memcrest_oom>(bytes, "oom");
    case MEMCREST_REC_VICTIM:
      return decode_as<memcrest_victim>(bytes, "victim");
    case MEMCREST_REC_KILL:
      return decode_as<memcrest_kill>(bytes, "kill");
    case MEMCREST_REC_CGROUP:
      return decode_as<memcrest_cgroup>(bytes, "cgroup");
    case MEMCREST_REC_EXIT:
      return decode_as<memcrest_exit>(bytes, "exit");
    case MEMCREST_REC_FAILURE:
      return decode_as<memcrest_failed>(bytes, "failure");
    case MEMCREST_REC_HIT:
      return decode_as<memcrest_hit>(bytes, "hit");
    default:
      return fail("decode", "record", 0, "unknown type " + std::to_string(header->type));
  }
}

Result<bool> StackCopies::take(std::span<const std::byte> bytes) {
  const auto header = header_of(bytes);
  if (!header || header->type != MEMCREST_REC_STACK) {
    return false;
  }
  constexpr std::size_t kFixed = offsetof(memcrest_stack, bytes);
  memcrest_stack raw;
  if (bytes.size() < kFixed || bytes.size() > sizeof(raw)) {
    return fail("decode", "stack record", 0, std::to_string(bytes.size()) + " bytes");
  }
  std::memcpy(&raw, bytes.data(), kFixed);
  if (raw.used != bytes.size() - kFixed) {
    return fail("decode", "stack record", 0, "it does not end with its stack");
  }
  auto copy = std::make_shared<StackCopy>();
  copy->tid = raw.tid;
  copy->begin = raw.begin;
  static_assert(std::tuple_size_v<decltype(copy->registers)> == MEMCREST_COPY_REGISTERS);
  std::ranges::copy(raw.registers, copy->registers.begin());
  copy->bytes.assign(reinterpret_cast<const char*>(bytes.data()) + kFixed, raw.used);
  by_cpu_[raw.h.cpu & (kMostCpus - 1)] = {std::move(copy), raw.h.seq};
  return true;
}

void StackCopies::give(std::span<const std::byte> step_bytes, StepEvent& step) {
  const auto header = header_of(step_bytes);
  if (!header || by_cpu_.empty()) {
    return;
  }
  const auto last = by_cpu_.find(header->cpu & (kMostCpus - 1));
  if (last == by_cpu_.end()) {
    return;
  }
  // Something else came between them: it may be another thread's step.
  if (header->seq != last->second.seq + 1 || step.task.tid != last->second.copy->tid) {
    by_cpu_.erase(last);
    return;
  }
  last->second.seq = header->seq;
  step.stack_copy = last->second.copy;
}

}  // namespace memcrest
