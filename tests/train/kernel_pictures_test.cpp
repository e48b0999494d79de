// The kernels of a first convolution as pictures.
#include "train/kernel_pictures.h"

#include <gtest/gtest.h>

#include "nacre/zoo.h"

namespace nacre {
namespace {

TEST(KernelPictures, AreOnOneScaleWithZeroInTheMiddle) {
  const Tensor w = Tensor::from<float>({0, 1, -2, 0.5, 0, 0, 0, -1}, {2, 1, 2, 2});
  const auto pictures = kernel_pictures(w);
  ASSERT_EQ(pictures.size(), 2u);
  EXPECT_EQ(pictures[0].pixels, (std::vector<float>{0.5, 0.75, 0, 0.625}));
  EXPECT_EQ(pictures[1].pixels, (std::vector<float>{0.5, 0.5, 0.5, 0.25}));
  EXPECT_EQ(pictures[0].channels, 1);
}

TEST(KernelPictures, ShowColourAndTheMeanOfOtherChannels) {
  const Tensor colour = Tensor::from<float>({1, 0, -1, 0, 0.5, 0}, {1, 3, 1, 2});
  const auto rgb = kernel_pictures(colour);
  ASSERT_EQ(rgb.size(), 1u);
  EXPECT_EQ(rgb[0].channels, 3);
  EXPECT_EQ(rgb[0].at(0, 0, 0), 1);
  EXPECT_EQ(rgb[0].at(0, 0, 1), 0);
  EXPECT_EQ(rgb[0].at(0, 0, 2), 0.75f);
  const Tensor two = Tensor::from<float>({1, 0, 0, 0}, {1, 2, 1, 2});
  EXPECT_EQ(kernel_pictures(two)[0].pixels, (std::vector<float>{1, 0.5}));
}

TEST(KernelPictures, OfZerosAreGreyAndOfManyTheFirst) {
  const auto pictures = kernel_pictures(zeros({9, 1, 3, 3}), 4);
  ASSERT_EQ(pictures.size(), 4u);
  for (float p : pictures[3].pixels) EXPECT_EQ(p, 0.5f);
}

TEST(KernelPictures, AreFoundInModels) {
  const auto lenet = make_model("lenet5", "", Scope::init(Key(0)));
  ASSERT_TRUE(first_kernels(*lenet).defined());
  EXPECT_EQ(first_kernels(*lenet).name(), "conv1.weight");
  const auto pictures = kernel_pictures(first_kernels(*lenet).value());
  EXPECT_EQ(pictures.size(), 6u);
  EXPECT_EQ(pictures[0].width, 5);
  EXPECT_FALSE(first_kernels(*make_model("mlp", "", Scope::init(Key(0)))).defined());
}

}  // namespace
}  // namespace nacre
