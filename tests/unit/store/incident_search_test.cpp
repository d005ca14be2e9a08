// SPDX-License-Identifier: Apache-2.0
#include "store/incident_search.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <filesystem>
#include <string>
#include <vector>

#include "store/schema.h"
#include "support/fake_cgroups.h"

namespace memcrest {
namespace {

using testing::ElementsAre;
using namespace testing_support;  // NOLINT(google-build-using-namespace): TempDir

void make(const std::string& path, const std::string& sql) {
  sqlite3* database = nullptr;
  ASSERT_EQ(sqlite3_open(path.c_str(), &database), SQLITE_OK);
  const std::string all = "PRAGMA application_id = " + std::to_string(kRecordingApplicationId) +
                          "; CREATE TABLE incidents (seq INTEGER PRIMARY KEY, json);" + sql;
  char* error = nullptr;
  EXPECT_EQ(sqlite3_exec(database, all.c_str(), nullptr, nullptr, &error), SQLITE_OK) << error;
  sqlite3_close(database);
}

std::vector<std::string> all_of(const std::string& path, IncidentSearch& search) {
  std::vector<std::string> out;
  const auto found = search_incidents(path, [&](const std::string& json) {
    out.push_back(json);
    return true;
  });
  EXPECT_TRUE(found) << found.error().message();
  search = found.value_or(IncidentSearch{});
  return out;
}

TEST(IncidentSearch, NewestFirstAndOnlyText) {
  const TempDir dir;
  make(dir.path() + "/a.db", "INSERT INTO incidents (json) VALUES ('old'), (7), (NULL), (x'00'), ('new');");
  IncidentSearch search;
  EXPECT_THAT(all_of(dir.path(), search), ElementsAre("new", "old"));
  EXPECT_EQ(search.files, 1);
  EXPECT_EQ(search.files_left_out + search.files_cut + search.too_long, 0);
}

TEST(IncidentSearch, WhatIsTooMuchIsCounted) {
  const TempDir dir;
  make(dir.path() + "/a.db", "INSERT INTO incidents (json) VALUES (printf('%.*c', 5000000, 'x')), ('new');");
  make(dir.path() + "/b.db",
       "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10001) INSERT INTO incidents (json) "
       "SELECT 'x' FROM n;");
  IncidentSearch search;
  EXPECT_EQ(all_of(dir.path(), search).size(), 10'001);
  EXPECT_EQ(search.too_long, 1);
  EXPECT_EQ(search.files_cut, 1);
  EXPECT_EQ(search.files_left_out, 0);
}

TEST(IncidentSearch, ManyFiles) {
  const TempDir dir;
  make(dir.path() + "/m000.db", "INSERT INTO incidents (json) VALUES ('x');");
  for (int i = 1; i < 503; ++i) {
    std::filesystem::copy_file(dir.path() + "/m000.db", dir.path() + "/m" + std::to_string(1000 + i) + ".db");
  }
  IncidentSearch search;
  EXPECT_EQ(all_of(dir.path(), search).size(), 500);
  EXPECT_EQ(search.files_left_out, 3);
}

}  // namespace
}  // namespace memcrest
