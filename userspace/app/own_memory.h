// SPDX-License-Identifier: Apache-2.0
// The agent's own memory, where it runs for months: what is not needed goes back to the kernel.
#pragma once

namespace memcrest {

// Before threads are started. Large blocks go back when they are freed, and threads share their heaps.
void tame_allocator();
// What is free, from within the heaps too. Any thread; holds up those that allocate for a few milliseconds.
void return_free_memory();

}  // namespace memcrest
