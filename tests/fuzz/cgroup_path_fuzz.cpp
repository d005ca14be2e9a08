// SPDX-License-Identifier: Apache-2.0
// Any bytes as the path of a cgroup: the whole input, and each of its lines up to a tab (the seeds are a table). Checks
// what the parser promises whatever it reads.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "identity/cgroup_names.h"
#include "identity/cgroup_path.h"

namespace {

using memcrest::CgroupPath;
using memcrest::Container;
using memcrest::Runtime;
using memcrest::cgroup_names::is_containerd_identifier;

void require(bool promise) {
  if (!promise) {
    std::abort();
  }
}

bool is_component(std::string_view text) { return !text.empty() && text.find('/') == std::string_view::npos; }

void check_container(std::string_view path, const CgroupPath& parsed) {
  const std::string& own = parsed.container_path;
  require(own.empty() == parsed.container_id.empty());
  require(path.starts_with(own));
  if (own.empty()) {
    require(parsed.outer_ids.empty() && !parsed.docker_candidate && parsed.name.empty());
    require(parsed.runtime == Runtime::kNone || parsed.runtime == Runtime::kSystemd);
    return;
  }
  require(own.size() == path.size() || path[own.size()] == '/');
  require(is_component(parsed.container_id));
  require(own.substr(own.rfind('/') + 1).find(parsed.container_id) != std::string::npos);
  require(parsed.runtime != Runtime::kNone && parsed.runtime != Runtime::kSystemd);
  require(parsed.runtime != Runtime::kUnknown || !parsed.reason.empty());
  require(!parsed.docker_candidate || memcrest::is_container_id(parsed.container_id));
  if (parsed.runtime == Runtime::kCrio || parsed.runtime == Runtime::kPodman) {
    require(memcrest::is_container_id(parsed.container_id));
  }
}

void check_rest(const CgroupPath& parsed) {
  require(parsed.outer_ids.size() <= 16);
  for (const CgroupPath::Outer& outer : parsed.outer_ids) {
    require(is_component(outer.id) && outer.runtime != Runtime::kNone);
  }
  require(parsed.pod_uid.size() <= 64);
  require(std::ranges::all_of(parsed.pod_uid,
                              [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || c == '-'; }));
  require(parsed.qos.empty() || parsed.qos == "guaranteed" || parsed.qos == "burstable" || parsed.qos == "besteffort");
  require(parsed.unit.empty() || is_component(parsed.unit));
  require(parsed.machine.empty() || is_component(parsed.machine));
  if (parsed.candidate) {
    require(parsed.outer_ids.empty() && parsed.candidate->path.starts_with('/'));
    require(is_containerd_identifier(parsed.candidate->id));
    require(parsed.candidate->name_space.empty() || is_containerd_identifier(parsed.candidate->name_space));
  }
}

// What a container makes inside its own cgroup does not change who it is.
void check_own_path(const CgroupPath& parsed) {
  for (const char* below : {"", "/child"}) {
    const CgroupPath again = memcrest::parse_cgroup_path(parsed.container_path + below);
    require(again.container_id == parsed.container_id && again.container_path == parsed.container_path);
    require(again.runtime == parsed.runtime && again.outer_ids == parsed.outer_ids);
    require(again.pod_uid == parsed.pod_uid && again.qos == parsed.qos);
    require(again.docker_candidate == parsed.docker_candidate);
  }
}

void check(std::string_view path) {
  const CgroupPath parsed = memcrest::parse_cgroup_path(path);
  check_container(path, parsed);
  check_rest(parsed);
  if (!parsed.container_id.empty()) {
    check_own_path(parsed);
  }
  const Container container = memcrest::container_from_path(parsed);
  require(container.id == parsed.container_id && container.runtime == parsed.runtime);
  require(container.outer.size() == parsed.outer_ids.size());
  require(container.pod.has_value() == !parsed.pod_uid.empty());
  require(container.id.empty() || !container.name.empty() || !container.unknown_reason.empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  check(text);
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    check(line.substr(0, line.find('\t')));
  }
  return 0;
}
