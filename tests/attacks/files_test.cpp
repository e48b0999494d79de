// Files that unpack to gigabytes, hold a hundred thousand things, or name places outside, made when
// the test runs; and damage at many places of good files.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <zlib.h>

#include <cstring>
#include <filesystem>
#include <map>

#include "attacks/program.h"
#include "base/file.h"
#include "base/gzip.h"
#include "base/zip.h"
#include "formats/wire.h"
#include "nacre/random.h"
#include "tools/shell.h"

namespace nacre::attacks {
namespace {

namespace fs = std::filesystem;
const std::string kSource = NACRE_SOURCE_DIR;

template <typename T>
std::string number(T v) {
  return {reinterpret_cast<const char*>(&v), sizeof v};
}
std::string big_endian(uint32_t v) { return number(__builtin_bswap32(v)); }

/// gzip of `head` and then `piece` again and again.
std::string packed(const std::string& head, const std::string& piece, int times) {
  z_stream z{};
  deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  std::string out, buffer(1 << 16, '\0');
  for (int k = -1; k <= times; ++k) {
    const std::string& from = k < 0 ? head : piece;
    z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(from.data()));
    z.avail_in = k == times ? 0 : static_cast<uInt>(from.size());
    do {
      z.next_out = reinterpret_cast<Bytef*>(buffer.data());
      z.avail_out = static_cast<uInt>(buffer.size());
      deflate(&z, k == times ? Z_FINISH : Z_NO_FLUSH);
      out.append(buffer.data(), buffer.size() - z.avail_out);
    } while (z.avail_out == 0);
  }
  deflateEnd(&z);
  return out;
}

std::string tar_header(const std::string& name, const std::string& size, char kind = '0',
                       const std::string& link = "") {
  std::string h(512, '\0');
  h.replace(0, name.size(), name);
  h.replace(100, 7, "0000644");
  h.replace(124, 11, size);
  h[156] = kind;
  h.replace(157, link.size(), link);
  h.replace(257, 8, std::string("ustar\00000", 8));
  h.replace(148, 8, "        ");
  unsigned sum = 0;
  for (const char c : h) sum += static_cast<unsigned char>(c);
  char digits[8];
  std::snprintf(digits, sizeof digits, "%06o", sum);
  h.replace(148, 8, std::string(digits, 7) + " ");
  return h;
}

class FileAttacks : public ::testing::Test {
 protected:
  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  /// A file of weights, or with `second` a network in two files.
  void convert(const std::string& name, const std::string& bytes, const std::string& sentence) {
    SCOPED_TRACE(name);
    folder_.write(name, bytes);
    expect_refused({"convert", path(name), path("out.onnx.npz")}, path(name), sentence);
  }
  void import(const std::string& name, const std::string& bytes, const std::string& sentence) {
    SCOPED_TRACE(name);
    folder_.write(name, bytes);
    expect_refused({"convert", path(name), path("out.onnx")}, path(name), sentence);
  }
  /// A data set; `file` is the one whose size counts.
  void data(const std::string& name, const std::string& bytes, const std::string& sentence,
            const std::string& what = "") {
    SCOPED_TRACE(name);
    folder_.write(name, bytes);
    expect_refused({"data", "info", path(what.empty() ? name : what)}, path(name), sentence);
  }
  std::string zip(const std::vector<std::pair<std::string, std::string>>& entries,
                  bool compress = false) {
    AtomicFile file(path("zip"));
    ZipWriter writer(file);
    for (const auto& [name, content] : entries) writer.add(name, "", content, compress);
    writer.finish();
    file.commit();
    return read_file(path("zip"), uint64_t{1} << 30);
  }
  test::TempFolder folder_;
};

// Row 6.
TEST_F(FileAttacks, HundredThousandThings) {
  constexpr int kMany = 100000;
  const std::string tensor = R"(":{"dtype":"U8","shape":[0],"data_offsets":[0,0]})";
  std::string header;
  for (int k = 0; k < kMany; ++k) header += (k ? ",\"" : "{\"") + std::to_string(k) + tensor;
  header += "}";
  folder_.write("a.safetensors", number(uint64_t{header.size()}) + header);
  EXPECT_EQ(nacre({"convert", path("a.safetensors"), path("out.npz")}).code, 0);
  header.pop_back();
  for (int k = kMany; k < 3 * kMany; ++k) header += ",\"" + std::to_string(k) + tensor;
  header += "}";
  convert("b.safetensors", number(uint64_t{header.size()}) + header, "more than 120000 tensors");
  // What would take far more memory as values than as text.
  const auto headed = [](const std::string& text) { return number(uint64_t{text.size()}) + text; };
  std::string fields;
  for (int k = 0; k < 800000; ++k) fields += (k ? ",\"" : "\"") + std::to_string(k) + "\":\"\"";
  convert("d.safetensors", headed("{\"__metadata__\":{" + fields + "}}"), "more than 50000 values");
  convert("e.safetensors", headed("{" + fields + "}"), "expected an object, got text");
  const std::string endless = "{\"__metadata__\":{\"a\":\"" + std::string(20'000'000, 'a');
  convert("f.safetensors", headed(endless), "a text has 20000000 bytes, more than 8388608");
  header = "{\"a\":" + std::string(100'000'000, ' ');
  convert("c.safetensors", number(uint64_t{header.size()}) + header, "claims 100000005 bytes");

