// Steps for text and rows of tables. A step leaves samples without its part alone, so that one
// pipeline serves mixed data.
#include <algorithm>
#include <cmath>

#include "data/steps.h"
#include "nacre/error.h"

namespace nacre::data {
namespace {

std::vector<std::string> words_of(const std::string& text) {
  std::vector<std::string> words(1);
  for (const char c : text) {
    if (c == ' ')
      words.emplace_back();
    else
      words.back() += c;
  }
  return words;
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (size_t i = 0; i < words.size(); ++i) text += (i ? " " : "") + words[i];
  return text;
}

void word_dropout_step(Sample& s, const Args& a, bool, Rng& rng) {
  if (s.text.empty()) return;
  std::vector<std::string> kept;
  const auto words = words_of(s.text);
  for (const auto& word : words)
    if (!rng.bernoulli(a.number("p"))) kept.push_back(word);
  if (kept.empty()) kept.push_back(words[rng.below(words.size())]);
  s.text = joined(kept);
}

void word_swap_step(Sample& s, const Args& a, bool, Rng& rng) {
  auto words = words_of(s.text);
  for (int i = a.integer("count"); i > 0 && words.size() > 1; --i) {
    const auto at = rng.below(words.size() - 1);
    std::swap(words[at], words[at + 1]);
  }
  s.text = joined(words);
}

void need_columns(const Sample& s, std::string_view step, size_t n) {
  if (s.features.size() != n)
    fail(Error::Kind::shape,
         {"[", step, "] is made for rows of ", n, " columns, the sample has ", s.features.size()});
}

void standardize_step(Sample& s, const Args& a, bool, Rng&) {
  const auto& offset = a.list("offset");
  const auto& scale = a.list("scale");
  need_columns(s, "standardize", offset.size());
  need_columns(s, "standardize", scale.size());
  for (size_t i = 0; i < s.features.size(); ++i) {
    if (scale[i] == 0) fail(Error::Kind::usage, {"[standardize] scale ", i, " is 0"});
    s.features[i] = static_cast<float>((static_cast<double>(s.features[i]) - offset[i]) / scale[i]);
  }
}

void impute_step(Sample& s, const Args& a, bool, Rng&) {
  const auto& values = a.list("values");
  if (values.size() != 1) need_columns(s, "impute", values.size());
  for (size_t i = 0; i < s.features.size(); ++i)
    if (std::isnan(s.features[i]))
      s.features[i] = static_cast<float>(values[values.size() == 1 ? 0 : i]);
}

void unit_norm_step(Sample& s, const Args&, bool, Rng&) {
  double square = 0;
  for (const float v : s.features)
    if (!std::isnan(v)) square += static_cast<double>(v) * v;
  if (square <= 0) return;
  for (float& v : s.features) v = static_cast<float>(v / std::sqrt(square));
}

void columns_step(Sample& s, const Args& a, bool, Rng&) {
  if (s.features.empty()) return;
  std::vector<float> kept;
  for (const double c : a.list("kept")) {
    if (c >= static_cast<double>(s.features.size()) || c != std::floor(c))
      fail(Error::Kind::shape,
           {"[columns] keeps column ", c, ", the sample has ", s.features.size()});
    kept.push_back(s.features[static_cast<size_t>(c)]);
  }
  s.features = std::move(kept);
}

}  // namespace

const std::vector<StepDef>& other_steps() {
  static const std::vector<StepDef> steps = {
      {"word_dropout",
       "leaves out each word with probability p; one word stays",
       {needed("p", 0, 1)},
       true,
       word_dropout_step},
      {"word_swap",
       "exchanges neighbouring words, count times",
       {{"count", Param::integer, 1, 1, 1000}},
       true,
       word_swap_step},
      {"standardize",
       "(x - offset) / scale for each column of a row",
       {needed("offset", -1e300, 1e300, Param::list), needed("scale", -1e300, 1e300, Param::list)},
       false,
       standardize_step},
      {"impute",
       "missing values of a row are replaced, by one value or one a column",
       {needed("values", -1e300, 1e300, Param::list)},
       false,
       impute_step},
      {"columns",
       "keeps these columns of a row, counted from 0",
       {needed("kept", 0, 1e9, Param::list)},
       false,
       columns_step},
      {"text_features",
       "appends TF-IDF numbers of a text, one for each term",
       {needed("terms", 0, 1e15, Param::list),
        needed("idf", 0, 1e6, Param::list),
        {"words", Param::integer, 1, 1, 3},
        {"chars", Param::integer, 0, 0, 6}},
       false,
       text_features_step},
      {"counts",
       "counts of a row become TF-IDF numbers: (1 + log count) * idf of the column, divided by the "
       "Euclidean length of the row",
       {needed("idf", 0, 1e6, Param::list)},
       false,
       counts_step},
      {"unit_norm", "a row is divided by its Euclidean length", {}, false, unit_norm_step},
  };
  return steps;
}

}  // namespace nacre::data
