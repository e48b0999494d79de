// The C interface against Predictor.
#include <gtest/gtest.h>

#include <thread>

#include "nacre.h"
#include "nacre/image.h"
#include "predict/models.h"
#include "tools/shell.h"

namespace nacre {
namespace {

struct Opened {
  explicit Opened(const Model& m) {
    path = folder / "m.safetensors";
    save_model(path, *m.net, m.info);
    EXPECT_EQ(nacre_open(path.c_str(), &model), nacre_ok) << nacre_error_text();
  }
  ~Opened() { nacre_close(model); }
  test::TempFolder folder;
  std::string path;
  nacre_model* model = nullptr;
};

TEST(CInterface, ClassifiesAPicture) {
  const Opened m(digits_model());
  ASSERT_EQ(nacre_class_count(m.model), 3u);
  EXPECT_STREQ(nacre_class_name(m.model, 2), "c");
  EXPECT_STREQ(nacre_class_name(m.model, 3), "");
  Image image(20, 24, 3, 0.3f);
  image.at(3, 5) = 1;
  const std::vector<uint8_t> png = encode_png(image);
  const std::string_view bytes(reinterpret_cast<const char*>(png.data()), png.size());
  const Predictor p(m.path);
  const Prediction want = p.predict(p.picture(bytes));
  nacre_class got[3];
  size_t found = 0;
  ASSERT_EQ(nacre_predict_picture(m.model, png.data(), png.size(), got, 3, &found), nacre_ok)
      << nacre_error_text();
  ASSERT_EQ(found, 3u);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(got[i].label, want.classes[i].label);
    EXPECT_EQ(got[i].probability, want.classes[i].probability);
  }
  EXPECT_EQ(nacre_predict_picture(m.model, png.data(), png.size(), got, 1, &found), nacre_ok);
  EXPECT_EQ(found, 1u);
  EXPECT_EQ(nacre_predict_picture(m.model, "no picture", 10, got, 3, &found), nacre_data);
  EXPECT_STRNE(nacre_error_text(), "");
  EXPECT_EQ(nacre_predict_picture(m.model, nullptr, 10, got, 3, &found), nacre_usage);
}

TEST(CInterface, RunsOnTensors) {
  const Opened m(digits_model());
  ASSERT_EQ(nacre_input_count(m.model), 1u);
  ASSERT_EQ(nacre_output_count(m.model), 1u);
  nacre_port port;
  ASSERT_EQ(nacre_input(m.model, 0, &port), nacre_ok);
  EXPECT_EQ(port.type, nacre_f32);
  ASSERT_EQ(port.rank, 4);
  EXPECT_EQ(port.shape[0], -1);
  EXPECT_EQ(port.shape[3], 32);
  EXPECT_EQ(nacre_input(m.model, 1, &port), nacre_usage);

  const Tensor x = normal({2, 1, 32, 32}, Key(5));
  const auto values = x.to_vector<float>();
  nacre_tensor in = {nacre_f32, 4, {2, 1, 32, 32}, values.data(), nullptr};
  nacre_tensor out;
  ASSERT_EQ(nacre_run(m.model, &in, 1, &out, 1), nacre_ok) << nacre_error_text();
  EXPECT_EQ(out.type, nacre_f32);
  EXPECT_EQ(out.rank, 2);
  EXPECT_EQ(out.shape[0], 2);
  EXPECT_EQ(out.shape[1], 3);
  const auto want = Predictor(m.path).run({x})[0].to_vector<float>();
  for (size_t i = 0; i < want.size(); ++i)
    EXPECT_EQ(static_cast<const float*>(out.data)[i], want[i]) << i;
  nacre_release(&out);
  EXPECT_EQ(out.data, nullptr);
  nacre_release(&out);  // once more does nothing

  in.shape[3] = 31;
  EXPECT_EQ(nacre_run(m.model, &in, 1, &out, 1), nacre_shape) << nacre_error_text();
  in.shape[3] = -4;
  EXPECT_NE(nacre_run(m.model, &in, 1, &out, 1), nacre_ok);
  in.rank = 9;
  EXPECT_EQ(nacre_run(m.model, &in, 1, &out, 1), nacre_usage);
  in = {static_cast<nacre_type>(77), 4, {2, 1, 32, 32}, values.data(), nullptr};
  EXPECT_EQ(nacre_run(m.model, &in, 1, &out, 1), nacre_usage);
  in.type = nacre_f32;
  in.data = nullptr;
  EXPECT_EQ(nacre_run(m.model, &in, 1, &out, 1), nacre_usage);
  in.data = values.data();
  EXPECT_EQ(nacre_run(m.model, &in, 1, &out, 0), nacre_usage);
  EXPECT_NE(nacre_run(m.model, &in, 0, &out, 1), nacre_ok);
}

TEST(CInterface, ReadsARow) {
  const Opened m(table_model());
  const char* cells[] = {"4", "Oslo"};
  nacre_class got[2];
  size_t found = 0;
  ASSERT_EQ(nacre_predict_row(m.model, cells, 2, got, 2, &found), nacre_ok) << nacre_error_text();
  EXPECT_STREQ(got[0].label, "yes");
  EXPECT_NEAR(got[0].probability, 1 / (1 + std::exp(-6.)), 1e-9);
  float values[2];
  ASSERT_EQ(nacre_predict_row_values(m.model, cells, 2, values, 2, &found), nacre_ok);
  EXPECT_EQ(values[1], 10);
  EXPECT_EQ(nacre_predict_row(m.model, cells, 1, got, 2, &found), nacre_data);
  const char* hole[] = {"4", nullptr};
  EXPECT_EQ(nacre_predict_row(m.model, hole, 2, got, 2, &found), nacre_usage);
  EXPECT_EQ(nacre_predict_row(m.model, nullptr, 2, got, 2, &found), nacre_usage);
  const std::vector<uint8_t> png = encode_png(Image(8, 8, 1, 0.5f));
  EXPECT_EQ(nacre_predict_picture(m.model, png.data(), png.size(), got, 2, &found), nacre_usage);
}

TEST(CInterface, ErrorsAreCodesAndBelongToTheirThread) {
  nacre_model* model = nullptr;
  EXPECT_EQ(nacre_open("/nonexistent.safetensors", &model), nacre_io);
  EXPECT_EQ(model, nullptr);
  EXPECT_NE(std::string(nacre_error_text()).find("/nonexistent.safetensors"), std::string::npos);
  std::thread([] { EXPECT_STREQ(nacre_error_text(), ""); }).join();
  EXPECT_EQ(nacre_open(nullptr, &model), nacre_usage);
  EXPECT_EQ(nacre_open("x", nullptr), nacre_usage);
  EXPECT_EQ(nacre_input_count(nullptr), 0u);
  EXPECT_EQ(nacre_run(nullptr, nullptr, 0, nullptr, 0), nacre_usage);
  nacre_close(nullptr);
  nacre_release(nullptr);
  EXPECT_STREQ(nacre_version(), "0.1.0");
}

}  // namespace
}  // namespace nacre
