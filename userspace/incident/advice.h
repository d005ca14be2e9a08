// SPDX-License-Identifier: Apache-2.0
// What to do about a verdict: words for a person, a limit with its margin, and lines that can be pasted. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "memcrest/incident.h"

namespace memcrest {

// The verdict in two or three sentences, with figures.
[[nodiscard]] std::string verdict_text(const Incident& incident, const Verdict& verdict);

// Nullopt: there is nothing to advise.
[[nodiscard]] std::optional<Advice> advise(const Incident& incident, const Verdict& verdict);

// `needed` and the margin, rounded up to a number that people write: 2560 MiB, not 2507.4.
[[nodiscard]] std::uint64_t round_limit(std::uint64_t needed_bytes, std::uint32_t margin_percent);

// The same limit in the words of each tool that this container can be run by.
[[nodiscard]] std::vector<AdviceLine> limit_lines(const Container& container, std::uint64_t limit_bytes);

// For a POSIX shell: as it is where that is safe, in single quotes otherwise.
[[nodiscard]] std::string shell_quote(const std::string& word);

}  // namespace memcrest
