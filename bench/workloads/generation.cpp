// A Transformer decoder that makes 64 positions one by one, each from the one before, with keys and
// values kept in a cache of 128.
#include "transformer.h"

using namespace workload;

int main(int argc, char** argv) {
  return measure(argc, argv, [](const Arguments& a) {
    constexpr int64_t kSteps = 64, kPlaces = 128;
    auto net = std::make_shared<Transformer>(Scope::init(Key(0)));
    const Scope kept = Scope::init(Key(5));
    std::vector<Variable> caches;
    for (int64_t i = 0; i < 2 * kLayers; ++i)
      caches.push_back(kept.buffer("cache" + std::to_string(i),
                                   {a.batch, kHeads, kPlaces, kWidth / kHeads}, init::zeros()));
    const Tensor x = normal({a.batch, 1, kWidth}, Key(1)), places = arange(kPlaces);
    Workload w{nullptr, {{"input", x}}, net, {}};
    w.run = [=] {
      Context ctx = Context::eval();
      Tensor last = x;
      for (int64_t step = 0; step < kSteps; ++step) {
        const Tensor at = step;
        const Tensor seen = le(places, at);
        Tensor y = last;
        for (size_t i = 0; i < net->layers.size(); ++i) {
          Layer& layer = *net->layers[i];
          const Tensors p = layer.project(y, ctx);
          Variable keys = caches[2 * i], values = caches[2 * i + 1];
          keys.set(dynamic_update(keys.value(), p[1], at, 2));
          values.set(dynamic_update(values.value(), p[2], at, 2));
          y = layer.finish(
              y, scaled_dot_product_attention(p[0], keys.value(), values.value(), seen), ctx);
        }
        last = net->norm(y, ctx);
        kept.state()->commit({last});
      }
      return Tensors{last};
    };
    return w;
  });
}
