#include "nacre/blocks.h"
#include "nacre/complex.h"
#include "nacre/zoo.h"

namespace nacre {
namespace {

/// A residual network of complex numbers. Of real pictures it learns the imaginary parts; where a
/// picture is complex (radar, spectra), real channels come first, then imaginary ones.
struct ComplexResNet : Module {
  struct Config {
    int64_t channels = 3, classes = 10;
    bool complex_input = false;  ///< half of the channels are imaginary parts
    int64_t blocks = 16;         ///< of the first stage; one fewer of equal size in the others
    int64_t width = 12;          ///< complex channels of the first stage
    bool modrelu = false;        ///< instead of ReLU of both parts
    void fields(FieldVisitor& v) {
      v("channels", channels);
      v("classes", classes);
      v("complex_input", complex_input);
      v("blocks", blocks);
      v("width", width);
      v("modrelu", modrelu);
    }
    int64_t in() const {
      if (complex_input && channels % 2)
        fail(Error::Kind::usage,
             {"complex pictures have real and imaginary channels, an even number, got ", channels});
      return complex_input ? channels / 2 : channels;
    }
  };

  static void add_act(Sequential& to, const Config& c, int64_t channels, const char* name) {
    if (c.modrelu)
      to.add_as<ModReLU>(name, channels);
    else
      to.add(relu);
  }

  struct Block : Module {
    Block(const Scope& s, const Config& c, int64_t width, bool halves)
        : Module(s), body(s), projection(s) {
      using Conv = ComplexConv2d::Config;
      body.add_as<ComplexBatchNorm>("norm1", ComplexBatchNorm::Config{width});
      add_act(body, c, width, "act1");
      body.add_as<ComplexConv2d>("conv1", Conv{width, width, 3, halves ? 2 : 1});
      body.add_as<ComplexBatchNorm>("norm2", ComplexBatchNorm::Config{width});
      add_act(body, c, width, "act2");
      body.add_as<ComplexConv2d>("conv2", Conv{width, width, 3});
      if (halves) projection.add_as<ComplexConv2d>("projection", Conv{width, width, 1, 2});
    }
    Tensor forward(const Tensor& x, Context& ctx) override {
      const Tensor y = body.forward(x, ctx);
      if (!projection.size()) return x + y;
      const Tensor z = projection.forward(x, ctx);
      return complex_map(concat({real_part(z), real_part(y)}, 1),
                         concat({imag_part(z), imag_part(y)}, 1));
    }
    Sequential body, projection;
  };

  ComplexResNet(const Scope& s, const Config& c)
      : Module(s),
        config(c),
        imaginary(s / "imaginary"),
        stem(s / "stem"),
        stages(s),
        fc(s / "fc", {8 * c.width, c.classes}) {
    if (c.blocks < 1) fail(Error::Kind::usage, {"blocks should be at least 1, got ", c.blocks});
    const int64_t in = c.in();
    if (!c.complex_input)
      for (int k = 0; k < 2; ++k) {
        imaginary.add<BatchNorm>(BatchNorm::Config{in});
        imaginary.add(relu);
        imaginary.add<Conv2d>(conv_same(in, in, 1));
      }
    stem.add_as<ComplexConv2d>("conv", ComplexConv2d::Config{in, c.width, 3});
    stem.add_as<ComplexBatchNorm>("norm", ComplexBatchNorm::Config{c.width});
    add_act(stem, c, c.width, "act");
    for (int64_t k = 0; k < 3; ++k) {
      auto& stage = stages.add_as<Sequential>("layer" + std::to_string(k + 1));
      if (k) stage.add<Block>(c, c.width << (k - 1), true);
      for (int64_t i = k ? 1 : 0; i < c.blocks; ++i) stage.add<Block>(c, c.width << k, false);
    }
  }
  Tensor forward(const Tensor& x, Context& ctx) override {
    const Tensor z = config.complex_input ? x : complex_map(x, imaginary(x, ctx));
    return fc(mean(stages.forward(stem(z, ctx), ctx), {2, 3}), ctx);
  }
  Config config;
  Sequential imaginary, stem, stages;
  Linear fc;
};

}  // namespace

MODEL(complex_resnet) = {
    .name = "complex_resnet",
    .summary = "A residual network whose numbers are complex: convolution, normalisation and all.",
    .paper = "Trabelsi et al., Deep complex networks, 2018",
    .config = attr_type<ComplexResNet::Config>(),
    .make = construct<ComplexResNet>,
    .input = {3, 32, 32},
    .tiny = "blocks=1 width=4",
    .tiny_input = {3, 12, 12},
};

}  // namespace nacre
