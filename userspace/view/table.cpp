// SPDX-License-Identifier: Apache-2.0
#include "view/table.h"

#include <algorithm>
#include <numeric>

#include "util/text.h"

namespace memcrest {
namespace {

constexpr std::size_t kGap = 2;  // between two columns

struct Fitted {
  std::size_t index = 0;  // of the column
  std::size_t natural = 0;
  std::size_t width = 0;
};

std::size_t least_width(const TableColumn& column, const Fitted& fitted) {
  return column.least == 0 ? fitted.natural : std::min(fitted.natural, column.least);
}

// Shortens the widest that may be shortened, one column of the terminal at a time, so that what is shortened ends
// equally wide.
void shrink(const std::vector<TableColumn>& columns, std::vector<Fitted>& shown, std::size_t excess) {
  for (; excess > 0; --excess) {
    Fitted* widest = nullptr;
    for (Fitted& one : shown) {
      const bool may = one.width > least_width(columns[one.index], one);
      widest = may && (widest == nullptr || one.width > widest->width) ? &one : widest;
    }
    if (widest == nullptr) {
      return;
    }
    --widest->width;
  }
}

template <typename Width>
std::size_t total(const std::vector<Fitted>& shown, Width width) {
  const std::size_t gaps = shown.empty() ? 0 : kGap * (shown.size() - 1);
  return std::accumulate(shown.begin(), shown.end(), gaps,
                         [&](std::size_t sum, const Fitted& one) { return sum + width(one); });
}

// Leaves out what matters least until the rest fits with its texts shortened.
std::vector<std::string> drop(const std::vector<TableColumn>& columns, std::vector<Fitted>& shown, std::size_t room) {
  std::vector<std::string> omitted;
  while (total(shown, [&](const Fitted& one) { return least_width(columns[one.index], one); }) > room) {
    const auto last = std::ranges::max_element(shown, {}, [&](const Fitted& one) { return columns[one.index].rank; });
    if (last == shown.end() || columns[last->index].rank == 0) {
      break;
    }
    omitted.push_back(columns[last->index].header);
    shown.erase(last);
  }
  return omitted;
}

std::string padded(const std::string& text, std::size_t width, bool right, bool last) {
  const std::size_t used = display_width(text);
  const std::string space(width > used ? width - used : 0, ' ');
  return right ? space + text : last ? text : text + space;
}

}  // namespace

TableText format_table(std::vector<TableColumn> columns, std::vector<std::vector<TableCell>> rows,
                       std::optional<std::size_t> terminal_columns, bool color) {
  std::vector<Fitted> shown;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    std::size_t widest = 0;
    for (const auto& row : rows) {
      widest = std::max(widest, display_width(row[i].text));
    }
    if (widest > 0 || !columns[i].optional) {
      const std::size_t natural = std::max(widest, display_width(columns[i].header));
      shown.push_back({i, natural, natural});
    }
  }
  TableText out;
  if (terminal_columns) {
    out.omitted = drop(columns, shown, *terminal_columns);
    const std::size_t wanted = total(shown, [](const Fitted& one) { return one.width; });
    shrink(columns, shown, wanted > *terminal_columns ? wanted - *terminal_columns : 0);
  }
  std::vector<TableCell> headers;
  for (const TableColumn& column : columns) {
    headers.push_back({column.header, Tone::kDim});
  }
  rows.insert(rows.begin(), std::move(headers));
  for (const auto& row : rows) {
    for (const Fitted& one : shown) {
      const TableCell& cell = row[one.index];
      const bool last = &one == &shown.back();
      out.text += &one == &shown.front() ? "" : std::string(kGap, ' ');
      out.text += in_tone(padded(truncate_middle(cell.text, one.width), one.width, columns[one.index].right, last),
                          cell.tone, color);
    }
    out.text.erase(out.text.find_last_not_of(' ') + 1);
    out.text += '\n';
  }
  return out;
}

}  // namespace memcrest
