// SPDX-License-Identifier: Apache-2.0
#include "probe/breakpoint_table.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <signal.h>

#include <algorithm>

#include "memcrest/abi/state.h"

namespace memcrest {
namespace {

Fd copy_of(int fd) { return Fd(fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 3)); }

memcrest_hit_key key_of(const CaughtProcess& one) {
  return {.cgroup_id = one.cgroup_id, .tgid = one.each ? one.process.tgid : 0, .pad = 0};
}

// All keys of a hash, though entries come and go meanwhile: the kernel begins anew where the last one is gone, and more
// than the table holds is not asked for.
template <typename Key>
std::vector<Key> keys_of(int map) {
  constexpr std::size_t kMost = 16384;
  std::vector<Key> out;
  Key key{};
  while (out.size() < kMost && bpf_map_get_next_key(map, out.empty() ? nullptr : &out.back(), &key) == 0) {
    out.push_back(key);
  }
  return out;
}

}  // namespace

Result<BreakpointTable> BreakpointTable::of(const LoadedProbe& probe) {
  BreakpointTable out;
  out.lines_ = copy_of(probe.lines_fd());
  out.hits_ = copy_of(probe.hits_fd());
  out.slots_ = copy_of(probe.slots_fd());
  out.page_shift_ = probe.page_shift();
  if (!out.lines_ || !out.hits_ || !out.slots_) {
    return fail_errno("open the table of breakpoints", "");
  }
  return out;
}

BreakpointTable BreakpointTable::of(Fd lines, Fd hits, Fd slots, unsigned page_shift) {
  BreakpointTable out;
  out.lines_ = std::move(lines);
  out.hits_ = std::move(hits);
  out.slots_ = std::move(slots);
  out.page_shift_ = page_shift;
  return out;
}

Result<void> BreakpointTable::arm(const BreakpointLine& line) {
  const memcrest_line raw{.cgroup_id = line.cgroup_id,
                          .pages = std::max<std::uint64_t>(line.bytes >> page_shift_, 1),
                          .settled = 0,
                          .signal = line.signal,
                          .flags = line.each ? static_cast<__u32>(MEMCREST_LINE_EACH) : 0U};
  if (bpf_map_update_elem(lines_.get(), &line.cgroup_id, &raw, BPF_ANY) != 0) {
    return fail_errno("set a breakpoint on cgroup", std::to_string(line.cgroup_id));
  }
  refresh();
  return {};
}

// The kernel side settles a line by writing to this very entry, of which a copy is written back here: what is settled
// between the two could be reached once more, a moment of two system calls.
Result<bool> BreakpointTable::move(std::uint64_t cgroup_id, std::uint64_t bytes) {
  memcrest_line raw{};
  if (bpf_map_lookup_elem(lines_.get(), &cgroup_id, &raw) != 0 || raw.settled == cgroup_id) {
    return false;
  }
  const std::uint64_t before = raw.pages;
  raw.pages = std::max<std::uint64_t>(bytes >> page_shift_, 1);
  if (bpf_map_update_elem(lines_.get(), &cgroup_id, &raw, BPF_EXIST) != 0) {
    return errno == ENOENT ? Result<bool>(false) : fail_errno("move a breakpoint on cgroup", std::to_string(cgroup_id));
  }
  if (raw.pages < before) {
    refresh();  // of a line that rises the old mark does no harm: the next charge that meets it makes a new one
  }
  return true;
}

// A slot whose `next` is 0 sends the next charge past the cache. A peak that a CPU writes in this very moment may be
// lost; the kernel's own peak is not.
void BreakpointTable::refresh() const {
  const auto cpus = static_cast<std::size_t>(std::max(libbpf_num_possible_cpus(), 1));
  std::vector<memcrest_slot> slots(cpus);
  for (std::uint32_t index = 0; index < MEMCREST_CACHE_SLOTS; ++index) {
    if (bpf_map_lookup_elem(slots_.get(), &index, slots.data()) != 0 ||
        std::ranges::none_of(slots, [](const memcrest_slot& one) { return one.serial != 0; })) {
      continue;
    }
    for (memcrest_slot& slot : slots) {
      slot.next = 0;
    }
    bpf_map_update_elem(slots_.get(), &index, slots.data(), BPF_ANY);
  }
}

void BreakpointTable::disarm(std::uint64_t cgroup_id) const { bpf_map_delete_elem(lines_.get(), &cgroup_id); }

void BreakpointTable::disarm_all() const {
  for (const std::uint64_t id : keys_of<std::uint64_t>(lines_.get())) {
    disarm(id);
  }
}

Result<void> BreakpointTable::note(const CaughtProcess& one) const {
  const memcrest_hit_key key = key_of(one);
  const memcrest_hit_state state{
      .start_time_ns = one.process.start_ns, .time_ns = 0, .tgid = one.process.tgid, .signal = one.signal};
  // What is there already may be of one that had the number before.
  return bpf_map_update_elem(hits_.get(), &key, &state, BPF_ANY) == 0
             ? Result<void>{}
             : fail_errno("enter", "pid " + std::to_string(one.process.tgid));
}

std::vector<CaughtProcess> BreakpointTable::caught() const {
  std::vector<CaughtProcess> out;
  for (const memcrest_hit_key& key : keys_of<memcrest_hit_key>(hits_.get())) {
    memcrest_hit_state state{};
    if (bpf_map_lookup_elem(hits_.get(), &key, &state) == 0) {
      out.push_back({key.cgroup_id, {state.tgid, state.start_time_ns}, state.signal, key.tgid != 0});
    }
  }
  return out;
}

std::vector<ProcessKey> BreakpointTable::stopped() const {
  std::vector<ProcessKey> out;
  for (const CaughtProcess& one : caught()) {
    if (one.signal == SIGSTOP) {
      out.push_back(one.process);
    }
  }
  return out;
}

void BreakpointTable::release(const CaughtProcess& one) const {
  const memcrest_hit_key key = key_of(one);
  bpf_map_delete_elem(hits_.get(), &key);
}

}  // namespace memcrest
