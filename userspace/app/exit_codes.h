// SPDX-License-Identifier: Apache-2.0
// Exit codes of every verb but `run`, which passes on its command's (run_child.h). Documented in README.md.
#pragma once

namespace memcrest {

enum ExitCode : int {
  kExitOk = 0,
  kExitFailure = 1,      // something went wrong while running
  kExitUsage = 2,        // the command line is wrong
  kExitUnsupported = 3,  // this kernel or these privileges do not allow it
  kExitMatched = 4,      // --fail-on saw what it was asked to look for
  kExitOutput = 5,       // standard output could not be written
};

}  // namespace memcrest