  std::vector<std::pair<std::string, std::string>> entries;
  for (int k = 0; k < kMany; ++k) entries.emplace_back(std::to_string(k) + ".npy", "");
  convert("a.npz", zip(entries), "'0' is not a valid .npy array");
  data("a.zip", zip(entries), "holds no pictures");
  std::string tar;
  for (int k = 0; k < kMany; ++k) tar += tar_header(std::to_string(k), "00000000000");
  data("a.tar", tar, "holds no pictures");

  const auto text = [](const std::string& s) { return number(uint64_t{s.size()}) + s; };
  const auto gguf = [](uint64_t tensors, uint64_t values) {
    return "GGUF" + number(uint32_t{3}) + number(tensors) + number(values);
  };
  std::string many = gguf(kMany, 0);
  for (int k = 0; k < kMany; ++k)
    many += text(std::to_string(k)) + number(uint32_t{1}) + number(uint64_t{8}) +
            number(uint32_t{0}) + number(uint64_t{0});
  convert("a.gguf", many, "is not a valid GGUF file");
  convert("b.gguf",
          gguf(0, 1) + text("a") + number(uint32_t{9}) + number(uint32_t{0}) +
              number(uint64_t{30'000'000}) + std::string(30'000'000, '\0'),
          "a list has 30000000 entries");

  std::string layers = "input: 'x' input_dim: 1 input_dim: 1 input_dim: 1 input_dim: 1\n";
  std::string param = "7767517\n100001 100001\nInput x 0 1 b0\n";
  for (int k = 0; k < kMany; ++k) {
    layers += "layer { name: 'l" + std::to_string(k) + "' type: 'Twist' bottom: 'x' top: 'x' }\n";
    param += "Twist l" + std::to_string(k) + " 1 1 b" + std::to_string(k) + " b" +
             std::to_string(k + 1) + "\n";
  }
  folder_.write("a.caffemodel", "");
  folder_.write("b.caffemodel", "");
  import("a.prototxt", layers, "Twist (100000 times");
  folder_.write("a.bin", "");
  import("a.param", param, "Twist (100000 times");
  std::string deep;
  for (int k = 0; k < kMany; ++k) deep += "a { ";
  import("b.prototxt", deep, "brackets are nested too deep");
}

