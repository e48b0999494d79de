// Runs the fuzz targets of data over their stored inputs and over damaged copies of them.
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>

#include "base/file.h"
#include "nacre/random.h"

#define LLVMFuzzerTestOneInput fuzz_image
#include "image_fuzz.cpp"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput fuzz_idx
#include "idx_fuzz.cpp"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput fuzz_cifar
#include "cifar_fuzz.cpp"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput fuzz_csv
#include "csv_fuzz.cpp"
#undef LLVMFuzzerTestOneInput

namespace nacre {
namespace {

void replay(const std::string& reader, int (*target)(const uint8_t*, size_t)) {
  const std::string folder = NACRE_SOURCE_DIR "/tests/fuzz/corpus/" + reader;
  Rng rng(Key(11));
  int files = 0;
  for (const auto& entry : list_folder(folder)) {
    const std::string whole = read_file(folder + "/" + entry.name, 1 << 20);
    const auto run = [&](const std::string& bytes) {
      EXPECT_EQ(target(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()), 0);
    };
    run(whole);
    for (size_t n = 0; n < std::min<size_t>(whole.size(), 1500); ++n) {
      run(whole.substr(0, n));
      std::string flipped = whole;
      flipped[n] = static_cast<char>(flipped[n] ^ 1 << n % 8);
      run(flipped);
    }
    for (int i = 0; i < 200; ++i) {
      std::string bytes = whole;
      if (i % 4 == 0) bytes.resize(rng.below(bytes.size() + 1));
      if (i % 4 == 1)
        bytes.insert(rng.below(bytes.size() + 1), 1, static_cast<char>(rng.below(256)));
      for (uint64_t k = rng.below(4); k > 0 && !bytes.empty(); --k)
        bytes[rng.below(bytes.size())] = static_cast<char>(rng.below(256));
      run(bytes);
    }
    ++files;
  }
  EXPECT_GE(files, 3) << folder;
}

TEST(Corpus, Image) { replay("image", fuzz_image); }
TEST(Corpus, Idx) { replay("idx", fuzz_idx); }
TEST(Corpus, Cifar) { replay("cifar", fuzz_cifar); }
TEST(Corpus, Csv) { replay("csv", fuzz_csv); }

}  // namespace
}  // namespace nacre
