// Pictures as the tensor that a network takes.
#include <algorithm>
#include <cmath>

#include "nacre/error.h"
#include "nacre/vision.h"

namespace nacre {
namespace {

Image fitted(const Image& image, const BlobOptions& o) {
  const int w = o.width > 0 ? o.width : image.width, h = o.height > 0 ? o.height : image.height;
  if (image.width == w && image.height == h) return image;
  if (!o.crop) return resize(image, w, h, Resample::bilinear, false);
  const double factor = std::max(double(w) / image.width, double(h) / image.height);
  if (factor * std::max(image.width, image.height) > 65500)
    fail(Error::Kind::memory, {"[blob] a picture of ", image.width, "x", image.height,
                               " would have to become ", factor, " times as large"});
  Sample s;
  s.image = resize(image, std::max(w, static_cast<int>(image.width * factor)),
                   std::max(h, static_cast<int>(image.height * factor)), Resample::bilinear, false);
  crop(s, (s.image.width - w) / 2, (s.image.height - h) / 2, w, h);
  return s.image;
}

}  // namespace

Tensor blob(std::span<const Image> pictures, const BlobOptions& o) {
  if (pictures.empty()) fail(Error::Kind::usage, {"[blob] there are no pictures"});
  if (std::min(o.width, o.height) < 0 || std::max(o.width, o.height) > 65500)
    fail(Error::Kind::usage,
         {"[blob] width and height are from 0 to 65500, not ", o.width, " and ", o.height});
  std::vector<float> values;
  Shape shape;
  for (const Image& picture : pictures) {
    if (picture.empty()) fail(Error::Kind::shape, {"[blob] a picture is empty"});
    const Image image = fitted(picture, o);
    const Shape got = {static_cast<int64_t>(pictures.size()), image.channels, image.height,
                       image.width};
    if (shape.empty()) shape = got;
    if (shape != got)
      fail(Error::Kind::shape, {"[blob] pictures of one size and as many channels are needed: one "
                                "has ",
                                got.slice(1, 4), ", the first ", shape.slice(1, 4)});
    const auto n = static_cast<size_t>(image.channels);
    if (o.mean.size() > 1 && o.mean.size() != n)
      fail(Error::Kind::usage,
           {"[blob] the mean has ", o.mean.size(), " values, the pictures ", n, " channels"});
    for (size_t c = 0; c < n; ++c) {
      const size_t from = o.swap && n >= 3 && c < 3 ? 2 - c : c;
      const float mean = o.mean.empty() ? 0 : o.mean[o.mean.size() == 1 ? 0 : c];
      for (size_t i = from; i < image.pixels.size(); i += n)
        values.push_back((image.pixels[i] - mean) * o.scale);
    }
  }
  return Tensor::from(values, shape);
}

}  // namespace nacre
