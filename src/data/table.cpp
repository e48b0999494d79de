// Tables as data sets: types of columns, classes, features.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <map>
#include <set>

#include "base/gzip.h"
#include "base/hash.h"
#include "base/json.h"
#include "data/readers.h"
#include "nacre/error.h"

namespace nacre {
namespace data {
namespace {

constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();
constexpr size_t kMaxClasses = 100000;
constexpr size_t kMaxFloats = size_t{1} << 31;  // of all features, 8 GiB

std::string_view trimmed(std::string_view s) {
  while (!s.empty() && (s.front() == ' ' || s.front() == '\t')) s.remove_prefix(1);
  while (!s.empty() && (s.back() == ' ' || s.back() == '\t')) s.remove_suffix(1);
  return s;
}

bool is_missing(std::string_view s) {
  s = trimmed(s);
  return s.empty() || s == "?" || s == "NA" || s == "N/A" || s == "nan" || s == "NaN" ||
         s == "null";
}

/// Values are kept as f32; what is beyond is no number here.
bool parse_number(std::string_view s, double& value) {
  s = trimmed(s);
  if (!s.empty() && s.front() == '+') s.remove_prefix(1);
  const auto end = std::from_chars(s.data(), s.data() + s.size(), value);
  return end.ec == std::errc() && end.ptr == s.data() + s.size() &&
         std::isfinite(static_cast<float>(value));
}

/// Words, where blanks part them; a text without blanks counts its letters beyond ASCII, as Chinese
/// writes.
int64_t words_in(std::string_view cell) {
  int64_t words = 0, wide = 0;
  bool inside = false;
  for (const char c : cell) {
    const bool blank = c == ' ' || c == '\t' || c == '\n';
    words += !blank && !inside;
    inside = !blank;
    wide += (static_cast<unsigned char>(c) & 0xf0) == 0xe0;  // a character of three bytes
  }
  return words + wide / 2;
}

/// "-1,5": a number as it is written where the comma parts decimals.
bool has_decimal_comma(std::string_view s) {
  s = trimmed(s);
  if (!s.empty() && (s.front() == '-' || s.front() == '+')) s.remove_prefix(1);
  const size_t comma = s.find(',');
  const auto digits = [](std::string_view part) {
    return !part.empty() && part.find_first_not_of("0123456789") == part.npos;
  };
  return comma != s.npos && digits(s.substr(0, comma)) && digits(s.substr(comma + 1));
}

/// Whether a table whose cells no comma separates writes its decimals with one.
bool writes_decimal_commas(const std::string& text, char separator, const CsvOptions& options,
                           const std::string& name) {
  if (separator == ',') return false;
  int64_t commas = 0, points = 0;
  read_csv(text, separator, options, name, [&](int64_t, const auto& cells) {
    for (const std::string& cell : cells) {
      double v = 0;
      if (cell.find(',') != cell.npos)
        commas += has_decimal_comma(cell);
      else if (cell.find('.') != cell.npos)
        points += parse_number(cell, v);
    }
  });
  return commas > 0 && points == 0;
}

/// What the cells of a column have in common.
struct Profile {
  bool numbers = true, whole = true;
  int64_t cells = 0, words = 0;  ///< that are not missing
  int64_t odd = 0;               ///< of them, no numbers
  std::string first_odd;
  std::set<std::string> values;  ///< at most `cap` + 1
  std::set<double> few;          ///< at most kFewValues + 1 numbers
  void add(const std::string& cell, size_t cap) {
    if (is_missing(cell)) return;
    ++cells;
    words += words_in(cell);
    double v = 0;
    if (parse_number(cell, v)) {
      whole = whole && v == std::floor(v);
      if (few.size() <= kFewValues) few.insert(v);
    } else {
      if (odd++ == 0) first_odd = trimmed(cell).substr(0, 40);
      numbers = false;
    }
    if (values.size() <= cap) values.emplace(trimmed(cell));
  }
  /// Numbers but for slips of the pen, which one cell in a hundred may be.
  void forgive_slips() { numbers = numbers || (cells >= 50 && odd * 100 <= cells); }
  /// Texts of several words that seldom repeat, to be read and not to be counted.
  bool free_text(size_t max_categories) const {
    if (numbers || values.size() * 2 <= static_cast<size_t>(cells)) return false;
    return values.size() > max_categories ? words > cells * 2
                                          : values.size() > kFewValues && words > cells * 3;
  }
};

/// Class names in natural order: by value if all are numbers, else by text.
std::vector<std::string> sorted_classes(const std::set<std::string>& values) {
  std::vector<std::string> out(values.begin(), values.end());
  const bool numbers = std::all_of(out.begin(), out.end(), [](const std::string& s) {
    double v = 0;
    return parse_number(s, v);
  });
  if (numbers)
    std::stable_sort(out.begin(), out.end(), [](const std::string& a, const std::string& b) {
      double x = 0, y = 0;
      parse_number(a, x), parse_number(b, y);
      return x < y;
    });
  return out;
}

/// The one column that is not numbers nor free text, if its texts repeat; else -1.
int64_t only_text(const std::vector<Profile>& profiles, size_t max_categories) {
  int64_t found = -1;
  for (size_t c = 0; c < profiles.size(); ++c) {
    if (profiles[c].numbers || profiles[c].free_text(max_categories)) continue;
    if (found >= 0) return -1;
    found = static_cast<int64_t>(c);
  }
  return found >= 0 && profiles[static_cast<size_t>(found)].values.size() <= 2 * kFewValues ? found
                                                                                            : -1;
}

int64_t index_in(const std::vector<std::string>& names, std::string_view name) {
  for (size_t i = 0; i < names.size(); ++i)
    if (names[i] == name) return static_cast<int64_t>(i);
  return -1;
}

/// The first few names, in quotes.
std::string listed(const std::vector<std::string>& names) {
  constexpr size_t kShown = 8;
  std::string out;
  for (size_t i = 0; i < std::min(kShown, names.size()); ++i)
    out += (i ? ", '" : "'") + names[i].substr(0, 40) + "'";
  return names.size() > kShown ? cat({out, " and ", names.size() - kShown, " others"}) : out;
}

/// Adds the features of one cell. False for a text that is none of the column's categories.
bool encode_cell(const TableColumn& column, const std::string& cell, std::vector<float>& out) {
  if (column.kind == TableColumn::Kind::text) return true;
  if (column.kind == TableColumn::Kind::category) {
    const size_t from = out.size();
    out.resize(from + column.categories.size(), 0.0f);
    const auto& names = column.categories;
    const std::string key(trimmed(cell));
    const auto found = std::lower_bound(names.begin(), names.end(), key);
    const bool known = found != names.end() && *found == key;
    if (known) out[from + static_cast<size_t>(found - names.begin())] = 1;
    return known || names.empty() || is_missing(cell);
  }
  double v = kMissing;
  if (!is_missing(cell) && !parse_number(cell, v))
    fail(Error::Kind::data,
         {"'", cell.substr(0, 40), "' in the column '", column.name, "' is not a number"});
  out.push_back(static_cast<float>(v));
  return true;
}

/// Columns of text follow each other, one a line.
void add_text(std::string& text, std::string_view cell) {
  if (is_missing(cell)) return;
  if (!text.empty()) text += '\n';
  text += trimmed(cell);
}

class Table final : public LineDataset {
 public:
  Table(const std::string& text, const CsvOptions& options, const std::string& name)
      : LineDataset(name) {
    check_utf8(text, name);
    const char separator = csv_separator(text);
    decimal_comma_ = writes_decimal_commas(text, separator, options, name);
    std::vector<std::string> header;
    const int64_t header_line = learn(text, separator, options, header);
    if (!schema_.regression && schema_.target >= 0)
      classes_ = schema_.columns[static_cast<size_t>(schema_.target)].categories;
    width_ = static_cast<size_t>(schema_.features());
    has_text_ = schema_.has_text();
    read_rows(text, separator, options, [&](int64_t line, const auto& cells) {
      if (line == header_line) return;
      add(line, cells);
    });
    find_picture(options.schema != nullptr);
    for (const auto& [column, texts] : unknown_)
      add_remark(
          cat({texts.second, " cells of '", column,
               "' hold texts that the training part does not have, such as '", texts.first, "'"}));
  }

