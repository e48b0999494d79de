// AlexNet at its full size, from Caffe's files.
#include <gtest/gtest.h>

#include "importers/caffe_writer.h"
#include "nacre/import.h"
#include "nacre/onnx.h"
#include "nacre/ops.h"
#include "nacre/zoo.h"

namespace nacre {
namespace {

TEST(CaffeNetworks, AlexNetHasThePublishedParameters) {
  auto own = make_model("caffenet", "", Scope::init(Key(1)));
  const auto net = onnx::parse(
      import_caffe(test::caffenet_prototxt(227, 96, 4096, 1000), test::caffemodel(*own), "net"),
      "net");
  EXPECT_EQ(net->parameter_count(), 60965224);
  const Tensor x = normal({1, 3, 227, 227}, Key(2));
  Context ctx = Context::eval();
  NoGrad guard;
  const Tensor want = (*own)(x, ctx), got = (*net)(x, ctx);
  EXPECT_LT(amax(abs(got - want)).item(), 1e-5 * amax(abs(want)).item());
}

}  // namespace
}  // namespace nacre
