// SPDX-License-Identifier: Apache-2.0
// What it costs to know N containers: the resolver's start with all of them there, the memory that it takes, one
// look-up of a known, an unknown and a new cgroup, and the list of `memcrest ps`. One line of JSON. Only those N are in
// its view, named like Docker's; a daemon that answers at once and knows each of them stands in for Docker. Not a test.
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "bench/statistics.h"
#include "collector/cgroup_list.h"
#include "collector/memory_figures.h"
#include "identity/resolver.h"
#include "support/fake_cgroups.h"
#include "support/fake_daemon.h"
#include "util/fd.h"

namespace {

using namespace memcrest;
using std::chrono::steady_clock;

double ms_since(steady_clock::time_point begin) {
  return std::chrono::duration<double, std::milli>(steady_clock::now() - begin).count();
}

// Bytes of this process that are in memory.
std::int64_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::int64_t pages = 0;
  file >> pages >> pages;
  return pages * ::sysconf(_SC_PAGESIZE);
}

std::string container_id(int number) {
  char id[65];
  std::snprintf(id, sizeof(id), "%064x", static_cast<unsigned>(number) + 0x10000000U);
  return id;
}

// Cgroups of our own that are gone again at the end.
class ManyCgroups {
 public:
  ManyCgroups(const CgroupTree& tree, int count)
      : top_(tree.mount_point() + "/docker-bench" + std::to_string(getpid())) {
    // "docker" as a component of its own makes them Docker's by their path.
    make(top_);
    make(top_ + "/docker");
    for (const std::string& parent : {top_, top_ + "/docker"}) {
      if (tree.version() == 2) {
        ignore_result(write_file(parent + "/cgroup.subtree_control", "+memory"));
      }
    }
    for (int i = 0; i < count; ++i) {
      make(top_ + "/docker/" + container_id(i));
    }
  }
  ~ManyCgroups() {
    for (auto dir = made_.rbegin(); dir != made_.rend(); ++dir) {
      ::rmdir(dir->c_str());
    }
  }
  ManyCgroups(const ManyCgroups&) = delete;
  ManyCgroups& operator=(const ManyCgroups&) = delete;

  // A host whose mount table knows our part of the hierarchy only.
  [[nodiscard]] SystemRoot view(const CgroupTree& tree) const {
    SystemRoot root{.proc = proc_.path()};
    std::filesystem::create_directories(root.proc + "/self");
    std::ofstream(root.proc + "/self/mountinfo")
        << "35 31 0:32 / " << top_ << " rw - "
        << (tree.version() == 1 ? "cgroup cgroup rw,memory\n" : "cgroup2 cgroup2 rw\n");
    return root;
  }

 private:
  void make(const std::string& dir) {
    if (::mkdir(dir.c_str(), 0755) != 0) {
      throw std::runtime_error("cannot make a cgroup; run it as root");
    }
    made_.push_back(dir);
  }

  testing_support::TempDir proc_;
  std::string top_;
  std::vector<std::string> made_;
};

// Docker's list, filtered by the one id that the request names.
void answer(testing_support::FakeDaemon::Connection& connection) {
  const std::string target = connection.target();
  const auto at = target.find("%5B%22");
  if (at == std::string::npos) {  // for the rest of what Docker knows, asked for a second later
    connection.answer(404, R"({"message":"No such container"})");
    return;
  }
  const std::string id = target.substr(at + 6, 64);
  connection.answer(200, R"([{"Id":")" + id + R"(","Names":["/web-)" + id.substr(56) +
                             R"("],"Image":"shop:1","Labels":{"tier":"front","com.docker.compose.project":"shop"}}])");
}

