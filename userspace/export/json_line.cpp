// SPDX-License-Identifier: Apache-2.0
#include "export/json_line.h"

#include <algorithm>
#include <utility>

#include "export/json_value.h"
#include "util/units.h"

namespace memcrest {
namespace {

bool is_plain(char c) { return c >= 0x20 && c < 0x7f && c != '"' && c != '\\'; }

}  // namespace

void append_json_text(std::string& out, std::string_view raw) {
  if (std::ranges::all_of(raw, is_plain)) {
    out += '"';
    out += raw;
    out += '"';
    return;
  }
  out += to_line(Json(to_valid_utf8(raw)));
}

std::string json_text(std::string_view raw) {
  std::string out;
  append_json_text(out, raw);
  return out;
}

void JsonLine::begin(std::string_view name) {
  out_ += out_.size() > 1 ? ",\"" : "\"";
  out_ += name;
  out_ += "\":";
}

JsonLine& JsonLine::raw(std::string_view name, std::string_view json) {
  begin(name);
  out_ += json;
  return *this;
}

JsonLine& JsonLine::text(std::string_view name, std::string_view raw) {
  begin(name);
  append_json_text(out_, raw);
  return *this;
}

JsonLine& JsonLine::text_or_null(std::string_view name, std::string_view raw) {
  return raw.empty() ? null(name) : text(name, raw);
}

JsonLine& JsonLine::number(std::string_view name, std::uint64_t value) { return raw(name, std::to_string(value)); }

JsonLine& JsonLine::signed_number(std::string_view name, std::int64_t value) {
  return raw(name, std::to_string(value));
}

JsonLine& JsonLine::number(std::string_view name, const std::optional<std::uint64_t>& value) {
  return value ? number(name, *value) : null(name);
}

JsonLine& JsonLine::flag(std::string_view name, bool value) { return raw(name, value ? "true" : "false"); }

JsonLine& JsonLine::time(std::string_view name, const std::optional<std::int64_t>& unix_ns) {
  return unix_ns ? text(name, format_rfc3339(*unix_ns)) : null(name);
}

std::string JsonLine::take() {
  out_ += '}';
  std::string out = std::move(out_);
  out_.assign(1, '{');
  return out;
}

}  // namespace memcrest
