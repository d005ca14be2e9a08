// SPDX-License-Identifier: Apache-2.0
#include "serve/metrics_text.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "util/text.h"

namespace memcrest {
namespace {

constexpr std::size_t kMaxLabelBytes = 256;
// OpenMetrics: the names and values of an exemplar's labels together.
constexpr std::size_t kMaxExemplarBytes = 128;
constexpr std::string_view kExemplarLabel = "incident_id";

std::string cut_utf8(std::string text, std::size_t most) {
  if (text.size() > most) {
    std::size_t end = most;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0U) == 0x80U) {
      --end;
    }
    text.resize(end);
  }
  return text;
}

std::string escape_label(std::string_view value) {
  std::string out;
  for (const char c : cut_utf8(to_valid_utf8(value.substr(0, kMaxLabelBytes)), kMaxLabelBytes)) {
    switch (c) {
      case '\\':
        out += "\\\\";
        break;
      case '"':
        out += "\\\"";
        break;
      case '\n':
        out += "\\n";
        break;
      default:
        // Prometheus takes other control characters as they are, and people's terminals with them: none is needed.
        out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
    }
  }
  return out;
}

// A number as text, without a string of its own: there are tens of thousands in one answer.
class NumberText {
 public:
  explicit NumberText(std::uint64_t value) { convert(value); }
  explicit NumberText(double value) {
    if (std::isnan(value)) {
      text_ = "NaN";
    } else if (std::isinf(value)) {
      text_ = value > 0 ? "+Inf" : "-Inf";
    } else {
      convert(value);
    }
  }
  NumberText(const NumberText&) = delete;
  NumberText& operator=(const NumberText&) = delete;
  [[nodiscard]] std::string_view text() const { return text_; }

 private:
  void convert(auto value) {
    const auto end = std::to_chars(buffer_, buffer_ + sizeof(buffer_), value).ptr;
    text_ = {buffer_, static_cast<std::size_t>(end - buffer_)};
  }
  char buffer_[64];
  std::string_view text_;
};

std::string number_text(double value) { return std::string(NumberText(value).text()); }

std::string seconds_text(std::int64_t unix_ns) {
  const std::int64_t ms = std::max<std::int64_t>(unix_ns, 0) / 1'000'000;
  const std::string part = std::to_string(ms % 1000);
  return std::to_string(ms / 1000) + "." + std::string(3 - part.size(), '0') + part;
}

std::string exemplar_text(const Exemplar& exemplar) {
  if (exemplar.incident_id.size() + kExemplarLabel.size() > kMaxExemplarBytes) {
    return {};
  }
  std::string out = " # {";
  out.append(kExemplarLabel).append("=\"").append(escape_label(exemplar.incident_id)).append("\"} ");
  return out + number_text(exemplar.value) + " " + seconds_text(exemplar.unix_ns);
}

const char* type_text(MetricType type, MetricsFormat format) {
  switch (type) {
    case MetricType::kGauge:
      return "gauge";
    case MetricType::kCounter:
      return "counter";
    case MetricType::kHistogram:
      return "histogram";
    case MetricType::kInfo:
      return format == MetricsFormat::kOpenMetrics ? "info" : "gauge";
  }
  return "";
}

const char* suffix_of(MetricType type) {
  return type == MetricType::kCounter ? "_total" : type == MetricType::kInfo ? "_info" : "";
}

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  return first == std::string_view::npos ? std::string_view()
                                         : text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

// The q of one media range; 1 where it has none or one that is no number.
double weight_of(std::string_view range) {
  const auto at = range.find(";q=");
  const auto spaced = at == std::string_view::npos ? range.find("; q=") : at;
  if (spaced == std::string_view::npos) {
    return 1;
  }
  const std::string_view text = range.substr(range.find('=', spaced) + 1);
  double weight = 1;
  std::from_chars(text.data(), text.data() + text.size(), weight);
  return weight;
}

}  // namespace

