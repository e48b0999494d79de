#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "nacre/data.h"
#include "nacre/error.h"

namespace nacre {
namespace {

void check_shares(const std::vector<double>& shares) {
  double sum = 0;
  for (const double s : shares) {
    if (!(s >= 0)) fail(Error::Kind::usage, {"[split] a share is ", s, ", must not be negative"});
    sum += s;
  }
  if (std::abs(sum - 1) > 1e-6)
    fail(Error::Kind::usage, {"[split] the shares sum to ", sum, ", must be 1"});
}

Indices shuffled_numbers(int64_t n, Key key) {
  if (n < 0) fail(Error::Kind::usage, {"[split] ", n, " samples"});
  Indices order(static_cast<size_t>(n));
  std::iota(order.begin(), order.end(), int64_t{0});
  Rng(key).shuffle(order.begin(), order.end());
  return order;
}

/// Deals a list out in shares; rounding is carried in `owed`, so that totals fit over all calls.
void deal(const Indices& list, const std::vector<double>& shares, std::vector<double>& owed,
          std::vector<Indices>& parts) {
  for (const int64_t i : list) {
    for (size_t p = 0; p < shares.size(); ++p) owed[p] += shares[p];
    const auto next = std::max_element(owed.begin(), owed.end()) - owed.begin();
    owed[static_cast<size_t>(next)] -= 1;
    parts[static_cast<size_t>(next)].push_back(i);
  }
}

std::map<int64_t, Indices> by_value(const Indices& values, Key key) {
  std::map<int64_t, Indices> lists;
  for (const int64_t i : shuffled_numbers(static_cast<int64_t>(values.size()), key))
    lists[values[static_cast<size_t>(i)]].push_back(i);
  return lists;
}

void mix(std::vector<Indices>& parts, Key key) {
  Rng rng(key.fold_in("mix"));
  for (Indices& part : parts) rng.shuffle(part.begin(), part.end());
}

}  // namespace

std::vector<Indices> split_random(int64_t n, const std::vector<double>& shares, Key key) {
  return split_stratified(Indices(static_cast<size_t>(std::max<int64_t>(0, n)), 0), shares, key);
}

std::vector<Indices> split_stratified(const Indices& labels, const std::vector<double>& shares,
                                      Key key) {
  check_shares(shares);
  std::vector<Indices> parts(shares.size());
  std::vector<double> owed(shares.size(), 0);
  for (const auto& [label, list] : by_value(labels, key)) deal(list, shares, owed, parts);
  mix(parts, key);
  return parts;
}

std::vector<Indices> split_groups(const Indices& groups, const std::vector<double>& shares,
                                  Key key) {
  check_shares(shares);
  std::vector<Indices> lists;
  for (auto& [group, list] : by_value(groups, key)) lists.push_back(std::move(list));
  Rng(key.fold_in("groups")).shuffle(lists.begin(), lists.end());
  // Large groups first, each to the part that lacks most.
  std::stable_sort(lists.begin(), lists.end(),
                   [](const auto& a, const auto& b) { return a.size() > b.size(); });
  std::vector<Indices> parts(shares.size());
  const auto n = static_cast<double>(groups.size());
  for (const Indices& list : lists) {
    size_t best = 0;
    double most = -1e300;
    for (size_t p = 0; p < parts.size(); ++p) {
      const double lack = shares[p] * n - static_cast<double>(parts[p].size());
      if (shares[p] > 0 && lack > most) most = lack, best = p;
    }
    parts[best].insert(parts[best].end(), list.begin(), list.end());
  }
  mix(parts, key);
  return parts;
}

std::vector<Indices> k_folds(int64_t n, int k, Key key, const Indices& labels) {
  if (k < 2 || k > n) fail(Error::Kind::usage, {"[k_folds] ", k, " folds of ", n, " samples"});
  if (!labels.empty() && static_cast<int64_t>(labels.size()) != n)
    fail(Error::Kind::usage, {"[k_folds] ", labels.size(), " labels for ", n, " samples"});
  const std::vector<double> shares(static_cast<size_t>(k), 1.0 / k);
  return labels.empty() ? split_random(n, shares, key) : split_stratified(labels, shares, key);
}

}  // namespace nacre
