// Readers of data sets: IDX, CIFAR, folders, tables, text; what a folder is taken for.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "base/gzip.h"
#include "data/readers.h"
#include "folder.h"

namespace nacre {
namespace {

using testing::contains;
using testing::error_of;
using testing::Folder;

std::string be32(uint32_t v) {
  return {static_cast<char>(v >> 24), static_cast<char>(v >> 16), static_cast<char>(v >> 8),
          static_cast<char>(v)};
}

std::string idx_images(int n, int rows, int columns) {
  std::string s = be32(2051) + be32(static_cast<uint32_t>(n)) + be32(static_cast<uint32_t>(rows)) +
                  be32(static_cast<uint32_t>(columns));
  for (int i = 0; i < n * rows * columns; ++i) s += static_cast<char>(i % 256);
  return s;
}

std::string idx_labels(const std::vector<int>& labels) {
  std::string s = be32(2049) + be32(static_cast<uint32_t>(labels.size()));
  for (const int label : labels) s += static_cast<char>(label);
  return s;
}

std::string cifar_file(int n, int label_bytes, int classes) {
  std::string s;
  for (int i = 0; i < n; ++i) {
    if (label_bytes == 2) s += '\1';
    s += static_cast<char>(i % classes);
    for (int c = 0; c < 3; ++c) s += std::string(1024, static_cast<char>(10 * c + i % 7));
  }
  return s;
}

TEST(Digits, TheShippedSetIsWhole) {
  const DataSplits d = open_dataset(NACRE_SOURCE_DIR "/data/digits");
  ASSERT_EQ(d.train->size(), 1797);
  EXPECT_EQ(d.kind, "table");
  EXPECT_EQ(d.train->classes(),
            (std::vector<std::string>{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}));
  // Counts of the classes as scikit-learn documents them, and the mean of the first picture.
  Indices counts(10, 0);
  for (const int64_t label : labels_of(*d.train)) ++counts[static_cast<size_t>(label)];
  EXPECT_EQ(counts, (Indices{178, 182, 177, 183, 181, 182, 181, 179, 174, 180}));
  const Sample s = d.train->get(0);
  EXPECT_EQ(s.image.width, 8);
  EXPECT_EQ(s.image.channels, 1);
  float sum = 0;
  for (const float p : s.image.pixels) sum += p;
  EXPECT_FLOAT_EQ(sum, 294.0f / 16);
  EXPECT_TRUE(check_dataset(d).empty());
}

TEST(Idx, ReadsPicturesAndLabels) {
  const auto d = data::idx_dataset(idx_images(3, 4, 5), idx_labels({2, 0, 1}), {}, "set", "labels");
  ASSERT_EQ(d->size(), 3);
  const Sample s = d->get(1);
  EXPECT_EQ(s.label, 0);
  EXPECT_EQ(s.image.width, 5);
  EXPECT_EQ(s.image.height, 4);
  EXPECT_FLOAT_EQ(s.image.at(2, 1), 27 / 255.0f);
  EXPECT_EQ(d->classes().size(), 3u);
  error_of([&] { d->get(3); }, Error::Kind::usage);
}

TEST(Idx, FoldersInTheMnistLayout) {
  Folder f;
  f.write("mnist/train-images-idx3-ubyte.gz", gzip(idx_images(6, 28, 28)));
  f.write("mnist/train-labels-idx1-ubyte", idx_labels({0, 1, 2, 3, 4, 9}));
  f.write("mnist/t10k-images-idx3-ubyte", idx_images(2, 28, 28));
  f.write("mnist/t10k-labels-idx1-ubyte.gz", gzip(idx_labels({3, 4})));
  const DataSplits d = open_dataset(f.path() + "/mnist");
  EXPECT_EQ(d.kind, "idx");
  EXPECT_EQ(d.train->size(), 6);
  EXPECT_EQ(d.test->size(), 2);
  EXPECT_EQ(d.train->classes().size(), 10u);
  f.write("fashion/train-images-idx3-ubyte", idx_images(1, 28, 28));
  f.write("fashion/train-labels-idx1-ubyte", idx_labels({9}));
  EXPECT_EQ(open_dataset(f.path() + "/fashion").train->classes()[9], "ankle boot");
  f.write("e/emnist-letters-train-images-idx3-ubyte", idx_images(1, 28, 28));
  f.write("e/emnist-letters-train-labels-idx1-ubyte", idx_labels({26}));
  const auto letters = open_dataset(f.path() + "/e").train;
  EXPECT_EQ(letters->classes().at(static_cast<size_t>(letters->label(0))), "z");
  EXPECT_FLOAT_EQ(letters->get(0).image.at(0, 1), 1 / 255.0f);  // columns first
}

TEST(Idx, MistakesAreNamed) {
  const auto open = [](const std::string& images, const std::string& labels) {
    return error_of([&] { data::idx_dataset(images, labels, {}, "set", "labels"); });
  };
  EXPECT_TRUE(
      contains(open(idx_images(2, 4, 4), idx_labels({1})), "has 2 pictures, but labels has 1"));
  EXPECT_TRUE(contains(open(idx_labels({1}), idx_labels({1})), "must be 2051"));
  EXPECT_TRUE(contains(open(be32(2051) + be32(0xffffffff) + be32(28) + be32(28), idx_labels({})),
                       "the file has 0"));
  EXPECT_TRUE(
      contains(open(be32(2051) + be32(1) + be32(0x7fffffff) + be32(0x7fffffff), ""), "are read"));
}

TEST(Idx, TheFileWithTheFaultIsNamed) {
  Folder f;
  const std::string images = f.write("a/train-images-idx3-ubyte", idx_images(3, 4, 4));
  const std::string labels = f.path() + "/a/train-labels-idx1-ubyte";
  const auto message = [&] { return error_of([&] { open_dataset(f.path() + "/a"); }); };
  std::string text = message();
  EXPECT_TRUE(contains(text, images + " are missing") && contains(text, labels + ".gz")) << text;
  const std::string whole = idx_labels({0, 1, 2});
  for (const std::string& bad : {whole.substr(0, 5), whole.substr(0, 9), idx_images(1, 1, 1)}) {
    f.write("a/train-labels-idx1-ubyte", bad);
    text = message();
    EXPECT_TRUE(text.starts_with(labels + ":")) << text;
  }
  f.write("a/train-labels-idx1-ubyte", idx_labels({0, 1}));
  text = message();
  EXPECT_TRUE(contains(text, images) && contains(text, labels)) << text;
  std::filesystem::remove(labels);
  f.write("a/train-labels-idx1-ubyte.gz", gzip(whole).substr(0, 20));
  text = message();
  EXPECT_TRUE(text.starts_with(labels + ".gz")) << text;
}

TEST(Names, ThatAreNotUtf8AreRefused) {
  Folder f;
  const std::string cafe = "caf\xe9", fine = "caf\xc3\xa9 \xef\xbf\xbd";
  f.picture("a/tea/1.png", 0.1f);
  f.picture("a/" + fine + "/1.png", 0.1f);
  EXPECT_EQ(open_dataset(f.path() + "/a").train->classes()[0], fine);
  f.picture("a/" + cafe + "/1.png", 0.1f);
  EXPECT_TRUE(contains(error_of([&] { open_dataset(f.path() + "/a"); }),
                       "the class name 'caf?' is not UTF-8"));
  for (const char* name : {"a.csv", "a.tsv"}) {
    const std::string rows = "tea\t1\ntea\t2\n";
    const std::string text = error_of([&] { open_dataset(f.write(name, rows + cafe + "\t3\n")); });
    EXPECT_TRUE(contains(text, "line 3 is not UTF-8")) << text;
    EXPECT_EQ(open_dataset(f.write(name, rows + fine + "\t3\n")).train->size(), 3);
  }
}

TEST(Cifar, ReadsBothVariantsAndChecksTheSize) {
  Folder f;
  for (int i = 1; i <= 5; ++i)
    f.write("ten/data_batch_" + std::to_string(i) + ".bin", cifar_file(20, 1, 10));
  f.write("ten/test_batch.bin", cifar_file(10, 1, 10));
  f.write("ten/batches.meta.txt",
          "airplane\nautomobile\nbird\ncat\ndeer\ndog\nfrog\nhorse\nship\n"
          "truck\n\n");
  const DataSplits d = open_dataset(f.path() + "/ten");
  EXPECT_EQ(d.kind, "cifar10");
  ASSERT_EQ(d.train->size(), 100);
  EXPECT_EQ(d.test->size(), 10);
  const Sample s = d.train->get(23);
  EXPECT_EQ(d.train->classes()[static_cast<size_t>(s.label)], "cat");
  EXPECT_EQ(s.image.width * s.image.height * s.image.channels, 3072);
  EXPECT_FLOAT_EQ(s.image.at(31, 31, 2), 23 / 255.0f);
  EXPECT_FLOAT_EQ(s.image.at(5, 7, 0), 3 / 255.0f);
  EXPECT_TRUE(contains(d.train->remark(), "100 pictures, the published set has 50000"));

  f.write("hundred/train.bin", cifar_file(100, 2, 100));
  f.write("hundred/test.bin", cifar_file(3, 2, 100));
  const DataSplits h = open_dataset(f.path() + "/hundred");
  EXPECT_EQ(h.kind, "cifar100");
  EXPECT_EQ(h.train->get(42).label, 42);
  EXPECT_EQ(h.train->classes().size(), 100u);
}

TEST(Cifar, TheWholeSizeIsAccepted) {
  // One batch file of the real length, five times: 50,000 pictures.
  const auto d = data::cifar_dataset(std::vector<std::string>(5, cifar_file(10000, 1, 10)), 1,
                                     std::vector<std::string>(10, "x"), 50000, "set");
  EXPECT_EQ(d->size(), 50000);
  EXPECT_TRUE(d->remark().empty());
  error_of([] { data::cifar_dataset({std::string(3072, 'a')}, 1, {"x"}, 1, "set"); });
  error_of([] { data::cifar_dataset({std::string(3073, 'a')}, 1, {"x"}, 1, "set"); });
}

TEST(Folders, OnePerClassWithOrWithoutParts) {
  Folder f;
  for (const std::string part : {"train", "val", "test"})
    for (const std::string c : {"cat", "dog", "fox"})
      for (int i = 0; i < 2; ++i)
        f.picture("parts/" + part + "/" + c + "/" + std::to_string(i) + ".png", 0.5f);
  f.write("parts/train/notes.txt", "hello");
  const DataSplits d = open_dataset(f.path() + "/parts");
  EXPECT_EQ(d.kind, "folder");
  EXPECT_EQ(d.train->size(), 6);
  EXPECT_EQ(d.val->size(), 6);
  EXPECT_EQ(d.test->size(), 6);
  EXPECT_EQ(d.train->classes(), (std::vector<std::string>{"cat", "dog", "fox"}));
  EXPECT_EQ(d.ignored.size(), 1u);
  EXPECT_EQ(d.train->get(2).label, 1);
  EXPECT_TRUE(contains(d.train->name(2), "train/dog/0.png"));

  f.picture("plain/a/deep/er/1.PNG", 0.1f);
  f.picture("plain/b/2.jpeg", 0.2f);
  EXPECT_EQ(open_dataset(f.path() + "/plain").train->size(), 2);
  f.picture("parts/test/wolf/1.png", 0);
  EXPECT_TRUE(contains(error_of([&] { open_dataset(f.path() + "/parts"); }), "'wolf'"));
}

TEST(Folders, LinksThatLeadBackAreNotFollowed) {
  namespace fs = std::filesystem;
  for (const std::string top : {"", "train/"}) {
    Folder f;
    for (const char* c : {"cat", "dog"}) f.picture(top + c + "/1.png", 0.5f);
    f.picture(top + "dog/puppies/2.png", 0.5f);
    const fs::path root = fs::path(f.path()) / top;
    fs::create_directory_symlink("..", root / "cat/up");
    fs::create_directory_symlink(root / "cat", root / "dog/puppies/cats");  // cats/up leads back
    fs::create_directory_symlink(".", root / "self");
    ::testing::internal::CaptureStderr();
    const DataSplits d = open_dataset(f.path());
    const std::string said = ::testing::internal::GetCapturedStderr();
    // A link that does not lead back is a folder like others.
    EXPECT_EQ(d.train->size(), 4);
    EXPECT_EQ(d.train->classes(), (std::vector<std::string>{"cat", "dog"}));
    for (const char* link : {"cat/up", "dog/puppies/cats/up", "self"})
      EXPECT_TRUE(contains(said, std::string(link) + " is a link to a folder that it lies in"))
          << link << " in " << said;
    EXPECT_EQ(d.ignored.size(), 2u);
  }
}

TEST(ImageNet, TenPictureFixtureAsFolderListAndTar) {
  Folder f;
  const std::vector<std::string> synsets = {"n01440764", "n01443537"};
  std::string list;
  for (int i = 0; i < 10; ++i) {
    const std::string& synset = synsets[static_cast<size_t>(i % 2)];
    const float v = static_cast<float>(i) / 10;
    f.picture("in/train/" + synset + "/" + synset + "_" + std::to_string(i) + ".JPEG", v);
    f.picture("in/val/ILSVRC2012_val_" + std::to_string(i) + ".JPEG", v);
    list += "ILSVRC2012_val_" + std::to_string(i) + ".JPEG " + std::to_string(i % 2) + "\n";
  }
  f.write("in/val.txt", list);
  const DataSplits d = open_dataset(f.path() + "/in");
  EXPECT_EQ(d.train->size(), 10);
  EXPECT_EQ(d.train->classes(), synsets);
  ASSERT_EQ(d.val->size(), 10);
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(d.val->label(i), i % 2);
    EXPECT_NEAR(d.val->get(i).image.pixels[0], static_cast<float>(i) / 10, 0.003);
  }
  f.write("in/val.txt", "../../etc/passwd.jpg 0\n");
  EXPECT_TRUE(contains(error_of([&] { open_dataset(f.path() + "/in"); }), "leads out"));

