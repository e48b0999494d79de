#include "explain/table.h"

#include "nacre/metrics.h"

namespace nacre::explain {

void check_table(const char* method, const Tensor& x, const std::vector<Column>& columns) {
  if (x.rank() != 2 || x.numel() == 0)
    fail(Error::Kind::shape,
         {"[", method, "] x has shape ", x.shape(), ", rows of features are needed"});
  for (const Column& c : columns)
    if (c.first < 0 || c.count < 1 || c.first > x.size(1) - c.count)
      fail(Error::Kind::usage, {"[", method, "] column '", c.name, "' has the features ", c.first,
                                " to ", c.first + c.count - 1, ", x has ", x.size(1)});
}

std::vector<Column> columns_of(const TableSchema& schema) {
  std::vector<Column> list;
  int64_t at = 0;
  for (size_t i = 0; i < schema.columns.size(); ++i) {
    if (static_cast<int>(i) == schema.target) continue;
    const TableColumn& c = schema.columns[i];
    if (c.kind == TableColumn::Kind::text) continue;  // makes features of its own, by the transform
    Column column{c.name, at, 1, {}};
    if (c.kind == TableColumn::Kind::category) {
      if (c.categories.empty()) continue;
      column.count = static_cast<int64_t>(c.categories.size());
      column.categories = c.categories;
    }
    at += column.count;
    list.push_back(std::move(column));
  }
  return list;
}

Quality accuracy_of(std::vector<int64_t> labels) {
  return [labels = std::move(labels)](const Tensor& scores) {
    return accuracy(labels, argmax_rows(scores.to_vector<float>(), scores.size(1)));
  };
}

Quality r2_of(std::vector<float> targets) {
  return [targets = std::move(targets)](const Tensor& scores) {
    return r2_score(targets, scores.to_vector<float>());
  };
}

}  // namespace nacre::explain
