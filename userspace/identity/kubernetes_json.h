// SPDX-License-Identifier: Apache-2.0
// What we take from the Kubernetes API's answers about pods (core/v1 PodList, Pod, WatchEvent, Status), and nothing
// else of them. Each pod is handed on as soon as it is read. Pure; see json_stream.h for the bounds.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "identity/json_stream.h"
#include "memcrest/container.h"

namespace memcrest {

inline constexpr std::size_t kMaxPodContainers = 256;         // of all kinds; more are left out
inline constexpr std::size_t kMaxPodLabels = 256;             // more are left out
inline constexpr std::size_t kMaxPodLabelBytes = 32U << 10U;  // all of one pod
inline constexpr std::size_t kMaxKubernetesNameBytes = 253;   // of objects: a DNS subdomain
inline constexpr std::size_t kMaxKubernetesTextBytes = 4096;  // image names, reasons, messages; more is cut

// One container of a pod: app, init or ephemeral. Their names are unique within the pod.
struct KubernetesContainer {
  std::string name;
  std::string image;                    // what runs, by the name it was pulled as where the kubelet tells it
  Runtime runtime = Runtime::kUnknown;  // who runs it
  std::string id;                       // 64 digits; empty: none yet
  std::optional<std::uint64_t> memory_request_bytes;
  std::optional<std::uint64_t> memory_limit_bytes;
  RuntimeState state;       // of `id`: how it ended, else how the one before did
  std::string previous_id;  // the one that ended before `id` began; empty: not told
  RuntimeState previous_state;
};

struct KubernetesPod {
  Pod pod;                  // uid, name and namespace are there
  std::string config_hash;  // of a static pod: what its cgroup has instead of the uid; else empty
  std::string node;         // empty: not bound yet
  std::vector<KubernetesContainer> containers;
};

struct PodList {
  std::string resource_version;
  std::string continue_token;  // empty: this was the last page
};

// GET /api/v1/pods. Calls `on_pod` for each pod, in order, also when the list turns out broken further on. A pod
// without a uid, a name or a namespace is left out. Errors as for JsonStream::read, and EPROTO for another kind.
[[nodiscard]] Result<PodList> read_pod_list(JsonStream& json, const std::function<void(KubernetesPod)>& on_pod);

struct PodEvent {
  enum class Type : std::uint8_t { kAdded, kModified, kDeleted, kBookmark, kError, kOther };
  Type type = Type::kOther;
  std::string resource_version;      // of the object; empty: not told
  std::optional<KubernetesPod> pod;  // of kAdded, kModified, kDeleted, if it can be used
  int code = 0;                      // of kError: as an HTTP status
  std::string message;               // of kError
};

// One line of a watch.
[[nodiscard]] Result<PodEvent> read_pod_event(JsonStream& json);

// The message of a Status, which is what every refusal carries; empty when there is none.
[[nodiscard]] std::string read_status_message(std::string_view json);

// What makes a pod's owner of a reference to its controller: a ReplicaSet that carries the pod's template hash in its
// name was made by the Deployment of the rest of that name.
[[nodiscard]] Owner owner_of(std::string kind, std::string name, const std::map<std::string, std::string>& pod_labels);

}  // namespace memcrest