  Sample get(int64_t i) const override {
    check(i);
    Sample s;
    const auto row = features_of(i);
    if (side_ > 0) {
      s.image = Image(side_, side_, 1);
      const auto white = static_cast<float>(schema_.white);
      for (size_t k = 0; k < row.size(); ++k) s.image.pixels[k] = row[k] / white;
    } else {
      s.features.assign(row.begin(), row.end());
    }
    s.label = label(i);
    if (!values_.empty()) s.target = {values_[static_cast<size_t>(i)]};
    if (!texts_.empty()) s.text = texts_[static_cast<size_t>(i)];
    return s;
  }
  uint64_t content_hash(int64_t i) const override {
    check(i);
    const auto row = features_of(i);
    const uint64_t numbers = hash64({reinterpret_cast<const char*>(row.data()), row.size_bytes()});
    return texts_.empty() ? numbers : hash64(texts_[static_cast<size_t>(i)], numbers);
  }
  int64_t length(int64_t i) const override {
    check(i);
    return texts_.empty() ? 0 : static_cast<int64_t>(texts_[static_cast<size_t>(i)].size());
  }
  std::string remark() const override { return remark_; }
  const TableSchema* schema() const override { return &schema_; }

 private:
  /// Rows with the decimal point that all else expects.
  void read_rows(const std::string& text, char separator, const CsvOptions& options,
                 const std::function<void(int64_t, const std::vector<std::string>&)>& row) const {
    if (!decimal_comma_) return read_csv(text, separator, options, name_, row);
    read_csv(text, separator, options, name_, [&](int64_t line, const auto& cells) {
      std::vector<std::string> changed = cells;
      for (std::string& cell : changed)
        if (has_decimal_comma(cell)) cell[cell.find(',')] = '.';
      row(line, changed);
    });
  }

