// Texts as numbers, rows that name their columns, and tables with a column of text.
#include <gtest/gtest.h>

#include <cmath>

#include "data/folder.h"
#include "data/readers.h"
#include "nacre/data.h"
#include "nacre/error.h"

namespace nacre {
namespace {

using testing::Folder;

DatasetPtr texts(const std::vector<std::string>& list) {
  std::vector<Sample> samples;
  for (const std::string& t : list) {
    samples.emplace_back();
    samples.back().text = t;
    samples.back().label = 0;
  }
  return from_samples(std::move(samples), {"a"});
}

std::vector<float> features(const Transform& t, const std::string& text) {
  Sample s;
  s.text = text;
  t.apply(s, false, Key(0));
  return s.features;
}

std::vector<float> sorted(std::vector<float> v) {
  std::sort(v.begin(), v.end());
  return v;
}

TEST(TextFeatures, AreThoseOfScikitLearn) {
  // TfidfVectorizer(sublinear_tf=True, min_df=2, token_pattern=r"(?u)\b\w+\b") 1.2.1 keeps "a",
  // "cat", "sat", "the" of these and gives the numbers below.
  const auto data = texts(
      {"The cat sat, the CAT sat!", "a cat and the dog", "A dog_house sat", "the the the", "a"});
  const Transform t = Transform::parse(fit_text(*data));
  const auto got = sorted(features(t, "the cat a cat the unknown cat"));
  const std::vector<float> want = {0, 0.3122195f, 0.5286336f, 0.789345f};
  ASSERT_EQ(got.size(), 4u);
  for (size_t i = 0; i < 4; ++i) EXPECT_NEAR(got[i], want[i], 1e-4) << i;
  EXPECT_EQ(features(t, ""), std::vector<float>(4, 0.0f));
  // The text form is the whole step.
  EXPECT_EQ(features(Transform::parse(t.str()), "the cat"), features(t, "the cat"));
}

/// 40 rows of 120 columns that count, few of which are not 0.
std::string count_rows(const std::string& first) {
  std::string text = first;
  for (int i = 1; i < 40; ++i)
    text += std::to_string(i % 2) + " " + std::to_string(i) + ":" + std::to_string(1 + i % 3) +
            " 119:1\n";
  return text;
}

TEST(TextFeatures, CountsAreWeighedAsScikitLearnDoes) {
  Folder f;
  // The first row has 2, 1 and 5 in columns that are in 1, 2 and 40 of 40 rows.
  const auto opened = [&](const std::string& text) {
    return open_dataset(f.write("rows.txt", text)).train;
  };
  const auto data = opened(count_rows("1 0:2 7:1 119:5\n"));
  const std::string step = fit_counts(*data, Transform());
  ASSERT_EQ(step.substr(0, 8), "counts([") << step.substr(0, 40);
  Sample s = data->get(0);
  Transform::parse(step).apply(s, false, Key(0));
  ASSERT_EQ(s.features.size(), 120u);
  // TfidfTransformer(sublinear_tf=True) 1.9.1
  EXPECT_NEAR(s.features[0], 0.8365454f, 1e-5);
  EXPECT_NEAR(s.features[7], 0.4442489f, 1e-5);
  EXPECT_NEAR(s.features[119], 0.3206785f, 1e-5);
  EXPECT_EQ(s.features[1], 0);
  // Not so where a number is not whole, or below 0, or where columns are few.
  for (const char* first : {"1 0:2.5 119:1\n", "1 0:-2 119:1\n"})
    EXPECT_EQ(fit_counts(*opened(count_rows(first)), Transform()), "") << first;
  EXPECT_EQ(fit_counts(*opened("1 0:2 1:1\n0 1:2\n"), Transform()), "");
  Sample other;
  other.features = {1, 2};
  EXPECT_THROW(Transform::parse(step).apply(other, false, Key(0)), Error);
}

TEST(TextFeatures, KnowLettersBeyondAscii) {
  const Transform t = Transform::parse(fit_text(
      *texts({"\xc3\x84pfel \xd0\x9c\xd0\xb8\xd1\x80", "\xc3\xa4pfel \xd0\xbc\xd0\xb8\xd1\x80"})));
  EXPECT_EQ(features(t, "x").size(), 2u);  // both are written large and small
  // Characters of Chinese, and their pairs.
  const Transform zh = Transform::parse(
      fit_text(*texts({"\xe4\xbd\xa0\xe5\xa5\xbd", "\xe4\xbd\xa0\xe5\xa5\xbd\xe3\x80\x82"})));
  EXPECT_EQ(features(zh, "x").size(), 3u);
}

TEST(TextFeatures, SequencesAndPiecesOfWords) {
  const auto data = texts({"new york city", "new york"});
  EXPECT_EQ(features(Transform::parse(fit_text(*data, {.words = 2})), "").size(), 3u);
  // " ne", "new", "ew ", " yo", "yor", "ork", "rk ".
  EXPECT_EQ(features(Transform::parse(fit_text(*data, {.chars = 3})), "").size(), 9u);
  EXPECT_EQ(features(Transform::parse(fit_text(*data, {.terms = 1})), "").size(), 1u);
}

TEST(TextFeatures, MistakesAreNamed) {
  const auto message = [](const auto& f) {
    try {
      f();
    } catch (const Error& e) {
      return std::string(e.what());
    }
    return std::string();
  };
  EXPECT_NE(message([] {
              fit_text(*texts({"a", "b"}));
            }).find("no word is found in 2 of the 2"),
            std::string::npos);
  EXPECT_NE(message([] { fit_text(*texts({"a a"}), {.words = 9}); }).find("words from 1 to 3"),
            std::string::npos);
  EXPECT_NE(message([] {
              features(Transform::parse("text_features([1,2],[1])"), "a");
            }).find("2 terms and 1 values"),
            std::string::npos);
}

TEST(SparseRows, AreReadAsXgboostReadsThem) {
  Folder f;
  f.write("bow_train.txt", "1 0:2 3:1.5\n0 1:1 # a remark\n+1 2:-1\n0\n");
  f.write("bow_test.txt", "0 3:7 9:1\n");
  f.write("vocabulary.txt", "free\nhello\n");
  const DataSplits d = open_dataset(f.path());
  EXPECT_EQ(d.kind, "sparse");
  EXPECT_EQ(d.train->classes(), (std::vector<std::string>{"0", "1"}));
  EXPECT_EQ(d.train->get(0).features, (std::vector<float>{2, 0, 0, 1.5f}));
  EXPECT_EQ(d.train->get(3).features, std::vector<float>(4, 0.0f));
  EXPECT_EQ(d.train->label(2), 1);
  EXPECT_EQ(d.train->schema()->feature_names(),
            (std::vector<std::string>{"free", "hello", "column2", "column3"}));
  EXPECT_EQ(d.test->get(0).features, (std::vector<float>{0, 0, 0, 7}));
  EXPECT_NE(d.test->remark().find("1 values lie in columns beyond the 4"), std::string::npos);

  const auto values = data::csv_dataset("0.5 1:1\n2 1:2\n", {}, "v");
  EXPECT_TRUE(values->schema()->regression);
  EXPECT_FALSE(data::is_sparse_rows("1,2\n3,4\n"));
  EXPECT_FALSE(data::is_sparse_rows("spam\tat 3:30 today\n"));
  for (const char* wrong : {"1 0:x\n", "1 0:1\nfoo 1:1\n", "1 4000000000:1\n", "1 0:1 1\n"})
    EXPECT_THROW(data::sparse_dataset(wrong, {}, "w"), Error) << wrong;
}

/// 150 rows with a sentence each.
std::string letters() {
  std::string csv = "stars,comment,mood\n";
  for (int i = 0; i < 150; ++i)
    csv += std::to_string(i % 5) + ",\"it was " + (i % 2 ? "very good" : "quite bad") +
           ", visit number " + std::to_string(i) + "\"," + (i % 2 ? "up" : "down") + "\n";
  return csv;
}

TEST(TextColumns, BecomeTheTextOfARow) {
  const auto d = data::csv_dataset(letters(), {}, "t");
  ASSERT_TRUE(d->schema()->has_text());
  EXPECT_EQ(d->schema()->columns[1].kind, TableColumn::Kind::text);
  EXPECT_EQ(d->classes(), (std::vector<std::string>{"down", "up"}));  // not the free text
  const Sample s = d->get(3);
  EXPECT_EQ(s.features, (std::vector<float>{3}));
  EXPECT_EQ(s.text, "it was very good, visit number 3");
  EXPECT_EQ(TableSchema::from_json(d->schema()->to_json()), *d->schema());
  EXPECT_EQ(d->schema()->text({"1", " so so "}), "so so");
  EXPECT_EQ(d->schema()->encode({"1", "so so"}), (std::vector<float>{1}));
}

TEST(TextFolders, AFileForEachText) {
  Folder f;
  f.write("ham/1.txt", "see you at eight");
  f.write("ham/2.txt", "see you");
  f.write("spam/1.txt", "win money");
  const DataSplits d = open_dataset(f.path());
  EXPECT_EQ(d.train->size(), 3);
  EXPECT_EQ(d.train->classes(), (std::vector<std::string>{"ham", "spam"}));
  EXPECT_EQ(d.train->get(2).text, "win money");
  EXPECT_EQ(d.train->get(2).label, 1);
  EXPECT_TRUE(d.train->schema()->has_text());
}

TEST(TextRows, AModelOfTextsTakesLines) {
  TableSchema schema;
  schema.columns = {{"label", TableColumn::Kind::category, {"ham", "spam"}},
                    {"text", TableColumn::Kind::text, {}}};
  schema.target = 0;
  CsvOptions o;
  o.schema = &schema;
  o.needs_target = false;
  const auto d = data::csv_dataset("win, \"money\" now\nham\tsee you\n", o, "lines");
  EXPECT_EQ(d->get(0).text, "win, \"money\" now");
  EXPECT_EQ(d->get(1).text, "see you");
  EXPECT_EQ(data::csv_dataset("text\nwin money\n", o, "table")->get(0).text, "win money");
}

}  // namespace
}  // namespace nacre
