// SPDX-License-Identifier: Apache-2.0
// The path of the data put together for one verb: source, resolver, collector, in the order of their lifetimes.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>

#include "app/options.h"
#include "collector/collector.h"
#include "collector/live_surroundings.h"
#include "collector/polling_source.h"
#include "event/merged_source.h"
#include "memcrest/clock.h"
#include "probe/features.h"
#include "probe/ring_source.h"
#include "store/recorder.h"
#include "symbol/kind_source.h"
#include "symbol/unwinding_source.h"

namespace memcrest {

// Of --unwind, where Features::stack_copies is false.
inline constexpr const char* kCannotUnwind =
    "stacks cannot be unwound by tables here (x86-64 and bpf_task_pt_regs, Linux 5.15, are needed): callers in code "
    "without frame pointers are missing";

// Where a verb joins in. All are called on the thread that opens the session and turns its collector.
struct SessionHooks {
  std::function<void(std::span<const Event>)> observe;    // all events, as they come
  std::function<Result<void>(const Features&)> attached;  // hooks are attached, no thread of ours runs yet
  std::function<Result<void>(LoadedProbe&)> probe;        // the same, where BPF programs run; before `attached`
  std::function<std::unique_ptr<EventSource>()> extra;    // a source beside the others
  std::function<std::unique_ptr<RecordingSink>()> sink;   // to be recorded into, where no file is asked for
  std::function<bool(const Incident&)> recorded;          // false: not as the collector told it, see Session::record()
};

class Session {
 public:
  struct Failure {
    Error error;
    int exit_code;
  };

  // Hooks are attached when this returns; what exists already is being looked up.
  [[nodiscard]] static std::expected<std::unique_ptr<Session>, Failure> open(const TraceOptions& options,
                                                                             const CgroupTree& tree,
                                                                             Collector::Sink sink,
                                                                             const RecordOptions& record = {},
                                                                             const SessionHooks& hooks = {});

  [[nodiscard]] Collector& collector() { return *collector_; }
  // Emits what is still open, calls `last`, and ends the recording. Call once, last.
  Result<void> finish(const std::function<void()>& last = {});
  // Into the recording, where there is one: an incident as the verb knows it, or what has become of it since. Not from
  // the sink; before finish() or within its `last`.
  void record(const Incident& incident);
  // Whether of what came before now in this cgroup less is kept than was to be, for want of memory.
  [[nodiscard]] bool is_cut(std::uint64_t cgroup_id) const { return recording_ && recording_->is_cut(cgroup_id); }
  // nullopt: nothing is recorded.
  [[nodiscard]] std::optional<RecordingSink::Status> recording() const;
  [[nodiscard]] const Features& features() const { return features_; }
  // Kills that the machine counted and no incident tells of; nullopt: this rung cannot know.
  [[nodiscard]] std::optional<std::uint64_t> unseen_kills() const;
  [[nodiscard]] Resolver& resolver() { return *resolver_; }

 private:
  Session() = default;
  void collect(CollectorSettings settings, Collector::Sink sink, std::function<bool(const Incident&)> is_recorded);
  [[nodiscard]] Result<std::unique_ptr<RecordingSink>> open_recording(const RecordOptions& options,
                                                                      std::map<std::string, std::string> meta);
  [[nodiscard]] std::expected<void, Failure> record(const RecordOptions& options, const CollectorSettings& settings,
                                                    const SessionHooks& hooks);
  void join_recording();
  [[nodiscard]] std::expected<void, Failure> open_sources(const TraceOptions& options);
  [[nodiscard]] std::expected<void, Failure> open_probe(const TraceOptions& options);
  [[nodiscard]] std::expected<void, Failure> open_kernel_log();
  [[nodiscard]] EventSource& events() { return observed_ ? *observed_ : static_cast<EventSource&>(*source_); }
  [[nodiscard]] std::expected<void, Failure> open_polling(const TraceOptions& options);

  SystemClock clock_;
  SystemRoot root_;
  Features features_;
  std::unique_ptr<CgroupTree> tree_;
  std::vector<std::unique_ptr<EventSource>> sources_;  // until they are merged
  std::unique_ptr<MergedSource> merged_;
  std::unique_ptr<UnwindingSource> unwinding_;  // over merged_, when that is asked for and possible
  std::unique_ptr<KindSource> source_;          // over these
  std::unique_ptr<EventSource> observed_;       // over source_, when somebody observes
  LoadedProbe* probe_ = nullptr;                // inside merged_, when there is one
  const PollingSource* polling_ = nullptr;      // inside merged_, when there is one
  bool log_joins_ = false;                      // the kernel log adds to what hooks tell
  std::unique_ptr<Resolver> resolver_;
  std::unique_ptr<LiveSurroundings> around_;
  std::unique_ptr<RecordingSink> recording_;
  std::unique_ptr<RecordingSource> recording_source_;
  std::unique_ptr<RecordingSurroundings> recording_around_;
  std::unique_ptr<Collector> collector_;
};

// "charges lru+state · oom mark_victim", and what these tiers miss, for banners and reports.
[[nodiscard]] std::string describe_tiers(const Features& features);

}  // namespace memcrest
