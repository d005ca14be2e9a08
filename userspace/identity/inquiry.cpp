// SPDX-License-Identifier: Apache-2.0
#include "identity/inquiry.h"

#include <algorithm>
#include <array>
#include <string_view>

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

// A container that does not run has no cgroup, while what is named like it may be of anybody's making. One that was
// just created is about to have one.
bool has_no_cgroup(const Container& container) {
  constexpr std::array<std::string_view, 7> kNone = {"exited",  "stopped",  "dead",      "terminated",
                                                     "waiting", "removing", "restarting"};
  return container.state && std::ranges::find(kNone, container.state->status) != kNone.end();
}

}  // namespace

struct Inquiry::Round {
  std::shared_ptr<KnownContainer> container;
  Container found;                  // put together so far
  std::vector<std::string> no;      // who knows nothing of it
  std::vector<std::string> errors;  // who could not be asked, and why
  bool relevant_no = false;
  bool nameless = false;   // one knows it, and not its name yet
  bool confirmed = false;  // one that checks the cgroup knows it
  bool elsewhere = false;  // the container is in another cgroup: nobody is asked by its id any more
  bool retry = false;      // one refused, as a daemon that is being restarted does
  std::string no_pod;      // why nobody tells of its pod, by now
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

void Inquiry::changed(const std::shared_ptr<KnownContainer>& container, TimePoint when) {
  container->outdated = true;
  ask(container, when);
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

std::vector<LookupCount> Inquiry::counts() const {
  std::vector<LookupCount> out;
  for (const Source& source : sources_) {
    out.push_back({source.api->name(), source.asked, source.failures});
  }
  return out;
}

bool Inquiry::may_ask(const Source& source, const Round& round) {
  const KnownContainer& container = *round.container;
  const bool safe = source.api->checks_cgroup() || (container.doubt.empty() && !round.elsewhere);
  return safe && source.api->may_add(container.path, round.found);
}

void Inquiry::look_up(const std::shared_ptr<KnownContainer>& container, Lock& lock, const std::stop_token& stop) {
  Round round{.container = container, .found = container_from_path(container->path)};
  round.found.unknown_reason.clear();
  for (const Source& source : sources_) {
    if (source.api->tells_of_pods() && may_ask(source, round)) {
      round.no_pod = std::string(source.api->name()) + " has not answered yet";
    }
  }
  container->outdated = false;
  for (Source& source : sources_) {
    if (!stop.stop_requested() && may_ask(source, round)) {
      ask_one(source, round, lock, stop);
    }
  }
  container->asking = false;  // unless finish() has it asked for again
  finish(round);
  if (container->outdated) {
    ask(container, SteadyClock::now());
  }
}

void Inquiry::ask_one(Source& source, Round& round, Lock& lock, const std::stop_token& stop) {
  KnownContainer& container = *round.container;
  const ContainerSource& api = *source.api;
  if (!source.breaker.allows(SteadyClock::now())) {
    fail_round(source, round, std::string(api.name()) + " did not answer in time and is not asked again yet");
    round.ask_again = std::min(round.ask_again, source.breaker.closed_from());
    round.later.push_back(&source);
    return;
  }
  lock.unlock();
  auto answer = source.api->look_up(container.path, stop);
  lock.lock();
  ++source.asked;
  if (!answer) {
    take_error(source, round, answer.error());
    return;
  }
  source.breaker.answered();
  if (!api.checks_cgroup() && !container.doubt.empty()) {
    return;  // that came up while it was being asked
  }
  if (*answer || api.runtime() == Runtime::kUnknown) {  // of all runtimes' containers it knows some sooner than others
    round.later.push_back(&source);
  }
  if (*answer) {
    take_answer(api, round, std::move(**answer));
  } else {
    round.no.push_back(std::string(api.name()) + " knows no container " + container.path.container_id);
    round.no_pod = api.tells_of_pods() ? round.no.back() : round.no_pod;
    round.relevant_no = round.relevant_no || concerns(api, container.path);
  }
}

void Inquiry::take_error(Source& source, Round& round, const Error& error) {
  const TimePoint now = SteadyClock::now();
  if (error.code == ETIMEDOUT) {
    source.breaker.timed_out(now);
  }
  const bool beginning = error.code == EINPROGRESS;
  source.failures += beginning || error.code == ECANCELED ? 0 : 1;
  const bool stuck = source.api->checks_cgroup() && error.code == EAGAIN;
  round.retry = round.retry || beginning || stuck || error.code == ECONNREFUSED;
  round.elsewhere = round.elsewhere || (source.api->checks_cgroup() && error.code == EBADMSG);
  fail_round(source, round, error.message());
  round.ask_again = std::min(round.ask_again, now + pause_after(round.container->failures));
  (beginning ? round.beginning : round.later).push_back(&source);
}

void Inquiry::take_answer(const ContainerSource& api, Round& round, Container answer) {
  KnownContainer& container = *round.container;
  if (api.checks_cgroup()) {
    container.doubt.clear();
    round.confirmed = true;
  } else if (!round.confirmed && container.live > 0 && has_no_cgroup(answer)) {
    round.errors.push_back(std::string(api.name()) + " says that the container of this id does not run");
    round.retry = true;  // it may just be started again, or its cgroup just be removed
    return;
  }
  if (api.tells_of_pods()) {
    // The pod alone is told of a container just started, whose request comes later, and always of a sandbox.
    const bool sandbox = round.found.pod && round.found.pod->sandbox;
    round.no_pod = answer.name.empty() && !sandbox ? answer.unknown_reason : "";
  }
  if (api.runtime() != Runtime::kUnknown) {
    answer.runtime = api.runtime();  // who answers knows better than the path
    answer.state.reset();            // of this moment only: inspect() tells the whole
  }
  if (answer.name.empty()) {
    round.nameless = true;
    if (!answer.unknown_reason.empty()) {
      round.errors.push_back(answer.unknown_reason);
    }
  }
  merge(round.found, std::move(answer));
  if (!round.found.name.empty()) {  // good enough for who waits; what the others add comes later
    round.found.unknown_reason = round.found.image.empty() ? std::string(api.name()) + " told no image" : "";
    container.container = round.found;
    say_what_the_pod_lacks(container.container, round);
    container.pending = false;
  }
}

void Inquiry::fail_round(const Source& source, Round& round, const std::string& why) {
  round.errors.push_back(why);
  round.no_pod = source.api->tells_of_pods() ? why : round.no_pod;
}

void Inquiry::say_what_the_pod_lacks(Container& container, const Round& round) {
  if (container.pod) {
    container.pod->unknown_reason = round.no_pod;
  }
}

void Inquiry::finish(Round& round) {
  KnownContainer& container = *round.container;
  say_what_the_pod_lacks(round.found, round);
  if (round.elsewhere) {
    container.doubt = "the container of this id is in another cgroup";
  }
  if (!round.found.name.empty() && container.doubt.empty()) {
    settle_named(round);
  } else if ((round.retry || round.relevant_no || round.nameless) && try_again_soon(round.container)) {
    const std::string why =
        container.doubt.empty() ? join(round.errors.empty() ? round.no : round.errors) : container.doubt;
    if (container.container.name.empty() && !why.empty()) {
      container.container.unknown_reason = why;  // for who does not wait that long
    }
    return;
  } else if (!container.doubt.empty()) {
    leave_in_doubt(container);
  } else {
    settle_nameless(round);
  }
  container.pending = false;
}

void Inquiry::settle_named(Round& round) {
  KnownContainer& container = *round.container;
  if (round.found.image.empty()) {
    std::vector<std::string> why = {round.found.unknown_reason};
    why.insert(why.end(), round.errors.begin(), round.errors.end());
    round.found.unknown_reason = join(why);
  }
  container.container = std::move(round.found);
  container.settled = true;
  container.failures = 0;
  queue_inspections(round);
}

void Inquiry::leave_in_doubt(KnownContainer& container) {
  container.settled = false;  // the record on disk may settle it
  container.ask_again = SteadyClock::now() + pause_after(container.failures++);
  container.container = container_from_path(container.path);
  container.container.unknown_reason = container.doubt;
}

void Inquiry::settle_nameless(Round& round) {
  KnownContainer& container = *round.container;
  const CgroupPath& path = container.path;
  if (round.errors.empty() && !round.nameless) {
    container.settled = true;  // all answered: that is final
  } else {
    const TimePoint soon = SteadyClock::now() + pause_after(container.failures++);
    container.ask_again = round.ask_again == kNever ? soon : round.ask_again;
  }
  if (!container.container.name.empty()) {
    return;  // named before; removed since, or an earlier answer holds
  }
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
  container.container = std::move(round.found);
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

void Inquiry::queue_inspections(const Round& round) {
  const std::shared_ptr<KnownContainer>& container = round.container;
  for (Source* const source : round.beginning) {
    if (queue(SteadyClock::now() + kBeginning, {.container = container, .inspect = source, .beginning = true})) {
      ++container->beginning;
    }
  }
  for (Source& source : sources_) {
    // Its runtime knows more, also when a bundle had told the name already.
    const bool own = source.api->runtime() == container->container.runtime;
    std::erase_if(jobs_, [&](const auto& one) {  // of an earlier round
      const Job& job = one.second;
      return job.container == container && job.inspect == &source && !job.also_gone && !job.beginning;
    });
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
  // A pod's labels and owner are waited for as long as the container lives; they come from memory, at no cost.
  const bool may_try_again = again.inspect_tries < kInspectAfter.size() || source.api->tells_of_pods();
  if (!source.breaker.allows(SteadyClock::now())) {
    if (may_try_again) {
      queue(source.breaker.closed_from(), std::move(again));
    }
    return false;
  }
  lock.unlock();
  auto answer = source.api->inspect(container.path, stop);
  lock.lock();
  ++source.asked;
  source.failures += answer || answer.error().code == EINPROGRESS || answer.error().code == ECANCELED ? 0 : 1;
  if (!container.doubt.empty()) {
    return false;  // that came up while it was being asked
  }
  if (job.beginning && !answer && answer.error().code == EINPROGRESS) {
    return queue(SteadyClock::now() + kBeginning, job);
  }
  const auto pause = job.also_gone
                         ? kRetryAfter[1]
                         : kInspectAfter[std::min<std::size_t>(again.inspect_tries, kInspectAfter.size() - 1)];
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
    const bool pod_alone = source.api->tells_of_pods() && more.name.empty();
    std::string why = pod_alone ? std::move(more.unknown_reason) : std::string();
    more.unknown_reason.clear();
    merge(known, std::move(more));
    // A sandbox is never told of by itself.
    const bool all = !pod_alone || (known.pod && known.pod->sandbox);
    if (source.api->tells_of_pods() && known.pod) {
      known.pod->unknown_reason = all ? std::string() : std::move(why);
    }
    if (!all) {
      queue(SteadyClock::now() + pause, std::move(again));
    }
    return false;
  }
  if (const auto& pod = container.container.pod; !answer && source.api->tells_of_pods() && pod && !pod->sandbox) {
    container.container.pod->unknown_reason = answer.error().message();
  }
  if (!answer && may_try_again) {
    queue(SteadyClock::now() + pause, std::move(again));
  }
  return false;
}

}  // namespace memcrest
