#include "nacre/blocks.h"
#include "nacre/zoo.h"

namespace nacre {
namespace {

/// Capsules: vectors whose length says that something is there and whose direction says how; each
/// sends its vector to the capsules above that agree with it.
struct CapsNet : Module {
  struct Config {
    int64_t channels = 1, classes = 10;
    int64_t side = 28;      ///< of the picture
    int64_t width = 256;    ///< channels of the first convolution
    int64_t capsules = 32;  ///< kinds of primary capsules
    int64_t routing = 3;    ///< rounds of routing
    bool decoder = true;    ///< draws the picture again from the winning capsule
    void fields(FieldVisitor& v) {
      v("channels", channels);
      v("classes", classes);
      v("side", side);
      v("width", width);
      v("capsules", capsules);
      v("routing", routing);
      v("decoder", decoder);
    }
    int64_t positions() const { return (side - 16) / 2 * ((side - 16) / 2); }
  };
  static constexpr int64_t kIn = 8, kOut = 16;  // sizes of the two kinds of capsules

  /// Shortens vectors (the last dimension) to lengths below 1: |s|^2 / (1 + |s|^2).
  static Tensor squash(const Tensor& s) {
    const Tensor square_length = sum(square(s), {-1}, true) + 1e-9;
    return s * (sqrt(square_length) / (1 + square_length));
  }

  /// From N x inputs x 8 to N x classes x 16, before squashing. The coupling coefficients of the
  /// last round, N x inputs x classes, are at tap "digits.couplings".
  struct Routing : Module {
    Routing(const Scope& s, const Config& c)
        : Module(s),
          rounds(c.routing),
          weight(s.parameter("weight", {c.positions() * c.capsules, c.classes, kIn, kOut},
                             init::normal(0, 0.1))),
          couplings(s / "couplings", [](const Tensor& x, Context&) { return softmax(x, 2); }) {}
    Tensor forward(const Tensor& x, Context& ctx) override {
      const Tensor votes = einsum("nik,icko->nico", {x, weight.value()});
      Tensor logits = zeros({x.size(0), x.size(1), weight.value().size(1)}, x.dtype()), s;
      for (int64_t round = 0; round < rounds; ++round) {
        const Tensor shares = unsqueeze(couplings(logits, ctx), 3);
        s = sum(votes * shares, {1});
        if (round + 1 < rounds) logits = logits + sum(votes * unsqueeze(squash(s), 1), {3});
      }
      return s;
    }
    int64_t rounds;
    Variable weight;
    Lambda couplings;
  };

  CapsNet(const Scope& s, const Config& c)
      : Module(s),
        config(c),
        conv1(s / "conv1", {c.channels, c.width, 9}),
        primary(s / "primary", {c.width, c.capsules * kIn, 9, 2}),
        digits(s / "digits", c),
        decoder(s / "decoder") {
    if (c.side < 20 || c.side % 2)
      fail(Error::Kind::usage,
           {"the side of a picture should be even and at least 20, got ", c.side});
    if (c.routing < 1) fail(Error::Kind::usage, {"routing should be at least 1, got ", c.routing});
    if (!c.decoder) return;
    decoder.add<Linear>(Linear::Config{kOut * c.classes, 512});
    decoder.add(relu);
    decoder.add<Linear>(Linear::Config{512, 1024});
    decoder.add(relu);
    decoder.add<Linear>(Linear::Config{1024, c.channels * c.side * c.side});
    decoder.add(sigmoid);
  }
  /// Scores: the sigmoid of a score is the length of its capsule, |v| = |s|^2 / (1 + |s|^2). If tap
  /// "decoder" is asked for, the picture is drawn again from the longest capsule alone.
  Tensor forward(const Tensor& x, Context& ctx) override {
    const Tensor y = primary(relu(conv1(x, ctx)), ctx);
    const int64_t n = x.size(0);
    const Tensor grouped = reshape(y, {n, config.capsules, kIn, y.size(2) * y.size(3)});
    const Tensor capsules = squash(reshape(transpose(grouped, 2, 3), {n, -1, kIn}));
    const Tensor s = digits(capsules, ctx);
    const Tensor scores = log(sum(square(s), {2}) + 1e-9);
    if (ctx.taps.contains("decoder") && decoder.size())
      redraw(s, one_hot(argmax(scores, 1), config.classes), ctx);
    return scores;
  }
  /// The pictures that the capsules chosen by a one-hot N x classes stand for, flat.
  Tensor redraw(const Tensor& s, const Tensor& chosen, Context& ctx) {
    return decoder(flatten(squash(s) * unsqueeze(chosen, 2), 1), ctx);
  }
  Config config;
  Conv2d conv1, primary;
  Routing digits;
  Sequential decoder;
};

}  // namespace

MODEL(capsnet) = {
    .name = "capsnet",
    .summary = "Capsules that route their vectors to where they agree, and a decoder.",
    .paper = "Sabour, Frosst and Hinton, Dynamic routing between capsules, 2017",
    .config = attr_type<CapsNet::Config>(),
    .make = construct<CapsNet>,
    .input = {1, 28, 28},
    .parameters = 8215568,
    .macs = 200871936,
    .tiny = "side=20 width=4 capsules=2 decoder=false",
    .tiny_input = {1, 20, 20},
    .settings = "loss=margin optimizer=adam weight_decay=0",
};

}  // namespace nacre
