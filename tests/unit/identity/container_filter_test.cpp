// SPDX-License-Identifier: Apache-2.0
#include "identity/container_filter.h"

#include <gtest/gtest.h>

#include <string>

namespace memcrest {
namespace {

using namespace std::string_literals;

const std::string kId = "b5d635627bb8aa11b5d635627bb8aa11b5d635627bb8aa11b5d635627bb8aa11";

Container web() {
  return {.runtime = Runtime::kDocker,
          .id = kId,
          .name = "web",
          .image = "registry.example:5000/shop/web:1.2",
          .labels = {{"tier", "front"}, {"empty", ""}}};
}

Container in_pod() {
  return {.runtime = Runtime::kContainerd,
          .id = kId,
          .name = "app",
          .image = "docker.io/library/nginx:1.25@sha256:00",
          .labels = {{"io.kubernetes.container.name", "app"}},
          .pod = Pod{.uid = "6f1c3c1e-52f0-4c4e-9f0b-1d2f3a4b5c6d",
                     .name = "shop-7d9f",
                     .name_space = "prod",
                     .labels = {{"app", "shop"}}}};
}

Container unnamed() { return {.runtime = Runtime::kDocker, .id = kId, .unknown_reason = "nobody answers"}; }

Container unit() { return {.runtime = Runtime::kSystemd, .name = "cron.service", .unit = "cron.service"}; }

bool container_matches(const std::string& wanted, const Container& container) {
  return matches({.containers = {wanted}}, container, "/");
}

TEST(ContainerFilter, WithoutAnyEverythingMatches) {
  for (const Container& container : {web(), in_pod(), unnamed(), unit(), Container{}}) {
    EXPECT_TRUE(matches({}, container, "/a"));
    EXPECT_TRUE(matches({}, container, ""));
  }
}

TEST(ContainerFilter, ANameInFullOrByPattern) {
  EXPECT_TRUE(container_matches("web", web()));
  EXPECT_TRUE(container_matches("w*", web()));
  EXPECT_TRUE(container_matches("w?b", web()));
  EXPECT_TRUE(container_matches("[vw]eb", web()));
  EXPECT_FALSE(container_matches("we", web()));
  EXPECT_FALSE(container_matches("eb", web()));
  EXPECT_FALSE(container_matches("web-1", web()));
  EXPECT_FALSE(container_matches("WEB", web()));
  EXPECT_TRUE(container_matches("cron.*", unit()));
}

TEST(ContainerFilter, AnIdByItsStart) {
  EXPECT_TRUE(container_matches(kId, web()));
  EXPECT_TRUE(container_matches("b5d635627bb8", web()));
  EXPECT_TRUE(container_matches("b", web())) << "as docker does";
  EXPECT_FALSE(container_matches("5d6", web()));
  EXPECT_FALSE(container_matches(kId + "0", web()));
  EXPECT_FALSE(container_matches("b*1", web())) << "a pattern is for names";
  EXPECT_FALSE(container_matches("", web()));
}

TEST(ContainerFilter, ATextEqualsItselfWhateverItHolds) {
  for (const char* name : {"a[b", "a\\x2db", "*", "[", "a\\", "[!]"}) {
    Container container = web();
    container.name = name;
    EXPECT_TRUE(container_matches(name, container)) << name;
  }
}

TEST(ContainerFilter, ANameDoesNotPassForItsBeginning) {
  Container container = web();
  container.name = "web\0evil"s;
  EXPECT_FALSE(container_matches("web", container));
  EXPECT_FALSE(container_matches("w*", container));
  EXPECT_TRUE(container_matches("web\0evil"s, container));
}

TEST(ContainerFilter, WhatNobodyCouldNameIsShown) {
  EXPECT_TRUE(matches({.containers = {"other"}}, unnamed(), "/"));
  EXPECT_TRUE(matches({.pods = {"p"}}, unnamed(), "/"));
  EXPECT_TRUE(matches({.namespaces = {"n"}}, unnamed(), "/"));
  EXPECT_TRUE(matches({.labels = {{"k", "v"}}}, unnamed(), "/"));
  EXPECT_TRUE(matches({.images = {"i"}}, unnamed(), "/"));
  EXPECT_TRUE(matches({.cgroups = {"/a"}}, unnamed(), "")) << "its path is not known";
  EXPECT_TRUE(matches({.containers_only = true}, unnamed(), "/"));
}

TEST(ContainerFilter, WhatIsKnownOfAnUnnamedOneStillCounts) {
  EXPECT_FALSE(matches({.cgroups = {"/a"}}, unnamed(), "/b"));
  EXPECT_FALSE(matches({.runtimes = {Runtime::kPodman}}, unnamed(), "/"));
  Container named_pod = unnamed();
  named_pod.pod = in_pod().pod;
  EXPECT_FALSE(matches({.namespaces = {"other"}}, named_pod, "/"));
  EXPECT_FALSE(matches({.pods = {"other"}}, named_pod, "/"));
}

TEST(ContainerFilter, NoContainerIsNoUnnamedContainer) {
  for (const ContainerFilter& filter : {ContainerFilter{.containers = {"x"}}, ContainerFilter{.pods = {"x"}},
                                        ContainerFilter{.namespaces = {"x"}}, ContainerFilter{.labels = {{"x", {}}}},
                                        ContainerFilter{.images = {"x"}}, ContainerFilter{.containers_only = true}}) {
    EXPECT_FALSE(matches(filter, Container{.runtime = Runtime::kNone}, "/a"));
    EXPECT_FALSE(matches(filter, unit(), "/a"));
  }
}

TEST(ContainerFilter, PodsByNameNamespaceAndUid) {
  EXPECT_TRUE(matches({.pods = {"shop-7d9f"}}, in_pod(), "/"));
  EXPECT_TRUE(matches({.pods = {"shop-*"}}, in_pod(), "/"));
  EXPECT_TRUE(matches({.pods = {"prod/shop-7d9f"}}, in_pod(), "/"));
  EXPECT_TRUE(matches({.pods = {"p*/shop*"}}, in_pod(), "/"));
  EXPECT_TRUE(matches({.pods = {"6f1c3c1e"}}, in_pod(), "/"));
  EXPECT_FALSE(matches({.pods = {"test/shop-7d9f"}}, in_pod(), "/"));
  EXPECT_FALSE(matches({.pods = {"shop"}}, in_pod(), "/"));
  EXPECT_FALSE(matches({.pods = {"*"}}, web(), "/")) << "in no pod";
}

TEST(ContainerFilter, Namespaces) {
  EXPECT_TRUE(matches({.namespaces = {"prod"}}, in_pod(), "/"));
  EXPECT_TRUE(matches({.namespaces = {"test", "pr*"}}, in_pod(), "/"));
  EXPECT_FALSE(matches({.namespaces = {"pro"}}, in_pod(), "/"));
  EXPECT_FALSE(matches({.namespaces = {"*"}}, web(), "/"));
}

TEST(ContainerFilter, PodAndNamespaceFromDockershimsLabels) {
  Container container = web();
  container.labels = {{"io.kubernetes.pod.name", "shop-1"}, {"io.kubernetes.pod.namespace", "prod"}};
  EXPECT_EQ(pod_name(container), "shop-1");
  EXPECT_EQ(pod_namespace(container), "prod");
  EXPECT_TRUE(matches({.pods = {"prod/shop-1"}, .namespaces = {"prod"}}, container, "/"));
  EXPECT_EQ(pod_name(web()), "");
}

TEST(ContainerFilter, LabelsOfTheContainerAndOfItsPod) {
  EXPECT_TRUE(matches({.labels = {{"tier", "front"}}}, web(), "/"));
  EXPECT_TRUE(matches({.labels = {{"tier", std::nullopt}}}, web(), "/"));
  EXPECT_TRUE(matches({.labels = {{"tier", "fr*"}}}, web(), "/"));
  EXPECT_TRUE(matches({.labels = {{"empty", ""}}}, web(), "/"));
  EXPECT_FALSE(matches({.labels = {{"tier", ""}}}, web(), "/"));
  EXPECT_FALSE(matches({.labels = {{"ti*", "front"}}}, web(), "/")) << "keys are no patterns";
  EXPECT_FALSE(matches({.labels = {{"other", std::nullopt}}}, web(), "/"));
  EXPECT_TRUE(matches({.labels = {{"app", "shop"}}}, in_pod(), "/"));
  EXPECT_TRUE(matches({.labels = {{"io.kubernetes.container.name", "app"}}}, in_pod(), "/"));
  EXPECT_FALSE(matches({.labels = {{"app", "other"}}}, in_pod(), "/"));
}

TEST(ContainerFilter, APodOfWhichTheLabelsAreNotKnownIsShown) {
  Container container = in_pod();
  container.pod->labels.clear();
  EXPECT_TRUE(matches({.labels = {{"app", "other"}}}, container, "/"));
  container.pod->name_space.clear();  // Podman's: its labels are those of its containers
  EXPECT_FALSE(matches({.labels = {{"app", "other"}}}, container, "/"));
}

TEST(ContainerFilter, Images) {
  const std::string image = "registry.example:5000/shop/web:1.2";
  for (const char* pattern : {"registry.example:5000/shop/web:1.2", "registry.example:5000/shop/web", "shop/web:1.2",
                              "shop/web", "web:1.2", "web", "web:1.*", "w?b", "*/web:1.2", "registry*"}) {
    EXPECT_TRUE(matches_image(pattern, image)) << pattern;
  }
  for (const char* pattern : {"web:1", "eb", "web:", "shop", "registry.example", "hop/web", ""}) {
    EXPECT_FALSE(matches_image(pattern, image)) << pattern;
  }
  for (const char* pattern : {"nginx", "nginx:1.25", "docker.io/library/nginx", "nginx:1.25@sha256:00"}) {
    EXPECT_TRUE(matches({.images = {pattern}}, in_pod(), "/")) << pattern;
  }
  EXPECT_TRUE(matches_image("localhost:5000/a", "localhost:5000/a"));
  EXPECT_FALSE(matches_image("localhost", "localhost:5000/a")) << "that is no tag";
}

TEST(ContainerFilter, AnImageThatIsNotKnownIsShown) {
  Container container = web();
  container.image.clear();
  EXPECT_TRUE(matches({.images = {"nginx"}}, container, "/"));
}

TEST(ContainerFilter, ACgroupAndAllBelowIt) {
  for (const char* pattern :
       {"/", "/a", "/a/", "//a", "/a/b", "/a/b/c", "/*", "/a/*", "/a/b/*", "/a/**", "/**", "/?/b", "/a/b/c/**"}) {
    EXPECT_TRUE(matches_cgroup(pattern, "/a/b/c")) << pattern;
  }
  for (const char* pattern : {"/b", "/a/b/c/d", "/a/c", "/aa", "/a/b/c/*", "/a/**/x", "/**/c/d"}) {
    EXPECT_FALSE(matches_cgroup(pattern, "/a/b/c")) << pattern;
  }
  EXPECT_FALSE(matches_cgroup("/a", "/ab")) << "by component";
  EXPECT_FALSE(matches_cgroup("/a*", "/b/a")) << "* stays within one";
  EXPECT_FALSE(matches_cgroup("/a", "/"));
  EXPECT_TRUE(matches_cgroup("/", "/"));
  EXPECT_TRUE(matches_cgroup("/system.slice/dev\\x2dsda.mount", "/system.slice/dev\\x2dsda.mount"));
}

TEST(ContainerFilter, Runtimes) {
  EXPECT_TRUE(matches({.runtimes = {Runtime::kDocker}}, web(), "/"));
  EXPECT_TRUE(matches({.runtimes = {Runtime::kPodman, Runtime::kDocker}}, web(), "/"));
  EXPECT_FALSE(matches({.runtimes = {Runtime::kPodman}}, web(), "/"));
  EXPECT_TRUE(matches({.runtimes = {Runtime::kSystemd}}, unit(), "/"));
  EXPECT_TRUE(matches({.runtimes = {Runtime::kNone}}, Container{.runtime = Runtime::kNone}, "/"));
  Container whose{.runtime = Runtime::kUnknown, .id = kId};
  EXPECT_TRUE(matches({.runtimes = {Runtime::kPodman}}, whose, "/")) << "it may be Podman's";
  EXPECT_FALSE(matches({.runtimes = {Runtime::kSystemd}}, whose, "/")) << "it is a container";
  EXPECT_TRUE(matches({.runtimes = {Runtime::kUnknown}}, whose, "/"));
}

TEST(ContainerFilter, OneKindIsOrSeveralAreAnd) {
  EXPECT_TRUE(matches({.containers = {"db", "web"}}, web(), "/"));
  EXPECT_TRUE(matches({.containers = {"web"}, .labels = {{"tier", "front"}}}, web(), "/docker/x"));
  EXPECT_FALSE(matches({.containers = {"web"}, .labels = {{"tier", "back"}}}, web(), "/docker/x"));
  EXPECT_TRUE(matches({.labels = {{"tier", "back"}, {"tier", "front"}}}, web(), "/docker/x"));
  EXPECT_FALSE(matches({.containers = {"web"}, .cgroups = {"/kubepods"}}, web(), "/docker/x"));
}

TEST(ContainerFilter, ReadsLabels) {
  auto label = parse_label_filter("app=shop");
  ASSERT_TRUE(label);
  EXPECT_EQ(label->key, "app");
  EXPECT_EQ(label->value, "shop");
  label = parse_label_filter("app");
  ASSERT_TRUE(label);
  EXPECT_EQ(label->value, std::nullopt);
  label = parse_label_filter("app=");
  ASSERT_TRUE(label);
  EXPECT_EQ(label->value, "");
  label = parse_label_filter("a=b=c");
  ASSERT_TRUE(label);
  EXPECT_EQ(label->value, "b=c");
  EXPECT_FALSE(parse_label_filter("=x"));
  EXPECT_FALSE(parse_label_filter(""));
}

TEST(ContainerFilter, ReadsRuntimes) {
  EXPECT_EQ(parse_runtime("docker").value_or(Runtime::kUnknown), Runtime::kDocker);
  EXPECT_EQ(parse_runtime("cri-o").value_or(Runtime::kUnknown), Runtime::kCrio);
  EXPECT_EQ(parse_runtime("crio").value_or(Runtime::kUnknown), Runtime::kCrio);
  EXPECT_EQ(parse_runtime("none").value_or(Runtime::kUnknown), Runtime::kNone);
  const auto wrong = parse_runtime("rkt");
  ASSERT_FALSE(wrong);
  EXPECT_NE(wrong.error().detail.find("podman"), std::string::npos) << "says which there are";
  EXPECT_FALSE(parse_runtime("Docker"));
  EXPECT_FALSE(parse_runtime(""));
}

TEST(ContainerFilter, ReadsCgroups) {
  EXPECT_TRUE(parse_cgroup_filter("/docker"));
  EXPECT_TRUE(parse_cgroup_filter("/"));
  EXPECT_TRUE(parse_cgroup_filter("/a/..b"));
  EXPECT_FALSE(parse_cgroup_filter("docker"));
  EXPECT_FALSE(parse_cgroup_filter("/a/../b"));
  EXPECT_FALSE(parse_cgroup_filter(""));
}

}  // namespace
}  // namespace memcrest
