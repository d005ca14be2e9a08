// SPDX-License-Identifier: Apache-2.0
#include "export/json_reader.h"

#include <algorithm>

#include "util/units.h"

namespace memcrest {
namespace {

constexpr std::size_t kMaxBytes = 4U << 20U;
constexpr std::size_t kMaxMembers = 4096;
constexpr int kMaxDepth = 32;

// Before a parser builds anything: brackets outside of strings.
bool too_deep(std::string_view text) {
  int depth = 0;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      i += c == '\\' ? 1 : 0;
      quoted = c != '"';
    } else if (c == '"') {
      quoted = true;
    } else if (c == '{' || c == '[') {
      if (++depth > kMaxDepth) {
        return true;
      }
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return false;
}

}  // namespace

Result<Json> parse_untrusted(std::string_view text) {
  const auto refused = [](const char* why) { return fail("read JSON", {}, EBADMSG, why); };
  if (text.size() > kMaxBytes) {
    return refused("more than 4 MiB");
  }
  if (too_deep(text)) {
    return refused("nested too deep");
  }
  // An object that keeps its order looks through all its members for each new one.
  std::vector<std::size_t> members;
  bool too_many = false;
  const Json::parser_callback_t count = [&](int depth, Json::parse_event_t event, Json& /*value*/) {
    members.resize(std::max(members.size(), static_cast<std::size_t>(std::max(depth, 0)) + 2));
    if (event == Json::parse_event_t::object_start) {
      members[static_cast<std::size_t>(depth) + 1] = 0;
    }
    if (event == Json::parse_event_t::key && ++members[static_cast<std::size_t>(depth)] > kMaxMembers) {
      too_many = true;
    }
    return !too_many;
  };
  Json json = Json::parse(text, count, false);
  if (too_many) {
    return refused("an object has too many members");
  }
  if (json.is_discarded()) {
    return refused("this is none");
  }
  return json;
}

const Json* JsonReader::find(const char* name) const {
  if (!object_.is_object()) {
    return nullptr;
  }
  const auto found = object_.find(name);
  return found == object_.end() || found->is_null() ? nullptr : &*found;
}

const Json* JsonReader::array(const char* name) const {
  const Json* value = find(name);
  if (value != nullptr && !value->is_array()) {
    refuse(name);
    return nullptr;
  }
  return value;
}

void JsonReader::time(const char* name, std::int64_t& out) const {
  const Json* value = find(name);
  if (value == nullptr) {
    return;
  }
  const auto ns = value->is_string() ? parse_rfc3339(value->get_ref<const std::string&>()) : std::nullopt;
  if (ns) {
    out = *ns;
  } else {
    refuse(name);
  }
}

void JsonReader::texts(const char* name, std::vector<std::string>& out) const {
  const Json* value = array(name);
  for (std::size_t i = 0; value != nullptr && i < value->size(); ++i) {
    if ((*value)[i].is_string()) {
      out.push_back((*value)[i].get<std::string>());
    } else {
      refuse(name);
    }
  }
}

void JsonReader::numbers(const char* name, std::vector<std::uint64_t>& out) const {
  const Json* value = array(name);
  for (std::size_t i = 0; value != nullptr && i < value->size(); ++i) {
    if (!take_integer((*value)[i], out.emplace_back())) {
      refuse(name);
    }
  }
}

void JsonReader::texts(const char* name, std::map<std::string, std::string>& out) const {
  const Json* value = find(name);
  if (value == nullptr) {
    return;
  }
  if (!value->is_object()) {
    refuse(name);
    return;
  }
  for (const auto& [key, text] : value->items()) {
    if (text.is_string()) {
      out.emplace(key, text.get<std::string>());
    } else {
      refuse(name);
    }
  }
}

void JsonReader::numbers(const char* name, std::vector<std::pair<std::string, std::uint64_t>>& out) const {
  const Json* value = find(name);
  if (value == nullptr) {
    return;
  }
  if (!value->is_object()) {
    refuse(name);
    return;
  }
  for (const auto& [key, number] : value->items()) {
    if (!take_integer(number, out.emplace_back(key, 0).second)) {
      refuse(std::string(name) + "." + key);
    }
  }
}

}  // namespace memcrest
