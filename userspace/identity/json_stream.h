// SPDX-License-Identifier: Apache-2.0
// JSON that arrives piece by piece, read without a tree and without ever holding more than one string of it. Long
// strings are cut before the parser sees them, so that one long annotation neither costs its size nor spoils the rest.
// Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "util/result.h"

namespace memcrest {

// Of one string, as it was sent. What is longer is cut, at the end of a character.
inline constexpr std::size_t kMaxJsonStringBytes = std::size_t{16} << 10U;
inline constexpr std::size_t kMaxJsonDepth = 64;

// What a reader is told, in the order of the text. A path holds the keys that lead to a place; "" stands for an element
// of an array.
class JsonHandler {
 public:
  struct Value {
    enum class Kind : std::uint8_t { kText, kNumber, kBoolean };
    Kind kind = Kind::kNumber;
    std::string_view text = {};
    std::int64_t number = 0;  // whole numbers that fit; others are not told
    bool boolean = false;
  };
  using Path = std::span<const std::string>;

  virtual ~JsonHandler() = default;
  virtual void value(Path path, const Value& value) = 0;
  // The object at `path` is complete.
  virtual void close(Path path) = 0;
};

class JsonStream {
 public:
  // The next bytes, which stay valid until the next call; empty: there are no more.
  using Pieces = std::function<std::string_view()>;
  // Where one document ends: with its line (what a Kubernetes watch sends), or with the stream.
  enum class End : std::uint8_t { kOfLine, kOfStream };

  // `max_bytes`: of one document.
  JsonStream(Pieces pieces, End end, std::size_t max_bytes);

  // Is there another document? Waits for its first byte. False: the stream has ended.
  [[nodiscard]] bool more();
  // Reads one document. Errors: EPROTO not JSON, or nested deeper than kMaxJsonDepth; EMSGSIZE too long; ENODATA the
  // stream ended within it. The stream is of no use after an error.
  [[nodiscard]] Result<void> read(JsonHandler& handler);

  // For the parser's input: the next byte that it shall see, -1 at the end of the document.
  [[nodiscard]] int next_byte();

 private:
  bool fill();
  [[nodiscard]] bool keeps(char byte);
  [[nodiscard]] bool keeps_in_string(char byte);
  void in_escape(char byte);

  Pieces pieces_;
  End end_;
  std::size_t max_bytes_;
  std::string_view piece_;
  bool stream_ended_ = false;

  // Of the document that is being read:
  std::size_t bytes_ = 0;
  std::string refused_;  // why it is not read on
  int refused_code_ = 0;
  std::size_t token_ = 0;  // bytes of a number or a word so far
  bool in_string_ = false;
  bool cutting_ = false;         // the rest of this string is left out
  bool high_surrogate_ = false;  // the character before was half of one: what follows belongs to it
  std::size_t kept_ = 0;         // bytes of this string so far
  unsigned escape_left_ = 0;     // bytes of an escape that are still to come
  bool escape_begins_ = false;   // just after the backslash
  unsigned escape_value_ = 0;    // of \uXXXX so far
};

}  // namespace memcrest
