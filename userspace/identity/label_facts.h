// SPDX-License-Identifier: Apache-2.0
// What orchestrators wrote into a container's labels: Docker Compose, Amazon ECS, Kubernetes on top of Docker. Pure. A
// label is only text that whoever started the container chose; what does not have its maker's form is not told.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "memcrest/container.h"

namespace memcrest {

using Labels = std::map<std::string, std::string>;

// com.docker.compose.*; project and service are always there.
struct ComposeService {
  std::string project;
  std::string service;
  std::optional<std::uint32_t> number;  // of the container within the service, from 1
};

// com.amazonaws.ecs.*; cluster and task_arn are always there.
struct EcsTask {
  std::string cluster;
  std::string task_arn;
  std::string container_name;             // in the task definition; Docker's own name is made of it and more
  std::string family;                     // of the task definition
  std::optional<std::uint32_t> revision;  // of the task definition, from 1
};

// io.kubernetes.* as dockershim and cri-dockerd write them: pod name, namespace and uid are always there.
struct DockerPod {
  Pod pod;                     // with sandbox and, where it is written down, attempt
  std::string container_name;  // in the pod's specification; empty for the sandbox
};

[[nodiscard]] std::optional<ComposeService> compose_of(const Labels& labels);
[[nodiscard]] std::optional<EcsTask> ecs_of(const Labels& labels);
[[nodiscard]] std::optional<DockerPod> kubernetes_of(const Labels& labels);

// A container that Docker runs for Kubernetes is named k8s_<container>_<pod>_<namespace>_<uid>_<attempt>. Where name
// and labels agree, sets the pod and the name that the pod's specification gives; a mere label changes nothing.
void apply_kubernetes_labels(Container& container);

}  // namespace memcrest
