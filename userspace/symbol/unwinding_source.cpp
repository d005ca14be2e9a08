// SPDX-License-Identifier: Apache-2.0
#include "symbol/unwinding_source.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

#include "symbol/process_codes.h"
#include "symbol/stack_unwinder.h"
#include "util/patience.h"

namespace memcrest {
namespace {

using Steady = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr std::size_t kMostJobs = 4096;
constexpr std::size_t kMostFiles = 192;
constexpr std::size_t kMostProcesses = 256;
constexpr std::size_t kMostStuck = 8;
constexpr std::size_t kDeepest = 32;  // as the kernel side's own
constexpr auto kLongestWait = 200ms;  // of an event
constexpr auto kPatience = 150ms;     // with one process or file system
constexpr auto kLook = 2ms;           // whether the head of the queue is ready
constexpr auto kKeep = 60s;
constexpr auto kSweep = 5s;

struct Job {
  TaskInfo task;
  std::shared_ptr<const StackCopy> copy;
  bool exec = false;  // what is known of the process holds no more
  std::vector<std::uint64_t> stack;
  bool done = false;
};

}  // namespace

// The queue is the caller's thread's, the jobs are shared under the worker's lock.
struct UnwindingSource::Held {
  struct One {
    Event event;
    Steady::time_point since;
    std::shared_ptr<Job> job;  // nullptr: nothing to wait for
  };
  std::deque<One> events;
};

class UnwindingSource::Worker {
 public:
  explicit Worker(SystemRoot root)
      : patience_(kPatience, kMostStuck),
        codes_(std::move(root), std::make_shared<ModuleTable>(kMostFiles), patience_, kMostProcesses),
        thread_([this](const std::stop_token& stop) { work(stop); }) {}

  ~Worker() {
    thread_.request_stop();
    const std::lock_guard lock(mutex_);
    wake_.notify_all();
  }

  std::shared_ptr<Job> push(Job job) {
    const std::lock_guard lock(mutex_);
    if (jobs_.size() >= kMostJobs) {
      status_.left_out += job.exec ? 0 : 1;
      return nullptr;
    }
    jobs_.push_back(std::make_shared<Job>(std::move(job)));
    wake_.notify_all();
    return jobs_.back();
  }

  // What became of it, once it is done or `last`; nullopt: it has to be waited for.
  std::optional<std::vector<std::uint64_t>> take(Job& job, bool last) {
    const std::lock_guard lock(mutex_);
    if (!job.done && !last) {
      return std::nullopt;
    }
    status_.left_out += job.stack.empty() ? 1 : 0;
    return std::move(job.stack);
  }

  void wait_for_any(std::chrono::milliseconds longest) {
    std::unique_lock lock(mutex_);
    done_.wait_for(lock, longest);
  }

  Status status() const {
    const std::lock_guard lock(mutex_);
    return status_;
  }

 private:
  void work(const std::stop_token& stop) {
    auto swept = Steady::now();
    std::unique_lock lock(mutex_);
    while (!stop.stop_requested()) {
      wake_.wait_for(lock, kSweep, [&] { return !jobs_.empty() || stop.stop_requested(); });
      if (stop.stop_requested()) {
        return;
      }
      std::shared_ptr<Job> job;
      if (!jobs_.empty()) {
        job = std::move(jobs_.front());
        jobs_.pop_front();
      }
      lock.unlock();
      const auto now = Steady::now();
      std::vector<std::uint64_t> stack;
      if (job && job->exec) {
        codes_.forget(job->task.process);
      } else if (job) {
        stack = unwinder_.unwind(
            *job->copy, [&](std::uint64_t address) { return codes_.look(job->task, {address}, now); }, kDeepest);
        if (stack.size() < 2) {  // frame pointers may tell more than nothing
          stack.clear();
        }
      }
      if (now - swept > kSweep) {
        swept = now;
        codes_.forget_before(now - kKeep);
      }
      lock.lock();
      if (job) {
        status_.unwound += stack.empty() ? 0 : 1;
        status_.spent_ns += static_cast<std::uint64_t>((Steady::now() - now) / 1ns);
        job->stack = std::move(stack);
        job->done = true;
        done_.notify_all();
      }
    }
  }

  Patience patience_;
  ProcessCodes codes_;
  StackUnwinder unwinder_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable done_;
  std::deque<std::shared_ptr<Job>> jobs_;
  Status status_;
  std::jthread thread_;  // last: it uses all of the above
};

UnwindingSource::UnwindingSource(EventSource& inner, SystemRoot root)
    : inner_(inner), worker_(std::make_unique<Worker>(std::move(root))), held_(std::make_unique<Held>()) {}
UnwindingSource::~UnwindingSource() = default;

void UnwindingSource::hold(Event event) {
  std::shared_ptr<Job> job;
  if (auto* step = std::get_if<StepEvent>(&event); step != nullptr && step->stack_copy) {
    // The two were taken one after the other: what lies innermost is the same.
    const bool same = step->user_stack.empty() || step->user_stack.front() == step->stack_copy->registers.back();
    job = same ? worker_->push({.task = step->task, .copy = step->stack_copy}) : nullptr;
    step->stack_copy.reset();
  } else if (const auto* exec = std::get_if<ExecEvent>(&event)) {
    static_cast<void>(worker_->push({.task = exec->task, .copy = nullptr, .exec = true}));
  }
  held_->events.push_back({std::move(event), Steady::now(), std::move(job)});
}

void UnwindingSource::release(std::vector<Event>& out) {
  const auto now = Steady::now();
  auto& events = held_->events;
  while (!events.empty()) {
    Held::One& first = events.front();
    if (first.job) {
      auto stack = worker_->take(*first.job, now - first.since > kLongestWait);
      if (!stack) {
        return;
      }
      if (auto* step = std::get_if<StepEvent>(&first.event); step != nullptr && !stack->empty()) {
        step->user_stack = std::move(*stack);
        step->unwound = true;
      }
    }
    out.push_back(std::move(first.event));
    events.pop_front();
  }
}

EventSource::Status UnwindingSource::poll(std::chrono::milliseconds timeout, std::vector<Event>& out) {
  std::vector<Event> fresh;
  const auto status =
      inner_.poll(held_->events.empty() ? timeout : std::min<std::chrono::milliseconds>(timeout, kLook), fresh);
  for (Event& event : fresh) {
    hold(std::move(event));
  }
  // What has just come is mostly ready in a moment, and nobody likes to come again for it.
  if (!held_->events.empty() && held_->events.front().job) {
    worker_->wait_for_any(kLook);
  }
  release(out);
  while (status == EventSource::Status::kEnd && !held_->events.empty()) {
    worker_->wait_for_any(kLook);
    release(out);
  }
  return status;
}

UnwindingSource::Status UnwindingSource::status() const { return worker_->status(); }

}  // namespace memcrest
