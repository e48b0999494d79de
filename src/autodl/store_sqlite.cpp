#include <sqlite3.h>

#include <cmath>

#include "autodl/store.h"
#include "base/json.h"
#include "base/log.h"
#include "nacre/error.h"

namespace nacre {
namespace {

constexpr int kWaitMilliseconds = 60000;  // for other workers of the study

class SqliteStore : public StudyStore {
 public:
  explicit SqliteStore(const std::string& path) : path_(path.empty() ? ":memory:" : path) {
    if (sqlite3_open_v2(path_.c_str(), &db_,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX,
                        nullptr) != SQLITE_OK) {
      const std::string why = db_ ? sqlite3_errmsg(db_) : "out of memory";
      sqlite3_close(db_);
      fail(Error::Kind::io, {"cannot open the study ", path_, ": ", why});
    }
    try {
      sqlite3_busy_timeout(db_, kWaitMilliseconds);
      run("PRAGMA journal_mode=WAL");
      run("PRAGMA synchronous=FULL");
      alone([&] {
        run("CREATE TABLE IF NOT EXISTS study(name TEXT PRIMARY KEY, value TEXT NOT NULL)");
        run("CREATE TABLE IF NOT EXISTS trial(number INTEGER PRIMARY KEY, state TEXT NOT NULL, "
            "point TEXT NOT NULL, label TEXT NOT NULL, value REAL, note TEXT NOT NULL, "
            "seconds REAL NOT NULL, worker TEXT NOT NULL, seen REAL NOT NULL)");
        run("CREATE TABLE IF NOT EXISTS report(trial INTEGER NOT NULL, step INTEGER NOT NULL, "
            "value REAL, PRIMARY KEY(trial, step))");
      });
    } catch (...) {
      sqlite3_close(db_);
      throw;
    }
  }
  ~SqliteStore() override { sqlite3_close(db_); }
  SqliteStore(const SqliteStore&) = delete;
  SqliteStore& operator=(const SqliteStore&) = delete;

  void alone(const std::function<void()>& work) override {
    if (inside_) return work();
    run("BEGIN IMMEDIATE");
    inside_ = true;
    try {
      work();
      run("COMMIT");
      inside_ = false;
    } catch (...) {
      inside_ = false;
      sqlite3_exec(db_, "ROLLBACK", nullptr, nullptr, nullptr);
      throw;
    }
  }

  std::optional<std::string> text(const std::string& name) override {
    Query q(*this, "SELECT value FROM study WHERE name = ?");
    q.bind(1, name);
    if (!q.row()) return std::nullopt;
    return q.text(0);
  }
  void set_text(const std::string& name, const std::string& value) override {
    Query q(*this, "INSERT OR REPLACE INTO study VALUES(?, ?)");
    q.bind(1, name);
    q.bind(2, value);
    q.row();
  }

  std::vector<Trial> trials() override {
    std::vector<Trial> list;
    alone([&] {
      Query q(*this,
              "SELECT number, state, point, label, value, note, seconds FROM trial "
              "ORDER BY number");
      while (q.row()) {
        Trial t;
        t.number = q.integer(0);
        t.state = state_of(q.text(1));
        t.point = Point::from_json(q.text(2));
        t.label = q.text(3);
        t.value = q.number(4);
        t.note = q.text(5);
        t.seconds = q.number(6);
        list.push_back(std::move(t));
      }
      Query r(*this, "SELECT trial, step, value FROM report ORDER BY trial, step");
      for (size_t at = 0; r.row();) {
        while (at < list.size() && list[at].number < r.integer(0)) ++at;
        if (at < list.size() && list[at].number == r.integer(0))
          list[at].reports.emplace_back(r.integer(1), r.number(2));
      }
    });
    return list;
  }
  void put(const Trial& t, const std::string& worker, double now) override {
    Query q(*this, "INSERT OR REPLACE INTO trial VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)");
    q.bind(1, t.number);
    q.bind(2, std::string(name_of(t.state)));
    q.bind(3, t.point.to_json());
    q.bind(4, t.label);
    q.bind(5, t.value);
    q.bind(6, t.note);
    q.bind(7, t.seconds);
    q.bind(8, worker);
    q.bind(9, now);
    q.row();
  }
  void add_report(int64_t number, int64_t step, double value) override {
    Query q(*this, "INSERT OR REPLACE INTO report VALUES(?, ?, ?)");
    q.bind(1, number);
    q.bind(2, step);
    q.bind(3, value);
    q.row();
  }
  void clear_reports(int64_t number) override {
    Query q(*this, "DELETE FROM report WHERE trial = ?");
    q.bind(1, number);
    q.row();
  }
  void touch(int64_t number, double now) override {
    Query q(*this, "UPDATE trial SET seen = ? WHERE number = ?");
    q.bind(1, now);
    q.bind(2, number);
    q.row();
  }
  std::vector<Holder> holders() override {
    std::vector<Holder> list;
    Query q(*this,
            "SELECT number, worker, seen FROM trial WHERE state = 'running' ORDER BY number");
    while (q.row()) list.push_back({q.integer(0), q.text(1), q.number(2)});
    return list;
  }

