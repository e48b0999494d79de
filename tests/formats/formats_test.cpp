#include "nacre/formats.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "arrays.h"
#include "base/gzip.h"
#include "base/zip.h"
#include "temp_folder.h"

namespace nacre {
namespace {

using FormatsTest = TempFolder;

TEST_F(FormatsTest, SafeTensorsOfTorch) {
  const SafeTensors file = SafeTensors::open(golden("torch.safetensors"));
  expect_golden(file.at("layer.weight"), DType::f32, {2, 3});
  expect_golden(file.at("layer.bias"), DType::bf16, {3});
  expect_golden(file.at("steps"), DType::i64, {});
  expect_golden(file.at("mask"), DType::boolean, {5});
  expect_golden(file.at("half"), DType::f16, {2, 2});
  expect_golden(file.at("empty"), DType::f32, {0, 3});
  EXPECT_EQ(file.tensors().size(), 6u);
  EXPECT_EQ(file.metadata().at("note"), "a \"quoted\" \u00e9");
  EXPECT_EQ(file.find("nothing"), nullptr);
  EXPECT_NE(error_of(Error::Kind::data, [&] { file.at("nothing"); }).find("no tensor 'nothing'"),
            std::string::npos);
}

TEST_F(FormatsTest, SafeTensorsRoundTripAlignedAndMapped) {
  const std::vector<NamedTensor> tensors = {
      {"flag", tensor_of(DType::boolean, {3}, std::string("\1\0\1", 3))},
      {"b", tensor_of(DType::f64, {2}, std::string(16, 'b'))},
      {"a \"name\"\n", tensor_of(DType::f64, {}, "12345678")},
      {"half", tensor_of(DType::f16, {3, 1}, "123456")},
      {"none", tensor_of(DType::f32, {4, 0}, "")}};
  save_safetensors(at("x"), tensors, {{"k", "v"}});
  const SafeTensors file = SafeTensors::open(at("x"));
  ASSERT_EQ(file.tensors().size(), tensors.size());
  EXPECT_EQ(file.metadata().at("k"), "v");
  for (const auto& [name, t] : tensors) {
    expect_equal(file.at(name), t);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(file.at(name).data) % size_of(t.dtype), 0u);
  }
  EXPECT_EQ(reinterpret_cast<uintptr_t>(file.tensors()[0].second.data) % 64, 0u);
  const std::string first = read_file(at("x"), 1 << 20);
  save_safetensors(at("x"), tensors, {{"k", "v"}});
  EXPECT_EQ(read_file(at("x"), 1 << 20), first);
  // The map outlives the file object.
  const RawTensor kept = SafeTensors::open(at("x")).at("b");
  EXPECT_EQ(static_cast<const char*>(kept.data)[15], 'b');
}

TEST_F(FormatsTest, SafeTensorsThatAreNotAligned) {
  std::string header = R"({"m":{"dtype":"BOOL","shape":[3],"data_offsets":[0,3]},)"
                       R"("x":{"dtype":"F32","shape":[1],"data_offsets":[3,7]}})";
  uint64_t n = header.size();
  std::string bytes(reinterpret_cast<const char*>(&n), 8);
  bytes += header + std::string("\0\2\xff", 3) + std::string("\0\0\x80\x3f", 4);
  const auto owner = std::make_shared<const std::string>(bytes);
  const SafeTensors file = SafeTensors::parse(*owner, owner, "test");
  EXPECT_EQ(element(file.at("x"), 0), 1.0);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(file.at("x").data) % 4, 0u);
  EXPECT_EQ(element(file.at("m"), 0), 0);
  EXPECT_EQ(element(file.at("m"), 1), 1);
  EXPECT_EQ(element(file.at("m"), 2), 1);
}

