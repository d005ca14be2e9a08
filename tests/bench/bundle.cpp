// SPDX-License-Identifier: Apache-2.0
// What the OCI bundles of running containers tell, and how long a look-up takes.
//   bench_bundle CGROUP_PATH...     paths in the memory hierarchy: /docker/<id>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <vector>

#include "identity/oci_bundle.h"
#include "util/text.h"

namespace {

using namespace memcrest;
using SteadyClock = std::chrono::steady_clock;

void show(const char* key, const std::string& text) {
  if (!text.empty()) {
    std::printf("  %-10s %s\n", key, escape_terminal(text).c_str());
  }
}

void show(const Container& container) {
  show("runtime", to_string(container.runtime));
  show("id", container.id);
  show("name", container.name);
  show("image", container.image);
  show("namespace", container.runtime_namespace);
  show("unknown", container.unknown_reason);
  if (container.pod) {
    show("pod", container.pod->name + " in " + container.pod->name_space + ", uid " + container.pod->uid +
                    (container.pod->sandbox ? ", sandbox" : ""));
  }
  for (const auto& [key, value] : container.labels) {
    show("label", key + "=" + value);
  }
  if (container.memory_limit_bytes) {
    show("limit", std::to_string(*container.memory_limit_bytes));
  }
  if (container.swap_limit_bytes) {
    show("swap", std::to_string(*container.swap_limit_bytes));
  }
  if (container.init_pid) {
    show("init pid", std::to_string(*container.init_pid));
  }
}

double microseconds(SteadyClock::duration time) { return std::chrono::duration<double, std::micro>(time).count(); }

bool look_up(OciBundle& source, const std::string& text) {
  constexpr int kRounds = 200;
  auto path = parse_cgroup_path(text);
  if (path.container_id.empty()) {
    path = source.recognise(text).value_or(path);
  }
  std::vector<double> times;
  Result<std::optional<Container>> answer;
  for (int i = 0; i < kRounds; ++i) {
    const auto begin = SteadyClock::now();
    answer = source.look_up(path);
    times.push_back(microseconds(SteadyClock::now() - begin));
  }
  const double first = times.front();
  std::ranges::sort(times);
  std::printf("%s\n  first %.0f us, median %.0f us, worst %.0f us\n", escape_terminal(text).c_str(), first,
              times[times.size() / 2], times.back());
  if (!answer) {
    show("error", answer.error().message());
  } else if (*answer) {
    show(**answer);
  } else {
    show("nothing", "no bundle");
  }
  return answer && *answer;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fputs("usage: bench_bundle CGROUP_PATH...\n", stderr);
    return 2;
  }
  auto tree = CgroupTree::open(SystemRoot{});
  if (!tree) {
    std::fprintf(stderr, "bench_bundle: %s\n", escape_terminal(tree.error().message()).c_str());
    return 1;
  }
  OciBundle source({}, *tree);
  bool all = true;
  for (int i = 1; i < argc; ++i) {
    all = look_up(source, argv[i]) && all;
  }
  return all ? 0 : 1;
}
