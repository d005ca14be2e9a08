// SPDX-License-Identifier: Apache-2.0
// One lock, one thread. The thread holds the lock except while it asks a runtime or reads the tree; callers never do
// the former and do the latter only in scan().
#include "identity/resolver.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <unordered_set>

#include "identity/docker_api.h"
#include "identity/inquiry.h"
#include "identity/known_cgroups.h"
#include "identity/kubernetes_api.h"
#include "identity/oci_bundle.h"

namespace memcrest {
namespace {

using std::chrono::milliseconds;
using SteadyClock = std::chrono::steady_clock;
using TimePoint = SteadyClock::time_point;

constexpr std::size_t kMaxSought = 4096;
constexpr std::size_t kScanLimit = 65536;
constexpr milliseconds kRescanInterval{500};

std::unique_ptr<KubernetesApi> make_kubernetes(const ResolverSettings& settings) {
  if (!settings.kubernetes) {
    return nullptr;
  }
  KubernetesOptions options;
  options.patience = milliseconds(0);  // names of other containers would wait too: it is asked again
  options.cache.tombstone_age = settings.tombstone_age;
  return std::make_unique<KubernetesApi>(*settings.kubernetes, options);
}

std::vector<std::unique_ptr<ContainerSource>> make_sources(const ResolverSettings& settings,
                                                           std::unique_ptr<OciBundle> bundles,
                                                           std::unique_ptr<KubernetesApi> kubernetes) {
  std::vector<std::unique_ptr<ContainerSource>> sources;
  if (bundles) {
    sources.push_back(std::move(bundles));
  }
  if (!settings.docker_socket.empty()) {
    sources.push_back(std::make_unique<DockerApi>(settings.docker_socket, settings.api_timeout));
  }
  if (!settings.podman.root.empty() || !settings.podman.user_runtime_dirs.empty()) {
    sources.push_back(std::make_unique<PodmanApi>(settings.podman, settings.api_timeout));
  }
  if (kubernetes) {
    sources.push_back(std::move(kubernetes));
  }
  return sources;
}

}  // namespace

struct Resolver::State {
  State(CgroupTree cgroup_tree, const Clock& boot_clock, const ResolverSettings& settings,
        std::unique_ptr<OciBundle> all_bundles, std::unique_ptr<KubernetesApi> kubernetes_api)
      : tree(std::move(cgroup_tree)),
        clock(boot_clock),
        bundles(all_bundles.get()),
        kubernetes(kubernetes_api.get()),
        known(settings.max_known, settings.tombstone_age),
        inquiry(make_sources(settings, std::move(all_bundles), std::move(kubernetes_api))) {}

  // The caller holds the lock.
  void enter(std::uint64_t id, const std::string& path, TimePoint when);
  void enter_scanned(std::uint64_t id, const std::string& path, TimePoint when);
  void consider(std::uint64_t id, KnownCgroups::Entry& entry);
  void confirmed(std::uint64_t id, KnownCgroups::Entry& entry, const CgroupPath& path);
  Identity find(std::uint64_t id);
  Identity describe(std::uint64_t id, KnownCgroups::Entry& entry);
  Identity seek(std::uint64_t id);

  // On the threads of the streams.
  void happened(const RuntimeEvent& event);
  void connected(Runtime runtime, bool again);
  void follow(const std::string& engine, Runtime runtime, const std::string& socket);

  // The thread's own.
  void work(const std::stop_token& stop);
  void rescan(std::unique_lock<std::mutex>& lock);
  void decide(std::unique_lock<std::mutex>& lock, const std::stop_token& stop);

  const CgroupTree tree;
  const Clock& clock;
  const OciBundle* const bundles;         // inside inquiry; null: not asked
  const KubernetesApi* const kubernetes;  // the same