TEST_F(FormatsTest, SafeTensorsOfNarrowTypesAreWidened) {
  const SafeTensors file = SafeTensors::open(golden("narrow.safetensors"));
  expect_golden(file.at("i16"), DType::i32, {2, 3});
  expect_golden(file.at("u16"), DType::i32, {3}, 3, 0);
  expect_golden(file.at("u32"), DType::i64, {3}, 3, 0);
  expect_golden(file.at("u64"), DType::i64, {3}, 3, 0);
  expect_golden(file.at("f8_e4m3"), DType::f16, {5});
  // All 256 values of both 8-bit types, with what torch makes of them.
  for (const std::string type : {"e4m3", "e5m2"}) {
    const RawTensor &all = file.at("all_" + type), &want = file.at("f32_" + type);
    for (int64_t i = 0; i < 256; ++i) {
      const double a = element(all, i), b = element(want, i);
      EXPECT_TRUE(a == b || (std::isnan(a) && std::isnan(b))) << type << " " << i << " " << a;
    }
  }
}

TEST_F(FormatsTest, SafeTensorsNamesAllUnsupportedTypes) {
  std::string header = R"({"a":{"dtype":"F8_E8M0","shape":[1],"data_offsets":[0,1]},)"
                       R"("b":{"dtype":"C64","shape":[0],"data_offsets":[1,1]}})";
  uint64_t n = header.size();
  const std::string bytes = std::string(reinterpret_cast<const char*>(&n), 8) + header + "x";
  const auto text =
      error_of(Error::Kind::unsupported, [&] { SafeTensors::parse(bytes, nullptr, "f"); });
  EXPECT_EQ(text, "f holds 2 tensors of types that are not supported: a (F8_E8M0), b (C64)");
}

TEST_F(FormatsTest, AFlippedBitOfASafeTensorsFileIsFound) {
  const std::vector<NamedTensor> tensors = {{"w", tensor_of(DType::f32, {2}, "12345678")},
                                            {"m", tensor_of(DType::boolean, {2}, {"\1\0", 2})},
                                            {"none", tensor_of(DType::f32, {0}, "")}};
  save_safetensors(at("x"), tensors, {{"format", "f"}, {"classes", "a,b"}});
  std::string bytes = read_file(at("x"), 1 << 20);
  const size_t header = bytes.size() - 10, key = bytes.find("nacre.crc32c");
  ASSERT_LT(key, header);
  size_t unsigned_files = 0;
  for (size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    const auto flip = [&] { bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << bit % 8)); };
    flip();
    try {
      // Only what hides the checksums can be loaded, and then all else is as it was.
      const SafeTensors file = SafeTensors::parse(bytes, nullptr, "x");
      EXPECT_TRUE(bit / 8 >= key && bit / 8 < key + 12) << bit / 8;
      for (const auto& [name, t] : tensors) expect_equal(file.at(name), t);
      EXPECT_EQ(file.metadata().at("format") + file.metadata().at("classes"), "fa,b");
      ++unsigned_files;
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), Error::Kind::data) << e.what();
      if (bit / 8 >= header) {
        EXPECT_NE(std::string(e.what()).find(bit / 8 < header + 8 ? "'w'" : "'m'"),
                  std::string::npos)
            << e.what();
      }
    }
    flip();
  }
  EXPECT_GT(unsigned_files, 0u);  // SafeTensorsOfTorch: files of others have no checksums
  EXPECT_LE(unsigned_files, 8u * 12);
}

TEST_F(FormatsTest, AFailedSaveKeepsTheOldFile) {
  const NamedTensor one{"a", tensor_of(DType::u8, {4}, "1234")};
  save_safetensors(at("x"), std::span(&one, 1));
  const std::string before = read_file(at("x"), 1 << 20);
  inject_write_fault(3, ENOSPC);
  error_of(Error::Kind::io, [&] { save_safetensors(at("x"), std::span(&one, 1), {{"n", "2"}}); });
  EXPECT_EQ(read_file(at("x"), 1 << 20), before);
  EXPECT_EQ(list_folder(folder_).size(), 1u);
  const std::vector<NamedTensor> twice{one, one};
  error_of(Error::Kind::usage, [&] { save_safetensors(at("x"), twice); });
  error_of(Error::Kind::usage, [&] { save_npz(at("x"), twice); });
}

