// SPDX-License-Identifier: Apache-2.0
#include "app/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace memcrest {

Terminal terminal_of_stdout() {
  constexpr std::size_t kLeast = 60;
  const char* no_color = std::getenv("NO_COLOR");  // NOLINT(concurrency-mt-unsafe): nothing here sets it
  const char* term = std::getenv("TERM");          // NOLINT(concurrency-mt-unsafe)
  const bool dumb = term == nullptr || std::strcmp(term, "dumb") == 0;
  Terminal out;
  out.present = isatty(STDOUT_FILENO) == 1;
  out.color = out.present && !dumb && (no_color == nullptr || *no_color == '\0');
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
    out.columns = std::max<std::size_t>(size.ws_col, kLeast);
  }
  return out;
}

}  // namespace memcrest
