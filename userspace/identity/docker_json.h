// SPDX-License-Identifier: Apache-2.0
// The facts that we take from the answers of Docker's API, and nothing else of them: the text is read once, without a
// tree, so that a hostile answer costs no more memory than its own size. Podman's own API (libpod) answers in the same
// words, and adds the pod: one reader for both. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "memcrest/container.h"
#include "util/result.h"

namespace memcrest {

inline constexpr std::size_t kMaxLabels = 256;
inline constexpr std::size_t kMaxLabelBytes = 4096;           // one value; what is longer is cut
inline constexpr std::size_t kMaxAllLabelBytes = 64U << 10U;  // all of one container

// GET /containers/<id>/json. An error when this is not JSON, nests absurdly, lacks a name or is about another id (an
// empty one: that of whoever was asked for by name). What
// stands there by default until a container has ended (exit code 0, not OOMKilled) is left out while it has not.
[[nodiscard]] Result<Container> read_docker_inspect(std::string_view json, std::string_view id);

// GET /containers/json: the entry for `id`, if there is one. Of its state only the status.
[[nodiscard]] Result<std::optional<Container>> read_docker_list(std::string_view json, std::string_view id);

// The "message" of an error answer; empty when there is none.
[[nodiscard]] std::string read_docker_message(std::string_view json);

}  // namespace memcrest
