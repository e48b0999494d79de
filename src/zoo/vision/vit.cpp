#include <cmath>

#include "nacre/blocks.h"
#include "nacre/zoo.h"

namespace nacre {
namespace {

/// A transformer encoder over patches of a picture.
struct Vit : Module {
  struct Config {
    int64_t channels = 3, classes = 1000;
    int64_t side = 224, patch = 16;  ///< of the picture and of a patch, in pixels
    int64_t layers = 12, heads = 12, width = 768, hidden = 3072;
    double dropout = 0;
    void fields(FieldVisitor& v) {
      v("channels", channels);
      v("classes", classes);
      v("side", side);
      v("patch", patch);
      v("layers", layers);
      v("heads", heads);
      v("width", width);
      v("hidden", hidden);
      v("dropout", dropout);
    }
  };

  struct Attention : Module {
    Attention(const Scope& s, int64_t width, int64_t n)
        : Module(s),
          heads(n),
          weight(s.parameter("in_proj_weight", {3 * width, width}, init::xavier_uniform())),
          bias(s.parameter("in_proj_bias", {3 * width}, init::zeros())),
          out(s / "out_proj", {width, width}) {}
    Tensor forward(const Tensor& x, Context&) override {
      return multi_head_attention(x, x, x, weight.value(), bias.value(), out.weight.value(),
                                  out.bias.value(), {.heads = heads});
    }
    int64_t heads;
    Variable weight, bias;
    Linear out;
  };

  struct Layer : Module {
    Layer(const Scope& s, const Config& c)
        : Module(s),
          ln_1(s / "ln_1", {{c.width}, 1e-6}),
          attention(s / "self_attention", c.width, c.heads),
          drop(s / "dropout", c.dropout),
          ln_2(s / "ln_2", {{c.width}, 1e-6}),
          mlp(s / "mlp") {
      mlp.add<Linear>(Linear::Config{c.width, c.hidden, true, init::xavier_uniform()});
      mlp.add([](const Tensor& x) { return gelu(x); });
      mlp.add<Dropout>(c.dropout);
      mlp.add<Linear>(Linear::Config{c.hidden, c.width, true, init::xavier_uniform()});
      mlp.add<Dropout>(c.dropout);
    }
    Tensor forward(const Tensor& x, Context& ctx) override {
      const Tensor y = x + drop(attention(ln_1(x, ctx), ctx), ctx);
      return y + mlp(ln_2(y, ctx), ctx);
    }
    LayerNorm ln_1;
    Attention attention;
    Dropout drop;
    LayerNorm ln_2;
    Sequential mlp;
  };

  Vit(const Scope& s, const Config& c)
      : Module(s),
        class_token(s.parameter("class_token", {1, 1, c.width}, init::zeros())),
        conv_proj(s / "conv_proj", {c.channels, c.width, c.patch, c.patch}),
        position((s / "encoder")
                     .parameter("pos_embedding", {1, tokens(c), c.width}, init::normal(0, 0.02))),
        drop(s / "encoder" / "dropout", c.dropout),
        layers(s / "encoder" / "layers"),
        ln(s / "encoder" / "ln", {{c.width}, 1e-6}),
        head(s / "heads" / "head", {c.width, c.classes}) {
    for (int64_t i = 0; i < c.layers; ++i)
      layers.add_as<Layer>("encoder_layer_" + std::to_string(i), c);
  }
  static int64_t tokens(const Config& c) {
    if (c.patch < 1 || c.side < c.patch)
      fail(Error::Kind::usage, {"a picture of ", c.side, " pixels has no patches of ", c.patch});
    return (c.side / c.patch) * (c.side / c.patch) + 1;
  }
  Tensor forward(const Tensor& x, Context& ctx) override {
    const Tensor patches = transpose(flatten(conv_proj(x, ctx), 2), 1, 2);
    const Tensor first = expand(class_token.value(), {x.size(0), 1, patches.size(2)});
    const Tensor y = drop(concat({first, patches}, 1) + position.value(), ctx);
    return head(select(ln(layers(y, ctx), ctx), 1, 0), ctx);
  }
  Variable class_token;
  Conv2d conv_proj;
  Variable position;
  Dropout drop;
  Sequential layers;
  LayerNorm ln;
  Linear head;
};

ModelEntry vit_entry(const char* name, const char* options, int64_t parameters, int64_t macs) {
  return {.name = name,
          .summary = "A transformer that reads a picture as a sequence of patches.",
          .paper = "Dosovitskiy, Beyer, Kolesnikov and others, An image is worth 16x16 words, 2021",
          .config = attr_type<Vit::Config>(),
          .make = construct<Vit>,
          .options = options,
          .input = {3, 224, 224},
          .parameters = parameters,
          .macs = macs,
          .tiny = "side=16 patch=4 layers=2 heads=2 width=16 hidden=32",
          .tiny_input = {3, 16, 16},
          .settings = "lr=0.0005 weight_decay=0.1"};
}

}  // namespace

// clang-format off
MODEL(vit_b_16) = vit_entry("vit_b_16", "", 86567656, 17563828224);
MODEL(vit_b_32) = vit_entry("vit_b_32", "patch=32", 88224232, 4409186304);
MODEL(vit_l_16) = vit_entry("vit_l_16", "layers=24 heads=16 width=1024 hidden=4096", 304326632, 61554712576);
MODEL(vit_l_32) = vit_entry("vit_l_32", "patch=32 layers=24 heads=16 width=1024 hidden=4096", 306535400, 15377539072);
// clang-format on

}  // namespace nacre
