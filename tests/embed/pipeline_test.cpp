// One pipeline, stored in a model file: the tensors that training's loader, the server and the
// runner make of a hundred pictures and clips are equal bit by bit. mirror.onnx hands its
// input through, so what the server and the runner answer is the tensor.
#include <cstring>
#include <set>

#include "base/file.h"
#include "cli/program.h"
#include "data/readers.h"
#include "data/vowels.h"
#include "nacre/formats.h"
#include "nacre/predict.h"
#include "serve/client.h"

namespace nacre::test {
namespace {

const std::string kSource = NACRE_SOURCE_DIR, kMirror = kSource + "/tests/embed/mirror.onnx";

/// A picture without compression: grey or colour, as PGM, PPM or BMP of 24 bits.
std::string plain_picture(int kind, int width, int height, Rng& rng) {
  const auto level = [&] { return static_cast<char>(rng.below(256)); };
  std::string bytes;
  if (kind < 2) {
    bytes = cat({kind ? "P6 " : "P5 ", width, " ", height, " 255\n"});
    for (int i = 0; i < width * height * (kind ? 3 : 1); ++i) bytes += level();
    return bytes;
  }
  const auto number = [&](uint32_t v, int size) {
    for (int k = 0; k < size; ++k) bytes += static_cast<char>(v >> 8 * k);
  };
  const int stride = (3 * width + 3) / 4 * 4;
  bytes = "BM";
  number(static_cast<uint32_t>(54 + stride * height), 4);
  for (const uint32_t v : {0u, 54u, 40u, static_cast<uint32_t>(width),
                           static_cast<uint32_t>(height), 1u | 24u << 16, 0u, 0u, 0u, 0u, 0u, 0u})
    number(v, 4);
  for (int i = 0; i < stride * height; ++i) bytes += level();
  return bytes;
}

/// Pixels as PGM or PPM of 8 or 16 bits; empty if that would change them.
std::string as_pnm(const Image& image) {
  for (const int most : {255, 65535}) {
    std::string bytes =
        cat({image.channels == 1 ? "P5 " : "P6 ", image.width, " ", image.height, " ", most, "\n"});
    bool exact = image.channels % 2 == 1;
    for (const float v : image.pixels) {
      const auto level = static_cast<int>(std::lround(v * static_cast<float>(most)));
      exact = exact && static_cast<float>(level) / static_cast<float>(most) == v;
      if (most > 255) bytes += static_cast<char>(level >> 8);
      bytes += static_cast<char>(level);
    }
    if (exact) return bytes;
  }
  return "";
}

class Pipeline : public ::testing::Test {
 protected:
  Pipeline() {
    const std::string goldens = kSource + "/tests/data/goldens/";
    for (const auto& entry : list_folder(goldens))
      if (!entry.name.ends_with(".txt") && !entry.name.ends_with(".py"))
        files_.push_back(goldens + entry.name);
    files_.push_back(kSource + "/data/textures/cell.png");
    Rng rng(Key(4));
    for (int k = 0; k < 21; ++k) {
      const char* endings[] = {".pgm", ".ppm", ".bmp"};
      const std::string name = cat({k, endings[k % 3]});
      folder_.write(name, plain_picture(k % 3, 5 + 3 * k, 40 - k, rng));
      files_.push_back(path(name));
    }
    const int rates[] = {8000, 16000, 22050, 44100, 48000};
    for (uint64_t k = 0; files_.size() < 100; ++k) {
      const std::string name = cat({k, ".wav"});
      folder_.write(name, wav_of(vowel("aiou"[k % 4], k, rates[k % 5])));
      files_.push_back(path(name));
    }
  }
  std::string path(const std::string& name) const { return (folder_ / name).string(); }

