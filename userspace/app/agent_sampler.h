// SPDX-License-Identifier: Apache-2.0
// What the agent does beside its collector, on a thread of its own: samples of all containers for the metrics, ticks of
// the live page, free memory given back, and its memory kept to its budget.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>

#include "app/memory_budget.h"
#include "memcrest/clock.h"

namespace memcrest {

class AgentSampler {
 public:
  struct Work {                     // all on the sampler's thread
    std::function<void()> sample;   // of all containers, into the metrics
    std::function<bool()> watched;  // somebody looks at the live page
    std::function<void()> tick;     // of it
  };

  // What the flight recorder may keep stands in `flight_room`, for others to read. All outlive it.
  AgentSampler(Work work, MemoryBudget budget, std::atomic<std::uint64_t>& flight_room, const Clock& clock);
  ~AgentSampler() { stop(); }
  AgentSampler(const AgentSampler&) = delete;
  AgentSampler& operator=(const AgentSampler&) = delete;

  // Until there is a sample that is not old, for as long as a request may wait: with a thousand containers a sample
  // takes longer, and then the last one is shown, and the next one is taken when the request is over. Any thread.
  void refresh();
  // Its thread has ended when this returns, and refresh() waits for nothing any more.
  void stop();

 private:
  void run();
  void keep_to_budget();

  Work work_;
  const Clock& clock_;
  // Of the thread alone.
  MemoryBudget budget_;
  std::atomic<std::uint64_t>& flight_room_;
  std::chrono::steady_clock::time_point trim_again_;
  std::mutex mutex_;  // of what follows
  std::condition_variable wake_;
  std::condition_variable sample_taken_;
  bool stopping_ = false;
  bool asked_ = false;   // somebody waits for a sample
  bool wanted_ = false;  // nobody does: with the next tick
  std::uint64_t samples_ = 0;
  std::chrono::steady_clock::time_point sampled_;  // when the last one began
  std::chrono::steady_clock::duration sample_took_{};
  std::thread thread_;
};

}  // namespace memcrest
