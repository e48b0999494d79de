// Data sets, how they are split, checked and sampled, and the loader that makes batches of them.
//
//   DataSplits data = open_dataset("photos/");               // recognises what the folder holds
//   for (const Finding& f : check_dataset(data)) std::cout << f.text << "\n";
//   DataLoader loader(data.train, Transform::parse("resize(32)"), shuffled(data.train->size()),
//                     {.batch = 64, .workers = 2, .seed = 1});
//   for (loader.start(epoch); auto batch = loader.next();) train(*batch);
//
// Recognised: a folder of pictures, WAV clips or text files per class (in train/, val/, test/ or
// not), IDX (MNIST and its kin), CIFAR-10 and CIFAR-100 binaries, archives (.tar, .tar.gz, .zip) of
// class folders of pictures or clips, tars of class tars (ImageNet), tables (CSV, TSV, also .gz),
// rows "label index:value ...", and text lines "label TAB text".
#pragma once

#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "nacre/transforms.h"

namespace nacre {

// ---- data sets

struct TableSchema;

/// Samples by number. Immutable; all functions are thread-safe.
class Dataset {
 public:
  virtual ~Dataset() = default;
  virtual int64_t size() const = 0;
  /// Sample i as it is stored, before any transform. Throws Error (data, io) that names the file.
  virtual Sample get(int64_t i) const = 0;
  /// Class index without reading the sample; -1 if there is none.
  virtual int64_t label(int64_t i) const = 0;
  /// What a person would call it: a path, "digits.csv row 12".
  virtual std::string name(int64_t i) const = 0;
  /// For bucketing: characters of a text, else 0.
  virtual int64_t length(int64_t) const { return 0; }
  /// Equal for equal contents, for finding duplicates.
  virtual uint64_t content_hash(int64_t i) const = 0;
  /// What is odd about the whole ("60 pictures, CIFAR-10 has 50000"); empty if nothing.
  virtual std::string remark() const { return {}; }
  /// Of a table or a part of one; else null.
  virtual const TableSchema* schema() const { return nullptr; }
  /// Class names; empty if the data set has no classes.
  const std::vector<std::string>& classes() const { return classes_; }

 protected:
  /// Throws Error (usage) unless 0 <= i < size().
  void check(int64_t i) const;
  std::vector<std::string> classes_;
};

using DatasetPtr = std::shared_ptr<const Dataset>;

/// Some samples of a data set, in that order. Throws Error (usage) for indices out of range.
DatasetPtr subset(DatasetPtr whole, std::vector<int64_t> indices);

/// The same samples with the labels that their classes have in another list, which may name more.
/// Throws Error (usage) if a class is not in it.
DatasetPtr with_classes(DatasetPtr whole, std::vector<std::string> classes);

/// A data set of samples at hand.
DatasetPtr from_samples(std::vector<Sample> samples, std::vector<std::string> classes);

// ---- tables

struct TableColumn {
  enum class Kind { number, category, text };
  std::string name;
  Kind kind = Kind::number;
  std::vector<std::string> categories;  ///< sorted
  friend bool operator==(const TableColumn&, const TableColumn&) = default;
};

/// How rows of text become numbers: a number is itself (NaN if missing), a category is a 1 among
/// zeros (all zeros if missing or unknown). Free text is no number yet: it becomes Sample::text,
/// which the step text_features turns into numbers. A model of a table stores this as text.
struct TableSchema {
  std::vector<TableColumn> columns;
  int target = -1;          ///< column to predict; -1 is none
  bool regression = false;  ///< the target is a value, not a class
  double white = 0;         ///< of a table of square grey pictures: the value that becomes 1

