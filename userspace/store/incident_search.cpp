// SPDX-License-Identifier: Apache-2.0
#include "store/incident_search.h"

#include <algorithm>
#include <filesystem>
#include <vector>

#include "store/database.h"

namespace memcrest {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostFiles = 500;
constexpr int kMostTellings = 10'000;  // of one file
constexpr int kMostBytes = 4 << 20;    // of one telling

bool is_ours(const fs::path& path) {
  return path.extension() == ".db" || path.extension() == ".memcrest" || path.extension() == ".spool";
}

// Two levels: the agent keeps its recordings in a directory below its spool.
std::vector<std::string> files_in(const std::string& directory, IncidentSearch& found) {
  std::vector<std::string> out;
  std::error_code error;
  fs::recursive_directory_iterator one(directory, fs::directory_options::skip_permission_denied, error);
  for (const fs::recursive_directory_iterator end; !error && one != end && out.size() < 16 * kMostFiles;
       one.increment(error)) {
    if (one.depth() >= 1) {
      one.disable_recursion_pending();
    }
    std::error_code ignored;
    if (is_ours(one->path()) && one->is_regular_file(ignored)) {
      out.push_back(one->path());
    }
  }
  // Their names are times. The spool holds all of them, and comes first.
  std::ranges::sort(out, [](const std::string& a, const std::string& b) {
    return std::pair(a.ends_with(".spool"), a) > std::pair(b.ends_with(".spool"), b);
  });
  found.files_left_out = out.size() - std::min(out.size(), kMostFiles);
  out.resize(std::min(out.size(), kMostFiles));
  return out;
}

Result<bool> search_file(const std::string& path, const std::function<bool(const std::string& json)>& take,
                         IncidentSearch& found) {
  auto database = Database::open_untrusted(path);
  if (!database) {
    return std::unexpected(database.error());
  }
  auto rows = database->prepare(
      "SELECT CASE WHEN length(json) <= ? THEN json END FROM incidents WHERE typeof(json) = 'text' ORDER BY seq DESC "
      "LIMIT ?");
  if (!rows) {
    return std::unexpected(rows.error());
  }
  rows->bind(std::int64_t{kMostBytes}).bind(std::int64_t{kMostTellings} + 1);
  int read = 0;
  for (auto row = rows->step();; row = rows->step()) {
    if (!row) {
      return std::unexpected(row.error());
    }
    if (!*row) {
      return true;
    }
    if (++read > kMostTellings) {
      ++found.files_cut;
      return true;
    }
    if (rows->is_null(0)) {
      ++found.too_long;
    } else if (!take(rows->text(0))) {
      return false;
    }
  }
}

}  // namespace

Result<IncidentSearch> search_incidents(const std::string& path,
                                        const std::function<bool(const std::string& json)>& take) {
  std::error_code error;
  const auto status = fs::status(path, error);
  if (error || !fs::exists(status)) {
    return fail("open", path, error ? error.value() : ENOENT);
  }
  const bool directory = fs::is_directory(status);
  IncidentSearch out;
  for (const std::string& file : directory ? files_in(path, out) : std::vector<std::string>{path}) {
    const auto more = search_file(file, take, out);
    if (!more && !directory) {
      return std::unexpected(more.error());
    }
    if (!more) {
      ++out.unreadable;
      out.last_error = more.error().message();
      continue;
    }
    ++out.files;
    if (!*more) {
      break;
    }
  }
  return out;
}

}  // namespace memcrest
