// SPDX-License-Identifier: Apache-2.0
#include "serve/metrics_text.h"

#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <sstream>

namespace memcrest {
namespace {

TEST(MetricsTextTest, ChoosesByTheAcceptHeader) {
  EXPECT_EQ(choose_metrics_format(""), MetricsFormat::kPrometheus);
  EXPECT_EQ(choose_metrics_format("*/*"), MetricsFormat::kPrometheus);
  EXPECT_EQ(choose_metrics_format("application/openmetrics-text;version=1.0.0,application/"
                                  "openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"),
            MetricsFormat::kOpenMetrics);
  EXPECT_EQ(choose_metrics_format("text/plain, application/openmetrics-text;q=0.5"), MetricsFormat::kPrometheus);
  EXPECT_EQ(choose_metrics_format("application/openmetrics-text;q=0"), MetricsFormat::kPrometheus);
}

TEST(MetricsTextTest, EscapesValuesOfLabels) {
  EXPECT_EQ(MetricLabels().add("a", "x\"y\\z\nw").text(), R"(a="x\"y\\z\nw")");
  EXPECT_EQ(MetricLabels().add("a", "\x1b[31m").text(), "a=\"?[31m\"");
  EXPECT_EQ(MetricLabels().add("a", "\xff").text(), "a=\"\xef\xbf\xbd\"");
  EXPECT_LE(MetricLabels().add("a", std::string(10'000, '\xc3')).text().size(), 256U + 4);
}

TEST(MetricsTextTest, WritesBothFormats) {
  const Exemplar exemplar{.incident_id = "id-1", .value = 2, .unix_ns = 1'795'000'000'123'000'000};
  MetricsText open(MetricsFormat::kOpenMetrics);
  open.family(metric::kOomKills);
  open.sample(R"(container="web",scope="memcg")", std::uint64_t{2}, exemplar);
  open.family(metric::kLimit);  // no samples: nothing of it
  open.family(metric::kUsage);
  open.sample({}, std::uint64_t{18446744073709551615ULL});
  const std::string text = open.take();
  EXPECT_NE(text.find("# TYPE memcrest_oom_kills counter\n"), std::string::npos) << text;
  EXPECT_NE(text.find("memcrest_oom_kills_total{container=\"web\",scope=\"memcg\"} 2 # {incident_id=\"id-1\"} 2 "
                      "1795000000.123\n"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("# UNIT memcrest_container_memory_usage_bytes bytes\n"), std::string::npos);
  EXPECT_EQ(text.find(metric::kLimit.name), std::string::npos);
  EXPECT_TRUE(text.ends_with("18446744073709551615\n# EOF\n"));

  MetricsText plain(MetricsFormat::kPrometheus);
  plain.family(metric::kOomKills);
  plain.sample("scope=\"memcg\"", std::uint64_t{2}, exemplar);
  EXPECT_EQ(plain.take(),
            std::string("# HELP memcrest_oom_kills_total ") + metric::kOomKills.help +
                "\n# TYPE memcrest_oom_kills_total counter\nmemcrest_oom_kills_total{scope=\"memcg\"} 2\n");
}

TEST(MetricsTextTest, BucketsAreCumulative) {
  static constexpr double kBounds[] = {1, 2.5};
  Histogram histogram(kBounds);
  histogram.add(1, {});
  histogram.add(2, {});
  histogram.add(9, {});
  MetricsText out(MetricsFormat::kPrometheus);
  out.family(metric::kBurstGrowth);
  out.histogram(histogram);
  const std::string text = out.take();
  EXPECT_NE(text.find("_bucket{le=\"1.0\"} 1\n"), std::string::npos) << text;
  EXPECT_NE(text.find("_bucket{le=\"2.5\"} 2\n"), std::string::npos) << text;
  EXPECT_NE(text.find("_bucket{le=\"+Inf\"} 3\n"), std::string::npos) << text;
  EXPECT_NE(text.find("_sum 12\n"), std::string::npos) << text;
  EXPECT_NE(text.find("_count 3\n"), std::string::npos) << text;
}

TEST(MetricsTextTest, EveryMetricIsDocumentedAndWellNamed) {
  std::ifstream file(METRICS_DOC);
  std::stringstream document;
  document << file.rdbuf();
  EXPECT_NE(document.str().find(metrics_as_markdown()), std::string::npos) << "memcrest agent --list-metrics";
  std::set<std::string> names;
  for (const MetricInfo* info : all_metrics()) {
    EXPECT_TRUE(names.insert(info->name).second) << info->name;
    EXPECT_TRUE(*info->unit == '\0' || std::string_view(info->name).ends_with(std::string("_") + info->unit))
        << info->name;
  }
}

}  // namespace
}  // namespace memcrest
