// SPDX-License-Identifier: Apache-2.0
#include "identity/docker_json.h"

#include <functional>
#include <limits>
#include <nlohmann/json.hpp>
#include <vector>

namespace memcrest {
namespace {

constexpr std::size_t kMaxDepth = 32;
constexpr std::size_t kMaxNameBytes = 4096;

// Calls `on_value` with each string or number and the keys that lead to it ("" for an element of an array), `on_close`
// at the end of each object with its depth. Returning false from a handler stops nlohmann's parser: no exceptions.
class Walker final : public nlohmann::json::json_sax_t {
 public:
  struct Value {
    const std::string* text = nullptr;  // else a whole number
    std::int64_t number = 0;
  };
  using Path = std::vector<std::string>;

  std::function<void(const Path&, const Value&)> on_value;
  std::function<void(std::size_t depth)> on_close = [](std::size_t /*depth*/) {};

  // False: not JSON, or nested too deep; why() says which.
  bool walk(std::string_view json) {
    try {
      return nlohmann::json::sax_parse(json.begin(), json.end(), this) && why_.empty();
    } catch (const std::exception& error) {  // out of memory
      why_ = error.what();
      return false;
    }
  }
  [[nodiscard]] const std::string& why() const { return why_; }
  [[nodiscard]] bool is_list() const { return list_; }

  bool null() override { return true; }
  bool boolean(bool /*value*/) override { return true; }
  bool number_float(double /*value*/, const std::string& /*text*/) override { return true; }
  bool binary(nlohmann::json::binary_t& /*value*/) override { return true; }
  bool number_integer(std::int64_t value) override { return give({.number = value}); }
  bool number_unsigned(std::uint64_t value) override {
    constexpr auto kLargest = std::numeric_limits<std::int64_t>::max();
    return value > static_cast<std::uint64_t>(kLargest) || give({.number = static_cast<std::int64_t>(value)});
  }
  bool string(std::string& value) override { return give({.text = &value}); }
  bool key(std::string& name) override {
    path_.back() = name;
    return true;
  }
  bool start_object(std::size_t /*elements*/) override { return open(); }
  bool start_array(std::size_t /*elements*/) override {
    list_ = list_ || path_.empty();
    return open();
  }
  bool end_object() override {
    path_.pop_back();
    on_close(path_.size());
    return true;
  }
  bool end_array() override {
    path_.pop_back();
    return true;
  }
  bool parse_error(std::size_t position, const std::string& /*last_token*/,
                   const nlohmann::json::exception& /*error*/) override {
    why_ = "not JSON at byte " + std::to_string(position);
    return false;
  }

 private:
  bool give(const Value& value) {
    if (!path_.empty()) {
      on_value(path_, value);
    }
    return true;
  }
  bool open() {
    path_.emplace_back();
    if (path_.size() > kMaxDepth) {
      why_ = "JSON nested deeper than " + std::to_string(kMaxDepth);
      return false;
    }
    return true;
  }

  Path path_;
  std::string why_;
  bool list_ = false;  // the outermost value is one
};

// At most `limit` bytes, never half of a character.
std::string cut(const std::string& text, std::size_t limit) {
  if (text.size() <= limit) {
    return text;
  }
  while (limit > 0 && (static_cast<unsigned char>(text[limit]) & 0xc0U) == 0x80U) {
    --limit;
  }
  return text.substr(0, limit);
}

struct Draft {
  Container facts;
  std::string id;
  std::size_t label_bytes = 0;

