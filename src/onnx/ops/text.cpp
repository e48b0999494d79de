// Text: normalising, joining, splitting, and counting n-grams.
#include <algorithm>
#include <map>
#include <set>

#include "base/pattern.h"
#include "onnx/call.h"

namespace nacre::onnx {
namespace {

std::string changed_case(std::string s, const std::string& action) {
  for (char& c : s) {
    if (action == "LOWER" && c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
    if (action == "UPPER" && c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
  }
  return s;
}

Values normalise(Call& c) {
  const Shape& s = c.shape(0);
  c.check(s.rank() == 1 || (s.rank() == 2 && s[0] == 1), {"takes C or 1xC texts, not ", s});
  const std::string action = c.s("case_change_action", "NONE");
  const bool sensitive = c.i("is_case_sensitive") != 0;
  const auto key = [&](const std::string& w) { return sensitive ? w : changed_case(w, "LOWER"); };
  std::set<std::string> stop;
  for (const std::string& w : c.ss("stopwords")) stop.insert(key(w));
  std::vector<std::string> out;
  for (const std::string& w : c.value(0).text())
    if (!stop.contains(key(w))) out.push_back(changed_case(w, action));
  if (out.empty()) out.push_back("");
  const auto n = static_cast<int64_t>(out.size());
  return {Value::strings(s.rank() == 1 ? Shape{n} : Shape{1, n}, std::move(out))};
}

/// Counts of n-grams of a pool, weighted (https://onnx.ai/onnx/operators/onnx__TfIdfVectorizer).
template <typename T>
class Ngrams {
 public:
  Ngrams(const Call& c, const std::vector<T>& pool) {
    const Ints counts = c.is("ngram_counts");
    const Ints indexes = c.is("ngram_indexes");
    min_ = c.i("min_gram_length", 1);
    max_ = c.i("max_gram_length", 1);
    skips_ = c.i("max_skip_count");
    c.check(min_ > 0 && max_ >= min_ && max_ < 1 << 16 && skips_ >= 0 && skips_ < 1 << 16 &&
                max_ <= counts.rank(),
            {"n-grams of ", min_, " to ", max_, " with ", counts.rank(), " groups in the pool"});
    mode_ = c.s("mode");
    weights_ = c.fs("weights");
    int64_t gram = 0;
    for (int64_t n = 1; n <= counts.rank(); ++n) {
      const int64_t from = counts[n - 1];
      const int64_t to = n < counts.rank() ? counts[n] : static_cast<int64_t>(pool.size());
      c.check(from >= 0 && from <= to && to <= static_cast<int64_t>(pool.size()),
              {"ngram_counts ", as_list(counts), " do not fit a pool of ", pool.size()});
      for (int64_t at = from; at + n <= to; at += n, ++gram) {
        c.check(gram < indexes.rank() && indexes[gram] >= 0 && indexes[gram] < 1 << 28,
                {"ngram_indexes do not fit the pool"});
        columns_[{pool.begin() + at, pool.begin() + at + n}] = {indexes[gram], gram};
        width_ = std::max(width_, indexes[gram] + 1);
      }
    }
  }
  int64_t width() const { return width_; }

  void count(const T* row, int64_t size, float* out) const {
    for (int64_t n = min_; n <= max_; ++n)
      for (int64_t skip = 0; skip <= (n == 1 ? 0 : skips_); ++skip)
        for (int64_t at = 0; at + (n - 1) * (skip + 1) < size; ++at) {
          std::vector<T> gram;
          for (int64_t k = 0; k < n; ++k) gram.push_back(row[at + k * (skip + 1)]);
          const auto found = columns_.find(gram);
          if (found != columns_.end()) out[found->second.first] += 1;
        }
    for (const auto& [gram, place] : columns_) {
      float& v = out[place.first];
      const auto g = static_cast<size_t>(place.second);
      const double weight = g < weights_.size() ? weights_[g] : 1;
      if (v > 0 && mode_ == "IDF") v = static_cast<float>(weight);
      if (v > 0 && mode_ == "TFIDF") v = static_cast<float>(v * weight);
    }
  }

 private:
  int64_t min_ = 1, max_ = 1, skips_ = 0, width_ = 0;
  std::string mode_;
  std::vector<double> weights_;
  std::map<std::vector<T>, std::pair<int64_t, int64_t>> columns_;
};

template <typename T>
Values count_grams(Call& c, const std::vector<T>& pool, const std::vector<T>& items) {
  const Ngrams<T> grams(c, pool);
  const Shape& s = c.shape(0);
  c.check(s.rank() == 1 || s.rank() == 2, {"takes C or NxC items, not ", s});
  const int64_t rows = s.rank() == 2 ? s[0] : 1, size = s.back();
  std::vector<float> out(static_cast<size_t>(rows * grams.width()));
  for (int64_t r = 0; r < rows; ++r)
    grams.count(items.data() + r * size, size, out.data() + r * grams.width());
  return {Tensor::from(out, s.rank() == 2 ? Shape{rows, grams.width()} : Shape{grams.width()})};
}

Values tf_idf(Call& c) {
  if (c.value(0).is_strings()) return count_grams(c, c.ss("pool_strings"), c.value(0).text());
  const Ints pool = c.is("pool_int64s");
  return count_grams(c, std::vector<int64_t>(pool.begin(), pool.end()), c[0].to_vector<int64_t>());
}

Values join(Call& c) {
  const Value &a = c.value(0), &b = c.value(1);
  const Shape shape = broadcast_shapes(a.shape(), b.shape());
  const auto spread = [&](const Value& v) {
    return moved(v, [&](const Tensor& x) { return expand(x, shape); });
  };
  const Value left = spread(a), right = spread(b);
  std::vector<std::string> out = left.text();
  for (size_t k = 0; k < out.size(); ++k) out[k] += right.text()[k];
  return {Value::strings(shape, out)};
}

std::vector<std::string> pieces(const std::string& s, const std::string& by, int64_t most) {
  std::vector<std::string> out;
  size_t at = 0;
  const auto skip_blanks = [&] {
    while (by.empty() && at < s.size() && std::isspace(static_cast<unsigned char>(s[at]))) ++at;
  };
  skip_blanks();
  while (by.empty() ? at < s.size() : true) {
    size_t to = std::string::npos, next = std::string::npos;
    if (most < 0 || static_cast<int64_t>(out.size()) < most) {
      to = by.empty() ? s.find_first_of(" \t\n\r\f\v", at) : s.find(by, at);
      if (to != std::string::npos) next = to + std::max<size_t>(by.size(), 1);
    }
    out.push_back(s.substr(at, to == std::string::npos ? to : to - at));
    if (next == std::string::npos) break;
    at = next;
    skip_blanks();
  }
  return out;
}

Values split_text(Call& c) {
  const std::string by = c.s("delimiter");
  const int64_t most = c.i("maxsplit", -1);
  std::vector<std::vector<std::string>> rows;
  std::vector<int64_t> counts;
  size_t width = 0;
  for (const std::string& s : c.value(0).text()) {
    rows.push_back(pieces(s, by, most));
    counts.push_back(std::ssize(rows.back()));
    width = std::max(width, rows.back().size());
  }
  std::vector<std::string> out;
  for (auto& r : rows) {
    r.resize(width);
    out.insert(out.end(), r.begin(), r.end());
  }
  Shape shape = c.shape(0);
  shape.push_back(static_cast<int64_t>(width));
  return {Value::strings(shape, out), Tensor::from(counts, c.shape(0))};
}

}  // namespace

ONNX(StringNormalizer) = {"StringNormalizer", normalise};
ONNX(TfIdfVectorizer) = {"TfIdfVectorizer", tf_idf};
ONNX(StringConcat) = {"StringConcat", join};
ONNX(StringSplit) = {"StringSplit", split_text};

ONNX(RegexFullMatch) = {"RegexFullMatch", [](Call& c) -> Values {
                          const std::string expression = c.s("pattern");
                          Pattern{expression};  // whole by itself, not only inside of what follows
                          const Pattern whole("\\A(?:" + expression + ")\\z");
                          std::vector<bool> found;
                          for (const std::string& s : c.value(0).text())
                            found.push_back(whole.found_in(s));
                          return {Tensor::from(found, c.shape(0))};
                        }};

}  // namespace nacre::onnx
