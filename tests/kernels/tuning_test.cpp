// Choices of kernels: measured, taken, kept in a file.
#include "nacre/tuning.h"

#include <gtest/gtest.h>

#include <set>

#include "backends/cpu/dnnl.h"
#include "base/file.h"
#include "base/json.h"
#include "kernels/helpers.h"
#include "nacre/error.h"
#include "tools/shell.h"

namespace nacre::cpu::test {
namespace {

class Tuning : public ::testing::Test {
 protected:
  void TearDown() override {
    set_tuning(false);
    set_kernel_choices({});
    unsetenv("NACRE_KERNELS");
  }

  /// y, dx or dw of a convolution 3x3 that keeps the size of a picture.
  struct Problem {
    Shape a, b, c;
    std::unique_ptr<Kernel> (*make)(Operands, Operands, const ConvAttrs&);
  };
  static std::vector<Problem> problems() {
    const Shape x{2, 32, 9, 7}, w{48, 32, 3, 3}, y{2, 48, 9, 7};
    return {
        {x, w, y, make_conv}, {y, w, x, make_conv_input_grad}, {x, y, w, make_conv_weight_grad}};
  }
  static std::unique_ptr<Kernel> make(const Problem& p) {
    const std::vector<Operand> in = {dense(DType::f32, p.a), dense(DType::f32, p.b)},
                               out = {dense(DType::f32, p.c)};
    return p.make(in, out, {{1, 1}, {1, 1}, {1, 1}, 1});
  }
  static std::vector<double> run(const Kernel& kernel, const Problem& p) {
    Random r(1);
    const Data a = random(r, DType::f32, p.a), b = random(r, DType::f32, p.b);
    std::vector<Data> out;
    out.push_back(empty(DType::f32, p.c));
    test::run(kernel, {&a, &b}, out);
    return out[0].values();
  }
};

TEST_F(Tuning, MeasuresEachWorkOnceAndThenTakesTheSame) {
  const Problem p = problems()[0];
  EXPECT_TRUE(make(p));
  EXPECT_TRUE(kernel_choices().empty());
  set_tuning(true);
  const std::string taken = make(p)->description();
  const KernelChoices choices = kernel_choices();
  ASSERT_EQ(choices.size(), 1u);
  EXPECT_EQ(choices.begin()->first.rfind("conv 2x32x9x7 with 48x32x3x3 to 2x48x9x7, stride 1x1", 0),
            0u)
      << choices.begin()->first;
  set_kernel_choices({{choices.begin()->first, "im2col"}});
  EXPECT_TRUE(make(p));
  EXPECT_EQ(kernel_choices().begin()->second, "im2col");  // not measured again
  set_tuning(false);
  set_kernel_choices(choices);
  EXPECT_EQ(make(p)->description(), taken);
}

TEST_F(Tuning, AllWaysComputeTheSame) {
  for (const Problem& p : problems()) {
    set_kernel_choices({});
    const auto expected = make(p);
    const std::vector<double> want = run(*expected, p);
    double largest = 0;
    for (const double v : want) largest = std::max(largest, std::fabs(v));
    set_tuning(true);
    make(p);
    set_tuning(false);
    const std::string work = kernel_choices().begin()->first;
    std::vector<std::string> seen;
    for (const char* way : {"library", "winograd", "direct", "im2col"}) {
      set_kernel_choices({{work, way}});
      const auto kernel = make(p);
      seen.push_back(kernel->description());
      const std::vector<double> got = run(*kernel, p);
      for (size_t i = 0; i < got.size(); ++i)
        ASSERT_NEAR(got[i], want[i], 4e-6 * largest) << way << " " << seen.back() << " of " << work;
    }
    EXPECT_EQ(std::set<std::string>(seen.begin(), seen.end()).size(),
              dnnl::channel_block() == 16 ? 4u : 3u)  // Winograd's form needs AVX-512
        << ::testing::PrintToString(seen);
    set_kernel_choices({{work, "a way of another version"}});
    EXPECT_EQ(make(p)->description(), expected->description());
  }
}

TEST_F(Tuning, WritesAFileForThisMachine) {
  const nacre::test::TempFolder folder;
  const std::string path = folder / "a" / "kernels.json";
  setenv("NACRE_KERNELS", path.c_str(), 1);
  set_kernel_choices({{"conv 1", "direct"}, {"conv \"2\"", "library"}});
  EXPECT_EQ(save_kernel_choices(), path);
  const Json j = parse_json(read_file(path, 1 << 16), path);
  EXPECT_NE(j.at("machine").text().find("oneDNN"), std::string::npos);
  EXPECT_EQ(j.at("choices").size(), 2u);
  EXPECT_EQ(j.at("choices").at("conv 1").text(), "direct");
  setenv("NACRE_KERNELS", "0", 1);
  EXPECT_THROW(save_kernel_choices(), Error);
}

}  // namespace
}  // namespace nacre::cpu::test
