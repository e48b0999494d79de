#include <algorithm>

#include "base/signals.h"
#include "explain/scores.h"
#include "explain/units.h"

namespace nacre::explain {

void for_maps(Module& net, const DatasetPtr& data, const Transform& transform,
              const std::string& layer,
              const std::function<void(const Tensor&, const Batch&)>& see) {
  NoGrad guard;
  LoaderOptions options;
  options.batch = 32;
  options.training = false;
  DataLoader loader(data, transform, sequential(data->size()), options);
  loader.start(0);
  for (auto batch = loader.next(); batch; batch = loader.next()) {
    check_stop();
    see(tap(net, Tensor::from(batch->x, batch->shape), layer).maps, *batch);
  }
}

std::vector<std::vector<TopActivation>> top_activations(Module& net, const DatasetPtr& data,
                                                        const Transform& transform,
                                                        const std::string& layer, int64_t count) {
  if (count < 1)
    fail(Error::Kind::usage, {"[top_activations] count is ", count, ", at least 1 is needed"});
  std::vector<std::vector<TopActivation>> best;
  for_maps(net, data, transform, layer, [&](const Tensor& maps, const Batch& batch) {
    const int64_t channels = maps.size(1), w = maps.size(3), plane = maps.size(2) * w;
    best.resize(static_cast<size_t>(channels));
    const auto v = maps.to_vector<float>();
    for (int64_t i = 0; i < maps.size(0); ++i)
      for (int64_t c = 0; c < channels; ++c) {
        const auto from = v.begin() + (i * channels + c) * plane;
        const auto peak = std::max_element(from, from + plane);
        const int64_t at = peak - from;
        const TopActivation t{batch.indices[static_cast<size_t>(i)], *peak, at % w, at / w};
        auto& list = best[static_cast<size_t>(c)];
        const auto place =
            std::upper_bound(list.begin(), list.end(), t,
                             [](const auto& a, const auto& b) { return a.value > b.value; });
        list.insert(place, t);
        if (static_cast<int64_t>(list.size()) > count) list.pop_back();
      }
  });
  return best;
}

}  // namespace nacre::explain
