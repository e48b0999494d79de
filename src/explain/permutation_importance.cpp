#include <cmath>
#include <numeric>

#include "explain/table.h"

namespace nacre::explain {

std::vector<Importance> permutation_importance(const Scores& f, const Tensor& x,
                                               const Quality& quality,
                                               const std::vector<Column>& columns,
                                               const ImportanceOptions& o) {
  check_table("permutation_importance", x, columns);
  if (o.repeats < 1)
    fail(Error::Kind::usage,
         {"[permutation_importance] repeats is ", o.repeats, ", at least 1 is needed"});
  NoGrad guard;
  const auto rows = static_cast<size_t>(x.size(0)), features = static_cast<size_t>(x.size(1));
  const auto values = x.to_vector<float>();
  const double whole = quality(f(x));
  std::vector<Importance> list;
  for (const Column& c : columns) {
    std::vector<double> falls;
    for (int64_t k = 0; k < o.repeats; ++k) {
      std::vector<size_t> from(rows);
      std::iota(from.begin(), from.end(), size_t{0});
      Rng rng(o.key.fold_in(c.name).fold_in(static_cast<uint64_t>(k)));
      rng.shuffle(from.begin(), from.end());
      auto dealt = values;
      for (size_t r = 0; r < rows; ++r)
        for (auto j = static_cast<size_t>(c.first); j < static_cast<size_t>(c.first + c.count); ++j)
          dealt[r * features + j] = values[from[r] * features + j];
      falls.push_back(whole - quality(f(Tensor::from(dealt, x.shape()))));
    }
    Importance i{c.name};
    for (double v : falls) i.mean += v / static_cast<double>(falls.size());
    for (double v : falls) i.deviation += (v - i.mean) * (v - i.mean);
    i.deviation = std::sqrt(i.deviation / static_cast<double>(falls.size()));
    list.push_back(std::move(i));
  }
  return list;
}

}  // namespace nacre::explain
