// SPDX-License-Identifier: Apache-2.0
#include "identity/kubernetes_json.h"

#include <algorithm>
#include <array>
#include <utility>

#include "identity/kubernetes_pod_reader.h"

namespace memcrest {
namespace {

using Path = JsonHandler::Path;
using Value = JsonHandler::Value;

bool is_text(const Value& value) { return value.kind == Value::Kind::kText; }

class ListHandler final : public JsonHandler {
 public:
  explicit ListHandler(const std::function<void(KubernetesPod)>& on_pod) : on_pod_(on_pod) {}

  void value(Path path, const Value& value) override {
    if (path.size() > 2 && path[0] == "items") {
      pod_.value(path.subspan(2), value);
    } else if (path.size() == 1 && path[0] == "kind" && is_text(value)) {
      kind_ = value.text;
    } else if (path.size() == 2 && path[0] == "metadata" && is_text(value)) {
      if (path[1] == "resourceVersion") {
        list_.resource_version = value.text;
      } else if (path[1] == "continue") {
        list_.continue_token = value.text;
      }
    }
  }
  void close(Path path) override {
    if (path.empty() || path[0] != "items") {
      return;
    }
    if (path.size() > 2) {
      pod_.close(path.subspan(2));
    } else if (path.size() == 2) {
      if (auto pod = pod_.take()) {
        on_pod_(std::move(*pod));
      }
    }
  }

  Result<PodList> finish() {
    if (kind_ != "PodList") {
      return fail("read the list of pods", {}, EPROTO, "it is not a list of pods");
    }
    // Both go into the next request; the API keeps them far shorter.
    constexpr std::size_t kLongest = kMaxJsonStringBytes / 2;
    if (list_.resource_version.empty() || list_.resource_version.size() > kMaxKubernetesNameBytes ||
        list_.continue_token.size() > kLongest) {
      return fail("read the list of pods", {}, EPROTO, "its resourceVersion or its continue cannot be used");
    }
    return std::move(list_);
  }

 private:
  const std::function<void(KubernetesPod)>& on_pod_;
  std::string kind_;
  PodList list_;
  KubernetesPodReader pod_;
};

PodEvent::Type type_of(std::string_view text) {
  struct Named {
    std::string_view text;
    PodEvent::Type type;
  };
  constexpr std::array kTypes = {
      Named{"ADDED", PodEvent::Type::kAdded},     Named{"MODIFIED", PodEvent::Type::kModified},
      Named{"DELETED", PodEvent::Type::kDeleted}, Named{"BOOKMARK", PodEvent::Type::kBookmark},
      Named{"ERROR", PodEvent::Type::kError},
  };
  const auto* const named = std::ranges::find(kTypes, text, &Named::text);
  return named == kTypes.end() ? PodEvent::Type::kOther : named->type;
}

class EventHandler final : public JsonHandler {
 public:
  void value(Path path, const Value& value) override {
    if (path.size() == 1 && path[0] == "type" && is_text(value)) {
      event_.type = type_of(value.text);
    }
    if (path.size() < 2 || path[0] != "object") {
      return;
    }
    if (path.size() == 2 && path[1] == "kind" && is_text(value)) {
      kind_ = value.text;
    } else if (path.size() == 2 && path[1] == "code" && value.kind == Value::Kind::kNumber) {
      event_.code = value.number >= 100 && value.number < 600 ? static_cast<int>(value.number) : 0;
    } else if (path.size() == 2 && path[1] == "message" && is_text(value)) {
      event_.message = cut_text(value.text, kMaxKubernetesTextBytes);
    } else {
      pod_.value(path.subspan(1), value);
    }
  }
  void close(Path path) override {
    if (path.size() > 1 && path[0] == "object") {
      pod_.close(path.subspan(1));
    }
  }

  PodEvent finish() {
    event_.resource_version = pod_.resource_version();
    auto pod = pod_.take();
    const bool changes = event_.type == PodEvent::Type::kAdded || event_.type == PodEvent::Type::kModified ||
                         event_.type == PodEvent::Type::kDeleted;
    if (changes && kind_ == "Pod") {
      event_.pod = std::move(pod);
    }
    return std::move(event_);
  }

 private:
  PodEvent event_;
  std::string kind_;
  KubernetesPodReader pod_;
};

class MessageHandler final : public JsonHandler {
 public:
  void value(Path path, const Value& value) override {
    if (path.size() == 1 && path[0] == "message" && is_text(value)) {
      message_ = cut_text(value.text, kLongest);
    }
  }
  void close(Path /*path*/) override {}
  [[nodiscard]] std::string take() { return std::move(message_); }

 private:
  static constexpr std::size_t kLongest = 512;
  std::string message_;
};

}  // namespace

Result<PodList> read_pod_list(JsonStream& json, const std::function<void(KubernetesPod)>& on_pod) {
  ListHandler handler(on_pod);
  const auto read = json.read(handler);
  return read ? handler.finish() : std::unexpected(read.error());
}

Result<PodEvent> read_pod_event(JsonStream& json) {
  EventHandler handler;
  const auto read = json.read(handler);
  if (!read) {
    return std::unexpected(read.error());
  }
  return handler.finish();
}

std::string read_status_message(std::string_view json) {
  JsonStream stream([&] { return std::exchange(json, {}); }, JsonStream::End::kOfStream, json.size());
  MessageHandler handler;
  return stream.read(handler) ? handler.take() : std::string();
}

Owner owner_of(std::string kind, std::string name, const std::map<std::string, std::string>& pod_labels) {
  const auto hash = pod_labels.find("pod-template-hash");
  if (kind == "ReplicaSet" && hash != pod_labels.end() && !hash->second.empty()) {
    const std::string suffix = "-" + hash->second;
    if (name.size() > suffix.size() && name.ends_with(suffix)) {
      name.resize(name.size() - suffix.size());
      kind = "Deployment";
    }
  }
  return {.kind = std::move(kind), .name = std::move(name)};
}

}  // namespace memcrest