  int64_t features() const;
  /// Names of the features: "age", "colour=red".
  std::vector<std::string> feature_names() const;
  /// Features of one row, given as text in the order of the columns without the target. Throws
  /// Error (data) for a wrong number of cells or a cell that is not a number.
  std::vector<float> encode(const std::vector<std::string>& cells) const;
  /// The free text of such a row: its columns of text, one a line.
  std::string text(const std::vector<std::string>& cells) const;
  bool has_text() const;
  std::string to_json() const;
  static TableSchema from_json(std::string_view text);
  friend bool operator==(const TableSchema&, const TableSchema&) = default;
};

enum class Task { automatic, classification, regression };

struct CsvOptions {
  /// Column to predict. Default: "label", "class" or "target", else the only column of text (no
  /// free text, of at most 40 different ones), else the last.
  std::string target;
  Task task = Task::automatic;  ///< automatic: whole numbers of at most 20 values are classes
  /// Of the training part, for the other parts: columns are found by name; of tables without names
  /// by position.
  const TableSchema* schema = nullptr;
  bool needs_target = true;  ///< with a schema; false: the target is not read and may be left out
  uint64_t max_bytes = uint64_t{1} << 32;
  size_t max_line = size_t{1} << 22;  ///< bytes
  size_t max_columns = 20000;
  /// A column of more different texts is free text if they are of several words, else it is left
  /// out; not the target.
  size_t max_categories = 100;
};

/// A table as a data set. Cells are separated by comma, semicolon or TAB (told by the first line),
/// may be quoted, and are missing when empty, "?", "NA", "nan" or "null". A first row without
/// numbers is the header. Columns named p0, p1, ... or pixel0, pixel1, ... are a square grey
/// picture, of values up to 1, 16 or 255. Throws Error (data) for a table that lacks columns of the
/// schema or has others.
DatasetPtr open_csv(const std::string& path, const CsvOptions& options = {});

/// The schema of a table or of a part of one; null for other data sets.
const TableSchema* table_schema(const Dataset& dataset);

/// Fits a scaler to Sample::features, row after row.
Scaler fit_scaler(Scaler::Kind kind, const Dataset& dataset);

/// What counts in texts: words, sequences of words, and pieces of words. Letters are compared
/// without case; of scripts that write no blanks (Chinese, Japanese, Thai) a character is a word.
struct TextOptions {
  int64_t terms = 4096;  ///< the most frequent ones are kept
  int64_t least = 2;     ///< texts that a term is found in
  int words = 1;         ///< longest sequence of words, up to 3
  int chars = 0;         ///< longest piece of a word, 3 to 6 characters; 0: none
};

/// Finds the terms of the texts of a data set and how rare they are; returns the step text_features
/// of a Transform, which appends (1 + log count) * (1 + log((1 + n) / (1 + texts with it))) of each
/// term to the features, divided by their Euclidean length (TF-IDF; Salton and Buckley 1988).
/// Throws Error(data) if no term is found often enough.
std::string fit_text(const Dataset& dataset, const TextOptions& options = {});

/// The step `counts` of a Transform, which weighs columns as fit_text() does terms, if the rows
/// after some steps count words or the like: at least 100 columns of whole numbers, of which nine
/// in ten are 0 and none is missing. Empty if they do not.
std::string fit_counts(const Dataset& dataset, const Transform& before);

// ---- opening

struct OpenOptions {
  DecodeLimits limits;  ///< of pictures
  CsvOptions csv;
};

/// The parts that were found; val and test may be null.
struct DataSplits {
  std::string
      kind;  ///< "folder", "idx", "cifar10", "cifar100", "tar", "zip", "table", "sparse", "text"
  DatasetPtr train, val, test;
  /// Files and folders that were left aside.
  std::vector<std::string> ignored;
};

/// Recognises a file or folder. Throws Error (data) that says what was found and what would be
/// read; Error (io) if it does not exist.
DataSplits open_dataset(const std::string& path, const OpenOptions& options = {});

// ---- splits: lists of sample numbers

using Indices = std::vector<int64_t>;

/// n samples in parts of the given shares (which sum to 1), at random.
std::vector<Indices> split_random(int64_t n, const std::vector<double>& shares, Key key);
/// Every class in the same shares, up to rounding.
std::vector<Indices> split_stratified(const Indices& labels, const std::vector<double>& shares,
                                      Key key);
/// Samples of one group stay together; shares are met as well as the groups allow.
std::vector<Indices> split_groups(const Indices& groups, const std::vector<double>& shares,
                                  Key key);
/// k parts of nearly equal size, stratified if labels are given (their number must be n).
std::vector<Indices> k_folds(int64_t n, int k, Key key, const Indices& labels = {});

/// label(i) of all samples.
Indices labels_of(const Dataset& dataset);

// ---- checks

struct Finding {
  enum class Level { note, warning, error };
  Level level;
  std::string code;  ///< "unreadable", "duplicate", "imbalance", ...
  std::string text;  ///< one sentence
  int64_t count = 0;
  std::vector<std::string> examples;  ///< at most 10 names
};

/// Reads every sample and says what is wrong: codes unreadable, empty, empty_class, one_class,
/// no_test_class, duplicate (across splits), conflict (equal contents, other labels), imbalance (10
/// to 1 or more), label_range, missing_values, mixed_channels, mixed_sizes, mixed_rates,
/// mixed_lengths, silent, empty_column, size (odd number of samples), ignored. Else an empty list.
std::vector<Finding> check_dataset(const DataSplits& data);

// ---- samplers: the order of samples in an epoch

/// Immutable and thread-safe; the order is a function of key and epoch.
class Sampler {
 public:
  virtual ~Sampler() = default;
  virtual Indices order(Key key, int64_t epoch) const = 0;
};
using SamplerPtr = std::shared_ptr<const Sampler>;

SamplerPtr sequential(int64_t n);
SamplerPtr shuffled(int64_t n);
/// count samples drawn with replacement in proportion to the weights.
SamplerPtr weighted(std::vector<double> weights, int64_t count);
/// count samples with equal shares of all classes, or the given ones (of the sorted distinct
/// labels); small classes repeat. Shares are exact up to rounding.
SamplerPtr class_balanced(Indices labels, int64_t count, std::vector<double> shares = {});
/// Batches of similar lengths, in random order.
SamplerPtr bucketed(Indices lengths, int64_t batch);

// ---- loader

enum class OnError { fail, skip };

struct LoaderOptions {
  int64_t batch = 32;
  int workers = 1;   ///< 0 makes batches inside next()
  int prefetch = 4;  ///< batches made ahead, at least the number of workers
  bool drop_last = false;
  bool training = true;  ///< random steps of the transform
  uint64_t seed = 0;
  OnError on_error = OnError::fail;  ///< skip: unreadable samples are left out and counted
};

/// Makes batches in threads of low priority. Batches are the same bits in the same order for any
/// number of workers. For one thread at a time; the destructor stops at once.
class DataLoader {
 public:
  /// Throws Error (usage) for options out of range.
  DataLoader(DatasetPtr dataset, Transform transform, SamplerPtr sampler, LoaderOptions options);
  ~DataLoader();
  DataLoader(const DataLoader&) = delete;
  DataLoader& operator=(const DataLoader&) = delete;

  /// Goes to a batch of an epoch; what follows is what would have followed there.
  void start(int64_t epoch, int64_t batch = 0);
  /// The next batch; nothing at the end of the epoch. Rethrows what a sample threw; the next call
  /// goes on behind that batch.
  std::optional<Batch> next();
  /// Batches in the epoch.
  int64_t batches() const;
  /// Samples left out of the batches given so far, since construction.
  int64_t skipped() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Puts samples together. Throws Error (shape) that names the first sample whose size differs.
Batch collate(const std::vector<Sample>& samples, const Indices& indices, int64_t classes);

}  // namespace nacre
