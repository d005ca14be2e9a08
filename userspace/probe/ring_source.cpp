// SPDX-License-Identifier: Apache-2.0
#include "probe/ring_source.h"

#include <bpf/libbpf.h>

#include <algorithm>
#include <atomic>

#include "event/decoder.h"

namespace memcrest {
namespace {

// Records taken per poll: a source that never runs dry must not hold the collector for ever.
constexpr std::size_t kBatch = 65536;

struct RingDeleter {
  void operator()(ring_buffer* ring) const { ring_buffer__free(ring); }
};

}  // namespace

struct RingSource::Impl {
  std::unique_ptr<LoadedProbe> probe;
  KernelFunctions functions;
  std::unique_ptr<ring_buffer, RingDeleter> rings;
  std::vector<Event>* out = nullptr;  // during poll
  std::size_t first = 0;
  std::atomic<std::uint64_t> invalid{0};

  static int on_record(void* context, void* data, std::size_t size) {
    auto& self = *static_cast<Impl*>(context);
    auto event = decode({static_cast<const std::byte*>(data), size});
    if (!event) {
      self.invalid.fetch_add(1, std::memory_order_relaxed);
      return 0;
    }
    if (auto* victim = std::get_if<VictimEvent>(&*event); victim != nullptr && self.functions.memcg_oom) {
      victim->memcg_oom = any_within(victim->kernel_stack, *self.functions.memcg_oom);
    } else if (auto* step = std::get_if<StepEvent>(&*event); step != nullptr && self.functions.page_cache) {
      step->page_cache = any_within(step->kernel_stack, *self.functions.page_cache);
    }
    self.out->push_back(std::move(*event));
    return self.out->size() - self.first >= kBatch ? -EAGAIN : 0;
  }
};

RingSource::RingSource(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
RingSource::~RingSource() = default;

Result<std::unique_ptr<RingSource>> RingSource::open(std::unique_ptr<LoadedProbe> probe, KernelFunctions functions) {
  auto impl = std::make_unique<Impl>();
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
  return std::unique_ptr<RingSource>(new RingSource(std::move(impl)));
}

EventSource::Status RingSource::poll(std::chrono::milliseconds timeout, std::vector<Event>& out) {
  impl_->out = &out;
  impl_->first = out.size();
  // Both rings are emptied on every wake-up, so that the steps before a kill are there when the kill is.
  ignore_result(ring_buffer__poll(impl_->rings.get(), static_cast<int>(timeout.count())));
  if (out.size() - impl_->first < kBatch) {
    ignore_result(ring_buffer__consume(impl_->rings.get()));
  }
  impl_->out = nullptr;
  std::stable_sort(out.begin() + static_cast<std::ptrdiff_t>(impl_->first), out.end(),
                   [](const Event& a, const Event& b) { return time_of(a) < time_of(b); });
  return Status::kMore;
}

LossCount RingSource::loss() const {
  LossCount out = impl_->probe->loss();
  out.invalid = impl_->invalid.load(std::memory_order_relaxed);
  return out;
}

LoadedProbe& RingSource::probe() { return *impl_->probe; }

}  // namespace memcrest