// Row 6 for what came later.
TEST_F(FileAttacks, HundredThousandThingsOfOtherFrameworks) {
  constexpr int kMany = 100000;
  const auto text = [](const std::string& s) { return number(uint64_t{s.size()}) + s; };
  const auto words = [](std::initializer_list<uint64_t> list) {
    std::string s;
    for (const uint64_t v : list) s += number(v);
    return s;
  };
  std::string params = words({0x112, 0, kMany}), names = words({kMany});
  std::string nodes = R"({"op":"null","name":"x","inputs":[]})";
  std::string items = "\x80\x02}(", ops;
  std::vector<std::pair<std::string, std::string>> entries = {{"a/data.pkl", "\x80\x02}."}};
  for (int k = 0; k < kMany; ++k) {
    const std::string name = std::to_string(k);
    params += number(0xf993fac9u) + number(0) + number(0);  // an array without dimensions
    names += text("arg:" + name);
    nodes += R"(,{"op":"Twist","name":"l)" + name + R"(","inputs":[[)" + name + ",0,0]]}";
    items += "X" + number(static_cast<uint32_t>(name.size())) + name + "K\x01";
    entries.emplace_back("a/data/" + name, "");
    WireWriter op, block;
    op.bytes(3, "twist");
    block.message(4, op);
    ops += block.str();
  }
  folder_.write("a.params", params + names);
  EXPECT_EQ(nacre({"convert", path("a.params"), path("out.npz")}).code, 0);
  convert("b.params", params, "is not a valid MXNet file of arrays");
  folder_.write("a-0000.params", words({0x112, 0, 0, 0}));
  import("a-symbol.json", R"({"heads":[[1,0,0]],"nodes":[)" + nodes + "]}",
         "more than 400000 values");
  convert("a.pth", zip(entries), "holds no arrays");
  convert("b.pth", zip({{"a/data.pkl", items + "u."}}), "holds no arrays");
  folder_.write("a.pdiparams", "");
  WireWriter program;
  program.bytes(1, ops);
  import("a.pdmodel", program.str(), "twist (100000 times");

  // A list of operators behind a good file; all of them are one table, whose only field is the
  // list of its results.
  std::string lite = read_file(kSource + "/tests/importers/goldens/tf_mlp_float.tflite", 1 << 20);
  const auto at = [&](size_t place) {
    uint32_t v;
    std::memcpy(&v, &lite.at(place), sizeof v);
    return v;
  };
  const auto field = [&](size_t table, size_t k) {
    uint16_t offset;
    std::memcpy(&offset, &lite.at(table - at(table) + 4 + 2 * k), sizeof offset);
    return table + offset;
  };
  const size_t graphs = field(at(0), 2), first = graphs + at(graphs) + 4;
  const size_t list = field(first + at(first), 3), end = (lite.size() + 3) / 4 * 4;
  lite.resize(end);
  lite.replace(list, 4, number(static_cast<uint32_t>(end - list)));
  lite += number(uint32_t{kMany});
  const size_t table = end + 4 + 4 * size_t{kMany} + 12;
  for (int k = 0; k < kMany; ++k) lite += number(static_cast<uint32_t>(table - lite.size()));
  for (const uint16_t v : {10, 8, 0, 0, 4, 0}) lite += number(v);
  for (const uint32_t v : {12, 4, 1, 0}) lite += number(v);
  import("a.tflite", lite, "tensor 'x' is made twice");
}

// Row 10: what unpacks to far more than it is.
TEST_F(FileAttacks, Bombs) {
  const std::string mega(1 << 20, '\0');
  data("a.csv.gz", packed("", mega, 45), "unpacks to more than the limit of");
  std::string rows;
  for (int k = 0; k < 1 << 18; ++k) rows += "1,2\n";
  data("b.csv.gz", packed("a,b\n", rows, 45), "unpacks to more than the limit of");
  data("a.tar.gz", packed(tar_header("a/1.png", "00264000000"), mega, 45),
       "unpacks to more than the limit of");
  const std::string images =
      big_endian(0x803) + big_endian(60000) + big_endian(28) + big_endian(28);
  folder_.write("idx/train-labels-idx1-ubyte", big_endian(0x801) + big_endian(2) + "\1\2");
  data("idx/train-images-idx3-ubyte.gz", packed(images, mega, 45),
       "unpacks to more than the limit of", "idx");
  const std::string zeros = std::string(45 << 20, '\0');
  convert("a.npz", zip({{"a.npy", zeros}}, true), "unpacks to more than the limit of");
  convert("a.pth", zip({{"a/data.pkl", zeros + zeros}}, true), "unpacks to 94371840 bytes");
  folder_.write("a.zip", zip({{"a/1.png", zeros}}, true));
  expect_refused({"data", "check", path("a.zip")}, path("a.zip"),
                 "a/1.png has 47185920 bytes, at most 33554432 are read", 1, true);
}

