#include "nacre/blocks.h"
#include "nacre/zoo.h"

namespace nacre {
namespace {

/// Attention within windows that shift from layer to layer, over maps that shrink from stage to
/// stage. Between layers pictures are NxHxWxC.
struct Swin : Module {
  struct Config {
    int64_t channels = 3, classes = 1000;
    Ints layers = {2, 2, 6, 2}, heads = {3, 6, 12, 24};  ///< of each stage
    int64_t width = 96;                                  ///< of the first stage
    int64_t patch = 4, window = 7;
    double drop_path = 0.2;
    void fields(FieldVisitor& v) {
      v("channels", channels);
      v("classes", classes);
      v("layers", layers);
      v("heads", heads);
      v("width", width);
      v("patch", patch);
      v("window", window);
      v("drop_path", drop_path);
    }
  };
  static Linear::Config linear(int64_t in, int64_t out, bool bias = true) {
    return {in, out, bias, init::truncated_normal(0, 0.02)};
  }

  struct Attention : Module {
    Attention(const Scope& s, int64_t width, int64_t heads, int64_t window, bool shifted)
        : Module(s),
          heads(heads),
          window(window),
          shift(shifted ? window / 2 : 0),
          table(s.parameter("relative_position_bias_table",
                            {(2 * window - 1) * (2 * window - 1), heads},
                            init::truncated_normal(0, 0.02))),
          qkv(s / "qkv", linear(width, 3 * width)),
          proj(s / "proj", linear(width, width)) {}

    Tensor forward(const Tensor& input, Context& ctx) override {
      const int64_t n = input.size(0), h = input.size(1), w = input.size(2), c = input.size(3);
      const int64_t rows = (h + window - 1) / window, columns = (w + window - 1) / window;
      const Tensor x = pad(input, {0, 0, 0}, {rows * window - h, columns * window - w, 0});
      // A map of one window is not shifted.
      const int64_t down = rows > 1 ? shift : 0, right = columns > 1 ? shift : 0;
      const Tensor rolled = down + right ? roll(x, {-down, -right}, {1, 2}) : x;
      const int64_t area = window * window;
      Tensor windows = reshape(rolled, {n, rows, window, columns, window, c});
      windows = reshape(permute(windows, {0, 1, 3, 2, 4, 5}), {n, rows * columns, area, c});
      const Tensor heads_first =
          permute(reshape(qkv(windows, ctx), {n * rows * columns, area, 3, heads, c / heads}),
                  {2, 0, 3, 1, 4});
      const auto part = [&](int64_t k) {
        return reshape(select(heads_first, 0, k), {n, rows * columns, heads, area, c / heads});
      };
      Tensor mask = position_bias();
      if (down + right) mask = mask + seams(rows, columns, down, right);
      const Tensor y = scaled_dot_product_attention(part(0), part(1), part(2), mask);
      Tensor z = proj(reshape(permute(y, {0, 1, 3, 2, 4}), {n, rows * columns, area, c}), ctx);
      z = permute(reshape(z, {n, rows, columns, window, window, c}), {0, 1, 3, 2, 4, 5});
      z = reshape(z, {n, rows * window, columns * window, c});
      if (down + right) z = roll(z, {down, right}, {1, 2});
      return slice(slice(z, 1, 0, h), 2, 0, w);
    }
    /// 1 x 1 x heads x area x area: a learned number for each offset between two positions.
    Tensor position_bias() const {
      const int64_t area = window * window;
      std::vector<int64_t> index;
      for (int64_t i = 0; i < area; ++i)
        for (int64_t j = 0; j < area; ++j)
          index.push_back((i / window - j / window + window - 1) * (2 * window - 1) + i % window -
                          j % window + window - 1);
      const Tensor bias = index_select(table.value(), 0, Tensor::from(index, {area * area}));
      return reshape(permute(reshape(bias, {area, area, heads}), {2, 0, 1}),
                     {1, 1, heads, area, area});
    }
    /// 1 x windows x 1 x area x area: -100 between parts of a window that come from opposite sides
    /// of the picture.
    Tensor seams(int64_t rows, int64_t columns, int64_t down, int64_t right) const {
      const int64_t area = window * window;
      const auto band = [&](int64_t at, int64_t count, int64_t moved) {
        return at < (count - 1) * window ? 0 : at < count * window - moved ? 1 : 2;
      };
      std::vector<int64_t> region;
      for (int64_t k = 0; k < rows * columns; ++k)
        for (int64_t i = 0; i < area; ++i)
          region.push_back(3 * band(k / columns * window + i / window, rows, down) +
                           band(k % columns * window + i % window, columns, right));
      const Tensor of = Tensor::from(region, {1, rows * columns, 1, area});
      return where(eq(unsqueeze(of, 4), unsqueeze(of, 3)), 0.0, -100.0);
    }
    int64_t heads, window, shift;
    Variable table;
    Linear qkv, proj;
  };

