// Where a study is kept. All changes are one transaction each; several processes may use a store.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "autodl/database.h"
#include "nacre/study.h"

namespace nacre {

/// Whether a study lives in a server, not in a file.
bool is_remote(const std::string& place);
/// As messages name a place: without its password.
std::string place_name(const std::string& place);

class StudyStore {
 public:
  /// A file of SQLite, "" for memory, or postgresql://...
  explicit StudyStore(const std::string& place);

  /// Runs `work` alone: no other worker reads or writes meanwhile. If it throws, nothing is kept.
  void alone(const std::function<void()>& work);
  /// Seconds, by a clock that all workers have in common.
  double now();

  std::optional<std::string> text(const std::string& name);
  void set_text(const std::string& name, const std::string& value);

  std::vector<Trial> trials();
  /// Adds or replaces by number; reports are kept as they are.
  void put(const Trial& trial, const std::string& worker);
  void add_report(int64_t number, int64_t step, double value);
  void clear_reports(int64_t number);
  /// Sign of life.
  void touch(int64_t number);

  struct Holder {
    int64_t number = 0;
    std::string worker;
    double seen = 0;
  };
  /// Who works on running trials.
  std::vector<Holder> holders();

 private:
  using Value = StudyDatabase::Value;
  using Row = StudyDatabase::Row;
  void run(const char* sql, std::initializer_list<Value> values = {},
           const std::function<void(const Row&)>& each = {});
  Trial::State state_of(const std::string& word) const;

  std::string name_;
  std::unique_ptr<StudyDatabase> base_;
  bool inside_ = false;
};

}  // namespace nacre