TEST_F(FormatsTest, NpyOfNumpy) {
  expect_golden(load_npy(golden("f4.npy")), DType::f32, {2, 3, 4});
  expect_golden(load_npy(golden("f8_big.npy")), DType::f64, {3, 5});
  expect_golden(load_npy(golden("f2_fortran.npy")), DType::f16, {2, 3, 4});
  expect_golden(load_npy(golden("i4_big_fortran.npy")), DType::i32, {4, 3});
  expect_golden(load_npy(golden("i2.npy")), DType::i32, {7});
  expect_golden(load_npy(golden("u2_big.npy")), DType::i32, {5}, 3, 0);
  expect_golden(load_npy(golden("u4.npy")), DType::i64, {2, 2}, 3, 0);
  expect_golden(load_npy(golden("u8.npy")), DType::i64, {3}, 3, 0);
  expect_golden(load_npy(golden("i8_scalar.npy")), DType::i64, {});
  expect_golden(load_npy(golden("b1.npy")), DType::boolean, {3, 3});
  expect_golden(load_npy(golden("u1_empty.npy")), DType::u8, {0, 4});
  expect_golden(load_npy(golden("version2.npy")), DType::f32, {2, 2});
}

TEST_F(FormatsTest, NpyThatCannotBe) {
  const auto unsupported = [](const char* name) {
    return error_of(Error::Kind::unsupported, [&] { load_npy(golden(name)); });
  };
  EXPECT_NE(unsupported("objects.npy").find("Python objects"), std::string::npos);
  EXPECT_NE(unsupported("complex.npy").find("<c8"), std::string::npos);
  EXPECT_NE(unsupported("u8_large.npy").find("9223372036854775808"), std::string::npos);
  error_of(Error::Kind::unsupported, [&] { save_npy(at("x"), tensor_of(DType::bf16, {1}, "ab")); });
  EXPECT_FALSE(file_exists(at("x")));
  for (const char* header :
       {"{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387905, 4), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (0, 9223372036854775807, 4), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,), }",
        "{'descr': '<f4', 'fortran_order': False, }", "{'descr': '<f4'", "{'descr': '<f4}", "",
        "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (1,), }",
        "{'descr': '<f4', 'fortran_order': 0, 'shape': (1,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'x': '1'}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), } x",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1 1)}"}) {
    std::string bytes("\x93NUMPY\1\0", 8);
    bytes += static_cast<char>(std::strlen(header));
    bytes += '\0';
    bytes += header;
    bytes += "1234";
    error_of(Error::Kind::data, [&] { parse_npy(bytes, nullptr, header); });
  }
  for (const char* descr : {"", "<", "f4", "|f4", "<f16", "<U4", "|S3", "<m8", ">O"}) {
    const std::string header =
        cat({"{'descr': '", descr, "', 'fortran_order': False, 'shape': (1,), }"});
    std::string bytes("\x93NUMPY\1\0", 8);
    bytes += static_cast<char>(header.size());
    bytes += '\0';
    error_of(Error::Kind::unsupported, [&] { parse_npy(bytes + header + "1234", nullptr, descr); });
  }
}

TEST_F(FormatsTest, NpyIsWrittenAsNumpyWritesIt) {
  for (const char* name : {"f4.npy", "i8_scalar.npy", "b1.npy", "u1_empty.npy"}) {
    save_npy(at("x"), load_npy(golden(name)));
    EXPECT_EQ(read_file(at("x"), 1 << 20), golden_bytes(name)) << name;
  }
}

TEST_F(FormatsTest, NpzOfNumpy) {
  for (const auto& [name, shape] :
       {std::pair{"stored.npz", Shape{2, 3}}, std::pair{"deflated.npz", Shape{20, 30}}}) {
    const auto arrays = load_npz(golden(name));
    ASSERT_EQ(arrays.size(), 2u);
    EXPECT_EQ(arrays[0].first, "w");
    expect_golden(arrays[0].second, DType::f32, shape);
    EXPECT_EQ(arrays[1].first, "b");
    expect_golden(arrays[1].second, DType::i64, {4});
  }
}

