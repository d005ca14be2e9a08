// SPDX-License-Identifier: Apache-2.0
// The whole screen as lines, for any size, and the list as plain text for a pipe. Everything from outside is escaped.
// Pure.
#pragma once

#include <string>
#include <vector>

#include "top/top_line.h"
#include "top/top_model.h"

namespace memcrest {

// Exactly `rows` lines of at most `columns`. Tells the model how far it could scroll.
[[nodiscard]] std::vector<TopLine> top_page(TopModel& model, std::size_t columns, std::size_t rows);

// The list alone, all of it, with its head; no wider than `columns` where there are any.
[[nodiscard]] std::string top_once(const TopModel& model, std::size_t columns, bool color);

// The detail of a container, the story of an incident (top_detail.cpp).
[[nodiscard]] std::vector<TopLine> detail_lines(const LiveDetail& detail, bool gone, const LiveSnapshot& moment,
                                                std::size_t columns);
[[nodiscard]] std::vector<TopLine> story_lines(const Incident& incident, std::size_t columns);

}  // namespace memcrest
