// SPDX-License-Identifier: Apache-2.0
#include "identity/line_reader.h"

#include <gmock/gmock.h>

#include <vector>

namespace memcrest {
namespace {

using ::testing::ElementsAre;

std::vector<std::string> lines_of(LineReader& reader, std::string_view text, std::size_t piece) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    reader.feed(text.substr(0, piece), [&](std::string_view line) { lines.emplace_back(line); });
    text.remove_prefix(std::min(piece, text.size()));
  }
  return lines;
}

TEST(LineReader, LinesInAnyPieces) {
  for (std::size_t piece = 1; piece < 20; ++piece) {
    LineReader reader(5);
    EXPECT_THAT(lines_of(reader, "one\n\n12345\n123456\ntwo\nopen", piece), ElementsAre("one", "12345", "two"));
    EXPECT_EQ(reader.skipped(), 1U);
    EXPECT_EQ(reader.length(), 4U);
  }
}

TEST(LineReader, AnEndlessLineIsCountedNotKept) {
  LineReader reader(100);
  const std::string piece(1000, 'x');
  for (int i = 0; i < 1000; ++i) {
    reader.feed(piece, [](std::string_view) { FAIL(); });
  }
  EXPECT_EQ(reader.length(), 1'000'000U);
  EXPECT_EQ(reader.skipped(), 0U) << "it has not ended";
  std::vector<std::string> lines = lines_of(reader, "x\nnext\n", 3);
  EXPECT_THAT(lines, ElementsAre("next"));
  EXPECT_EQ(reader.skipped(), 1U);
}

}  // namespace
}  // namespace memcrest
