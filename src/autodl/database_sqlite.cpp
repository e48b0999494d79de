#include <sqlite3.h>

#include <chrono>
#include <cmath>

#include "autodl/database.h"
#include "nacre/error.h"

namespace nacre {
namespace {

constexpr int kWaitMilliseconds = 60000;  // for other workers of the study

class SqliteRow : public StudyDatabase::Row {
 public:
  explicit SqliteRow(sqlite3_stmt* statement) : statement_(statement) {}
  int64_t integer(int at) const override { return sqlite3_column_int64(statement_, at); }
  double number(int at) const override {
    return sqlite3_column_type(statement_, at) == SQLITE_NULL
               ? std::nan("")
               : sqlite3_column_double(statement_, at);
  }
  std::string text(int at) const override {
    const auto* bytes = reinterpret_cast<const char*>(sqlite3_column_text(statement_, at));
    return bytes ? std::string(bytes, static_cast<size_t>(sqlite3_column_bytes(statement_, at)))
                 : std::string();
  }

 private:
  sqlite3_stmt* statement_;
};

class Sqlite : public StudyDatabase {
 public:
  explicit Sqlite(const std::string& path) : path_(path.empty() ? ":memory:" : path) {
    if (sqlite3_open_v2(path_.c_str(), &db_,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX,
                        nullptr) != SQLITE_OK) {
      const std::string why = db_ ? sqlite3_errmsg(db_) : "out of memory";
      sqlite3_close(db_);
      fail(Error::Kind::io, {"cannot open the study ", path_, ": ", why});
    }
    try {
      sqlite3_busy_timeout(db_, kWaitMilliseconds);
      run("PRAGMA journal_mode=WAL", {}, {});
      run("PRAGMA synchronous=FULL", {}, {});
    } catch (...) {
      sqlite3_close(db_);
      throw;
    }
  }
  ~Sqlite() override { sqlite3_close(db_); }
  Sqlite(const Sqlite&) = delete;
  Sqlite& operator=(const Sqlite&) = delete;

  void run(const char* sql, std::span<const Value> values,
           const std::function<void(const Row&)>& each) override {
    sqlite3_stmt* statement = nullptr;
    if (sqlite3_prepare_v2(db_, sql, -1, &statement, nullptr) != SQLITE_OK) wrong();
    const std::unique_ptr<sqlite3_stmt, int (*)(sqlite3_stmt*)> owner(statement, sqlite3_finalize);
    for (size_t i = 0; i < values.size(); ++i) bind(statement, static_cast<int>(i + 1), values[i]);
    const SqliteRow row(statement);
    for (;;) {
      const int code = sqlite3_step(statement);
      if (code == SQLITE_DONE) return;
      if (code != SQLITE_ROW) wrong();
      if (each) each(row);
    }
  }
  void begin() override { run("BEGIN IMMEDIATE", {}, {}); }
  void commit() override { run("COMMIT", {}, {}); }
  void roll_back() noexcept override { sqlite3_exec(db_, "ROLLBACK", nullptr, nullptr, nullptr); }
  double now() override {
    return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch())
        .count();
  }

 private:
  static void bind(sqlite3_stmt* statement, int at, const Value& value) {
    if (const auto* integer = std::get_if<int64_t>(&value))
      sqlite3_bind_int64(statement, at, *integer);
    else if (const auto* number = std::get_if<double>(&value))
      sqlite3_bind_double(statement, at, *number);  // NaN becomes NULL
    else if (const auto* text = std::get_if<std::string>(&value))
      sqlite3_bind_text(statement, at, text->data(), static_cast<int>(text->size()),
                        SQLITE_TRANSIENT);
  }
  [[noreturn]] void wrong() {
    const int code = sqlite3_errcode(db_) & 0xff;
    const bool damaged = code == SQLITE_NOTADB || code == SQLITE_CORRUPT || code == SQLITE_ERROR;
    fail(damaged ? Error::Kind::data : Error::Kind::io,
         {"the study ", path_, ": ", sqlite3_errmsg(db_)});
  }

  std::string path_;
  sqlite3* db_ = nullptr;
};

}  // namespace

std::unique_ptr<StudyDatabase> open_sqlite(const std::string& path) {
  return std::make_unique<Sqlite>(path);
}

}  // namespace nacre
