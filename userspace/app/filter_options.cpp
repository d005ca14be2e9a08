// SPDX-License-Identifier: Apache-2.0
#include "app/filter_options.h"

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace memcrest {
namespace {

// One option that may be given several times: `read` makes a value of each text, its error names the option.
template <typename Value, typename Read>
void add(CLI::App& verb, const std::string& name, std::vector<Value>& target, const char* type, const std::string& help,
         Read read) {
  verb.add_option_function<std::vector<std::string>>(
          name,
          [&target, name, read](const std::vector<std::string>& texts) {
            for (const std::string& text : texts) {
              auto value = text.empty() ? fail({}, {}, 0, "must not be empty") : read(text);
              if (!value) {
                throw CLI::ValidationError(name, value.error().detail);
              }
              target.push_back(std::move(*value));
            }
          },
          help)
      ->type_name(type)
      ->group("Containers");
}

Result<std::string> as_it_is(const std::string& text) { return text; }

}  // namespace

void add_filter(CLI::App& verb, ContainerFilter& filter) {
  add(verb, "--container", filter.containers, "NAME-OR-ID",
      "Only this container: its name (* and ? as in the shell, here and below) or its id (or the id's start)",
      as_it_is);
  add(verb, "--pod", filter.pods, "NAME", "Only containers of this pod: NAME, NAMESPACE/NAME or its uid", as_it_is);
  add(verb, "--namespace", filter.namespaces, "NAME", "Only pods of this Kubernetes namespace", as_it_is);
  add(verb, "--label", filter.labels, "KEY[=VALUE]", "Only with this label, of the container or of its pod",
      parse_label_filter);
  add(verb, "--image", filter.images, "IMAGE", "Only of this image; registry, path and tag may be left out", as_it_is);
  add(verb, "--cgroup", filter.cgroups, "PATH", "Only this cgroup and those below it", parse_cgroup_filter);
  add(verb, "--runtime", filter.runtimes, "RUNTIME",
      "Only of this one: docker, containerd, cri-o, podman, lxc, systemd, none", parse_runtime);
}

std::string describe(const ContainerFilter& filter) {
  std::string out;
  const auto word = [&](const char* option, const std::string& value) {
    out += (out.empty() ? "" : " ") + std::string(option) + (value.empty() ? "" : " " + value);
  };
  const auto words = [&](const char* option, const std::vector<std::string>& values) {
    for (const std::string& value : values) {
      word(option, value);
    }
  };
  words("--container", filter.containers);
  words("--pod", filter.pods);
  words("--namespace", filter.namespaces);
  for (const LabelFilter& label : filter.labels) {
    word("--label", label.key + (label.value ? "=" + *label.value : ""));
  }
  words("--image", filter.images);
  words("--cgroup", filter.cgroups);
  for (const Runtime runtime : filter.runtimes) {
    word("--runtime", to_string(runtime));
  }
  if (filter.containers_only) {
    word("--containers-only", "");
  }
  return out;
}

void add_recordings(CLI::App& verb, std::string& path, std::vector<std::string>& more) {
  verb.add_option("file", path, "The recording; or a directory that holds one in several files")->required();
  verb.add_option("more", more, "Files that follow it, or that it follows: all are read as one");
}

}  // namespace memcrest
