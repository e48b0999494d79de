#include <optional>

#include "nacre/blocks.h"
#include "nacre/zoo.h"

namespace nacre {
namespace {

/// Inception with its kernels split into rows and columns. The auxiliary head is computed in
/// training or when its tap, "AuxLogits", is asked for.
struct InceptionV3 : Module {
  struct Config {
    int64_t channels = 3, classes = 1000;
    bool aux = true;   ///< the auxiliary head
    double width = 1;  ///< multiplies the channels inside
    double dropout = 0.5;
    void fields(FieldVisitor& v) {
      v("channels", channels);
      v("classes", classes);
      v("aux", aux);
      v("width", width);
      v("dropout", dropout);
    }
    int64_t scaled(int64_t w) const {
      return std::max<int64_t>(1, static_cast<int64_t>(static_cast<double>(w) * width));
    }
  };

  /// A convolution of a branch. Kernels of stride 2 are not padded. `beside`: reads what the one
  /// before it reads, and their outputs are put together.
  struct Unit {
    const char* name;
    int64_t out;
    Ints kernel = {1, 1};
    int64_t stride = 1;
    bool beside = false;
  };
  static ConvBn::Config conv(int64_t in, const Unit& u, bool padded) {
    const Ints padding = padded ? Ints{u.kernel[0] / 2, u.kernel[1] / 2} : Ints{0, 0};
    return {in, u.out, u.kernel, u.stride, 1, relu, 1e-3, 0.1, padding, "conv", "bn"};
  }

  struct Branch {
    enum { plain, mean_pool, max_pool } pool;
    std::vector<Unit> units;
  };

  struct Mixed : Module {
    Mixed(const Scope& s, const Config& c, int64_t in, std::vector<Branch> list)
        : Module(s), branches(std::move(list)) {
      for (Branch& b : branches) {
        int64_t from = in, before = in;
        out += b.units.empty() ? in : 0;
        for (Unit& u : b.units) {
          u.out = c.scaled(u.out);
          if (u.beside) from = before;
          convs.push_back(std::make_unique<ConvBn>(s / u.name, conv(from, u, u.stride == 1)));
          before = from;
          from = u.out;
          if (&u == &b.units.back()) out += u.beside ? 2 * u.out : u.out;
        }
      }
    }
    Tensor forward(const Tensor& x, Context& ctx) override {
      Tensors parts;
      size_t next = 0;
      for (const Branch& b : branches) {
        Tensor y = b.pool == Branch::mean_pool  ? avg_pool2d(x, 3, {.stride = 1, .padding = 1})
                   : b.pool == Branch::max_pool ? max_pool2d(x, 3, {.stride = 2})[0]
                                                : x;
        Tensor before = y;
        for (const Unit& u : b.units) {
          if (u.beside) parts.push_back(y);
          const Tensor from = u.beside ? before : y;
          before = from;
          y = (*convs[next++])(from, ctx);
        }
        parts.push_back(y);
      }
      return concat(parts, 1);
    }
    std::vector<Branch> branches;
    std::vector<std::unique_ptr<ConvBn>> convs;
    int64_t out = 0;
  };

  struct Head : Module {
    Head(const Scope& s, const Config& c, int64_t in)
        : Module(s),
          conv0(s / "conv0", conv(in, {"", 128}, false)),
          conv1(s / "conv1", conv(128, {"", 768, {5, 5}}, false)),
          fc(s / "fc", {768, c.classes}) {}
    Tensor forward(const Tensor& x, Context& ctx) override {
      const Tensor y = avg_pool2d(x, 5, {.stride = 3});
      return fc(mean(conv1(conv0(y, ctx), ctx), {2, 3}), ctx);
    }
    ConvBn conv0, conv1;
    Linear fc;
  };

