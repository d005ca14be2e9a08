// SPDX-License-Identifier: Apache-2.0
#include "store/database.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "support/fake_cgroups.h"

namespace memcrest {
namespace {

using testing::HasSubstr;
using testing_support::TempDir;

class DatabaseTest : public testing::Test {
 protected:
  std::string file(const std::string& name = "a.db") const { return dir_.path() + "/" + name; }
  // A file that an attacker made with SQLite itself.
  void made_by(const char* sql) {
    auto database = Database::create(file());
    ASSERT_TRUE(database) << database.error().message();
    const auto done = database->run(sql);
    ASSERT_TRUE(done) << done.error().message();
  }
  TempDir dir_;
};

TEST_F(DatabaseTest, ANewFileIsOnlyForItsOwner) {
  ASSERT_TRUE(Database::create(file()));
  struct stat status{};
  ASSERT_EQ(::stat(file().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
}

TEST_F(DatabaseTest, NeverTakesAFileThatIsThere) {
  std::ofstream(file()) << "precious";
  const auto database = Database::create(file());
  ASSERT_FALSE(database);
  EXPECT_EQ(database.error().code, EEXIST);
  std::string text;
  std::ifstream(file()) >> text;
  EXPECT_EQ(text, "precious");
  ASSERT_EQ(::symlink((file() + "2").c_str(), file("link").c_str()), 0);
  EXPECT_EQ(Database::create(file("link")).error().code, EEXIST);
  EXPECT_EQ(Database::create(dir_.path() + "/no/such").error().code, ENOENT);
}

TEST_F(DatabaseTest, BindsAndReads) {
  made_by("CREATE TABLE t (a, b, c, d)");
  auto writable = Database::create(file("b.db"));
  ASSERT_TRUE(writable && writable->run("CREATE TABLE t (a, b, c, d)"));
  auto insert = writable->prepare("INSERT INTO t VALUES (?,?,?,?)");
  ASSERT_TRUE(insert);
  const std::string odd("\0\xff'", 3);
  ASSERT_TRUE(
      insert->bind(~std::uint64_t{0}).bind(odd).bind(std::optional<std::uint64_t>()).bind(std::int64_t{-5}).run());
  ASSERT_TRUE(insert->bind(std::string_view()).bind(odd).bind(std::int32_t{1}).bind_null().run());
  auto rows = writable->prepare("SELECT a, b, c, d FROM t ORDER BY rowid");
  ASSERT_TRUE(rows && *rows->step());
  EXPECT_EQ(static_cast<std::uint64_t>(rows->integer(0)), ~0ULL);
  EXPECT_EQ(rows->text(1), odd);
  EXPECT_TRUE(rows->is_null(2));
  EXPECT_EQ(rows->integer(3), -5);
  ASSERT_TRUE(*rows->step());
  EXPECT_FALSE(rows->is_null(0));
  EXPECT_EQ(rows->text(0), "");
  EXPECT_FALSE(*rows->step());
}

TEST_F(DatabaseTest, TooManyValuesAreAnError) {
  auto writable = Database::create(file());
  ASSERT_TRUE(writable->run("CREATE TABLE t (a)"));
  auto insert = writable->prepare("INSERT INTO t VALUES (?)");
  EXPECT_FALSE(insert->bind(1).bind(2).run());
  EXPECT_TRUE(insert->bind(1).run()) << "ready again after an error";
}

TEST_F(DatabaseTest, WhatIsNoDatabase) {
  EXPECT_EQ(Database::open_untrusted(file()).error().code, ENOENT);
  EXPECT_THAT(Database::open_untrusted(dir_.path()).error().message(), HasSubstr("not a regular file"));
  ASSERT_EQ(::mkfifo(file("fifo").c_str(), 0600), 0);
  EXPECT_THAT(Database::open_untrusted(file("fifo")).error().message(), HasSubstr("not a regular file"));
  std::ofstream(file()) << std::string(100'000, 'x');
  auto text = Database::open_untrusted(file());
  if (text) {
    EXPECT_EQ(text->integer("SELECT count(*) FROM sqlite_schema").error().code, EBADMSG);
  }
}

TEST_F(DatabaseTest, AnUntrustedFileIsNotWritten) {
  made_by("CREATE TABLE t (a)");
  auto database = Database::open_untrusted(file());
  ASSERT_TRUE(database);
  EXPECT_FALSE(database->run("INSERT INTO t VALUES (1)"));
  EXPECT_FALSE(database->run("ATTACH '/tmp/x' AS x"));
}

TEST_F(DatabaseTest, ViewsOfAnUntrustedFileAreNotRun) {
  made_by(
      "CREATE VIEW v AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) AS a FROM n;");
  auto database = Database::open_untrusted(file());
  ASSERT_TRUE(database);
  EXPECT_FALSE(database->prepare("SELECT a FROM v"));
}

TEST_F(DatabaseTest, ASingleValueIsBounded) {
  made_by("CREATE TABLE t (a); INSERT INTO t VALUES (zeroblob(100000000))");
  auto database = Database::open_untrusted(file());
  ASSERT_TRUE(database);
  auto rows = database->prepare("SELECT a FROM t");
  ASSERT_TRUE(rows);
  EXPECT_FALSE(rows->step());
}

TEST_F(DatabaseTest, AFullDiskIsKnown) {
  EXPECT_TRUE(is_full({"write", "x", ENOSPC, ""}));
  EXPECT_FALSE(is_full({"write", "x", EIO, ""}));
  auto database = Database::create(file());
  ASSERT_TRUE(database->run("CREATE TABLE t (a); PRAGMA max_page_count = 8"));
  const auto done = database->run("INSERT INTO t VALUES (zeroblob(1000000))");
  ASSERT_FALSE(done);
  EXPECT_TRUE(is_full(done.error())) << done.error().message();
}

}  // namespace
}  // namespace memcrest
