// SPDX-License-Identifier: Apache-2.0
// Events and incidents with defaults, so that a test names only what it is about. Times in these helpers are
// milliseconds since boot, sizes MiB where the name says so.
#pragma once

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <utility>

#include "memcrest/event.h"
#include "memcrest/incident.h"

namespace memcrest::testing_support {

constexpr std::uint64_t operator""_MiB(unsigned long long count) { return count << 20U; }
constexpr std::uint64_t operator""_GiB(unsigned long long count) { return count << 30U; }
constexpr std::uint64_t operator""_ms(unsigned long long count) { return count * 1'000'000; }
constexpr std::uint64_t operator""_us(unsigned long long count) { return count * 1'000; }

inline TaskInfo task(std::uint32_t pid, std::string comm = "hog", std::uint64_t cgroup_id = 100) {
  TaskInfo out;
  out.process = {pid, pid * 1000ULL};
  out.tid = pid;
  out.ns_tgid = pid % 100 + 1;
  out.cgroup_id = cgroup_id;
  out.thread_comm = comm;
  out.comm = std::move(comm);
  return out;
}

inline TaskInfo thread_of(TaskInfo process, std::uint32_t tid) {
  process.tid = tid;
  return process;
}

// Steps of one cgroup, as the kernel side would write them: the watermark follows, each record knows its direction.
class StepBuilder {
 public:
  explicit StepBuilder(std::uint64_t cgroup_id = 100, std::uint64_t quantum = 1_MiB) {
    event_.cgroup_id = cgroup_id;
    event_.serial = cgroup_id + 1'000'000;
    event_.quantum_bytes = quantum;
    event_.task = task(10, "hog", cgroup_id);
  }
  StepBuilder& limit(std::optional<std::uint64_t> bytes) {
    event_.limit_bytes = bytes;
    return *this;
  }
  StepBuilder& by(TaskInfo who) {
    event_.task = std::move(who);
    return *this;
  }
  StepBuilder& watermark(std::uint64_t bytes) {
    event_.watermark_bytes = bytes;
    return *this;
  }

  StepEvent first(std::uint64_t time_ns, std::uint64_t usage) { return at(time_ns, usage, false, false); }
  StepEvent up(std::uint64_t time_ns, std::uint64_t usage) { return at(time_ns, usage, true, false); }
  StepEvent down(std::uint64_t time_ns, std::uint64_t usage) { return at(time_ns, usage, false, true); }

 private:
  StepEvent at(std::uint64_t time_ns, std::uint64_t usage, bool up, bool down) {
    event_.time_ns = time_ns;
    event_.usage_bytes = usage;
    event_.watermark_bytes = std::max(event_.watermark_bytes, usage);
    event_.up = up;
    event_.down = down;
    return event_;
  }
  StepEvent event_;
};

inline SampleEvent sample(std::uint64_t time_ns, std::uint64_t usage, std::uint64_t cgroup_id = 100) {
  return {time_ns, cgroup_id, usage};
}

inline MemcgState memcg(std::uint64_t cgroup_id, std::uint64_t usage, std::optional<std::uint64_t> limit = std::nullopt,
                        std::string name = {}) {
  MemcgState out;
  out.cgroup_id = cgroup_id;
  out.serial = cgroup_id + 1'000'000;
  out.usage_bytes = usage;
  out.watermark_bytes = usage;
  out.limit_bytes = limit;
  out.name = std::move(name);
  return out;
}

inline MemcgChain chain(std::initializer_list<MemcgState> innermost_first) {
  return {innermost_first, static_cast<std::uint32_t>(innermost_first.size())};
}

inline VictimEvent victim(std::uint64_t time_ns, TaskInfo who, MemcgChain where,
                          std::optional<TaskInfo> trigger = std::nullopt) {
  VictimEvent out;
  out.time_ns = time_ns;
  out.trigger = trigger.value_or(who);
  out.task = std::move(who);
  out.anon_bytes = 60_MiB;
  out.file_bytes = 1_MiB;
  out.chain = std::move(where);
  return out;
}

inline KillEvent kernel_kill(std::uint64_t time_ns, TaskInfo sender, TaskInfo target) {
  KillEvent out;
  out.time_ns = time_ns;
  out.sender = std::move(sender);
  out.target = std::move(target);
  out.from_kernel = true;
  out.to_group = true;
  return out;
}

// The incident of the design's example: a container killed by a short burst into its own limit.
inline Incident oom_incident() {
  Incident out;
  out.kind = IncidentKind::kOom;
  out.id = "b7e5-000001";
  out.boot_ns = 1'234'567'890'123;
  out.unix_ns = 1'795'340'143'841'000'123;
  out.host = {"node1", "6.12.107", "6f1c3c1e-52f0-4c4e-9f0b-1d2f3a4b5c6d"};
  out.container.runtime = Runtime::kDocker;
  out.container.id = "b5d635627bb8aa11b5d635627bb8aa11b5d635627bb8aa11b5d635627bb8aa11";
  out.container.name = "web";
  out.container.image = "my-app:latest";
  out.container.labels = {{"com.docker.compose.project", "shop"},
                          {"com.docker.compose.service", "web"},
                          {"com.docker.compose.container-number", "1"}};
  out.cgroup = {4711, "/docker/" + out.container.id};
  out.limit = {2_GiB, "memory.max", out.cgroup.path};
  out.usage_bytes = 2_GiB;
  out.peak_bytes = 2_GiB;
  out.trigger = Trigger{5943, 5950, "python", 7};
  Victim killed;
  killed.pid = 5943;
  killed.container_pid = 7;
  killed.comm = "python";
  killed.cmdline = "python app.py";
  killed.anon_bytes = 1976_MiB;
  killed.file_bytes = 900 << 10U;
  killed.pagetable_bytes = 4_MiB;
  killed.main_process = true;
  killed.exe = "/usr/local/bin/python3.12";
  killed.start_boot_ns = out.boot_ns - 281'723_ms;
  killed.start_unix_ns = out.unix_ns - 281'723'000'000;
  killed.parents_complete = true;
  out.victims = {killed};
  Burst burst;
  burst.start_boot_ns = out.boot_ns - 740_ms;
  burst.start_unix_ns = out.unix_ns - 740'000'000;
  burst.duration_ms = 740;
  burst.base_bytes = 412_MiB;
  burst.peak_bytes = 2_GiB;
  burst.peak_exact = true;
  burst.growth_bytes = 2_GiB - 412_MiB;
  burst.slope_bytes_per_s = static_cast<double>(burst.growth_bytes) / 0.74;
  burst.above_half_ms = 369.5;
  burst.end = BurstEnd::kKilled;
  burst.contributors = {{5943, "python", 1587_MiB, 0.97}};
  for (std::uint64_t i = 0; i < 16; ++i) {
    burst.shape.push_back(i < 3 ? 412_MiB : 412_MiB + (2_GiB - 412_MiB) / 12 * (i - 3));
  }
  out.burst = burst;
  out.samplers = {{"docker stats", 1000, 418_MiB, 0.37},
                  {"cAdvisor", 10'000, 412_MiB, 0.037},
                  {"metrics-server", 15'000, 412_MiB, 0.0247}};
  out.evidence = {"page_counter", "oom_kill_process + mark_victim", 0, 0, true, {}};
  return out;
}

// The same with where its growth came from.
inline Incident with_stacks(Incident incident) {
  Burst& burst = *incident.burst;
  burst.kinds = {{MemoryKind::kAnon, 1587_MiB, 0.97}, {MemoryKind::kPageTables, 49_MiB, 0.03}};
  burst.programs = {{"python", "python app.py", 1, 1587_MiB, 0.97}};
  burst.threads = {{"python", "worker-#", 4, 1587_MiB, 0.97}};
  GrowthStack stack;
  stack.kind = MemoryKind::kAnon;
  stack.bytes = 1587_MiB;
  stack.share = 0.97;
  stack.frames = {{.name = "do_anonymous_page", .module = "[kernel]"},
                  {.name = "realloc", .module = "/usr/lib/libc.so.6", .build_id = "abcd1234", .offset = 0x9a1f0},
                  {.name = "_tokenize_rows", .module = "/usr/lib/parsers.so", .offset = 0x1234},
                  {.name = "pd::read_csv(char const*)", .module = "/usr/lib/parsers.so", .offset = 0x2345},
                  {.name = "__libc_start_call_main", .module = "/usr/lib/libc.so.6", .offset = 0x2724a}};
  burst.stacks = {stack};
  burst.hints = {"Python: -X perf shows Python functions"};
  return incident;
}

// Bytes that an attacker would choose for a name: an escape sequence, line ends, an override, invalid UTF-8.
inline std::string hostile_name() {
  return "\x1b[2J\x1b]0;owned\x07"
         "a\nb\r\t\xff\xc3\x28\xe2\x80\xaegnp.exe\xc2\x9b"
         "31m\xe2\x80\xa8\"\\";
}

// The same in every piece of text, with nothing known that may be unknown.
inline Incident hostile_incident() {
  Incident out = oom_incident();
  out.scope = Scope::kAncestor;
  const std::string name = hostile_name();
  out.id = out.host.name = out.host.kernel = out.host.boot_id = name;
  out.container.id = out.container.name = out.container.image = out.container.unknown_reason = name;
  out.container.labels = {{name, name},
                          {"\xff", "a"},
                          {"\xfe", "b"},
                          {"com.docker.compose.project", name},
                          {"com.docker.compose.service", name},
                          {"io.kubernetes.pod.name", name}};
  out.cgroup.path = out.limit.kind = out.limit.cgroup_path = "/" + name + std::string(5000, 'x');
  out.trigger = Trigger{1, 1, name, 0};
  for (std::uint32_t i = 0; i < 9; ++i) {
    Victim one = out.victims.front();
    one.pid = 6000 + i;
    one.comm = name;
    one.cmdline = i % 2 == 0 ? name + std::string(3000, 'y') : "";
    one.main_process = false;
    one.main_process_known = i % 3 != 0;
    one.exe = "/" + name;
    one.parents.assign(i, Parent{i, 0, name, name});
    one.parents_complete = i % 2 == 0;
    out.victims.push_back(one);
  }
  for (auto& contributor : out.burst->contributors) {
    contributor.comm = name;
  }
  out.samplers.front().name = name;
  out.evidence = {name, name, ~0ULL, ~0ULL, false, {name, std::string(1000, 'z'), "two words " + name}};
  return out;
}

}  // namespace memcrest::testing_support