TEST_F(FormatsTest, NpzRoundTrip) {
  const auto arrays = load_npz(golden("deflated.npz"));
  for (const bool compress : {false, true}) {
    save_npz(at("x"), arrays, compress);
    const auto back = load_npz(at("x"));
    ASSERT_EQ(back.size(), arrays.size());
    for (size_t i = 0; i < back.size(); ++i) {
      EXPECT_EQ(back[i].first, arrays[i].first);
      expect_equal(back[i].second, arrays[i].second);
    }
  }
}

TEST_F(FormatsTest, NpzBombsAreStopped) {
  const RawTensor zeros = tensor_of(DType::u8, {1 << 20}, std::string(1 << 20, '\0'));
  const NamedTensor one{"z", zeros};
  save_npz(at("x"), std::span(&one, 1), true);
  EXPECT_LT(read_file(at("x"), 1 << 20).size(), 5000u);
  EXPECT_NE(error_of(Error::Kind::data, [&] { load_npz(at("x"), 1 << 20); })
                .find("limit of 1048576 bytes"),
            std::string::npos);
  // A directory that names the same bytes twice.
  std::string bytes = read_file(at("x"), 1 << 20);
  const size_t directory = bytes.find("PK\1\2"), end64 = bytes.find("PK\6\6");
  std::string entry = bytes.substr(directory, end64 - directory);
  std::string second = entry;
  second[46] = 'y';
  const std::string tail = bytes.substr(end64);
  std::string bomb = bytes.substr(0, directory) + entry + second;
  const auto set = [&](size_t at, uint64_t v) { std::memcpy(bomb.data() + at, &v, 8); };
  const size_t new_end = bomb.size();
  bomb += tail;
  set(new_end + 24, 2);
  set(new_end + 32, 2);
  set(new_end + 40, 2 * entry.size());
  set(new_end + 56 + 8, new_end);
  EXPECT_NE(error_of(Error::Kind::data, [&] { parse_npz(bomb, nullptr, "bomb"); })
                .find("entries overlap"),
            std::string::npos);
}

TEST_F(FormatsTest, NpzDamageIsFound) {
  std::string stored = golden_bytes("stored.npz");
  const size_t data = stored.find("\x93NUMPY") + 128 + 3;
  stored[data] = static_cast<char>(stored[data] ^ 1);
  EXPECT_NE(
      error_of(Error::Kind::data, [&] { parse_npz(stored, nullptr, "f"); }).find("wrong checksum"),
      std::string::npos);
}

TEST_F(FormatsTest, EventsOfTensorBoard) {
  const std::vector<Event> events = load_events(golden("torch.tfevents"));
  ASSERT_EQ(events.size(), 7u);
  EXPECT_EQ(events[0].file_version, "brain.Event:2");
  EXPECT_EQ(events[1].values.at(0).tag, "loss/train");
  EXPECT_EQ(events[1].values[0].scalar, 0.5f);
  EXPECT_EQ(events[1].wall_time, 1000.25);
  EXPECT_EQ(events[2].step, 1);
  EXPECT_TRUE(std::isnan(events[3].values.at(0).scalar));
  EXPECT_EQ(events[3].step, int64_t{1} << 40);
  const SummaryValue& h = events[4].values.at(0);
  ASSERT_EQ(h.kind, SummaryValue::Kind::histogram);
  EXPECT_EQ(h.histogram.min, -1);
  EXPECT_EQ(h.histogram.max, 2);
  EXPECT_EQ(h.histogram.count, 5);
  EXPECT_EQ(h.histogram.sum, 2);
  EXPECT_EQ(h.histogram.sum_squares, 5.5);
  double total = 0;
  for (double c : h.histogram.counts) total += c;
  EXPECT_EQ(total, 5);
  const SummaryValue& image = events[5].values.at(0);
  ASSERT_EQ(image.kind, SummaryValue::Kind::image);
  EXPECT_EQ(image.width, 6);
  EXPECT_EQ(image.height, 4);
  EXPECT_EQ(image.bytes.substr(1, 3), "PNG");
  const SummaryValue& text = events[6].values.at(0);
  ASSERT_EQ(text.kind, SummaryValue::Kind::text);
  EXPECT_EQ(text.tag, "config/text_summary");
  EXPECT_EQ(text.bytes, "lr: 0.1");
}

