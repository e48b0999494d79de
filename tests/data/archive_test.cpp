// Pictures of classes in a tar, a tar packed by gzip, and a zip: the same as in folders.
#include <gtest/gtest.h>

#include "base/gzip.h"
#include "base/zip.h"
#include "data/readers.h"
#include "folder.h"

namespace nacre {
namespace {

using testing::contains;
using testing::error_of;
using testing::Folder;

/// A tar entry with a ustar header.
std::string tar_entry(const std::string& name, const std::string& body) {
  std::string h(512, '\0');
  h.replace(0, name.size(), name);
  char digits[16];
  std::snprintf(digits, sizeof(digits), "%011zo", body.size());
  h.replace(124, 11, digits);
  h[156] = '0';
  h.replace(257, 5, "ustar");
  unsigned sum = 8 * ' ';
  for (const char c : h) sum += static_cast<uint8_t>(c);
  std::snprintf(digits, sizeof(digits), "%06o", sum);
  h.replace(148, 8, std::string(digits, 6) + std::string("\0 ", 2));
  return h + body + std::string((512 - body.size() % 512) % 512, '\0');
}

const std::string kEnd(1024, '\0');

std::string png_of(float value) {
  const auto png = encode_png(Image(4, 3, 3, value));
  return {png.begin(), png.end()};
}

using Files = std::vector<std::pair<std::string, std::string>>;

std::string tar_of(const Files& files) {
  std::string tar;
  for (const auto& [name, bytes] : files) tar += tar_entry(name, bytes);
  return tar + kEnd;
}

std::string write_zip(const Folder& f, const std::string& name, const Files& files, bool compress) {
  const std::string path = f.write(name, "");
  AtomicFile file(path);
  ZipWriter zip(file);
  for (const auto& [member, bytes] : files) zip.add(member, bytes, "", compress);
  zip.finish();
  file.commit();
  return path;
}

std::string message(const std::string& path) {
  return error_of([&] { open_dataset(path); });
}

TEST(Archive, IsReadAsTheUnpackedFolder) {
  Folder f;
  Files files;
  for (const char* part : {"test", "train"})
    for (const char* animal : {"dog", "cat"})
      for (int i = 3; i > 0; --i)
        files.emplace_back(cat({part, "/", animal, "/", i, ".png"}),
                           png_of(0.1f * static_cast<float>(files.size() % 10)));
  files.emplace_back("train/cat/sub/4.png", png_of(0.95f));
  for (const auto& [name, bytes] : files) f.write("pets/" + name, bytes);
  f.write("pets/train/cat/notes.txt", "hello");
  const DataSplits folder = open_dataset(f.path() + "/pets");

  Files packed = {{"pets/train/cat/notes.txt", "hello"},
                  {"pets/train/dog/.hidden.png", "no picture"},
                  {"__MACOSX/pets/train/dog/._1.png", "no picture"}};
  for (const auto& [name, bytes] : files) packed.emplace_back("pets/" + name, bytes);
  const std::string tar = tar_of(packed);
  const std::pair<std::string, const char*> archives[] = {
      {f.write("a.tar", tar), "tar"},
      {f.write("a.tar.gz", gzip(tar)), "tar"},
      {f.write("a.tgz", gzip(tar)), "tar"},
      {write_zip(f, "stored.zip", packed, false), "zip"},
      {write_zip(f, "deflated.zip", packed, true), "zip"},
  };
  for (const auto& [path, kind] : archives) {
    const DataSplits d = open_dataset(path);
    EXPECT_EQ(d.kind, kind);
    EXPECT_EQ(d.ignored, (std::vector<std::string>{path + ":pets/train/cat/notes.txt"}));
    EXPECT_EQ(d.val, nullptr);
    for (const auto& [want, got] : {std::pair{folder.train, d.train}, {folder.test, d.test}}) {
      ASSERT_EQ(got->size(), want->size());
      EXPECT_EQ(got->classes(), (std::vector<std::string>{"cat", "dog"}));
      for (int64_t i = 0; i < want->size(); ++i) {
        EXPECT_EQ(got->get(i), want->get(i)) << got->name(i) << " and " << want->name(i);
        EXPECT_EQ(got->content_hash(i), want->content_hash(i));
      }
    }
    EXPECT_EQ(d.train->name(0), path + ":pets/train/cat/1.png");
  }
}

TEST(Archive, TextsAreReadAsTheUnpackedFolder) {
  Folder f;
  Files files;
  for (const char* part : {"train", "test"})
    for (const char* kind : {"spam", "ham"})
      for (int i = 0; i < 3; ++i)
        files.emplace_back(cat({"mails/", part, "/", kind, "/", i, ".txt"}),
                           cat({kind, " ", i, " \u00e4\n"}));
  for (const auto& [name, bytes] : files) f.write(name, bytes);
  const DataSplits folder = open_dataset(f.path() + "/mails");
  for (const std::string& path :
       {write_zip(f, "a.zip", files, true), write_zip(f, "b.zip", files, false),
        f.write("a.tar", tar_of(files)), f.write("a.tgz", gzip(tar_of(files)))}) {
    const DataSplits d = open_dataset(path);
    for (const auto& [have, want] : {std::pair(d.train, folder.train), {d.test, folder.test}}) {
      ASSERT_TRUE(have) << path;
      EXPECT_EQ(have->classes(), want->classes());
      ASSERT_EQ(have->size(), want->size());
      for (int64_t i = 0; i < have->size(); ++i) {
        EXPECT_EQ(have->get(i).text, want->get(i).text);
        EXPECT_EQ(have->label(i), want->label(i));
        EXPECT_EQ(have->content_hash(i), want->content_hash(i));
      }
    }
    EXPECT_TRUE(contains(d.train->name(0), path + ":mails/train/ham/0.txt")) << d.train->name(0);
    EXPECT_TRUE(d.train->schema() && d.train->schema()->has_text());
  }
  // Where there are pictures, texts are notes.
  files.emplace_back("mails/train/ham/picture.png", png_of(0.5f));
  files.emplace_back("mails/train/spam/picture.png", png_of(0.6f));
  const DataSplits mixed = open_dataset(write_zip(f, "c.zip", files, true));
  EXPECT_EQ(mixed.train->size(), 2);
  EXPECT_EQ(mixed.ignored.size(), 12u);
  const DataSplits latin =
      open_dataset(write_zip(f, "d.zip", {{"a/1.txt", "\xe4"}, {"b/1.txt", "b"}}, true));
  EXPECT_TRUE(contains(error_of([&] { latin.train->get(0); }), "d.zip:a/1.txt"));
}

TEST(Archive, ClassFoldersAndClassTars) {
  Folder f;
  const std::string flat = tar_of({{"./set/cat/1.png", png_of(0.2f)},
                                   {"./set/dog/1.png", png_of(0.4f)},
                                   {"./set/readme", "hello"}});
  const auto folders = open_dataset(f.write("flat.tar", flat));
  ASSERT_EQ(folders.train->size(), 2);
  EXPECT_EQ(folders.train->classes(), (std::vector<std::string>{"cat", "dog"}));
  EXPECT_NEAR(folders.train->get(1).image.pixels[0], 0.4f, 0.003);
  // Alone in a folder, with other names of parts, and a class that is called as a part is.
  write_zip(f, "one/set.zip",
            {{"training/dev/1.png", png_of(0.1f)},
             {"training/cat/1.png", png_of(0.1f)},
             {"valid/cat/1.png", png_of(0.1f)},
             {"top.png", png_of(0.1f)}},
            true);
  const auto one = open_dataset(f.path() + "/one");
  EXPECT_EQ(one.kind, "zip");
  EXPECT_EQ(one.train->classes(), (std::vector<std::string>{"cat", "dev"}));
  EXPECT_EQ(one.val->size(), 1);
  EXPECT_EQ(one.ignored.size(), 1u);

  Files inner1, inner2;
  for (int i = 0; i < 5; ++i) {
    inner1.emplace_back(cat({"a_", i, ".JPEG"}), png_of(0.1f));
    inner2.emplace_back(cat({"b_", i, ".JPEG"}), png_of(0.9f));
  }
  const std::string nested =
      tar_of({{"n01440764.tar", tar_of(inner1)}, {"n01443537.tar", tar_of(inner2)}});
  f.write("imagenet/ILSVRC2012_img_train.tar", nested);
  f.write("imagenet/ILSVRC2012_img_val.tar", nested);
  const auto d = open_dataset(f.path() + "/imagenet");
  ASSERT_EQ(d.train->size(), 10);
  EXPECT_EQ(d.val->size(), 10);
  EXPECT_EQ(d.train->classes()[1], "n01443537");
  EXPECT_EQ(d.train->label(7), 1);
  EXPECT_NEAR(d.train->get(7).image.pixels[0], 0.9f, 0.003);

  for (size_t n = 1; n + 1024 < nested.size(); n += 97) {  // damage: an Error or a shorter list
    try {
      open_dataset(f.write("cut.tar", nested.substr(0, n)));
    } catch (const Error&) {
    }
  }
  std::string wrong = flat;
  wrong[130] ^= 1;
  EXPECT_TRUE(contains(message(f.write("x.tar", wrong)), "damaged"));
}

TEST(Archive, WhatCannotBeReadIsNamed) {
  Folder f;
  for (const char* name : {"../cat/1.png", "set/../../1.png", "/cat/1.png", "a/cat/.."}) {
    const Files files = {{"cat/1.png", png_of(0.5f)}, {name, png_of(0.5f)}};
    EXPECT_TRUE(contains(message(f.write("out.tar", tar_of(files))), "outside the archive"));
    EXPECT_TRUE(contains(message(write_zip(f, "out.zip", files, true)), "outside the archive"));
  }
  EXPECT_TRUE(contains(message(f.write("flat.tar", tar_of({{"1.png", "x"}, {"2.png", "y"}}))),
                       "holds 2 pictures, but no folder per class"));
  EXPECT_TRUE(
      contains(message(write_zip(f, "no.zip", {{"cat/1.doc", "x"}}, false)), "holds no pictures"));
  EXPECT_TRUE(contains(
      message(write_zip(f, "other.zip", {{"train/cat/1.png", ""}, {"test/dog/1.png", ""}}, false)),
      "the class 'dog' is not in the training part"));
  EXPECT_TRUE(contains(message(f.write("text.zip", "hello")), "not a valid zip archive"));
  const std::string packed = gzip(tar_of({{"cat/1.png", png_of(0.5f)}}));
  EXPECT_TRUE(contains(message(f.write("cut.tgz", packed.substr(0, packed.size() / 2))),
                       "ends in the middle of compressed data"));

  // A picture that is damaged is named when it is read; the others are not lost.
  const std::string zip =
      write_zip(f, "a.zip", {{"cat/1.png", png_of(0.5f)}, {"dog/1.png", png_of(0.7f)}}, false);
  std::string bytes = read_file(zip, 1 << 20);
  bytes[bytes.find("IDAT") + 6] ^= 1;
  const auto d = open_dataset(f.write("b.zip", bytes));
  const std::string text = error_of([&] { d.train->get(0); });
  EXPECT_TRUE(contains(text, "b.zip") && contains(text, "'cat/1.png' has a wrong checksum"))
      << text;
  EXPECT_NEAR(d.train->get(1).image.pixels[0], 0.7f, 0.003);
  OpenOptions small;
  small.limits.max_bytes = 16;
  EXPECT_TRUE(
      contains(error_of([&] { open_dataset(zip, small).train->get(0); }), "at most 16 are read"));
}

}  // namespace
}  // namespace nacre
