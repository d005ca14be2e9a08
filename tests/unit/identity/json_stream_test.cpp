// SPDX-License-Identifier: Apache-2.0
#include "identity/json_stream.h"

#include <gmock/gmock.h>

#include <utility>

namespace memcrest {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Everything it is told, as text.
class Recorder final : public JsonHandler {
 public:
  void value(Path path, const Value& value) override {
    std::string text;
    switch (value.kind) {
      case Value::Kind::kText:
        text = "'" + std::string(value.text) + "'";
        break;
      case Value::Kind::kNumber:
        text = std::to_string(value.number);
        break;
      case Value::Kind::kBoolean:
        text = value.boolean ? "true" : "false";
        break;
    }
    log.push_back(join(path) + "=" + text);
  }
  void close(Path path) override { log.push_back("/" + join(path)); }

  std::vector<std::string> log;

 private:
  static std::string join(Path path) {
    std::string out;
    for (const std::string& key : path) {
      out += (out.empty() ? "" : ".") + (key.empty() ? "*" : key);
    }
    return out;
  }
};

// Hands out `text` in pieces of `size` bytes.
JsonStream::Pieces pieces(std::string text, std::size_t size) {
  return [text = std::move(text), at = std::size_t{0}, size]() mutable {
    const std::string_view piece = std::string_view(text).substr(at, size);
    at += piece.size();
    return piece;
  };
}

struct Outcome {
  int code = 0;
  std::string message;
  std::vector<std::string> log;
};

Outcome read(const std::string& text, std::size_t size = 1U << 20U, std::size_t limit = 1U << 26U) {
  JsonStream stream(pieces(text, size), JsonStream::End::kOfStream, limit);
  Recorder recorder;
  const auto result = stream.read(recorder);
  return {.code = result ? 0 : result.error().code,
          .message = result ? "" : result.error().message(),
          .log = std::move(recorder.log)};
}

TEST(JsonStream, TellsPathsAndValues) {
  for (const std::size_t size : {1U, 2U, 3U, 7U, 1000U}) {
    const Outcome out =
        read(R"({"a":{"b":["x",{"c":-7}]},"t":true,"n":null,"f":1.5,"big":18446744073709551615} )", size);
    EXPECT_EQ(out.code, 0) << out.message;
    EXPECT_THAT(out.log, ElementsAre("a.b.*='x'", "a.b.*.c=-7", "/a.b.*", "/a", "t=true", "/"));
  }
}

TEST(JsonStream, RefusesWhatIsNotJson) {
  EXPECT_EQ(read("<html>no</html>").code, EPROTO);
  EXPECT_EQ(read("{} {}").code, EPROTO);
  EXPECT_EQ(read("{\"a\":\"\xff\"}").code, EPROTO) << "not UTF-8";
  EXPECT_EQ(read("{\"a\":\"\n\"}").code, EPROTO);
  EXPECT_EQ(read(std::string(1000, '[')).code, EPROTO);
  EXPECT_THAT(read(std::string(1000, '[')).message, HasSubstr("deeper than 64"));
  std::string deep = "1";
  for (int i = 0; i < 64; ++i) {
    deep = "[" + deep + "]";
  }
  EXPECT_EQ(read(deep).code, 0);
  EXPECT_EQ(read("[" + deep + "]").code, EPROTO);
}

TEST(JsonStream, EndsTooEarly) {
  const std::string text = R"({"a":["b",{"c":"d\u00e4"}]})";
  for (std::size_t length = 0; length < text.size(); ++length) {
    EXPECT_EQ(read(text.substr(0, length), 3).code, ENODATA) << length;
  }
}

TEST(JsonStream, HoldsNoMoreThanItsLimits) {
  EXPECT_EQ(read("{\"a\":" + std::string(1000, '1') + "}").code, EPROTO) << "a number without end";
  EXPECT_EQ(read("{\"a\":\"" + std::string(1000, 'x') + "\"}", 100, 500).code, EMSGSIZE);
  EXPECT_EQ(read(std::string(1000, ' ') + "{}", 100, 500).code, EMSGSIZE);
}

TEST(JsonStream, CutsLongStringsAndReadsOn) {
  const std::string longer(100'000, 'x');
  const Outcome out = read("{\"a\":\"" + longer + "\",\"" + longer + "\":1,\"b\":2}", 4096);
  EXPECT_EQ(out.code, 0) << out.message;
  const std::string cut = longer.substr(0, kMaxJsonStringBytes);
  EXPECT_THAT(out.log, ElementsAre("a='" + cut + "'", cut + "=1", "b=2", "/"));
}

TEST(JsonStream, CutsBetweenCharactersOnly) {
  struct Case {
    const char* sent;
    const char* read;
  };
  // However the string is shifted against the limit, what is read is whole characters.
  for (const Case& unit : {Case{"ä", "ä"}, Case{"😀", "😀"}, Case{"\\n", "\n"}, Case{"\\\"", "\""}, Case{"\\\\", "\\"},
                           Case{"\\u00e4", "ä"}, Case{"\\ud83d\\ude00", "😀"}, Case{"\\uD83D\\uDE00", "😀"}}) {
    for (std::size_t shift = 0; shift < 13; ++shift) {
      std::string sent = "{\"a\":\"" + std::string(shift, '.');
      while (sent.size() < kMaxJsonStringBytes + 1000) {
        sent += unit.sent;
      }
      const Outcome out = read(sent + "\",\"b\":\"end\"}", 100);
      ASSERT_EQ(out.code, 0) << unit.sent << " shifted by " << shift << ": " << out.message;
      ASSERT_EQ(out.log.size(), 3U);
      EXPECT_EQ(out.log[1], "b='end'");
      std::string_view text = out.log[0];
      text.remove_prefix(3 + shift);
      text.remove_suffix(1);
      EXPECT_LE(text.size(), kMaxJsonStringBytes);
      EXPECT_GT(text.size(), kMaxJsonStringBytes / 8);
      for (; !text.empty(); text.remove_prefix(std::string_view(unit.read).size())) {
        ASSERT_TRUE(text.starts_with(unit.read)) << unit.sent << " shifted by " << shift;
      }
    }
  }
}

TEST(JsonStream, ReadsLineByLine) {
  const std::string text = "{\"a\":1}\n{\"b\":\"x\"}\r\n\n  {\"c\":3}";
  for (const std::size_t size : {1U, 5U, 1000U}) {
    JsonStream stream(pieces(text, size), JsonStream::End::kOfLine, 100);
    Recorder recorder;
    int documents = 0;
    while (stream.more()) {
      ASSERT_TRUE(stream.read(recorder));
      ++documents;
    }
    EXPECT_EQ(documents, 3);
    EXPECT_THAT(recorder.log, ElementsAre("a=1", "/", "b='x'", "/", "c=3", "/"));
  }
}

// A line is done with its own end: the next one may be minutes away.
TEST(JsonStream, DoesNotWaitForTheNextLine) {
  int asked = 0;
  JsonStream stream(
      [&]() -> std::string_view {
        ++asked;
        return asked == 1 ? "{\"a\":1}\n" : "";
      },
      JsonStream::End::kOfLine, 100);
  Recorder recorder;
  ASSERT_TRUE(stream.more());
  ASSERT_TRUE(stream.read(recorder));
  EXPECT_EQ(asked, 1);
  EXPECT_FALSE(stream.more());
}

TEST(JsonStream, ALineCutShort) {
  JsonStream stream(pieces("{\"a\":1}\n{\"b\":", 100), JsonStream::End::kOfLine, 100);
  Recorder recorder;
  ASSERT_TRUE(stream.more() && stream.read(recorder));
  ASSERT_TRUE(stream.more());
  EXPECT_EQ(stream.read(recorder).error().code, ENODATA);
  JsonStream broken(pieces("{\"b\":\n1}\n", 100), JsonStream::End::kOfLine, 100);
  ASSERT_TRUE(broken.more());
  EXPECT_EQ(broken.read(recorder).error().code, EPROTO) << "the line ended, not the stream";
}

}  // namespace
}  // namespace memcrest
