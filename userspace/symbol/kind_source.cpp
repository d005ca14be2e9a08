// SPDX-License-Identifier: Apache-2.0
#include "symbol/kind_source.h"

#include <span>
#include <utility>

namespace memcrest {

namespace {

constexpr std::size_t kMaxThreads = 2048;  // two stacks each

}  // namespace

void KindSource::judge(StepEvent& step) {
  const auto judged = kinds_.judge(step.kernel_stack, batched_);
  step.kind = judged.kind;
  if (!batched_ || step.foreign) {
    return;
  }
  const bool pages = judged.kind == MemoryKind::kAnon || judged.kind == MemoryKind::kHugePage ||
                     judged.kind == MemoryKind::kFile || judged.kind == MemoryKind::kShmem;
  const bool beside_pages =
      judged.kind == MemoryKind::kUnknown ||
      (judged.page_fault && (judged.kind == MemoryKind::kPageTables || judged.kind == MemoryKind::kSlab));
  if (pages) {
    if (last_.size() >= kMaxThreads && !last_.contains(step.task.tid)) {
      last_.clear();
    }
    last_.insert_or_assign(step.task.tid, Pages{judged.kind, step.user_stack, step.kernel_stack});
    return;
  }
  // Only the step before: two page tables in a row are no accident.
  auto before = last_.extract(step.task.tid);
  if (beside_pages && !before.empty()) {
    step.kind = before.mapped().kind;
    step.user_stack = std::move(before.mapped().user_stack);
    step.kernel_stack = std::move(before.mapped().kernel_stack);
  }
}

EventSource::Status KindSource::poll(std::chrono::milliseconds timeout, std::vector<Event>& out) {
  const std::size_t first = out.size();
  const Status status = inner_.poll(timeout, out);
  for (Event& event : std::span(out).subspan(first)) {
    if (auto* step = std::get_if<StepEvent>(&event); step != nullptr && !step->kernel_stack.empty()) {
      judge(*step);
      step->page_cache = step->kind == MemoryKind::kFile;
    }
  }
  return status;
}

}  // namespace memcrest