MetricsFormat choose_metrics_format(std::string_view accept) {
  double open = -1;
  double plain = -1;
  while (!accept.empty()) {
    const auto comma = accept.find(',');
    const std::string_view range = trimmed(accept.substr(0, comma));
    accept = comma == std::string_view::npos ? std::string_view() : accept.substr(comma + 1);
    if (range.starts_with("application/openmetrics-text")) {
      open = std::max(open, weight_of(range));
    } else if (range.starts_with("text/plain")) {
      plain = std::max(plain, weight_of(range));
    }
  }
  return open > 0 && open >= plain ? MetricsFormat::kOpenMetrics : MetricsFormat::kPrometheus;
}

const char* content_type_of(MetricsFormat format) {
  return format == MetricsFormat::kOpenMetrics ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                                               : "text/plain; version=0.0.4; charset=utf-8";
}

MetricLabels& MetricLabels::add(std::string_view name, std::string_view value) {
  text_ += text_.empty() ? "" : ",";
  text_.append(name).append("=\"").append(escape_label(value)).append("\"");
  return *this;
}

void Histogram::add(double value, Exemplar exemplar) {
  const auto bound = std::ranges::lower_bound(bounds_, value);
  Bucket& bucket = counts_[static_cast<std::size_t>(bound - bounds_.begin())];
  ++bucket.count;
  bucket.exemplar = std::move(exemplar);
  sum_ += value;
}

void MetricsText::family(const MetricInfo& info) {
  info_ = &info;
  begun_ = false;
}

void MetricsText::head(std::string_view suffix) {
  const bool open = format_ == MetricsFormat::kOpenMetrics;
  const std::string name = std::string(info_->name) + std::string(open ? "" : suffix);
  out_ += "# HELP " + name + " " + info_->help + "\n# TYPE " + name + " " + type_text(info_->type, format_) + "\n";
  if (open && *info_->unit != '\0') {
    out_ += "# UNIT " + name + " " + info_->unit + "\n";
  }
}

void MetricsText::line(std::string_view suffix, std::string_view labels, std::string_view more, std::string_view value,
                       const std::optional<Exemplar>& exemplar) {
  if (!begun_) {
    begun_ = true;
    head(suffix_of(info_->type));
  }
  out_.append(info_->name).append(suffix);
  if (!labels.empty() || !more.empty()) {
    out_.append("{").append(labels).append(labels.empty() || more.empty() ? "" : ",").append(more).append("}");
  }
  out_.append(" ").append(value);
  if (format_ == MetricsFormat::kOpenMetrics && exemplar) {
    out_ += exemplar_text(*exemplar);
  }
  out_ += '\n';
}

void MetricsText::sample(std::string_view labels, double value, const std::optional<Exemplar>& exemplar) {
  line(suffix_of(info_->type), labels, {}, NumberText(value).text(), exemplar);
}

void MetricsText::sample(std::string_view labels, std::uint64_t value, const std::optional<Exemplar>& exemplar) {
  line(suffix_of(info_->type), labels, {}, NumberText(value).text(), exemplar);
}

void MetricsText::sample(std::string_view labels, std::string_view more, double value) {
  line(suffix_of(info_->type), labels, more, NumberText(value).text(), std::nullopt);
}

void MetricsText::sample(std::string_view labels, std::string_view more, std::uint64_t value,
                         const std::optional<Exemplar>& exemplar) {
  line(suffix_of(info_->type), labels, more, NumberText(value).text(), exemplar);
}

void MetricsText::histogram(const Histogram& histogram) {
  std::uint64_t count = 0;
  for (std::size_t i = 0; i < histogram.counts_.size(); ++i) {
    const Histogram::Bucket& bucket = histogram.counts_[i];
    count += bucket.count;
    std::string bound = i < histogram.bounds_.size() ? number_text(histogram.bounds_[i]) : "+Inf";
    if (bound.find_first_of(".eI") == std::string::npos) {
      bound += ".0";  // OpenMetrics: bounds are floats in one spelling
    }
    line("_bucket", "le=\"" + bound + "\"", {}, NumberText(count).text(), bucket.exemplar);
  }
  line("_sum", {}, {}, NumberText(histogram.sum_).text(), std::nullopt);
  line("_count", {}, {}, NumberText(count).text(), std::nullopt);
}

std::string MetricsText::take() {
  if (format_ == MetricsFormat::kOpenMetrics) {
    out_ += "# EOF\n";
  }
  return std::move(out_);
}

}  // namespace memcrest
