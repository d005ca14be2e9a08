// SPDX-License-Identifier: Apache-2.0
// embed SECONDS: memcrest's collector in a program of one's own, with an exporter of one's own: a line for each OOM.
#include <memcrest/monitor.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>

namespace {

// The exporter. Names are anybody's bytes: JSON carries them as valid text.
void tell(const memcrest::Incident& incident) {
  if (incident.kind == memcrest::IncidentKind::kOom && incident.update.empty()) {
    std::printf("%zu killed, limit %llu: %s\n", incident.victims.size(),
                static_cast<unsigned long long>(incident.limit.bytes.value_or(0)), memcrest::to_json(incident).c_str());
    std::fflush(stdout);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::chrono::seconds duration(argc > 1 ? std::atoi(argv[1]) : 60);
  unsigned long long steps = 0;
  memcrest::MonitorOptions options;
  options.docker_socket = "";  // names from the records on disk are enough here
  options.observe = [&](auto events) { steps += events.size(); };
  auto monitor = memcrest::Monitor::open(options, tell);
  if (!monitor) {
    std::fprintf(stderr, "embed: %s\n", monitor.error().message.c_str());
    return 1;
  }
  std::fprintf(stderr, "embed: memcrest %s, charges %s, oom %s\n", memcrest::version(),
               (*monitor)->charge_tier().c_str(), (*monitor)->oom_tier().c_str());
  const auto end = std::chrono::steady_clock::now() + duration;
  while (std::chrono::steady_clock::now() < end && (*monitor)->turn(std::chrono::milliseconds(100))) {
  }
  (*monitor)->finish();
  const memcrest::LossCount lost = (*monitor)->loss();
  std::fprintf(stderr, "embed: %llu events, %llu lost\n", steps,
               static_cast<unsigned long long>(lost.critical + lost.bulk + lost.invalid));
}
