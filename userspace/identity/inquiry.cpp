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
constexpr milliseconds kBeginning{50};  // for a source that is just beginning
constexpr seconds kFirstPause{5};
constexpr seconds kLongestPause{300};

seconds pause_after(unsigned failures) {
  constexpr unsigned kDoublings = 8;
  return std::min(kLongestPause, kFirstPause * (1 << std::min(failures, kDoublings)));
}

std::string join(const std::vector<std::string>& parts) {
  std::string out;
  for (const std::string& part : parts) {
    out += (out.empty() ? "" : "; ") + part;
  }
  return out;
}

// Does what this source says count for a container of this path? Docker is asked about containers under Kubernetes
// pods too, but that it knows nothing of one of containerd's is no news.
bool concerns(const ContainerSource& api, const CgroupPath& path) {
  return api.runtime() == Runtime::kUnknown || path.runtime == Runtime::kUnknown || api.runtime() == path.runtime;
}

}  // namespace

struct Inquiry::Round {
  std::shared_ptr<KnownContainer> container;
  Container found;                  // put together so far
  std::vector<std::string> no;      // who knows nothing of it
  std::vector<std::string> errors;  // who could not be asked, and why
  bool relevant_no = false;
  bool nameless = false;   // one knows it, and not its name yet
  bool elsewhere = false;  // the container is in another cgroup: nobody is asked by its id any more
  bool retry = false;      // one refused, as a daemon that is being restarted does
  TimePoint ask_again = kNever;
  std::vector<Source*> later;  // those that told or failed: by and by they may have more to tell
  std::vector<Source*> beginning;
};

Inquiry::Inquiry(std::vector<std::unique_ptr<ContainerSource>> sources) {
  for (auto& api : sources) {
    sources_.push_back({.api = std::move(api)});
  }
}

// The first that may know it.
Inquiry::Source* Inquiry::source_for(const KnownContainer& container) {
  const Container from_path = container_from_path(container.path);
  const auto source =
      std::ranges::find_if(sources_, [&](const Source& s) { return s.api->may_add(container.path, from_path); });
  return source == sources_.end() ? nullptr : &*source;
}

void Inquiry::ask(const std::shared_ptr<KnownContainer>& container, TimePoint when) {
  const Source* const source = source_for(*container);
  if (container->asking || source == nullptr) {
    return;
  }
  container->settled = false;
  container->tries = 0;
  container->container.init_pid.reset();
  const std::string who = source->api->name();
  if (!queue(when, {.container = container})) {
    container->ask_again = SteadyClock::now() + kFirstPause;
    if (container->container.name.empty()) {
      container->container.unknown_reason = "too many containers are waiting for " + who;
    }
  } else if (container->container.name.empty()) {  // else the old facts hold until the new ones come
    container->pending = true;
    container->container.unknown_reason = container->doubt.empty() ? who + " has not answered yet" : container->doubt;
  }
}

bool Inquiry::ask_again_if_due(const std::shared_ptr<KnownContainer>& container) {
  const TimePoint now = SteadyClock::now();
  if (container->settled || container->asking || container->live == 0 || now < container->ask_again) {
    return false;
  }
  ask(container, now);
  return container->asking;
}

void Inquiry::refresh(const std::shared_ptr<KnownContainer>& container) {
  if (container->inspect_queued) {
    return;
  }
  for (Source& source : sources_) {
    if (concerns(*source.api, container->path) && container->container.runtime == source.api->runtime()) {
      container->inspect_queued =
          queue(SteadyClock::now(), {.container = container, .inspect = &source, .also_gone = true}) ||
          container->inspect_queued;
    }
  }
}

bool Inquiry::queue(TimePoint when, Job job) {
  if (jobs_.size() >= kMaxJobs) {
    return false;
  }
  job.container->asking = job.container->asking || job.inspect == nullptr;
  jobs_.emplace(when, std::move(job));
  return true;
}

