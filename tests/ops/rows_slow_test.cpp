// What ops do for training: attention against none, batch normalisation against none, skip
// connections against none, each on the same net and data.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <functional>
#include <sstream>

#include "nacre/autograd.h"
#include "nacre/nn.h"
#include "nacre/ops.h"
#include "nacre/optim.h"

namespace nacre {
namespace {

/// Updates from one loss.
double step(const Tensor& loss, const std::vector<Variable>& parameters, Optimizer& optimizer,
            const std::shared_ptr<State>& state, Context& ctx) {
  optimizer.step(grad(loss, values(parameters)));
  ctx.commit();
  State* states[] = {state.get(), optimizer.state().get()};
  State::commit(states, {loss});
  return loss.item();
}

// ---- attention

constexpr int64_t kLength = 40, kTokens = 8, kWidth = 32;

/// Encoder and decoder of gated recurrent units for sequences of kLength tokens; the decoder sees
/// the token before the one it writes, and, with attention, all states of the encoder, each with
/// its position.
class Seq2Seq {
 public:
  explicit Seq2Seq(bool attention)
      : scope_(Scope::init(Key(5))),
        attention_(attention),
        in_(scope_.parameter("in", {kTokens, kWidth}, init::normal())),
        out_(scope_.parameter("out", {kTokens + 1, kWidth}, init::normal())),
        at_in_(scope_.parameter("at_in", {kLength, kWidth}, init::normal())),
        at_out_(scope_.parameter("at_out", {kLength, kWidth}, init::normal())),
        query_(scope_ / "query", {kWidth, kWidth}),
        key_(scope_ / "key", {kWidth, kWidth}),
        value_(scope_ / "value", {kWidth, kWidth}),
        last_(scope_ / "last", {2 * kWidth, kTokens}) {
    for (const char* side : {"encoder", "decoder"})
      for (const auto& [name, shape] :
           std::vector<std::pair<std::string, Shape>>{{"w_ih", {3 * kWidth, kWidth}},
                                                      {"w_hh", {3 * kWidth, kWidth}},
                                                      {"b_ih", {3 * kWidth}},
                                                      {"b_hh", {3 * kWidth}}})
        cells_.push_back((scope_ / side).parameter(name, shape, init::uniform(-0.18, 0.18)));
    optimizer_ = make_optimizer("adam", parameters(), 5e-3);
  }
  std::vector<Variable> parameters() const { return scope_.state()->variables(); }

  /// Scores [N, T, tokens] for source [N, T]; before: the target moved on by one.
  Tensor scores(const Tensor& source, const Tensor& before, Context& ctx) const {
    const auto part = [&](size_t from) {
      Tensors w;
      for (size_t i = 0; i < 4; ++i) w.push_back(cells_[from + i].value());
      return w;
    };
    const Tensor x = transpose(embedding(in_.value(), source), 0, 1);
    const Tensors encoded = gru(x, part(0));
    const Tensor y = transpose(embedding(out_.value(), before), 0, 1);
    const Tensor decoded = gru(y, part(4), {}, encoded[1])[0];
    const Tensor states = transpose(encoded[0], 0, 1), own = transpose(decoded, 0, 1);
    Tensor found = zeros_like(own);
    if (attention_)
      found = scaled_dot_product_attention(query_(own + at_out_.value(), ctx),
                                           key_(states + at_in_.value(), ctx), value_(states, ctx));
    return last_(concat({own, found}, 2), ctx);
  }

  /// Trains on random sequences; the share of tokens that are right on others.
  double accuracy(int64_t steps) {
    const auto batch = [](int64_t n, uint64_t seed) {
      const Tensor s = cast(floor(uniform({n, kLength}, Key(seed)) * double{kTokens}), DType::i64);
      const Tensor target = flip(s, {1});
      const Tensor before =
          concat({full({n, 1}, kTokens, DType::i64), narrow(target, 1, 0, kLength - 1)}, 1);
      eval({s, target, before});
      return Tensors{s, target, before};
    };
    for (int64_t i = 0; i < steps; ++i) {
      const Tensors b = batch(32, 100 + static_cast<uint64_t>(i));
      Context ctx = Context::train(Key(0));
      const Tensor y = scores(b[0], b[2], ctx);
      step(cross_entropy(reshape(y, {-1, kTokens}), reshape(b[1], {-1})), parameters(), *optimizer_,
           scope_.state(), ctx);
    }
    const Tensors b = batch(100, 1);
    Context ctx = Context::eval();
    return mean(cast(eq(argmax(scores(b[0], b[2], ctx), 2), b[1]), DType::f32)).item();
  }

