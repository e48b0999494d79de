// Words and pieces of words as numbers.
#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "base/hash.h"
#include "base/signals.h"
#include "base/text.h"
#include "data/steps.h"
#include "nacre/data.h"
#include "nacre/error.h"

namespace nacre {
namespace data {
namespace {

constexpr size_t kMostTerms = size_t{1} << 23;           // that are counted
constexpr size_t kMostBytes = size_t{1} << 20;           // of a text that are looked at
constexpr size_t kLeastCounts = 100;                     // columns
constexpr double kMostFilled = 0.1;                      // of what columns count
constexpr uint64_t kHashMask = (uint64_t{1} << 44) - 1;  // exact as a double

enum class Letter { none, part, alone };

bool within(char32_t c, std::initializer_list<std::pair<char32_t, char32_t>> ranges) {
  return std::any_of(ranges.begin(), ranges.end(),
                     [c](const auto& r) { return c >= r.first && c <= r.second; });
}

/// Part of a word, a word alone (scripts without blanks, pictures), or neither.
Letter letter_of(char32_t c) {
  if (c < 0x80)
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' ? Letter::part
                                                                        : Letter::none;
  if (within(c, {{0x80, 0xa9},
                 {0xab, 0xb4},
                 {0xb6, 0xb9},
                 {0xbb, 0xbf},
                 {0xd7, 0xd7},
                 {0xf7, 0xf7},
                 {0x2000, 0x206f},
                 {0x2190, 0x25ff},
                 {0x3000, 0x3004},
                 {0x3008, 0x3020},
                 {0xff00, 0xff0f},
                 {0xff1a, 0xff20},
                 {0xff3b, 0xff40},
                 {0xff5b, 0xff65},
                 {0xfffd, 0xfffd}}))
    return Letter::none;
  if (within(c, {{0xe00, 0xe7f},
                 {0x2600, 0x27bf},
                 {0x3005, 0x3007},
                 {0x3040, 0x30ff},
                 {0x3400, 0x9fff},
                 {0xf900, 0xfaff},
                 {0x1f000, 0x1faff},
                 {0x20000, 0x2fa1f}}))
    return Letter::alone;
  return Letter::part;
}

/// Small letters of Latin, Greek and Cyrillic.
char32_t small(char32_t c) {
  if (c >= 'A' && c <= 'Z') return c + 32;
  if (c >= 0xc0 && c <= 0xde && c != 0xd7) return c + 32;
  if (c >= 0x100 && c <= 0x137 && c % 2 == 0) return c + 1;
  if ((c >= 0x391 && c <= 0x3a9) || (c >= 0x410 && c <= 0x42f)) return c + 32;
  if (c >= 0x400 && c <= 0x40f) return c + 80;
  return c;
}

uint64_t hash_of(std::u32string_view term, uint64_t kind) {
  return hash64({reinterpret_cast<const char*>(term.data()), term.size() * sizeof(char32_t)},
                kind) &
         kHashMask;
}

struct Words {
  std::vector<std::u32string> list;
  std::vector<bool> alone;
};

Words words_of(std::string_view text) {
  Words w;
  std::u32string word;
  const auto end_word = [&] {
    if (word.empty()) return;
    w.list.push_back(word);
    w.alone.push_back(false);
    word.clear();
  };
  text = text.substr(0, kMostBytes);
  for (size_t at = 0; at < text.size();) {
    const char32_t c = small(next_character(text, at));
    const Letter l = letter_of(c);
    if (l == Letter::part) {
      word += c;
      continue;
    }
    end_word();
    if (l == Letter::none) continue;
    w.list.emplace_back(1, c);
    w.alone.push_back(true);
  }
  end_word();
  return w;
}

/// Calls f with the hash of each term of a text, as often as it is there.
template <typename F>
void each_term(std::string_view text, int words, int chars, F f) {
  const Words w = words_of(text);
  const size_t n = w.list.size();
  std::u32string term;
  for (size_t i = 0; i < n; ++i) {
    term = w.list[i];
    f(hash_of(term, 1));
    // Two characters of a script without blanks are the nearest thing to a word.
    const size_t longest = std::max(static_cast<size_t>(words), w.alone[i] ? size_t{2} : size_t{1});
    for (size_t k = 1; k < longest && i + k < n; ++k) {
      if (static_cast<int>(k) >= words && !w.alone[i + k]) break;
      term += U' ';
      term += w.list[i + k];
      f(hash_of(term, 1));
    }
    if (chars < 3 || w.alone[i]) continue;
    const std::u32string padded = U" " + w.list[i] + U" ";
    for (size_t size = 3; size <= static_cast<size_t>(chars); ++size)
      for (size_t from = 0; from + size <= padded.size(); ++from)
        f(hash_of(std::u32string_view(padded).substr(from, size), 2));
  }
}

/// Counts above 0 to TF-IDF numbers of length 1.
void weigh(float* counts, const std::vector<double>& idf) {
  double squares = 0;
  for (size_t i = 0; i < idf.size(); ++i) {
    if (!(counts[i] > 0)) {
      counts[i] = 0;
      continue;
    }
    const double v = (1 + std::log(static_cast<double>(counts[i]))) * idf[i];
    counts[i] = static_cast<float>(v);
    squares += v * v;
  }
  if (squares <= 0) return;
  const auto scale = static_cast<float>(1 / std::sqrt(squares));
  for (size_t i = 0; i < idf.size(); ++i) counts[i] *= scale;
}

/// How much it says that a term is there which `count` of `n` samples have.
std::string rareness(double n, double count) {
  return format_number(1 + std::log((1 + n) / (1 + count)), 6);
}

}  // namespace

void text_features_step(Sample& s, const Args& a, bool, Rng&) {
  if (!s.image.empty() || !s.audio.empty()) return;
  const auto& terms = a.list("terms");
  const auto& idf = a.list("idf");
  if (terms.size() != idf.size())
    fail(Error::Kind::usage,
         {"[text_features] has ", terms.size(), " terms and ", idf.size(), " values of idf"});
  const size_t from = s.features.size();
  s.features.resize(from + terms.size(), 0.0f);
  float* counts = s.features.data() + from;
  each_term(s.text, a.integer("words"), a.integer("chars"), [&](uint64_t hash) {
    const auto key = static_cast<double>(hash);
    const auto found = std::lower_bound(terms.begin(), terms.end(), key);
    if (found != terms.end() && *found == key) ++counts[found - terms.begin()];
  });
  weigh(counts, idf);
}

void counts_step(Sample& s, const Args& a, bool, Rng&) {
  if (s.features.empty()) return;
  const auto& idf = a.list("idf");
  if (s.features.size() != idf.size())
    fail(Error::Kind::shape, {"[counts] is made for rows of ", idf.size(),
                              " columns, the sample has ", s.features.size()});
  weigh(s.features.data(), idf);
}

}  // namespace data

std::string fit_text(const Dataset& dataset, const TextOptions& o) {
  if (o.terms < 1 || o.terms > 65536 || o.least < 1 || o.words < 1 || o.words > 3 ||
      (o.chars != 0 && (o.chars < 3 || o.chars > 6)))
    fail(Error::Kind::usage,
         {"terms should be from 1 to 65536, least at least 1, words from 1 to 3 and chars 0 or "
          "from 3 to 6, got ",
          o.terms, ", ", o.least, ", ", o.words, " and ", o.chars});
  std::unordered_map<uint64_t, int64_t> texts_with;
  std::vector<uint64_t> seen;
  for (int64_t i = 0; i < dataset.size(); ++i) {
    check_stop();
    seen.clear();
    data::each_term(dataset.get(i).text, o.words, o.chars,
                    [&](uint64_t hash) { seen.push_back(hash); });
    std::sort(seen.begin(), seen.end());
    seen.erase(std::unique(seen.begin(), seen.end()), seen.end());
    for (const uint64_t hash : seen) {
      const auto found = texts_with.find(hash);
      if (found != texts_with.end())
        ++found->second;
      else if (texts_with.size() < data::kMostTerms)
        texts_with.emplace(hash, 1);
    }
  }
  std::vector<std::pair<int64_t, uint64_t>> often;
  for (const auto& [hash, n] : texts_with)
    if (n >= std::min(o.least, dataset.size())) often.emplace_back(-n, hash);
  if (often.empty())
    fail(Error::Kind::data, {"no word is found in ", o.least, " of the ", dataset.size(),
                             " texts, so nothing can be learned from them"});
  std::sort(often.begin(), often.end());
  if (static_cast<int64_t>(often.size()) > o.terms) often.resize(static_cast<size_t>(o.terms));
  std::sort(often.begin(), often.end(), [](auto& a, auto& b) { return a.second < b.second; });
  std::string terms, idf;
  const double n = static_cast<double>(dataset.size());
  for (const auto& [count, hash] : often) {
    terms += (terms.empty() ? "" : ",") + std::to_string(hash);
    idf += (idf.empty() ? "" : ",") + data::rareness(n, static_cast<double>(-count));
  }
  return cat({"text_features([", terms, "],[", idf, "],words=", o.words, ",chars=", o.chars, ")"});
}

std::string fit_counts(const Dataset& dataset, const Transform& before) {
  const TableSchema* schema = dataset.schema();
  if (!schema) return "";
  for (size_t c = 0; c < schema->columns.size(); ++c)
    if (static_cast<int>(c) != schema->target &&
        schema->columns[c].kind != TableColumn::Kind::number)
      return "";
  std::vector<int64_t> rows_with;
  int64_t filled = 0;
  for (int64_t i = 0; i < dataset.size(); ++i) {
    check_stop();
    Sample s = dataset.get(i);
    before.apply(s, false, Key(0));
    if (s.features.size() < data::kLeastCounts) return "";
    rows_with.resize(s.features.size());
    for (size_t c = 0; c < s.features.size(); ++c) {
      const float v = s.features[c];
      if (!(v >= 0) || v != std::floor(v)) return "";
      if (v > 0) ++rows_with[c], ++filled;
    }
  }
  const double all = static_cast<double>(dataset.size()) * static_cast<double>(rows_with.size());
  if (static_cast<double>(filled) > data::kMostFilled * all) return "";
  std::string idf;
  for (const int64_t count : rows_with)
    idf += (idf.empty() ? "" : ",") +
           data::rareness(static_cast<double>(dataset.size()), static_cast<double>(count));
  return cat({"counts([", idf, "])"});
}

}  // namespace nacre
