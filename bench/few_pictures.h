// Some classes of a data set, from a few pictures of each: tasks of the transfer table and of its
// test.
#pragma once

#include <cstdint>
#include <vector>

#include "nacre/data.h"

namespace nacre {

/// The samples of classes [low, high), at most `per_class` of each, in an order of chance; labels
/// count from 0.
inline DatasetPtr classes_of(const Dataset& all, int64_t low, int64_t high, int64_t per_class,
                             uint64_t seed) {
  std::vector<int64_t> count(static_cast<size_t>(high - low));
  std::vector<Sample> samples;
  for (int64_t i : shuffled(all.size())->order(Key(seed), 0)) {
    const int64_t c = all.label(i) - low;
    if (c < 0 || c >= high - low || count[static_cast<size_t>(c)]++ >= per_class) continue;
    samples.push_back(all.get(i));
    samples.back().label = c;
  }
  return from_samples(std::move(samples),
                      {all.classes().begin() + low, all.classes().begin() + high});
}

/// Classes [low, high) of a data set.
struct FewPictures {
  DataSplits whole;
  int64_t low, high;

  /// Data without a test part: what the seed leaves of the training part is tested.
  DataSplits parts(int64_t per_class, uint64_t seed) const {
    const auto lists = split_stratified(labels_of(*whole.train), {0.5, 0.5}, Key(seed));
    const DatasetPtr train = whole.test ? whole.train : subset(whole.train, lists[0]);
    const DatasetPtr test = whole.test ? whole.test : subset(whole.train, lists[1]);
    DataSplits d;
    d.train = classes_of(*train, low, high, per_class, seed);
    d.test = classes_of(*test, low, high, INT64_MAX, 0);
    return d;
  }
};

}  // namespace nacre
