#include <postgresql/libpq-fe.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

#include "autodl/database.h"
#include "autodl/store.h"
#include "base/late_library.h"
#include "base/log.h"
#include "base/text.h"
#include "nacre/error.h"

namespace nacre {
namespace {

constexpr LateLibrary kLibrary("libpq.so.5", "libpq5");
#define FUNCTION(name) const LateFunction<decltype(::name)> name(kLibrary, #name)
FUNCTION(PQclear);
FUNCTION(PQconnectdbParams);
FUNCTION(PQconninfoFree);
FUNCTION(PQconninfoParse);
FUNCTION(PQdb);
FUNCTION(PQerrorMessage);
FUNCTION(PQexec);
FUNCTION(PQexecParams);
FUNCTION(PQfinish);
FUNCTION(PQfreemem);
FUNCTION(PQgetisnull);
FUNCTION(PQgetlength);
FUNCTION(PQgetvalue);
FUNCTION(PQntuples);
FUNCTION(PQreset);
FUNCTION(PQresultErrorField);
FUNCTION(PQresultStatus);
FUNCTION(PQsetNoticeProcessor);
FUNCTION(PQstatus);
FUNCTION(PQuser);
#undef FUNCTION

using Result = std::unique_ptr<PGresult, void (*)(PGresult*)>;
using Clock = std::chrono::steady_clock;

constexpr auto kPatience = std::chrono::seconds(10);  // for a server that went away
constexpr auto kRetryPause = std::chrono::milliseconds(250);

class PostgresRow : public StudyDatabase::Row {
 public:
  PostgresRow(const PGresult* result, int row) : result_(result), row_(row) {}
  int64_t integer(int at) const override { return std::strtoll(cell(at), nullptr, 10); }
  double number(int at) const override {
    return PQgetisnull(result_, row_, at) ? std::nan("") : std::strtod(cell(at), nullptr);
  }
  std::string text(int at) const override {
    return {cell(at), static_cast<size_t>(PQgetlength(result_, row_, at))};
  }

 private:
  const char* cell(int at) const { return PQgetvalue(result_, row_, at); }
  const PGresult* result_;
  int row_;
};

/// The first line, without what libpq puts before it.
std::string first_line(std::string text) {
  text = text.substr(0, text.find('\n'));
  for (const char* before : {"FATAL:  ", "ERROR:  "})
    if (const size_t at = text.find(before); at != std::string::npos)
      text = text.substr(at + std::strlen(before));
  return text;
}

class Postgres : public StudyDatabase {
 public:
  explicit Postgres(const std::string& url) : name_(place_name(url)) {
    char* wrong = nullptr;
    PQconninfoOption* options = PQconninfoParse(url.c_str(), &wrong);
    if (!options) {
      const std::string why = wrong ? first_line(wrong) : "out of memory";
      PQfreemem(wrong);
      fail(Error::Kind::usage,
           {"the study ", name_, " should be postgresql://user:password@host/database: ", why});
    }
    PQconninfoFree(options);
    // A dead network is noticed within seconds; what the address says goes before.
    const char* names[] = {
        "connect_timeout", "tcp_user_timeout", "keepalives_idle",  "keepalives_interval",
        "dbname",          "client_encoding",  "application_name", nullptr};
    const char* values[] = {"10", "30000", "10", "5", url.c_str(), "UTF8", "nacre", nullptr};
    connection_ = PQconnectdbParams(names, values, 1);
    if (PQstatus(connection_) != CONNECTION_OK) {
      const std::string why = refusal();
      PQfinish(connection_);
      fail(Error::Kind::io, {"cannot open the study ", name_, ": ", why});
    }
    settle();
  }
  ~Postgres() override { PQfinish(connection_); }
  Postgres(const Postgres&) = delete;
  Postgres& operator=(const Postgres&) = delete;

  void run(const char* sql, std::span<const Value> values,
           const std::function<void(const Row&)>& each) override {
    const Result result = send(sql, values);
    if (!fine(result.get())) wrong(result.get());
    if (!each) return;
    for (int i = 0; i < PQntuples(result.get()); ++i) each(PostgresRow(result.get(), i));
  }
  void begin() override {
    const auto give_up = Clock::now() + kPatience;
    bool told = false;
    while (!try_begin()) {
      if (!told) log_warning({"the connection to the study ", name_, " was lost; trying again"});
      told = true;
      if (Clock::now() > give_up) lost();
      std::this_thread::sleep_for(kRetryPause);
      PQreset(connection_);
      if (PQstatus(connection_) == CONNECTION_OK) settle();
    }
  }
  void commit() override { run("COMMIT", {}, {}); }
  void roll_back() noexcept override { PQclear(PQexec(connection_, "ROLLBACK")); }
  double now() override {
    double seconds = 0;
    run("SELECT extract(epoch FROM clock_timestamp())", {},
        [&](const Row& row) { seconds = row.number(0); });
    return seconds;
  }

