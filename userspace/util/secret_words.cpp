// SPDX-License-Identifier: Apache-2.0
#include "util/secret_words.h"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

namespace memcrest::secret_words {
namespace {

bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
char lower(char c) { return is_upper(c) ? static_cast<char>(c - 'A' + 'a') : c; }

// "--dbPass-word" gives {"db", "pass", "word"}.
std::vector<std::string> parts_of(std::string_view name) {
  std::vector<std::string> out;
  char before = '-';
  for (const char c : name) {
    if (is_alnum(c)) {
      if (!is_alnum(before) || (is_lower(before) && is_upper(c))) {
        out.emplace_back();
      }
      out.back() += lower(c);
    }
    before = c;
  }
  return out;
}

template <std::size_t N>
bool one_of(std::string_view word, const std::array<std::string_view, N>& words) {
  return std::ranges::find(words, word) != words.end();
}

// Anywhere in a name, separators left out.
constexpr std::array<std::string_view, 24> kSecret = {
    "password",  "passwd",     "passphrase",  "passcode",      "secret",     "token",     "credential", "apikey",
    "accesskey", "privatekey", "signingkey",  "encryptionkey", "accountkey", "masterkey", "authkey",    "sessionkey",
    "storepass", "keypass",    "requirepass", "masterauth",    "dbpass",     "userpass",  "adminpass",  "rootpass"};

// As the last part: the name is that of something about a secret.
constexpr std::array<std::string_view, 44> kAbout = {
    "file",     "files",  "path",  "paths",   "dir",    "directory", "folder",   "url",        "uri",
    "endpoint", "name",   "names", "enabled", "enable", "disabled",  "required", "type",       "length",
    "len",      "size",   "count", "limit",   "ttl",    "timeout",   "expiry",   "expiration", "lifetime",
    "policy",   "format", "stdin", "helper",  "fd",     "mode",      "provider", "store",      "version",
    "prefix",   "min",    "max",   "method",  "prompt", "interval",  "rotation", "hint"};

// As the first part: it is switched off, or counted.
constexpr std::array<std::string_view, 10> kNone = {"no",  "disable", "enable", "skip", "without",
                                                    "max", "min",     "num",    "ask",  "require"};

enum class Tail { kAlnum, kUpper, kDashed, kDotted };

bool belongs(char c, Tail tail) {
  switch (tail) {
    case Tail::kAlnum:
      return is_alnum(c);
    case Tail::kUpper:
      return is_upper(c) || is_digit(c);
    case Tail::kDashed:
      return is_alnum(c) || c == '_' || c == '-';
    case Tail::kDotted:
      return is_alnum(c) || c == '_' || c == '-' || c == '.';
  }
  return false;
}

struct Shape {
  std::string_view prefix;
  std::size_t least;  // characters after the prefix
  Tail tail;
};

constexpr std::array<Shape, 32> kShapes = {{
    {"AKIA", 16, Tail::kUpper},          // AWS access key
    {"ASIA", 16, Tail::kUpper},          // the same, temporary
    {"ghp_", 20, Tail::kAlnum},          // GitHub
    {"gho_", 20, Tail::kAlnum},          //
    {"ghu_", 20, Tail::kAlnum},          //
    {"ghs_", 20, Tail::kDotted},         //
    {"ghr_", 20, Tail::kAlnum},          //
    {"github_pat_", 20, Tail::kDashed},  //
    {"glpat-", 16, Tail::kDotted},       // GitLab
    {"xoxa-", 10, Tail::kDashed},        // Slack
    {"xoxb-", 10, Tail::kDashed},        //
    {"xoxc-", 10, Tail::kDashed},        //
    {"xoxd-", 10, Tail::kDashed},        //
    {"xoxe-", 10, Tail::kDashed},        //
    {"xoxp-", 10, Tail::kDashed},        //
    {"xoxr-", 10, Tail::kDashed},        //
    {"xoxs-", 10, Tail::kDashed},        //
    {"xapp-", 10, Tail::kDashed},        //
    {"sk_live_", 16, Tail::kAlnum},      // Stripe
    {"sk_test_", 16, Tail::kAlnum},      //
    {"rk_live_", 16, Tail::kAlnum},      //
    {"sk-", 20, Tail::kDashed},          // OpenAI, Anthropic
    {"AIza", 30, Tail::kDashed},         // Google
    {"ya29.", 20, Tail::kDashed},        //
    {"npm_", 30, Tail::kAlnum},          //
    {"pypi-", 30, Tail::kDashed},        //
    {"hf_", 30, Tail::kAlnum},           // Hugging Face
    {"dckr_pat_", 20, Tail::kDashed},    // Docker Hub
    {"dop_v1_", 30, Tail::kAlnum},       // DigitalOcean
    {"hvs.", 20, Tail::kDashed},         // Vault
    {"SG.", 30, Tail::kDotted},          // SendGrid
    {"eyJ", 20, Tail::kDotted},          // JWT, see below
}};

constexpr std::string_view kPemBegin = "-----BEGIN";
constexpr std::string_view kPemEnd = "-----END";

std::size_t pem_length(std::string_view text) {
  const std::size_t end = text.find(kPemEnd);
  const std::size_t last = end == std::string_view::npos ? end : text.find("-----", end + kPemEnd.size());
  return last == std::string_view::npos ? text.size() : last + 5;
}

}  // namespace

bool is_alnum(char c) { return is_lower(c) || is_upper(c) || is_digit(c); }

bool equals_ignoring_case(std::string_view a, std::string_view b) { return std::ranges::equal(a, b, {}, lower, lower); }

bool names_secret(std::string_view name) {
  const std::vector<std::string> parts = parts_of(name);
  if (parts.empty() || one_of(parts.back(), kAbout) || (parts.size() > 1 && one_of(parts.front(), kNone))) {
    return false;
  }
  // PWD and OLDPWD are the working directory, MYSQL_PWD is none.
  if (parts.back() == "pass" || parts.back() == "passin" || parts.back() == "passout" ||
      (parts.back() == "pwd" && parts.size() > 1)) {
    return true;
  }
  std::string flat;
  for (const std::string& part : parts) {
    flat += part;
  }
  for (std::size_t at = flat.find("tokeniz"); at != std::string::npos; at = flat.find("tokeniz", at)) {
    flat.erase(at, 7);
  }
  return std::ranges::any_of(kSecret, [&](std::string_view word) { return flat.find(word) != std::string::npos; });
}

bool is_secret_header(std::string_view name) {
  constexpr std::array<std::string_view, 6> kHeaders = {"authorization", "proxy-authorization", "cookie",
                                                        "set-cookie",    "private-token",       "api-key"};
  return std::ranges::any_of(kHeaders, [&](std::string_view one) { return equals_ignoring_case(one, name); }) ||
         (equals_ignoring_case(name.substr(0, 2), "x-") && names_secret(name));
}

std::size_t token_length(std::string_view text, bool cut) {
  if (text.starts_with(kPemBegin)) {
    return pem_length(text);
  }
  for (const Shape& shape : kShapes) {
    if (!text.starts_with(shape.prefix)) {
      continue;
    }
    const std::string_view tail = text.substr(shape.prefix.size());
    const auto end = std::ranges::find_if_not(tail, [&](char c) { return belongs(c, shape.tail); });
    const auto length = static_cast<std::size_t>(end - tail.begin());
    if (cut && length > 0 && end == tail.end()) {
      return text.size();
    }
    // Of three parts with dots between them, of which the last may be empty.
    const bool jwt = shape.prefix != "eyJ" || std::ranges::count(tail.begin(), end, '.') >= 1;
    return length >= shape.least && jwt ? shape.prefix.size() + length : 0;
  }
  return 0;
}

}  // namespace memcrest::secret_words
