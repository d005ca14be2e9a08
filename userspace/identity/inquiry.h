// SPDX-License-Identifier: Apache-2.0
// Asks the sources for containers: what is asked when, what is tried again, what is given up and why. Everything here
// runs under the resolver's lock, which is handed over and released only while a source is being asked.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <vector>

#include "identity/circuit_breaker.h"
#include "identity/container_source.h"
#include "identity/known_cgroups.h"

namespace memcrest {

// How often a source of names was asked, and could not be: since the start.
struct LookupCount {
  std::string source;  // "Docker"
  std::uint64_t asked = 0;
  std::uint64_t failures = 0;
};

class Inquiry {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  using Lock = std::unique_lock<std::mutex>;

  // As `when`: before everything that merely is due. For containers that may be gone in a moment.
  static constexpr TimePoint kAtOnce = TimePoint::min();
  static constexpr TimePoint kNever = TimePoint::max();

  // In the order in which they are asked: each adds to what the ones before it told.
  explicit Inquiry(std::vector<std::unique_ptr<ContainerSource>> sources);

  // Has the container looked up at `when`, unless it waits already or nobody could know it.
  void ask(const std::shared_ptr<KnownContainer>& container, TimePoint when);
  // As ask, since what is known of it may be wrong by now: also when a look-up runs, which may have read what was.
  void changed(const std::shared_ptr<KnownContainer>& container, TimePoint when);
  // As ask, for one that nobody could tell, once its pause is over. True: there is something new to run.
  bool ask_again_if_due(const std::shared_ptr<KnownContainer>& container);
  // Something happened to a named container: what the runtime says of its state is read again soon.
  void refresh(const std::shared_ptr<KnownContainer>& container);
  // When run_next() has something to do: kAtOnce, a time, or kNever.
  [[nodiscard]] TimePoint next_due() const { return jobs_.empty() ? kNever : jobs_.begin()->first; }
  // Does the first job. Releases `lock` while a source is asked.
  void run_next(Lock& lock, const std::stop_token& stop);
  [[nodiscard]] std::vector<LookupCount> counts() const;

 private:
  struct Source {
    std::unique_ptr<ContainerSource> api;
    CircuitBreaker breaker;
    unsigned slow_inspections = 0;  // in a row
    std::uint64_t asked = 0;
    std::uint64_t failures = 0;
  };
  struct Job {
    std::shared_ptr<KnownContainer> container;
    Source* inspect = nullptr;   // this one; null: look up, with all
    unsigned inspect_tries = 0;  // so far
    bool also_gone = false;      // inspect it although its cgroups are gone: its end is what is asked for
    bool beginning = false;      // the source was just beginning; counted in the container
  };
  struct Round;  // one container asked for with all sources

  [[nodiscard]] Source* source_for(const KnownContainer& container);
  bool queue(TimePoint when, Job job);
  void queue_inspections(const Round& round);
  void look_up(const std::shared_ptr<KnownContainer>& container, Lock& lock, const std::stop_token& stop);
  [[nodiscard]] static bool may_ask(const Source& source, const Round& round);
  void ask_one(Source& source, Round& round, Lock& lock, const std::stop_token& stop);
  static void fail_round(const Source& source, Round& round, const std::string& why);
  static void say_what_the_pod_lacks(Container& container, const Round& round);
  static void take_error(Source& source, Round& round, const Error& error);
  static void take_answer(const ContainerSource& api, Round& round, Container answer);
  void finish(Round& round);
  void settle_named(Round& round);
  static void leave_in_doubt(KnownContainer& container);
  static void settle_nameless(Round& round);
  // True: `job.beginning` still holds, and the job is queued again.
  bool inspect(const Job& job, Lock& lock, const std::stop_token& stop);
  bool try_again_soon(const std::shared_ptr<KnownContainer>& container);

  std::vector<Source> sources_;  // never grows after construction: jobs point into it
  std::multimap<TimePoint, Job> jobs_;
};

}  // namespace memcrest
