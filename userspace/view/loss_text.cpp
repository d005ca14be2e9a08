// SPDX-License-Identifier: Apache-2.0
#include "view/loss_text.h"

namespace memcrest {

std::string describe(const LossCount& loss) {
  std::string out;
  const auto add = [&](std::uint64_t count, const char* what) {
    if (count > 0) {
      out += (out.empty() ? "" : ", ") + std::to_string(count) + " " + what;
    }
  };
  add(loss.critical, "critical records");
  add(loss.bulk, "steps or program starts");
  add(loss.throttled, "steps left out by the rate limit");
  add(loss.invalid, "records that could not be read");
  add(loss.untracked, "charges of cgroups beyond the table's size");
  return out.empty() ? "nothing" : out;
}

}  // namespace memcrest
