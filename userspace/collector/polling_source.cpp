// SPDX-License-Identifier: Apache-2.0
#include "collector/polling_source.h"

#include <sys/epoll.h>
#include <sys/timerfd.h>

#include <algorithm>
#include <atomic>
#include <utility>
#include <vector>

namespace memcrest {
namespace {

// How often there can be something to do, by the parts that are wanted.
std::chrono::milliseconds tick(const PollingSettings& settings) {
  std::chrono::milliseconds shortest{1000};
  if (settings.usage) {
    shortest = std::min(shortest, settings.usage_poll.interval);
  }
  if (settings.oom_counts) {
    shortest = std::min(shortest, settings.counts.interval);
  }
  if (settings.stuck) {
    shortest = std::min(shortest, settings.hangs.interval);
  }
  return std::max(shortest, std::chrono::milliseconds(1));
}

Result<Fd> start_timer(std::chrono::milliseconds interval) {
  Fd timer(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  itimerspec every{};
  every.it_interval.tv_sec = interval.count() / 1000;
  every.it_interval.tv_nsec = interval.count() % 1000 * 1'000'000;
  every.it_value.tv_nsec = 1;  // the first look is due at once
  if (!timer || ::timerfd_settime(timer.get(), 0, &every, nullptr) != 0) {
    return fail_errno("start a timer", "");
  }
  return timer;
}

}  // namespace

struct PollingSource::Impl {
  Impl(const CgroupTree& the_tree, const Clock& the_clock, const SystemRoot& root, PollingSettings the_settings,
       const CpuClock& cpu)
      : tree(the_tree),
        clock(the_clock),
        settings(std::move(the_settings)),
        roster(tree, settings.roster, cpu),
        usage(tree, settings.usage_poll, cpu),
        counts(tree, root, roster, tree.whole_hierarchy(), settings.counts, cpu),
        stuck(tree, root, roster, settings.hangs, cpu) {}

  void came(const CgroupChange& change, std::vector<Event>& out);
  void went(const CgroupChange& change, std::vector<Event>& out);
  void work(std::vector<Event>& out);

  CgroupTree tree;
  const Clock& clock;
  PollingSettings settings;
  CgroupRoster roster;
  UsagePoller usage;
  OomCountPoller counts;
  StuckPoller stuck;
  Fd timer;
  Fd epoll;
  std::vector<CgroupChange> changes;
  std::atomic<std::uint64_t> untracked{0};
};

void PollingSource::Impl::came(const CgroupChange& change, std::vector<Event>& out) {
  const std::uint64_t now = clock.boot_ns();
  const Cgroup& cgroup = change.cgroup;
  if (settings.lifecycle && !change.at_start) {
    out.emplace_back(CgroupEvent{.time_ns = now,
                                 .cgroup_id = cgroup.id,
                                 .serial = cgroup.id,
                                 .parent_id = cgroup.parent_id,
                                 .created = true,
                                 .path = cgroup.path});
  }
  if (settings.usage) {
    usage.added(cgroup, !change.at_start);
  }
  if (settings.oom_counts) {
    counts.added(change, now);
  }
  if (settings.stuck) {
    stuck.added(cgroup.id, now);
  }
}

void PollingSource::Impl::went(const CgroupChange& change, std::vector<Event>& out) {
  const std::uint64_t now = clock.boot_ns();
  const Cgroup& cgroup = change.cgroup;
  stuck.removed(cgroup, now, out);
  counts.removed(cgroup.id);
  if (settings.lifecycle) {
    out.emplace_back(CgroupEvent{.time_ns = now,
                                 .cgroup_id = cgroup.id,
                                 .serial = cgroup.id,
                                 .parent_id = cgroup.parent_id,
                                 .watermark_bytes = usage.highest(cgroup.id),
                                 .path = cgroup.path});
  }
  usage.removed(cgroup.id);
}

void PollingSource::Impl::work(std::vector<Event>& out) {
  changes.clear();
  roster.refresh(clock.boot_ns(), changes);
  untracked.store(roster.untracked(), std::memory_order_relaxed);
  for (const CgroupChange& change : changes) {
    change.created ? came(change, out) : went(change, out);
  }
  // Counts first: a file of a cgroup that is about to go is readable for a few milliseconds only.
  const auto touched = roster.take_touched();
  if (settings.oom_counts) {
    counts.look(clock.boot_ns(), touched, out);
  }
  if (settings.usage) {
    usage.look(clock.boot_ns(), out);
  }
  if (settings.stuck) {
    stuck.look(clock.boot_ns(), out);
  }
}

PollingSource::PollingSource(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
PollingSource::~PollingSource() = default;

Result<std::unique_ptr<PollingSource>> PollingSource::open(const CgroupTree& tree, const Clock& clock,
                                                           const SystemRoot& root, PollingSettings settings,
                                                           CpuClock cpu) {
  auto impl = std::make_unique<Impl>(tree, clock, root, std::move(settings), std::move(cpu));
  auto timer = start_timer(tick(impl->settings));
  if (!timer) {
    return std::unexpected(timer.error());
  }
  impl->timer = std::move(*timer);
  impl->epoll = Fd(::epoll_create1(EPOLL_CLOEXEC));
  for (const int fd : {impl->timer.get(), impl->roster.wait_fd()}) {
    epoll_event event{.events = EPOLLIN, .data = {}};
    // Without inotify (-1) the timer alone wakes: new cgroups are then found by looking.
    if (fd >= 0 && ::epoll_ctl(impl->epoll.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
      return fail_errno("wait for cgroups", "");
    }
  }
  return std::unique_ptr<PollingSource>(new PollingSource(std::move(impl)));
}

EventSource::Status PollingSource::poll(std::chrono::milliseconds timeout, std::vector<Event>& out) {
  const auto first = static_cast<std::ptrdiff_t>(out.size());
  epoll_event events[2];
  ignore_result(::epoll_wait(impl_->epoll.get(), events, 2, static_cast<int>(timeout.count())));
  std::uint64_t expired = 0;
  ignore_result(::read(impl_->timer.get(), &expired, sizeof(expired)));
  impl_->work(out);
  std::stable_sort(out.begin() + first, out.end(),
                   [](const Event& a, const Event& b) { return time_of(a) < time_of(b); });
  return Status::kMore;
}

int PollingSource::wait_fd() const { return impl_->epoll.get(); }

LossCount PollingSource::loss() const {
  LossCount out;
  out.untracked = impl_->untracked.load(std::memory_order_relaxed);
  return out;
}

std::chrono::nanoseconds PollingSource::quiet_gap() const { return impl_->usage.quiet_gap(); }
std::chrono::nanoseconds PollingSource::moving_gap() const { return impl_->usage.moving_gap(); }
std::chrono::nanoseconds PollingSource::count_gap() const { return impl_->counts.gap(); }
std::chrono::nanoseconds PollingSource::stuck_round() const { return impl_->stuck.round(); }
std::optional<std::uint64_t> PollingSource::gone_unread() const { return impl_->counts.gone_unread(); }
bool PollingSource::all_watched() const { return impl_->roster.all_watched(); }

}  // namespace memcrest
