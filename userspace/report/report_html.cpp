// SPDX-License-Identifier: Apache-2.0
#include "report/report_html.h"

#include "report/page.h"
#include "report/report_json.h"
#include "report/report_text.h"
#include "util/text.h"

namespace memcrest {

std::string escape_html(std::string_view text) {
  std::string out;
  for (const char c : to_valid_utf8(text)) {
    switch (c) {
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '&':
        out += "&amp;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string to_html(const Report& report) {
  const std::string_view page = report_page();
  std::string out;
  std::size_t at = 0;
  const auto fill = [&](std::string_view mark, const std::string& text) {
    const std::size_t found = page.find(mark, at);
    out.append(page, at, found - at);
    out += text;
    at = found + mark.size();
  };
  fill("@NOSCRIPT@", escape_html(to_text(report, TextStyle{})));
  fill("@DATA@", page_data(report));
  out.append(page, at);
  return out;
}

}  // namespace memcrest
