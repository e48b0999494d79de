// From the bytes of a picture file or WAV clip to what a network takes.
#pragma once

#include <string_view>
#include <vector>

#include "nacre/audio.h"
#include "nacre/error.h"
#include "nacre/runtime.h"
#include "nacre/transforms.h"

namespace nacre {

/// Throws Error(data) if the file is damaged or does not fit after the transform, and Error(usage)
/// if the network takes no pictures.
inline std::vector<float> picture_for(const Runtime& net, const Transform& transform,
                                      std::string_view bytes, std::string_view name) {
  const Shape* want = net.inputs().size() == 1 ? &net.inputs()[0].shape : nullptr;
  if (!want || want->size() != 4 || net.inputs()[0].dtype != DType::f32)
    fail(Error::Kind::usage,
         {name, ": this network takes no pictures or clips; give it tensors (.npy)"});
  Sample s = decode_sample({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}, name);
  transform.apply(s, false, Key(0));
  if (!s.audio.empty())
    fail(Error::Kind::data, {name, ": this network was not trained on clips of sound"});
  const Image& i = s.image;
  const Shape got = {i.channels, i.height, i.width}, last = {i.height, i.width, i.channels};
  if (got != want->slice(1, 4)) {
    if (last == want->slice(1, 4)) return i.pixels;
    fail(Error::Kind::data, {name, " has the shape ", got,
                             " after the transform, the network takes ", want->slice(1, 4)});
  }
  std::vector<float> planes;
  planes.reserve(i.pixels.size());
  for (int c = 0; c < i.channels; ++c)
    for (size_t at = static_cast<size_t>(c); at < i.pixels.size();
         at += static_cast<size_t>(i.channels))
      planes.push_back(i.pixels[at]);
  return planes;
}

}  // namespace nacre
