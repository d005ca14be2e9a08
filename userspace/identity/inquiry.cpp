// SPDX-License-Identifier: Apache-2.0
#include "identity/inquiry.h"

#include <algorithm>
#include <array>

namespace memcrest {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using SteadyClock = std::chrono::steady_clock;

constexpr std::size_t kMaxJobs = 8192;
// A container that is just being made, or a daemon that is just being restarted.
constexpr std::array kRetryAfter = {milliseconds(50), milliseconds(200), milliseconds(1000)};
// The first lets `docker start` finish, which holds the container's lock.
constexpr std::array kInspectAfter = {milliseconds(1000), milliseconds(5000), milliseconds(30'000)};
constexpr seconds kFirstPause{5};
constexpr seconds kLongestPause{300};

seconds pause_after(unsigned failures) {
  constexpr unsigned kDoublings = 8;
  return std::min(kLongestPause, kFirstPause * (1 << std::min(failures, kDoublings)));
}

// The runtime could not be asked. Not final: it is asked again from `ask_again` on.
void give_up(KnownContainer& container, const std::string& reason, Inquiry::TimePoint ask_again) {
  container.pending = false;
  container.ask_again = ask_again;
  if (!container.container.name.empty()) {
    return;  // an earlier answer holds
  }
  const std::string path_reason = container_from_path(container.path).unknown_reason;
  switch (container.path.runtime) {
    case Runtime::kUnknown:
      container.container.unknown_reason = path_reason + "; " + reason;
      break;
    case Runtime::kContainerd:  // most likely not the asked one's anyway
      container.container.unknown_reason = path_reason;
      break;
    case Runtime::kDocker:
    case Runtime::kCrio:
    case Runtime::kPodman:
    case Runtime::kSystemd:
    case Runtime::kNone:
      container.container.unknown_reason = reason;
      break;
  }
}

// The runtime answered that it has no such container: that is final.
void settle_unknown(KnownContainer& container, const ContainerSource& api) {
  container.pending = false;
  container.settled = true;
  if (!container.container.name.empty()) {
    return;  // named before, removed since
  }
  const CgroupPath& path = container.path;
  container.container = container_from_path(path);
  std::string& reason = container.container.unknown_reason;
  const std::string negative = std::string(api.name()) + " knows no container " + path.container_id;
  if (path.runtime == api.runtime()) {
    reason = path.outer_ids.empty() ? negative : negative + "; it runs inside container " + path.outer_ids.back();
  } else if (path.runtime == Runtime::kUnknown) {
    reason += "; " + negative;
  }
}

}  // namespace

Inquiry::Inquiry(std::vector<std::unique_ptr<ContainerSource>> sources) {
  for (auto& api : sources) {
    sources_.push_back({.api = std::move(api)});
  }
}

Inquiry::Source* Inquiry::source_for(const CgroupPath& path) {
  const auto source = std::ranges::find_if(sources_, [&](const Source& s) { return s.api->may_know(path); });
  return source == sources_.end() ? nullptr : &*source;
}

void Inquiry::ask(const std::shared_ptr<KnownContainer>& container, TimePoint when) {
  const Source* const source = source_for(container->path);
  if (container->pending || source == nullptr) {
    return;
  }
  const std::string who = source->api->name();
  container->settled = false;
  container->tries = 0;
  container->container.init_pid.reset();
  if (!queue(when, {.container = container})) {
    give_up(*container, "too many containers are waiting for " + who, SteadyClock::now() + kFirstPause);
  } else if (container->container.name.empty()) {  // else the old facts hold until the new ones come
    container->pending = true;
    container->container.unknown_reason = who + " has not answered yet";
  }
}

void Inquiry::ask_again_if_due(const std::shared_ptr<KnownContainer>& container) {
  const TimePoint now = SteadyClock::now();
  const Source* const source = source_for(container->path);
  if (!container->settled && container->live > 0 && now >= container->ask_again && source != nullptr &&
      source->breaker.allows(now)) {
    ask(container, now);
  }
}

bool Inquiry::queue(TimePoint when, Job job) {
  if (jobs_.size() >= kMaxJobs) {
    return false;
  }
  jobs_.emplace(when, std::move(job));
  return true;
}

void Inquiry::run_next(Lock& lock, const std::stop_token& stop) {
  const Job job = std::move(jobs_.extract(jobs_.begin()).mapped());
  Source& source = *source_for(job.container->path);  // there was one when the job was queued
  if (job.inspect) {
    inspect(job, source, lock, stop);
  } else {
    look_up(job.container, source, lock, stop);
  }
}

void Inquiry::look_up(const std::shared_ptr<KnownContainer>& container, Source& source, Lock& lock,
                      const std::stop_token& stop) {
  if (!source.breaker.allows(SteadyClock::now())) {
    give_up(*container, std::string(source.api->name()) + " did not answer in time and is not asked again yet",
            source.breaker.closed_from());
    return;
  }
  const std::string id = container->path.container_id;
  lock.unlock();
  auto answer = source.api->look_up(id, stop);
  lock.lock();
  if (!answer) {
    failed(container, source, answer.error());
    return;
  }
  source.breaker.answered();
  if (*answer) {
    accept(container, *source.api, std::move(**answer));
  } else if (!try_again_soon(container)) {
    settle_unknown(*container, *source.api);
  }
}

void Inquiry::failed(const std::shared_ptr<KnownContainer>& container, Source& source, const Error& error) {
  const TimePoint now = SteadyClock::now();
  if (error.code == ETIMEDOUT) {
    source.breaker.timed_out(now);
  }
  if (error.code == ECONNREFUSED && try_again_soon(container)) {
    return;
  }
  give_up(*container, error.message(), now + pause_after(container->failures++));
}

void Inquiry::accept(const std::shared_ptr<KnownContainer>& container, const ContainerSource& api,
                     ContainerFacts facts) {
  Container& out = container->container;
  out.runtime = api.runtime();
  out.name = std::move(facts.name);
  out.image = std::move(facts.image);
  out.labels = std::move(facts.labels);
  out.unknown_reason = out.image.empty() ? std::string(api.name()) + " told no image" : "";
  container->pending = false;
  container->settled = true;
  container->failures = 0;
  if (container->live > 0) {
    queue(SteadyClock::now() + kInspectAfter.front(), {.container = container, .inspect = true});
  }
}

// A few times more while the container's cgroup lives, unless the path points to another runtime anyway.
bool Inquiry::try_again_soon(const std::shared_ptr<KnownContainer>& container) {
  const bool worth_it = container->live > 0 && container->path.runtime != Runtime::kContainerd;
  if (!worth_it || container->tries >= kRetryAfter.size()) {
    return false;
  }
  const auto wait = kRetryAfter[container->tries];
  ++container->tries;
  return queue(SteadyClock::now() + wait, {.container = container});
}

void Inquiry::inspect(const Job& job, Source& source, Lock& lock, const std::stop_token& stop) {
  KnownContainer& container = *job.container;
  if (container.live == 0 || !source.breaker.allows(SteadyClock::now())) {
    return;
  }
  const std::string id = container.path.container_id;
  lock.unlock();
  const auto answer = source.api->inspect(id, stop);
  lock.lock();
  const unsigned tries = job.inspect_tries + 1;
  if (answer && *answer) {
    container.container.init_pid = (*answer)->init_pid;
    if (!(*answer)->image.empty()) {
      container.container.image = (*answer)->image;  // as the user wrote it; a list shows a digest once the tag moved
      container.container.unknown_reason.clear();
    }
  } else if (!answer && tries < kInspectAfter.size()) {
    queue(SteadyClock::now() + kInspectAfter[tries],
          {.container = job.container, .inspect = true, .inspect_tries = tries});
  }
}

}  // namespace memcrest
