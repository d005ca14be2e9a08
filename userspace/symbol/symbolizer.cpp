// SPDX-License-Identifier: Apache-2.0
#include "symbol/symbolizer.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "symbol/code_place.h"
#include "symbol/frame_finder.h"
#include "symbol/module.h"
#include "symbol/process_codes.h"
#include "symbol/stack_names.h"
#include "util/kernel_symbols.h"
#include "util/patience.h"

namespace memcrest {
namespace {

using Steady = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr std::size_t kMostStuck = 8;
constexpr std::size_t kMaxJobs = 64;
constexpr std::size_t kMaxKernelNames = 16384;
// A stack that goes on growing is sent again so often: what is known of it stays young.
constexpr auto kSendAgain = 30s;
constexpr std::size_t kMaxSent = 16384;
constexpr auto kSweep = 5s;
constexpr auto kUnclaimed = 10s;                   // an answer that nobody asks for any more
constexpr std::chrono::seconds kKernelPause = 1s;  // doubled by each pass, up to
constexpr std::chrono::seconds kLongestKernelPause = 60s;
constexpr std::size_t kDeepest = 32;  // what the kernel side takes of a user stack

std::uint64_t mix(std::uint64_t hash, std::uint64_t value) {
  return (hash ^ value) * 0x9e3779b97f4a7c15ULL + (hash >> 29U);
}

std::uint64_t hash_of(const ProcessKey& process, const std::vector<std::uint64_t>& user,
                      const std::vector<std::uint64_t>& kernel) {
  std::uint64_t out = mix(process.tgid, process.start_ns);
  for (const std::uint64_t address : user) {
    out = mix(out, address);
  }
  out = mix(out, 1);
  for (const std::uint64_t address : kernel) {
    out = mix(out, address);
  }
  return out;
}

}  // namespace

class Symbolizer::Worker {
 public:
  Worker(SymbolizerSettings settings, SystemRoot root)
      : settings_(std::move(settings)),
        root_(std::move(root)),
        modules_(std::make_shared<ModuleTable>(settings_.max_files, settings_.debug_dirs)),
        patience_(settings_.patience, kMostStuck),
        codes_(root_, modules_, patience_, settings_.max_processes),
        frames_(patience_),
        placer_([this](const std::stop_token& stop) { place_all(stop); }),
        namer_([this](const std::stop_token& stop) { name_all(stop); }) {}

  ~Worker() {
    placer_.request_stop();
    namer_.request_stop();
    const std::lock_guard lock(mutex_);
    wake_.notify_all();
    asked_.notify_all();
  }

  void seen(const TaskInfo& task, const std::vector<std::uint64_t>& user, const std::vector<std::uint64_t>& kernel,
            bool unwound) {
    const auto now = Steady::now();
    if (now - sent_since_ > kSendAgain || sent_.size() >= kMaxSent) {
      sent_.clear();
      sent_since_ = now;
    }
    if (!sent_.insert(hash_of(task.process, user, kernel)).second) {
      return;
    }
    const std::lock_guard lock(mutex_);
    if (queue_.size() >= settings_.max_queue) {
      ++left_out_;
      return;
    }
    push({task, user, kernel, unwound, false});
  }

  void started(const ProcessKey& process) {
    const std::lock_guard lock(mutex_);
    Item item;
    item.task.process = process;
    item.exec = true;
    if (queue_.size() < 2 * settings_.max_queue) {
      push(std::move(item));
    }
  }

  StackNames name(const std::string& id, const std::vector<StackGrowth>& stacks, std::chrono::milliseconds patience) {
    std::unique_lock lock(mutex_);
    auto job = jobs_.find(id);
    if (job == jobs_.end()) {
      if (jobs_.size() >= kMaxJobs) {
        StackNames out;
        out.gap = "too many incidents at once: the functions that grew it have no names";
        return out;
      }
      job = jobs_.emplace(id, Job{stacks, {}, Steady::now(), pushed_, false}).first;
      asks_.push_back(id);
      asked_.notify_all();
    }
    done_.wait_for(lock, patience, [&] { return job->second.done; });
    if (!job->second.done) {
      StackNames out;
      out.pending = true;
      return out;
    }
    StackNames out = std::move(job->second.names);
    jobs_.erase(job);
    return out;
  }

  Status status() const {
    const std::lock_guard lock(mutex_);
    return {modules_->open_files(), processes_known_, stacks_.size(), left_out_};
  }

 private:
  struct Item {  // a stack that was seen, or a process that runs another program
    TaskInfo task;
    std::vector<std::uint64_t> user;
    std::vector<std::uint64_t> kernel;
    bool unwound = false;
    bool exec = false;
  };
  struct Job {
    std::vector<StackGrowth> stacks;
    StackNames names;
    Steady::time_point since;
    std::uint64_t after = 0;  // items, which may be stacks of this incident, are to be handled first
    bool done = false;
  };
  struct KnownStack {
    std::shared_ptr<const ProcessStack> stack;
    Steady::time_point used;
  };
  using StackKey = std::pair<ProcessKey, std::vector<std::uint64_t>>;

