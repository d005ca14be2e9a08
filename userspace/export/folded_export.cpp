// SPDX-License-Identifier: Apache-2.0
#include "export/folded_export.h"

#include <algorithm>
#include <map>

#include "util/text.h"

namespace memcrest {
namespace {

constexpr std::size_t kMaxMerged = 64U << 20U;  // bytes of lines that wait for their likes

}  // namespace

std::string folded_frame(std::string_view raw) {
  std::string out = escape_terminal(raw);
  std::ranges::replace(out, ';', ':');
  return out.empty() ? "?" : out;
}

std::string FoldedExport::stack_of(const StackTotal& total) const {
  std::string out = folded_frame(total.label);
  out += ';' + (total.task == nullptr ? "[unknown]" : folded_frame(total.task->comm));
  if (total.cut) {
    return out + ";[other stacks]";
  }
  for (const std::uint64_t address : total.user_stack) {
    out += ';' + folded_frame(context_.frames.user(total.task->process, address));
  }
  for (const std::uint64_t address : total.kernel_stack) {
    out += ';' + folded_frame(context_.frames.kernel(address)) + "_[k]";
  }
  return out;
}

void FoldedExport::finish(const ExportEnd& /*end*/) {
  std::map<std::string, std::uint64_t> merged;
  std::size_t bytes = 0;
  const auto flush = [&] {
    for (const auto& [stack, sum] : merged) {
      context_.sink.write(stack + ' ' + std::to_string(sum) + '\n');
    }
    merged.clear();
    bytes = 0;
  };
  totals_.each([&](const StackTotal& total) {
    auto stack = stack_of(total);
    const std::size_t size = stack.size();
    const auto [found, is_new] = merged.try_emplace(std::move(stack), 0);
    if (__builtin_add_overflow(found->second, total.bytes, &found->second)) {
      found->second = ~std::uint64_t{0};
    }
    bytes += is_new ? size : 0;
    if (bytes >= kMaxMerged) {
      flush();
    }
  });
  flush();
}

}  // namespace memcrest
