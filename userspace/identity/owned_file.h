// SPDX-License-Identifier: Apache-2.0
// Files that somebody else may have put there: a container's owner, a container's own root. Nothing is opened before it
// is known to be a regular file of the owner who is expected, symlinks are not followed, and no more is read than was
// asked for. An open of a FIFO waits and one of a device may act, so neither is ever done.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "util/fd.h"

namespace memcrest {

// How symlinks in a directory's path are taken.
enum class Symlinks {
  kRefuse,      // ELOOP
  kWithinRoot,  // followed, an absolute one from the root that was given: for paths that the root's owner wrote
};

// A directory by its path. Symlinks are followed: for paths that only root can change.
[[nodiscard]] Result<Fd> open_directory(const std::string& path);
// A directory below another one; `path` is taken from there even if it begins with '/'.
[[nodiscard]] Result<Fd> open_directory_below(const Fd& root, const std::string& path, Symlinks symlinks);
// The directory that holds this one.
[[nodiscard]] Result<Fd> open_parent(const Fd& directory);

// Names of what is in it, at most `limit`.
[[nodiscard]] std::vector<std::string> names_in(const Fd& directory, std::size_t limit);

[[nodiscard]] Result<uid_t> owner_of(const Fd& file);

// A regular file below a directory, owned by `owner` and not for everybody to write, for reading. Errors: ENOENT,
// ELOOP (a symlink), EXDEV (a mount of its own), EPERM (another owner, or anybody may write it), EINVAL (a FIFO, a
// device, a directory, ...).
[[nodiscard]] Result<Fd> open_owned(const Fd& directory, const std::string& path, uid_t owner);
// The whole of it, at most `limit` bytes (else EFBIG).
[[nodiscard]] Result<std::string> read_owned(const Fd& directory, const std::string& path, uid_t owner,
                                             std::size_t limit);

}  // namespace memcrest
