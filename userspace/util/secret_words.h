// SPDX-License-Identifier: Apache-2.0
// How secrets are known: by the name that announces one, or by a token's own shape. For redact.cpp. Pure.
#pragma once

#include <cstddef>
#include <string_view>

namespace memcrest::secret_words {

// Whether this is the name of a secret: an option ("--db-password"), a variable ("GITHUB_TOKEN"), a property
// ("spring.datasource.password"), a member. Not what only speaks of one: "--token-file", "MAX_TOKENS".
[[nodiscard]] bool names_secret(std::string_view name);

// Whether this is an HTTP header that carries one. Headers may be written without a space after the colon.
[[nodiscard]] bool is_secret_header(std::string_view name);

// The length of a token of a known shape (AWS, GitHub, Slack, JWT, PEM, ...) at the beginning of `text`, 0 if there is
// none. `cut`: `text` may go on, so that a token that reaches its end may be too short.
[[nodiscard]] std::size_t token_length(std::string_view text, bool cut);

[[nodiscard]] bool equals_ignoring_case(std::string_view a, std::string_view b);
[[nodiscard]] bool is_alnum(char c);  // ASCII, whatever the locale

}  // namespace memcrest::secret_words