void Inquiry::run_next(Lock& lock, const std::stop_token& stop) {
  const Job job = std::move(jobs_.extract(jobs_.begin()).mapped());
  if (job.inspect != nullptr) {
    job.container->inspect_queued = false;
    if (!inspect(job, lock, stop) && job.beginning) {
      --job.container->beginning;
    }
  } else {
    look_up(job.container, lock, stop);
  }
}

void Inquiry::look_up(const std::shared_ptr<KnownContainer>& container, Lock& lock, const std::stop_token& stop) {
  Round round{.container = container, .found = container_from_path(container->path)};
  round.found.unknown_reason.clear();
  for (Source& source : sources_) {
    const bool safe = source.api->checks_cgroup() || (container->doubt.empty() && !round.elsewhere);
    if (!stop.stop_requested() && safe && source.api->may_add(container->path, round.found)) {
      ask_one(source, round, lock, stop);
    }
  }
  container->asking = false;  // unless finish() has it asked for again
  finish(container, round);
}

void Inquiry::ask_one(Source& source, Round& round, Lock& lock, const std::stop_token& stop) {
  KnownContainer& container = *round.container;
  const ContainerSource& api = *source.api;
  if (!source.breaker.allows(SteadyClock::now())) {
    round.errors.push_back(std::string(api.name()) + " did not answer in time and is not asked again yet");
    round.ask_again = std::min(round.ask_again, source.breaker.closed_from());
    round.later.push_back(&source);
    return;
  }
  lock.unlock();
  auto answer = source.api->look_up(container.path, stop);
  lock.lock();
  if (!answer) {
    const TimePoint now = SteadyClock::now();
    if (answer.error().code == ETIMEDOUT) {
      source.breaker.timed_out(now);
    }
    const bool beginning = answer.error().code == EINPROGRESS;
    round.retry = round.retry || beginning || answer.error().code == ECONNREFUSED;
    round.elsewhere = round.elsewhere || (api.checks_cgroup() && answer.error().code == EBADMSG);
    round.errors.push_back(answer.error().message());
    round.ask_again = std::min(round.ask_again, now + pause_after(container.failures));
    (beginning ? round.beginning : round.later).push_back(&source);
    return;
  }
  source.breaker.answered();
  if (!*answer) {
    round.no.push_back(std::string(api.name()) + " knows no container " + container.path.container_id);
    round.relevant_no = round.relevant_no || concerns(api, container.path);
    if (api.runtime() == Runtime::kUnknown) {
      round.later.push_back(&source);  // it knows of all runtimes' containers, some sooner than others
    }
    return;
  }
  round.later.push_back(&source);
  if (api.runtime() != Runtime::kUnknown) {
    (*answer)->runtime = api.runtime();  // who answers knows better than the path
  }
  if ((*answer)->name.empty()) {
    round.nameless = true;
    if (!(*answer)->unknown_reason.empty()) {
      round.errors.push_back((*answer)->unknown_reason);
    }
  }
  merge(round.found, std::move(**answer));
  if (!round.found.name.empty()) {  // good enough for who waits; what the others add comes later
    round.found.unknown_reason = round.found.image.empty() ? std::string(api.name()) + " told no image" : "";
    container.container = round.found;
    container.pending = false;
  }
}

