// SPDX-License-Identifier: Apache-2.0
#include "identity/http_answer.h"

#include <gmock/gmock.h>

#include <random>

namespace memcrest {
namespace {

using ::testing::HasSubstr;

constexpr HttpLimits kSmall{.head_bytes = 200, .body_bytes = 100};

struct Outcome {
  bool complete = false;  // before the end of the stream
  int code = 0;           // of the error
  std::string detail;
  HttpAnswer answer;
};

// Feeds `text` in pieces of `piece` bytes and then ends it.
Outcome read(std::string_view text, std::size_t piece = 1, HttpLimits limits = kSmall) {
  HttpAnswerReader reader(limits);
  Outcome outcome;
  Result<bool> complete = false;
  while (!text.empty() && complete && !*complete) {
    complete = reader.feed(text.substr(0, piece));
    text.remove_prefix(std::min(piece, text.size()));
  }
  if (complete && *complete) {
    outcome.complete = true;
  } else if (complete) {
    complete = reader.end();
  }
  if (complete) {
    outcome.answer = reader.take();
  } else {
    outcome.code = complete.error().code;
    outcome.detail = complete.error().detail;
  }
  return outcome;
}

TEST(HttpAnswerReader, BodyByLengthInAnyPieces) {
  const std::string text = "HTTP/1.0 200 OK\r\nServer: x\r\nContent-LENGTH:  5 \r\n\r\nhello and more";
  for (std::size_t piece = 1; piece <= text.size(); ++piece) {
    const Outcome outcome = read(text, piece);
    EXPECT_TRUE(outcome.complete) << piece;
    EXPECT_EQ(outcome.answer.status, 200);
    EXPECT_EQ(outcome.answer.body, "hello");
  }
}

TEST(HttpAnswerReader, BodyUntilTheEnd) {
  const std::string text = "HTTP/1.1 404 Not Found\nX: y\n\nbody\n\n";
  for (std::size_t piece = 1; piece <= text.size(); ++piece) {
    const Outcome outcome = read(text, piece);
    EXPECT_FALSE(outcome.complete);
    EXPECT_EQ(outcome.code, 0);
    EXPECT_EQ(outcome.answer.status, 404);
    EXPECT_EQ(outcome.answer.body, "body\n\n");
  }
  EXPECT_TRUE(read("HTTP/1.0 204 -\r\nContent-Length: 0\r\n\r\n").complete);
  EXPECT_EQ(read("HTTP/1.0 200\r\n\r\n").answer.status, 200) << "no reason phrase";
}

TEST(HttpAnswerReader, WhatIsNotHttpIsRefusedAtOnce) {
  HttpAnswerReader reader(kSmall);
  EXPECT_EQ(reader.feed("SSH-2.0-OpenSSH").error().code, EPROTO);
  for (const char* text :
       {"\n", "garbage garbage", "HTTP/2 200 OK\r\n\r\n", "HTTP/1.1\r\n\r\n", "HTTP/1.1 abc\r\n\r\n",
        "HTTP/1.1 99\r\n\r\n", "HTTP/1.1 -20 OK\r\n\r\n", "HTTP/1.1 20\r\n\r\n", "HTTP/1.1 099 x\r\n\r\n",
        "\0\0\0\0\0\0\0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "HTTP/1.0 200 OK\r\nContent-Length: x\r\n\r\n", "HTTP/1.0 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.0 200 OK\r\nContent-Length:\r\n\r\n", "HTTP/1.0 200 OK\r\nContent-Length: 3 4\r\n\r\n",
        "HTTP/1.0 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"}) {
    for (const std::size_t piece : {1U, 3U, 1000U}) {
      EXPECT_EQ(read(text, piece).code, EPROTO) << text;
    }
  }
}

TEST(HttpAnswerReader, CutShort) {
  for (const char* text : {"", "HTTP/1.0 200 OK\r\n", "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhell"}) {
    const Outcome outcome = read(text);
    EXPECT_EQ(outcome.code, EPROTO);
    EXPECT_THAT(outcome.detail, HasSubstr("closed"));
  }
}

TEST(HttpAnswerReader, LimitsOfHeadAndBody) {
  const std::string head = "HTTP/1.0 200 OK\r\n";
  for (const std::size_t piece : {1U, 7U, 100000U}) {
    EXPECT_EQ(read(head + "X: " + std::string(1000, 'a'), piece).code, EMSGSIZE);
    std::string many;
    for (int i = 0; i < 100; ++i) {
      many += "a: b\r\n";
    }
    EXPECT_EQ(read(head + many, piece).code, EMSGSIZE);
    EXPECT_EQ(read(head + many + "\r\n", piece).code, EMSGSIZE) << "complete, yet too large";
    EXPECT_EQ(read(head + "\r\n" + std::string(101, 'a'), piece).code, EMSGSIZE);
    EXPECT_EQ(read(head + "\r\n" + std::string(100, 'a'), piece).code, 0);
    EXPECT_EQ(read(head + "Content-Length: 101\r\n\r\n", piece).code, EMSGSIZE) << "before the first byte of it";
    EXPECT_EQ(read(head + "Content-Length: 99999999999999999999999\r\n\r\n", piece).code, EMSGSIZE);
    EXPECT_EQ(read(head + "Content-Length: 100\r\n\r\n" + std::string(100, 'a'), piece).answer.body.size(), 100U);
  }
}

TEST(HttpHeadReader, GivesBackWhatFollowsTheHead) {
  const std::string text = "HTTP/1.0 200 OK\r\nContent-Length: 99999\r\n\r\n{first}";
  const std::size_t head = text.find('{');
  for (std::size_t piece = 1; piece <= text.size(); ++piece) {
    HttpHeadReader reader(200);
    std::size_t at = 0;
    Result<std::optional<std::string_view>> body = std::nullopt;
    for (; body && !*body && at < text.size(); at += piece) {
      body = reader.feed(std::string_view(text).substr(at, piece));
    }
    ASSERT_TRUE(body && *body) << piece;
    EXPECT_EQ(**body, text.substr(head, std::min(at, text.size()) - head));
    EXPECT_EQ(reader.status(), 200);
    EXPECT_EQ(reader.length(), 99999U) << "told, not judged";
  }
}

TEST(HttpHeadReader, AnAnswerGoesOnAfterIt) {
  HttpHeadReader head(200);
  const auto rest = head.feed("HTTP/1.0 500 x\r\nContent-Length: 5\r\n\r\nhe");
  ASSERT_TRUE(rest && *rest);
  HttpAnswerReader answer(kSmall, head);
  EXPECT_FALSE(*answer.feed(**rest));
  EXPECT_TRUE(*answer.feed("llo"));
  const HttpAnswer whole = answer.take();
  EXPECT_EQ(whole.status, 500);
  EXPECT_EQ(whole.body, "hello");
}

TEST(HttpAnswerReader, ABodyTakenWhileItArrives) {
  for (const bool with_length : {true, false}) {
    HttpAnswerReader reader(kSmall);
    EXPECT_EQ(reader.status(), 0);
    EXPECT_EQ(*reader.feed("HTTP/1.0 201 Made\r\n"), false);
    EXPECT_EQ(reader.status(), 0) << "the head is not complete";
    EXPECT_EQ(*reader.feed(with_length ? "Content-Length: 100\r\n\r\nhello" : "\r\nhello"), false);
    EXPECT_EQ(reader.status(), 201);
    EXPECT_EQ(reader.take_body(), "hello");
    EXPECT_EQ(reader.take_body(), "");
    EXPECT_EQ(*reader.feed(std::string(90, 'a')), false);
    EXPECT_EQ(reader.take_body(), std::string(90, 'a'));
    if (with_length) {
      EXPECT_EQ(reader.end().error().code, EPROTO) << "five are missing";
    }
    EXPECT_EQ(*reader.feed("12345"), with_length);
    EXPECT_EQ(reader.take_body(), "12345");
    EXPECT_TRUE(*reader.end());
    if (!with_length) {
      EXPECT_EQ(reader.feed("6").error().code, EMSGSIZE) << "what was taken counts";
    }
  }
}

TEST(HttpAnswerReader, RandomAnswersDoNotCrash) {
  const std::vector<std::string> parts = {
      "HTTP/1.0 200 OK", "\r\n", "\n", "Content-Length: ", "5", "\r\n\r\n", "x", ":", " ", std::string("\0\xff", 2)};
  std::mt19937 random(5);
  for (int round = 0; round < 20000; ++round) {
    std::string text = random() % 4 == 0 ? "" : "HTTP/1.0 200 OK\r\n";
    for (auto i = random() % 12; i > 0; --i) {
      text += parts[random() % parts.size()];
    }
    const Outcome whole = read(text, 1000);
    const Outcome bytes = read(text, 1);
    EXPECT_EQ(whole.code, bytes.code) << text;
    EXPECT_EQ(whole.answer.body, bytes.answer.body) << text;
  }
}

}  // namespace
}  // namespace memcrest
