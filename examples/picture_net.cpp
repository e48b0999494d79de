// A picture through a network of another framework: read, turned into what the network takes, run,
// and its best class written onto it.
//
//   picture_net net.onnx picture.png labelled.png
#include <algorithm>
#include <cstdio>

#include "nacre/error.h"
#include "nacre/onnx.h"
#include "nacre/vision.h"

using namespace nacre;

int main(int argc, char** argv) try {
  if (argc != 4) {
    std::fprintf(stderr, "usage: %s net.onnx picture.png labelled.png\n", argv[0]);
    return 2;
  }
  const auto net = onnx::load(argv[1]);
  Image picture = to_channels(read_image(argv[2]), 3);
  const auto& in = net->inputs().at(0).type.dims;  // 1 x 3 x height x width
  const Tensor x = blob({&picture, 1}, {.width = static_cast<int>(in.at(3)),
                                        .height = static_cast<int>(in.at(2)),
                                        .mean = {0.485f, 0.456f, 0.406f}});
  Context ctx = Context::eval();
  const auto y = (*net)(x, ctx).to_vector<float>();
  const auto best = std::max_element(y.begin(), y.end()) - y.begin();
  const std::string label = cat({"class ", best});
  draw_rectangle(picture, 0, 0, 6 * static_cast<int>(label.size()) + 3, 11, kBlack, 0);
  draw_text(picture, 2, 2, label, kWhite);
  write_png(argv[3], picture);
  std::printf("%s, score %.3f\n", label.c_str(), static_cast<double>(y[static_cast<size_t>(best)]));
} catch (const Error& e) {
  std::fprintf(stderr, "error: %s\n", e.what());
  return 1;
}
