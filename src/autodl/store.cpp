#include "autodl/store.h"

#include "nacre/error.h"

namespace nacre {

bool is_remote(const std::string& place) {
  return place.starts_with("postgresql://") || place.starts_with("postgres://");
}

std::string place_name(const std::string& place) {
  if (!is_remote(place)) return place;
  std::string name = place;
  const size_t from = name.find("://") + 3, host = name.find('@', from);
  const size_t colon = name.find(':', from);
  if (host != std::string::npos && colon < host) name.erase(colon, host - colon);
  return name.substr(0, name.find('?'));  // parameters may have one too
}

StudyStore::StudyStore(const std::string& place)
    : name_(place_name(place)),
      base_(is_remote(place) ? open_postgres(place) : open_sqlite(place)) {
  alone([&] {
    run("CREATE TABLE IF NOT EXISTS study(name TEXT PRIMARY KEY, value TEXT NOT NULL)");
    run("CREATE TABLE IF NOT EXISTS trial(number BIGINT PRIMARY KEY, state TEXT NOT NULL, "
        "point TEXT NOT NULL, label TEXT NOT NULL, value DOUBLE PRECISION, note TEXT NOT NULL, "
        "seconds DOUBLE PRECISION NOT NULL, worker TEXT NOT NULL, "
        "seen DOUBLE PRECISION NOT NULL)");
    run("CREATE TABLE IF NOT EXISTS report(trial BIGINT NOT NULL, step BIGINT NOT NULL, "
        "value DOUBLE PRECISION, PRIMARY KEY(trial, step))");
  });
}

void StudyStore::alone(const std::function<void()>& work) {
  if (inside_) return work();
  base_->begin();
  inside_ = true;
  try {
    work();
    base_->commit();
    inside_ = false;
  } catch (...) {
    inside_ = false;
    base_->roll_back();
    throw;
  }
}

void StudyStore::run(const char* sql, std::initializer_list<Value> values,
                     const std::function<void(const Row&)>& each) {
  alone([&] { base_->run(sql, {values.begin(), values.size()}, each); });
}

double StudyStore::now() {
  double seconds = 0;
  alone([&] { seconds = base_->now(); });
  return seconds;
}

std::optional<std::string> StudyStore::text(const std::string& name) {
  std::optional<std::string> found;
  run("SELECT value FROM study WHERE name = $1", {name}, [&](const Row& r) { found = r.text(0); });
  return found;
}

void StudyStore::set_text(const std::string& name, const std::string& value) {
  run("INSERT INTO study(name, value) VALUES($1, $2) "
      "ON CONFLICT(name) DO UPDATE SET value = excluded.value",
      {name, value});
}

std::vector<Trial> StudyStore::trials() {
  std::vector<Trial> list;
  alone([&] {
    run("SELECT number, state, point, label, value, note, seconds FROM trial ORDER BY number", {},
        [&](const Row& r) {
          Trial t;
          t.number = r.integer(0);
          t.state = state_of(r.text(1));
          t.point = Point::from_json(r.text(2));
          t.label = r.text(3);
          t.value = r.number(4);
          t.note = r.text(5);
          t.seconds = r.number(6);
          list.push_back(std::move(t));
        });
    size_t at = 0;
    run("SELECT trial, step, value FROM report ORDER BY trial, step", {}, [&](const Row& r) {
      while (at < list.size() && list[at].number < r.integer(0)) ++at;
      if (at < list.size() && list[at].number == r.integer(0))
        list[at].reports.emplace_back(r.integer(1), r.number(2));
    });
  });
  return list;
}

void StudyStore::put(const Trial& t, const std::string& worker) {
  alone([&] {
    run("INSERT INTO trial(number, state, point, label, value, note, seconds, worker, seen) "
        "VALUES($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT(number) DO UPDATE SET "
        "state = excluded.state, point = excluded.point, label = excluded.label, "
        "value = excluded.value, note = excluded.note, seconds = excluded.seconds, "
        "worker = excluded.worker, seen = excluded.seen",
        {t.number, std::string(name_of(t.state)), t.point.to_json(), t.label, t.value, t.note,
         t.seconds, worker, now()});
  });
}

void StudyStore::add_report(int64_t number, int64_t step, double value) {
  run("INSERT INTO report(trial, step, value) VALUES($1, $2, $3) "
      "ON CONFLICT(trial, step) DO UPDATE SET value = excluded.value",
      {number, step, value});
}

void StudyStore::clear_reports(int64_t number) {
  run("DELETE FROM report WHERE trial = $1", {number});
}

void StudyStore::touch(int64_t number) {
  alone([&] { run("UPDATE trial SET seen = $1 WHERE number = $2", {now(), number}); });
}

std::vector<StudyStore::Holder> StudyStore::holders() {
  std::vector<Holder> list;
  run("SELECT number, worker, seen FROM trial WHERE state = 'running' ORDER BY number", {},
      [&](const Row& r) {
        list.push_back({r.integer(0), r.text(1), r.number(2)});
      });
  return list;
}

Trial::State StudyStore::state_of(const std::string& word) const {
  for (const auto s : {Trial::State::waiting, Trial::State::running, Trial::State::done,
                       Trial::State::pruned, Trial::State::failed})
    if (name_of(s) == word) return s;
  fail(Error::Kind::data, {"the study ", name_, " has a trial in the state '", word, "'"});
}

}  // namespace nacre
