// SPDX-License-Identifier: Apache-2.0
#include "store/database.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <utility>

#include "util/fd.h"

namespace memcrest {
namespace {

// One value of a file from outside: incidents and labels are far smaller.
constexpr int kMaxValueBytes = 16 * 1024 * 1024;
constexpr int kMaxSqlBytes = 1024 * 1024;
constexpr int kBusyMs = 5000;

// SQLite's codes as the errno that says the same.
int errno_of(sqlite3* database, int code) {
  switch (code & 0xff) {
    case SQLITE_FULL:
      return ENOSPC;
    case SQLITE_NOMEM:
      return ENOMEM;
    case SQLITE_READONLY:
      return EROFS;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return EBUSY;
    case SQLITE_TOOBIG:
      return EFBIG;
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
      return EBADMSG;
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN: {
      const int system = database == nullptr ? 0 : sqlite3_system_errno(database);
      return system != 0 ? system : EIO;
    }
    default:
      return EINVAL;
  }
}

std::unexpected<Error> failed(std::string operation, sqlite3* database, int code) {
  const char* file = database == nullptr ? nullptr : sqlite3_db_filename(database, nullptr);
  return fail(std::move(operation), file == nullptr ? "" : file, errno_of(database, code),
              database == nullptr ? sqlite3_errstr(code) : sqlite3_errmsg(database));
}

}  // namespace

void Statement::Finalize::operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
void Database::Close::operator()(sqlite3* database) const { sqlite3_close_v2(database); }

Statement& Statement::bind(std::int64_t value) {
  const int code = sqlite3_bind_int64(statement_.get(), next_++, value);
  bind_error_ = bind_error_ == SQLITE_OK ? code : bind_error_;
  return *this;
}

Statement& Statement::bind(std::string_view text) {
  const int code = sqlite3_bind_text64(statement_.get(), next_++, text.data() == nullptr ? "" : text.data(),
                                       text.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
  bind_error_ = bind_error_ == SQLITE_OK ? code : bind_error_;
  return *this;
}

Statement& Statement::bind_null() {
  const int code = sqlite3_bind_null(statement_.get(), next_++);
  bind_error_ = bind_error_ == SQLITE_OK ? code : bind_error_;
  return *this;
}

Result<bool> Statement::step() {
  const int code = bind_error_ == SQLITE_OK ? sqlite3_step(statement_.get()) : bind_error_;
  if (code == SQLITE_ROW) {
    return true;
  }
  if (code == SQLITE_DONE) {
    reset();
    return false;
  }
  auto error = failed(sqlite3_stmt_readonly(statement_.get()) != 0 ? "read" : "write", database_, code);
  reset();
  return error;
}

Result<void> Statement::run() {
  auto row = step();
  while (row && *row) {
    row = step();
  }
  return row ? Result<void>{} : std::unexpected(row.error());
}

void Statement::reset() {
  sqlite3_reset(statement_.get());
  sqlite3_clear_bindings(statement_.get());
  next_ = 1;
  bind_error_ = SQLITE_OK;
}

bool Statement::is_null(int column) const { return sqlite3_column_type(statement_.get(), column) == SQLITE_NULL; }
bool Statement::is_integer(int column) const { return sqlite3_column_type(statement_.get(), column) == SQLITE_INTEGER; }
std::int64_t Statement::integer(int column) const { return sqlite3_column_int64(statement_.get(), column); }

std::string Statement::text(int column) const {
  const auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement_.get(), column));
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column));
  return bytes == nullptr ? std::string() : std::string(bytes, size);
}

Result<Database> Database::open(const std::string& path, const std::string& name, int flags) {
  sqlite3* raw = nullptr;
  const int code = sqlite3_open_v2(name.c_str(), &raw, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nullptr);
  Database out(path, raw);
  if (code != SQLITE_OK) {
    return fail("open", path, errno_of(raw, code), raw == nullptr ? "out of memory" : sqlite3_errmsg(raw));
  }
  sqlite3_busy_timeout(raw, kBusyMs);
  return out;
}