  InceptionV3(const Scope& s, const Config& c)
      : Module(s), body(s), drop(s / "dropout", c.dropout) {
    int64_t in = c.channels;
    const auto stem = [&](const char* name, int64_t out, int64_t kernel, int64_t stride,
                          bool padded) {
      const Unit u{name, c.scaled(out), {kernel, kernel}, stride};
      body.add_as<ConvBn>(name, conv(in, u, padded));
      in = u.out;
    };
    const auto pool = [](const Tensor& x) { return max_pool2d(x, 3, {.stride = 2})[0]; };
    const auto mixed = [&](const char* name, std::vector<Branch> branches) {
      in = body.add_as<Mixed>(name, c, in, std::move(branches)).out;
    };
    const Ints three = {3, 3}, row7 = {1, 7}, column7 = {7, 1}, row3 = {1, 3}, column3 = {3, 1};
    stem("Conv2d_1a_3x3", 32, 3, 2, false);
    stem("Conv2d_2a_3x3", 32, 3, 1, false);
    stem("Conv2d_2b_3x3", 64, 3, 1, true);
    body.add(pool);
    stem("Conv2d_3b_1x1", 80, 1, 1, true);
    stem("Conv2d_4a_3x3", 192, 3, 1, false);
    body.add(pool);
    for (const auto& [name, pooled] :
         {std::pair("Mixed_5b", 32), {"Mixed_5c", 64}, {"Mixed_5d", 64}})
      mixed(
          name,
          {{Branch::plain, {{"branch1x1", 64}}},
           {Branch::plain, {{"branch5x5_1", 48}, {"branch5x5_2", 64, {5, 5}}}},
           {Branch::plain,
            {{"branch3x3dbl_1", 64}, {"branch3x3dbl_2", 96, three}, {"branch3x3dbl_3", 96, three}}},
           {Branch::mean_pool, {{"branch_pool", pooled}}}});
    mixed("Mixed_6a", {{Branch::plain, {{"branch3x3", 384, three, 2}}},
                       {Branch::plain,
                        {{"branch3x3dbl_1", 64},
                         {"branch3x3dbl_2", 96, three},
                         {"branch3x3dbl_3", 96, three, 2}}},
                       {Branch::max_pool, {}}});
    for (const auto& [name, n] :
         {std::pair("Mixed_6b", 128), {"Mixed_6c", 160}, {"Mixed_6d", 160}, {"Mixed_6e", 192}})
      mixed(name, {{Branch::plain, {{"branch1x1", 192}}},
                   {Branch::plain,
                    {{"branch7x7_1", n}, {"branch7x7_2", n, row7}, {"branch7x7_3", 192, column7}}},
                   {Branch::plain,
                    {{"branch7x7dbl_1", n},
                     {"branch7x7dbl_2", n, column7},
                     {"branch7x7dbl_3", n, row7},
                     {"branch7x7dbl_4", n, column7},
                     {"branch7x7dbl_5", 192, row7}}},
                   {Branch::mean_pool, {{"branch_pool", 192}}}});
    before_head = body.size();
    if (c.aux) aux.emplace(s / "AuxLogits", c, in);
    mixed("Mixed_7a", {{Branch::plain, {{"branch3x3_1", 192}, {"branch3x3_2", 320, three, 2}}},
                       {Branch::plain,
                        {{"branch7x7x3_1", 192},
                         {"branch7x7x3_2", 192, row7},
                         {"branch7x7x3_3", 192, column7},
                         {"branch7x7x3_4", 192, three, 2}}},
                       {Branch::max_pool, {}}});
    for (const char* name : {"Mixed_7b", "Mixed_7c"})
      mixed(name, {{Branch::plain, {{"branch1x1", 320}}},
                   {Branch::plain,
                    {{"branch3x3_1", 384},
                     {"branch3x3_2a", 384, row3},
                     {"branch3x3_2b", 384, column3, 1, true}}},
                   {Branch::plain,
                    {{"branch3x3dbl_1", 448},
                     {"branch3x3dbl_2", 384, three},
                     {"branch3x3dbl_3a", 384, row3},
                     {"branch3x3dbl_3b", 384, column3, 1, true}}},
                   {Branch::mean_pool, {{"branch_pool", 192}}}});
    fc.emplace(s / "fc", Linear::Config{in, c.classes});
  }
  Tensor forward(const Tensor& x, Context& ctx) override {
    Tensor y = x;
    for (size_t k = 0; k < body.size(); ++k) {
      if (k == before_head && aux && (ctx.training() || ctx.taps.contains("AuxLogits")))
        (*aux)(y, ctx);
      y = body[k](y, ctx);
    }
    return (*fc)(drop(mean(y, {2, 3}), ctx), ctx);
  }
  Sequential body;
  Dropout drop;
  size_t before_head = 0;
  std::optional<Head> aux;
  std::optional<Linear> fc;
};

}  // namespace

MODEL(inception_v3) = {
    .name = "inception_v3",
    .summary = "Inception modules whose large kernels are split into rows and columns.",
    .paper = "Szegedy, Vanhoucke, Ioffe, Shlens and Wojna, Rethinking Inception, 2016",
    .config = attr_type<InceptionV3::Config>(),
    .make = construct<InceptionV3>,
    .input = {3, 299, 299},
    .parameters = 27161264,
    .macs = 5713216096,
    .tiny = "width=0.0625 aux=false dropout=0",
    .tiny_input = {3, 75, 75},
};

}  // namespace nacre
