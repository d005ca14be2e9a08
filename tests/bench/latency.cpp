// SPDX-License-Identifier: Apache-2.0
// From the kernel's kill to the printed line: real OOM kills, one after the other, seen by `memcrest watch --json`.
// The incident's boot_time_ns is taken inside the kernel's hook; a line counts as printed when this reader has it.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <iostream>
#include <nlohmann/json.hpp>

#include "app/run_cgroup.h"
#include "app/run_child.h"
#include "bench/statistics.h"
#include "memcrest/clock.h"

namespace memcrest {
namespace {

constexpr std::uint64_t kMiB = 1U << 20U;

struct Watch {
  pid_t pid = -1;
  Fd out;
  Fd err;
};

Watch start_watch() {
  int out[2];
  int err[2];
  if (::pipe2(out, O_CLOEXEC) != 0 || ::pipe2(err, O_CLOEXEC) != 0) {
    std::perror("pipe");
    std::exit(1);
  }
  Watch watch{::fork(), Fd(out[0]), Fd(err[0])};
  if (watch.pid == 0) {
    ::dup2(out[1], STDOUT_FILENO);
    ::dup2(err[1], STDERR_FILENO);
    ::execl(MEMCREST_BINARY, MEMCREST_BINARY, "watch", "--json", "--docker-socket", "", nullptr);
    ::_exit(127);
  }
  ::close(out[1]);
  ::close(err[1]);
  return watch;
}

// The next line, empty when none comes within `milliseconds` or the pipe ends.
std::string read_line(int fd, std::string& rest, int milliseconds) {
  while (true) {
    if (const auto end = rest.find('\n'); end != std::string::npos) {
      std::string line = rest.substr(0, end);
      rest.erase(0, end + 1);
      return line;
    }
    pollfd ready{fd, POLLIN, 0};
    char buffer[65536];
    if (::poll(&ready, 1, milliseconds) <= 0) {
      return {};
    }
    const ssize_t got = ::read(fd, buffer, sizeof(buffer));
    if (got <= 0) {
      return {};
    }
    rest.append(buffer, static_cast<std::size_t>(got));
  }
}

int measure(int rounds) {
  const auto tree = CgroupTree::open(SystemRoot{});
  auto signals = RunSignals::open();
  if (!tree || !signals) {
    std::cerr << "cannot start: " << (tree ? signals.error() : tree.error()).message() << "\n";
    return 1;
  }
  auto cgroup = RunCgroup::create(*tree, {.memory = 32 * kMiB, .swap = std::nullopt});
  if (!cgroup) {
    std::cerr << cgroup.error().message() << "\n";
    return 1;
  }
  Watch watch = start_watch();
  std::string out_rest;
  std::string err_rest;
  std::string line;
  while (!line.starts_with("memcrest: watching")) {
    line = read_line(watch.err.get(), err_rest, 10000);
    if (line.empty()) {
      std::cerr << "memcrest watch did not start\n";
      return 1;
    }
  }
  const SystemClock clock;
  std::vector<double> latencies_ms;
  int missed = 0;
  for (int round = 0; round < rounds; ++round) {
    auto child = RunChild::spawn(cgroup->dir(), cgroup->version(), {MEMCREST_HOG, "anon", "64m", "--no-thp"}, *signals);
    if (!child || !child->wait_for(*signals, std::chrono::seconds(30)) || !child->exit()->signalled()) {
      std::cerr << "the test program was not killed\n";
      return 1;
    }
    bool found = false;
    while (!found) {
      line = read_line(watch.out.get(), out_rest, 3000);
      const auto now = static_cast<double>(clock.boot_ns());
      if (line.empty()) {
        break;
      }
      const auto incident = nlohmann::json::parse(line, nullptr, false);
      if (incident.is_object() && incident["kind"] == "oom" && incident["cgroup"]["id"] == cgroup->id()) {
        latencies_ms.push_back((now - incident["boot_time_ns"].get<double>()) / 1e6);
        found = true;
      }
    }
    missed += found ? 0 : 1;
  }
  ::kill(watch.pid, SIGTERM);
  ::waitpid(watch.pid, nullptr, 0);
  ignore_result(cgroup->remove());
  std::cout << nlohmann::ordered_json{{"benchmark", "latency"},
                                      {"kills", rounds},
                                      {"missed", missed},
                                      {"p50_ms", bench::percentile(latencies_ms, 0.5)},
                                      {"p99_ms", bench::percentile(latencies_ms, 0.99)},
                                      {"max_ms", bench::percentile(latencies_ms, 1)}}
                   .dump()
            << std::endl;
  return missed == 0 ? 0 : 1;
}

}  // namespace
}  // namespace memcrest

int main(int argc, char** argv) { return memcrest::measure(argc > 1 ? std::atoi(argv[1]) : 200); }