TEST_F(FormatsTest, ScalarEventsAreTheBytesThatTensorBoardWrites) {
  const std::string file = golden_bytes("torch.tfevents");
  for (size_t i : {1, 2, 3}) {
    const Event event = load_events(golden("torch.tfevents")).at(i);
    EXPECT_NE(file.find(encode_event(event)), std::string::npos) << i;
  }
}

TEST_F(FormatsTest, EventsRoundTrip) {
  std::string path;
  {
    EventWriter writer(at("run/logs"));
    writer.scalar("loss", 0.125, 0);
    writer.histogram("w", std::vector<float>{-3, -1e-13f, 0, 0, 1, 2.5f, NAN, INFINITY}, 7);
    writer.image("cat", "\x89PNG...", 8, 6, 9);
    writer.text("notes", "**bold**", -1);
    writer.sync();
    path = writer.path();
  }
  EXPECT_NE(path.find("/events.out.tfevents."), std::string::npos);
  const std::vector<Event> events = load_events(path);
  ASSERT_EQ(events.size(), 5u);
  EXPECT_GT(events[0].wall_time, 1.6e9);
  EXPECT_EQ(events[1].values.at(0).scalar, 0.125f);
  const Histogram& h = events[2].values.at(0).histogram;
  EXPECT_EQ(h.count, 6);
  EXPECT_EQ(h.min, -3);
  EXPECT_EQ(h.max, 2.5);
  EXPECT_EQ(h.sum_squares, 9 + 1e-13f * 1e-13 + 1 + 6.25);
  double total = 0;
  for (size_t i = 0; i < h.counts.size(); ++i) {
    total += h.counts[i];
    EXPECT_GT(h.limits[i], i ? h.limits[i - 1] : -INFINITY);
  }
  EXPECT_EQ(total, 6);
  EXPECT_EQ(h.counts.front(), 1);
  EXPECT_EQ(h.counts.back(), 1);
  EXPECT_EQ(events[3].values.at(0).bytes, "\x89PNG...");
  EXPECT_EQ(events[3].values[0].width, 8);
  EXPECT_EQ(events[4].values.at(0).bytes, "**bold**");
  EXPECT_EQ(events[4].step, -1);
}

TEST_F(FormatsTest, HistogramsOfNothing) {
  const Histogram h = Histogram::of({});
  EXPECT_EQ(h.count, 0);
  EXPECT_TRUE(h.limits.empty());
  const Histogram extreme = Histogram::of(std::vector<float>{-3.4e38f, 3.4e38f});
  EXPECT_EQ(extreme.counts.front() + extreme.counts.back(), 2);
}

TEST_F(FormatsTest, ARecordThatIsStillBeingWrittenEndsTheList) {
  const std::string bytes = golden_bytes("torch.tfevents");
  const size_t all = parse_events(bytes, "t").size();
  size_t before = 0;
  for (size_t n = 0; n <= bytes.size(); ++n) {
    const size_t found = parse_events(bytes.substr(0, n), "t").size();
    EXPECT_GE(found, before);
    before = found;
  }
  EXPECT_EQ(before, all);
  std::string flipped = bytes;
  flipped[bytes.size() / 2] = static_cast<char>(flipped[bytes.size() / 2] ^ 4);
  EXPECT_NE(error_of(Error::Kind::data, [&] { parse_events(flipped, "t"); }).find("checksum"),
            std::string::npos);
}

}  // namespace
}  // namespace nacre
