// Rows that name their columns that are not zero: "label index:value index:value ...", as LIBSVM
// and XGBoost read them.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <set>

#include "base/hash.h"
#include "data/readers.h"
#include "nacre/error.h"

namespace nacre::data {
namespace {

constexpr size_t kMostNumbers = size_t{1} << 30;

/// The next piece without blanks; empty at the end or at a comment.
std::string_view next_piece(std::string_view& line) {
  while (!line.empty() && (line[0] == ' ' || line[0] == '\t')) line.remove_prefix(1);
  const size_t end = std::min(line.find_first_of(" \t"), line.size());
  const std::string_view piece = line.substr(0, end);
  if (!piece.empty() && piece[0] == '#') return {};
  line.remove_prefix(end);
  return piece;
}

bool read_number(std::string_view s, double& v) {
  if (!s.empty() && s[0] == '+') s.remove_prefix(1);
  const auto end = std::from_chars(s.data(), s.data() + s.size(), v);
  return end.ec == std::errc() && end.ptr == s.data() + s.size() && std::isfinite(v);
}

bool read_pair(std::string_view s, uint64_t& index, double& v) {
  const size_t colon = s.find(':');
  if (colon == s.npos) return false;
  const auto end = std::from_chars(s.data(), s.data() + colon, index);
  return end.ec == std::errc() && end.ptr == s.data() + colon &&
         read_number(s.substr(colon + 1), v);
}

std::string_view next_line(std::string_view& text) {
  const size_t end = std::min(text.find('\n'), text.size());
  std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  return line;
}

class SparseRows final : public LineDataset {
 public:
  SparseRows(std::string_view text, const CsvOptions& options, const std::string& name,
             const std::vector<std::string>& columns)
      : LineDataset(name) {
    std::vector<std::string> labels;
    size_t width = columns.size();
    const size_t most = options.schema ? SIZE_MAX : options.max_columns;
    starts_.push_back(0);
    for (int64_t number = 1; !text.empty(); ++number) {
      std::string_view line = next_line(text);
      const std::string_view label = next_piece(line);
      if (label.empty()) continue;
      double v = 0;
      uint64_t index = 0;
      if (!read_number(label, v))
        fail(Error::Kind::data, {name, ": line ", number, " begins with '", label.substr(0, 40),
                                 "', which is not a number"});
      labels.emplace_back(label[0] == '+' ? label.substr(1) : label);
      numbers_.push_back(v);
      for (std::string_view piece = next_piece(line); !piece.empty(); piece = next_piece(line)) {
        if (!read_pair(piece, index, v))
          fail(Error::Kind::data,
               {name, ": line ", number, ": '", piece.substr(0, 40), "' is not index:value"});
        if (index >= most)
          fail(Error::Kind::data, {name, ": line ", number, " has the column ", index, ", at most ",
                                   most, " columns are read"});
        if (entries_.size() >= kMostNumbers)
          fail(Error::Kind::memory,
               {name, ": more than ", kMostNumbers, " numbers up to line ", number});
        entries_.push_back(
            {static_cast<uint32_t>(std::min<uint64_t>(index, UINT32_MAX)), static_cast<float>(v)});
        width = std::max(width, static_cast<size_t>(index) + 1);
      }
      starts_.push_back(entries_.size());
      lines_.push_back(number);
    }
    if (lines_.empty()) fail(Error::Kind::data, {name, ": the table has no rows"});
    if (options.schema)
      schema_ = *options.schema;
    else
      learn(options, labels, columns, width);
    width_ = schema_.columns.size() - 1;
    if (schema_.target < 0 || static_cast<size_t>(schema_.features()) != width_)
      fail(Error::Kind::data, {name, ": holds rows of numbers, the training part does not"});
    if (!schema_.regression) classify(labels, options.needs_target);
    const auto beyond = std::count_if(entries_.begin(), entries_.end(),
                                      [&](const Entry& e) { return e.column >= width_; });
    if (beyond > 0)
      remark_ = cat({name_, ": ", beyond, " values lie in columns beyond the ", width_,
                     " of the training part and are passed over"});
  }