  /// First pass: header, kinds of columns, classes. Returns the line of the header or -1.
  int64_t learn(const std::string& text, char separator, const CsvOptions& options,
                std::vector<std::string>& header) {
    std::vector<Profile> profiles;
    int64_t header_line = -1;
    bool first = true;
    // The target may have more classes than a feature has categories; its column is not known yet.
    const size_t cap = std::max(options.max_categories, kMaxClasses);
    read_rows(text, separator, options, [&](int64_t line, const auto& cells) {
      if (first) {
        first = false;
        double v = 0;
        const bool named = std::none_of(cells.begin(), cells.end(),
                                        [&](const std::string& c) { return parse_number(c, v); }) &&
                           !std::all_of(cells.begin(), cells.end(), is_missing);
        profiles.resize(cells.size());
        header = cells;
        if (named) {
          header_line = line;
          return;
        }
        for (size_t c = 0; c < cells.size(); ++c) header[c] = "column" + std::to_string(c + 1);
      }
      if (cells.size() != profiles.size())
        fail(Error::Kind::data, {name_, ": line ", line, " has ", cells.size(),
                                 " cells, the first has ", profiles.size()});
      for (size_t c = 0; c < cells.size(); ++c) profiles[c].add(cells[c], cap);
    });
    if (first) fail(Error::Kind::data, {name_, ": the table has no rows"});
    for (Profile& p : profiles) p.forgive_slips();
    if (options.schema) {
      adopt(*options.schema, header, header_line >= 0, options.needs_target);
    } else {
      decide(options, header, profiles);
    }
    return header_line;
  }

  /// Finds the columns of the schema in the file.
  void adopt(const TableSchema& schema, const std::vector<std::string>& header, bool named,
             bool needs_target) {
    schema_ = schema;
    cells_ = header.size();
    std::vector<std::string> names, missing, wanted;
    for (const auto& h : header) names.emplace_back(trimmed(h));
    const auto unused = [&](size_t c) {
      return static_cast<int>(c) == schema.target && !needs_target;
    };
    for (size_t c = 0; c < schema.columns.size(); ++c)
      if (!unused(c)) wanted.push_back(schema.columns[c].name);
    place_.assign(schema.columns.size(), -1);
    // Names may repeat, and a file without names has the columns in order.
    const bool all = names.size() == schema.columns.size();
    bool in_order = all || names.size() == wanted.size();
    size_t k = 0;
    std::vector<int64_t> order(schema.columns.size(), -1);
    for (size_t c = 0; c < schema.columns.size() && in_order; ++c) {
      if (!all && unused(c)) continue;
      in_order = !named || names[k] == schema.columns[c].name;
      order[c] = static_cast<int64_t>(k++);
    }
    for (size_t c = 0; c < schema.columns.size(); ++c) {
      if (!unused(c)) place_[c] = in_order ? order[c] : index_in(names, schema.columns[c].name);
      if (!unused(c) && place_[c] < 0) missing.push_back(schema.columns[c].name);
    }
    if (!missing.empty() && !named)
      fail(Error::Kind::data, {name_, ": has ", names.size(),
                               " columns without names, the training "
                               "part has ",
                               wanted.size(), ": ", listed(wanted)});
    if (!missing.empty())
      fail(Error::Kind::data, {name_, ": has no column ", listed(missing),
                               " of the training part; its columns are ", listed(names)});
    if (in_order) return;
    std::vector<std::string> others;
    for (size_t n = 0; n < names.size(); ++n)
      if (index_in(wanted, names[n]) < 0 &&
          (schema.target < 0 ||
           names[n] != schema.columns[static_cast<size_t>(schema.target)].name))
        others.push_back(names[n]);
    if (!others.empty())
      fail(Error::Kind::data, {name_, ": the training part has no column ", listed(others),
                               ", only ", listed(wanted)});
  }

