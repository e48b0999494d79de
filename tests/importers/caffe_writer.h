// Caffe's files for networks that nacre builds itself: the published networks with known weights.
#pragma once

#include <map>
#include <string>

#include "formats/wire.h"
#include "nacre/nn.h"

namespace nacre::test {

/// A .caffemodel (NetParameter of caffe.proto) with a layer for each "name.weight" and "name.bias".
inline std::string caffemodel(const Module& net) {
  std::map<std::string, WireWriter> layers;
  for (const char* part : {".weight", ".bias"})  // in the order that Caffe has
    for (const Variable& v : net.variables()) {
      if (!v.name().ends_with(part)) continue;
      const Tensor value = v.value();
      WireWriter shape, blob;
      shape.integers(1, std::vector<int64_t>(value.shape().begin(), value.shape().end()));
      blob.message(7, shape);
      blob.reals(5, value.to_vector<float>());
      layers[v.name().substr(0, v.name().size() - std::string_view(part).size())].message(7, blob);
    }
  WireWriter model;
  for (const auto& [name, blobs] : layers) {
    WireWriter layer;
    layer.bytes(1, name);
    model.bytes(100, layer.str() + blobs.str());
  }
  return model.str();
}

/// The layers of BVLC's reference_caffenet/deploy.prototxt, with these widths.
inline std::string caffenet_prototxt(int64_t side, int64_t width, int64_t hidden, int64_t classes) {
  std::string bottom = "data", text = cat({"name: 'CaffeNet' layer { name: 'data' type: 'Input' "
                                           "top: 'data' input_param { shape: { dim: 1 dim: 3 dim: ",
                                           side, " dim: ", side, " } } }\n"});
  const auto layer = [&](const std::string& name, const char* type, const std::string& options,
                         bool in_place = false) {
    const std::string top = in_place ? bottom : name;
    text += cat({"layer { name: '", name, "' type: '", type, "' bottom: '", bottom, "' top: '", top,
                 "' ", options, " }\n"});
    bottom = top;
  };
  const auto conv = [&](int k, int64_t outputs, int kernel, const std::string& more) {
    layer(cat({"conv", k}), "Convolution",
          cat({"convolution_param { num_output: ", outputs, " kernel_size: ", kernel, " ", more,
               " }"}));
    layer(cat({"relu", k}), "ReLU", "", true);
  };
  const auto pool = [&](int k) {
    layer(cat({"pool", k}), "Pooling", "pooling_param { pool: MAX kernel_size: 3 stride: 2 }");
  };
  const auto norm = [&](int k) {
    layer(cat({"norm", k}), "LRN", "lrn_param { local_size: 5 alpha: 0.0001 beta: 0.75 }");
  };
  conv(1, width, 11, "stride: 4");
  norm(1);
  pool(1);
  conv(2, 8 * width / 3, 5, "pad: 2 group: 2");
  norm(2);
  pool(2);
  conv(3, 4 * width, 3, "pad: 1");
  conv(4, 4 * width, 3, "pad: 1 group: 2");
  conv(5, 8 * width / 3, 3, "pad: 1 group: 2");
  pool(5);
  for (const int k : {6, 7}) {
    layer(cat({"fc", k}), "InnerProduct",
          cat({"inner_product_param { num_output: ", hidden, " }"}));
    layer(cat({"relu", k}), "ReLU", "", true);
    layer(cat({"drop", k}), "Dropout", "dropout_param { dropout_ratio: 0.5 }", true);
  }
  layer("fc8", "InnerProduct", cat({"inner_product_param { num_output: ", classes, " }"}));
  return text;
}

}  // namespace nacre::test
