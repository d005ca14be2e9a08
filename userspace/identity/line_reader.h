// SPDX-License-Identifier: Apache-2.0
// Bytes to lines, with no more in memory than one line of the longest that is allowed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace memcrest {

class LineReader {
 public:
  // A line of more than `limit` bytes is left out.
  explicit LineReader(std::size_t limit) : limit_(limit) {}

  // Calls `on_line(std::string_view)` for each line that ends in `bytes`, without its end; empty ones are left out.
  template <typename OnLine>
  void feed(std::string_view bytes, const OnLine& on_line) {
    while (!bytes.empty()) {
      const std::size_t end = bytes.find('\n');
      add(bytes.substr(0, end));
      if (end == std::string_view::npos) {
        return;
      }
      bytes.remove_prefix(end + 1);
      if (length_ > limit_) {
        ++skipped_;
      } else if (!line_.empty()) {
        on_line(std::string_view(line_));
      }
      line_.clear();
      length_ = 0;
    }
  }

  [[nodiscard]] std::uint64_t skipped() const { return skipped_; }
  // Of the line that has not ended yet, the part that is left out included.
  [[nodiscard]] std::size_t length() const { return length_; }

 private:
  void add(std::string_view part) {
    length_ += part.size();
    if (length_ <= limit_) {
      line_ += part;
    }
  }

  std::size_t limit_;
  std::string line_;
  std::size_t length_ = 0;
  std::uint64_t skipped_ = 0;
};

}  // namespace memcrest
