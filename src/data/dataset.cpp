#include <algorithm>
#include <cstring>

#include "base/hash.h"
#include "data/readers.h"
#include "nacre/error.h"

namespace nacre {

void Dataset::check(int64_t i) const {
  if (i < 0 || i >= size())
    fail(Error::Kind::usage, {"sample ", i, " is not in the data set of ", size()});
}

namespace {

class Subset final : public Dataset {
 public:
  Subset(DatasetPtr whole, Indices indices)
      : whole_(std::move(whole)), indices_(std::move(indices)) {
    classes_ = whole_->classes();
    for (const int64_t i : indices_)
      if (i < 0 || i >= whole_->size())
        fail(Error::Kind::usage, {"sample ", i, " is not in the data set of ", whole_->size()});
  }
  int64_t size() const override { return static_cast<int64_t>(indices_.size()); }
  Sample get(int64_t i) const override { return whole_->get(at(i)); }
  int64_t label(int64_t i) const override { return whole_->label(at(i)); }
  std::string name(int64_t i) const override { return whole_->name(at(i)); }
  int64_t length(int64_t i) const override { return whole_->length(at(i)); }
  uint64_t content_hash(int64_t i) const override { return whole_->content_hash(at(i)); }
  const TableSchema* schema() const override { return whole_->schema(); }

 private:
  int64_t at(int64_t i) const {
    check(i);
    return indices_[static_cast<size_t>(i)];
  }
  DatasetPtr whole_;
  Indices indices_;
};

class Relabelled final : public Dataset {
 public:
  Relabelled(DatasetPtr whole, std::vector<std::string> classes) : whole_(std::move(whole)) {
    classes_ = std::move(classes);
    for (const std::string& c : whole_->classes()) {
      const auto found = std::find(classes_.begin(), classes_.end(), c);
      if (found == classes_.end())
        fail(Error::Kind::usage, {"the class '", c, "' is not among the ", classes_.size()});
      labels_.push_back(found - classes_.begin());
    }
  }
  int64_t size() const override { return whole_->size(); }
  Sample get(int64_t i) const override {
    Sample s = whole_->get(i);
    s.label = among_these(s.label);
    return s;
  }
  int64_t label(int64_t i) const override { return among_these(whole_->label(i)); }
  std::string name(int64_t i) const override { return whole_->name(i); }
  int64_t length(int64_t i) const override { return whole_->length(i); }
  uint64_t content_hash(int64_t i) const override { return whole_->content_hash(i); }
  std::string remark() const override { return whole_->remark(); }
  const TableSchema* schema() const override { return whole_->schema(); }

 private:
  int64_t among_these(int64_t label) const {
    return label < 0 ? label : labels_[static_cast<size_t>(label)];
  }
  DatasetPtr whole_;
  Indices labels_;
};

template <typename T>
uint64_t hash_of(const std::vector<T>& values, uint64_t seed) {
  return hash64({reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)}, seed);
}

class SampleList final : public Dataset {
 public:
  SampleList(std::vector<Sample> samples, std::vector<std::string> classes)
      : samples_(std::move(samples)) {
    classes_ = std::move(classes);
  }
  int64_t size() const override { return static_cast<int64_t>(samples_.size()); }
  Sample get(int64_t i) const override { return at(i); }
  int64_t label(int64_t i) const override { return at(i).label; }
  std::string name(int64_t i) const override { return "sample " + std::to_string(i); }
  int64_t length(int64_t i) const override { return static_cast<int64_t>(at(i).text.size()); }
  uint64_t content_hash(int64_t i) const override {
    const Sample& s = at(i);
    return hash64(s.text, hash_of(s.image.pixels, hash_of(s.features, hash_of(s.audio, 1))));
  }

 private:
  const Sample& at(int64_t i) const {
    check(i);
    return samples_[static_cast<size_t>(i)];
  }
  std::vector<Sample> samples_;
};

}  // namespace

DatasetPtr subset(DatasetPtr whole, Indices indices) {
  return std::make_shared<Subset>(std::move(whole), std::move(indices));
}

DatasetPtr with_classes(DatasetPtr whole, std::vector<std::string> classes) {
  return std::make_shared<Relabelled>(std::move(whole), std::move(classes));
}

DatasetPtr from_samples(std::vector<Sample> samples, std::vector<std::string> classes) {
  return std::make_shared<SampleList>(std::move(samples), std::move(classes));
}

Indices labels_of(const Dataset& dataset) {
  Indices labels(static_cast<size_t>(dataset.size()));
  for (size_t i = 0; i < labels.size(); ++i) labels[i] = dataset.label(static_cast<int64_t>(i));
  return labels;
}

Scaler fit_scaler(Scaler::Kind kind, const Dataset& dataset) {
  Scaler scaler(kind);
  for (int64_t i = 0; i < dataset.size(); ++i) {
    const Sample s = dataset.get(i);
    const std::vector<double> row(s.features.begin(), s.features.end());
    scaler.fit(row, static_cast<int64_t>(row.size()));
  }
  return scaler;
}

}  // namespace nacre
