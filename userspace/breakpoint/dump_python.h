// SPDX-License-Identifier: Apache-2.0
// What gdb is to do with a Python process that is held: stacks of its threads, and the largest of what their frames
// see.
#pragma once

#include <string>

namespace memcrest {

// Whether the distribution's knowledge of some Python (Debian: python3-dbg) is there for gdb.
[[nodiscard]] bool gdb_knows_python();

// A script for `gdb -x`. It ends with code 3 where the process runs no Python that gdb knows.
[[nodiscard]] std::string gdb_python_script();

}  // namespace memcrest