  void add_label(const std::string& key, const std::string& value) {
    std::string kept = cut(value, kMaxLabelBytes);
    const std::size_t bytes = key.size() + kept.size();
    if (key.size() <= kMaxLabelBytes && facts.labels.size() < kMaxLabels && label_bytes + bytes <= kMaxAllLabelBytes) {
      label_bytes += bytes;
      facts.labels.insert_or_assign(key, std::move(kept));
    }
  }
  // A container has several names when others link to it ("/other/alias"); its own has one slash, in front.
  void add_name(std::string_view name) {
    if (name.starts_with('/')) {
      name.remove_prefix(1);
    }
    if (facts.name.empty() && name.find('/') == std::string_view::npos) {
      facts.name = cut(std::string(name), kMaxNameBytes);
    }
  }
};

using Path = Walker::Path;
using Value = Walker::Value;

void take_inspect_text(Draft& draft, const Path& path, const std::string& text) {
  if (path.size() == 1 && path[0] == "Id") {
    draft.id = text;
  } else if (path.size() == 1 && path[0] == "Name") {
    draft.add_name(text);
  } else if (path.size() == 2 && path[0] == "Config" && path[1] == "Image") {
    draft.facts.image = cut(text, kMaxNameBytes);
  } else if (path.size() == 3 && path[0] == "Config" && path[1] == "Labels") {
    draft.add_label(path[2], text);
  }
}

void take_inspect_number(Draft& draft, const Path& path, std::int64_t number) {
  if (path.size() != 2) {
    return;
  }
  constexpr std::int64_t kMaxPid = 1 << 22;  // PID_MAX_LIMIT
  if (path[0] == "State" && path[1] == "Pid" && number > 0 && number <= kMaxPid) {
    draft.facts.init_pid = static_cast<std::uint32_t>(number);
  } else if (path[0] == "HostConfig" && path[1] == "Memory" && number > 0) {
    draft.facts.memory_limit_bytes = static_cast<std::uint64_t>(number);
  } else if (path[0] == "HostConfig" && path[1] == "MemorySwap" && number != 0) {
    draft.facts.swap_limit_bytes = number;
  }
}

// `path` begins with the "" of the list itself.
void take_list_text(Draft& draft, const Path& path, const std::string& text) {
  if (path.size() == 2 && path[1] == "Id") {
    draft.id = text;
  } else if (path.size() == 2 && path[1] == "Image") {
    draft.facts.image = cut(text, kMaxNameBytes);
  } else if (path.size() == 3 && path[1] == "Names") {
    draft.add_name(text);
  } else if (path.size() == 3 && path[1] == "Labels") {
    draft.add_label(path[2], text);
  }
}

std::unexpected<Error> bad_answer(std::string why) { return fail("read Docker's answer", {}, EPROTO, std::move(why)); }

}  // namespace

Result<Container> read_docker_inspect(std::string_view json, std::string_view id) {
  Draft draft;
  Walker walker;
  walker.on_value = [&](const Path& path, const Value& value) {
    if (value.text != nullptr) {
      take_inspect_text(draft, path, *value.text);
    } else {
      take_inspect_number(draft, path, value.number);
    }
  };
  if (!walker.walk(json)) {
    return bad_answer(walker.why());
  }
  if (draft.id != id) {
    return bad_answer("it is not about the container that was asked for");
  }
  if (draft.facts.name.empty()) {
    return bad_answer("it has no name");
  }
  return std::move(draft.facts);
}

Result<std::optional<Container>> read_docker_list(std::string_view json, std::string_view id) {
  std::optional<Container> found;
  Draft draft;
  Walker walker;
  walker.on_value = [&](const Path& path, const Value& value) {
    if (value.text != nullptr) {
      take_list_text(draft, path, *value.text);
    }
  };
  walker.on_close = [&](std::size_t depth) {
    if (depth == 1) {  // one container of the list ends
      if (draft.id == id) {
        found = std::move(draft.facts);
      }
      draft = {};
    }
  };
  if (!walker.walk(json)) {
    return bad_answer(walker.why());
  }
  if (!walker.is_list()) {
    return bad_answer("it is not a list");
  }
  if (found && found->name.empty()) {
    return bad_answer("it has no name");
  }
  return found;
}

std::string read_docker_message(std::string_view json) {
  std::string message;
  Walker walker;
  walker.on_value = [&](const Path& path, const Value& value) {
    if (value.text != nullptr && path.size() == 1 && path[0] == "message") {
      message = cut(*value.text, 512);
    }
  };
  return walker.walk(json) ? message : std::string();
}

}  // namespace memcrest
