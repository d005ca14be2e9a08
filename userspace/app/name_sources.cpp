// SPDX-License-Identifier: Apache-2.0
#include "app/name_sources.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "identity/resolver.h"

namespace memcrest {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using State = NameSource::State;

constexpr milliseconds kPatience{2000};
constexpr milliseconds kLook{10};
constexpr const char* kSilent = "no answer within 2 s";

bool has_answered(const EngineStream& stream) { return stream.state.connected_since_unix_ns || is_down(stream); }

bool have_answered(const Resolver& resolver) {
  const auto kubernetes = resolver.kubernetes();
  return std::ranges::all_of(resolver.streams(), has_answered) &&
         (!kubernetes || kubernetes->available || is_away(*kubernetes));
}

NameSource bundles(bool asked) {
  NameSource out{.name = "OCI bundles", .tells = "names, images and pods, from the runtimes' records on disk"};
  if (!asked) {
    out.reason = "--no-bundles";
  } else if (geteuid() != 0) {
    out.state = State::kFails;
    out.reason = "only root may read them";
  } else {
    out.state = State::kWorks;
  }
  return out;
}

NameSource engine(const std::string& name, const char* option, const std::vector<EngineStream>& streams) {
  NameSource out{.name = name, .tells = "how a container ended, labels, new names"};
  const auto stream = std::ranges::find(streams, name, &EngineStream::engine);
  if (stream == streams.end()) {
    out.reason = std::string(option) + " is empty";
  } else if (stream->state.connected_since_unix_ns) {
    out.state = State::kWorks;
  } else {
    out.state = was_never_there(*stream) ? State::kAbsent : State::kFails;
    out.reason = is_down(*stream) ? stream->state.last_error : kSilent;
  }
  return out;
}

NameSource kubernetes(const std::optional<KubernetesCache::State>& state, const std::string& why_not_asked) {
  NameSource out{.name = "Kubernetes API", .tells = "labels and owner of pods, memory requests"};
  if (!state) {
    out.reason = why_not_asked;
  } else if (state->available) {
    out.state = State::kWorks;
  } else {
    out.state = State::kFails;
    out.reason = is_away(*state) ? state->why_not : kSilent;
  }
  return out;
}

}  // namespace

const char* to_string(State state) {
  switch (state) {
    case State::kWorks:
      return "works";
    case State::kAbsent:
      return "absent";
    case State::kFails:
      return "fails";
    case State::kNotAsked:
      return "not_asked";
  }
  return "not_asked";
}

std::vector<NameSource> try_name_sources(const IdentityOptions& options, const CgroupTree& tree) {
  auto settings = resolver_settings(options);
  std::string no_kubernetes = options.use_kubernetes ? "neither a pod nor --kubernetes-server" : "--no-kubernetes";
  if (!settings) {
    no_kubernetes = settings.error().message();
    IdentityOptions others = options;
    others.use_kubernetes = false;
    settings = resolver_settings(others);
  }
  settings->follow_events = true;
  const SystemClock clock;
  const Resolver resolver(tree, clock, *settings);
  const auto end = steady_clock::now() + kPatience;
  while (!have_answered(resolver) && steady_clock::now() < end) {
    std::this_thread::sleep_for(kLook);
  }
  const auto streams = resolver.streams();
  return {bundles(options.bundles), engine("Docker", "--docker-socket", streams),
          engine("Podman", "--podman-socket", streams), kubernetes(resolver.kubernetes(), no_kubernetes)};
}

}  // namespace memcrest
