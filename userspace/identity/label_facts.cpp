// SPDX-License-Identifier: Apache-2.0
#include "identity/label_facts.h"

#include <charconv>
#include <string_view>

namespace memcrest {
namespace {

std::string_view text_of(const Labels& labels, const std::string& key) {
  const auto found = labels.find(key);
  return found == labels.end() ? std::string_view() : std::string_view(found->second);
}

std::optional<std::uint32_t> number_of(std::string_view text) {
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() ? std::optional(number) : std::nullopt;
}

std::optional<std::uint32_t> number_from_one(std::string_view text) {
  const auto number = number_of(text);
  return number && *number > 0 ? number : std::nullopt;
}

}  // namespace

std::optional<ComposeService> compose_of(const Labels& labels) {
  const std::string_view project = text_of(labels, "com.docker.compose.project");
  const std::string_view service = text_of(labels, "com.docker.compose.service");
  if (project.empty() || service.empty()) {
    return std::nullopt;
  }
  return ComposeService{.project = std::string(project),
                        .service = std::string(service),
                        .number = number_from_one(text_of(labels, "com.docker.compose.container-number"))};
}

std::optional<EcsTask> ecs_of(const Labels& labels) {
  const std::string_view cluster = text_of(labels, "com.amazonaws.ecs.cluster");
  const std::string_view task = text_of(labels, "com.amazonaws.ecs.task-arn");
  if (cluster.empty() || !task.starts_with("arn:")) {
    return std::nullopt;
  }
  return EcsTask{.cluster = std::string(cluster),
                 .task_arn = std::string(task),
                 .container_name = std::string(text_of(labels, "com.amazonaws.ecs.container-name")),
                 .family = std::string(text_of(labels, "com.amazonaws.ecs.task-definition-family")),
                 .revision = number_from_one(text_of(labels, "com.amazonaws.ecs.task-definition-version"))};
}

std::optional<DockerPod> kubernetes_of(const Labels& labels) {
  DockerPod found;
  found.pod.name = text_of(labels, "io.kubernetes.pod.name");
  found.pod.name_space = text_of(labels, "io.kubernetes.pod.namespace");
  found.pod.uid = text_of(labels, "io.kubernetes.pod.uid");
  if (found.pod.name.empty() || found.pod.name_space.empty() || found.pod.uid.empty()) {
    return std::nullopt;
  }
  const std::string_view container = text_of(labels, "io.kubernetes.container.name");
  // The name is what versions before this label had.
  found.pod.sandbox = text_of(labels, "io.kubernetes.docker.type") == "podsandbox" || container == "POD";
  if (!found.pod.sandbox) {
    found.container_name = container;
    // Kept by the shims as annotations, and those as labels.
    found.pod.attempt = number_of(text_of(labels, "annotation.io.kubernetes.container.restartCount"));
  }
  return found;
}

void apply_kubernetes_labels(Container& container) {
  auto kubernetes = kubernetes_of(container.labels);
  if (!kubernetes || (!kubernetes->pod.sandbox && kubernetes->container_name.empty())) {
    return;
  }
  const Pod& pod = kubernetes->pod;
  const std::string in_pod = pod.sandbox ? "POD" : kubernetes->container_name;
  const std::string begin = "k8s_" + in_pod + "_" + pod.name + "_" + pod.name_space + "_" + pod.uid + "_";
  if (!container.name.starts_with(begin)) {
    return;
  }
  if (!pod.sandbox) {
    container.name = std::move(kubernetes->container_name);
  }
  container.pod = std::move(kubernetes->pod);
}

}  // namespace memcrest