Result<Database> Database::create(const std::string& path) {
  // SQLite itself cannot be told to insist on a new file, and would make it readable by all.
  const Fd file(::open(path.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC | O_NOFOLLOW, S_IRUSR | S_IWUSR));
  if (!file) {
    return fail_errno("create", path);
  }
  return open(path, path, SQLITE_OPEN_READWRITE);
}

Result<void> Database::distrust() {
  sqlite3* raw = database_.get();
  for (const auto& [option, value] :
       {std::pair(SQLITE_DBCONFIG_DEFENSIVE, 1), std::pair(SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0),
        std::pair(SQLITE_DBCONFIG_ENABLE_TRIGGER, 0), std::pair(SQLITE_DBCONFIG_ENABLE_VIEW, 0),
        std::pair(SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0)}) {
    if (const int code = sqlite3_db_config(raw, option, value, nullptr); code != SQLITE_OK) {
      return failed("open", raw, code);
    }
  }
  sqlite3_limit(raw, SQLITE_LIMIT_LENGTH, kMaxValueBytes);
  sqlite3_limit(raw, SQLITE_LIMIT_SQL_LENGTH, kMaxSqlBytes);
  sqlite3_limit(raw, SQLITE_LIMIT_ATTACHED, 0);
  return run("PRAGMA cell_size_check = 1; PRAGMA mmap_size = 0");
}

Result<Database> Database::open_own(const std::string& path) {
  struct stat status{};
  if (::lstat(path.c_str(), &status) != 0) {
    return fail_errno("open", path);
  }
  if (!S_ISREG(status.st_mode) || status.st_uid != ::geteuid()) {
    return fail("open", path, EPERM, "not a regular file of this user's");
  }
  auto out = open(path, path, SQLITE_OPEN_READWRITE);
  if (!out) {
    return out;
  }
  if (auto done = out->distrust(); !done) {
    return std::unexpected(done.error());
  }
  return out;
}

Result<Database> Database::open_untrusted(const std::string& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) {
    return fail_errno("open", path);
  }
  if (!S_ISREG(status.st_mode)) {
    return fail("open", path, 0, "not a regular file");
  }
  // SQLite would say that there is no such file.
  const std::string directory = std::filesystem::path(path).parent_path();
  if (::access((path + "-wal").c_str(), F_OK) == 0 && ::access((path + "-shm").c_str(), F_OK) != 0 &&
      ::access(directory.empty() ? "." : directory.c_str(), W_OK) != 0) {
    return fail("open", path, errno,
                "its newest part lies in " + path +
                    "-wal; to put them together needs write access to their directory: "
                    "copy both");
  }
  auto out = open(path, path, SQLITE_OPEN_READONLY);
  if (!out) {
    return out;
  }
  auto ready = out->distrust();
  ready = ready ? out->run("PRAGMA query_only = 1") : ready;
  if (!ready) {
    return std::unexpected(ready.error());
  }
  return out;
}

Result<void> Database::run(const char* sql) {
  const int code = sqlite3_exec(database_.get(), sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) {
    return failed("write", database_.get(), code);
  }
  return {};
}

Result<Statement> Database::prepare(std::string_view sql) const {
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v3(database_.get(), sql.data(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  if (code != SQLITE_OK) {
    return failed("read", database_.get(), code);
  }
  return Statement(database_.get(), statement);
}

Result<std::int64_t> Database::integer(std::string_view sql) const {
  auto statement = prepare(sql);
  if (!statement) {
    return std::unexpected(statement.error());
  }
  const auto row = statement->step();
  if (!row) {
    return std::unexpected(row.error());
  }
  return *row ? statement->integer(0) : 0;
}

bool is_full(const Error& error) { return error.code == ENOSPC || error.code == EDQUOT || error.code == EFBIG; }

}  // namespace memcrest
