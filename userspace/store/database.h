// SPDX-License-Identifier: Apache-2.0
// SQLite with errors as values. One thread at a time for a Database and its statements, which must not outlive it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include "util/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace memcrest {

class Statement {
 public:
  // The next parameter, in the order of the SQL. Text and blobs are copied by the time that step() returns.
  Statement& bind(std::int64_t value);
  Statement& bind(std::uint64_t value) { return bind(static_cast<std::int64_t>(value)); }  // the same 64 bits
  Statement& bind(std::uint32_t value) { return bind(static_cast<std::int64_t>(value)); }
  Statement& bind(std::int32_t value) { return bind(static_cast<std::int64_t>(value)); }
  Statement& bind(std::string_view text);
  Statement& bind_null();
  template <typename T>
  Statement& bind(const std::optional<T>& value) {
    return value ? bind(*value) : bind_null();
  }

  // True: a row is there to be read. After the last row, or an error, the statement is ready to be bound anew.
  [[nodiscard]] Result<bool> step();
  // For what gives no rows.
  [[nodiscard]] Result<void> run();
  // Before the last row: gives up the rest.
  void reset();

  // Of the current row; columns count from 0. A value of another type is converted as SQLite does.
  [[nodiscard]] bool is_null(int column) const;
  [[nodiscard]] bool is_integer(int column) const;
  [[nodiscard]] std::int64_t integer(int column) const;
  [[nodiscard]] std::string text(int column) const;

 private:
  friend class Database;
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  Statement(sqlite3* database, sqlite3_stmt* statement) : database_(database), statement_(statement) {}

  sqlite3* database_;
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
  int next_ = 1;
  int bind_error_ = 0;
};

class Database {
 public:
  // A new file, readable by its owner only. An error with EEXIST where there is one already.
  [[nodiscard]] static Result<Database> create(const std::string& path);
  // To be read and written: a file that is there already, and that this program says to have made; opened as below.
  [[nodiscard]] static Result<Database> open_own(const std::string& path);
  // To be read, and not trusted: no views, triggers, extensions or functions of the file's own schema run, single
  // values are bounded. The file may still be written by somebody.
  [[nodiscard]] static Result<Database> open_untrusted(const std::string& path);

  [[nodiscard]] Result<void> run(const char* sql);
  [[nodiscard]] Result<Statement> prepare(std::string_view sql) const;
  // The only value of the only row of a statement: a pragma's, a count.
  [[nodiscard]] Result<std::int64_t> integer(std::string_view sql) const;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  struct Close {
    void operator()(sqlite3* database) const;
  };
  Database(std::string path, sqlite3* database) : path_(std::move(path)), database_(database) {}
  [[nodiscard]] static Result<Database> open(const std::string& path, const std::string& name, int flags);
  [[nodiscard]] Result<void> distrust();

  std::string path_;
  std::unique_ptr<sqlite3, Close> database_;
};

// Whether an error means that the disk is full, or that the file may grow no further.
[[nodiscard]] bool is_full(const Error& error);

}  // namespace memcrest
