// SPDX-License-Identifier: Apache-2.0
#include "identity/docker_json.h"

#include <algorithm>
#include <array>
#include <utility>

#include "identity/json_walker.h"
#include "util/units.h"

namespace memcrest {
namespace {

constexpr std::size_t kMaxNameBytes = 4096;

using Path = JsonWalker::Path;
using Value = JsonWalker::Value;

struct Draft {
  Container facts;
  Pod pod;
  RuntimeState state;
  std::string id;
  std::size_t label_bytes = 0;

  void add_label(const std::string& key, std::string_view value) {
    std::string kept = cut_utf8(value, kMaxLabelBytes);
    const std::size_t bytes = key.size() + kept.size();
    if (key.size() <= kMaxLabelBytes && facts.labels.size() < kMaxLabels && label_bytes + bytes <= kMaxAllLabelBytes) {
      label_bytes += bytes;
      facts.labels.insert_or_assign(key, std::move(kept));
    }
  }
  // A container has several names when others link to it ("/other/alias"); its own has one slash, in front, or with
  // Podman none.
  void add_name(std::string_view name) {
    if (name.starts_with('/')) {
      name.remove_prefix(1);
    }
    if (facts.name.empty() && name.find('/') == std::string_view::npos) {
      facts.name = cut_utf8(name, kMaxNameBytes);
    }
  }
  void set_name(std::string& field, std::string_view name) { field = cut_utf8(name, kMaxNameBytes); }

  Container take() {
    if (!pod.uid.empty()) {
      facts.pod = std::move(pod);
    }
    return std::move(facts);
  }
};

bool is(const Path& path, std::string_view first, std::string_view second) {
  return path.size() == 2 && path[0] == first && path[1] == second;
}

bool is(const Path& path, std::string_view only) { return path.size() == 1 && path[0] == only; }

void take_inspect_text(Draft& draft, const Path& path, std::string_view text) {
  if (is(path, "Id")) {
    draft.id = text;
  } else if (is(path, "Name")) {
    draft.add_name(text);
  } else if (is(path, "Pod")) {
    draft.set_name(draft.pod.uid, text);
  } else if (is(path, "Config", "Image")) {
    draft.set_name(draft.facts.image, text);
  } else if (is(path, "State", "Status")) {
    draft.set_name(draft.state.status, text);
  } else if (is(path, "State", "Error")) {
    draft.set_name(draft.state.error, text);
  } else if (is(path, "State", "FinishedAt")) {
    draft.state.finished_unix_ns = parse_rfc3339(text);
  } else if (path.size() == 3 && path[0] == "Config" && path[1] == "Labels") {
    draft.add_label(path[2], text);
  }
}

void take_inspect_number(Draft& draft, const Path& path, std::int64_t number) {
  constexpr std::int64_t kMaxPid = 1 << 22;  // PID_MAX_LIMIT
  if (is(path, "State", "Pid") && number > 0 && number <= kMaxPid) {
    draft.facts.init_pid = static_cast<std::uint32_t>(number);
  } else if (is(path, "State", "ExitCode") && std::in_range<std::int32_t>(number)) {
    draft.state.exit_code = static_cast<std::int32_t>(number);
  } else if (is(path, "RestartCount") && std::in_range<std::uint32_t>(number)) {
    draft.state.restart_count = static_cast<std::uint32_t>(number);
  } else if (is(path, "HostConfig", "Memory") && number > 0) {
    draft.facts.memory_limit_bytes = static_cast<std::uint64_t>(number);
  } else if (is(path, "HostConfig", "MemorySwap") && number != 0) {
    draft.facts.swap_limit_bytes = number;
  }
}

void take_inspect_truth(Draft& draft, const Path& path, bool truth) {
  if (is(path, "State", "OOMKilled")) {
    draft.state.oom_killed = truth;
  } else if (is(path, "IsInfra")) {
    draft.pod.sandbox = truth;
  }
}

// Until a container has ended, an exit code of 0 and "no OOM" are only what nobody has set yet. ("removing" may follow
// "created".)
RuntimeState settle(RuntimeState state) {
  constexpr std::array<std::string_view, 4> kEnded = {"exited", "restarting", "dead", "stopped"};
  if (std::ranges::find(kEnded, state.status) == kEnded.end()) {
    if (state.exit_code == 0) {
      state.exit_code.reset();
    }
    if (state.oom_killed == false) {
      state.oom_killed.reset();
    }
  }
  return state;
}

// `path` begins with the "" of the list itself.
void take_list_text(Draft& draft, const Path& path, std::string_view text) {
  if (is(path, "", "Id")) {
    draft.id = text;
  } else if (is(path, "", "Image")) {
    draft.set_name(draft.facts.image, text);
  } else if (is(path, "", "Pod")) {
    draft.set_name(draft.pod.uid, text);
  } else if (is(path, "", "State")) {
    draft.set_name(draft.state.status, text);
  } else if (is(path, "", "PodName")) {
    draft.set_name(draft.pod.name, text);
  } else if (path.size() == 3 && path[1] == "Names") {
    draft.add_name(text);
  } else if (path.size() == 3 && path[1] == "Labels") {
    draft.add_label(path[2], text);
  }
}

std::unexpected<Error> bad_answer(std::string why) { return fail("read the answer", {}, EPROTO, std::move(why)); }

}  // namespace

Result<Container> read_docker_inspect(std::string_view json, std::string_view id) {
  Draft draft;
  JsonWalker walker;
  walker.on_value = [&](const Path& path, const Value& value) {
    switch (value.kind) {
      case Value::Kind::kText:
        return take_inspect_text(draft, path, value.text);
      case Value::Kind::kNumber:
        return take_inspect_number(draft, path, value.number);
      case Value::Kind::kTruth:
        return take_inspect_truth(draft, path, value.number != 0);
    }
  };
  if (!walker.walk(json)) {
    return bad_answer(walker.why());
  }
  if (!id.empty() && draft.id != id) {
    return bad_answer("it is not about the container that was asked for");
  }
  if (id.empty()) {
    draft.facts.id = draft.id;
  }
  if (draft.facts.name.empty()) {
    return bad_answer("it has no name");
  }
  if (!draft.state.status.empty()) {
    draft.facts.state = settle(std::move(draft.state));
  }
  return draft.take();
}

Result<std::optional<Container>> read_docker_list(std::string_view json, std::string_view id) {
  std::optional<Container> found;
  Draft draft;
  JsonWalker walker;
  walker.on_value = [&](const Path& path, const Value& value) {
    if (value.is_text()) {
      take_list_text(draft, path, value.text);
    } else if (value.is_truth() && is(path, "", "IsInfra")) {
      draft.pod.sandbox = value.number != 0;
    }
  };
  walker.on_close = [&](std::size_t depth) {
    if (depth == 1) {  // one container of the list ends
      if (draft.id == id) {
        found = draft.take();
        if (!draft.state.status.empty()) {
          found->state = RuntimeState{.status = std::move(draft.state.status)};
        }
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
  JsonWalker walker;
  walker.on_value = [&](const Path& path, const Value& value) {
    if (value.is_text() && is(path, "message")) {
      message = cut_utf8(value.text, 512);
    }
  };
  return walker.walk(json) ? message : std::string();
}

}  // namespace memcrest
