// SPDX-License-Identifier: Apache-2.0
// Any bytes as the Kubernetes API's answers: a list of pods, the lines of a watch, a refusal, a quantity. Checks what
// the readers promise whatever they read, and that the cache stays within its bounds.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "identity/cgroup_path.h"
#include "identity/kubernetes_cache.h"
#include "identity/kubernetes_json.h"
#include "identity/kubernetes_quantity.h"

namespace {

using namespace memcrest;

void require(bool promise) {
  if (!promise) {
    std::abort();
  }
}

bool is_name(const std::string& text) { return !text.empty() && text.size() <= kMaxKubernetesNameBytes; }

void check(const KubernetesPod& pod) {
  require(is_name(pod.pod.uid) && is_name(pod.pod.name) && is_name(pod.pod.name_space));
  require(pod.pod.labels.size() <= kMaxPodLabels);
  require(!pod.pod.owner || (is_name(pod.pod.owner->kind) && is_name(pod.pod.owner->name)));
  require(pod.config_hash.empty() || pod.config_hash.size() == 32);
  require(pod.containers.size() <= kMaxPodContainers);
  for (const KubernetesContainer& container : pod.containers) {
    require(is_name(container.name));
    require(container.id.empty() || is_container_id(container.id));
    require(container.previous_id.empty() || is_container_id(container.previous_id));
    require(container.image.size() <= kMaxKubernetesTextBytes);
    require(container.memory_limit_bytes != 0U);
  }
}

// The bytes in pieces, of a size that depends on them.
JsonStream::Pieces pieces(std::string_view text) {
  return [text, size = text.size() % 61 + 1]() mutable {
    const std::string_view piece = text.substr(0, size);
    text.remove_prefix(piece.size());
    return piece;
  };
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  constexpr std::size_t kBytes = 50'000;
  KubernetesCache cache({.pods = 4, .bytes = kBytes, .past_containers = 2});
  KubernetesCache::TimePoint now{};
  const auto take = [&](KubernetesPod pod) {
    check(pod);
    now += std::chrono::minutes(3);
    const std::string uid = pod.pod.uid;
    const std::string id = pod.containers.empty() ? "" : pod.containers.back().id;
    cache.put(std::move(pod), now);
    const auto found = cache.find(id, uid);
    require(!found || (found->pod && found->pod->uid == uid));
    require(cache.state().pods <= 4 && cache.state().bytes <= kBytes);
  };

  JsonStream list(pieces(text), JsonStream::End::kOfStream, 1U << 20U);
  cache.begin_list();
  const auto page = read_pod_list(list, take);
  if (page) {
    require(!page->resource_version.empty());
    cache.end_list(now);
  }

  JsonStream lines(pieces(text), JsonStream::End::kOfLine, 1U << 20U);
  while (lines.more()) {
    auto event = read_pod_event(lines);
    if (!event) {
      break;
    }
    require(event->code == 0 || (event->code >= 100 && event->code < 600));
    if (event->pod) {
      const std::string uid = event->pod->pod.uid;
      take(std::move(*event->pod));
      if (event->type == PodEvent::Type::kDeleted) {
        cache.remove(uid, now);
      }
    }
  }
  require(read_status_message(text).size() <= 512);
  ignore_result(parse_quantity(text));
  return 0;
}
