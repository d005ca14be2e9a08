// SPDX-License-Identifier: Apache-2.0
#include "identity/label_facts.h"

#include <gtest/gtest.h>

namespace memcrest {
namespace {

TEST(ComposeLabels, ProjectServiceAndNumber) {
  const auto compose = compose_of({{"com.docker.compose.project", "shop"},
                                   {"com.docker.compose.service", "web"},
                                   {"com.docker.compose.container-number", "2"},
                                   {"com.docker.compose.oneoff", "False"}});
  ASSERT_TRUE(compose);
  EXPECT_EQ(compose->project, "shop");
  EXPECT_EQ(compose->service, "web");
  EXPECT_EQ(compose->number, 2U);
}

TEST(ComposeLabels, NeedTheirForm) {
  EXPECT_FALSE(compose_of({}));
  EXPECT_FALSE(compose_of({{"com.docker.compose.project", "shop"}}));
  EXPECT_FALSE(compose_of({{"com.docker.compose.project", ""}, {"com.docker.compose.service", "web"}}));
  for (const char* number : {"", "0", "-1", "x", "2x", " 2", "4294967296"}) {
    const auto compose = compose_of({{"com.docker.compose.project", "shop"},
                                     {"com.docker.compose.service", "web"},
                                     {"com.docker.compose.container-number", number}});
    ASSERT_TRUE(compose);
    EXPECT_EQ(compose->number, std::nullopt) << number;
  }
}

TEST(EcsLabels, TaskAndContainer) {
  const std::string arn = "arn:aws:ecs:us-west-2:123456789012:task/default/2d7c1d5a8bf14bcd8d4a5c5e2f2a1b0c";
  const auto task = ecs_of({{"com.amazonaws.ecs.cluster", "default"},
                            {"com.amazonaws.ecs.container-name", "nginx"},
                            {"com.amazonaws.ecs.task-arn", arn},
                            {"com.amazonaws.ecs.task-definition-family", "web"},
                            {"com.amazonaws.ecs.task-definition-version", "7"}});
  ASSERT_TRUE(task);
  EXPECT_EQ(task->cluster, "default");
  EXPECT_EQ(task->task_arn, arn);
  EXPECT_EQ(task->container_name, "nginx");
  EXPECT_EQ(task->family, "web");
  EXPECT_EQ(task->revision, 7U);
  EXPECT_FALSE(ecs_of({{"com.amazonaws.ecs.cluster", "default"}}));
  EXPECT_FALSE(ecs_of({{"com.amazonaws.ecs.cluster", "default"}, {"com.amazonaws.ecs.task-arn", "a task"}}));
}

Container docker_container(const std::string& name, const std::string& in_pod, const std::string& type) {
  Container container;
  container.name = name;
  container.labels = {{"io.kubernetes.pod.name", "web-5d9c7b-x2x4z"},
                      {"io.kubernetes.pod.namespace", "prod"},
                      {"io.kubernetes.pod.uid", "6c9e1d6e-1111-2222-3333-444455556666"},
                      {"io.kubernetes.container.name", in_pod},
                      {"io.kubernetes.docker.type", type},
                      {"annotation.io.kubernetes.container.restartCount", "4"}};
  return container;
}

const std::string kRest = "_web-5d9c7b-x2x4z_prod_6c9e1d6e-1111-2222-3333-444455556666_4";

TEST(KubernetesLabels, AContainerOfAPod) {
  Container container = docker_container("k8s_app" + kRest, "app", "container");
  apply_kubernetes_labels(container);
  ASSERT_TRUE(container.pod);
  EXPECT_EQ(container.name, "app");
  EXPECT_EQ(container.pod->name, "web-5d9c7b-x2x4z");
  EXPECT_EQ(container.pod->name_space, "prod");
  EXPECT_EQ(container.pod->uid, "6c9e1d6e-1111-2222-3333-444455556666");
  EXPECT_EQ(container.pod->attempt, 4U);
  EXPECT_FALSE(container.pod->sandbox);
}

TEST(KubernetesLabels, TheSandboxIsToldApart) {
  Container container = docker_container("k8s_POD" + kRest, "POD", "podsandbox");
  apply_kubernetes_labels(container);
  ASSERT_TRUE(container.pod);
  EXPECT_TRUE(container.pod->sandbox);
  EXPECT_EQ(container.pod->attempt, std::nullopt) << "of the sandbox, not of a container";
  EXPECT_EQ(container.name, "k8s_POD" + kRest);
}

TEST(KubernetesLabels, LabelsAloneProveNothing) {
  for (const std::string& name : {std::string("web"), "k8s_other" + kRest, std::string("k8s_app_other_prod_1_0")}) {
    Container container = docker_container(name, "app", "container");
    apply_kubernetes_labels(container);
    EXPECT_FALSE(container.pod) << name;
    EXPECT_EQ(container.name, name);
  }
  for (const char* missing : {"io.kubernetes.pod.name", "io.kubernetes.pod.namespace", "io.kubernetes.pod.uid",
                              "io.kubernetes.container.name"}) {
    Container container = docker_container("k8s_app" + kRest, "app", "container");
    container.labels.erase(missing);
    apply_kubernetes_labels(container);
    EXPECT_FALSE(container.pod) << missing;
  }
}

}  // namespace
}  // namespace memcrest
