// SPDX-License-Identifier: Apache-2.0
#include "identity/bundle_places.h"

#include <gmock/gmock.h>

#include "support/fake_bundles.h"

namespace memcrest {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing_support::FakeBundles;

const std::string kTasks = "/io.containerd.runtime.v2.task/";

TEST(UserOfCgroup, OnlyWhereRootPutsUsers) {
  EXPECT_EQ(user_of_cgroup("/user.slice/user-1000.slice/user@1000.service/x"), 1000U);
  EXPECT_EQ(user_of_cgroup("/user.slice/user-0.slice/session-1.scope"), 0U);
  for (const char* const path : {"", "/", "/user.slice", "/user.slice/user-.slice/x", "/user.slice/user-1000.slice",
                                 "/user.slice/user-1000x.slice/", "/docker/x/user.slice/user-1000.slice/x",
                                 "/user.slice/user-99999999999.slice/x", "/user.slice/user--1.slice/x"}) {
    EXPECT_EQ(user_of_cgroup(path), std::nullopt) << path;
  }
}

TEST(TaskDirectory, Namespace) {
  EXPECT_EQ(namespace_of_task_directory("/srv/state" + kTasks + "k8s.io"), "k8s.io");
  EXPECT_EQ(namespace_of_task_directory("/run/containerd/io.containerd.runtime.v1.linux/moby"), "moby");
  for (const std::string& path : {std::string(), std::string("/"), std::string("moby"), "/run/containerd" + kTasks,
                                  std::string("/run/xio.containerd.runtime.v2.task/moby"), std::string("/root/x")}) {
    EXPECT_EQ(namespace_of_task_directory(path), std::nullopt) << path;
  }
}

class Places : public ::testing::Test {
 protected:
  Places() {
    for (const std::string& directory :
         {"/run/containerd" + kTasks + "moby", "/run/containerd" + kTasks + "k8s.io",
          "/run/docker/containerd/daemon" + kTasks + "moby", "/run/k3s/containerd" + kTasks + "own",
          std::string("/run/containers/storage/overlay-containers"),
          std::string("/var/lib/containers/storage/vfs-containers"),
          "/var/snap/microk8s/common/run/containerd" + kTasks + "k8s.io"}) {
      std::filesystem::create_directories(host_.top() + directory);
    }
  }

  // The places in their order; ends at the one called `last`.
  std::vector<std::string> visited(const CgroupPath& path, const std::string& last = "") {
    std::vector<std::string> names;
    visit_host_places(host_.cgroups.root(), path, 0, [&](const BundlePlace& place) {
      std::error_code failed;
      const auto link = std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(place.directory.get()), failed);
      names.push_back(link.string().substr(host_.top().size()));
      return names.back() == last;
    });
    return names;
  }

  FakeBundles host_;
};

TEST_F(Places, DockersAreThoseOfMoby) {
  const std::string first = "/run/containerd" + kTasks + "moby";
  EXPECT_THAT(visited({.runtime = Runtime::kDocker}, first), ElementsAre(first));
}

TEST_F(Places, OtherNamespacesComeLast) {
  const auto names = visited({.runtime = Runtime::kContainerd, .pod_uid = "x"});
  ASSERT_FALSE(names.empty());
  EXPECT_EQ(names.front(), "/run/containerd" + kTasks + "k8s.io");
  EXPECT_EQ(names.back(), "/run/k3s/containerd" + kTasks + "own");
}

TEST_F(Places, PerRuntime) {
  EXPECT_THAT(visited({.runtime = Runtime::kPodman}),
              ElementsAre("/var/lib/containers/storage/vfs-containers", "/run/containers/storage/overlay-containers"));
  EXPECT_THAT(visited({.runtime = Runtime::kCrio}),
              ElementsAre("/run/containers/storage/overlay-containers", "/var/lib/containers/storage/vfs-containers"));
  EXPECT_THAT(visited({.runtime = Runtime::kLxc}), IsEmpty());
  EXPECT_EQ(visited({.runtime = Runtime::kUnknown}).size(), 7U);
}

TEST_F(Places, ManyNamespacesAreBounded) {
  for (int i = 0; i < 200; ++i) {
    std::filesystem::create_directories(host_.top() + "/run/containerd" + kTasks + "n" + std::to_string(i));
  }
  EXPECT_LE(visited({.runtime = Runtime::kDocker}).size(), 3U + 64U + 2U);
}

}  // namespace
}  // namespace memcrest
