// SPDX-License-Identifier: Apache-2.0
#include "util/redact.h"

#include <algorithm>

#include "util/secret_words.h"
#include "util/text.h"

namespace memcrest {
namespace {

using secret_words::equals_ignoring_case;
using secret_words::is_alnum;

constexpr std::string_view kMask = "***";
constexpr std::string_view kLeftOut = "[redacted]";

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
bool is_quote(char c) { return c == '"' || c == '\''; }
bool is_name(char c) { return is_alnum(c) || c == '_' || c == '-' || c == '.'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Where an option's value is missing and the next option follows: "--password --verbose", "--password -h".
bool is_option(std::string_view word) {
  const auto is_letter = [](char c) { return is_alnum(c) && !is_digit(c); };
  if (word.size() == 2) {
    return word[0] == '-' && is_letter(word[1]);
  }
  return word.size() > 2 && word.starts_with("--") && is_letter(word[2]) &&
         std::ranges::all_of(word.substr(0, word.find('=')), is_name);
}

// In "Authorization: Bearer X" the secret is X.
bool is_scheme(std::string_view word) {
  return equals_ignoring_case(word, "bearer") || equals_ignoring_case(word, "basic") ||
         equals_ignoring_case(word, "token") || equals_ignoring_case(word, "digest");
}

// One argument after the other. Whether the next argument is a secret is known from the one before. An argument may
// hold a whole command (sh -c "..."), a URL, JSON or a connection string.
class Masker {
 public:
  // `cut`: the argument may go on.
  std::string argument(std::string_view text, bool cut);

 private:
  void scan();
  // Each masks what begins at at_ and returns whether there was anything. It moves at_ on.
  bool token();
  bool named();
  bool bearer();
  bool user_info();

  void put(std::size_t end) {
    out_ += text_.substr(at_, end - at_);
    at_ = end;
  }
  void mask(std::size_t begin, std::size_t end) {
    put(begin);
    out_ += begin < end ? kMask : "";
    at_ = end;
  }
  void assigned(std::size_t value, bool whole);
  bool option_value(std::size_t name_end);
  [[nodiscard]] std::size_t after_spaces(std::size_t from) const;
  [[nodiscard]] std::size_t line_end(std::size_t from) const;
  [[nodiscard]] std::size_t value_end(std::size_t from) const;
  [[nodiscard]] std::size_t word_end(std::size_t from) const;
  // The quotes around what follows `c`, which is not escaped.
  [[nodiscard]] char quote_after(char c) const {
    return !is_quote(c) ? quote_ : quote_ == 0 ? c : quote_ == c ? '\0' : quote_;
  }
  [[nodiscard]] bool begins_word() const { return at_ == 0 || !is_name(text_[at_ - 1]); }

  bool expects_value_ = false;  // the next argument is a secret
  std::string_view text_;
  bool cut_ = false;
  bool has_words_ = false;  // more than one: the border of a value is not the argument's
  std::size_t at_ = 0;
  char quote_ = 0;  // that encloses at_
  std::string out_;
};

std::string Masker::argument(std::string_view text, bool cut) {
  if (expects_value_ && !text.empty()) {
    expects_value_ = is_scheme(text);
    if (expects_value_) {
      return std::string(text);
    }
    if (!is_option(text)) {
      return std::string(kMask);
    }
  }
  expects_value_ = false;
  text_ = text;
  cut_ = cut;
  has_words_ = std::ranges::any_of(text, is_space);
  at_ = 0;
  quote_ = 0;
  out_.clear();
  scan();
  return out_;
}

void Masker::scan() {
  while (at_ < text_.size()) {
    if (token() || named() || bearer() || user_info()) {
      continue;
    }
    const char c = text_[at_];
    const char next = at_ + 1 < text_.size() ? text_[at_ + 1] : '\0';
    if (c == '\\' && (is_quote(next) || next == '\\')) {
      put(at_ + 1);
    } else {
      quote_ = quote_after(c);
    }
    put(at_ + 1);
  }
}

bool Masker::token() {
  if (at_ > 0 && is_alnum(text_[at_ - 1])) {
    return false;
  }
  const std::size_t length = secret_words::token_length(text_.substr(at_), cut_);
  if (length == 0) {
    return false;
  }
  mask(at_, at_ + length);
  return true;
}

// A name that announces a secret, with "=" or ":" or, for an option, a space before the value.
bool Masker::named() {
  if (!begins_word()) {
    return false;
  }
  const auto name_end = static_cast<std::size_t>(
      std::ranges::find_if_not(text_.begin() + static_cast<std::ptrdiff_t>(at_), text_.end(), is_name) - text_.begin());
  const std::string_view name = text_.substr(at_, name_end - at_);
  const bool header = secret_words::is_secret_header(name);
  if (name.empty() || (!header && !secret_words::names_secret(name))) {
    return false;
  }
  // "password": of JSON, [password] of a form, with its quote escaped perhaps.
  const char outside = quote_;
  std::size_t closed = name_end;
  while (closed < text_.size() && (is_quote(text_[closed]) || text_[closed] == '\\' || text_[closed] == ']')) {
    quote_ = text_[closed - 1] == '\\' ? quote_ : quote_after(text_[closed]);
    ++closed;
  }
  const std::size_t sign = after_spaces(closed);
  const char separator = sign < text_.size() ? text_[sign] : '\0';
  const std::size_t next = sign + 1;
  if (separator == '=') {
    // The argument's border is the value's where nothing stands before the name: KEY=value, --option=value.
    assigned(next, at_ == 0);
    return true;
  }
  if (separator == ':') {
    const bool at_end = next >= text_.size();
    if (!at_end && text_[next] == '=') {  // "name:=value"
      assigned(next + 1, at_ == 0);
      return true;
    }
    const bool member = closed > name_end && is_quote(text_[closed - 1]);
    if (header || member || at_end || is_space(text_[next]) || equals_ignoring_case(name, "pass")) {
      expects_value_ = at_end;
      const std::size_t value = after_spaces(next);
      member ? assigned(value, false) : mask(value, line_end(value));
      return true;
    }
  }
  quote_ = outside;
  return name.starts_with('-') && closed == name_end && option_value(name_end);
}

void Masker::assigned(std::size_t value, bool whole) {
  if (whole || !has_words_) {
    mask(value, text_.size());
    return;
  }
  value = after_spaces(value);
  mask(value, value_end(value));
}

// "--password X": in this argument, or the next one.
bool Masker::option_value(std::size_t name_end) {
  const std::size_t value = after_spaces(name_end);
  if (value == text_.size()) {
    expects_value_ = true;
    put(value);
    return true;
  }
  if (value == name_end || is_option(text_.substr(value, word_end(value) - value))) {
    return false;
  }
  mask(value, value_end(value));
  return true;
}

bool Masker::bearer() {
  constexpr std::string_view kBearer = "bearer";
  if (!begins_word() || !equals_ignoring_case(text_.substr(at_, kBearer.size()), kBearer)) {
    return false;
  }
  const std::size_t value = after_spaces(at_ + kBearer.size());
  if (value == at_ + kBearer.size() || value == text_.size()) {
    return false;
  }
  mask(value, value_end(value));
  return true;
}

// scheme://user:password@host
bool Masker::user_info() {
  constexpr std::string_view kSlashes = "://";
  constexpr std::size_t kLongUser = 20;  // such a user without a password is a token
  if (!text_.substr(at_).starts_with(kSlashes)) {
    return false;
  }
  const std::size_t begin = at_ + kSlashes.size();
  const std::size_t word = word_end(begin);
  const std::size_t path = std::min(text_.find_first_of("/?#", begin), word);
  const auto last_at = [&](std::size_t end) {
    const std::size_t at = text_.substr(begin, end - begin).rfind('@');
    return at == std::string_view::npos ? at : begin + at;
  };
  const std::size_t host = last_at(path);
  const std::size_t colon = std::min(text_.find(':', begin), path);
  const bool open = cut_ && path == text_.size();  // what follows could still be "@host"
  if (host != std::string_view::npos) {
    if (colon < host) {
      mask(colon + 1, host);
    } else if (host - begin >= kLongUser) {
      mask(begin, host);
    }
  } else if (colon < path) {
    const bool port = std::ranges::all_of(text_.substr(colon + 1, path - colon - 1), is_digit);
    // A password with a slash in it that nobody encoded.
    const std::size_t late = port ? std::string_view::npos : last_at(word);
    if (late != std::string_view::npos) {
      mask(colon + 1, late);
    } else if (open || (!port && cut_ && word == text_.size())) {
      mask(colon + 1, text_.size());
    }
  } else if (open && path - begin >= kLongUser &&
             text_.substr(begin, path - begin).find('.') == std::string_view::npos) {
    mask(begin, path);
  }
  put(std::max(at_, begin));
  return true;
}

std::size_t Masker::after_spaces(std::size_t from) const {
  while (from < text_.size() && is_space(text_[from])) {
    ++from;
  }
  return from;
}

// The end of a header's value: of the line, or of the quotes around it.
std::size_t Masker::line_end(std::size_t from) const {
  while (from < text_.size() && text_[from] != '\n' && (quote_ == 0 || text_[from] != quote_)) {
    from += text_[from] == '\\' ? 2 : 1;
  }
  return std::min(from, text_.size());
}

// The end of a value as a shell or JSON would see it: a blank, or the quotes around it. Shell operators do not end it:
// outside a shell they may be part of it.
std::size_t Masker::value_end(std::size_t from) const {
  while (from < text_.size() && !is_space(text_[from])) {
    const char c = text_[from];
    if (c == '\\' && from + 1 < text_.size() && is_quote(text_[from + 1])) {
      // An escaped quote: up to the next one like it.
      const std::size_t close = text_.find(text_.substr(from, 2), from + 2);
      from = close == std::string_view::npos ? text_.size() : close + 2;
    } else if (c == '\\') {
      from += 2;
    } else if (is_quote(c)) {
      if (c == quote_) {
        return from;
      }
      ++from;
      while (from < text_.size() && text_[from] != c) {
        from += text_[from] == '\\' ? 2 : 1;
      }
      ++from;
    } else {
      ++from;
    }
  }
  return std::min(from, text_.size());
}

std::size_t Masker::word_end(std::size_t from) const {
  while (from < text_.size() && !is_space(text_[from]) && !is_quote(text_[from])) {
    ++from;
  }
  return from;
}

}  // namespace

std::vector<std::string> redact_arguments(const std::vector<std::string_view>& arguments, bool cut,
                                          CmdlineDetail detail) {
  std::vector<std::string> out;
  Masker masker;
  if (detail == CmdlineDetail::kProgramOnly && !arguments.empty()) {
    // A title that a process gave itself is all in argv[0].
    const std::string_view first = arguments.front();
    const std::string_view program = first.substr(0, first.find_first_of(" \t\n"));
    out.push_back(masker.argument(program, cut && arguments.size() == 1));
    if (program.size() < first.size() || arguments.size() > 1 || cut) {
      out.emplace_back(kLeftOut);
    }
    return out;
  }
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    out.push_back(masker.argument(arguments[i], cut && i + 1 == arguments.size()));
  }
  return out;
}

std::string redact_cmdline(std::string_view raw, bool cut, CmdlineDetail detail) {
  std::vector<std::string_view> arguments;
  while (!raw.empty()) {
    const std::size_t end = std::min(raw.find('\0'), raw.size());
    arguments.push_back(raw.substr(0, end));
    raw.remove_prefix(std::min(end + 1, raw.size()));
  }
  if (detail == CmdlineDetail::kProgramOnly) {
    // What is left of the old arguments after a title is no argument.
    while (arguments.size() > 1 && arguments.back().empty()) {
      arguments.pop_back();
    }
  }
  std::string shown;
  for (const std::string& argument : redact_arguments(arguments, cut, detail)) {
    shown += argument;
    shown += '\0';
  }
  return join_cmdline(shown) + (cut && detail == CmdlineDetail::kMasked ? " …" : "");
}

}  // namespace memcrest