  void decide(const CsvOptions& options, const std::vector<std::string>& header,
              const std::vector<Profile>& profiles) {
    std::vector<std::string> names;
    for (const auto& h : header) names.emplace_back(trimmed(h));
    for (size_t c = 0; c < names.size(); ++c)
      if (!names[c].empty() && index_in(names, names[c]) != static_cast<int64_t>(c))
        fail(Error::Kind::data, {name_, ": its first line names two columns '", names[c],
                                 "'; each needs a name of its own"});
    int64_t target = -1;
    if (!options.target.empty()) {
      target = index_in(names, options.target);
      if (target < 0)
        fail(Error::Kind::usage,
             {name_, ": there is no column '", options.target, "'; there are ", listed(names)});
    } else {
      for (size_t c = 0; c < names.size() && target < 0; ++c)
        for (const std::string_view usual : {"label", "class", "target"})
          if (lower(names[c]) == usual) target = static_cast<int64_t>(c);
      if (target < 0) target = only_text(profiles, options.max_categories);
      if (target < 0 && names.size() > 1) target = static_cast<int64_t>(names.size()) - 1;
    }
    schema_.target = static_cast<int>(target);
    std::vector<std::string> left_out;
    for (size_t c = 0; c < names.size(); ++c) {
      const Profile& p = profiles[c];
      TableColumn column{names[c], TableColumn::Kind::number, {}};
      const bool is_target = static_cast<int64_t>(c) == target;
      const bool few = p.whole && p.few.size() <= kFewValues;
      if (is_target && options.task == Task::regression && !p.numbers)
        fail(Error::Kind::data, {name_, ": the column '", names[c],
                                 "' cannot be predicted as a value, it holds text"});
      const bool as_class = is_target && options.task != Task::regression &&
                            (options.task == Task::classification || few);
      if (!p.numbers || as_class) {
        column.kind = TableColumn::Kind::category;
        if (is_target && p.values.size() > kMaxClasses)
          fail(Error::Kind::data,
               {name_, ": the column '", names[c], "' has more than ", kMaxClasses, " classes"});
        if (is_target)
          column.categories = sorted_classes(p.values);
        else if (p.free_text(options.max_categories))
          column.kind = TableColumn::Kind::text;
        else if (p.values.size() <= options.max_categories)
          column.categories.assign(p.values.begin(), p.values.end());
        else
          left_out.push_back(names[c]);
      } else if (is_target) {
        schema_.regression = true;
      } else if (p.odd > 0) {
        slips_.push_back(c);
        add_remark(cat({"the column '", names[c], "' holds numbers, but for ", p.odd,
                        p.odd == 1 ? " cell, '" : " cells such as '", p.first_odd, "', which ",
                        p.odd == 1 ? "counts" : "count", " as missing"}));
      }
      schema_.columns.push_back(std::move(column));
      place_.push_back(static_cast<int64_t>(c));
    }
    cells_ = names.size();
    if (!left_out.empty())
      add_remark(
          cat({"left out, more than ", options.max_categories, " texts: ", listed(left_out)}));
  }

  void add_remark(const std::string& text) {
    remark_ += (remark_.empty() ? name_ + ": " : "; ") + text;
  }

