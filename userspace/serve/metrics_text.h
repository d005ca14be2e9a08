// SPDX-License-Identifier: Apache-2.0
// Metrics as text: OpenMetrics 1.0, with exemplars, or Prometheus' text format 0.0.4. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "serve/metric_names.h"

namespace memcrest {

enum class MetricsFormat { kOpenMetrics, kPrometheus };

// By the Accept header: OpenMetrics where it is asked for with no less weight than text/plain.
[[nodiscard]] MetricsFormat choose_metrics_format(std::string_view accept);
[[nodiscard]] const char* content_type_of(MetricsFormat format);

// Labels as they stand between braces. Values may hold any byte: they become valid UTF-8 of at most 256 bytes.
class MetricLabels {
 public:
  MetricLabels& add(std::string_view name, std::string_view value);
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  std::string text_;
};

// Which incident a count came from.
struct Exemplar {
  std::string incident_id;
  double value = 0;
  std::int64_t unix_ns = 0;
};

// Counts of values up to each bound, cumulative only when it is written.
class Histogram {
 public:
  explicit Histogram(std::span<const double> bounds) : bounds_(bounds), counts_(bounds.size() + 1) {}
  void add(double value, Exemplar exemplar);

 private:
  friend class MetricsText;
  struct Bucket {
    std::uint64_t count = 0;
    std::optional<Exemplar> exemplar;  // the last one
  };
  std::span<const double> bounds_;  // rising; static
  std::vector<Bucket> counts_;      // the last: above all bounds
  double sum_ = 0;
};

class MetricsText {
 public:
  explicit MetricsText(MetricsFormat format) : format_(format) {}

  // Its samples follow, and no other family's between them. A family without samples leaves nothing.
  void family(const MetricInfo& info);
  // `labels` as MetricLabels::text gives them, empty: none. `more` likewise, behind them.
  void sample(std::string_view labels, double value, const std::optional<Exemplar>& exemplar = {});
  void sample(std::string_view labels, std::uint64_t value, const std::optional<Exemplar>& exemplar = {});
  void sample(std::string_view labels, std::string_view more, double value);
  void sample(std::string_view labels, std::string_view more, std::uint64_t value,
              const std::optional<Exemplar>& exemplar = {});
  void histogram(const Histogram& histogram);
  // So much is to come, about: a text of megabytes is not moved again and again as it grows.
  void expect(std::size_t bytes) { out_.reserve(bytes); }
  [[nodiscard]] std::size_t size() const { return out_.size(); }
  // All of it; call once, last.
  [[nodiscard]] std::string take();

 private:
  void line(std::string_view suffix, std::string_view labels, std::string_view more, std::string_view value,
            const std::optional<Exemplar>& exemplar);
  void head(std::string_view suffix);

  MetricsFormat format_;
  const MetricInfo* info_ = nullptr;
  bool begun_ = false;  // the family's head is written
  std::string out_;
};

}  // namespace memcrest
