// SPDX-License-Identifier: Apache-2.0
#include "probe/ring_source.h"

#include <bpf/libbpf.h>

#include <algorithm>
#include <atomic>
#include <ctime>
#include <map>
#include <span>

#include "event/decoder.h"
#include "probe/ring_reach.h"
#include "util/kernel_symbols.h"

namespace memcrest {
namespace {

// Records taken per poll: a source that never runs dry must not hold the collector for ever.
constexpr std::size_t kBatch = 65536;

// After its last record a cgroup's count of failed charges is read for so long: records are rate-limited, the count
// is not.
constexpr std::uint64_t kFailureTailNs = 1'000'000'000;
constexpr std::uint64_t kFailureLookNs = 200'000'000;

// A record that is only begun is waited for, and with it all behind it: what is read elsewhere meanwhile, as usage in a
// cgroup's files, would be ahead of them. A writer that has lost its CPU for longer holds up nothing but its own ring.
constexpr std::uint64_t kLongestWaitNs = 1'000'000'000;
constexpr timespec kShortWait{.tv_sec = 0, .tv_nsec = 100'000};

struct RingDeleter {
  void operator()(ring_buffer* ring) const { ring_buffer__free(ring); }
};

}  // namespace

struct RingSource::Impl {
  Impl(const Clock& with_clock, SystemRoot with_root) : clock(with_clock), root(std::move(with_root)) {}

  const Clock& clock;
  SystemRoot root;
  std::unique_ptr<LoadedProbe> probe;
  KernelFunctions functions;
  std::unique_ptr<ring_buffer, RingDeleter> rings;
  struct Reach {
    RingReach ring;
    std::uint64_t given_up = ~0ULL;  // the record at this position was waited for long enough
  };
  std::vector<Reach> reaches;
  std::vector<Event>* out = nullptr;  // during poll
  std::size_t first = 0;
  std::atomic<std::uint64_t> invalid{0};
  StackCopies copies;
  std::map<std::uint64_t, ChargeFailureEvent> failures;  // by serial: the last one told
  KernelNames names{root.proc};
  std::uint64_t last_failure_look_ns = 0;

  [[nodiscard]] bool full() const { return out->size() - first >= kBatch; }
  void consume();
  void follow_failures();
  void name_function(ChargeFailureEvent& event);

  void read_stack(VictimEvent& victim) const {
    const auto within = [&](const std::optional<AddressRange>& range) {
      return range && any_within(victim.kernel_stack, *range);
    };
    if (functions.memcg_oom) {
      victim.memcg_oom = within(functions.memcg_oom);
    }
    victim.sysrq = within(functions.sysrq);
    victim.limit_lowered = within(functions.limit_write);
  }

