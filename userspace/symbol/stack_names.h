// SPDX-License-Identifier: Apache-2.0
// From placed stacks to named ones: the words around a stack. Pure.
#pragma once

#include <string>
#include <vector>

#include "memcrest/stack.h"
#include "symbol/code_place.h"

namespace memcrest {

// Of a kernel stack what says why memory was taken: the function that decides its kind, else the first that is no part
// of charging; then the system call, if it is one. Innermost first.
[[nodiscard]] std::vector<Frame> telling_frames(const std::vector<std::string>& kernel_functions);

// Why callers may be missing; empty: the outermost frame is where a program or a thread begins, and the innermost one
// has a frame of its own.
// `unwound`: by tables, not along frame pointers.
[[nodiscard]] std::string gap_of(const PlacedStack& placed, const std::vector<Frame>& frames, bool innermost_framed,
                                 bool unwound = false);
inline constexpr const char* kNoFramePointers = "callers are missing: code without frame pointers";
inline constexpr const char* kUnwindHint = "code without frame pointers: --unwind eh-frame shows its callers";

// What would show more of this stack, for runtimes that are known to need it; empty: nothing.
[[nodiscard]] std::string hint_for(const std::string& comm, const std::vector<Frame>& frames);

}  // namespace memcrest