// Row 10: an archive of a million entries.
TEST_F(FileAttacks, MillionEntries) {
  std::vector<std::pair<std::string, std::string>> entries;
  for (int k = 0; k < 1'000'000; ++k) entries.emplace_back(std::to_string(k), "");
  const std::string archive = zip(entries);
  data("a.zip", archive, "holds no pictures");
  convert("a.npz", archive, "which is not an array");
}

// Row 10: names that lead out, links, names that stand twice.
TEST_F(FileAttacks, ArchivesThatLeadOut) {
  const std::string picture = "P5 1 1 255\nx", more(500, '\0');
  const std::string outside = "would lie outside the archive";
  for (const char* name : {"../a/1.pgm", "a/../../1.pgm", "/a/1.pgm", "a/.."}) {
    data("a.zip", zip({{name, picture}, {"a/2.pgm", picture}}), outside);
    data("a.tar", tar_header(name, "00000000014") + picture + more, outside);
  }
  data("b.zip", zip({{"a/1.pgm", picture}, {"a/1.pgm", picture}}), "stands twice");
  data("c.tar", tar_header("a/1.pgm", "00000000000", '2', "/etc/passwd"), "holds no pictures");
  std::string link = zip({{"a/1.pgm", "/etc/passwd"}});
  const size_t entry = link.find("PK\1\2");
  link[entry + 5] = 3;  // made on Unix
  link.replace(entry + 38, 4, number(0120777u << 16));
  data("c.zip", link, "holds no pictures");
  convert("a.pth", zip({{"../data.pkl", "\x80\x02}."}}), "leads out of it");
}

// Row 10: pickles with code in them leave nothing behind, and h5 files are no weights.
TEST_F(FileAttacks, NoCodeRuns) {
  const std::string mark = path("ran");
  const std::string call = "cos\nsystem\n(S'touch " + mark + "'\ntR.";
  convert("a.pkl", call, "is no file of weights");
  convert("b.pth", zip({{"a/data.pkl", "\x80\x02" + call}}), "asks to run os.system");
  convert("c.pth",
          zip({{"a/data.pkl",
                "\x80\x02"
                "cbuiltins\nexec\n(S'open(\"" +
                    mark + "\",\"w\")'\ntR."}}),
          "asks to run builtins.exec");
  convert("d.h5", "\x89HDF\r\n\x1a\n" + std::string(100, '\0'), "is no file of weights");
  EXPECT_FALSE(fs::exists(mark));
}

// Rows 3 to 5 for the files of data sets.
TEST_F(FileAttacks, SizesOfDataSets) {
  folder_.write("d/train-labels-idx1-ubyte", big_endian(0x801) + big_endian(4) + std::string(4, 1));
  const auto idx = [&](const std::string& bytes, const std::string& sentence) {
    data("d/train-images-idx3-ubyte", bytes, sentence, "d");
  };
  const auto head = [](uint32_t n, uint32_t h, uint32_t w, uint32_t magic = 0x803) {
    return big_endian(magic) + big_endian(n) + big_endian(h) + big_endian(w);
  };
  idx(head(1u << 31, 1u << 31, 4), "1 to 4096 a side are read");
  idx(head(~0u, ~0u, ~0u), "1 to 4096 a side are read");
  idx(head(~0u, 4096, 4096), "the file has 0");
  idx(head(0, 28, 28), "has 0 pictures");
  idx(head(4, 0, 0), "1 to 4096 a side are read");
  idx(head(4, 28, 28, 0xd03) + std::string(3136, 'x'), "is not an IDX file");
  idx(head(4, 28, 28) + std::string(3135, 'x'), "the file has 3135");
  idx(head(4, 28, 28) + std::string(3137, 'x'), "the file has 3137");
  idx(head(5, 28, 28) + std::string(5 * 784, 'x'), "has 5 pictures");
  idx("", "is truncated: needs 2 bytes at 0, has 0");
  fs::remove(folder_ / "d/train-images-idx3-ubyte");
  ASSERT_EQ(mkfifo(path("d/train-images-idx3-ubyte").c_str(), 0600), 0);
  expect_refused({"data", "info", path("d")}, path("d"), "holds nothing that is read");

  std::string wide;
  for (int k = 0; k < 10'000'000; ++k) wide += "1,";
  data("a.csv", wide, "has more than 20000 columns");
  data("b.csv", std::string(20'000'000, '1'), "line 1 has more than 4194304 bytes");
  data("c.csv", "\"" + std::string(1 << 20, '\n'), "c.csv");
}