 private:
  Scope scope_;
  bool attention_;
  Variable in_, out_, at_in_, at_out_;
  mutable Linear query_, key_, value_, last_;
  std::vector<Variable> cells_;
  std::unique_ptr<Optimizer> optimizer_;
};

// Random tokens tell nothing of the next one, so that the decoder sees the right ones before does
// not help it: all has to come through the last state of the encoder, or through attention.
TEST(RowAttention, CopiesBackwardsWhatANetWithoutItCannot) {
  const double with = Seq2Seq(true).accuracy(200), without = Seq2Seq(false).accuracy(200);
  EXPECT_GE(with, 0.99);            // 1.000
  EXPECT_LE(without, with - 0.20);  // 0.291
}

// ---- deep nets on the digits

struct Digits {
  Tensor x, labels;
};

Digits digits() {
  std::ifstream in(NACRE_SOURCE_DIR "/data/digits/digits.csv");
  std::string line;
  std::getline(in, line);
  std::vector<float> x;
  std::vector<int64_t> labels;
  while (std::getline(in, line)) {
    std::stringstream cells(line);
    std::string cell;
    for (int k = 0; k < 64; ++k) {
      std::getline(cells, cell, ',');
      x.push_back(std::stof(cell) / 8 - 1);
    }
    std::getline(cells, cell, ',');
    labels.push_back(std::stoll(cell));
  }
  const auto n = static_cast<int64_t>(labels.size());
  return {Tensor::from(x, {n, 64}), Tensor::from(labels, {n})};
}

/// Full layers of one width with ReLU between them: plain, or in blocks of two with skips.
class Deep : public Module {
 public:
  struct Config {
    int64_t layers = 20;
    bool norm = false, skip = false;
  };
  Deep(const Scope& s, const Config& c) : Module(s), config_(c) {
    for (int64_t i = 0; i < c.layers; ++i) {
      layers_.push_back(std::make_unique<Linear>(
          s / "layer" / i,
          Linear::Config{i ? 32 : 64, i + 1 < c.layers ? 32 : 10, true, init::he_normal()}));
      norms_.push_back(std::make_unique<BatchNorm>(s / "norm" / i, BatchNorm::Config{32}));
    }
  }
  Tensor forward(const Tensor& x, Context& ctx) override {
    const auto layer = [&](int64_t i, const Tensor& h) {
      const Tensor y = (*layers_[static_cast<size_t>(i)])(h, ctx);
      return config_.norm ? (*norms_[static_cast<size_t>(i)])(y, ctx) : y;
    };
    Tensor h = relu(layer(0, x));
    int64_t i = 1;
    for (; i + 2 < config_.layers; i += 2) {
      const Tensor y = layer(i + 1, relu(layer(i, h)));
      h = relu(config_.skip ? h + y : y);
    }
    for (; i + 1 < config_.layers; ++i) h = relu(layer(i, h));
    return (*layers_.back())(h, ctx);
  }

 private:
  Config config_;
  std::vector<std::unique_ptr<Linear>> layers_;
  std::vector<std::unique_ptr<BatchNorm>> norms_;
};

/// Mean loss over the last pass after `epochs` passes of gradient descent with momentum.
double training_loss(const Deep::Config& config, const std::string& method, double lr,
                     int64_t epochs) {
  const Digits d = digits();
  Deep net(Scope::init(Key(3)), config);
  const auto optimizer = make_optimizer(method, net.trainable(), lr);
  double mean_loss = 0;
  const int64_t batch = 128, batches = d.x.size(0) / batch;
  for (int64_t e = 0; e < epochs; ++e) {
    mean_loss = 0;
    for (int64_t b = 0; b < batches; ++b) {
      Context ctx = Context::train(Key(0));
      const Tensor x = dynamic_slice(d.x, b * batch, batch),
                   t = dynamic_slice(d.labels, b * batch, batch);
      mean_loss +=
          step(cross_entropy(net(x, ctx), t), net.trainable(), *optimizer, net.state(), ctx) /
          double(batches);
    }
  }
  return mean_loss;
}

TEST(RowBatchNorm, ATwentyLayerNetTrainsFasterWithIt) {
  double with = INFINITY, without = INFINITY;  // each with the best of three rates
  for (double lr : {0.03, 0.1, 0.3}) {
    with = std::min(with, training_loss({20, true, false}, "sgd", lr, 8));
    without = std::min(without, training_loss({20, false, false}, "sgd", lr, 8));
  }
  EXPECT_LT(with, 0.5 * without);  // 0.29 and 1.51
}

TEST(RowSkipConnection, AFiftySixLayerNetLearnsBetterWithThem) {
  const double with = training_loss({56, true, true}, "momentum", 0.05, 4);
  const double without = training_loss({56, true, false}, "momentum", 0.05, 4);
  EXPECT_LT(with, 0.5 * without);  // 0.37 and 2.07
}

}  // namespace
}  // namespace nacre