  static int on_record(void* context, void* data, std::size_t size) {
    auto& self = *static_cast<Impl*>(context);
    const std::span bytes(static_cast<const std::byte*>(data), size);
    if (const auto copy = self.copies.take(bytes); !copy || *copy) {
      self.invalid.fetch_add(copy ? 0 : 1, std::memory_order_relaxed);
      return 0;
    }
    auto event = decode(bytes);
    if (!event) {
      self.invalid.fetch_add(1, std::memory_order_relaxed);
      return 0;
    }
    if (auto* victim = std::get_if<VictimEvent>(&*event)) {
      self.read_stack(*victim);
    }
    if (auto* step = std::get_if<StepEvent>(&*event)) {
      self.copies.give(bytes, *step);
    }
    self.out->push_back(std::move(*event));
    return self.full() ? -EAGAIN : 0;
  }
};

// All that was begun until now.
void RingSource::Impl::consume() {
  std::vector<std::uint64_t> until;
  for (const Reach& one : reaches) {
    until.push_back(one.ring.written());
  }
  const std::uint64_t begin = clock.boot_ns();
  while (!full()) {
    ignore_result(ring_buffer__consume(rings.get()));
    bool held_up = false;
    const bool long_enough = clock.boot_ns() - begin > kLongestWaitNs;
    for (std::size_t i = 0; i < reaches.size(); ++i) {
      const std::uint64_t at = reaches[i].ring.read();
      if (at < until[i] && at != reaches[i].given_up) {
        held_up = true;
        reaches[i].given_up = long_enough ? at : reaches[i].given_up;
      }
    }
    if (!held_up || long_enough) {
      return;
    }
    ::nanosleep(&kShortWait, nullptr);
  }
}

// The names are looked up here, not in the callback: it takes a file.
void RingSource::Impl::name_function(ChargeFailureEvent& event) {
  event.function = charging_function(names.at(event.kernel_stack));
}

void RingSource::Impl::follow_failures() {
  const std::uint64_t now = clock.boot_ns();
  const auto since = probe->failures_since();
  for (std::size_t i = first; i < out->size(); ++i) {
    if (auto* event = std::get_if<ChargeFailureEvent>(&(*out)[i])) {
      event->at_least = since && event->time_ns < *since + kFailureTailNs;
      name_function(*event);
      failures[event->serial] = *event;
    }
  }
  if (failures.empty() || now - last_failure_look_ns < kFailureLookNs) {
    return;
  }
  last_failure_look_ns = now;
  for (auto one = failures.begin(); one != failures.end();) {
    ChargeFailureEvent& last = one->second;
    const auto count = probe->failures_of(one->first);
    if (count && *count > last.count) {
      last.count = *count;
      last.time_ns = now;
      out->push_back(last);
    }
    one = !count || now - last.time_ns > kFailureTailNs ? failures.erase(one) : std::next(one);
  }
}

RingSource::RingSource(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
RingSource::~RingSource() = default;

Result<std::unique_ptr<RingSource>> RingSource::open(std::unique_ptr<LoadedProbe> probe, KernelFunctions functions,
                                                     const Clock& clock, SystemRoot root) {
  auto impl = std::make_unique<Impl>(clock, std::move(root));
  impl->probe = std::move(probe);
  impl->functions = functions;
  impl->rings.reset(ring_buffer__new(impl->probe->critical_ring_fd(), Impl::on_record, impl.get(), nullptr));
  if (!impl->rings) {
    return fail_errno("map ring buffer", "critical");
  }
  if (const int error = ring_buffer__add(impl->rings.get(), impl->probe->bulk_ring_fd(), Impl::on_record, impl.get());
      error != 0) {
    return fail("map ring buffer", "bulk", -error);
  }
  for (const int fd : {impl->probe->critical_ring_fd(), impl->probe->bulk_ring_fd()}) {
    auto reach = RingReach::open(fd);
    if (!reach) {
      return std::unexpected(reach.error());
    }
    impl->reaches.push_back({std::move(*reach)});
  }
  return std::unique_ptr<RingSource>(new RingSource(std::move(impl)));
}

EventSource::Status RingSource::poll(std::chrono::milliseconds timeout, std::vector<Event>& out) {
  impl_->out = &out;
  impl_->first = out.size();
  // Both rings are emptied on every wake-up, so that the steps before a kill are there when the kill is.
  ignore_result(ring_buffer__poll(impl_->rings.get(), static_cast<int>(timeout.count())));
  impl_->consume();
  impl_->probe->tend(impl_->clock.boot_ns());
  impl_->follow_failures();
  impl_->out = nullptr;
  std::stable_sort(out.begin() + static_cast<std::ptrdiff_t>(impl_->first), out.end(),
                   [](const Event& a, const Event& b) { return time_of(a) < time_of(b); });
  return Status::kMore;
}

int RingSource::wait_fd() const { return ring_buffer__epoll_fd(impl_->rings.get()); }

LossCount RingSource::loss() const {
  LossCount out = impl_->probe->loss();
  out.invalid = impl_->invalid.load(std::memory_order_relaxed);
  return out;
}

LoadedProbe& RingSource::probe() { return *impl_->probe; }

}  // namespace memcrest