  const std::vector<std::string> thousand = [] {
    std::vector<std::string> names;
    for (int i = 0; i < 1000; ++i) names.push_back("n0" + std::to_string(1000000 + i));
    return names;
  }();
  EXPECT_TRUE(data::imagenet_remark(thousand, 1281167).empty());
  EXPECT_TRUE(data::imagenet_remark(thousand, 50000).empty());
  EXPECT_TRUE(contains(data::imagenet_remark(thousand, 10), "1281167"));
}

TEST(Csv, QuotesEndingsMarksAndMissingCells) {
  const std::string text =
      "\xef\xbb\xbf"
      "size,\"the, colour\",note,label\r\n"
      "1.5,red,\"said \"\"hi\"\"\",yes\r\n"
      "?,blue,\"two\nlines\",no\r\n"
      "\r\n"
      "-2e3,,plain,yes";
  const auto d = data::csv_dataset(text, {}, "t.csv");
  ASSERT_EQ(d->size(), 3);
  const TableSchema* schema = table_schema(*d);
  ASSERT_NE(schema, nullptr);
  EXPECT_EQ(schema->feature_names(),
            (std::vector<std::string>{"size", "the, colour=blue", "the, colour=red", "note=plain",
                                      "note=said \"hi\"", "note=two\nlines"}));
  EXPECT_EQ(d->classes(), (std::vector<std::string>{"no", "yes"}));
  EXPECT_EQ(d->get(0).features, (std::vector<float>{1.5f, 0, 1, 0, 1, 0}));
  EXPECT_TRUE(std::isnan(d->get(1).features[0]));
  EXPECT_EQ(d->get(2).features, (std::vector<float>{-2000, 0, 0, 1, 0, 0}));
  EXPECT_EQ(d->name(2), "t.csv line 6");
  EXPECT_EQ(d->label(1), 0);
}

TEST(Csv, TasksTargetsAndSeparators) {
  const auto regression = data::csv_dataset("a;y\n1;0.5\n2;1.25\n3;2", {}, "r");
  EXPECT_TRUE(table_schema(*regression)->regression);
  EXPECT_TRUE(regression->classes().empty());
  EXPECT_EQ(regression->get(1).target, (std::vector<float>{1.25f}));
  EXPECT_EQ(regression->label(1), -1);
  const auto named = data::csv_dataset("class\ta\n10\t1\n9\t2\n", {}, "n");
  EXPECT_EQ(named->classes(), (std::vector<std::string>{"9", "10"}));  // by value
  EXPECT_EQ(named->label(0), 1);
  CsvOptions first;
  first.target = "a";
  first.task = Task::regression;
  EXPECT_TRUE(table_schema(*data::csv_dataset("a,b\n1,x\n2,y\n", first, "f"))->regression);
  EXPECT_EQ(data::csv_dataset("1,2,0\n3,4,1\n", {}, "bare")->size(), 2);  // no header
  const auto letters = data::csv_dataset("letter,x,y\nA,1,2\nB,3,4\nA,5,6\n", {}, "l");
  EXPECT_EQ(letters->classes(), (std::vector<std::string>{"A", "B"}));  // the only text
  const auto upper = data::csv_dataset("Class,x,y\n1,1,0.5\n0,3,4\n", {}, "u");
  EXPECT_EQ(upper->label(0), 1);
  first.target = "z";
  EXPECT_TRUE(
      contains(error_of([&] { data::csv_dataset("a,b\n1,2\n", first, "f"); }, Error::Kind::usage),
               "no column 'z'"));
}

TEST(Csv, DecimalCommas) {
  const auto d = data::csv_dataset("a;b;kind\n1,5;2;x\n-0,25;3;y\n", {}, "t");
  EXPECT_EQ(d->schema()->columns[0].kind, TableColumn::Kind::number);
  EXPECT_EQ(d->get(1).features, (std::vector<float>{-0.25f, 3}));
  // Points are decimals already, and commas may part other things.
  const auto points = data::csv_dataset("a;b;kind\n1,5;2.5;x\n2,7;3.5;y\n", {}, "t");
  EXPECT_EQ(points->schema()->columns[0].kind, TableColumn::Kind::category);
  EXPECT_EQ(data::csv_dataset("a,b\n1,5\n2,7\n", {}, "t")->get(0).features, std::vector<float>{1});
}

TEST(Csv, MistakesAreNamedByLine) {
  const auto message = [](const std::string& text, CsvOptions o = {}) {
    return error_of([&] { data::csv_dataset(text, o, "t"); });
  };
  EXPECT_TRUE(contains(message("a,b\n1,2\n1,2,3\n"), "t: line 3 has 3 cells, the first has 2"));
  EXPECT_TRUE(contains(message("a,b\n1,\"2\n"), "opened on line 2 is never closed"));
  EXPECT_TRUE(contains(message(""), "no rows"));
  CsvOptions small;
  small.max_line = 10;
  EXPECT_TRUE(contains(message("a,b\n12345678901234,2\n", small), "more than 10 bytes"));
  small = {};
  small.max_columns = 2;
  EXPECT_TRUE(contains(message("a,b,c\n1,2,3\n", small), "more than 2 columns"));
}

TEST(Csv, TheTestPartFollowsTheTrainingSchema) {
  Folder f;
  f.write("set_train.csv", "colour,x,label\nred,1,a\nblue,2,b\n");
  f.write("set_test.csv", "colour,x,label\ngreen,?,b\nred,5,a\n");
  const DataSplits d = open_dataset(f.path());
  EXPECT_EQ(d.kind, "table");
  ASSERT_EQ(d.test->size(), 2);
  EXPECT_EQ(d.test->get(1).features, (std::vector<float>{0, 1, 5}));
  EXPECT_EQ(d.test->get(0).features[1], 0);  // an unknown category
  EXPECT_EQ(d.test->label(0), 1);
  const TableSchema& s = *table_schema(*d.train);
  EXPECT_EQ(TableSchema::from_json(s.to_json()), s);
  EXPECT_EQ(s.encode({"blue", "7"}), (std::vector<float>{1, 0, 7}));
  error_of([&] { (void)s.encode({"blue"}); });
  error_of([&] { (void)s.encode({"blue", "many"}); });
  f.write("set_test.csv", "colour,y,label\ngreen,?,b\n");
  EXPECT_TRUE(contains(error_of([&] { open_dataset(f.path()); }), "has no column 'x'"));
}

TEST(Csv, ColumnsOfFreeTextAreLeftOutAndSaid) {
  std::string text = "name,x,label\n";
  for (int i = 0; i < 150; ++i)
    text += "person " + std::to_string(i) + "," + std::to_string(i) + "," + (i % 2 ? "a\n" : "b\n");
  const auto d = data::csv_dataset(text, {}, "t");
  EXPECT_EQ(d->get(3).features, (std::vector<float>{3}));
  EXPECT_TRUE(contains(d->remark(), "left out, more than 100 texts: 'name'"));
}

TEST(Csv, ASlipAmongManyNumbersCountsAsMissing) {
  std::string text = "x,y,label\n";
  for (int i = 0; i < 120; ++i)
    text += (i == 7 ? "1O" : std::to_string(i)) + ",0.5," + (i % 2 ? "a\n" : "b\n");
  const auto d = data::csv_dataset(text, {}, "t");
  ASSERT_EQ(d->get(3).features, (std::vector<float>{3, 0.5f}));
  EXPECT_TRUE(std::isnan(d->get(7).features[0]));
  EXPECT_TRUE(contains(d->remark(), "'x' holds numbers, but for 1 cell, '1O', which counts as"))
      << d->remark();
  // Rows that come later are held to it.
  CsvOptions later;
  later.schema = d->schema();
  EXPECT_TRUE(contains(error_of([&] { data::csv_dataset(text, later, "t"); }), "line 9: '1O' in"));
  // In the target it is an error: no sample should lose its label by a slip.
  std::string values = "x,y\n";
  for (int i = 0; i < 120; ++i)
    values += std::to_string(i) + "," + (i == 7 ? "1,5" : std::to_string(i) + ".25") + "\n";
  values.replace(values.find("1,5"), 3, "1;5");
  EXPECT_TRUE(contains(error_of([&] { data::csv_dataset(values, {}, "t"); }), "line 9: '1;5' in"));
}

TEST(Text, LinesWithLabels) {
  Folder f;
  f.write("t/topics_train.tsv", "sport\tthe ball\r\nnews\tthe vote\nsport\ta race\n");
  f.write("t/topics_test.tsv", "news\ta law\n");
  const DataSplits d = open_dataset(f.path() + "/t");
  EXPECT_EQ(d.kind, "text");
  EXPECT_EQ(d.train->classes(), (std::vector<std::string>{"news", "sport"}));
  EXPECT_EQ(d.train->get(0).text, "the ball");
  EXPECT_EQ(d.train->length(2), 6);
  EXPECT_EQ(d.test->label(0), 0);
  error_of([] { data::text_dataset("a\tb\nno tab here\n", {}, "t"); });
  error_of([] { data::text_dataset("a\tb\n", {"x"}, "t"); });
}

TEST(Open, SaysWhatItFound) {
  Folder f;
  EXPECT_TRUE(contains(error_of([&] { open_dataset(f.path()); }), "it is empty"));
  f.picture("loose/a.png", 0);
  EXPECT_TRUE(contains(error_of([&] { open_dataset(f.path() + "/loose"); }),
                       "1 pictures, but no folder per class"));
  EXPECT_TRUE(contains(error_of([&] { open_dataset(f.write("a.xyz", "?")); }), "not a data set"));
  EXPECT_TRUE(contains(error_of([&] { open_dataset("/no/such/place"); }, Error::Kind::io),
                       "/no/such/place"));
  EXPECT_TRUE(contains(error_of([&] { open_dataset(f.write("b.csv", "")); }), "0 bytes"));
  EXPECT_TRUE(contains(error_of([&] { open_dataset(f.write("c.txt", "just words\n")); }),
                       "without labels"));
  f.write("two/a.csv", "x,label\n1,2\n");
  f.write("two/b.csv", "x,label\n1,2\n");
  EXPECT_TRUE(contains(error_of([&] { open_dataset(f.path() + "/two"); }), "give one file"));
}

void survive(const std::function<DatasetPtr()>& open) {
  try {
    const auto d = open();
    for (int64_t i = 0; i < std::min<int64_t>(d->size(), 3); ++i) {
      d->get(i);
      d->content_hash(i);
    }
  } catch (const Error&) {
  }
}

TEST(Readers, DamagedFilesThrowOnly) {
  const std::string images = idx_images(3, 4, 5), labels = idx_labels({2, 0, 1});
  const std::string cifar = cifar_file(2, 1, 10);
  const std::string csv = "a,\"b c\",label\n1,x,0\n?,\"y\"\"\",1\n3,x,0\n";
  const std::string text = "a\tone\nb\ttwo\n";
  const std::vector<std::string> ten(10, "x");
  Rng rng(Key(4));
  const auto damaged = [&](std::string bytes, int round) {
    if (round % 2) bytes.resize(rng.below(bytes.size() + 1));
    for (uint64_t k = rng.below(4); k > 0 && !bytes.empty(); --k)
      bytes[rng.below(bytes.size())] ^= static_cast<char>(1 << rng.below(8));
    return bytes;
  };
  for (size_t n = 0; n <= images.size(); ++n)
    survive([&] { return data::idx_dataset(images.substr(0, n), labels, {}, "f", "labels"); });
  for (size_t n = 0; n <= csv.size(); ++n)
    survive([&] { return data::csv_dataset(csv.substr(0, n), {}, "f"); });
  for (int i = 0; i < 2000; ++i) {
    survive([&] {
      return data::idx_dataset(damaged(images, i), damaged(labels, i / 2), {}, "f", "labels");
    });
    survive([&] { return data::cifar_dataset({damaged(cifar, i)}, 1 + i % 3 / 2, ten, 2, "f"); });
    survive([&] { return data::csv_dataset(damaged(csv, i), {}, "f"); });
    survive([&] { return data::text_dataset(damaged(text, i), {}, "f"); });
  }
}

}  // namespace
}  // namespace nacre
