// SPDX-License-Identifier: Apache-2.0
#include "identity/runtime_event_json.h"

#include <array>
#include <charconv>
#include <string>
#include <utility>

#include "identity/cgroup_path.h"
#include "identity/json_walker.h"

namespace memcrest {
namespace {

using Action = RuntimeEvent::Action;

constexpr std::size_t kMaxNameBytes = 4096;

// Docker's words, and Podman's own where they differ.
constexpr std::array kActions = {
    std::pair{std::string_view("create"), Action::kCreate},  std::pair{std::string_view("start"), Action::kStart},
    std::pair{std::string_view("die"), Action::kDie},        std::pair{std::string_view("died"), Action::kDie},
    std::pair{std::string_view("oom"), Action::kOom},        std::pair{std::string_view("restart"), Action::kRestart},
    std::pair{std::string_view("rename"), Action::kRename},  std::pair{std::string_view("destroy"), Action::kDestroy},
    std::pair{std::string_view("remove"), Action::kDestroy},
};

struct Draft {
  RuntimeEvent event;
  std::optional<Action> action;
  bool of_container = false;
};

std::optional<std::int32_t> exit_code_of(std::string_view text) {
  std::int32_t code = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), code);
  return error == std::errc() && end == text.data() + text.size() ? std::optional(code) : std::nullopt;
}

void take_text(Draft& draft, const JsonWalker::Path& path, std::string_view text) {
  if (path.size() == 1 && path[0] == "Type") {
    draft.of_container = text == "container";
  } else if (path.size() == 1 && path[0] == "Action") {
    draft.action.reset();
    for (const auto& [word, action] : kActions) {
      if (word == text) {
        draft.action = action;
      }
    }
  } else if (path.size() == 2 && path[0] == "Actor" && path[1] == "ID") {
    draft.event.container_id = is_container_id(text) ? text : std::string_view();
  } else if (path.size() == 3 && path[0] == "Actor" && path[1] == "Attributes") {
    if (path[2] == "name") {
      draft.event.name = cut_utf8(text, kMaxNameBytes);
    } else if (path[2] == "exitCode" || path[2] == "containerExitCode") {
      draft.event.exit_code = exit_code_of(text);
    }
  }
}

void take_number(Draft& draft, const JsonWalker::Path& path, std::int64_t number) {
  if (path.size() == 1 && path[0] == "timeNano" && number > 0) {
    draft.event.unix_ns = number;
  }
}

}  // namespace

Result<std::optional<RuntimeEvent>> read_runtime_event(std::string_view line) {
  Draft draft;
  JsonWalker walker;
  walker.on_value = [&](const JsonWalker::Path& path, const JsonWalker::Value& value) {
    if (value.is_text()) {
      take_text(draft, path, value.text);
    } else if (value.is_number()) {
      take_number(draft, path, value.number);
    }
  };
  if (!walker.walk(line)) {
    return fail("read an event", {}, EPROTO, walker.why());
  }
  if (!draft.of_container || !draft.action) {
    return std::nullopt;
  }
  if (draft.event.container_id.empty()) {
    return fail("read an event", {}, EPROTO, "a container's event without its id");
  }
  draft.event.action = *draft.action;
  if (draft.event.action != Action::kDie) {
    draft.event.exit_code.reset();
  }
  return std::move(draft.event);
}

const char* to_string(RuntimeEvent::Action action) {
  switch (action) {
    case Action::kCreate:
      return "create";
    case Action::kStart:
      return "start";
    case Action::kDie:
      return "die";
    case Action::kOom:
      return "oom";
    case Action::kRestart:
      return "restart";
    case Action::kRename:
      return "rename";
    case Action::kDestroy:
      return "destroy";
  }
  return "unknown";
}

}  // namespace memcrest
