// SPDX-License-Identifier: Apache-2.0
#include "symbol/perf_map.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <string_view>

namespace memcrest {
namespace {

constexpr std::uint64_t kMostBytes = 64U << 20U;
constexpr std::size_t kPiece = 64U << 10U;
constexpr std::size_t kLongestLine = 4096;
constexpr std::size_t kLongestName = 1024;
constexpr std::uint64_t kMaxMatches = 10'000'000;

class Lines {
 public:
  explicit Lines(std::vector<FunctionAt>& wanted) : wanted_(wanted) {}

  void take(std::string_view line) {
    std::uint64_t start = 0;
    std::uint64_t size = 0;
    if (!hex(line, start) || !hex(line, size) || size == 0) {
      return;
    }
    const std::uint64_t end = start + std::min<std::uint64_t>(size, ~0ULL - start);
    auto at = std::ranges::lower_bound(wanted_, start, {}, &FunctionAt::address);
    for (; at != wanted_.end() && at->address < end && matches_ < kMaxMatches; ++at, ++matches_) {
      at->name = line.substr(0, kLongestName);
      at->start = start;
    }
  }

 private:
  static bool hex(std::string_view& line, std::uint64_t& out) {
    if (line.starts_with("0x")) {
      line.remove_prefix(2);
    }
    const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), out, 16);
    const auto used = static_cast<std::size_t>(end - line.data());
    if (error != std::errc{} || used >= line.size() || line[used] != ' ') {
      return false;
    }
    line.remove_prefix(used + 1);
    return true;
  }

  std::vector<FunctionAt>& wanted_;
  std::uint64_t matches_ = 0;
};

}  // namespace

bool find_in_perf_map(int fd, std::vector<FunctionAt>& wanted) {
  Lines lines(wanted);
  std::string held;
  std::string piece(kPiece, '\0');
  std::uint64_t done = 0;
  while (done < kMostBytes) {
    const ssize_t got = ::pread(fd, piece.data(), piece.size(), static_cast<off_t>(done));
    if (got <= 0) {
      lines.take(held);
      return true;
    }
    done += static_cast<std::uint64_t>(got);
    std::string_view rest(piece.data(), static_cast<std::size_t>(got));
    for (auto end = rest.find('\n'); end != std::string_view::npos; end = rest.find('\n')) {
      held += rest.substr(0, std::min(end, kLongestLine));
      lines.take(held);
      held.clear();
      rest.remove_prefix(end + 1);
    }
    if (held.size() < kLongestLine) {
      held += rest.substr(0, kLongestLine - held.size());
    }
  }
  return false;
}

}  // namespace memcrest
