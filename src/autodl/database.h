// The two data bases of SQL that a study may be kept in, as far as they differ.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <variant>

namespace nacre {

class StudyDatabase {
 public:
  using Value = std::variant<int64_t, double, std::string>;
  /// A row of a result, columns from 0.
  class Row {
   public:
    virtual ~Row() = default;
    virtual int64_t integer(int at) const = 0;
    virtual double number(int at) const = 0;  ///< NULL is NaN
    virtual std::string text(int at) const = 0;
  };

  virtual ~StudyDatabase() = default;

  /// Runs a statement that has `values` for $1, $2, ..., in the order in which it names them, and
  /// shows each row of its result. NaN is written as NULL.
  virtual void run(const char* sql, std::span<const Value> values,
                   const std::function<void(const Row&)>& each) = 0;
  /// A transaction; waits until no other worker is in one.
  virtual void begin() = 0;
  virtual void commit() = 0;
  virtual void roll_back() noexcept = 0;
  /// Seconds, by a clock that all workers have in common. Within a transaction only.
  virtual double now() = 0;
};

/// A file, or memory for "".
std::unique_ptr<StudyDatabase> open_sqlite(const std::string& path);
/// postgresql://user:password@host:port/database.
std::unique_ptr<StudyDatabase> open_postgres(const std::string& url);

}  // namespace nacre