 private:
  /// A statement, reset at the end. SQLite keeps NaN as NULL, which comes back as NaN.
  class Query {
   public:
    Query(SqliteStore& store, const char* sql) : store_(store) {
      if (sqlite3_prepare_v2(store.db_, sql, -1, &statement_, nullptr) != SQLITE_OK) store.wrong();
    }
    ~Query() { sqlite3_finalize(statement_); }
    Query(const Query&) = delete;
    Query& operator=(const Query&) = delete;
    void bind(int at, const std::string& v) {
      sqlite3_bind_text(statement_, at, v.data(), static_cast<int>(v.size()), SQLITE_TRANSIENT);
    }
    void bind(int at, int64_t v) { sqlite3_bind_int64(statement_, at, v); }
    void bind(int at, double v) { sqlite3_bind_double(statement_, at, v); }
    bool row() {
      const int code = sqlite3_step(statement_);
      if (code != SQLITE_ROW && code != SQLITE_DONE) store_.wrong();
      return code == SQLITE_ROW;
    }
    int64_t integer(int at) { return sqlite3_column_int64(statement_, at); }
    double number(int at) {
      return sqlite3_column_type(statement_, at) == SQLITE_NULL
                 ? std::nan("")
                 : sqlite3_column_double(statement_, at);
    }
    std::string text(int at) {
      const auto* bytes = reinterpret_cast<const char*>(sqlite3_column_text(statement_, at));
      return bytes ? std::string(bytes, static_cast<size_t>(sqlite3_column_bytes(statement_, at)))
                   : std::string();
    }

   private:
    SqliteStore& store_;
    sqlite3_stmt* statement_ = nullptr;
  };

  void run(const char* sql) {
    if (sqlite3_exec(db_, sql, nullptr, nullptr, nullptr) != SQLITE_OK) wrong();
  }
  [[noreturn]] void wrong() {
    const int code = sqlite3_errcode(db_) & 0xff;
    const bool damaged = code == SQLITE_NOTADB || code == SQLITE_CORRUPT || code == SQLITE_ERROR;
    fail(damaged ? Error::Kind::data : Error::Kind::io,
         {"the study ", path_, ": ", sqlite3_errmsg(db_)});
  }
  Trial::State state_of(const std::string& word) {
    for (const auto s : {Trial::State::waiting, Trial::State::running, Trial::State::done,
                         Trial::State::pruned, Trial::State::failed})
      if (name_of(s) == word) return s;
    fail(Error::Kind::data, {"the study ", path_, " has a trial in the state '", word, "'"});
  }

  std::string path_;
  sqlite3* db_ = nullptr;
  bool inside_ = false;
};

}  // namespace

std::unique_ptr<StudyStore> open_sqlite_store(const std::string& path) {
  return std::make_unique<SqliteStore>(path);
}

}  // namespace nacre
