// Rows for the models that are fitted at once.
#include "base/signals.h"
#include "nacre/error.h"
#include "nacre/tabular.h"

namespace nacre {
namespace {

constexpr int64_t kMostNumbers = int64_t{1} << 31;  // 8 GiB

}  // namespace

FitData fit_data(const Dataset& dataset, const Transform& transform) {
  FitData d;
  d.rows = dataset.size();
  const bool classes = !dataset.classes().empty();
  if (classes) d.outputs = static_cast<int64_t>(dataset.classes().size());
  for (int64_t i = 0; i < d.rows; ++i) {
    check_stop();
    Sample s = dataset.get(i);
    transform.apply(s, false, Key(0));
    const std::vector<float>& row = s.image.empty() ? s.features : s.image.pixels;
    const auto columns = static_cast<int64_t>(row.size());
    if (columns == 0)
      fail(Error::Kind::data, {dataset.name(i), " is neither a picture nor a row of numbers"});
    if (i == 0) {
      d.columns = columns;
      if (columns > kMostNumbers / d.rows)
        fail(Error::Kind::memory, {d.rows, " rows of ", columns, " numbers are more than the ",
                                   kMostNumbers, " that a fit takes"});
      d.x.reserve(static_cast<size_t>(d.rows * columns));
      if (!classes) d.outputs = static_cast<int64_t>(s.target.size());
    }
    if (columns != d.columns)
      fail(Error::Kind::shape,
           {dataset.name(i), " has ", columns, " numbers, the first row has ", d.columns});
    d.x.insert(d.x.end(), row.begin(), row.end());
    if (classes)
      d.labels.push_back(s.label);
    else
      d.targets.insert(d.targets.end(), s.target.begin(), s.target.end());
  }
  return d;
}

std::vector<float> balanced_weights(const std::vector<int64_t>& labels, int64_t classes) {
  std::vector<double> count(static_cast<size_t>(classes), 0.0);
  for (const int64_t label : labels) {
    if (label < 0 || label >= classes)
      fail(Error::Kind::usage, {"a row has the class ", label, " of ", classes});
    ++count[static_cast<size_t>(label)];
  }
  std::vector<float> weights;
  for (const int64_t label : labels)
    weights.push_back(
        static_cast<float>(static_cast<double>(labels.size()) /
                           (static_cast<double>(classes) * count[static_cast<size_t>(label)])));
  return weights;
}

}  // namespace nacre