  /// What training's loader makes of each file.
  std::vector<std::vector<float>> trained() const {
    std::vector<data::PictureEntry> entries;
    for (const std::string& file : files_) entries.push_back({file, 0});
    const DatasetPtr all = data::picture_dataset(std::move(entries), {"any"}, {}, "");
    const Transform stored = Transform::parse(open_model(kMirror).info.transform);
    DataLoader loader(all, stored, sequential(100), {.batch = 16, .workers = 2, .training = true});
    std::vector<std::vector<float>> tensors;
    loader.start(0);
    while (const auto batch = loader.next()) {
      EXPECT_EQ(batch->shape.slice(1, 4), (Shape{1, 16, 16}));
      for (size_t from = 0; from < batch->x.size(); from += 256)
        tensors.emplace_back(batch->x.begin() + static_cast<ptrdiff_t>(from),
                             batch->x.begin() + static_cast<ptrdiff_t>(from + 256));
    }
    return tensors;
  }

  TempFolder folder_;
  std::vector<std::string> files_;
};

void expect_same_bits(const std::vector<float>& got, const std::vector<float>& want,
                      const std::string& what) {
  ASSERT_EQ(got.size(), want.size()) << what;
  EXPECT_EQ(std::memcmp(got.data(), want.data(), 4 * want.size()), 0) << what;
}

TEST_F(Pipeline, TrainingServerAndRunnerMakeTheSameTensors) {
  ASSERT_EQ(files_.size(), 100u);
  const auto want = trained();
  ASSERT_EQ(want.size(), 100u);
  // Some pictures are there in several forms.
  EXPECT_GT(std::set(want.begin(), want.end()).size(), 80u);

  serve::ServeOptions options;
  options.models.poll = std::chrono::milliseconds(0);
  options.models.paths = {kMirror};
  serve::Server server(options);
  Client client(server.port());
  ASSERT_EQ(nacre("convert " + kMirror + " " + path("mirror.program")).code, 0);
  const std::string runner =
      std::string(NACRE_BUILD_DIR) + "/nacre_runner " + path("mirror.program") + " ";
  const auto run = [&](const std::string& file, const std::string& what, size_t k) {
    const CommandResult r = run_command(runner + file + " --output " + path("y.npy"));
    ASSERT_EQ(r.code, 0) << what << ": " << r.output;
    const RawTensor y = load_npy(path("y.npy"));
    const auto* values = static_cast<const float*>(y.data);
    expect_same_bits({values, values + 256}, want[k], "runner, " + what);
  };
  int direct = 0, unpacked = 0;
  for (size_t k = 0; k < 100; ++k) {
    const std::string& file = files_[k];
    const std::string bytes = read_file(file, 1 << 20);
    const Response r = client.ask("POST", "/v1/models/mirror:predict", bytes);
    ASSERT_EQ(r.status, 200) << file << ": " << r.body;
    std::vector<float> served;
    const Json answer = r.json();
    for (const Json& v : answer.at("predictions").list()[0].at("values").list())
      served.push_back(static_cast<float>(v.number()));
    expect_same_bits(served, want[k], "server, " + file);

    // The runner has no libraries for PNG, JPEG and WebP: it says so, and takes their pixels.
    const auto format =
        image_format({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
    const char* packed = format == ImageFormat::png    ? "PNG"
                         : format == ImageFormat::jpeg ? "JPEG"
                         : format == ImageFormat::webp ? "WebP"
                                                       : nullptr;
    if (!packed) {
      run(file, file, k);
      ++direct;
      continue;
    }
    expect_one_line(run_command(runner + file), 1,
                    cat({"the runtime reads PGM, PPM and BMP pictures, not ", packed}));
    const std::string pixels = as_pnm(read_image(file));
    if (pixels.empty()) continue;  // with transparency
    folder_.write("pixels.pnm", pixels);
    run(path("pixels.pnm"), file, k);
    ++unpacked;
  }
  EXPECT_EQ(direct, 73);
  EXPECT_EQ(unpacked, 23);
}

}  // namespace
}  // namespace nacre::test
