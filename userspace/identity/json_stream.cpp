// SPDX-License-Identifier: Apache-2.0
#include "identity/json_stream.h"

#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

namespace memcrest {
namespace {

constexpr std::size_t kMaxTokenBytes = 64;  // a number, true, false, null
constexpr std::string_view kBlank = " \t\r\n";

bool is_blank(char byte) { return kBlank.find(byte) != std::string_view::npos; }

// nlohmann reads from iterators; this one fetches what it stands on only when it is looked at, since the next byte may
// be a minute away.
class Bytes {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = char;

  Bytes() = default;
  explicit Bytes(JsonStream* stream) : stream_(stream) {}

  char operator*() const { return static_cast<char>(peek()); }
  Bytes& operator++() {
    peek();
    known_ = false;
    return *this;
  }
  Bytes operator++(int) {
    Bytes before = *this;
    ++*this;
    return before;
  }
  bool operator==(const Bytes& other) const { return at_end() == other.at_end(); }
  bool operator!=(const Bytes& other) const { return !(*this == other); }

 private:
  [[nodiscard]] bool at_end() const { return stream_ == nullptr || peek() < 0; }
  int peek() const {
    if (!known_) {
      byte_ = stream_->next_byte();
      known_ = true;
    }
    return byte_;
  }

  JsonStream* stream_ = nullptr;
  mutable int byte_ = -1;
  mutable bool known_ = false;
};

// Keeps the path and hands on what the handler wants. Returning false stops nlohmann's parser: no exceptions.
class Walker final : public nlohmann::json::json_sax_t {
 public:
  explicit Walker(JsonHandler& handler) : handler_(handler) {}

  [[nodiscard]] const std::string& why() const { return why_; }

  bool null() override { return true; }
  bool boolean(bool value) override { return give({.kind = JsonHandler::Value::Kind::kBoolean, .boolean = value}); }
  bool number_float(double /*value*/, const std::string& /*text*/) override { return true; }
  bool binary(nlohmann::json::binary_t& /*value*/) override { return true; }
  bool number_integer(std::int64_t value) override { return give({.number = value}); }
  bool number_unsigned(std::uint64_t value) override {
    return value > std::numeric_limits<std::int64_t>::max() || give({.number = static_cast<std::int64_t>(value)});
  }
  bool string(std::string& value) override { return give({.kind = JsonHandler::Value::Kind::kText, .text = value}); }
  bool key(std::string& name) override {
    path_.back() = name;
    return true;
  }
  bool start_object(std::size_t /*elements*/) override { return open(); }
  bool start_array(std::size_t /*elements*/) override { return open(); }
  bool end_object() override {
    path_.pop_back();
    handler_.close(path_);
    return true;
  }
  bool end_array() override {
    path_.pop_back();
    return true;
  }
  bool parse_error(std::size_t position, const std::string& /*last_token*/,
                   const nlohmann::json::exception& /*error*/) override {
    why_ = "not JSON at byte " + std::to_string(position);
    return false;
  }

 private:
  bool give(const JsonHandler::Value& value) {
    if (!path_.empty()) {
      handler_.value(path_, value);
    }
    return true;
  }
  bool open() {
    path_.emplace_back();
    if (path_.size() > kMaxJsonDepth) {
      why_ = "JSON nested deeper than " + std::to_string(kMaxJsonDepth);
      return false;
    }
    return true;
  }

  JsonHandler& handler_;
  std::vector<std::string> path_;
  std::string why_;
};

}  // namespace

JsonStream::JsonStream(Pieces pieces, End end, std::size_t max_bytes)
    : pieces_(std::move(pieces)), end_(end), max_bytes_(max_bytes) {}

bool JsonStream::fill() {
  if (piece_.empty() && !stream_ended_) {
    piece_ = pieces_();
    stream_ended_ = piece_.empty();
  }
  return !piece_.empty();
}

bool JsonStream::more() {
  while (fill()) {
    const std::size_t begin = piece_.find_first_not_of(kBlank);
    if (begin != std::string_view::npos) {
      piece_.remove_prefix(begin);
      return true;
    }
    piece_ = {};
  }
  return false;
}

int JsonStream::next_byte() {
  while (refused_code_ == 0 && fill()) {
    const char byte = piece_.front();
    if (byte == '\n' && end_ == End::kOfLine && !in_string_) {
      return -1;  // stays, so that it ends the document however often one asks
    }
    piece_.remove_prefix(1);
    if (++bytes_ > max_bytes_) {
      refused_code_ = EMSGSIZE;
      refused_ = "longer than " + std::to_string(max_bytes_) + " bytes";
      break;
    }
    if (in_string_ ? keeps_in_string(byte) : keeps(byte)) {
      return static_cast<unsigned char>(byte);
    }
  }
  return -1;
}

bool JsonStream::keeps(char byte) {
  constexpr std::string_view kStructure = "{}[]:,";
  if (byte == '"') {
    in_string_ = true;
    cutting_ = false;
    high_surrogate_ = false;
    kept_ = 0;
    token_ = 0;
  } else if (is_blank(byte) || kStructure.find(byte) != std::string_view::npos) {
    token_ = 0;
  } else if (++token_ > kMaxTokenBytes) {
    refused_code_ = EPROTO;
    refused_ = "not JSON: a number or word without end";
    return false;
  }
  return true;
}

bool JsonStream::keeps_in_string(char byte) {
  const bool continuation = (static_cast<unsigned char>(byte) & 0xc0U) == 0x80U;
  if (escape_left_ > 0) {
    in_escape(byte);
  } else if (!continuation) {  // a character begins: only here may a string be cut
    if (byte == '"') {
      in_string_ = false;
      return true;
    }
    cutting_ = cutting_ || (kept_ >= kMaxJsonStringBytes && !high_surrogate_);
    high_surrogate_ = false;
    if (byte == '\\') {
      escape_left_ = 1;
      escape_begins_ = true;
    }
  }
  if (cutting_) {
    return false;
  }
  // Continuation bytes without end are not UTF-8 and of no use; the parser says so.
  ++kept_;
  return true;
}

void JsonStream::in_escape(char byte) {
  --escape_left_;
  if (std::exchange(escape_begins_, false)) {
    escape_left_ = byte == 'u' ? 4 : 0;
    escape_value_ = 0;
    return;
  }
  unsigned digit = 0;
  if (byte >= '0' && byte <= '9') {
    digit = static_cast<unsigned>(byte - '0');
  } else {
    digit = (static_cast<unsigned char>(byte) & 0x0fU) + 9U;  // a to f; anything else the parser refuses
  }
  escape_value_ = (escape_value_ << 4U) | digit;
  if (escape_left_ == 0) {
    high_surrogate_ = (escape_value_ & 0xfc00U) == 0xd800U;
  }
}

Result<void> JsonStream::read(JsonHandler& handler) {
  bytes_ = 0;
  token_ = 0;
  in_string_ = false;
  escape_left_ = 0;
  Walker walker(handler);
  bool whole = false;
  std::string why;
  try {
    whole = nlohmann::json::sax_parse(Bytes(this), Bytes(), &walker) && refused_code_ == 0;
    why = walker.why();
  } catch (const std::exception& error) {  // out of memory
    why = error.what();
  }
  if (whole) {
    return {};
  }
  if (refused_code_ != 0) {
    return fail("read JSON", {}, refused_code_, refused_);
  }
  if (stream_ended_ && piece_.empty()) {
    return fail("read JSON", {}, ENODATA, "it ends after " + std::to_string(bytes_) + " bytes, incomplete");
  }
  return fail("read JSON", {}, EPROTO, std::move(why));
}

}  // namespace memcrest
