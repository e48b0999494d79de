#include "nacre/study.h"

#include <unistd.h>

#include <chrono>
#include <cmath>
#include <filesystem>

#include "autodl/store.h"
#include "autodl/trial_run.h"
#include "base/file.h"
#include "nacre/error.h"

namespace nacre {
namespace {

constexpr const char* kFormat = "nacre-study-1";
constexpr double kTouchSeconds = 1;

/// The 22nd field of /proc/PID/stat: when the process began; "" if there is none.
std::string start_of(const std::string& pid) {
  try {
    const std::string stat = read_file("/proc/" + pid + "/stat", 1 << 16);
    size_t at = stat.rfind(')');
    for (int k = 0; k < 20 && at != std::string::npos; ++k) at = stat.find(' ', at + 1);
    if (at == std::string::npos) return "";
    return stat.substr(at + 1, stat.find(' ', at + 1) - at - 1);
  } catch (const Error&) {
    return "";
  }
}

/// Of the machine since its last start, and of the container that processes are counted in.
std::string machine_name() {
  try {
    std::error_code none;
    return read_file("/proc/sys/kernel/random/boot_id", 100).substr(0, 36) +
           std::filesystem::read_symlink("/proc/self/ns/pid", none).string();
  } catch (const Error&) {
    char name[256] = "";
    gethostname(name, sizeof name - 1);
    return name;
  }
}

/// "machine pid start".
std::string own_name() {
  static const std::string machine = machine_name();
  const std::string pid = std::to_string(getpid());  // a fork has another
  return machine + " " + pid + " " + start_of(pid);
}

/// A process of this machine that has ended. Those of others are not known.
bool is_gone(const std::string& worker) {
  const auto a = worker.find(' '), b = worker.rfind(' ');
  if (a == std::string::npos || a == b || worker.substr(0, a) != machine_name()) return false;
  return start_of(worker.substr(a + 1, b - a - 1)) != worker.substr(b + 1);
}

}  // namespace

std::string_view name_of(Trial::State state) {
  switch (state) {
    case Trial::State::waiting:
      return "waiting";
    case Trial::State::running:
      return "running";
    case Trial::State::done:
      return "done";
    case Trial::State::pruned:
      return "pruned";
    case Trial::State::failed:
      return "failed";
  }
  return "";
}

Study::Study(Study&&) noexcept = default;
Study::~Study() = default;

void Study::open(const std::string& place, StudyOptions options) {
  options_ = std::move(options);
  if (!options_.sampler) options_.sampler = tpe_sampler();
  if (!options_.pruner) options_.pruner = no_pruner();
  store_ = std::make_unique<StudyStore>(place);
}

Study::Study(const std::string& place, SearchSpace space, StudyOptions options)
    : space_(std::move(space)) {
  open(place, std::move(options));
  store_->alone([&] {
    const auto same = [&](const char* name, const std::string& mine, const char* what) {
      const auto theirs = store_->text(name);
      if (!theirs)
        store_->set_text(name, mine);
      else if (*theirs != mine)
        nacre::fail(Error::Kind::usage,
                    {"the study ", place_name(place), " was begun with another ", what,
                     "; go on with that, or choose another place"});
    };
    same("format", kFormat, "version of nacre");
    same("about", options_.about, "task");
    same("space", space_.to_json(), "search space");
    same("seed", std::to_string(options_.seed), "seed");
  });
}

Study Study::join(const std::string& place, StudyOptions options) {
  if (!is_remote(place) && !file_exists(place))
    nacre::fail(Error::Kind::usage, {"there is no study ", place, " to join"});
  Study s;
  s.open(place, std::move(options));
  const auto format = s.store_->text("format");
  if (!format || *format != kFormat)
    nacre::fail(Error::Kind::data, {place_name(place), " holds no study of this version"});
  s.space_ = SearchSpace::from_json(s.store_->text("space").value_or("[]"));
  s.options_.about = s.store_->text("about").value_or("");
  s.options_.seed = std::strtoull(s.store_->text("seed").value_or("0").c_str(), nullptr, 10);
  return s;
}

const SearchSpace& Study::space() const { return space_; }
const std::string& Study::about() const { return options_.about; }
uint64_t Study::seed() const { return options_.seed; }

void Study::enqueue(const std::vector<std::pair<std::string, Point>>& points) {
  for (const auto& [label, point] : points) space_.check(point);
  store_->alone([&] {
    if (store_->text("enqueued")) return;
    auto number = static_cast<int64_t>(store_->trials().size());
    for (const auto& [label, point] : points) {
      Trial t;
      t.number = number++;
      t.state = Trial::State::waiting;
      t.point = point;
      t.label = label;
      store_->put(t, "");
    }
    store_->set_text("enqueued", std::to_string(points.size()));
  });
}

std::optional<Trial> Study::ask_waiting() {
  std::optional<Trial> found;
  store_->alone([&] {
    const double now = store_->now();
    const auto list = store_->trials();
    for (const auto& h : store_->holders()) {
      if (now - h.seen < options_.patience && !is_gone(h.worker)) continue;
      for (const Trial& t : list)
        if (t.number == h.number) found = t;
      break;
    }
    if (!found)
      for (const Trial& t : list)
        if (t.state == Trial::State::waiting) {
          found = t;
          break;
        }
    if (!found) return;
    found->state = Trial::State::running;
    found->reports.clear();
    store_->clear_reports(found->number);
    store_->put(*found, own_name());
  });
  return found;
}

Trial Study::ask() {
  Trial t;
  store_->alone([&] {
    if (auto waiting = ask_waiting()) {
      t = std::move(*waiting);
      return;
    }
    const auto list = store_->trials();
    t.number = static_cast<int64_t>(list.size());
    t.point = options_.sampler->draw(
        space_, list, Key(options_.seed).fold_in("trial").fold_in(static_cast<uint64_t>(t.number)));
    store_->put(t, own_name());
  });
  return t;
}

Trial Study::ask(const Point& point, const std::string& label) {
  space_.check(point);
  Trial t;
  t.point = point;
  t.label = label;
  store_->alone([&] {
    t.number = static_cast<int64_t>(store_->trials().size());
    store_->put(t, own_name());
  });
  return t;
}

bool Study::report(Trial& trial, int64_t step, double value) {
  if (!trial.reports.empty() && step <= trial.reports.back().first)
    nacre::fail(Error::Kind::usage,
                {"reports of a trial should come in the order of their steps, got ", step,
                 " after ", trial.reports.back().first});
  trial.reports.emplace_back(step, value);
  trial.value = value;
  bool end = false;
  store_->alone([&] {
    store_->add_report(trial.number, step, value);
    store_->touch(trial.number);
    end = options_.pruner->prune(trial, store_->trials());
  });
  return end;
}

bool Study::alive(const Trial& trial) {
  const double now = steady_seconds();
  if (now - touched_ < kTouchSeconds) return true;
  touched_ = now;
  bool mine = false;
  store_->alone([&] {
    for (const auto& h : store_->holders())
      mine = mine || (h.number == trial.number && h.worker == own_name());
    if (mine) store_->touch(trial.number);
  });
  return mine;
}

void Study::tell(Trial& trial, double value, const std::string& note) {
  if (!std::isfinite(value)) return fail(trial, "its value is not a number");
  trial.state = Trial::State::done;
  trial.value = value;
  trial.note = note;
  store_->alone([&] { store_->put(trial, own_name()); });
}

void Study::prune(Trial& trial, const std::string& note) {
  trial.state = Trial::State::pruned;
  trial.note = note;
  store_->alone([&] { store_->put(trial, own_name()); });
}

void Study::fail(Trial& trial, const std::string& reason) {
  trial.state = Trial::State::failed;
  trial.note = reason;
  store_->alone([&] { store_->put(trial, own_name()); });
}

void Study::release(Trial& trial) {
  trial.state = Trial::State::waiting;
  trial.reports.clear();
  store_->alone([&] {
    store_->clear_reports(trial.number);
    store_->put(trial, "");
  });
}

std::vector<Trial> Study::trials() const { return store_->trials(); }

std::optional<Trial> Study::best() const {
  std::optional<Trial> best;
  for (Trial& t : store_->trials())
    if (t.state == Trial::State::done && (!best || t.value < best->value)) best = std::move(t);
  return best;
}

void Study::set_text(const std::string& name, const std::string& value) {
  store_->alone([&] { store_->set_text(" " + name, value); });
}

std::optional<std::string> Study::text(const std::string& name) const {
  return store_->text(" " + name);
}

}  // namespace nacre
