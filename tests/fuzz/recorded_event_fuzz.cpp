// SPDX-License-Identifier: Apache-2.0
// Any bytes as an event of a recording, "kind JSON". What can be read is written and read again without a change.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "store/event_json.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace memcrest;
  const std::string text(reinterpret_cast<const char*>(data), size);
  const std::size_t space = text.find(' ');
  if (space == std::string::npos) {
    return 0;
  }
  const auto event = event_from_json(text.substr(0, space), text.substr(space + 1));
  if (!event) {
    return 0;
  }
  const std::string json = event_to_json(*event);
  const auto again = event_from_json(kind_of(*event), json);
  if (!again || event_to_json(*again) != json) {
    std::abort();
  }
  return 0;
}