// Rows 3 to 5 for pictures. The model does not matter: they are refused before it is asked.
TEST_F(FileAttacks, Pictures) {
  const std::string model = path("m/model.safetensors");
  ASSERT_EQ(nacre({"train", "logistic_regression", "--data", kSource + "/data/digits", "--epochs",
                   "1", "--out", path("m"), "-q"})
                .code,
            0);
  const auto picture = [&](const std::string& name, const std::string& bytes,
                           const std::string& sentence) {
    SCOPED_TRACE(name);
    folder_.write(name, bytes);
    expect_refused({"predict", model, path(name)}, path(name), sentence);
  };
  const auto chunk = [](const std::string& kind, const std::string& bytes) {
    return big_endian(static_cast<uint32_t>(bytes.size())) + kind + bytes +
           big_endian(crc32_of(kind, bytes));
  };
  const auto png = [&](uint32_t w, uint32_t h, const std::string& pixels) {
    return "\x89PNG\r\n\x1a\n" +
           chunk("IHDR", big_endian(w) + big_endian(h) + std::string("\x08\0\0\0\0", 5)) +
           chunk("IDAT", pixels) + chunk("IEND", "");
  };
  std::string row(19001, '\0'), zlib_bytes(1 << 20, '\0');
  {
    z_stream z{};
    deflateInit(&z, 9);
    z.next_out = reinterpret_cast<Bytef*>(zlib_bytes.data());
    z.avail_out = static_cast<uInt>(zlib_bytes.size());
    for (int k = 0; k < 19000; ++k) {
      z.next_in = reinterpret_cast<Bytef*>(row.data());
      z.avail_in = static_cast<uInt>(row.size());
      deflate(&z, k == 18999 ? Z_FINISH : Z_NO_FLUSH);
    }
    zlib_bytes.resize(z.total_out);
    deflateEnd(&z);
  }
  picture("bomb.png", png(19000, 19000, zlib_bytes), "are over the limit of 65500 a side");
  picture("side.png", png(1u << 30, 1, zlib_bytes), "side.png");
  picture("none.png", png(0, 0, ""), "none.png");
  picture("short.png", png(1000, 1000, "x"), "short.png");
  const auto bmp = [](int32_t w, int32_t h, uint16_t bits, uint32_t start = 54) {
    return "BM" + number(uint32_t{100}) + number(uint32_t{0}) + number(start) +
           number(uint32_t{40}) + number(w) + number(h) + number(uint16_t{1}) + number(bits) +
           std::string(24, '\0');
  };
  picture("a.bmp", bmp(INT32_MAX, INT32_MIN, 24), "are over the limit of 65500 a side");
  picture("b.bmp", bmp(-5, 5, 24), "b.bmp");
  picture("c.bmp", bmp(1000, 1000, 24), "c.bmp");
  picture("d.bmp", bmp(1, 1, 24, 4000000000u), "d.bmp");
  picture("e.bmp", bmp(1, 1, 99), "e.bmp");
  picture("a.pgm", "P5 99999999 99999999 255\n", "are over the limit of 65500 a side");
  picture("b.pgm", "P5 99999999999999999999 1 255\n", "b.pgm");
  picture("c.pgm", "P5 -1 -1 255\n", "c.pgm");
  picture("d.ppm", "P6 5000 5000 255\nx", "d.ppm");
  const std::string corpus = kSource + "/tests/fuzz/corpus/image/";
  std::string jpeg = read_file(corpus + "rgb.jpg", 1 << 20);
  const size_t frame = jpeg.find("\xff\xc0");
  ASSERT_NE(frame, std::string::npos);
  jpeg.replace(frame + 5, 4, "\xff\xff\xff\xff");
  picture("a.jpg", jpeg, "65500 pixels");
  std::string webp = read_file(corpus + "lossy.webp", 1 << 20);
  const size_t start = webp.find("\x9d\x01\x2a");
  ASSERT_NE(start, std::string::npos);
  webp.replace(start + 3, 4, "\xff\x3f\xff\x3f");
  picture("a.webp", webp, "over the limit");
  // Nobody writes to this pipe: reading it would take for ever.
  fs::create_directories(folder_ / "pictures/a");
  ASSERT_EQ(mkfifo(path("pictures/a/pipe.png").c_str(), 0600), 0);
  for (const char* command : {"info", "check"})
    expect_refused({"data", command, path("pictures")}, path("pictures"), "pictures");
  expect_refused({"predict", model, path("pictures/a")}, path("pictures"), "pictures/a");
}

