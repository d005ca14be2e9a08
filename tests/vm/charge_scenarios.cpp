// SPDX-License-Identifier: Apache-2.0
// What the charge hooks see: bursts without an OOM, charges that are refused, and each kind of memory.
#include <sys/mount.h>

#include <stdexcept>

#include "vm/judge.h"
#include "vm/play.h"

namespace memcrest::scenarios {
namespace {

using namespace std::chrono_literals;

// What hog takes and lets go of; `words` end in --hold MS.
Truth rise(Stage& stage, const Cgroup& cgroup, const std::string& words, std::uint64_t used) {
  cgroup.no_swap();
  Truth truth;
  if (const auto hold = words.rfind("--hold "); hold != std::string::npos) {
    truth.held_ms = std::stod(words.substr(hold + 7));
  }
  truth.path = cgroup.path();
  truth.used = used;
  Hog hog(stage.machine(), cgroup, words);
  if (!hog.ends_within(60s) || hog.exit_code() != 0) {
    throw std::runtime_error("hog failed with " + std::to_string(hog.exit_code()));
  }
  truth.peak = cgroup.peak();
  return truth;
}

Truth refused(Stage& stage, const std::string& name, std::uint64_t limit, const std::string& request) {
  Cgroup& cgroup = stage.cgroup(name);
  cgroup.no_swap();
  cgroup.limit(limit);
  Truth truth = truth_of_limit(stage, cgroup, limit);
  truth.refusals = 40;
  Hog hog(stage.machine(), cgroup, request + " --repeat 40 --pause 200");
  if (hog.ends_within(60s) && hog.was_killed()) {
    throw NotPlayed("the kernel killed instead");
  }
  if (hog.exit_code() != 3) {
    throw std::runtime_error("hog was not refused: " + std::to_string(hog.exit_code()));
  }
  return truth;
}

// Whether a BPF map is charged to its cgroup: since 5.11, and only where root may make one without a memlock limit.
std::string no_map_charges(const Machine& machine) {
  return machine.kernel.starts_with("5.10") ? "BPF maps are not charged" : "";
}

Scenario burst(const char* name, const char* words, bool main) {
  return {.name = name,
          .axis = Axis::kCharge,
          .main = main,
          .lacks = nothing_lacks,
          .play = [name, words](Stage& stage) { return rise(stage, stage.cgroup(name), words, 64 * kMiB); },
          .judge = judge_burst};
}

// Named as in the incident's `kinds`.
Scenario kind(const char* name, const char* memory_kind, const char* words, std::uint64_t used, bool on_lru,
              std::string (*lacks)(const Machine&) = nothing_lacks, double share = 0.95) {
  return {.name = std::string("kind-") + name,
          .axis = Axis::kCharge,
          .lacks = lacks,
          .play =
              [=](Stage& stage) {
                Truth truth = rise(stage, stage.cgroup(std::string("kind-") + name), words, used);
                truth.on_lru = on_lru;
                truth.memory_kind = memory_kind;
                truth.kind_share = share;
                return truth;
              },
          .judge = judge_burst};
}

std::string sockets_apart(const Machine& machine) {
  return machine.tree.version() == 2 ? "" : "cgroup v1 does not charge sockets to memory";
}

// What the threads' other memory comes to is known from the kernel's watermark alone.
std::string no_watermark(const Machine& machine) {
  return machine.tree.version() == 2 && machine.kernel.starts_with("5.10") ? "the kernel shows no watermark" : "";
}

// Charged since 6.7, and only where the hierarchy was mounted for it.
std::string no_hugetlb_charges(const Machine& machine) {
  if (!machine.vm || machine.tree.version() != 2) {
    return "only in a VM with cgroup v2";
  }
  if (::mount(nullptr, "/sys/fs/cgroup", nullptr, MS_REMOUNT, "memory_hugetlb_accounting") != 0) {
    return "huge pages of the pool are not charged";
  }
  ignore_result(write_file("/proc/sys/vm/nr_hugepages", "20"));
  const auto pool = read_file("/proc/sys/vm/nr_hugepages");
  return pool && std::stoi("0" + *pool) >= 16 ? "" : "no huge pages could be had";
}

Scenario file_read() {
  return {.name = "kind-file",
          .axis = Axis::kCharge,
          .lacks = [](const Machine& machine) -> std::string {
            return machine.block_device.empty() ? "no disk to read" : "";
          },
          .play =
              [](Stage& stage) {
                // What an earlier rung left in the page cache is charged to that one's cgroup.
                ignore_result(write_file("/proc/sys/vm/drop_caches", "1"));
                // Page cache alone is no burst, on purpose: a little of another kind makes one of it.
                Cgroup& cgroup = stage.cgroup("kind-file");
                ignore_result(rise(stage, cgroup, "readfile " + stage.machine().block_device, 32 * kMiB));
                Truth truth = rise(stage, cgroup, "anon 16m --no-thp --hold 100", 48 * kMiB);
                truth.memory_kind = "file";
                truth.kind_share = 0.95 * 32 / 48;
                return truth;
              },
          .judge = judge_burst};
}

}  // namespace

std::vector<Scenario> charge_scenarios() {
  return {burst("burst-1ms", "anon 64m --no-thp --hold 1", true),
          burst("burst-10ms", "anon 64m --no-thp --hold 10", false),
          burst("burst-50ms", "anon 64m --no-thp --hold 50", true),
          {.name = "refused-pipe",
           .axis = Axis::kCharge,
           .main = true,
           .lacks = only_vm,  // a pipe of that size needs CAP_SYS_RESOURCE
           .play = [](Stage& stage) { return refused(stage, "refused-pipe", 3 * kMiB, "pipe-resize 256m"); },
           .judge = judge_refusals},
          {.name = "refused-map",
           .axis = Axis::kCharge,
           .lacks = no_map_charges,
           .play = [](Stage& stage) { return refused(stage, "refused-map", 8 * kMiB, "bpf-map 64m"); },
           .judge = judge_refusals},
          kind("anon", "anon", "anon 32m --no-thp --hold 100", 32 * kMiB, true),
          // What is before the first boundary of 2 MiB, and hog itself, is in small pages.
          kind("thp", "thp", "anon 32m --thp --hold 100", 32 * kMiB, true, huge_pages_off, 0.9),
          file_read(),
          kind("tmpfs", "shmem", "memfd 32m --hold 100", 32 * kMiB, true),
          kind("slab", "slab", "msgqueue 32m --hold 100", 32 * kMiB, false),
          kind("pipes", "pipes", "pipes 32m --hold 100", 32 * kMiB, false),
          kind("tcp", "sockets", "tcp 32m --hold 100", 32 * kMiB, false, sockets_apart),
          kind("pagetables", "page_tables", "pagetables 24m --hold 100", 24 * kMiB, false),
          // As much again is slab (threads and processes themselves), and what they touch of their own stacks.
          kind("threads", "kernel_stack", "threads 24m --hold 100", 24 * kMiB, false, no_watermark, 0.3),
          kind("fdtable", "vmalloc", "fdtable 32m --hold 100", 32 * kMiB, false, nothing_lacks, 0.8),
          kind("hugetlb", "hugetlb", "hugetlb 32m --hold 100", 32 * kMiB, false, no_hugetlb_charges),
          kind("bpf", "bpf", "bpf-map 32m --hold 100", 32 * kMiB, false, no_map_charges)};
}

}  // namespace memcrest::scenarios
