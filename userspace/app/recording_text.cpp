// SPDX-License-Identifier: Apache-2.0
#include "app/recording_text.h"

#include <spdlog/spdlog.h>

#include "util/text.h"
#include "util/units.h"

namespace memcrest {

bool describe_recording(const RecordingSink::Status& status) {
  if (status.files == 0 && status.stopped.empty()) {
    spdlog::info("recorded nothing: no incident asked for it");
    return true;
  }
  const std::string left_out =
      status.unrecorded == 0 ? "nothing left out" : std::to_string(status.unrecorded) + " items left out";
  const std::string more = status.files > 1 ? fmt::format(" and {} before it", status.files - 1) : "";
  spdlog::info("recorded {}{} in {}: {}", escape_terminal(status.path), more, format_size(status.bytes), left_out);
  if (!status.stopped.empty()) {
    spdlog::error("not all was recorded: {}", escape_terminal(status.stopped));
  }
  return status.stopped.empty() && status.unrecorded == 0;
}

}  // namespace memcrest
