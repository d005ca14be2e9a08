// SPDX-License-Identifier: Apache-2.0
// Asks the runtimes for containers: what is asked when, what is tried again, what is given up and why. Everything here
// runs under the resolver's lock, which is handed over and released only while a runtime is being asked.
#pragma once

#include <chrono>
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

class Inquiry {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  using Lock = std::unique_lock<std::mutex>;

  // As `when`: before everything that merely is due. For containers that may be gone in a moment.
  static constexpr TimePoint kAtOnce = TimePoint::min();
  static constexpr TimePoint kNever = TimePoint::max();

  // In the order in which they are preferred.
  explicit Inquiry(std::vector<std::unique_ptr<ContainerSource>> sources);

  // Has the container looked up at `when`, unless it waits already or nobody could know it.
  void ask(const std::shared_ptr<KnownContainer>& container, TimePoint when);
  // As ask, for one that a runtime failed to tell, once its pause is over.
  void ask_again_if_due(const std::shared_ptr<KnownContainer>& container);
  // When run_next() has something to do: kAtOnce, a time, or kNever.
  [[nodiscard]] TimePoint next_due() const { return jobs_.empty() ? kNever : jobs_.begin()->first; }
  // Does the first job. Releases `lock` while a runtime is asked.
  void run_next(Lock& lock, const std::stop_token& stop);

 private:
  struct Source {
    std::unique_ptr<ContainerSource> api;
    CircuitBreaker breaker;
  };
  struct Job {
    std::shared_ptr<KnownContainer> container;
    bool inspect = false;        // otherwise look up
    unsigned inspect_tries = 0;  // so far
  };

  [[nodiscard]] Source* source_for(const CgroupPath& path);
  bool queue(TimePoint when, Job job);
  void look_up(const std::shared_ptr<KnownContainer>& container, Source& source, Lock& lock,
               const std::stop_token& stop);
  void inspect(const Job& job, Source& source, Lock& lock, const std::stop_token& stop);
  void accept(const std::shared_ptr<KnownContainer>& container, const ContainerSource& api, ContainerFacts facts);
  void failed(const std::shared_ptr<KnownContainer>& container, Source& source, const Error& error);
  bool try_again_soon(const std::shared_ptr<KnownContainer>& container);

  std::vector<Source> sources_;
  std::multimap<TimePoint, Job> jobs_;
};

}  // namespace memcrest
