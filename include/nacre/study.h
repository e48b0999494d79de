// Search for good settings: a space, points drawn from it, early ends for the bad ones, and a study
// that keeps every trial in a data base, so that nothing finished is lost.
//
//   SearchSpace space;
//   space.real("lr", 1e-4, 1e-1, true).choice("model", {"mlp", "svm"});
//   space.integer("width", 8, 256, true).when("model", {"mlp"});
//   Study study("study.db", space, {.seed = 1});
//   for (int i = 0; i < 50; ++i) {
//     Trial t = study.ask();                    // or one whose worker died
//     study.tell(t, loss_of(t.point));          // less is better
//   }
//   std::cout << study.best()->point.str();
//
// Several processes may open one study. With the same seed, one worker and the same values told,
// the same points are drawn, also after a kill. A Study is for one thread at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "nacre/random.h"

namespace nacre {

// ---- space

using SearchValue = std::variant<int64_t, double, std::string>;

/// Values by name; dimensions that do not apply are missing.
struct Point {
  std::map<std::string, SearchValue> values;
  bool has(const std::string& name) const { return values.count(name) > 0; }
  /// Throw Error(usage) if there is no such value, or one of another type.
  double number(const std::string& name) const;  ///< an integer too
  int64_t integer(const std::string& name) const;
  const std::string& word(const std::string& name) const;
  /// "lr=0.01 model=mlp".
  std::string str() const;
  std::string to_json() const;
  static Point from_json(std::string_view text);
  friend bool operator==(const Point&, const Point&) = default;
};

struct SearchDimension {
  enum class Kind { real, integer, choice };
  std::string name;
  Kind kind = Kind::real;
  double low = 0, high = 1;  ///< both included
  bool log = false;          ///< drawn evenly in the logarithm
  std::vector<std::string> words;
  std::string parent;             ///< a choice further up; "" is none
  std::vector<std::string> when;  ///< words of the parent with which this dimension applies
  friend bool operator==(const SearchDimension&, const SearchDimension&) = default;
};

class SearchSpace {
 public:
  /// Throw Error(usage) for a name that is taken, low > high, log with low <= 0, no words.
  SearchSpace& real(const std::string& name, double low, double high, bool log = false);
  SearchSpace& integer(const std::string& name, int64_t low, int64_t high, bool log = false);
  SearchSpace& choice(const std::string& name, std::vector<std::string> words);
  /// The dimension added last applies only where the choice `parent` is one of `words`.
  SearchSpace& when(const std::string& parent, std::vector<std::string> words);

  const std::vector<SearchDimension>& dimensions() const { return dimensions_; }
  /// Whether dimension i applies, by the values of those before it.
  bool applies(size_t i, const Point& point) const;
  /// Throws Error(usage) that names a value which is missing, outside its range or unknown.
  void check(const Point& point) const;
  std::string to_json() const;
  static SearchSpace from_json(std::string_view text);
  friend bool operator==(const SearchSpace&, const SearchSpace&) = default;

