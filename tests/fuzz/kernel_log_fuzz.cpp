// SPDX-License-Identifier: Apache-2.0
// Any bytes as /dev/kmsg: each line of the input is one record. Checks what the parser promises whatever it reads.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <string_view>

#include "probe/kernel_log_parser.h"

namespace {

void require(bool promise) {
  if (!promise) {
    std::abort();
  }
}

void check(const std::vector<memcrest::LogOomEvent>& events) {
  for (const auto& event : events) {
    require(event.tasks.size() <= memcrest::KernelLogParser::kMaxTasks);
    require(event.victims.size() <= memcrest::KernelLogParser::kMaxVictims);
    require(event.stats.size() <= memcrest::kernel_log::kMaxStats);
    require(!event.victims.empty() || !event.gaps.empty());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  memcrest::KernelLogParser parser;
  std::uint64_t now = 1;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    now += line.size() * 100'000;
    memcrest::ignore_result(parser.feed(line, now));
    check(parser.take(now));
  }
  check(parser.take(std::numeric_limits<std::uint64_t>::max()));
  require(!parser.deadline());
  return 0;
}
