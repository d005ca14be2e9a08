// SPDX-License-Identifier: Apache-2.0
// Command lines without their secrets: what is known to be one becomes "***", before anything is stored or shown.
// Recognised are options, assignments, headers and JSON members that a secret's usual name announces, passwords in
// URLs, and tokens of known shapes. What only might be a secret (`-pX`) stays. Pure. For texts of some KiB: a hostile
// one can take time that grows with the square of its length.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace memcrest {

enum class CmdlineDetail {
  kMasked,       // all arguments, secrets masked
  kProgramOnly,  // argv[0], and "[redacted]" for the rest
};

// Each argument as it may be shown. `cut`: the last one may go on, so what could be the beginning of a secret there is
// masked too. The result has as many arguments (kProgramOnly: two at most), none longer than three times itself + 3.
[[nodiscard]] std::vector<std::string> redact_arguments(const std::vector<std::string_view>& arguments, bool cut,
                                                        CmdlineDetail detail);

// A command line as the kernel keeps it (arguments end in NUL) as one line that may be shown, as join_cmdline gives it.
// `cut`: `raw` is only its beginning; the line then ends in an ellipsis.
[[nodiscard]] std::string redact_cmdline(std::string_view raw, bool cut, CmdlineDetail detail);

}  // namespace memcrest
