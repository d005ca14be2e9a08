// SPDX-License-Identifier: Apache-2.0
// Where the host's filesystems are. Tests give a directory of their own; a container gives /host.
#pragma once

#include <string>

namespace memcrest {

struct SystemRoot {
  std::string proc = "/proc";
  std::string sys = "/sys";
  std::string run = "/run";
  std::string var = "/var";
};

}  // namespace memcrest
