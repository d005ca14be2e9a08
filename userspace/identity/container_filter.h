// SPDX-License-Identifier: Apache-2.0
// Which containers a user asked for: the filters that all verbs share. Pure.
//
// Values of one kind are alternatives, kinds add up: "--container a --container b --namespace shop" is (a or b) in
// shop. A container of which nobody could tell what a filter asks for is let through: it may be the one that is meant,
// and is better shown, with its reason, than hidden.
//
// A pattern is that of the shell (fnmatch): * any characters, ? one, [a-z] one of these. A backslash is itself, since
// systemd's names hold them; a text that equals the pattern always matches.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "memcrest/container.h"
#include "util/result.h"

namespace memcrest {

struct LabelFilter {
  std::string key;                   // never empty
  std::optional<std::string> value;  // a pattern; nullopt: any value
};

struct ContainerFilter {
  std::vector<std::string> containers;  // pattern of the name, or what the id starts with
  std::vector<std::string> pods;        // pattern of the name, "namespace/name", or what the uid starts with
  std::vector<std::string> namespaces;  // pattern of the pod's namespace
  std::vector<LabelFilter> labels;      // of the container or its pod
  std::vector<std::string> images;      // pattern, see matches_image()
  std::vector<std::string> cgroups;     // a cgroup and all below it, pattern for each component of the path
  std::vector<Runtime> runtimes;
  bool containers_only = false;  // leave out what is no container
};

// `cgroup_path` may be empty: unknown.
[[nodiscard]] bool matches(const ContainerFilter& filter, const Container& container, std::string_view cgroup_path);

// The whole reference, or its end from any '/' on; with tag and digest, or without: "nginx", "nginx:1.25" and
// "library/nginx" all match "docker.io/library/nginx:1.25@sha256:…".
[[nodiscard]] bool matches_image(const std::string& pattern, const std::string& image);

// "/a/b", "/a/*", "/a/**": the cgroup and all below it. Components match one by one: "/a" does not match "/ab".
[[nodiscard]] bool matches_cgroup(std::string_view pattern, std::string_view path);

// "key=value" or "key". Errors are for a person, without an operation.
[[nodiscard]] Result<LabelFilter> parse_label_filter(std::string_view text);
// The names of to_string(Runtime), and "crio".
[[nodiscard]] Result<Runtime> parse_runtime(std::string_view text);
// A pattern for matches_cgroup(): must begin with '/' and hold no "..".
[[nodiscard]] Result<std::string> parse_cgroup_filter(std::string_view text);

// The pod's name and namespace, from the pod or from the labels that dockershim and cri-dockerd set; empty: unknown.
[[nodiscard]] std::string pod_name(const Container& container);
[[nodiscard]] std::string pod_namespace(const Container& container);

}  // namespace memcrest
