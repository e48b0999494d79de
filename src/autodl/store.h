// Where a study is kept. All changes are one transaction each; several processes may use a store.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "nacre/study.h"

namespace nacre {

class StudyStore {
 public:
  virtual ~StudyStore() = default;

  /// Runs `work` alone: no other worker reads or writes meanwhile. If it throws, nothing is kept.
  virtual void alone(const std::function<void()>& work) = 0;

  virtual std::optional<std::string> text(const std::string& name) = 0;
  virtual void set_text(const std::string& name, const std::string& value) = 0;

  virtual std::vector<Trial> trials() = 0;
  /// Adds or replaces by number; reports are kept as they are.
  virtual void put(const Trial& trial, const std::string& worker, double now) = 0;
  virtual void add_report(int64_t number, int64_t step, double value) = 0;
  virtual void clear_reports(int64_t number) = 0;
  /// Sign of life.
  virtual void touch(int64_t number, double now) = 0;

  struct Holder {
    int64_t number = 0;
    std::string worker;
    double seen = 0;
  };
  /// Who works on running trials.
  virtual std::vector<Holder> holders() = 0;
};

/// A file, or memory for "".
std::unique_ptr<StudyStore> open_sqlite_store(const std::string& path);
/// postgresql://... Throws Error(unsupported) if nacre was built without libpq.
std::unique_ptr<StudyStore> open_postgres_store(const std::string& url);

}  // namespace nacre
