// Splits, samplers and checks.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "folder.h"
#include "nacre/data.h"

namespace nacre {
namespace {

using testing::Folder;

/// Every number 0..n-1 is in exactly one part.
void expect_partition(const std::vector<Indices>& parts, int64_t n) {
  std::set<int64_t> all;
  size_t total = 0;
  for (const auto& p : parts) {
    all.insert(p.begin(), p.end());
    total += p.size();
  }
  EXPECT_EQ(total, static_cast<size_t>(n));
  EXPECT_EQ(all.size(), static_cast<size_t>(n));
  EXPECT_TRUE(n == 0 || (*all.begin() == 0 && *all.rbegin() == n - 1));
}

TEST(Split, SharesAreMetAndTheKeyDecides) {
  const auto parts = split_random(1000, {0.7, 0.2, 0.1}, Key(1));
  expect_partition(parts, 1000);
  EXPECT_NEAR(parts[0].size(), 700, 1);
  EXPECT_NEAR(parts[2].size(), 100, 1);
  EXPECT_EQ(parts, split_random(1000, {0.7, 0.2, 0.1}, Key(1)));
  EXPECT_NE(parts, split_random(1000, {0.7, 0.2, 0.1}, Key(2)));
  EXPECT_FALSE(std::is_sorted(parts[0].begin(), parts[0].end()));
  expect_partition(split_random(0, {1.0}, Key(1)), 0);
  EXPECT_THROW(split_random(10, {0.5, 0.6}, Key(1)), Error);
  EXPECT_THROW(split_random(10, {1.5, -0.5}, Key(1)), Error);
}

TEST(Split, StratifiedKeepsSharesOfClasses) {
  Indices labels;
  for (int i = 0; i < 600; ++i) labels.push_back(i < 500 ? 0 : i < 580 ? 1 : 2);
  const auto parts = split_stratified(labels, {0.75, 0.25}, Key(3));
  expect_partition(parts, 600);
  std::map<int64_t, int> counts;
  for (const int64_t i : parts[1]) ++counts[labels[static_cast<size_t>(i)]];
  EXPECT_NEAR(counts[0], 125, 1);
  EXPECT_NEAR(counts[1], 20, 1);
  EXPECT_NEAR(counts[2], 5, 1);
}

TEST(Split, GroupsStayTogether) {
  Indices groups;
  Rng rng(Key(9));
  for (int i = 0; i < 500; ++i) groups.push_back(static_cast<int64_t>(rng.below(40)));
  const auto parts = split_groups(groups, {0.6, 0.4}, Key(1));
  expect_partition(parts, 500);
  std::set<int64_t> a, b;
  for (const int64_t i : parts[0]) a.insert(groups[static_cast<size_t>(i)]);
  for (const int64_t i : parts[1]) b.insert(groups[static_cast<size_t>(i)]);
  for (const int64_t g : a) EXPECT_EQ(b.count(g), 0u);
  EXPECT_NEAR(parts[0].size(), 300, 20);
}

TEST(Split, Folds) {
  const auto folds = k_folds(103, 5, Key(1));
  ASSERT_EQ(folds.size(), 5u);
  expect_partition(folds, 103);
  for (const auto& f : folds) EXPECT_NEAR(f.size(), 20.6, 1);
  Indices labels;
  for (int i = 0; i < 100; ++i) labels.push_back(i % 10 == 0);
  for (const auto& f : k_folds(100, 5, Key(1), labels)) {
    int64_t ones = 0;
    for (const int64_t i : f) ones += labels[static_cast<size_t>(i)];
    EXPECT_EQ(ones, 2);
  }
  EXPECT_THROW(k_folds(3, 4, Key(1)), Error);
}

TEST(Sampler, OrdersAreFunctionsOfKeyAndEpoch) {
  EXPECT_EQ(sequential(3)->order(Key(1), 4), (Indices{0, 1, 2}));
  const auto s = shuffled(100);
  expect_partition({s->order(Key(1), 0)}, 100);
  EXPECT_EQ(s->order(Key(1), 2), s->order(Key(1), 2));
  EXPECT_NE(s->order(Key(1), 2), s->order(Key(1), 3));
  EXPECT_NE(s->order(Key(1), 2), s->order(Key(2), 2));
}

TEST(Sampler, SharesMatchTheRequestWithinOnePercent) {
  Indices labels;  // 50 to 1
  for (int i = 0; i < 1020; ++i) labels.push_back(i < 1000 ? 0 : 1);
  const auto share = [&](const SamplerPtr& s) {
    const auto order = s->order(Key(1), 0);
    int64_t ones = 0;
    for (const int64_t i : order) ones += labels[static_cast<size_t>(i)];
    return static_cast<double>(ones) / static_cast<double>(order.size());
  };
  EXPECT_NEAR(share(class_balanced(labels, 2001)), 0.5, 0.01);
  EXPECT_NEAR(share(class_balanced(labels, 1000, {0.8, 0.2})), 0.2, 0.01);
  std::vector<double> weights(1020, 1);
  for (size_t i = 1000; i < 1020; ++i) weights[i] = 50;
  EXPECT_NEAR(share(weighted(weights, 40000)), 0.5, 0.01);
  // Within a class nobody comes twice before all came once.
  const auto order = class_balanced(labels, 80)->order(Key(1), 0);
  std::map<int64_t, int> times;
  for (const int64_t i : order) ++times[i];
  for (const auto& [i, n] : times) EXPECT_LE(n, labels[static_cast<size_t>(i)] ? 2 : 1);
  EXPECT_THROW(class_balanced(labels, 10, {1.0}), Error);
  EXPECT_THROW(weighted({0, 0}, 5), Error);
  EXPECT_THROW(weighted({-1, 2}, 5), Error);
}

TEST(Sampler, BucketsHoldSimilarLengths) {
  Indices lengths;
  Rng rng(Key(2));
  for (int i = 0; i < 1003; ++i) lengths.push_back(static_cast<int64_t>(rng.below(500)));
  const auto order = bucketed(lengths, 10)->order(Key(1), 0);
  expect_partition({order}, 1003);
  int64_t spread = 0;
  bool sorted = true;
  for (size_t from = 0; from < 1000; from += 10) {
    int64_t low = 1000, high = 0;
    for (size_t k = from; k < from + 10; ++k) {
      low = std::min(low, lengths[static_cast<size_t>(order[k])]);
      high = std::max(high, lengths[static_cast<size_t>(order[k])]);
    }
    spread = std::max(spread, high - low);
    sorted = sorted && (from == 0 || lengths[static_cast<size_t>(order[from])] >=
                                         lengths[static_cast<size_t>(order[from - 10])]);
  }
  EXPECT_LT(spread, 30);
  EXPECT_FALSE(sorted);
}

const Finding* find(const std::vector<Finding>& all, const std::string& code) {
  for (const auto& f : all)
    if (f.code == code) return &f;
  return nullptr;
}

TEST(Check, FindsWhatIsWrong) {
  Folder f;
  for (int i = 0; i < 12; ++i)
    f.picture("train/cat/" + std::to_string(i) + ".png", static_cast<float>(i) / 20);
  f.picture("train/dog/1.png", 0.9f);
  std::filesystem::create_directories(f.path() + "/train/emu");
  f.write("train/dog/broken.png", "no picture");
  f.write("train/dog/empty.jpg", "");
  f.picture("train/fox/same.png", 0.9f);   // the content of dog/1.png
  f.picture("test/cat/again.png", 0.05f);  // the content of train/cat/1.png
  f.write("train/cat/.hidden", "");
  f.write("train/cat/list.txt", "x");
  const auto all = check_dataset(open_dataset(f.path()));

  const Finding* bad = find(all, "unreadable");
  ASSERT_NE(bad, nullptr);
  EXPECT_EQ(bad->count, 2);
  EXPECT_TRUE(testing::contains(bad->examples[0], "broken.png: is not a picture"));
  EXPECT_TRUE(testing::contains(bad->examples[1], "empty.jpg: the file has 0 bytes"));
  const Finding* empty = find(all, "empty_class");
  ASSERT_NE(empty, nullptr);
  EXPECT_EQ(empty->examples, (std::vector<std::string>{"emu"}));
  const Finding* twice = find(all, "duplicate");
  ASSERT_NE(twice, nullptr);
  EXPECT_EQ(twice->count, 1);
  EXPECT_TRUE(testing::contains(twice->examples[0], "again.png"));
  EXPECT_NE(find(all, "conflict"), nullptr);
  const Finding* uneven = find(all, "imbalance");
  ASSERT_NE(uneven, nullptr);
  EXPECT_TRUE(testing::contains(uneven->text, "largest class has 12 samples, the smallest 1"));
  EXPECT_NE(find(all, "no_test_class"), nullptr);
  EXPECT_EQ(find(all, "ignored")->count, 1);
  EXPECT_EQ(find(all, "one_class"), nullptr);
  EXPECT_EQ(find(all, "label_range"), nullptr);
}

TEST(Check, LabelsAndMissingValues) {
  Sample good, wrong, none;
  good.features = {1, 2};
  good.label = 0;
  wrong.features = {3, std::nanf("")};
  wrong.label = 7;
  none.features = {5, 6};
  DataSplits d;
  d.train = from_samples({good, wrong, none}, {"only"});
  const auto all = check_dataset(d);
  EXPECT_EQ(find(all, "missing_values")->count, 1);
  EXPECT_NE(find(all, "one_class"), nullptr);
  int64_t range = 0;
  for (const auto& finding : all) range += finding.code == "label_range" ? finding.count : 0;
  EXPECT_EQ(range, 2);
  d.train = from_samples({}, {"a", "b"});
  EXPECT_NE(find(check_dataset(d), "empty"), nullptr);
  Sample other = good;
  other.label = 1;
  other.features = {8, 8};
  d.train = from_samples({good, other}, {"a", "b"});
  EXPECT_TRUE(check_dataset(d).empty());
  EXPECT_EQ(subset(d.train, {1})->get(0).label, 1);
  EXPECT_THROW(subset(d.train, {2}), Error);
}

TEST(Scalers, AreFittedFromADataset) {
  Sample a, b;
  a.features = {1, 10};
  b.features = {3, 30};
  const Scaler s = fit_scaler(Scaler::Kind::min_max, *from_samples({a, b}, {}));
  EXPECT_EQ(s.step(), "standardize([1,10],[2,20])");
}

}  // namespace
}  // namespace nacre
