// SPDX-License-Identifier: Apache-2.0
// What the runtimes of this machine still know of a container that a person names, also when it has ended: asked once,
// for `memcrest why`. Only reads.
#pragma once

#include <optional>
#include <string>

#include "memcrest/container.h"
#include "util/result.h"

namespace memcrest {

// `name`: a name or an id, or its beginning. Docker is asked first, then root's Podman; an empty socket: not asked, and
// a daemon that is not there knows nothing. nullopt: nobody knows it. An error: the one that could not be asked, where
// no other knew. Two seconds for each at most.
[[nodiscard]] Result<std::optional<Container>> ask_for_container(const std::string& name,
                                                                 const std::string& docker_socket,
                                                                 const std::string& podman_socket);

}  // namespace memcrest
