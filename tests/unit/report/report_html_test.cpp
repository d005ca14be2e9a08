// SPDX-License-Identifier: Apache-2.0
#include "report/report_html.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "report/page.h"
#include "support/detail_builder.h"
#include "support/report_builder.h"
#include "util/text.h"

namespace memcrest {
namespace {

using testing::HasSubstr;
using testing::Not;
using namespace testing_support;  // NOLINT(google-build-using-namespace): literals

std::size_t count(std::string_view text, std::string_view what) {
  std::size_t found = 0;
  for (std::size_t at = text.find(what); at != std::string_view::npos; at = text.find(what, at + 1)) {
    ++found;
  }
  return found;
}

TEST(ReportHtml, ThePageItselfIsWholeAndSmall) {
  const std::string_view page = report_page();
  EXPECT_LE(page.size(), 200'000U);
  EXPECT_EQ(count(page, "@DATA@"), 1U);
  EXPECT_EQ(count(page, "@NOSCRIPT@"), 1U);
  EXPECT_LT(page.find("@NOSCRIPT@"), page.find("@DATA@"));
  EXPECT_EQ(count(page, "connect-src 'none'"), 1U);
  EXPECT_EQ(count(page, "unsafe-"), 0U);
  for (const char* elsewhere : {" src=", "<link rel=\"stylesheet", "@import", "url(http"}) {
    EXPECT_EQ(count(page, elsewhere), 0U) << elsewhere;
  }
  for (const char* licence : {"Leon Sorokin", "Mike Bostock", "Martin Spier"}) {
    EXPECT_EQ(count(page, licence) > 0, true) << licence;
  }
}

TEST(ReportHtml, HostileNamesAddNoElement) {
  const TempDir dir;
  const auto page_of = [&](const char* file, const Incident& incident) {
    RecordingBuilder recording(dir.path() + "/" + file);
    record_oom(recording, incident);
    recording.finish();
    return to_html(report_of(dir.path() + "/" + file));
  };
  Incident incident = oom_incident();
  const std::string harmless = page_of("a", incident);
  for (std::string* text : {&incident.container.name, &incident.container.image, &incident.cgroup.path, &incident.id,
                            &incident.victims[0].cmdline, &incident.victims[0].comm, &incident.host.name}) {
    *text = "</pre></noscript></script><!--<img src=x onerror=alert(1)><script>alert(2)</script>" + hostile_name();
  }
  const std::string page = page_of("b", incident);
  for (const char* mark : {"<script", "</script", "<img", "<!--", "</noscript", "</pre", "<"}) {
    EXPECT_EQ(count(page, mark), count(harmless, mark)) << mark;
  }
  EXPECT_EQ(to_valid_utf8(page), page);
  EXPECT_THAT(page, Not(HasSubstr("\x1b")));
}

TEST(ReportHtml, Escapes) {
  EXPECT_EQ(escape_html("<a href='x' b=\"y\">&\xff"), "&lt;a href=&#39;x&#39; b=&quot;y&quot;&gt;&amp;\xef\xbf\xbd");
}

}  // namespace
}  // namespace memcrest
