// SPDX-License-Identifier: Apache-2.0
// One place that knows containers: a bundle on disk, a runtime's API, the Kubernetes API. Several are asked about one
// container, in order, and what each tells is put together. Asked from the resolver's thread only; each call keeps its
// own deadline and ends soon after `stop` is asked for.
#pragma once

#include <optional>
#include <stop_token>

#include "identity/cgroup_path.h"
#include "memcrest/container.h"
#include "util/result.h"

namespace memcrest {

class ContainerSource {
 public:
  virtual ~ContainerSource() = default;

  // Whose containers these are, for a source that knows one runtime only; kUnknown: the answer says.
  [[nodiscard]] virtual Runtime runtime() const = 0;
  // For a person: "Docker".
  [[nodiscard]] virtual const char* name() const = 0;
  // Is it worth asking about this container, when so much is known of it by now?
  [[nodiscard]] virtual bool may_add(const CgroupPath& path, const Container& known) const = 0;

  // Does it tell a container by its cgroup, so that a cgroup of somebody else's making cannot pass for it? One that
  // goes by the id alone does not.
  [[nodiscard]] virtual bool checks_cgroup() const { return false; }

  // Does it tell of Kubernetes' pods what nobody else knows: owner, labels, memory request?
  [[nodiscard]] virtual bool tells_of_pods() const { return false; }

  // What identifies the container: name, image, labels, pod. Must not wait for a container that is just being started
  // or stopped. What the source does not know stays empty. Nothing: the source has no such container. Errors as for
  // UnixHttp; ETIMEDOUT means do not ask again soon, EBADMSG that the container is in another cgroup, EINPROGRESS that
  // the source is just beginning and will know in a moment whether it knows it.
  [[nodiscard]] virtual Result<std::optional<Container>> look_up(const CgroupPath& path,
                                                                 const std::stop_token& stop) = 0;
  // Everything, the main process and the state included. May fail while the runtime is busy with the container.
  // Nothing: no such container, or no more to tell than look_up did.
  [[nodiscard]] virtual Result<std::optional<Container>> inspect(const CgroupPath& path, const std::stop_token& stop) {
    static_cast<void>(path);
    static_cast<void>(stop);
    return std::nullopt;
  }
};

// Fills what `known` lacks with what `more` tells; labels and the pod's fields one by one. What is known stays, but a
// runtime that is told (not kUnknown) replaces one that only the path suggested.
void merge(Container& known, Container more);

}  // namespace memcrest