// Row 11 through the program, at some places: every byte and bit is tests/fuzz/replay_test.cpp.
TEST_F(FileAttacks, DamagedFiles) {
  const std::string formats = kSource + "/tests/formats/goldens/";
  const std::string images = kSource + "/tests/fuzz/corpus/image/";
  const std::string networks = kSource + "/tests/importers/goldens/";
  Rng rng(Key(3));
  // Files, and those of weights beside them, which are damaged by turns.
  for (const auto& [good, weights] : std::vector<std::pair<std::string, std::string>>{
           {formats + "torch.safetensors", ""},
           {formats + "stored.npz", ""},
           {formats + "deflated.npz", ""},
           {formats + "f4.npy", ""},
           {formats + "state.pth", ""},
           {formats + "tar.pth", ""},
           {formats + "weights.gguf", ""},
           {kSource + "/tests/data/vision/net.onnx", ""},
           {networks + "tf_vision.pb", ""},
           {networks + "tf_mlp_int8.tflite", ""},
           {networks + "tiny.prototxt", "tiny.caffemodel"},
           {networks + "tiny_predict_net.pb", "tiny_init_net.pb"},
           {networks + "shapes.param", "shapes.bin"},
           {networks + "pictures-symbol.json", "pictures-0003.params"},
           {networks + "paddle_pictures.pdmodel", "paddle_pictures.pdiparams"},
           {images + "rgb.png", ""},
           {images + "progressive.jpg", ""},
           {images + "lossy.webp", ""},
           {images + "fields.bmp", ""}}) {
    const std::string name = fs::path(good).filename();
    std::map<std::string, std::string> files = {{name, read_file(good, 1 << 20)}};
    if (!weights.empty()) files[weights] = read_file(networks + weights, 1 << 20);
    const bool network = good.starts_with(networks), picture = good.starts_with(images);
    const std::string output = network                  ? "out.onnx"
                               : name.ends_with(".npz") ? "out.safetensors"
                                                        : "out.npz";
    std::vector<std::string> arguments = {"convert", path(name), path(output)};
    if (picture) arguments = {"data", "check", path("")};
    for (const auto& [damaged, whole] : files) {
      for (const auto& [other, content] : files) folder_.write(other, content);
      for (int k = 0; k < 6; ++k) {
        SCOPED_TRACE(damaged + " " + std::to_string(k));
        std::string bytes = whole;
        if (k % 2 == 0) bytes.resize(rng.below(bytes.size()));
        if (k % 2 == 1) bytes[rng.below(bytes.size())] ^= static_cast<char>(1 << rng.below(8));
        folder_.write(damaged, bytes);
        expect_survived(arguments, path(damaged));
      }
    }
    for (const auto& [file, content] : files) fs::remove(folder_ / file);
  }
}

}  // namespace
}  // namespace nacre::attacks