  void add(int64_t line, const std::vector<std::string>& cells) {
    std::string text;
    if (cells.size() != cells_)
      fail(Error::Kind::data,
           {name_, ": line ", line, " has ", cells.size(), " cells, the first has ", cells_});
    for (size_t c = 0; c < schema_.columns.size(); ++c) {
      if (place_[c] < 0) continue;
      const TableColumn& column = schema_.columns[c];
      const std::string& cell = cells[static_cast<size_t>(place_[c])];
      try {
        if (column.kind == TableColumn::Kind::text) {
          add_text(text, cell);
        } else if (static_cast<int>(c) != schema_.target) {
          double v = 0;
          const bool slip = std::count(slips_.begin(), slips_.end(), c) && !parse_number(cell, v);
          if (!encode_cell(column, slip ? std::string() : cell, features_)) {
            auto& texts = unknown_[column.name];
            if (texts.second++ == 0) texts.first = cell.substr(0, 40);
          }
        } else if (schema_.regression) {
          encode_cell(column, cell, values_);
        } else {
          labels_.push_back(class_of(column, cell));
        }
      } catch (const Error& e) {
        fail(e.kind(), {name_, ": line ", line, ": ", e.what()});
      }
    }
    lines_.push_back(line);
    if (has_text_) texts_.push_back(std::move(text));
    if (features_.size() > kMaxFloats)
      fail(Error::Kind::memory, {name_, ": more than ", kMaxFloats, " numbers up to line ", line});
  }

  /// -1 for a missing label.
  int64_t class_of(const TableColumn& column, const std::string& cell) {
    if (is_missing(cell)) return -1;
    if (index_.empty())
      for (const auto& c : column.categories)
        index_.emplace(c, static_cast<int64_t>(index_.size()));
    const auto found = index_.find(trimmed(cell));
    if (found == index_.end())
      fail(Error::Kind::data, {"the class '", cell.substr(0, 40), "' is not in the training part"});
    return found->second;
  }

  void find_picture(bool known) {
    size_t k = 0;
    for (size_t c = 0; c < schema_.columns.size(); ++c) {
      if (static_cast<int>(c) == schema_.target) continue;
      const TableColumn& column = schema_.columns[c];
      const std::string number = std::to_string(k++);
      if (column.kind != TableColumn::Kind::number ||
          (column.name != "p" + number && column.name != "pixel" + number))
        return;
    }
    const auto side = static_cast<int>(std::lround(std::sqrt(static_cast<double>(k))));
    if (k < 4 || static_cast<size_t>(side) * static_cast<size_t>(side) != k) return;
    if (!known) {
      float top = 0;
      for (const float v : features_) {
        if (!(v >= 0 && v <= 255)) return;
        top = std::max(top, v);
      }
      schema_.white = top <= 1 ? 1 : top <= 16 ? 16 : 255;
    }
    if (schema_.white > 0) side_ = side;
  }

  std::span<const float> features_of(int64_t i) const {
    return std::span(features_).subspan(static_cast<size_t>(i) * width_, width_);
  }

