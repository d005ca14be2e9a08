// SPDX-License-Identifier: Apache-2.0
// Where memory was taken: the stacks of a burst folded to the functions that matter, and the kinds of memory.
#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "util/text.h"
#include "view/text_parts.h"
#include "view/text_words.h"

namespace memcrest::view {
namespace {

constexpr std::size_t kStacksShown = 3;
constexpr std::size_t kKindsShown = 4;
constexpr double kLeastShare = 0.01;
// Functions of one stack that are shown: the outermost ones say which part of the program, the innermost what it did.
constexpr std::size_t kOuter = 2;
constexpr std::size_t kInner = 4;
constexpr std::size_t kLongestName = 48;
constexpr std::string_view kArrow = "→ ";

const char* words_of(MemoryKind kind) {
  switch (kind) {
    case MemoryKind::kUnknown:
      return "unknown";
    case MemoryKind::kAnon:
      return "anon";
    case MemoryKind::kHugePage:
      return "anon in huge pages";
    case MemoryKind::kFile:
      return "page cache";
    case MemoryKind::kShmem:
      return "shared memory (tmpfs)";
    case MemoryKind::kSlab:
      return "slab";
    case MemoryKind::kKernelStack:
      return "kernel stacks";
    case MemoryKind::kPageTables:
      return "page tables";
    case MemoryKind::kSockets:
      return "sockets";
    case MemoryKind::kPipes:
      return "pipes";
    case MemoryKind::kPercpu:
      return "percpu";
    case MemoryKind::kVmalloc:
      return "vmalloc";
    case MemoryKind::kBpf:
      return "BPF";
    case MemoryKind::kHugetlb:
      return "hugetlb";
  }
  return "unknown";
}

bool is_kernel(const Frame& frame) { return frame.module == "[kernel]"; }

// What every program has around its own functions.
bool is_start(const Frame& frame) {
  constexpr std::string_view kStarts[] = {"_start",
                                          "__libc_start",
                                          "__clone",
                                          "clone3",
                                          "start_thread",
                                          "_dl_start",
                                          "_rt0_",
                                          "runtime.goexit",
                                          "runtime.main",
                                          "std::rt::",

                                          "std::sys_common::backtrace::"};
  return frame.name.contains("__rust_begin_short_backtrace") ||
         std::ranges::any_of(kStarts, [&](std::string_view one) { return frame.name.starts_with(one); });
}

std::string_view base_name(std::string_view path) { return path.substr(path.rfind('/') + 1); }

// "ns::f<int>(char const*)" as "ns::f": without what stands in <> and (), but for parts of a name like
// "(anonymous namespace)" and "operator()".
std::string without_arguments(const std::string& name) {
  std::string out;
  int depth = 0;
  for (std::size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    const std::string_view rest = std::string_view(name).substr(i);
    constexpr std::string_view kNoName = "(anonymous namespace)::";
    if (depth == 0 && rest.starts_with(kNoName) && !out.empty()) {
      i += kNoName.size() - 1;
      continue;
    }
    const bool in_operator = out.ends_with("operator") || out.ends_with("operator<") || out.ends_with("operator-");
    if (depth == 0 && (rest.starts_with("(anonymous namespace)") || rest.starts_with("{closure"))) {
      const std::size_t end = name.find(c == '(' ? ')' : '}', i);
      out += name.substr(i, end - i + 1);
      i = end == std::string::npos ? name.size() : end;
    } else if (depth == 0 && rest.starts_with("()") && out.ends_with("operator")) {
      out += "()";
      ++i;
    } else if (depth == 0 && c == '(' && !out.empty()) {
      break;  // the parameters
    } else if (c == '<' && !in_operator && !out.empty()) {
      ++depth;
    } else if (c == '>' && depth > 0) {
      --depth;
    } else if (depth == 0) {
      out += c;
    }
  }
  return depth == 0 && !out.empty() ? out : name;
}

std::string shown(const Frame& frame) {
  std::string out;
  if (!frame.name.empty()) {
    out = without_arguments(frame.name);
  } else if (frame.offset != 0) {
    char offset[32];
    std::snprintf(offset, sizeof(offset), "+0x%llx", static_cast<unsigned long long>(frame.offset));
    out = std::string(base_name(frame.module)) + offset;
  } else {
    out = frame.module.empty() ? "?" : frame.module;
  }
  out = truncate_middle(escape_terminal(out), kLongestName);
  return frame.line == 0 ? out
                         : out + " (" + truncate_middle(escape_terminal(base_name(frame.file)), kLongestName) + ":" +
                               std::to_string(frame.line) + ")";
}

// Outermost first.
std::vector<std::string> folded(const std::vector<Frame>& frames) {
  std::vector<std::string> out;
  const bool program = std::ranges::any_of(frames, [](const Frame& one) { return !is_kernel(one); });
  for (auto frame = frames.rbegin(); frame != frames.rend(); ++frame) {
    if (program && (is_kernel(*frame) || is_start(*frame))) {
      continue;
    }
    if (std::string text = shown(*frame); out.empty() || out.back() != text) {  // recursion and JIT code without names
      out.push_back(std::move(text));
    }
  }
  if (out.size() > kOuter + kInner + 1) {
    out.erase(out.begin() + kOuter, out.end() - kInner);
    out.insert(out.begin() + kOuter, "…");
  }
  return out;
}

void put_functions(Layout& page, const std::vector<Frame>& frames, std::string_view joiner) {
  bool first = true;
  for (const std::string& function : folded(frames)) {
    page.piece(first ? joiner : " ", first ? function : std::string(kArrow) + function);
    first = false;
  }
}

void put_stack(Layout& page, const GrowthStack& stack) {
  page.row("");
  page.piece("", percent(stack.share));
  put_functions(page, stack.frames, kGap);
  page.piece(kGap, std::string("[") + words_of(stack.kind) + "]", Tone::kDim);
}

}  // namespace

void put_frames(Layout& page, const std::vector<Frame>& frames, const std::string& gap) {
  if (frames.empty()) {
    return;
  }
  page.row("in");
  put_functions(page, frames, "");
  if (!gap.empty()) {
    page.row("");
    page.words("", "(" + escape_terminal(gap) + ")", Tone::kDim);
  }
}

void put_origin(Layout& page, const Incident& incident) {
  if (!incident.burst) {
    return;
  }
  const Burst& burst = *incident.burst;
  std::size_t kinds = 0;
  for (const KindShare& one : burst.kinds) {
    if (kinds < kKindsShown && one.share >= kLeastShare) {
      kinds == 0 ? page.row("kinds") : static_cast<void>(0);
      page.piece(kinds == 0 ? std::string_view() : kDot, std::string(words_of(one.kind)) + " " + percent(one.share));
      ++kinds;
    }
  }
  const std::size_t count = std::min(burst.stacks.size(), kStacksShown);
  bool first = true;
  std::string gap;
  for (std::size_t i = 0; i < count; ++i) {
    const GrowthStack& stack = burst.stacks[i];
    if (i > 0 && stack.share < kLeastShare) {
      break;
    }
    if (first) {
      page.row("from");
      page.piece("", "the functions that took it, outermost first", Tone::kDim);
      first = false;
    }
    put_stack(page, stack);
    gap = gap.empty() ? stack.gap : gap;
  }
  if (!gap.empty()) {
    page.row("");
    page.words("", "(" + escape_terminal(gap) + ")", Tone::kDim);
  }
  for (const std::string& hint : burst.hints) {
    page.row("");
    page.words("", escape_terminal(hint), Tone::kDim);
  }
}

}  // namespace memcrest::view
