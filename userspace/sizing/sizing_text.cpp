// SPDX-License-Identifier: Apache-2.0
#include "sizing/sizing_text.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "util/text.h"
#include "util/units.h"
#include "view/layout.h"
#include "view/loss_text.h"
#include "view/table.h"

namespace memcrest {
namespace {

constexpr std::string_view kDot = " · ";
constexpr std::size_t kPageColumns = 100;
constexpr std::size_t kMostDetails = 30;

std::string counted(std::uint64_t count, const char* one, const char* many) {
  return std::to_string(count) + " " + (count == 1 ? one : many);
}

std::string span(std::uint64_t ns) {
  return format_duration(std::chrono::nanoseconds(static_cast<std::int64_t>(std::min<std::uint64_t>(ns, INT64_MAX))));
}

std::string moment(std::int64_t unix_ns) {
  const std::string exact = format_rfc3339(unix_ns);
  return exact.size() < 19 ? exact : exact.substr(0, 10) + " " + exact.substr(11, 8) + " UTC";
}

Tone tone_of(SizeClass size_class) {
  switch (size_class) {
    case SizeClass::kTooSmall:
    case SizeClass::kLeaking:
      return Tone::kAlarm;
    case SizeClass::kTight:
    case SizeClass::kUnlimited:
    case SizeClass::kWasteful:
      return Tone::kNotice;
    case SizeClass::kUnknown:
      return Tone::kDim;
    case SizeClass::kFine:
      return Tone::kPlain;
  }
  return Tone::kPlain;
}

TableCell limit_cell(const SizedUsage& usage) {
  if (usage.limit_bytes) {
    return {format_size(*usage.limit_bytes)};
  }
  return usage.limit_known ? TableCell{"none", Tone::kNotice} : TableCell{"?", Tone::kDim};
}

TableCell peak_cell(const SizedUsage& usage) {
  if (usage.peaks.windows() == 0) {
    return {"?", Tone::kDim};
  }
  return {(usage.peak_exact ? "" : ">= ") + format_size(usage.peak_bytes)};
}

TableCell percentile_cell(const SizedUsage& usage, unsigned percent) {
  return usage.peaks.windows() == 0 ? TableCell{} : TableCell{format_size(usage.peaks.percentile(percent))};
}

TableCell advised_cell(const Sizing& one) {
  if (!one.advised_bytes || one.size_class == SizeClass::kFine) {
    return {one.size_class == SizeClass::kLeaking ? "no limit" : ""};
  }
  return {(one.advised_guessed ? "try " : "") + format_size(*one.advised_bytes), Tone::kBold};
}

TableCell cache_cell(const SizedUsage& usage) {
  const auto share = usage.cache_share();
  return share
             ? TableCell{std::to_string(static_cast<unsigned>(std::lround(std::clamp(*share, 0.0, 1.0) * 100))) + " %"}
             : TableCell{};
}

std::vector<TableCell> cells(const Sizing& one) {
  const SizedUsage& usage = one.usage;
  const std::uint64_t ooms = usage.ooms.own + usage.ooms.elsewhere;
  return {{escape_terminal(usage.label), Tone::kBold},
          {to_string(one.size_class), tone_of(one.size_class)},
          limit_cell(usage),
          peak_cell(usage),
          advised_cell(one),
          {std::to_string(ooms), ooms > 0 ? Tone::kAlarm : Tone::kPlain},
          percentile_cell(usage, 50),
          percentile_cell(usage, 90),
          percentile_cell(usage, 95),
          percentile_cell(usage, 99),
          cache_cell(usage),
          {span(usage.observed_ns), Tone::kDim}};
}

TableText table(const SizingReport& report, const SizingStyle& style) {
  constexpr std::size_t kNameLeast = 14;
  std::vector<TableColumn> columns = {
      {.header = "NAME", .least = kNameLeast},
      {.header = "VERDICT"},
      {.header = "LIMIT", .right = true},
      {.header = "PEAK", .right = true},
      {.header = "ADVISED", .right = true},
      {.header = "OOM", .right = true, .rank = 1},
      {.header = "P50", .right = true, .rank = 4},
      {.header = "P90", .right = true, .rank = 7},
      {.header = "P95", .right = true, .rank = 3},
      {.header = "P99", .right = true, .rank = 6},
      {.header = "CACHE", .right = true, .rank = 5, .optional = true},
      {.header = "SEEN", .right = true, .rank = 2},
  };
  if (!style.columns) {  // the same columns for every reader of a pipe
    std::ranges::for_each(columns, [](TableColumn& column) { column.optional = false; });
  }
  std::vector<std::vector<TableCell>> rows;
  rows.reserve(report.sizings.size());
  for (const Sizing& one : report.sizings) {
    rows.push_back(cells(one));
  }
  return format_table(std::move(columns), std::move(rows), style.columns, style.color);
}

void put_head(Layout& page, const SizingReport& report) {
  page.heading();
  page.piece("",
             report.settings.all ? counted(report.sizings.size(), "cgroup", "cgroups")
                                 : counted(report.sizings.size(), "container", "containers"),
             Tone::kBold);
  if (report.settings.by != SizingBy::kContainer) {
    page.piece(" ", std::string("by ") + to_string(report.settings.by));
  }
  if (!report.host.empty()) {
    page.piece(kDot, escape_terminal(report.host));
  }
  if (report.begin_unix_ns && report.end_unix_ns) {
    page.piece(kDot, moment(*report.begin_unix_ns) + " to " + moment(*report.end_unix_ns));
  }
  page.row("");
  page.words("", "Peaks of windows of " + format_duration(report.settings.window) +
                     "; P95: in 95 % of them usage stayed at or below it. Advised: the peak and " +
                     std::to_string(report.settings.margin_percent) + " %.");
}

std::string limit_words(const OtherLimit& limit, std::uint64_t windows) {
  std::string out = format_size(limit.bytes);
  out += limit.kind == OtherLimit::Kind::kCurrent   ? " (now)"
         : limit.kind == OtherLimit::Kind::kAdvised ? " (advised)"
                                                    : "";
  return out + ": " +
         (limit.windows_above ? std::to_string(*limit.windows_above) + " of " + std::to_string(windows) : "not known");
}

// What acts at once; where several containers are put together, what their next start needs.
const AdviceLine* best_line(const Sizing& one) {
  const auto fits = [&](const AdviceLine& line) {
    return one.usage.containers < 2 || line.tool.ends_with(" run") || line.tool == "kubernetes";
  };
  const auto found = std::ranges::find_if(one.lines, fits);
  return found == one.lines.end() ? nullptr : &*found;
}

void put_detail(Layout& page, const Sizing& one) {
  page.heading();
  page.piece("", escape_terminal(one.usage.label), Tone::kBold);
  page.piece("  ", to_string(one.size_class), tone_of(one.size_class));
  if (one.usage.containers > 1) {
    page.piece("  ", counted(one.usage.containers, "container", "containers"), Tone::kDim);
  }
  page.row("why");
  for (std::size_t i = 0; i < one.reasons.size(); ++i) {
    page.words(i == 0 ? "" : "; ", escape_terminal(one.reasons[i]));
  }
  if (const AdviceLine* line = best_line(one); line != nullptr) {
    const bool is_document = line->text.find('\n') != std::string::npos;
    page.row("do");
    page.words("",
               is_document ? "limit " + format_size(*one.advised_bytes) + ", request " +
                                 format_size(*one.request_bytes) + " (--format " + line->tool + " gives the lines)"
                           : escape_terminal(line->text),
               Tone::kBold);
  }
  if (!one.other_limits.empty()) {
    page.row("at limits");
    page.piece("", "windows seen above", Tone::kDim);
    bool first = true;
    bool held = false;  // the lowest one that all windows kept to is told, and the higher ones that matter
    for (const OtherLimit& limit : one.other_limits) {
      if ((!held && limit.windows_above) || limit.kind != OtherLimit::Kind::kStep) {
        page.piece(std::exchange(first, false) ? " " : kDot, limit_words(limit, one.usage.peaks.windows()));
      }
      held = held || limit.windows_above.value_or(0) == 0;
    }
  }
}

void put_evidence(Layout& page, const SizingReport& report) {
  page.row("evidence");
  page.piece("", report.gaps.empty() ? "complete" : "not complete", report.gaps.empty() ? Tone::kPlain : Tone::kNotice);
  if (!report.charge_tier.empty()) {
    page.piece(kDot, "charges " + escape_terminal(report.charge_tier));
  }
  page.piece(kDot, "lost: " + describe(report.lost));
  for (const std::string& gap : report.gaps) {
    page.row("");
    page.words("", "- " + escape_terminal(gap));
  }
  for (const std::string& note : report.notes) {
    page.row("");
    page.words("", "- " + escape_terminal(note));
  }
}

bool wants_detail(const Sizing& one) {
  const bool quiet = one.size_class == SizeClass::kFine || one.size_class == SizeClass::kUnknown;
  return !quiet || one.usage.ooms.own + one.usage.ooms.elsewhere > 0;
}

}  // namespace

std::string to_text(const SizingReport& report, const SizingStyle& style) {
  const std::size_t columns = style.columns.value_or(kPageColumns);
  Layout head(columns, style.color);
  put_head(head, report);
  std::string out = head.finish() + "\n";
  if (report.sizings.empty()) {
    out += "No container was seen.\n\n";
  } else {
    out += table(report, style).text + "\n";
  }
  Layout page(columns, style.color);
  std::size_t shown = 0;
  std::size_t more = 0;
  std::size_t unknown = 0;
  // Of a single one all is told, of many what wants action.
  for (const Sizing& one : report.sizings) {
    if (report.sizings.size() > 1 && !wants_detail(one)) {
      unknown += one.size_class == SizeClass::kUnknown ? 1 : 0;
      continue;
    }
    if (++shown <= kMostDetails) {
      put_detail(page, one);
    } else {
      ++more;
    }
  }
  if (more > 0) {
    page.heading();
    page.words("", counted(more, "more is", "more are") + " explained with --container, or --format json.", Tone::kDim);
  }
  if (unknown > 0) {
    page.heading();
    page.words("",
               std::to_string(unknown) + " unknown: usage crossed no level, or fewer than " +
                   std::to_string(kLeastWindows) + " windows were seen.",
               Tone::kDim);
  }
  put_evidence(page, report);
  return out + page.finish();
}

}  // namespace memcrest