  std::string remark_;
  bool decimal_comma_ = false;
  TableSchema schema_;
  size_t width_ = 0;
  std::vector<float> features_, values_;
  bool has_text_ = false;
  std::vector<std::string> texts_;  ///< free text of the rows
  std::map<std::string, int64_t, std::less<>> index_;
  std::vector<int64_t> place_;  ///< cell of each column of the schema; -1: left out
  size_t cells_ = 0;            ///< in a row of the file
  std::vector<size_t> slips_;   ///< columns of numbers with a few other texts
  std::map<std::string, std::pair<std::string, int64_t>> unknown_;  ///< first text, count
  int side_ = 0;  ///< of pictures; 0 for plain tables
};

}  // namespace

DatasetPtr csv_dataset(const std::string& text, const CsvOptions& options,
                       const std::string& name) {
  if (is_sparse_rows(text)) return sparse_dataset(text, options, name);
  // A model of texts alone is given lines; a table says what its columns are.
  if (options.schema && !options.needs_target && options.schema->columns.size() == 2 &&
      options.schema->has_text()) {
    const std::string first = text.substr(0, text.find_first_of("\r\n"));
    const bool table = std::any_of(
        options.schema->columns.begin(), options.schema->columns.end(), [&](const auto& c) {
          return c.kind == TableColumn::Kind::text &&
                 ("," + first + ",").find("," + c.name + ",") != std::string::npos;
        });
    if (!table) return text_dataset(text, {"-"}, name, false);
  }
  return std::make_shared<Table>(text, options, name);
}

}  // namespace data

DatasetPtr open_csv(const std::string& path, const CsvOptions& options) {
  return data::csv_dataset(read_gzip_file(path, options.max_bytes), options, path);
}

const TableSchema* table_schema(const Dataset& dataset) { return dataset.schema(); }

int64_t TableSchema::features() const {
  int64_t n = 0;
  for (size_t c = 0; c < columns.size(); ++c)
    if (static_cast<int>(c) != target)
      n += columns[c].kind == TableColumn::Kind::number
               ? 1
               : static_cast<int64_t>(columns[c].categories.size());
  return n;
}

bool TableSchema::has_text() const {
  return std::any_of(columns.begin(), columns.end(),
                     [](const auto& c) { return c.kind == TableColumn::Kind::text; });
}

std::string TableSchema::text(const std::vector<std::string>& cells) const {
  std::string out;
  size_t k = 0;
  for (size_t c = 0; c < columns.size(); ++c) {
    if (static_cast<int>(c) == target) continue;
    if (k < cells.size() && columns[c].kind == TableColumn::Kind::text)
      data::add_text(out, cells[k]);
    ++k;
  }
  return out;
}

std::vector<std::string> TableSchema::feature_names() const {
  std::vector<std::string> names;
  for (size_t c = 0; c < columns.size(); ++c) {
    if (static_cast<int>(c) == target) continue;
    if (columns[c].kind == TableColumn::Kind::number) names.push_back(columns[c].name);
    for (const auto& category : columns[c].categories)
      names.push_back(columns[c].name + "=" + category);
  }
  return names;
}

std::vector<float> TableSchema::encode(const std::vector<std::string>& cells) const {
  const size_t want = columns.size() - (target >= 0 ? 1 : 0);
  if (cells.size() != want)
    fail(Error::Kind::data, {"a row has ", cells.size(), " cells, must have ", want});
  std::vector<float> out;
  size_t k = 0;
  for (size_t c = 0; c < columns.size(); ++c)
    if (static_cast<int>(c) != target) data::encode_cell(columns[c], cells[k++], out);
  return out;
}

std::string TableSchema::to_json() const {
  Json json = Json::object();
  json["target"] = target;
  json["regression"] = regression;
  if (white > 0) json["white"] = white;
  json["columns"] = Json::array();
  for (const auto& c : columns) {
    Json column = Json::object();
    column["name"] = c.name;
    if (c.kind == TableColumn::Kind::text) column["text"] = true;
    if (c.kind == TableColumn::Kind::category) {
      column["categories"] = Json::array();
      for (const auto& category : c.categories) column["categories"].push_back(category);
    }
    json["columns"].push_back(std::move(column));
  }
  return print_json(json);
}

TableSchema TableSchema::from_json(std::string_view text) {
  const Json json = parse_json(text, "table schema");
  TableSchema s;
  for (const Json& c : json.at("columns").list()) {
    TableColumn column{c.at("name").text(), TableColumn::Kind::number, {}};
    if (c.boolean_or("text", false)) column.kind = TableColumn::Kind::text;
    if (const Json* categories = c.find("categories")) {
      column.kind = TableColumn::Kind::category;
      for (const Json& category : categories->list()) column.categories.push_back(category.text());
    }
    s.columns.push_back(std::move(column));
  }
  const int64_t target = json.at("target").integer();
  if (target < -1 || target >= static_cast<int64_t>(s.columns.size()))
    fail(Error::Kind::data,
         {"table schema: target ", target, " is not one of ", s.columns.size(), " columns"});
  s.target = static_cast<int>(target);
  if (target >= 0 && s.columns[static_cast<size_t>(target)].kind == TableColumn::Kind::text)
    fail(Error::Kind::data, {"table schema: the target is a column of free text"});
  s.regression = json.at("regression").boolean();
  s.white = json.number_or("white", 0);
  if (!(s.white >= 0)) fail(Error::Kind::data, {"table schema: white is ", s.white});
  return s;
}

}  // namespace nacre