 private:
  SearchSpace& add(SearchDimension d);
  std::vector<SearchDimension> dimensions_;
};

// ---- trials

struct Trial {
  enum class State { waiting, running, done, pruned, failed };
  int64_t number = 0;
  State state = State::running;
  Point point;
  std::string label;  ///< a name for people; "" if drawn by the sampler
  double value = 0;   ///< told; of a pruned one its last report
  std::string note;   ///< why it failed, or what tell() was given as JSON
  std::vector<std::pair<int64_t, double>> reports;  ///< steps and values, steps ascend
  double seconds = 0;
};
std::string_view name_of(Trial::State state);

// ---- how points are drawn

class PointSampler {
 public:
  virtual ~PointSampler() = default;
  /// A function of its arguments.
  virtual Point draw(const SearchSpace& space, std::span<const Trial> trials, Key key) const = 0;
};

std::unique_ptr<PointSampler> random_sampler();

/// Tree-structured Parzen estimator (Bergstra, Bardenet, Bengio and Kegl, Algorithms for
/// hyper-parameter optimization, NeurIPS 2011), its densities over all dimensions together as in
/// BOHB (Falkner, Klein and Hutter, ICML 2018).
struct TpeOptions {
  int64_t startup = 10;     ///< random points before
  double good_share = 0.2;  ///< of all trials, those whose density is looked for
  int64_t candidates = 32;
};
std::unique_ptr<PointSampler> tpe_sampler(const TpeOptions& options = {});

// ---- early ends

class Pruner {
 public:
  virtual ~Pruner() = default;
  /// Whether the trial, which has just reported at its last step, should end. `trials` are all of
  /// the study, itself included.
  virtual bool prune(const Trial& trial, std::span<const Trial> trials) const = 0;
};

std::unique_ptr<Pruner> no_pruner();

/// Asynchronous successive halving (Li et al., A system for massively parallel hyperparameter
/// tuning, MLSys 2020), in the form that ends trials: at the steps least, least * factor, ... a
/// trial goes on only if its value is among the best 1/factor of those reported there.
std::unique_ptr<Pruner> asha_pruner(int64_t least, int64_t factor = 3);

/// Hyperband (Li et al., JMLR 2018): trials take turns in brackets of asha whose first step is
/// least, least * factor, ..., up to `most`; a bracket that ends trials earlier gets more of them.
std::unique_ptr<Pruner> hyperband_pruner(int64_t least, int64_t most, int64_t factor = 3);

// ---- the study

struct StudyOptions {
  uint64_t seed = 0;
  /// Text that goes with the study, of whom it is about: a study with another one is refused.
  std::string about;
  /// Seconds without a sign of life after which a trial is taken over; one of a process of this
  /// machine that has ended is taken over at once.
  double patience = 60;
  std::shared_ptr<const PointSampler> sampler;  ///< null: tpe_sampler()
  std::shared_ptr<const Pruner> pruner;         ///< null: no_pruner()
};

class StudyStore;

class Study {
 public:
  /// Makes or opens a study. `place` is a file of SQLite, "" for one in memory only, or
  /// postgresql://user:password@host/database (one study in each data base or schema). Throws
  /// Error(usage) if the study there has another space, seed or `about`, Error(io) or Error(data)
  /// if it cannot be opened. A server that goes away is waited for ten seconds; then, or if that
  /// happens within a change, calls throw Error(io), and what was kept before stays.
  Study(const std::string& place, SearchSpace space, StudyOptions options = {});
  /// Opens a study that exists, with the space, seed and `about` that it has.
  static Study join(const std::string& place, StudyOptions options = {});
  Study(Study&&) noexcept;
  ~Study();

  const SearchSpace& space() const;
  const std::string& about() const;
  uint64_t seed() const;

  /// Points to try before any is drawn, once for a study: later calls do nothing.
  void enqueue(const std::vector<std::pair<std::string, Point>>& points);
  /// The next trial: one whose worker is gone, begun anew, else one that waits, else a point drawn.
  Trial ask();
  /// The same, but nothing is drawn: null if no trial waits or was left behind.
  std::optional<Trial> ask_waiting();
  /// A trial of a point of the caller's choice.
  Trial ask(const Point& point, const std::string& label);
  /// A value on the way; true if the trial should end, see prune(). Not finite counts as bad.
  bool report(Trial& trial, int64_t step, double value);
  /// A sign of life, at most one write a second. False if another worker has taken the trial over.
  bool alive(const Trial& trial);
  /// Ends a trial. A value that is not finite is a failure.
  void tell(Trial& trial, double value, const std::string& note = "");
  void prune(Trial& trial, const std::string& note = "");
  void fail(Trial& trial, const std::string& reason);
  /// Gives a running trial back, to be begun anew.
  void release(Trial& trial);

  /// All, by number.
  std::vector<Trial> trials() const;
  /// The one with the least value told.
  std::optional<Trial> best() const;

  /// Texts that workers share.
  void set_text(const std::string& name, const std::string& value);
  std::optional<std::string> text(const std::string& name) const;

 private:
  Study() = default;
  void open(const std::string& place, StudyOptions options);
  std::unique_ptr<StudyStore> store_;
  SearchSpace space_;
  StudyOptions options_;
  double touched_ = 0;  // when alive() last wrote
};

}  // namespace nacre