void Inquiry::finish(const std::shared_ptr<KnownContainer>& container, Round& round) {
  if (!round.found.name.empty()) {
    if (round.found.image.empty()) {
      std::vector<std::string> why = {round.found.unknown_reason};
      why.insert(why.end(), round.errors.begin(), round.errors.end());
      round.found.unknown_reason = join(why);
    }
    container->container = std::move(round.found);
    container->pending = false;
    container->settled = true;
    container->failures = 0;
    container->doubt.clear();
    queue_inspections(container, round);
    return;
  }
  if (round.elsewhere) {
    container->doubt = "the container of this id is in another cgroup";
  }
  if ((round.retry || round.relevant_no || round.nameless) && try_again_soon(container)) {
    return;
  }
  container->pending = false;
  if (!container->doubt.empty()) {
    container->settled = false;  // the other cgroup may go
    container->ask_again = SteadyClock::now() + pause_after(container->failures++);
    container->container = container_from_path(container->path);
    container->container.unknown_reason = container->doubt;
    return;
  }
  if (round.errors.empty() && !round.nameless) {
    container->settled = true;  // all answered: that is final
  } else {
    const TimePoint soon = SteadyClock::now() + pause_after(container->failures++);
    container->ask_again = round.ask_again == kNever ? soon : round.ask_again;
  }
  if (!container->container.name.empty()) {
    return;  // named before; removed since, or an earlier answer holds
  }
  const CgroupPath& path = container->path;
  std::vector<std::string> why;
  if (path.runtime == Runtime::kUnknown) {
    why.push_back(container_from_path(path).unknown_reason);
  }
  why.insert(why.end(), round.errors.begin(), round.errors.end());
  if (round.relevant_no && round.errors.empty()) {  // else those explain it
    why.insert(why.end(), round.no.begin(), round.no.end());
    if (!path.outer_ids.empty()) {
      why.push_back("it runs inside container " + path.outer_ids.back().id);
    }
  }
  round.found.unknown_reason = why.empty() ? container_from_path(path).unknown_reason : join(why);
  container->container = std::move(round.found);
}

// A few times more while the container's cgroup lives.
bool Inquiry::try_again_soon(const std::shared_ptr<KnownContainer>& container) {
  if (container->live == 0 || container->tries >= kRetryAfter.size()) {
    return false;
  }
  const auto wait = kRetryAfter[container->tries];
  ++container->tries;
  return queue(SteadyClock::now() + wait, {.container = container});
}

void Inquiry::queue_inspections(const std::shared_ptr<KnownContainer>& container, const Round& round) {
  for (Source* const source : round.beginning) {
    if (queue(SteadyClock::now() + kBeginning, {.container = container, .inspect = source, .beginning = true})) {
      ++container->beginning;
    }
  }
  for (Source& source : sources_) {
    // Its runtime knows more, also when a bundle had told the name already.
    const bool own = source.api->runtime() == container->container.runtime;
    if (container->live > 0 && (own || std::ranges::find(round.later, &source) != round.later.end())) {
      queue(SteadyClock::now() + kInspectAfter.front(), {.container = container, .inspect = &source});
    }
  }
}

bool Inquiry::inspect(const Job& job, Lock& lock, const std::stop_token& stop) {
  constexpr unsigned kSlowInARow = 3;
  KnownContainer& container = *job.container;
  Source& source = *job.inspect;
  if ((container.live == 0 && !job.also_gone) || !container.doubt.empty()) {
    return false;
  }
  Job again = job;
  ++again.inspect_tries;
  again.beginning = false;
  const bool may_try_again = again.inspect_tries < kInspectAfter.size();
  if (!source.breaker.allows(SteadyClock::now())) {
    if (may_try_again) {
      queue(source.breaker.closed_from(), std::move(again));
    }
    return false;
  }
  lock.unlock();
  auto answer = source.api->inspect(container.path, stop);
  lock.lock();
  if (job.beginning && !answer && answer.error().code == EINPROGRESS) {
    return queue(SteadyClock::now() + kBeginning, job);
  }
  if (answer) {
    source.slow_inspections = 0;
  } else if (answer.error().code == ETIMEDOUT && ++source.slow_inspections >= kSlowInARow) {
    // One that is busy with a container lets us wait for that one; one that hangs, for all.
    source.breaker.timed_out(SteadyClock::now());
  }
  if (answer && *answer) {
    Container& more = **answer;
    Container& known = container.container;
    if (more.init_pid) {
      known.init_pid = more.init_pid;
    }
    if (!more.image.empty()) {
      known.image = more.image;  // as the user wrote it; a list shows a digest once the tag moved
      known.unknown_reason.clear();
    }
    merge(known, std::move(more));
  } else if (!answer && may_try_again) {
    const auto wait = job.also_gone ? kRetryAfter[1] : kInspectAfter[again.inspect_tries];
    queue(SteadyClock::now() + wait, std::move(again));
  }
  return false;
}

}  // namespace memcrest