  Sample get(int64_t i) const override {
    Sample s;
    s.label = label(i);
    if (schema_.regression) s.target = {static_cast<float>(numbers_[static_cast<size_t>(i)])};
    s.features.assign(width_, 0.0f);
    for (size_t k = starts_[static_cast<size_t>(i)]; k < starts_[static_cast<size_t>(i) + 1]; ++k)
      if (entries_[k].column < width_) s.features[entries_[k].column] = entries_[k].value;
    return s;
  }
  uint64_t content_hash(int64_t i) const override {
    check(i);
    const size_t from = starts_[static_cast<size_t>(i)], to = starts_[static_cast<size_t>(i) + 1];
    return hash64(
        {reinterpret_cast<const char*>(entries_.data() + from), (to - from) * sizeof(Entry)});
  }
  std::string remark() const override { return remark_; }
  const TableSchema* schema() const override { return &schema_; }

 private:
  struct Entry {
    uint32_t column;
    float value;
  };

  void learn(const CsvOptions& options, const std::vector<std::string>& labels,
             const std::vector<std::string>& columns, size_t width) {
    std::map<double, std::string> values;
    for (size_t i = 0; i < labels.size(); ++i) values.emplace(numbers_[i], labels[i]);
    const bool whole = std::all_of(values.begin(), values.end(),
                                   [](const auto& v) { return v.first == std::floor(v.first); });
    schema_.regression =
        options.task == Task::regression ||
        (options.task == Task::automatic && (!whole || values.size() > kFewValues));
    for (size_t c = 0; c < width; ++c)
      schema_.columns.push_back({c < columns.size() ? columns[c] : "column" + std::to_string(c),
                                 TableColumn::Kind::number,
                                 {}});
    TableColumn target{"label", TableColumn::Kind::number, {}};
    if (!schema_.regression) {
      target.kind = TableColumn::Kind::category;
      for (const auto& [number, text] : values) target.categories.push_back(text);
    }
    schema_.target = static_cast<int>(width);
    schema_.columns.push_back(std::move(target));
  }

  void classify(const std::vector<std::string>& labels, bool needed) {
    classes_ = schema_.columns[static_cast<size_t>(schema_.target)].categories;
    std::map<double, int64_t> index;
    for (size_t k = 0; k < classes_.size(); ++k) {
      double v = 0;
      if (read_number(classes_[k], v)) index.emplace(v, static_cast<int64_t>(k));
    }
    for (size_t i = 0; i < labels.size(); ++i) {
      const auto found = index.find(numbers_[i]);
      if (found == index.end() && needed)
        fail(Error::Kind::data, {name_, ": line ", lines_[i], ": the class '", labels[i],
                                 "' is not in the training part"});
      labels_.push_back(found == index.end() ? -1 : found->second);
    }
  }

  std::string remark_;
  TableSchema schema_;
  size_t width_ = 0;
  std::vector<double> numbers_;  ///< before the pairs
  std::vector<size_t> starts_;
  std::vector<Entry> entries_;
};

}  // namespace

bool is_sparse_rows(const std::string& text) {
  std::string_view rest = std::string_view(text).substr(0, 1 << 16);
  const bool whole = rest.size() == text.size();
  size_t pairs = 0;
  while (!rest.empty()) {
    const bool last = rest.find('\n') == rest.npos;
    std::string_view line = next_line(rest);
    if (last && !whole) break;
    double v = 0;
    uint64_t index = 0;
    const std::string_view label = next_piece(line);
    if (label.empty()) continue;
    if (!read_number(label, v)) return false;
    for (std::string_view piece = next_piece(line); !piece.empty(); piece = next_piece(line)) {
      if (!read_pair(piece, index, v)) return false;
      ++pairs;
    }
  }
  return pairs > 0;
}

DatasetPtr sparse_dataset(const std::string& text, const CsvOptions& options,
                          const std::string& name, const std::vector<std::string>& columns) {
  return std::make_shared<SparseRows>(text, options, name, columns);
}

}  // namespace nacre::data
