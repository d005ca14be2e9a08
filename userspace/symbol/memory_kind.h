// SPDX-License-Identifier: Apache-2.0
// What kind of memory a kernel stack was charging: one table of kernel functions. Where several of them are on the
// stack the one that says most wins: a huge page brings its page table along, a page of tmpfs a node of slab.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "memcrest/event.h"

namespace memcrest {

struct KindRule {
  MemoryKind kind = MemoryKind::kUnknown;
  int weight = 0;         // the highest wins, of equals the innermost
  bool boundary = false;  // a page fault or an interrupt: what lies further out is what it interrupted
  bool page_fault = false;
};

// nullopt: this function says nothing. Suffixes of compilers (".isra.0", ".cold") and "_noprof" do not matter.
[[nodiscard]] std::optional<KindRule> kind_rule(std::string_view function);

// Innermost first, return addresses but for the first. Empty names: not known.
[[nodiscard]] MemoryKind kind_of(const std::vector<std::string>& functions);

// The same for addresses: where the table's functions lie in the running kernel.
class KernelKinds {
 public:
  KernelKinds() = default;
  // One pass over <proc>/kallsyms. Nothing can be told where addresses are hidden from this process.
  [[nodiscard]] static KernelKinds read(const std::string& proc_root);

  [[nodiscard]] MemoryKind kind_of(std::span<const std::uint64_t> stack) const { return judge(stack, false).kind; }

  struct Judged {
    MemoryKind kind = MemoryKind::kUnknown;
    bool page_fault = false;
  };
  // `through_interrupts`: where the interrupt itself tells nothing, what it interrupted counts.
  [[nodiscard]] Judged judge(std::span<const std::uint64_t> stack, bool through_interrupts) const;
  [[nodiscard]] bool empty() const { return ranges_.empty(); }

 private:
  struct Range {
    std::uint64_t begin;
    std::uint64_t end;  // exclusive
    KindRule rule;
  };
  std::vector<Range> ranges_;  // by address, none overlaps
};

}  // namespace memcrest