  // Under the lock.
  void push(Item item) {
    queue_.push_back(std::move(item));
    ++pushed_;
    wake_.notify_all();
  }

  // In a thread apart from naming: a process that dies soon cannot wait for files to be read.
  void place_all(const std::stop_token& stop) {
    auto swept = Steady::now();
    std::unique_lock lock(mutex_);
    while (!stop.stop_requested()) {
      wake_.wait_for(lock, kSweep, [&] { return !queue_.empty() || stop.stop_requested(); });
      if (stop.stop_requested()) {
        break;
      }
      const bool some = !queue_.empty();
      Item item;
      if (some) {
        item = std::move(queue_.front());
        queue_.pop_front();
      }
      lock.unlock();
      const auto now = Steady::now();
      if (some && item.exec) {
        codes_.forget(item.task.process);
      } else if (some) {
        place(item);
      }
      if (now - swept > kSweep) {
        swept = now;
        sweep(now);
      }
      lock.lock();
      processes_known_ = codes_.size();
      handled_ += some ? 1 : 0;
      placed_.notify_all();
    }
  }

  void name_all(const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    while (!stop.stop_requested()) {
      asked_.wait_for(lock, kernel_wanted_.empty() ? std::chrono::milliseconds(kSweep) : 200ms,
                      [&] { return !asks_.empty() || stop.stop_requested(); });
      if (stop.stop_requested()) {
        break;
      }
      std::optional<std::string> id;
      if (!asks_.empty()) {
        id = std::move(asks_.front());
        asks_.pop_front();
        if (const auto job = jobs_.find(*id); job != jobs_.end()) {
          const std::uint64_t after = job->second.after;
          placed_.wait_for(lock, settings_.job_time, [&] { return handled_ >= after || stop.stop_requested(); });
        }
      }
      std::vector<std::uint64_t> wanted;
      if (!id && Steady::now() - kernel_looked_ > kernel_pause_) {
        wanted.assign(kernel_wanted_.begin(), kernel_wanted_.end());
      }
      lock.unlock();
      if (id) {
        finish(*id);
      } else if (!wanted.empty()) {
        name_kernel(wanted);
      }
      lock.lock();
    }
  }

  // While the process lives: afterwards nothing tells where its code came from.
  void place(const Item& item) {
    const auto now = Steady::now();
    StackKey key{item.task.process, item.user};
    {
      const std::lock_guard lock(mutex_);
      for (const std::uint64_t address : item.kernel) {
        if (kernel_wanted_.size() < kMaxKernelNames) {
          kernel_wanted_.insert(address);
        }
      }
      if (const auto known = stacks_.find(key); known != stacks_.end()) {
        known->second.used = now;
        return;
      }
    }
    if (item.user.empty()) {
      return;
    }
    const ProcessCode* code = codes_.look(item.task, item.user, now);
    std::shared_ptr<const ProcessStack> stack;
    if (code != nullptr) {
      stack = std::make_shared<const ProcessStack>(
          ProcessStack{place_stack(*code, item.user, kDeepest), code->perf_map, item.unwound});
    }
    const std::lock_guard lock(mutex_);
    if (!stack || stacks_.size() >= settings_.max_stacks) {
      ++left_out_;
      return;
    }
    stacks_.emplace(std::move(key), KnownStack{std::move(stack), now});
  }

  // A return address may lie behind the end of its function.
  std::vector<std::string> kernel_names(std::vector<std::uint64_t> addresses) {
    std::ranges::for_each(addresses, [](std::uint64_t& one) { --one; });
    return kernel_names_.at(addresses);
  }

  // So that an incident finds them known. On a busy machine something new is met for minutes, ever more seldom, and
  // what an incident misses it looks up itself.
  void name_kernel(const std::vector<std::uint64_t>& wanted) {
    const std::size_t passes = kernel_names_.passes();
    static_cast<void>(kernel_names(wanted));
    kernel_looked_ = Steady::now();
    if (kernel_names_.passes() != passes) {
      kernel_pause_ = std::min(2 * kernel_pause_, kLongestKernelPause);
    }
    const std::lock_guard lock(mutex_);
    for (const std::uint64_t one : wanted) {
      kernel_wanted_.erase(one);
    }
  }

  void finish(const std::string& id) {
    std::vector<StackGrowth> stacks;
    {
      const std::lock_guard lock(mutex_);
      const auto job = jobs_.find(id);
      if (job == jobs_.end()) {
        return;
      }
      stacks = job->second.stacks;
    }
    StackNames names = names_of(stacks);
    const std::lock_guard lock(mutex_);
    if (const auto job = jobs_.find(id); job != jobs_.end()) {
      job->second.names = std::move(names);
      job->second.done = true;
      done_.notify_all();
    }
  }

