// SPDX-License-Identifier: Apache-2.0
// Text from outside (names, command lines, labels) made fit to be shown or stored. Pure.
#pragma once

#include <string>
#include <string_view>

namespace memcrest {

// For a terminal: control characters, escape sequences, bidirectional overrides and invalid UTF-8 become visible
// escapes (\n, \x1b, \u202e), so that nothing outside can move the cursor or forge a line. Valid printable UTF-8 stays.
// \xNN is one byte (ASCII control or invalid UTF-8), \uNNNN and \UNNNNNNNN a character. A backslash of the text is
// doubled only where what follows it would read as an escape, so "C:\temp" gains one and "a\b" does not; the result
// is unambiguous.
[[nodiscard]] std::string escape_terminal(std::string_view text);

// For JSON and storage: valid UTF-8 stays as it is, each invalid byte becomes U+FFFD.
[[nodiscard]] std::string to_valid_utf8(std::string_view text);

// A command line as the kernel keeps it (arguments end in NUL) as one line that a shell would split the same way. A
// title that a process wrote itself (no NUL inside) stays as it is. Control characters inside arguments stay: escape
// the result for where it goes.
[[nodiscard]] std::string join_cmdline(std::string_view raw);

// Columns that printable UTF-8 takes in a terminal (wide characters count two).
[[nodiscard]] std::size_t display_width(std::string_view utf8);

// Cut to at most `columns`, with an ellipsis where something was cut.
[[nodiscard]] std::string truncate_columns(std::string_view utf8, std::size_t columns);

// The same with the middle left out: names and paths often differ at their end.
[[nodiscard]] std::string truncate_middle(std::string_view utf8, std::size_t columns);

}  // namespace memcrest
