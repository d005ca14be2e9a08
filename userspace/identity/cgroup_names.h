// SPDX-License-Identifier: Apache-2.0
// What the name of one cgroup says: the forms that runtimes, kubelet, systemd and others give to a single component of
// a path. Pure; views point into the argument. cgroup_path.cpp puts the components together.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "memcrest/container.h"

namespace memcrest::cgroup_names {

// "docker-<id>.scope", "libpod-<id>", and "SLICE:cri-containerd:<id>": what runc makes of a systemd path when it runs
// with the cgroupfs driver.
struct RuntimeName {
  Runtime runtime = Runtime::kUnknown;
  bool monitor = false;     // conmon: it watches the container from outside
  bool in_service = false;  // libpod-payload: the container is what a systemd service consists of
  std::string_view id;      // 64 digits
  std::string_view slice;   // in front of ':' in "SLICE:PREFIX:ID"
};
[[nodiscard]] std::optional<RuntimeName> match_runtime(std::string_view name);

// A RUN step that dockerd's own BuildKit runs: "docker-<id>.scope" or "SLICE:docker:<id>" with BuildKit's short id,
// which is returned.
[[nodiscard]] std::optional<std::string_view> match_docker_build_step(std::string_view name);
// 25 digits of base 36. At least one of them is a decimal digit: what is letters only is rather a word.
[[nodiscard]] bool is_buildkit_id(std::string_view text);

// "pod<uid>": the uid with dashes; systemd's spelling has underscores. A static pod's uid is 32 plain digits.
[[nodiscard]] std::optional<std::string> match_pod(std::string_view text);
// A whole uid: 8-4-4-4-12 or 32 digits.
[[nodiscard]] bool is_uid(std::string_view text);

// Podman's pod, with the systemd driver: "machine-libpod_pod_<id>.slice", the id is returned.
[[nodiscard]] std::optional<std::string_view> match_libpod_pod(std::string_view name);

// What a container of LXC is called: "lxc.payload.NAME", and "lxc.monitor.NAME" for the process outside that watches
// it. Both also with a slash in the place of the last dot, and older: "lxc/NAME".
struct LxcName {
  bool monitor = false;
  std::string_view name;
};
[[nodiscard]] std::optional<LxcName> match_lxc(std::string_view parent, std::string_view name);
// LXC adds "-1", "-2", ... to the cgroup's name while the cgroup of an earlier start is still there: then what looks
// like the end of the container's name may be no part of it.
[[nodiscard]] bool may_be_lxc_retry(std::string_view name);

// A container of Garden (Cloud Foundry): 8-4-4-4-4 digits, or a whole uid.
[[nodiscard]] bool is_garden_handle(std::string_view text);

// A task of Nomad, "<allocation's uid>.TASK", with ".scope" on cgroup v2.
struct NomadTask {
  std::string_view id;    // both
  std::string_view task;  // the name in the job
};
[[nodiscard]] std::optional<NomadTask> match_nomad(std::string_view parent, std::string_view name);

// A container of Fargate: "<task>-<number>" in the cgroup of that task.
[[nodiscard]] bool is_fargate_id(std::string_view parent, std::string_view name);

// "machine-NAME.scope" (machined), "systemd-nspawn@NAME.service", "NAME.libvirt-qemu" (libvirt without systemd): the
// name as its owner wrote it. A scope is one only below machine.slice, or when libvirt's driver and number are in it:
// "machine-learning.scope" may be anybody's.
[[nodiscard]] std::optional<std::string> match_machine(std::string_view name, bool in_machine_slice);

// systemd's units that have cgroups. `name` without the underscore that systemd puts in front of a name that a cgroup
// file could have; empty when it is no unit.
[[nodiscard]] std::string_view match_unit(std::string_view name);

// systemd's "\x2d" becomes '-'. What is no such escape stays, and so do "\x00" and "\x2f": no name holds a NUL or a
// slash.
[[nodiscard]] std::string decode_unit(std::string_view text);

// What containerd allows as an identifier of a namespace or of a container: letters and digits, single '.', '_' or '-'
// between them, 76 bytes at most. It is safe as a file name.
[[nodiscard]] bool is_containerd_identifier(std::string_view text);

}  // namespace memcrest::cgroup_names
