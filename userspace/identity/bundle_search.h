// SPDX-License-Identifier: Apache-2.0
// The search for the bundle of one container; see oci_bundle.h. Made for one look-up, used by one thread.
#pragma once

#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "identity/bundle_places.h"
#include "identity/cgroup_tree.h"
#include "memcrest/container.h"

namespace memcrest {

inline constexpr std::size_t kMaxBundleBytes = 4U << 20U;  // of one config.json

// A place that was found through processes and is tried directly from then on: a container that has just appeared has
// no processes yet, and in 20 ms it may be gone.
struct LearnedPlace {
  std::string path;  // from the host's root
  uid_t owner = 0;
  BundleKind kind = BundleKind::kTask;
  std::string runtime_namespace;
  bool operator==(const LearnedPlace&) const = default;
};

class BundleSearch {
 public:
  // All of these must outlive the search.
  BundleSearch(const SystemRoot& root, const CgroupTree& tree, const CgroupPath& path, const std::stop_token& stop);

  [[nodiscard]] Result<std::optional<Container>> run(const std::vector<LearnedPlace>& learned);
  // In the usual and the learned places of the host only.
  [[nodiscard]] Result<std::optional<Container>> run_on_host(const std::vector<LearnedPlace>& learned);
  // Where the bundle was, if that was no usual place and can be reached directly.
  [[nodiscard]] const std::optional<LearnedPlace>& learned() const { return learned_; }

 private:
  // How much is known when a place is tried.
  enum class Trust {
    kPlace,    // only that it is a place for bundles: its bundle must name exactly this cgroup
    kProcess,  // that it is this container's runtime's
  };

  [[nodiscard]] Result<std::optional<Container>> answer();
  void search_host(const std::vector<LearnedPlace>& learned);
  void search_outer_root();
  void search_processes();
  bool try_shim(std::uint32_t pid, uid_t uid);
  bool try_conmon(std::uint32_t pid, uid_t uid);
  bool try_place(const BundlePlace& place, Trust trust);
  void complete(const BundlePlace& place, const OciConfig& config, Container& container);
  void add_docker_record(const BundlePlace& place, const OciConfig& config, Container& container);
  void add_stored_names(const BundlePlace& place, Container& container);
  void add_init_pid(const BundlePlace& place, const OciConfig& config, Container& container);

  [[nodiscard]] std::vector<std::uint32_t> monitors_beside() const;
  [[nodiscard]] bool may_own(uid_t uid) const;
  [[nodiscard]] bool nested() const { return !path_.outer_ids.empty(); }
  [[nodiscard]] Result<Fd> open_learned(const LearnedPlace& place) const;
  [[nodiscard]] Result<Fd> open_recorded(const BundlePlace& place, const std::string& directory) const;
  void learn(const BundlePlace& place, std::string_view path);
  void note(Error error);

  const SystemRoot& root_;
  const CgroupTree& tree_;
  const CgroupPath& path_;
  const std::stop_token& stop_;
  std::string_view cgroup_;  // the container's, without the part of a container around it
  std::string leaf_;         // the name of its directory
  uid_t host_owner_ = 0;
  std::string top_;  // what the runtime sees as "/", as this process reaches it
  std::optional<Container> found_;
  std::optional<Error> trouble_;  // the first
  std::optional<LearnedPlace> learned_;
};

}  // namespace memcrest
