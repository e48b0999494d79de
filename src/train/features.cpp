#include <algorithm>
#include <cstring>

#include "base/signals.h"
#include "nacre/data.h"
#include "nacre/transfer.h"

namespace nacre {
namespace {

RawTensor array(DType dtype, Shape shape, const void* values) {
  RawTensor raw{dtype, std::move(shape), nullptr, nullptr};
  auto bytes = std::make_shared<std::vector<char>>(raw.bytes());
  if (!bytes->empty()) std::memcpy(bytes->data(), values, bytes->size());
  raw.data = bytes->data();
  raw.owner = bytes;
  return raw;
}

}  // namespace

std::vector<NamedTensor> extract_features(Module& net, const DatasetPtr& data,
                                          const Transform& transform,
                                          const std::vector<std::string>& layers, bool pool,
                                          int64_t batch, int workers) {
  if (!data || data->size() == 0)
    fail(Error::Kind::data, {"there are no samples to take features of"});
  if (layers.empty()) fail(Error::Kind::usage, {"no layer is named whose outputs are wanted"});
  NoGrad guard;
  std::vector<std::vector<float>> values(layers.size());
  std::vector<Shape> shapes(layers.size());
  std::vector<int64_t> labels;
  DataLoader loader(data, transform, sequential(data->size()),
                    {.batch = batch, .workers = workers, .training = false});
  loader.start(0);
  while (const auto b = loader.next()) {
    check_stop();
    Context ctx = Context::eval();
    for (const std::string& layer : layers) ctx.taps[layer] = {};
    std::vector<std::string> reached;
    if (values[0].empty())
      ctx.hook = [&](const std::string& path, const Tensor&) {
        if (!path.empty() && std::find(reached.begin(), reached.end(), path) == reached.end())
          reached.push_back(path);
        return Tensor();
      };
    net(Tensor::from(b->x, b->shape), ctx);
    Tensors outputs;
    for (const std::string& layer : layers) {
      Tensor y = ctx.taps[layer];
      if (!y.defined()) {
        std::string known;
        for (size_t i = 0; i < reached.size() && i < 40; ++i) known += (i ? ", " : "") + reached[i];
        fail(Error::Kind::usage, {"the model has no layer '", layer, "'; it has ", known,
                                  reached.size() > 40 ? ", ..." : ""});
      }
      if (pool && y.rank() > 2) {
        Ints positions;
        for (int64_t d = 2; d < y.rank(); ++d) positions.push_back(d);
        y = mean(y, positions);
      }
      outputs.push_back(cast(y, DType::f32));
    }
    eval(outputs);
    for (size_t k = 0; k < layers.size(); ++k) {
      const std::vector<float> part = outputs[k].to_vector<float>();
      shapes[k] = outputs[k].shape();
      if (shapes[k].rank() == 0 || shapes[k][0] != b->size())
        fail(Error::Kind::usage, {"the output of layer '", layers[k], "' has the shape ", shapes[k],
                                  ", which is not one part for each of ", b->size(), " samples"});
      values[k].insert(values[k].end(), part.begin(), part.end());
    }
    labels.insert(labels.end(), b->labels.begin(), b->labels.end());
  }
  std::vector<NamedTensor> list;
  for (size_t k = 0; k < layers.size(); ++k) {
    shapes[k][0] = data->size();
    list.emplace_back(layers[k], array(DType::f32, shapes[k], values[k].data()));
  }
  if (!labels.empty())
    list.emplace_back("labels", array(DType::i64, {data->size()}, labels.data()));
  return list;
}

}  // namespace nacre