  StackNames names_of(const std::vector<StackGrowth>& stacks) {
    const auto until = Steady::now() + settings_.job_time;
    std::vector<std::shared_ptr<const ProcessStack>> placed;
    std::vector<std::uint64_t> kernel;  // of all at once: one pass at most
    for (const StackGrowth& one : stacks) {
      const std::lock_guard lock(mutex_);
      const auto found = stacks_.find({one.process, one.user_stack});
      placed.push_back(found == stacks_.end() ? nullptr : found->second.stack);
      kernel.insert(kernel.end(), one.kernel_stack.begin(), one.kernel_stack.end());
    }
    const auto functions = kernel_names(std::move(kernel));
    auto next = functions.begin();
    const bool whole = frames_.look_up(placed, until);
    StackNames out;
    std::set<std::string> hints;
    bool jit_named = false;
    std::size_t missing = 0;
    for (std::size_t i = 0; i < stacks.size(); ++i) {
      NamedStack named;
      const auto end = next + static_cast<std::ptrdiff_t>(stacks[i].kernel_stack.size());
      named.frames = telling_frames({next, end});
      next = end;
      if (placed[i] != nullptr) {
        const auto user = frames_.frames_of(*placed[i]);
        named.gap = gap_of(placed[i]->placed, user,
                           placed[i]->unwound || FrameFinder::innermost_framed(placed[i]->placed), placed[i]->unwound);
        if (!settings_.unwinds && named.gap == kNoFramePointers) {
          hints.insert(kUnwindHint);
        }
        jit_named = jit_named || std::ranges::any_of(
                                     user, [](const Frame& one) { return one.module == "[jit]" && !one.name.empty(); });
        if (auto hint = hint_for(stacks[i].comm, user); !hint.empty() && hints.size() < 4) {
          hints.insert(std::move(hint));
        }
        named.frames.insert(named.frames.end(), user.begin(), user.end());
      } else if (!stacks[i].user_stack.empty()) {
        named.gap = "the process was gone before its code was looked at";
        ++missing;
      }
      out.stacks.push_back(std::move(named));
    }
    if (!jit_named) {  // what is switched on already need not be told
      out.hints.assign(hints.begin(), hints.end());
    }
    if (!whole) {
      out.gap = "some functions have no names: the files took too long to read, or were too large";
    } else if (missing > 0) {
      out.gap = "some functions have no names: their processes were gone before they were looked at";
    }
    return out;
  }

  void sweep(Steady::time_point now) {
    codes_.forget_before(now - settings_.keep);
    const std::lock_guard lock(mutex_);
    std::erase_if(stacks_, [&](const auto& one) { return now - one.second.used > settings_.keep; });
    std::erase_if(jobs_, [&](const auto& one) { return one.second.done && now - one.second.since > kUnclaimed; });
  }

  const SymbolizerSettings settings_;
  const SystemRoot root_;
  const std::shared_ptr<ModuleTable> modules_;  // shared with threads that are left alone when they hang
  Patience patience_;

  // Of the collector's thread.
  std::unordered_set<std::uint64_t> sent_;
  Steady::time_point sent_since_{};

  mutable std::mutex mutex_;        // for what follows
  std::condition_variable wake_;    // the placer
  std::condition_variable asked_;   // the namer
  std::condition_variable placed_;  // the namer, which waits for the placer
  std::condition_variable done_;    // who asked
  std::deque<Item> queue_;
  std::uint64_t pushed_ = 0;
  std::uint64_t handled_ = 0;
  std::map<StackKey, KnownStack> stacks_;
  std::set<std::uint64_t> kernel_wanted_;
  std::deque<std::string> asks_;
  std::map<std::string, Job> jobs_;
  std::uint64_t left_out_ = 0;
  std::size_t processes_known_ = 0;

  ProcessCodes codes_;  // of the placer

  // Of the namer.
  KernelNames kernel_names_{root_.proc};
  Steady::time_point kernel_looked_{};
  std::chrono::seconds kernel_pause_ = kKernelPause;
  FrameFinder frames_;

  std::jthread placer_;  // last: they use all of the above
  std::jthread namer_;
};

Symbolizer::Symbolizer(SymbolizerSettings settings, SystemRoot root)
    : worker_(std::make_unique<Worker>(std::move(settings), std::move(root))) {}
Symbolizer::~Symbolizer() = default;

void Symbolizer::seen(const TaskInfo& task, const std::vector<std::uint64_t>& user_stack,
                      const std::vector<std::uint64_t>& kernel_stack, bool unwound) {
  worker_->seen(task, user_stack, kernel_stack, unwound);
}

void Symbolizer::started(const ProcessKey& process) { worker_->started(process); }

StackNames Symbolizer::name(const std::string& incident_id, const std::vector<StackGrowth>& stacks,
                            std::chrono::milliseconds patience) {
  return worker_->name(incident_id, stacks, patience);
}

Symbolizer::Status Symbolizer::status() const { return worker_->status(); }

}  // namespace memcrest