  struct Block : Module {
    Block(const Scope& s, const Config& c, int64_t width, int64_t heads, bool shifted, double drop)
        : Module(s),
          norm1(s / "norm1", {{width}}),
          attn(s / "attn", width, heads, c.window, shifted),
          norm2(s / "norm2", {{width}}),
          mlp(s / "mlp"),
          path(s / "stochastic_depth", drop) {
      mlp.add<Linear>(Linear::Config{width, 4 * width, true, init::xavier_uniform()});
      mlp.add([](const Tensor& x) { return gelu(x); });
      mlp.add<Dropout>(0.0);
      mlp.add<Linear>(Linear::Config{4 * width, width, true, init::xavier_uniform()});
    }
    Tensor forward(const Tensor& x, Context& ctx) override {
      const Tensor y = x + path(attn(norm1(x, ctx), ctx), ctx);
      return y + path(mlp(norm2(y, ctx), ctx), ctx);
    }
    LayerNorm norm1;
    Attention attn;
    LayerNorm norm2;
    Sequential mlp;
    DropPath path;
  };

  /// Puts four neighbours together and halves their channels.
  struct Merge : Module {
    Merge(const Scope& s, int64_t width)
        : Module(s),
          reduction(s / "reduction", linear(4 * width, 2 * width, false)),
          norm(s / "norm", {{4 * width}}) {}
    Tensor forward(const Tensor& input, Context& ctx) override {
      const Tensor x = pad(input, {0, 0, 0}, {input.size(1) % 2, input.size(2) % 2, 0});
      Tensors corners;
      for (int64_t right : {0, 1})
        for (int64_t down : {0, 1})
          corners.push_back(slice(slice(x, 1, down, INT64_MAX, 2), 2, right, INT64_MAX, 2));
      return reduction(norm(concat(corners, 3), ctx), ctx);
    }
    Linear reduction;
    LayerNorm norm;
  };

  Swin(const Scope& s, const Config& c)
      : Module(s),
        features(s / "features"),
        norm(s / "norm", {{c.width << (c.layers.rank() - 1)}}),
        head(s / "head", linear(c.width << (c.layers.rank() - 1), c.classes)) {
    for (int64_t k = 0; k < c.layers.rank(); ++k)
      if (c.window < 1 || c.heads[k] < 1 || (c.width << k) % c.heads[k])
        fail(Error::Kind::usage,
             {"windows should be at least 1 wide and heads divide the width, got ", c.window,
              ", and ", c.heads[k], " for ", c.width << k});
    double all = 0, done = 0;
    for (int64_t n : c.layers) all += static_cast<double>(n);
    auto& stem = features.add<Sequential>();
    stem.add<Conv2d>(ConvConfig{c.channels, c.width, c.patch, c.patch});
    stem.add([](const Tensor& x) { return permute(x, {0, 2, 3, 1}); });
    stem.add<LayerNorm>(LayerNorm::Config{{c.width}});
    for (int64_t k = 0; k < c.layers.rank(); ++k) {
      if (k) features.add<Merge>(c.width << (k - 1));
      auto& stage = features.add<Sequential>();
      for (int64_t i = 0; i < c.layers[k]; ++i)
        stage.add<Block>(c, c.width << k, c.heads[k], i % 2 == 1, c.drop_path * done++ / (all - 1));
    }
  }
  Tensor forward(const Tensor& x, Context& ctx) override {
    return head(mean(norm(features(x, ctx), ctx), {1, 2}), ctx);
  }
  Sequential features;
  LayerNorm norm;
  Linear head;
};

ModelEntry swin_entry(const char* name, const char* options, int64_t parameters, int64_t macs) {
  return {.name = name,
          .summary = "A transformer whose windows of attention shift from layer to layer.",
          .paper = "Liu, Lin, Cao, Hu, Wei, Zhang, Lin and Guo, Swin transformer, 2021",
          .config = attr_type<Swin::Config>(),
          .make = construct<Swin>,
          .options = options,
          .input = {3, 224, 224},
          .parameters = parameters,
          .macs = macs,
          .tiny = "layers=2-1 heads=2-2 width=8 patch=2 window=2 drop_path=0",
          .tiny_input = {3, 8, 8},
          .settings = "lr=0.0005 weight_decay=0.05"};
}

}  // namespace

// clang-format off
MODEL(swin_t) = swin_entry("swin_t", "", 28288354, 4490566656);
MODEL(swin_s) = swin_entry("swin_s", "layers=2-2-18-2 drop_path=0.3", 49606258, 8740875264);
MODEL(swin_b) = swin_entry("swin_b", "layers=2-2-18-2 heads=4-8-16-32 width=128 drop_path=0.5", 87768224, 15430946816);
// clang-format on

}  // namespace nacre
