// SPDX-License-Identifier: Apache-2.0
#include "symbol/kind_source.h"

#include <span>

namespace memcrest {

EventSource::Status KindSource::poll(std::chrono::milliseconds timeout, std::vector<Event>& out) {
  const std::size_t first = out.size();
  const Status status = inner_.poll(timeout, out);
  for (Event& event : std::span(out).subspan(first)) {
    if (auto* step = std::get_if<StepEvent>(&event); step != nullptr && !step->kernel_stack.empty()) {
      step->kind = kinds_.kind_of(step->kernel_stack);
      step->page_cache = step->kind == MemoryKind::kFile;
    }
  }
  return status;
}

}  // namespace memcrest