 private:
  /// What a connection needs. A worker that hangs in a transaction does not keep others from
  /// theirs.
  void settle() {
    PQsetNoticeProcessor(
        connection_, [](void*, const char*) {}, nullptr);
    PQclear(PQexec(connection_,
                   "SET lock_timeout = '60s'; SET idle_in_transaction_session_timeout = '60s'"));
  }
  static bool fine(const PGresult* result) {
    const ExecStatusType status = PQresultStatus(result);
    return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
  }
  /// False if there is no connection.
  bool try_begin() {
    for (const char* sql :
         {"BEGIN", "SELECT pg_advisory_xact_lock(hashtext('nacre ' || current_schema()))"}) {
      const Result result(PQexec(connection_, sql), PQclear);
      if (fine(result.get())) continue;
      roll_back();  // after the words with which a server goes, this finds that it is gone
      if (PQstatus(connection_) != CONNECTION_OK) return false;
      wrong(result.get());
    }
    return true;
  }
  Result send(const char* sql, std::span<const Value> values) {
    std::vector<std::string> texts(values.size());
    std::vector<const char*> cells(values.size(), nullptr);
    for (size_t i = 0; i < values.size(); ++i) {
      if (const auto* integer = std::get_if<int64_t>(&values[i])) {
        texts[i] = std::to_string(*integer);
      } else if (const auto* number = std::get_if<double>(&values[i])) {
        if (std::isnan(*number)) continue;
        char digits[40];
        std::snprintf(digits, sizeof digits, "%.17g", *number);
        texts[i] = digits;
      } else if (const auto* text = std::get_if<std::string>(&values[i])) {
        // The server takes neither broken UTF-8 nor zero bytes.
        const bool plain =
            find_broken_utf8(*text) == std::string::npos && text->find('\0') == std::string::npos;
        texts[i] = plain ? *text : printable(*text);
      }
      cells[i] = texts[i].c_str();
    }
    return {PQexecParams(connection_, sql, static_cast<int>(values.size()), nullptr, cells.data(),
                         nullptr, nullptr, 0),
            PQclear};
  }
  /// Why the server did not let us in.
  std::string refusal() const {
    const std::string said = PQerrorMessage(connection_);
    const std::string user = PQuser(connection_) ? PQuser(connection_) : "";
    const std::string base = PQdb(connection_) ? PQdb(connection_) : "";
    const auto says = [&](const std::string& words) {
      return said.find(words) != std::string::npos;
    };
    if (says("no password supplied"))
      return cat({"the server asks for a password of the user '", user,
                  "'; give it as postgresql://", user, ":PASSWORD@... or in ~/.pgpass"});
    if (says("password authentication failed"))
      return cat({"the password is not that of the user '", user, "'"});
    if (says("database \"" + base + "\" does not exist"))
      return cat({"the server has no data base '", base, "'; make it with: createdb ", base});
    if (says("role \"" + user + "\" does not exist"))
      return cat({"the server has no user '", user, "'"});
    return first_line(said);
  }
  [[noreturn]] void lost() const {
    fail(Error::Kind::io, {"the connection to the study ", name_, " was lost: ", refusal(),
                           "; finished trials are kept there"});
  }
  [[noreturn]] void wrong(const PGresult* result) const {
    const char* state = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : nullptr;
    const bool goes = state && std::strncmp(state, "57P", 3) == 0;  // it is being stopped
    if (goes || PQstatus(connection_) != CONNECTION_OK) lost();
    const char* said = result ? PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY) : nullptr;
    fail(Error::Kind::io,
         {"the study ", name_, ": ", said ? said : first_line(PQerrorMessage(connection_))});
  }

  std::string name_;
  PGconn* connection_ = nullptr;
};

}  // namespace

std::unique_ptr<StudyDatabase> open_postgres(const std::string& url) {
  return std::make_unique<Postgres>(url);
}

}  // namespace nacre
