// SPDX-License-Identifier: Apache-2.0
#include "report/series.h"

#include <algorithm>
#include <array>

namespace memcrest {
namespace {

// What a double of a browser holds exactly; no machine has more.
constexpr std::uint64_t kMost = (1ULL << 53U) - 1;

// Of two points, or of the extremes of two groups: in the order of time.
std::array<UsagePoint, 2> in_order(const UsagePoint& low, const UsagePoint& high) {
  return low.time_ns <= high.time_ns ? std::array{low, high} : std::array{high, low};
}

void append_varint(std::string& out, std::uint64_t value) {
  while (value >= 0x80) {
    out += static_cast<char>((value & 0x7fU) | 0x80U);
    value >>= 7U;
  }
  out += static_cast<char>(value);
}

std::string base64_of(const std::string& bytes) {
  static constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      group = (group << 8U) | (i + k < bytes.size() ? static_cast<unsigned char>(bytes[i + k]) : 0U);
    }
    for (std::size_t k = 0; k < 4; ++k) {
      out += i + k > bytes.size() ? '=' : kDigits[(group >> (18U - 6U * static_cast<unsigned>(k))) & 63U];
    }
  }
  return out;
}

}  // namespace

void Series::add(std::uint64_t time_ns, std::uint64_t usage_bytes) {
  late_.push_back({time_ns, usage_bytes});
  ++seen_;
  if (late_.size() >= 2 * kLate) {
    settle(kLate);
  }
}

void Series::settle(std::size_t keep) {
  std::ranges::stable_sort(late_, {}, &UsagePoint::time_ns);
  const std::size_t ready = late_.size() - std::min(keep, late_.size());
  for (std::size_t i = 0; i < ready; ++i) {
    put(late_[i]);
  }
  late_.erase(late_.begin(), late_.begin() + static_cast<std::ptrdiff_t>(ready));
}

void Series::put(const UsagePoint& raw) {
  UsagePoint point = raw;
  if (grouped_ > 0) {
    point.time_ns = std::max({point.time_ns, low_.time_ns, high_.time_ns});
  } else if (!points_.empty()) {
    point.time_ns = std::max(point.time_ns, points_.back().time_ns);
  }
  if (grouped_ == 0 || point.usage_bytes < low_.usage_bytes) {
    low_ = point;
  }
  if (grouped_ == 0 || point.usage_bytes >= high_.usage_bytes) {
    high_ = point;
  }
  if (++grouped_ >= stride_) {
    flush();
  }
}

void Series::flush() {
  if (grouped_ == 0) {
    return;
  }
  if (stride_ == 1) {
    points_.push_back(low_);
  } else {
    const auto both = in_order(low_, high_);
    points_.insert(points_.end(), both.begin(), both.end());
  }
  grouped_ = 0;
  if (points_.size() >= most_ && points_.size() >= 8) {
    thin_out();
  }
}

// Each four points become their lowest and highest: half of the points, all of the extremes.
void Series::thin_out() {
  std::size_t to = 0;
  for (std::size_t from = 0; from < points_.size(); from += 4) {
    const auto begin = points_.begin() + static_cast<std::ptrdiff_t>(from);
    const auto end = points_.begin() + static_cast<std::ptrdiff_t>(std::min(from + 4, points_.size()));
    const auto [low, high] = std::minmax_element(
        begin, end, [](const UsagePoint& a, const UsagePoint& b) { return a.usage_bytes < b.usage_bytes; });
    const auto both = in_order(*low, *high);
    points_[to++] = both[0];
    if (end - begin > 1) {
      points_[to++] = both[1];
    }
  }
  points_.resize(to);
  stride_ *= stride_ == 1 ? 4 : 2;
}

void Series::finish() {
  settle(0);
  flush();
}

EncodedSeries encode(const std::vector<UsagePoint>& points, std::uint64_t origin_ns) {
  EncodedSeries out;
  out.count = points.size();
  out.unit = std::ranges::all_of(points, [](const UsagePoint& p) { return p.usage_bytes % 4096 == 0; }) ? 4096 : 1;
  std::string bytes;
  bytes.reserve(points.size() * 6);
  std::uint64_t time = origin_ns;
  std::uint64_t usage = 0;
  for (const UsagePoint& point : points) {
    append_varint(bytes, point.time_ns > time ? std::min(point.time_ns - time, kMost) : 0);
    time = std::max(time, point.time_ns);
    const std::uint64_t now = std::min(point.usage_bytes, kMost) / out.unit;
    append_varint(bytes, now >= usage ? (now - usage) << 1U : ((usage - now) << 1U) - 1);
    usage = now;
  }
  out.base64 = base64_of(bytes);
  return out;
}

}  // namespace memcrest
