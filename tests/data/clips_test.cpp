// Clips in folders and archives of classes, and what the check says of them.
#include <gtest/gtest.h>

#include "data/folder.h"
#include "data/vowels.h"
#include "nacre/data.h"

namespace nacre {
namespace {

using test::vowel;
using test::wav_of;
using testing::Folder;

TEST(Clips, AFolderAndItsArchiveHoldTheSame) {
  const Folder f;
  for (const std::string c : {"a", "i"})
    for (int k = 0; k < 3; ++k)
      f.write(cat({"set/", c, "/", k, k == 1 ? ".WAV" : ".wav"}),
              wav_of(vowel(c[0], static_cast<uint64_t>(k))));
  f.write("set/a/notes.txt", "of a voice");
  const DataSplits data = open_dataset(f.path() + "/set");
  EXPECT_EQ(data.kind, "folder");
  ASSERT_EQ(data.train->size(), 6);
  EXPECT_EQ(data.train->classes(), (std::vector<std::string>{"a", "i"}));
  ASSERT_EQ(data.ignored.size(), 1u);
  const Sample s = data.train->get(4);
  EXPECT_EQ(s.label, 1);
  EXPECT_EQ(s.audio_rate, 16000);
  EXPECT_EQ(s.audio, decode_wav(encode_wav(vowel('i', 1))).samples);
  EXPECT_TRUE(s.image.empty());

  ASSERT_EQ(std::system(("tar -C " + f.path() + " -czf " + f.path() + "/s.tar.gz set").c_str()), 0);
  const DataSplits packed = open_dataset(f.path() + "/s.tar.gz");
  ASSERT_EQ(packed.train->size(), 6);
  for (int64_t i = 0; i < 6; ++i) EXPECT_EQ(packed.train->get(i), data.train->get(i));
}

TEST(Clips, ClipsAmongPicturesAreLeftAside) {
  const Folder f;
  f.picture("cat/1.png", 0.5f);
  f.write("cat/1.wav", wav_of(vowel('a', 1)));
  f.picture("dog/1.png", 0.2f);
  const DataSplits data = open_dataset(f.path());
  EXPECT_EQ(data.train->size(), 2);
  ASSERT_EQ(data.ignored.size(), 1u);
  EXPECT_TRUE(data.ignored[0].ends_with("cat/1.wav"));
}

TEST(Clips, WithoutClassesNothingIsRead) {
  const Folder f;
  f.write("1.wav", wav_of(vowel('a', 1)));
  EXPECT_TRUE(testing::contains(testing::error_of([&] { open_dataset(f.path()); }),
                                "1 clips, but no folder per class"));
}

TEST(Clips, TheCheckSaysWhatDiffers) {
  const Folder f;
  f.write("a/1.wav", wav_of(vowel('a', 1)));
  f.write("a/2.wav", wav_of(vowel('a', 2, 8000)));
  f.write("i/1.wav", wav_of({std::vector<float>(1600), 16000}));
  f.write("i/2.wav", "RIFF....WAVEfmt ");
  std::map<std::string, Finding> found;
  for (const Finding& x : check_dataset(open_dataset(f.path()))) found[x.code] = x;
  EXPECT_TRUE(testing::contains(found["mixed_rates"].text, "1 of 8000 Hz, 2 of 16000 Hz"));
  EXPECT_TRUE(testing::contains(found["mixed_lengths"].text, "0.1 to 0.5 seconds long"));
  EXPECT_EQ(found["silent"].count, 1);
  ASSERT_EQ(found["unreadable"].count, 1);
  EXPECT_TRUE(testing::contains(found["unreadable"].examples[0],
                                "i/2.wav: WAV cannot be decoded: it has no data"));
}

TEST(Clips, AreBatchedAsPictures) {
  std::vector<Sample> samples;
  for (int k = 0; k < 6; ++k) {
    Sample s;
    const Clip c = vowel(k % 2 ? 'a' : 'u', static_cast<uint64_t>(k), k % 2 ? 16000 : 8000);
    s.audio = c.samples;
    s.audio_rate = c.rate;
    s.label = k % 2;
    samples.push_back(s);
  }
  const DatasetPtr data = from_samples(samples, {"u", "a"});
  const Transform t = Transform::parse(
      "audio_rate(8000)|audio_shift(0.1)|audio_length(4000)|log_mel(mels=20,window=256,hop=80)");
  std::optional<Batch> batches[2];
  for (int workers = 0; workers < 2; ++workers) {
    DataLoader loader(data, t, sequential(6), {.batch = 6, .workers = 2 * workers, .seed = 3});
    loader.start(0);
    batches[workers] = loader.next();
    ASSERT_TRUE(batches[workers].has_value());
  }
  EXPECT_EQ(batches[0]->shape, (Shape{6, 1, 20, 47}));
  EXPECT_EQ(*batches[0], *batches[1]);
}

}  // namespace
}  // namespace nacre
