#include "adapters/sqlite/db.h"

#include <fmt/format.h>
#include <sqlite3.h>

namespace chorok::sqlite {

void Statement::Finalize::operator()(sqlite3_stmt* statement) const {
  sqlite3_finalize(statement);
}

Statement& Statement::bind(int index, std::int64_t value) {
  sqlite3_bind_int64(statement_.get(), index, value);
  return *this;
}

Statement& Statement::bind(int index, std::string_view text) {
  // A null pointer would bind NULL.
  sqlite3_bind_text(statement_.get(), index, text.empty() ? "" : text.data(),
                    static_cast<int>(text.size()), SQLITE_STATIC);
  return *this;
}

Statement& Statement::bind_blob(int index, std::string_view bytes) {
  sqlite3_bind_blob(statement_.get(), index, bytes.empty() ? "" : bytes.data(),
                    static_cast<int>(bytes.size()), SQLITE_STATIC);
  return *this;
}

Statement& Statement::bind_null(int index) {
  sqlite3_bind_null(statement_.get(), index);
  return *this;
}

Result<bool> Statement::step() {
  const int code = sqlite3_step(statement_.get());
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  Error error = db_->error(sqlite3_extended_errcode(db_->handle()));
  sqlite3_reset(statement_.get());
  return Unexpected(std::move(error));
}

Result<> Statement::run() {
  while (TRY(step())) {
  }
  reset();
  return {};
}

void Statement::reset() {
  sqlite3_reset(statement_.get());
}

std::int64_t Statement::integer(int column) const {
  return sqlite3_column_int64(statement_.get(), column);
}

std::string Statement::text(int column) const {
  const void* data = sqlite3_column_blob(statement_.get(), column);
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column));
  return data ? std::string(static_cast<const char*>(data), size) : std::string();
}

bool Statement::is_null(int column) const {
  return sqlite3_column_type(statement_.get(), column) == SQLITE_NULL;
}

Result<std::unique_ptr<Db>> Db::open(const std::string& path, OpenMode mode) {
  std::unique_ptr<Db> db(new Db(path));
  int flags = mode.read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
  if (mode.create && !mode.read_only) flags |= SQLITE_OPEN_CREATE;
  // NOMUTEX: each Db is used by one thread at a time.
  const int code = sqlite3_open_v2(path.c_str(), &db->handle_, flags | SQLITE_OPEN_NOMUTEX,
                                   mode.vfs.empty() ? nullptr : mode.vfs.c_str());
  if (db->handle_) sqlite3_extended_result_codes(db->handle_, 1);
  if (code != SQLITE_OK) return Unexpected(db->error(code));
  return db;
}

Db::~Db() {
  // _v2: statements that somebody still holds keep the connection until they are finalized.
  sqlite3_close_v2(handle_);
}

Result<> Db::run(std::string_view sql) {
  const int code = sqlite3_exec(handle_, std::string(sql).c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return Unexpected(error(code));
  return {};
}

Result<Statement> Db::prepare(std::string_view sql) {
  sqlite3_stmt* raw = nullptr;
  const int code = sqlite3_prepare_v3(handle_, sql.data(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &raw, nullptr);
  if (code != SQLITE_OK) return Unexpected(error(code));
  Statement statement;
  statement.statement_.reset(raw);
  statement.db_ = this;
  return statement;
}

Result<std::int64_t> Db::integer(std::string_view sql) {
  Statement statement = TRY(prepare(sql));
  if (!TRY(statement.step())) return fail(Code::kNotFound, "no row");
  return statement.integer(0);
}

Result<std::string> Db::text(std::string_view sql) {
  Statement statement = TRY(prepare(sql));
  if (!TRY(statement.step())) return fail(Code::kNotFound, "no row");
  return statement.text(0);
}

bool Db::in_transaction() const {
  return sqlite3_get_autocommit(handle_) == 0;
}

void Db::roll_back() {
  if (in_transaction()) (void)run("ROLLBACK");
}

Error Db::error(int code) const {
  const std::string detail = handle_ ? sqlite3_errmsg(handle_) : sqlite3_errstr(code);
  switch (code & 0xff) {
    case SQLITE_FULL:
      return {Code::kExhausted,
              fmt::format("No space left for {}: free space on its file system, then try again. "
                          "Nothing was written; reading still works.",
                          path_),
              {}};
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return {Code::kFailedPrecondition,
              fmt::format("{} is damaged or not a Chorok store ({}): restore a backup over it.",
                          path_, detail),
              {}};
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return {Code::kUnavailable,
              fmt::format("{} is open in another process: stop that one first.", path_),
              {}};
    case SQLITE_CANTOPEN:
      return {
          Code::kFailedPrecondition,
          fmt::format("Cannot open {}: check that its folder exists and may be written.", path_),
          {}};
    case SQLITE_READONLY:
    case SQLITE_PERM:
      return {Code::kFailedPrecondition,
              fmt::format("{} cannot be written: check the owner and mode of the file and its "
                          "folder.",
                          path_),
              {}};
    case SQLITE_IOERR:
      return {Code::kUnavailable,
              fmt::format("Reading or writing {} failed ({}): check the disk.", path_, detail),
              {}};
    default:
      return {Code::kInternal, fmt::format("SQLite on {}: {}", path_, detail), {}};
  }
}

}  // namespace chorok::sqlite
