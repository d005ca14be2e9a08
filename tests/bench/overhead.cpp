// SPDX-License-Identifier: Apache-2.0
// The worst case for the hot path: nothing but 4K page faults in a memory cgroup, with the hooks attached and not, in
// interleaved rounds. A/A (not attached against not attached) shows the noise. Ratios mean something, times little.
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <iostream>
#include <nlohmann/json.hpp>

#include "app/run_cgroup.h"
#include "bench/statistics.h"
#include "memcrest/clock.h"
#include "probe/ring_source.h"

namespace memcrest {
namespace {

constexpr std::size_t kBytes = 256U << 20U;
constexpr std::size_t kPage = 4096;

// Nanoseconds per fault, touch and munmap, in a process of its own inside the cgroup.
double fault_storm(const RunCgroup& cgroup) {
  int channel[2];
  if (::pipe(channel) != 0) {
    return 0;
  }
  const pid_t child = ::fork();
  if (child == 0) {
    ignore_result(write_file(cgroup.dir() + "/cgroup.procs", std::to_string(::getpid())));
    void* memory = ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ::madvise(memory, kBytes, MADV_NOHUGEPAGE);
    const SystemClock clock;
    const std::uint64_t begin = clock.boot_ns();
    for (std::size_t at = 0; at < kBytes; at += kPage) {
      static_cast<volatile char*>(memory)[at] = 1;
    }
    ::munmap(memory, kBytes);
    const double each = static_cast<double>(clock.boot_ns() - begin) / (kBytes / kPage);
    ignore_result(::write(channel[1], &each, sizeof(each)));
    ::_exit(0);
  }
  double each = 0;
  ignore_result(::read(channel[0], &each, sizeof(each)));
  ::close(channel[0]);
  ::close(channel[1]);
  ::waitpid(child, nullptr, 0);
  return each;
}

std::unique_ptr<RingSource> attach(const Clock& clock) {
  Features features = probe_features(SystemRoot{});
  auto probe = LoadedProbe::load({}, features);
  if (!probe) {
    std::cerr << probe.error().message() << "\n";
    std::exit(1);
  }
  LoadedProbe& loaded = **probe;
  auto source = RingSource::open(std::move(*probe), {}, clock);
  if (!source || !loaded.attach(features)) {
    std::cerr << "cannot attach\n";
    std::exit(1);
  }
  return std::move(*source);
}

int measure(int rounds) {
  const auto tree = CgroupTree::open(SystemRoot{});
  if (!tree) {
    std::cerr << tree.error().message() << "\n";
    return 1;
  }
  auto cgroup = RunCgroup::create(*tree, {});
  if (!cgroup) {
    std::cerr << cgroup.error().message() << "\n";
    return 1;
  }
  std::vector<double> off;
  std::vector<double> noise;
  std::vector<double> ratio;
  std::vector<Event> events;
  const SystemClock clock;
  ignore_result(fault_storm(*cgroup));
  for (int round = 0; round < rounds; ++round) {
    const double before = fault_storm(*cgroup);
    double with = 0;
    {
      auto source = attach(clock);
      with = fault_storm(*cgroup);
      events.clear();
      ignore_result(source->poll(std::chrono::milliseconds(0), events));
    }
    const double after = fault_storm(*cgroup);
    off.push_back(before);
    noise.push_back(after / before);
    ratio.push_back(with / ((before + after) / 2));
  }
  ignore_result(cgroup->remove());
  std::cout << nlohmann::ordered_json{{"benchmark", "overhead"},
                                      {"rounds", rounds},
                                      {"off_ns_per_fault_p50", bench::percentile(off, 0.5)},
                                      {"on_off_ratio_p50", bench::percentile(ratio, 0.5)},
                                      {"on_off_ratio_p25", bench::percentile(ratio, 0.25)},
                                      {"on_off_ratio_p75", bench::percentile(ratio, 0.75)},
                                      {"off_off_ratio_p50", bench::percentile(noise, 0.5)},
                                      {"off_off_ratio_p25", bench::percentile(noise, 0.25)},
                                      {"off_off_ratio_p75", bench::percentile(noise, 0.75)}}
                   .dump()
            << std::endl;
  return 0;
}

}  // namespace
}  // namespace memcrest

int main(int argc, char** argv) { return memcrest::measure(argc > 1 ? std::atoi(argv[1]) : 21); }
