// SPDX-License-Identifier: Apache-2.0
// A recording of many steps, for measuring what reads recordings: bench_recording FILE [STEPS]. It has 64 containers of
// 4 processes each that grow and fall by turns, 4096 different stacks of 8 to 40 frames that share their outer ones,
// the clocks every 64 steps as a busy turn has them, and an incident every 100,000 steps. Prints how long writing took.
#include <sys/stat.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "export/json.h"
#include "store/recording_writer.h"
#include "support/event_builder.h"

namespace memcrest {
namespace {

using namespace testing_support;  // NOLINT(google-build-using-namespace): literals

constexpr std::uint64_t kContainers = 64;
constexpr std::uint64_t kProcesses = 4;
constexpr std::uint64_t kStacksEach = 64;
constexpr std::uint64_t kStepNs = 50'000;
constexpr std::uint64_t kBeginNs = 1'000'000'000'000;
constexpr std::int64_t kUnixNs = 1'795'000'000'000'000'000;

Container container_of(std::uint64_t index) {
  Container out;
  out.runtime = Runtime::kDocker;
  out.id = std::string(60, 'a') + std::to_string(1000 + index);
  out.name = "service-" + std::to_string(index);
  out.image = "registry.example/service:" + std::to_string(index);
  return out;
}

// Innermost first; the frames are those of a tree, so that stacks share their outer ones.
std::vector<std::uint64_t> stack_of(std::uint64_t number, std::uint64_t base) {
  std::vector<std::uint64_t> out(4 + number % 17);
  std::uint64_t path = number;
  for (std::size_t depth = 0; depth < out.size(); ++depth) {
    out[out.size() - 1 - depth] = base + depth * 0x10000 + (depth < 3 ? 0 : path % 8) * 0x100;
    path = depth < 3 ? path : path / 8;
  }
  return out;
}

StepEvent step_of(std::uint64_t index) {
  const std::uint64_t container = index * 7 % kContainers;
  const std::uint64_t turn = index / kContainers;
  const std::uint64_t level = turn % 64;
  StepEvent out;
  out.time_ns = kBeginNs + index * kStepNs;
  out.cgroup_id = 100 + container;
  out.serial = 1000 + container;
  out.up = level < 48;
  out.down = !out.up;
  out.usage_bytes = (64 + (out.up ? level : 3 * (64 - level))) * 1_MiB;
  out.watermark_bytes = 256_MiB;
  out.limit_bytes = 256_MiB;
  out.quantum_bytes = 2_MiB;
  out.reclaim_ns = turn / 256 * 1'000'000;
  out.task =
      task(static_cast<std::uint32_t>(1000 + container * kProcesses + turn % kProcesses), "worker", out.cgroup_id);
  const std::uint64_t stack = container * kStacksEach + (index * 2654435761U >> 7U) % kStacksEach;
  out.user_stack = stack_of(stack, 0x55d0c0000000);
  out.kernel_stack = stack_of(stack, 0xffffffff81000000);
  return out;
}

Incident incident_of(std::uint64_t index, const StepEvent& step) {
  Incident out = oom_incident();
  out.id = "bench-" + std::to_string(index);
  out.boot_ns = step.time_ns;
  out.unix_ns = kUnixNs + static_cast<std::int64_t>(index * kStepNs);
  out.container = container_of(step.cgroup_id - 100);
  out.cgroup = {step.cgroup_id, "/docker/" + out.container.id};
  out.burst->start_boot_ns = step.time_ns - 10_ms;
  return out;
}

// The writer leaves out what the disk is too slow for: here it is waited for.
void wait_for(const RecordingWriter& writer, std::uint64_t items) {
  while (writer.status().recording && items > writer.status().written + 50'000) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

int make(const std::string& path, std::uint64_t steps) {
  RecordingSettings settings;
  settings.flush_interval = std::chrono::milliseconds(100);
  settings.max_queued = 1U << 20U;
  auto writer = RecordingWriter::create(path, settings, {{"host_name", "bench"}, {"boot_id", "bench"}});
  if (!writer) {
    std::fprintf(stderr, "%s\n", writer.error().message().c_str());
    return 1;
  }
  const auto begin = std::chrono::steady_clock::now();
  for (std::uint64_t i = 0; i < kContainers; ++i) {
    const Container container = container_of(i);
    (*writer)->add(CgroupRef{100 + i, "/docker/" + container.id}, container);
  }
  std::uint64_t items = kContainers;
  for (std::uint64_t i = 0; i < steps; ++i) {
    const Event event = step_of(i);
    (*writer)->add(std::span(&event, 1));
    ++items;
    if (i % 64 == 63) {
      (*writer)->add(Moment{time_of(event), kUnixNs + static_cast<std::int64_t>(i * kStepNs)});
      ++items;
    }
    if (i % 100'000 == 99'999) {
      const Incident incident = incident_of(i, std::get<StepEvent>(event));
      (*writer)->add(incident, to_json(incident));
      ++items;
    }
    if (i % 1024 == 0) {
      wait_for(**writer, items);
    }
  }
  const auto finished = (*writer)->finish();
  const auto status = (*writer)->status();
  if (!finished || !status.stopped.empty() || status.unrecorded > 0) {
    std::fprintf(stderr, "not whole: %s, %llu left out\n", status.stopped.c_str(),
                 static_cast<unsigned long long>(status.unrecorded));
    return 1;
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  struct stat file{};
  ::stat(path.c_str(), &file);
  std::printf("%llu steps in %.1f s, %.0f steps/s, %.1f bytes/step\n", static_cast<unsigned long long>(steps),
              took.count(), static_cast<double>(steps) / took.count(),
              static_cast<double>(file.st_size) / static_cast<double>(steps));
  return 0;
}

}  // namespace
}  // namespace memcrest

int main(int argc, char** argv) {
  if (argc < 2 || argc > 3) {
    std::fprintf(stderr, "usage: bench_recording FILE [STEPS]\n");
    return 2;
  }
  return memcrest::make(argv[1], argc == 3 ? std::strtoull(argv[2], nullptr, 10) : 10'000'000);
}
