// SPDX-License-Identifier: Apache-2.0
// The worst case for the hot path: nothing but page faults (4K, or 2M with --thp) in a memory cgroup, with the hooks
// attached and not, in interleaved rounds. A/A (not attached against not attached) shows the noise. Ratios mean
// something, times little; under an emulator that executes one instruction per nanosecond the times are instructions.
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "app/run_cgroup.h"
#include "bench/statistics.h"
#include "memcrest/clock.h"
#include "probe/breakpoint_table.h"
#include "probe/ring_source.h"

namespace memcrest {
namespace {

constexpr std::size_t kBytes = 256U << 20U;
constexpr std::size_t kPage = 4096;
constexpr std::size_t kHugePage = 2U << 20U;

struct Options {
  int rounds = 21;
  bool thp = false;
  // Compared is not off with on, but on without them with on with them:
  bool copies = false;  // of stacks
  bool lines = false;   // breakpoints: one on the cgroup, that is never reached
  std::optional<std::string> charge_tier;
};

// Nanoseconds per fault, touch and munmap, in a process of its own inside the cgroup.
double fault_storm(const RunCgroup& cgroup, bool thp) {
  int channel[2];
  if (::pipe(channel) != 0) {
    return 0;
  }
  const pid_t child = ::fork();
  if (child == 0) {
    ignore_result(write_file(cgroup.dir() + "/cgroup.procs", std::to_string(::getpid())));
    const std::size_t page = thp ? kHugePage : kPage;
    void* mapped = ::mmap(nullptr, kBytes + kHugePage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    const auto address = reinterpret_cast<std::uintptr_t>(mapped);
    auto* memory = reinterpret_cast<volatile char*>((address + kHugePage - 1) & ~(kHugePage - 1));
    ::madvise(mapped, kBytes + kHugePage, thp ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
    const SystemClock clock;
    const std::uint64_t begin = clock.boot_ns();
    for (std::size_t at = 0; at < kBytes; at += page) {
      memory[at] = 1;
    }
    ::munmap(mapped, kBytes + kHugePage);
    const double each = static_cast<double>(clock.boot_ns() - begin) / static_cast<double>(kBytes / page);
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

constexpr std::size_t kStepBytes = 32U << 10U;  // with copies: they cost by the step

std::unique_ptr<RingSource> attach(const RunCgroup& cgroup, const Clock& clock, const Options& options, bool with,
                                   std::string& tier) {
  Features features = probe_features(SystemRoot{});
  LoadSettings settings;
  settings.tiers.charge = options.charge_tier;
  if (options.copies) {
    settings.copy_stacks = with;
    settings.step_bytes = kStepBytes;
    settings.max_steps_per_window = 1'000'000;
    settings.bulk_ring_bytes = 128U << 20U;
    if (!features.stack_copies) {
      std::cerr << "stacks cannot be copied on this kernel\n";
      std::exit(1);
    }
  }
  settings.breakpoints = options.lines && with;
  auto probe = LoadedProbe::load(settings, features);
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
  tier = features.charge.name;
  if (settings.breakpoints) {
    auto table = BreakpointTable::of(loaded);
    if (!table || !table->arm({.cgroup_id = cgroup.id(), .bytes = 1ULL << 40U, .signal = SIGSTOP, .each = true})) {
      std::cerr << "no line could be set\n";
      std::exit(1);
    }
  }
  return std::move(*source);
}

// A storm with the hooks as the other arm has them: off, or on without copies or lines.
double other_storm(const RunCgroup& cgroup, const Options& options, const Clock& clock, std::string& tier) {
  const auto source = options.copies || options.lines ? attach(cgroup, clock, options, false, tier) : nullptr;
  return fault_storm(cgroup, options.thp);
}

int measure(const Options& options) {
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
  std::vector<double> on;
  std::vector<double> extra;
  std::string tier;
  std::vector<double> noise;
  std::vector<double> ratio;
  std::vector<Event> events;
  std::uint64_t steps = 0;
  std::uint64_t copied = 0;
  const SystemClock clock;
  ignore_result(fault_storm(*cgroup, options.thp));
  for (int round = 0; round < options.rounds; ++round) {
    const double before = other_storm(*cgroup, options, clock, tier);
    double with = 0;
    {
      auto source = attach(*cgroup, clock, options, true, tier);
      with = fault_storm(*cgroup, options.thp);
      events.clear();
      ignore_result(source->poll(std::chrono::milliseconds(0), events));
    }
    for (const Event& event : events) {
      const auto* step = std::get_if<StepEvent>(&event);
      steps += step != nullptr ? 1 : 0;
      copied += step != nullptr && step->stack_copy ? step->stack_copy->bytes.size() : 0;
    }
    const double after = other_storm(*cgroup, options, clock, tier);
    off.push_back(before);
    on.push_back(with);
    extra.push_back(with - (before + after) / 2);
    noise.push_back(after / before);
    ratio.push_back(with / ((before + after) / 2));
  }
  ignore_result(cgroup->remove());
  const double faults_per_step = static_cast<double>(kStepBytes) / static_cast<double>(options.thp ? kHugePage : kPage);
  std::cout << nlohmann::ordered_json{{"benchmark", options.copies  ? "stack_copies"
                                                    : options.lines ? "lines"
                                                                    : "overhead"},
                                      {"copied_bytes_per_step", steps > 0 ? copied / steps : 0},
                                      {"extra_ns_per_copied_step_p50",
                                       options.copies ? bench::percentile(extra, 0.5) * faults_per_step : 0},
                                      {"charge_tier", tier},
                                      {"page_bytes", options.thp ? kHugePage : kPage},
                                      {"rounds", options.rounds},
                                      {"off_ns_per_fault_p50", bench::percentile(off, 0.5)},
                                      {"on_ns_per_fault_p50", bench::percentile(on, 0.5)},
                                      {"extra_ns_per_fault_p50", bench::percentile(extra, 0.5)},
                                      {"extra_ns_per_fault_p25", bench::percentile(extra, 0.25)},
                                      {"extra_ns_per_fault_p75", bench::percentile(extra, 0.75)},
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

// [ROUNDS] [--thp] [--copies | --lines] [--charge-tier TIER]
int main(int argc, char** argv) {
  memcrest::Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--thp") {
      options.thp = true;
    } else if (argument == "--copies") {
      options.copies = true;
    } else if (argument == "--lines") {
      options.lines = true;
    } else if (argument == "--charge-tier" && i + 1 < argc) {
      options.charge_tier = argv[++i];
    } else {
      options.rounds = std::atoi(argv[i]);
    }
  }
  return memcrest::measure(options);
}
