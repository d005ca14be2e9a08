// SPDX-License-Identifier: Apache-2.0
// The terminal of `memcrest top`: draws lines, gives keys. Alone in using ncurses. One at a time, one thread.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <vector>

#include "top/top_keys.h"
#include "top/top_line.h"
#include "util/result.h"

namespace memcrest {

class TopScreen {
 public:
  // ENOTTY: standard output or input is no terminal; ENOTSUP: one that ncurses does not know. The terminal is as it was
  // before once this is gone.
  [[nodiscard]] static Result<std::unique_ptr<TopScreen>> open(bool color);
  ~TopScreen();
  TopScreen(const TopScreen&) = delete;
  TopScreen& operator=(const TopScreen&) = delete;

  [[nodiscard]] std::size_t columns() const;
  [[nodiscard]] std::size_t rows() const;
  void draw(const std::vector<TopLine>& lines);
  // Waits no longer than this.
  [[nodiscard]] std::optional<TopInput> read(std::chrono::milliseconds longest);

 private:
  TopScreen() = default;
  bool color_ = false;
};

}  // namespace memcrest