// In a process of its own, whose memory is not ours. Ends with this object.
class DaemonProcess {
 public:
  explicit DaemonProcess(const std::string& socket) {
    int ends[2];
    int ready[2];
    if (::pipe(ends) != 0 || ::pipe(ready) != 0 || (pid_ = ::fork()) < 0) {
      throw std::runtime_error("cannot start a process");
    }
    if (pid_ == 0) {
      ::close(ends[1]);
      const testing_support::FakeDaemon daemon(socket, answer);
      char byte = 0;
      ignore_result(::write(ready[1], &byte, 1));
      ignore_result(::read(ends[0], &byte, 1));  // until the other end is closed
      ::unlink(socket.c_str());
      ::_exit(0);
    }
    ::close(ends[0]);
    alive_ = Fd(ends[1]);
    char byte = 0;
    ignore_result(::read(ready[0], &byte, 1));
    ::close(ready[0]);
    ::close(ready[1]);
  }
  ~DaemonProcess() {
    alive_.reset();
    ::waitpid(pid_, nullptr, 0);
  }
  DaemonProcess(const DaemonProcess&) = delete;
  DaemonProcess& operator=(const DaemonProcess&) = delete;

 private:
  pid_t pid_ = -1;
  Fd alive_;
};

struct Spread {
  std::vector<double> us;
  [[nodiscard]] nlohmann::ordered_json json() const {
    return {{"p50_us", bench::percentile(us, 0.5)}, {"p99_us", bench::percentile(us, 0.99)}};
  }
};

template <typename F>
void timed(Spread& out, F&& call) {
  const auto begin = steady_clock::now();
  call();
  out.us.push_back(ms_since(begin) * 1000);
}

nlohmann::ordered_json measure(const CgroupTree& tree, const std::string& socket, int count) {
  nlohmann::ordered_json out;
  const SystemClock clock;
  const std::int64_t before = resident_bytes();
  auto begin = steady_clock::now();
  Resolver resolver(tree, clock, {.docker_socket = socket});
  resolver.scan();
  out["scan_ms"] = ms_since(begin);
  const auto entries = tree.scan();
  for (const auto& entry : entries) {
    ignore_result(resolver.wait(entry.id, std::chrono::minutes(2)));
  }
  out["all_named_ms"] = ms_since(begin);
  out["resident_bytes"] = resident_bytes() - before;
  int named = 0;
  Spread known;
  Spread unknown;
  Spread fresh;
  for (const auto& entry : entries) {
    timed(known, [&] { named += resolver.find(entry.id).container.image.empty() ? 0 : 1; });
  }
  for (const auto& entry : entries) {
    timed(unknown, [&] { ignore_result(resolver.find(entry.id + (1ULL << 40U))); });
  }
  for (int i = 0; i < 200; ++i) {
    const std::string path = "/docker/" + container_id(count + i);
    const auto id = (1ULL << 41U) + static_cast<std::uint64_t>(i);
    timed(fresh, [&] {
      resolver.appeared(id, path);
      ignore_result(resolver.wait(id, std::chrono::seconds(10)));
    });
  }
  out["named"] = named;
  out["find_known"] = known.json();
  out["find_unknown"] = unknown.json();
  out["appeared_to_name"] = fresh.json();

  begin = steady_clock::now();
  const auto listed = list_cgroups(tree.scan(), false, [](const std::string&) { return false; });
  out["ps_list_ms"] = ms_since(begin);
  begin = steady_clock::now();
  MemoryReader reader(tree, true);
  std::size_t read = 0;
  for (const auto& one : listed) {
    read += reader.read(one.cgroup.path, one.inner).has_value() ? 1 : 0;
  }
  out["ps_figures_ms"] = ms_since(begin);
  out["ps_rows"] = read;
  return out;
}

}  // namespace

// [CONTAINERS]
int main(int argc, char** argv) {
  const int count = argc > 1 ? std::atoi(argv[1]) : 1000;
  const auto tree = CgroupTree::open(SystemRoot{});
  if (!tree) {
    std::fprintf(stderr, "%s\n", tree.error().message().c_str());
    return 1;
  }
  const ManyCgroups many(*tree, count);
  const auto part = CgroupTree::open(many.view(*tree));
  if (!part) {
    std::fprintf(stderr, "%s\n", part.error().message().c_str());
    return 1;
  }
  const testing_support::TempDir dir;
  const DaemonProcess daemon(dir.path() + "/docker.sock");
  nlohmann::ordered_json out;
  out["benchmark"] = "containers";
  out["containers"] = count;
  out["cgroup_version"] = tree->version();
  out.update(measure(*part, dir.path() + "/docker.sock", count));
  std::printf("%s\n", out.dump().c_str());
  return 0;
}
