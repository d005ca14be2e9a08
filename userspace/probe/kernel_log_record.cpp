// SPDX-License-Identifier: Apache-2.0
#include "probe/kernel_log_record.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>

namespace memcrest {
namespace {

constexpr std::size_t kMaxCaller = 16;

// The header's next field, without its comma.
std::string_view next_field(std::string_view& header) {
  const std::size_t comma = header.find(',');
  const std::string_view field = header.substr(0, comma);
  header.remove_prefix(comma == std::string_view::npos ? header.size() : comma + 1);
  return field;
}

std::optional<std::uint64_t> number_of(std::string_view text, int base = 10) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc{} || end != text.data() + text.size()) {
    return std::nullopt;
  }
  return value;
}

// The kernel writes every byte outside of printable ASCII, and the backslash itself, as \xNN.
std::string unescape(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size() && text[i + 1] == 'x') {
      if (const auto byte = number_of(text.substr(i + 2, 2), 16)) {
        out.push_back(static_cast<char>(*byte));
        i += 3;
        continue;
      }
    }
    out.push_back(text[i]);
  }
  return out;
}

}  // namespace

Result<KernelLogRecord> parse_kernel_log_record(std::string_view raw) {
  if (raw.size() > kMaxKernelLogRecord) {
    return fail("parse", "kernel log record", EMSGSIZE);
  }
  const std::size_t semicolon = raw.find(';');
  if (semicolon == std::string_view::npos) {
    return fail("parse", "kernel log record", 0, "no header");
  }
  std::string_view header = raw.substr(0, semicolon);
  const auto priority = number_of(next_field(header));
  const auto sequence = number_of(next_field(header));
  const auto micros = number_of(next_field(header));
  if (!priority || !sequence || !micros || *micros > std::numeric_limits<std::uint64_t>::max() / 1000) {
    return fail("parse", "kernel log record", 0, "not a header");
  }
  KernelLogRecord record;
  record.facility = static_cast<std::uint32_t>(std::min<std::uint64_t>(*priority >> 3U, 0xffff'ffffU));
  record.sequence = *sequence;
  record.time_ns = *micros * 1000;
  // '-', 'c' for a fragment; '+' was a fragment of kernels before 4.9.
  const std::string_view flags = next_field(header);
  record.fragment = flags == "c" || flags == "+";
  constexpr std::string_view kCaller = "caller=";
  while (!header.empty()) {
    const std::string_view field = next_field(header);
    if (field.starts_with(kCaller)) {
      record.caller = field.substr(kCaller.size(), kMaxCaller);
    }
  }
  std::string_view text = raw.substr(semicolon + 1);
  record.text = unescape(text.substr(0, text.find('\n')));
  return record;
}

}  // namespace memcrest
