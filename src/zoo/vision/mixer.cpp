#include "nacre/blocks.h"
#include "nacre/zoo.h"

namespace nacre {
namespace {

/// Patches mixed by full layers alone: across positions, then across channels. Names as in timm.
struct Mixer : Module {
  struct Config {
    int64_t channels = 3, classes = 1000;
    int64_t side = 224, patch = 16;  ///< of the picture and of a patch, in pixels
    int64_t layers = 12, width = 768;
    int64_t token_hidden = 384, channel_hidden = 3072;
    void fields(FieldVisitor& v) {
      v("channels", channels);
      v("classes", classes);
      v("side", side);
      v("patch", patch);
      v("layers", layers);
      v("width", width);
      v("token_hidden", token_hidden);
      v("channel_hidden", channel_hidden);
    }
  };

  struct Mlp : Module {
    Mlp(const Scope& s, int64_t width, int64_t hidden)
        : Module(s),
          fc1(s / "fc1", {width, hidden, true, init::xavier_uniform()}),
          fc2(s / "fc2", {hidden, width, true, init::xavier_uniform()}) {}
    Tensor forward(const Tensor& x, Context& ctx) override { return fc2(gelu(fc1(x, ctx)), ctx); }
    Linear fc1, fc2;
  };

  struct Block : Module {
    Block(const Scope& s, const Config& c, int64_t tokens)
        : Module(s),
          norm1(s / "norm1", {{c.width}, 1e-6}),
          mlp_tokens(s / "mlp_tokens", tokens, c.token_hidden),
          norm2(s / "norm2", {{c.width}, 1e-6}),
          mlp_channels(s / "mlp_channels", c.width, c.channel_hidden) {}
    Tensor forward(const Tensor& x, Context& ctx) override {
      const Tensor y = x + transpose(mlp_tokens(transpose(norm1(x, ctx), 1, 2), ctx), 1, 2);
      return y + mlp_channels(norm2(y, ctx), ctx);
    }
    LayerNorm norm1;
    Mlp mlp_tokens;
    LayerNorm norm2;
    Mlp mlp_channels;
  };

  Mixer(const Scope& s, const Config& c)
      : Module(s),
        stem(s / "stem" / "proj", {c.channels, c.width, c.patch, c.patch}),
        blocks(s / "blocks"),
        norm(s / "norm", {{c.width}, 1e-6}),
        head(s / "head", {c.width, c.classes}) {
    if (c.patch < 1 || c.side < c.patch)
      fail(Error::Kind::usage, {"a picture of ", c.side, " pixels has no patches of ", c.patch});
    const int64_t tokens = (c.side / c.patch) * (c.side / c.patch);
    for (int64_t i = 0; i < c.layers; ++i) blocks.add<Block>(c, tokens);
  }
  Tensor forward(const Tensor& x, Context& ctx) override {
    const Tensor patches = transpose(flatten(stem(x, ctx), 2), 1, 2);
    return head(mean(norm(blocks(patches, ctx), ctx), {1}), ctx);
  }
  Conv2d stem;
  Sequential blocks;
  LayerNorm norm;
  Linear head;
};

ModelEntry mixer_entry(const char* name, const char* options, int64_t parameters, int64_t macs) {
  return {.name = name,
          .summary = "Neither convolution nor attention: full layers over positions and channels.",
          .paper = "Tolstikhin, Houlsby, Kolesnikov, Beyer and others, MLP-Mixer, 2021",
          .config = attr_type<Mixer::Config>(),
          .make = construct<Mixer>,
          .options = options,
          .input = {3, 224, 224},
          .parameters = parameters,
          .macs = macs,
          .tiny = "side=16 patch=4 layers=2 width=16 token_hidden=16 channel_hidden=32",
          .tiny_input = {3, 16, 16}};
}

}  // namespace

// clang-format off
MODEL(mixer_s32) = mixer_entry("mixer_s32", "patch=32 layers=8 width=512 token_hidden=256 channel_hidden=2048", 19104624, 1002426368);
MODEL(mixer_s16) = mixer_entry("mixer_s16", "layers=8 width=512 token_hidden=256 channel_hidden=2048", 18528264, 3776958464);
MODEL(mixer_b32) = mixer_entry("mixer_b32", "patch=32", 60293428, 3237722112);
MODEL(mixer_b16) = mixer_entry("mixer_b16", "", 59880472, 12601767936);
MODEL(mixer_l16) = mixer_entry("mixer_l16", "layers=24 width=1024 token_hidden=512 channel_hidden=4096", 208196168, 44547678208);
// clang-format on

}  // namespace nacre
