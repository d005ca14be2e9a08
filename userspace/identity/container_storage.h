// SPDX-License-Identifier: Apache-2.0
// The names that containers/storage keeps of the containers of Podman, CRI-O and Buildah: containers.json and
// volatile-containers.json in <root>/<driver>-containers. One file lists all containers of its owner and may be large,
// so it is read in pieces and only until the container is found.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <span>
#include <stop_token>
#include <string>

#include "identity/owned_file.h"
#include "util/result.h"

namespace memcrest {

struct StoredNames {
  std::string name;
  std::string image;  // as the user named it; empty for a container that was made of a directory
};

inline constexpr std::size_t kMaxStorageBytes = 32U << 20U;
inline constexpr std::chrono::milliseconds kStorageTime{500};

// Fills the span, as read(2) does: bytes read, 0 at the end, negative when it is to end early.
using PieceReader = std::function<long(std::span<char>)>;

// The entry of `id`; nothing when there is none. Pure but for what `read` does. Errors: EPROTO, EFBIG (more than
// kMaxStorageBytes without it), ECANCELED (the reader ended it).
[[nodiscard]] Result<std::optional<StoredNames>> read_storage_list(const PieceReader& read, const std::string& id);

// From the files in `directory` that belong to `owner`; a file that is missing holds no container. Ends (ECANCELED)
// after kStorageTime or when told to stop.
[[nodiscard]] Result<std::optional<StoredNames>> find_stored_names(const Fd& directory, uid_t owner,
                                                                   const std::string& id, const std::stop_token& stop);

}  // namespace memcrest
