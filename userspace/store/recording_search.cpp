// SPDX-License-Identifier: Apache-2.0
#include "store/recording_search.h"

#include <algorithm>
#include <filesystem>
#include <vector>

#include "store/database.h"

namespace memcrest {
namespace {

constexpr std::size_t kMostFiles = 500;

bool holds(const std::string& path, const std::string& incident_id) {
  const auto database = Database::open_untrusted(path);
  if (!database) {
    return false;
  }
  auto statement = database->prepare("SELECT 1 FROM incidents WHERE id = ? LIMIT 1");
  if (!statement) {
    return false;
  }
  const auto row = statement->bind(std::string_view(incident_id)).step();
  return row && *row;
}

}  // namespace

std::string find_recording(const std::string& directory, const std::string& incident_id) {
  std::vector<std::string> files;
  std::error_code error;
  for (std::filesystem::directory_iterator one(directory, error), end; !error && one != end; one.increment(error)) {
    if (one->path().extension() == ".db") {
      files.push_back(one->path());
    }
  }
  std::ranges::sort(files, std::ranges::greater());  // their names are times
  files.resize(std::min(files.size(), kMostFiles));
  const auto found = std::ranges::find_if(files, [&](const std::string& file) { return holds(file, incident_id); });
  return found == files.end() ? std::string() : *found;
}

}  // namespace memcrest
