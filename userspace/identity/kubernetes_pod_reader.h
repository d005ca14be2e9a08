// SPDX-License-Identifier: Apache-2.0
// Puts one pod together from the values of its JSON, in whatever order they come. Pure; part of kubernetes_json.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "identity/json_stream.h"
#include "identity/kubernetes_json.h"

namespace memcrest {

// Text of at most `limit` bytes, never half of a character.
[[nodiscard]] std::string cut_text(std::string_view text, std::size_t limit);

// Paths are relative to the pod.
class KubernetesPodReader {
 public:
  void value(JsonHandler::Path path, const JsonHandler::Value& value);
  void close(JsonHandler::Path path);

  [[nodiscard]] const std::string& resource_version() const { return resource_version_; }
  // The pod, unless it lacks what every pod has. Ready for the next one afterwards.
  [[nodiscard]] std::optional<KubernetesPod> take();

 private:
  struct Resources {
    std::optional<std::uint64_t> request;
    std::optional<std::uint64_t> limit;
  };
  struct Spec {  // an element of spec.containers and the like
    std::string name;
    std::string image;
    Resources resources;
  };
  struct Ended {  // ContainerStateTerminated
    bool told = false;
    std::string id;
    std::string reason;
    std::optional<std::int32_t> exit_code;
  };
  struct Status {  // an element of status.containerStatuses and the like
    std::string name;
    std::string image;
    std::string id;
    std::string phase;  // "running", "waiting", "terminated"
    std::optional<std::uint32_t> restarts;
    Resources resources;
    Ended ended;  // state.terminated
    Ended last;   // lastState.terminated
  };
  struct Reference {
    std::string kind;
    std::string name;
    bool controller = false;
  };

  void take_metadata(JsonHandler::Path path, const JsonHandler::Value& value);
  void take_reference(JsonHandler::Path path, const JsonHandler::Value& value);
  void take_spec(JsonHandler::Path path, const JsonHandler::Value& value);
  void take_status(JsonHandler::Path path, const JsonHandler::Value& value);
  void take_state(JsonHandler::Path path, const JsonHandler::Value& value);
  static void take_ended(Ended& ended, std::string_view key, const JsonHandler::Value& value);
  static void take_resources(Resources& resources, JsonHandler::Path path, const JsonHandler::Value& value);
  void add_label(const std::string& key, std::string_view value);
  [[nodiscard]] static KubernetesContainer join(const Spec* spec, const Status& status);

  KubernetesPod pod_;
  std::string resource_version_;
  std::size_t label_bytes_ = 0;
  std::optional<Reference> controller_;
  Reference reference_;  // those that are being read
  Spec container_;
  Status container_status_;
  std::vector<Spec> specs_;
  std::vector<Status> statuses_;
};

}  // namespace memcrest
