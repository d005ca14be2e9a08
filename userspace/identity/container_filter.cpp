// SPDX-License-Identifier: Apache-2.0
#include "identity/container_filter.h"

#include <fnmatch.h>

#include <algorithm>
#include <array>
#include <map>

namespace memcrest {
namespace {

constexpr std::array kRuntimes = {Runtime::kDocker, Runtime::kContainerd, Runtime::kCrio, Runtime::kPodman,
                                  Runtime::kLxc,    Runtime::kSystemd,    Runtime::kNone, Runtime::kUnknown};

bool matches_pattern(const std::string& pattern, const std::string& text) {
  // fnmatch() ends at a NUL, and a name must not pass for its beginning.
  return pattern == text || (!text.contains('\0') && ::fnmatch(pattern.c_str(), text.c_str(), FNM_NOESCAPE) == 0);
}

bool starts(const std::string& text, const std::string& start) { return !start.empty() && text.starts_with(start); }

// Nobody could tell more than the path does.
bool is_unnamed(const Container& container) { return !container.id.empty() && container.name.empty(); }

bool any(const std::vector<std::string>& patterns, const std::string& text) {
  return std::ranges::any_of(patterns, [&](const std::string& one) { return matches_pattern(one, text); });
}

std::string value_or_empty(const std::map<std::string, std::string>& labels, const char* key) {
  const auto label = labels.find(key);
  return label == labels.end() ? std::string() : label->second;
}

bool container_fits(const std::vector<std::string>& wanted, const Container& container) {
  return is_unnamed(container) || std::ranges::any_of(wanted, [&](const std::string& one) {
           return (!container.name.empty() && matches_pattern(one, container.name)) || starts(container.id, one);
         });
}

bool pod_fits(const std::vector<std::string>& wanted, const Container& container) {
  const std::string name = pod_name(container);
  const std::string full = pod_namespace(container) + "/" + name;
  const std::string uid = container.pod ? container.pod->uid : std::string();
  if (name.empty() && is_unnamed(container)) {
    return true;
  }
  return std::ranges::any_of(wanted, [&](const std::string& one) {
    return (!name.empty() && matches_pattern(one, one.contains('/') ? full : name)) || starts(uid, one);
  });
}

bool namespace_fits(const std::vector<std::string>& wanted, const Container& container) {
  const std::string name = pod_namespace(container);
  return name.empty() ? is_unnamed(container) : any(wanted, name);
}

bool has_label(const std::map<std::string, std::string>& labels, const LabelFilter& wanted) {
  const auto label = labels.find(wanted.key);
  return label != labels.end() && (!wanted.value || matches_pattern(*wanted.value, label->second));
}

bool label_fits(const std::vector<LabelFilter>& wanted, const Container& container) {
  // A pod's labels are known from the Kubernetes API alone, its name without it: a pod without any is one of which they
  // are not known.
  const bool unknown = container.pod && !container.pod->name_space.empty() && container.pod->labels.empty();
  return is_unnamed(container) || unknown || std::ranges::any_of(wanted, [&](const LabelFilter& one) {
           return has_label(container.labels, one) || (container.pod && has_label(container.pod->labels, one));
         });
}

bool image_fits(const std::vector<std::string>& wanted, const Container& container) {
  if (container.image.empty()) {
    return !container.id.empty();
  }
  return std::ranges::any_of(wanted, [&](const std::string& one) { return matches_image(one, container.image); });
}

bool cgroup_fits(const std::vector<std::string>& wanted, std::string_view path) {
  return path.empty() || std::ranges::any_of(wanted, [&](const std::string& one) { return matches_cgroup(one, path); });
}

bool runtime_fits(const std::vector<Runtime>& wanted, const Container& container) {
  const bool unknown = container.runtime == Runtime::kUnknown && !container.id.empty();
  return std::ranges::any_of(wanted, [&](Runtime one) {
    const bool makes_containers = one != Runtime::kSystemd && one != Runtime::kNone;
    return one == container.runtime || (unknown && makes_containers);
  });
}

// Takes the first component off; empty at the end.
std::string_view take_component(std::string_view& path) {
  path.remove_prefix(std::min(path.find_first_not_of('/'), path.size()));
  const std::string_view component = path.substr(0, path.find('/'));
  path.remove_prefix(component.size());
  return component;
}

// Without "@sha256:…" and without the tag: a ':' after the last '/', since one before it is a registry's port.
std::string without_tag(const std::string& image) {
  const std::string name = image.substr(0, image.find('@'));
  const auto slash = name.rfind('/');
  return name.substr(0, name.find(':', slash == std::string::npos ? 0 : slash));
}

std::unexpected<Error> bad(std::string why) { return fail({}, {}, 0, std::move(why)); }

}  // namespace

bool matches(const ContainerFilter& filter, const Container& container, std::string_view cgroup_path) {
  return !(filter.containers_only && container.id.empty()) &&
         (filter.containers.empty() || container_fits(filter.containers, container)) &&
         (filter.pods.empty() || pod_fits(filter.pods, container)) &&
         (filter.namespaces.empty() || namespace_fits(filter.namespaces, container)) &&
         (filter.labels.empty() || label_fits(filter.labels, container)) &&
         (filter.images.empty() || image_fits(filter.images, container)) &&
         (filter.cgroups.empty() || cgroup_fits(filter.cgroups, cgroup_path)) &&
         (filter.runtimes.empty() || runtime_fits(filter.runtimes, container));
}

bool matches_image(const std::string& pattern, const std::string& image) {
  for (const std::string& form : {image, image.substr(0, image.find('@')), without_tag(image)}) {
    for (std::size_t begin = 0;;) {
      if (matches_pattern(pattern, form.substr(begin))) {
        return true;
      }
      const auto slash = form.find('/', begin);
      if (slash == std::string::npos) {
        break;
      }
      begin = slash + 1;
    }
  }
  return false;
}

bool matches_cgroup(std::string_view pattern, std::string_view path) {
  while (true) {
    const std::string_view wanted = take_component(pattern);
    if (wanted.empty() || (wanted == "**" && pattern.find_first_not_of('/') == std::string_view::npos)) {
      return true;
    }
    const std::string_view component = take_component(path);
    if (component.empty() || !matches_pattern(std::string(wanted), std::string(component))) {
      return false;
    }
  }
}

Result<LabelFilter> parse_label_filter(std::string_view text) {
  const std::size_t equals = text.find('=');
  LabelFilter filter{.key = std::string(text.substr(0, equals)), .value = std::nullopt};
  if (filter.key.empty()) {
    return bad("needs a key: KEY or KEY=VALUE");
  }
  if (equals != std::string_view::npos) {
    filter.value = text.substr(equals + 1);
  }
  return filter;
}

Result<Runtime> parse_runtime(std::string_view text) {
  if (text == "crio") {
    return Runtime::kCrio;
  }
  std::string names;
  for (const Runtime runtime : kRuntimes) {
    if (text == to_string(runtime)) {
      return runtime;
    }
    names += (names.empty() ? "" : ", ") + std::string(to_string(runtime));
  }
  return bad("must be one of: " + names);
}

Result<std::string> parse_cgroup_filter(std::string_view text) {
  std::string_view rest = text;
  for (std::string_view component = take_component(rest); !component.empty(); component = take_component(rest)) {
    if (component == "..") {
      return bad("must not hold '..'");
    }
  }
  if (!text.starts_with('/')) {
    return bad("must be a path inside the memory hierarchy that begins with '/', such as /docker or /system.slice");
  }
  return std::string(text);
}

std::string pod_name(const Container& container) {
  return container.pod && !container.pod->name.empty() ? container.pod->name
                                                       : value_or_empty(container.labels, "io.kubernetes.pod.name");
}

std::string pod_namespace(const Container& container) {
  return container.pod && !container.pod->name_space.empty()
             ? container.pod->name_space
             : value_or_empty(container.labels, "io.kubernetes.pod.namespace");
}

}  // namespace memcrest