  std::mutex mutex;                    // for all that follows
  std::condition_variable work_there;  // for the thread
  std::condition_variable news;        // something that was pending may not be any more
  KnownCgroups known;
  Inquiry inquiry;
  std::unordered_set<std::uint64_t> sought;  // ids that the next rescan looks for
  TimePoint next_rescan{};
  // What was found out of candidates, by the path of the cgroup that would be the container's.
  struct Decision {
    std::optional<CgroupPath> container;
    TimePoint no_until{};  // a no is for a while: through its processes a container is found once it has some
  };
  std::unordered_map<std::string, Decision> decided;
  bool decided_last = false;
  std::deque<std::uint64_t> undecided;  // candidates for a container whose path does not say so
  std::jthread thread;                  // uses all of the above
  struct Stream {
    std::string engine;
    Runtime runtime;
    std::unique_ptr<RuntimeEvents> events;
  };
  std::vector<Stream> streams;  // so do their threads
};

void Resolver::State::enter(std::uint64_t id, const std::string& path, TimePoint when) {
  const std::uint64_t now = clock.boot_ns();
  known.prune(now);
  sought.erase(id);
  const auto [entry, fresh] = known.add(id, path, now);
  if (entry != nullptr && fresh && entry->container) {
    // A settled container is asked for again when its own cgroup is new: it was restarted, perhaps renamed.
    if (path == entry->container->path.container_path) {
      inquiry.changed(entry->container, when);
    } else if (!entry->container->settled) {
      inquiry.ask(entry->container, when);
    }
    work_there.notify_one();
  }
  if (entry != nullptr && fresh && entry->candidate) {
    if (path == entry->candidate->path) {
      decided.erase(path);  // was about another one there
    }
    consider(id, *entry);
  }
  news.notify_all();
}

// From a look at the tree, which takes its time: what was removed meanwhile stays removed.
void Resolver::State::enter_scanned(std::uint64_t id, const std::string& path, TimePoint when) {
  const auto* const entry = known.find(id);
  if (entry == nullptr || !entry->removed_ns || entry->path != path) {
    enter(id, path, when);
  }
}

// Has it found out whether a candidate is a container's, unless that is known by the cgroup's own path.
void Resolver::State::consider(std::uint64_t id, KnownCgroups::Entry& entry) {
  constexpr std::size_t kMaxUndecided = 4096;
  if (bundles == nullptr) {
    entry.candidate.reset();
    return;
  }
  const auto before = decided.find(entry.candidate->path);
  if (before != decided.end() && before->second.container) {
    confirmed(id, entry, *before->second.container);
  } else if (before != decided.end() && SteadyClock::now() < before->second.no_until) {
    return;
  } else if (!entry.undecided && undecided.size() < kMaxUndecided) {
    entry.undecided = true;
    undecided.push_back(id);
    work_there.notify_one();
  }
}

void Resolver::State::confirmed(std::uint64_t id, KnownCgroups::Entry& entry, const CgroupPath& path) {
  entry.candidate.reset();
  if (const auto container = known.settle(id, path)) {
    inquiry.ask(container, Inquiry::kAtOnce);
    work_there.notify_one();
  }
}

Identity Resolver::State::find(std::uint64_t id) {
  known.prune(clock.boot_ns());
  KnownCgroups::Entry* const entry = known.find(id);
  return entry != nullptr ? describe(id, *entry) : seek(id);
}

Identity Resolver::State::describe(std::uint64_t id, KnownCgroups::Entry& entry) {
  if (!entry.container && entry.candidate && !entry.removed_ns) {
    consider(id, entry);  // there was no room for it, or it has had time to show
  }
  Identity identity{.known = !entry.path.empty(), .cgroup = {.id = id, .path = entry.path}};
  if (!identity.known) {
    identity.container.unknown_reason = "the cgroup was gone, or out of sight, when its path was looked for";
  } else if (!entry.container) {
    identity.container = container_from_path(parse_cgroup_path(entry.path));
    identity.pending = entry.undecided;
    if (entry.candidate && !entry.undecided && !decided.contains(entry.candidate->path)) {
      identity.container.unknown_reason = "it was not found out whether this is a container";
    }
  } else {
    if (inquiry.ask_again_if_due(entry.container)) {
      work_there.notify_one();
    }
    identity.pending = entry.container->pending;
    identity.more_coming = entry.container->asking || entry.container->beginning > 0;
    identity.container = entry.container->container;
    for (OuterContainer& outer : identity.container.outer) {
      const auto around = known.container(outer.id);
      if (around && entry.path.starts_with(around->path.container_path + "/")) {
        outer.runtime = around->container.runtime;
        outer.name = around->container.name;
      }
    }
  }
  return identity;
}

// An id that no event has told of: the tree is read once more for it, together with all others sought by then.
Identity Resolver::State::seek(std::uint64_t id) {
  Identity identity{.cgroup = {.id = id}};
  if (id == 0) {
    identity.container.unknown_reason = "the event names no cgroup";
  } else if (known.full() || (sought.size() >= kMaxSought && !sought.contains(id))) {
    identity.container.unknown_reason = "there are more cgroups than are kept";
  } else {
    identity.pending = true;
    identity.container.unknown_reason = "the cgroup is being looked for";
    if (sought.insert(id).second) {
      work_there.notify_one();
    }
  }
  return identity;
}

void Resolver::State::happened(const RuntimeEvent& event) {
  using enum RuntimeEvent::Action;
  const std::lock_guard lock(mutex);
  const auto container = known.container(event.container_id);
  if (!container) {
    return;
  }
  if (event.action == kRename) {
    inquiry.changed(container, SteadyClock::now());
  } else if (event.action == kDie || event.action == kOom) {
    inquiry.refresh(container);
  }
  work_there.notify_one();
}

// The daemon is there. Whoever it could not tell before is asked for anew; when it was away, so are its containers,
// since what happened meanwhile (a rename) was not seen.
void Resolver::State::connected(Runtime runtime, bool again) {
  const std::lock_guard lock(mutex);
  for (const auto& container : known.living()) {
    if (!container->settled || (again && container->container.runtime == runtime)) {
      inquiry.ask(container, SteadyClock::now());
    }
  }
  work_there.notify_one();
}

void Resolver::State::follow(const std::string& engine, Runtime runtime, const std::string& socket) {
  RuntimeEventsSettings settings;
  settings.engine = engine;
  settings.socket = socket;
  RuntimeEvents::Callbacks callbacks;
  callbacks.on_event = [this](const RuntimeEvent& event) { happened(event); };
  callbacks.on_connected = [this, runtime, again = false]() mutable {
    connected(runtime, again);
    again = true;
  };
  streams.push_back(
      {engine, runtime, std::make_unique<RuntimeEvents>(std::move(settings), clock, std::move(callbacks))});
}

void Resolver::State::work(const std::stop_token& stop) {
  std::unique_lock lock(mutex);
  while (!stop.stop_requested()) {
    const TimePoint now = SteadyClock::now();
    const TimePoint rescan_due = sought.empty() ? Inquiry::kNever : next_rescan;
    const TimePoint job_due = inquiry.next_due();
    // In turns with what must not wait.
    decided_last = !undecided.empty() && !(decided_last && job_due == Inquiry::kAtOnce);
    if (decided_last) {
      decide(lock, stop);
      news.notify_all();
    } else if (rescan_due <= now && job_due != Inquiry::kAtOnce) {
      rescan(lock);
    } else if (job_due <= now) {
      inquiry.run_next(lock, stop);
      news.notify_all();
    } else if (std::min(rescan_due, job_due) == Inquiry::kNever) {
      work_there.wait(lock);
    } else {
      work_there.wait_until(lock, std::min(rescan_due, job_due));
    }
  }
}

// Is the oldest candidate a container's?
void Resolver::State::decide(std::unique_lock<std::mutex>& lock, const std::stop_token& stop) {
  constexpr std::size_t kMaxDecided = 4096;
  constexpr std::chrono::seconds kNoFor{1};
  const std::uint64_t id = undecided.front();
  undecided.pop_front();
  auto* entry = known.find(id);
  if (entry == nullptr || !entry->candidate) {
    return;
  }
  entry->undecided = false;
  const ContainerCandidate candidate = *entry->candidate;
  if (const auto before = decided.find(candidate.path);
      before == decided.end() || (!before->second.container && before->second.no_until <= SteadyClock::now())) {
    lock.unlock();
    auto container = bundles->confirm(candidate.path, candidate.id, stop);
    lock.lock();
    entry = known.find(id);
    if (entry == nullptr || !entry->candidate || entry->candidate->path != candidate.path) {
      return;  // another cgroup's by now
    }
    if (entry->removed_ns) {  // what comes after it at this path may be another's: not to be remembered
      if (container) {
        confirmed(id, *entry, *container);
      }
      return;
    }
    if (decided.size() >= kMaxDecided) {
      decided.clear();
    }
    decided.insert_or_assign(candidate.path, Decision{std::move(container), SteadyClock::now() + kNoFor});
  }
  consider(id, *entry);
}

void Resolver::State::rescan(std::unique_lock<std::mutex>& lock) {
  const std::unordered_set<std::uint64_t> wanted = sought;
  const std::uint64_t generation = known.begin_generation();
  next_rescan = SteadyClock::now() + kRescanInterval;
  lock.unlock();
  const auto entries = tree.scan(kScanLimit);
  lock.lock();
  std::unordered_set<std::uint64_t> existing;
  for (const auto& entry : entries) {
    existing.insert(entry.id);
    enter_scanned(entry.id, entry.path, wanted.contains(entry.id) ? Inquiry::kAtOnce : SteadyClock::now());
  }
  const std::uint64_t now = clock.boot_ns();
  if (!entries.empty() && entries.size() < kScanLimit) {
    known.keep_only(existing, generation, now);
  }
  for (const std::uint64_t id : wanted) {
    sought.erase(id);
    if (known.find(id) == nullptr) {
      known.add(id, {}, now);
    }
  }
  news.notify_all();
}

Resolver::Resolver(CgroupTree tree, const Clock& clock, const ResolverSettings& settings)
    : state_(std::make_unique<State>(
          tree, clock, settings,
          settings.bundles ? std::make_unique<OciBundle>(*settings.bundles, tree) : std::unique_ptr<OciBundle>(),
          make_kubernetes(settings))) {
  state_->thread = std::jthread([state = state_.get()](const std::stop_token& stop) { state->work(stop); });
  if (settings.follow_events && !settings.docker_socket.empty()) {
    state_->follow("Docker", Runtime::kDocker, settings.docker_socket);
  }
  if (settings.follow_events && !settings.podman.root.empty()) {
    state_->follow("Podman", Runtime::kPodman, settings.podman.root);
  }
}

Resolver::~Resolver() {
  state_->streams.clear();  // each ends its thread
  state_->thread.request_stop();
  {
    const std::lock_guard lock(state_->mutex);  // the thread is now either before its test or inside its wait
  }
  state_->work_there.notify_all();
  state_->thread.join();
}

void Resolver::scan() {
  const auto entries = state_->tree.scan(kScanLimit);
  const std::lock_guard lock(state_->mutex);
  for (const auto& entry : entries) {
    state_->enter_scanned(entry.id, entry.path, SteadyClock::now());
  }
}

void Resolver::appeared(std::uint64_t cgroup_id, const std::string& path) {
  if (cgroup_id == 0 || path.empty()) {
    return;
  }
  const std::lock_guard lock(state_->mutex);
  state_->enter(cgroup_id, path, Inquiry::kAtOnce);
}

void Resolver::removed(std::uint64_t cgroup_id) {
  const std::lock_guard lock(state_->mutex);
  const std::uint64_t now = state_->clock.boot_ns();
  state_->known.prune(now);
  state_->known.remove(cgroup_id, now);
}

Identity Resolver::find(std::uint64_t cgroup_id) {
  const std::lock_guard lock(state_->mutex);
  return state_->find(cgroup_id);
}

Identity Resolver::find_path(const std::string& path) {
  const std::lock_guard lock(state_->mutex);
  if (const auto id = state_->known.id_of(path)) {
    return state_->find(*id);
  }
  Identity identity{.known = !path.empty(), .cgroup = {.id = 0, .path = path}};
  identity.container = container_from_path(parse_cgroup_path(path));
  return identity;
}

std::optional<RuntimeState> Resolver::runtime_state(std::uint64_t cgroup_id) const {
  const std::lock_guard lock(state_->mutex);
  const auto* const entry = state_->known.find(cgroup_id);
  return entry != nullptr && entry->container ? entry->container->container.state : std::nullopt;
}

std::vector<EngineStream> Resolver::streams() const {
  std::vector<EngineStream> out;
  for (const auto& [engine, runtime, events] : state_->streams) {
    out.push_back({engine, runtime, events->state()});
  }
  return out;
}

std::vector<LookupCount> Resolver::look_ups() const {
  const std::lock_guard lock(state_->mutex);
  return state_->inquiry.counts();
}

std::optional<KubernetesCache::State> Resolver::kubernetes() const {
  return state_->kubernetes != nullptr ? std::optional(state_->kubernetes->state()) : std::nullopt;
}

Identity Resolver::wait(std::uint64_t cgroup_id, milliseconds limit, bool for_all) {
  constexpr milliseconds kLongestWait{3'600'000};
  const TimePoint deadline = SteadyClock::now() + std::min(limit, kLongestWait);
  std::unique_lock lock(state_->mutex);
  Identity identity = state_->find(cgroup_id);
  while ((identity.pending || (for_all && identity.more_coming)) &&
         state_->news.wait_until(lock, deadline) != std::cv_status::timeout) {
    identity = state_->find(cgroup_id);
  }
  return identity.pending ? state_->find(cgroup_id) : identity;
}

}  // namespace memcrest
