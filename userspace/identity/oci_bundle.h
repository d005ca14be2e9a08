// SPDX-License-Identifier: Apache-2.0
// Containers as their OCI bundle on disk tells of them, with no daemon asked: of Docker, containerd (CRI, nerdctl,
// ctr), CRI-O and Podman, rootless and nested ones too. Reads only.
//
// A bundle is looked for in the usual directories, which takes some microseconds, and where it is not there, through
// the container's processes: their parent outside of the container is the runtime's shim or conmon, which knows. What
// is found counts only if it belongs to whoever the runtime belongs to, and says that its container is in the very
// cgroup that was asked for.
#pragma once

#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "identity/bundle_search.h"
#include "identity/cgroup_tree.h"
#include "identity/container_source.h"
#include "util/patience.h"

namespace memcrest {

class OciBundle final : public ContainerSource {
 public:
  OciBundle(SystemRoot root, CgroupTree tree);

  [[nodiscard]] Runtime runtime() const override { return Runtime::kUnknown; }
  [[nodiscard]] const char* name() const override { return "OCI bundle"; }
  [[nodiscard]] bool may_add(const CgroupPath& path, const Container& known) const override;
  [[nodiscard]] bool checks_cgroup() const override { return true; }

  // Takes 1 s at most, whatever is on disk. Nothing: there is no bundle (any more, or yet: the cgroup of a container
  // that is being started has no process through which to find one in an unusual place). Errors: there is one, and it
  // is not to be trusted or cannot be read; never ETIMEDOUT, since that is a matter of one container alone.
  [[nodiscard]] Result<std::optional<Container>> look_up(const CgroupPath& path,
                                                         const std::stop_token& stop = {}) override;
  // The same, once the main process is on record.
  [[nodiscard]] Result<std::optional<Container>> inspect(const CgroupPath& path,
                                                         const std::stop_token& stop = {}) override;

  // Is the cgroup at `path` the own one of a container called `id`, although the path cannot tell so? `ctr` makes
  // "/<namespace>/<id>" of any two words. Yes, as look_up wants it, if there is a bundle that says so. As expensive as
  // a look-up; may be called from any thread.
  [[nodiscard]] std::optional<CgroupPath> confirm(const std::string& path, const std::string& id,
                                                  const std::stop_token& stop = {}) const;

 private:
  [[nodiscard]] Result<std::optional<Container>> search(const CgroupPath& path, const std::stop_token& stop) const;
  [[nodiscard]] std::string whose(const CgroupPath& path) const;
  [[nodiscard]] std::vector<LearnedPlace> learned() const;
  void learn(const std::optional<LearnedPlace>& place) const;

  SystemRoot root_;
  CgroupTree tree_;
  // A user's process can make who reads its command line wait for ever, and a file system of his who looks into it.
  Patience patience_;
  mutable std::mutex mutex_;  // guards learned_, which only makes the next search faster
  mutable std::vector<LearnedPlace> learned_;
};

}  // namespace memcrest
