// SPDX-License-Identifier: Apache-2.0
#include "symbol/kind_source.h"

#include <span>

namespace memcrest {

namespace {

constexpr std::size_t kMaxThreads = 16384;

}  // namespace

// Where pages are seen in batches a page table or an interrupt is often what shows that usage has crossed a level,
// which the pages before it have brought near. They come at 512 to one: what the thread took before is what grew.
MemoryKind KindSource::kind_of(const StepEvent& step) {
  const auto judged = kinds_.judge(step.kernel_stack, batched_);
  if (!batched_ || step.foreign) {
    return judged.kind;
  }
  if (last_.size() >= kMaxThreads) {
    last_.clear();
  }
  MemoryKind& last = last_[step.task.tid];
  const bool beside_pages =
      judged.kind == MemoryKind::kUnknown ||
      (judged.page_fault && (judged.kind == MemoryKind::kPageTables || judged.kind == MemoryKind::kSlab));
  const MemoryKind out = beside_pages && last != MemoryKind::kUnknown ? last : judged.kind;
  const bool pages = judged.kind == MemoryKind::kAnon || judged.kind == MemoryKind::kHugePage ||
                     judged.kind == MemoryKind::kFile || judged.kind == MemoryKind::kShmem;
  // Only the step before: two page tables in a row are no accident.
  last = pages ? judged.kind : MemoryKind::kUnknown;
  return out;
}

EventSource::Status KindSource::poll(std::chrono::milliseconds timeout, std::vector<Event>& out) {
  const std::size_t first = out.size();
  const Status status = inner_.poll(timeout, out);
  for (Event& event : std::span(out).subspan(first)) {
    if (auto* step = std::get_if<StepEvent>(&event); step != nullptr && !step->kernel_stack.empty()) {
      step->kind = kind_of(*step);
      step->page_cache = step->kind == MemoryKind::kFile;
    }
  }
  return status;
}

}  // namespace memcrest
