// SPDX-License-Identifier: Apache-2.0
// What polling costs: CPU of the polling thread while N cgroups are idle, and how far its intervals stretch. One line
// of JSON. Only those N are in its view, so that others at work on the machine do not count. Not a test.
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "collector/polling_source.h"
#include "support/fake_cgroups.h"

namespace {

using namespace memcrest;
using std::chrono::milliseconds;

// Cgroups of our own that are gone again at the end.
class IdleCgroups {
 public:
  IdleCgroups(const CgroupTree& tree, int count) {
    const std::string top = *tree.dir_of("/memcrest-bench-" + std::to_string(::getpid()));
    if (::mkdir(top.c_str(), 0755) != 0) {
      throw std::runtime_error("cannot make a cgroup; run it as root");
    }
    made_.push_back(top);
    if (tree.version() == 2) {
      ignore_result(write_file(top + "/cgroup.subtree_control", "+memory"));
    }
    for (int i = 0; i < count; ++i) {
      made_.push_back(top + "/c" + std::to_string(i));
      ::mkdir(made_.back().c_str(), 0755);
    }
  }
  ~IdleCgroups() {
    for (auto dir = made_.rbegin(); dir != made_.rend(); ++dir) {
      ::rmdir(dir->c_str());
    }
  }
  IdleCgroups(const IdleCgroups&) = delete;
  IdleCgroups& operator=(const IdleCgroups&) = delete;

  // A host whose mount table knows our part of the hierarchy only.
  [[nodiscard]] SystemRoot view(const CgroupTree& tree) const {
    SystemRoot root{.proc = proc_.path()};
    const std::string& top = made_.front();
    const std::string path = top.substr(tree.mount_point().size());
    std::filesystem::create_directories(root.proc + "/self");
    std::ofstream(root.proc + "/self/mountinfo")
        << "35 31 0:32 " << path << " " << top << " rw - "
        << (tree.version() == 1 ? "cgroup cgroup rw,memory\n" : "cgroup2 cgroup2 rw\n");
    std::filesystem::create_symlink("/proc/vmstat", root.proc + "/vmstat");
    return root;
  }

 private:
  testing_support::TempDir proc_;
  std::vector<std::string> made_;
};

double to_ms(std::chrono::nanoseconds duration) { return static_cast<double>(duration.count()) / 1e6; }

nlohmann::ordered_json measure(const CgroupTree& tree, const SystemRoot& root, const std::string& part,
                               PollingSettings settings, std::chrono::seconds duration) {
  const SystemClock clock;
  auto source = PollingSource::open(tree, clock, root, settings);
  if (!source) {
    throw std::runtime_error(source.error().message());
  }
  std::vector<Event> events;
  const std::uint64_t before_first = thread_cpu_ns();
  (*source)->poll(milliseconds(0), events);
  const std::uint64_t first_ns = thread_cpu_ns() - before_first;
  std::size_t steps = 0;
  const auto follow = [&](std::chrono::seconds time) {
    const auto end = std::chrono::steady_clock::now() + time;
    while (std::chrono::steady_clock::now() < end) {
      events.clear();
      (*source)->poll(milliseconds(100), events);
      steps += events.size();
    }
  };
  follow(std::chrono::seconds(2));  // until nothing counts as new any more
  steps = 0;
  const std::uint64_t cpu = thread_cpu_ns();
  const auto begin = std::chrono::steady_clock::now();
  follow(duration);
  const auto passed = std::chrono::steady_clock::now() - begin;
  nlohmann::ordered_json out;
  out["part"] = part;
  out["first_look_ms"] = to_ms(std::chrono::nanoseconds(first_ns));
  out["cpu_percent"] =
      100 * static_cast<double>(thread_cpu_ns() - cpu) / static_cast<double>(std::chrono::nanoseconds(passed).count());
  out["events"] = steps;
  out["quiet_gap_ms"] = to_ms((*source)->quiet_gap());
  out["count_gap_ms"] = to_ms((*source)->count_gap());
  out["stuck_round_ms"] = to_ms((*source)->stuck_round());
  return out;
}

}  // namespace

int main(int argc, char** argv) {
  const int count = argc > 1 ? std::atoi(argv[1]) : 1000;
  const std::chrono::seconds duration(argc > 2 ? std::atoi(argv[2]) : 10);
  const auto tree = CgroupTree::open(SystemRoot{});
  if (!tree) {
    std::fprintf(stderr, "%s\n", tree.error().message().c_str());
    return 1;
  }
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);
  const IdleCgroups idle(*tree, count);
  const SystemRoot root = idle.view(*tree);
  const auto part = CgroupTree::open(root);
  if (!part) {
    std::fprintf(stderr, "%s\n", part.error().message().c_str());
    return 1;
  }
  nlohmann::ordered_json out;
  out["benchmark"] = "polling";
  out["idle_cgroups"] = count;
  out["cgroup_version"] = tree->version();
  const auto add = [&](const char* name, PollingSettings settings) {
    out["parts"].push_back(measure(*part, root, name, settings, duration));
  };
  add("usage", {.usage = true});
  add("oom_counts", {.oom_counts = true});
  add("lifecycle", {.lifecycle = true});
  add("stuck", {.stuck = true});
  add("all", {.usage = true, .oom_counts = true, .lifecycle = true, .stuck = true});
  std::printf("%s\n", out.dump().c_str());
  return 0;
}
