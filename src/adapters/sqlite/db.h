// A thin RAII layer over SQLite's C API: Results instead of codes, and messages that name the file
// and say what to do. One Db belongs to one thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace chorok::sqlite {

// A prepared statement; reset() makes it ready for the next use. It must not outlive its Db.
class Statement {
 public:
  Statement() = default;

  // Bound text is not copied: it must live until reset().
  Statement& bind(int index, std::int64_t value);
  Statement& bind(int index, std::string_view text);
  Statement& bind_blob(int index, std::string_view bytes);
  Statement& bind_null(int index);

  Result<bool> step();  // true: a row is there to read
  Result<> run();       // steps to the end and resets
  void reset();

  std::int64_t integer(int column) const;
  std::string text(int column) const;  // also of a blob
  bool is_null(int column) const;

 private:
  friend class Db;
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
  const class Db* db_ = nullptr;
};

struct OpenMode {
  bool create = true;
  bool read_only = false;
  std::string vfs;  // empty: the system's
};

class Db {
 public:
  static Result<std::unique_ptr<Db>> open(const std::string& path, OpenMode mode = {});
  ~Db();
  Db(const Db&) = delete;
  Db& operator=(const Db&) = delete;

  Result<> run(std::string_view sql);  // one or more statements without parameters
  Result<Statement> prepare(std::string_view sql);
  Result<std::int64_t> integer(std::string_view sql);  // the first column of the first row
  Result<std::string> text(std::string_view sql);

  bool in_transaction() const;
  void roll_back();  // does nothing outside a transaction

  // The error of a failed call, in words. `code` is SQLite's (extended) result code.
  Error error(int code) const;
  sqlite3* handle() const { return handle_; }
  const std::string& path() const { return path_; }

 private:
  explicit Db(std::string path) : path_(std::move(path)) {}
  sqlite3* handle_ = nullptr;
  std::string path_;
};

}  // namespace chorok::sqlite
