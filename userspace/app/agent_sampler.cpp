// SPDX-License-Identifier: Apache-2.0
#include "app/agent_sampler.h"

#include <spdlog/spdlog.h>

#include <utility>

#include "app/own_memory.h"
#include "serve/process_figures.h"
#include "util/system_root.h"
#include "util/units.h"

namespace memcrest {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr auto kSampleEvery = std::chrono::seconds(10);  // while nobody asks
constexpr auto kFresh = milliseconds(500);
constexpr auto kTick = milliseconds(400);              // of the live page
constexpr auto kRequestPatience = milliseconds(30);    // of a request for a sample: a scrape is to take 50 at most
constexpr auto kTrimEvery = std::chrono::seconds(30);  // free memory that lies between what is used
constexpr auto kBudgetEvery = std::chrono::seconds(2);
constexpr std::uint64_t kWorthTrimming = 1U << 20U;

}  // namespace

AgentSampler::AgentSampler(Work work, MemoryBudget budget, std::atomic<std::uint64_t>& flight_room, const Clock& clock)
    : work_(std::move(work)), clock_(clock), budget_(budget), flight_room_(flight_room), thread_([this] { run(); }) {}

void AgentSampler::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  sample_taken_.notify_all();
  if (thread_.joinable()) {
    thread_.join();
  }
}

void AgentSampler::refresh() {
  std::unique_lock lock(mutex_);
  if (steady_clock::now() - sampled_ < kFresh) {
    return;
  }
  if (sample_took_ > kRequestPatience) {
    wanted_ = true;
    return;
  }
  asked_ = true;
  wake_.notify_all();
  sample_taken_.wait_for(lock, kRequestPatience, [this, before = samples_] { return stopping_ || samples_ != before; });
}

void AgentSampler::run() {
  std::unique_lock lock(mutex_);
  const auto unlocked = [&lock](const auto& work) {
    lock.unlock();
    work();
    lock.lock();
  };
  auto next_sample = steady_clock::now();
  auto next_tick = next_sample;
  auto next_trim = next_sample;
  auto next_look = next_sample;
  while (!stopping_) {
    const auto begin = steady_clock::now();
    if (asked_ || wanted_ || begin >= next_sample) {
      asked_ = wanted_ = false;
      next_sample = begin + kSampleEvery;
      unlocked(work_.sample);
      sampled_ = begin;
      sample_took_ = steady_clock::now() - begin;
      ++samples_;
      sample_taken_.notify_all();
    }
    if (begin >= next_tick && work_.watched()) {
      next_tick = begin + kTick;
      unlocked(work_.tick);
    }
    if (begin >= next_trim) {
      next_trim = begin + kTrimEvery;
      unlocked(return_free_memory);
    }
    if (begin >= next_look) {
      next_look = begin + kBudgetEvery;
      unlocked([this] { keep_to_budget(); });
    }
    wake_.wait_for(lock, kTick, [this] { return stopping_ || asked_; });
  }
}

// What is free but not given back counts as well: that goes first.
void AgentSampler::keep_to_budget() {
  std::uint64_t own = read_own_memory(SystemRoot{});
  if (own > budget_.budget_bytes() && steady_clock::now() >= trim_again_) {
    const std::uint64_t before = own;
    return_free_memory();
    own = read_own_memory(SystemRoot{});
    if (own + kWorthTrimming > before) {  // it holds up the collector, and brings nothing
      trim_again_ = steady_clock::now() + kTrimEvery;
    }
  }
  const std::uint64_t before = budget_.flight_bytes();
  const bool was_exceeded = budget_.is_exceeded();
  const std::uint64_t now = budget_.look(own, clock_.boot_ns());
  flight_room_.store(now, std::memory_order_relaxed);
  if (now != before) {
    spdlog::log(now < before ? spdlog::level::warn : spdlog::level::info,
                "the agent has {} of its own, of a budget of {}: the flight recorder keeps {} from now on",
                format_size(own), format_size(budget_.budget_bytes()), format_size(now));
  }
  if (budget_.is_exceeded() && !was_exceeded) {
    spdlog::warn("the agent has {} of its own, of a budget of {} (--memory-budget), and nothing that could give way",
                 format_size(own), format_size(budget_.budget_bytes()));
  }
}

}  // namespace memcrest
