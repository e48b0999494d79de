// RNN, GRU and LSTM: one step after the other, for all that ONNX lets a cell be.
#include "onnx/call.h"

namespace nacre::onnx {
namespace {

using Activation = std::function<Tensor(const Tensor&)>;

Activation activation_of(const Call& c, const std::string& name, double alpha, double beta,
                         bool has_alpha, bool has_beta) {
  std::string n;
  for (char ch : name) n += static_cast<char>(ch >= 'A' && ch <= 'Z' ? ch + 32 : ch);
  const auto a = [&](double otherwise) { return has_alpha ? alpha : otherwise; };
  const auto b = [&](double otherwise) { return has_beta ? beta : otherwise; };
  if (n == "sigmoid") return [](const Tensor& x) { return sigmoid(x); };
  if (n == "tanh") return [](const Tensor& x) { return tanh(x); };
  if (n == "relu") return [](const Tensor& x) { return relu(x); };
  if (n == "softsign") return [](const Tensor& x) { return softsign(x); };
  if (n == "softplus") return [](const Tensor& x) { return softplus(x); };
  if (n == "affine") return [p = a(1), q = b(0)](const Tensor& x) { return x * p + q; };
  if (n == "leakyrelu") return [p = a(0.01)](const Tensor& x) { return leaky_relu(x, p); };
  if (n == "elu") return [p = a(1)](const Tensor& x) { return elu(x, p); };
  if (n == "thresholdedrelu") return [p = a(1)](const Tensor& x) { return where(x > p, x, 0.0); };
  if (n == "scaledtanh") return [p = a(1), q = b(1)](const Tensor& x) { return tanh(x * q) * p; };
  if (n == "hardsigmoid")
    return [p = a(0.2), q = b(0.5)](const Tensor& x) { return hard_sigmoid(x, p, q); };
  c.fail({"activation '", name, "' is not known"});
}

/// What the three operators share: inputs with time first, weights of each direction.
struct Recurrent {
  Recurrent(const Call& call, int64_t gate_count, std::vector<std::string> usual)
      : c(call), gates(gate_count) {
    const std::string direction = c.s("direction", "forward");
    directions = direction == "bidirectional" ? 2 : 1;
    reversed = direction == "reverse";
    c.check(directions == 2 || reversed || direction == "forward",
            {"direction '", direction, "' is not known"});
    c.check(c.rank(0) == 3 && c.rank(1) == 3 && c.rank(2) == 3 && c.shape(1)[0] == directions &&
                c.shape(2)[0] == directions,
            {"X ", c.shape(0), ", W ", c.shape(1), " and R ", c.shape(2), " do not fit"});
    batch_first = c.i("layout") != 0;
    x = batch_first ? transpose(c[0], 0, 1) : c[0];
    hidden = c.shape(2)[2];
    steps = x.size(0);
    batch = x.size(1);
    c.check(
        c.shape(1)[1] == gates * hidden && c.shape(2)[1] == gates * hidden &&
            c.i("hidden_size", hidden) == hidden,
        {"W ", c.shape(1), " and R ", c.shape(2), " are not for ", gates, " gates of ", hidden});
    limit = c.f("clip", 0);
    // Activations of the forward direction, then of the other.
    std::vector<std::string> names = c.ss("activations");
    const size_t per = usual.size();
    if (names.empty())
      for (int64_t d = 0; d < directions; ++d)
        names.insert(names.end(), usual.begin(), usual.end());
    c.check(names.size() == per * static_cast<size_t>(directions),
            {names.size(), " activations for ", directions, " directions"});
    const std::vector<double> alpha = c.fs("activation_alpha"), beta = c.fs("activation_beta");
    for (size_t k = 0; k < names.size(); ++k)
      f.push_back(activation_of(c, names[k], k < alpha.size() ? alpha[k] : 0,
                                k < beta.size() ? beta[k] : 0, k < alpha.size(), k < beta.size()));
    // Steps that belong to a sequence, TxNx1; undefined: all.
    if (c.has(4)) {
      const Tensor lengths = cast(c[4], DType::i64);
      inside = unsqueeze(reshape(arange(steps), {steps, 1}) < reshape(lengths, {1, batch}), 2);
    }
  }

  Tensor weight(size_t input, int64_t d) const { return transpose(select(c[input], 0, d)); }
  /// Biases of the input and of the state, each gates * hidden; undefined without any.
  std::pair<Tensor, Tensor> bias(int64_t d) const {
    if (!c.has(3)) return {};
    const Tensor b = select(c[3], 0, d);
    return {slice(b, 0, 0, gates * hidden), slice(b, 0, gates * hidden)};
  }
  Tensor initial(size_t input, int64_t d) const {
    if (!c.has(input)) return zeros({batch, hidden}, x.dtype());
    return select(c[input], batch_first ? 1 : 0, d);
  }
  Tensor gate(const Tensor& all, int64_t k) const {
    return slice(all, -1, k * hidden, (k + 1) * hidden);
  }
  Tensor clipped(const Tensor& v) const { return limit > 0 ? clip(v, -limit, limit) : v; }

  /// Runs step(x W^T of time t, states) for each direction; states change only inside sequences.
  /// Returns Y and the last of each state.
  template <typename Step>
  Values run(size_t state_inputs, Step step) {
    Tensors all;
    std::vector<Tensors> last(state_inputs);
    for (int64_t d = 0; d < directions; ++d) {
      const bool backward = reversed || d == 1;
      Tensors state;
      for (size_t s = 0; s < state_inputs; ++s) state.push_back(initial(5 + s, d));
      const Tensor projected = matmul(x, weight(1, d));
      Tensors ys(static_cast<size_t>(steps));
      for (int64_t k = 0; k < steps; ++k) {
        const int64_t t = backward ? steps - 1 - k : k;
        Tensors next = step(select(projected, 0, t), state, d);
        Tensor y = next[0];
        if (inside.defined()) {
          const Tensor in = select(inside, 0, t);
          y = where(in, y, 0.0);
          for (size_t s = 0; s < next.size(); ++s) next[s] = where(in, next[s], state[s]);
        }
        state = next;
        ys[static_cast<size_t>(t)] = y;
      }
      all.push_back(steps ? stack(ys, 0) : zeros({0, batch, hidden}, x.dtype()));
      for (size_t s = 0; s < state_inputs; ++s) last[s].push_back(state[s]);
    }
    // TxDxNxH, or NxTxDxH with the batch first; states DxNxH or NxDxH.
    Values out = {stack(all, batch_first ? 2 : 1)};
    if (batch_first) out[0] = permute(out[0].tensor(), {1, 0, 2, 3});
    for (const Tensors& s : last) out.push_back(stack(s, batch_first ? 1 : 0));
    return out;
  }

  const Call& c;
  int64_t gates, directions = 1, hidden = 0, steps = 0, batch = 0;
  bool reversed = false, batch_first = false;
  double limit = 0;
  Tensor x, inside;
  std::vector<Activation> f;
};

/// Whether a call is what one op of nacre's computes: the usual cell, time first. With lengths a
/// sequence cannot simply be turned round.
bool is_plain(const Call& c) {
  for (const char* name : {"activations", "clip", "activation_alpha", "activation_beta"})
    if (c.given(name)) return false;
  const bool reverse = c.s("direction", "forward") == "reverse";
  return !c.i("layout") && !(reverse && c.has(4)) && c.shape(0)[0] > 0;
}

/// Blocks of `size` rows in another order.
Tensor reordered(const Tensor& v, const Ints& order, int64_t size) {
  Tensors parts;
  for (int64_t k : order) parts.push_back(slice(v, 0, k * size, (k + 1) * size));
  return parts.size() == 1 ? parts[0] : concat(parts, 0);
}

/// The op `f` with its gates in the order that nacre has them.
template <typename F>
Values run_plain(const Recurrent& r, const Ints& order, F f) {
  Tensors weights;
  for (int64_t d = 0; d < r.directions; ++d) {
    for (const size_t input : {size_t{1}, size_t{2}})
      weights.push_back(reordered(select(r.c[input], 0, d), order, r.hidden));
    const auto bias = r.bias(d);
    const Tensor &bx = bias.first, &bh = bias.second;
    for (const Tensor& b : {bx, bh})
      if (b.defined()) weights.push_back(reordered(b, order, r.hidden));
  }
  const RnnOptions options{.bidirectional = r.directions == 2, .bias = r.c.has(3)};
  const Tensor lengths = r.c.has(4) ? cast(r.c[4], DType::i64) : Tensor();
  Tensors y = f(r.reversed ? flip(r.x, {0}) : r.x, weights, options, lengths);
  if (r.reversed) y[0] = flip(y[0], {0});
  Values out = {permute(reshape(y[0], {r.steps, r.batch, r.directions, r.hidden}), {0, 2, 1, 3})};
  out.insert(out.end(), y.begin() + 1, y.end());
  return out;
}

Tensor plus(const Tensor& a, const Tensor& b) { return b.defined() ? a + b : a; }

Values rnn_steps(Call& c) {
  Recurrent r(c, 1, {"Tanh"});
  if (is_plain(c))
    return run_plain(
        r, {0}, [&](const Tensor& x, const Tensors& w, const RnnOptions& o, const Tensor& lengths) {
          return rnn(x, w, o, c.optional(5), lengths);
        });
  return r.run(1, [&](const Tensor& xw, const Tensors& h, int64_t d) {
    const auto bias = r.bias(d);
    const Tensor &bx = bias.first, &bh = bias.second;
    const Tensor z = plus(plus(xw + matmul(h[0], r.weight(2, d)), bx), bh);
    return Tensors{r.f[static_cast<size_t>(d)](r.clipped(z))};
  });
}

Values gru_steps(Call& c) {
  Recurrent r(c, 3, {"Sigmoid", "Tanh"});
  const bool reset_after = c.i("linear_before_reset") != 0;
  if (reset_after && is_plain(c))
    return run_plain(r, {1, 0, 2},
                     [&](const Tensor& x, const Tensors& w, const RnnOptions& o,
                         const Tensor& lengths) { return gru(x, w, o, c.optional(5), lengths); });
  return r.run(1, [&](const Tensor& xw, const Tensors& state, int64_t d) {
    const Tensor& h = state[0];
    const auto bias = r.bias(d);
    const Tensor &bx = bias.first, &bh = bias.second;
    const Tensor w = r.weight(2, d), in = plus(xw, bx);
    const auto &f = r.f[static_cast<size_t>(2 * d)], &g = r.f[static_cast<size_t>(2 * d + 1)];
    const auto part = [&](const Tensor& t, int64_t k) {
      return t.defined() ? r.gate(t, k) : Tensor();
    };
    const auto hidden = [&](int64_t k) { return plus(matmul(h, r.gate(w, k)), part(bh, k)); };
    const Tensor z = f(r.clipped(r.gate(in, 0) + hidden(0)));
    const Tensor reset = f(r.clipped(r.gate(in, 1) + hidden(1)));
    const Tensor inner =
        reset_after ? reset * hidden(2) : plus(matmul(reset * h, r.gate(w, 2)), part(bh, 2));
    const Tensor candidate = g(r.clipped(r.gate(in, 2) + inner));
    return Tensors{(1.0 - z) * candidate + z * h};
  });
}

Values lstm_steps(Call& c) {
  Recurrent r(c, 4, {"Sigmoid", "Tanh", "Tanh"});
  const bool coupled = c.i("input_forget") != 0;
  if (!coupled && !c.has(7) && c.has(5) == c.has(6) && is_plain(c))
    return run_plain(
        r, {0, 2, 3, 1},
        [&](const Tensor& x, const Tensors& w, const RnnOptions& o, const Tensor& lengths) {
          return lstm(x, w, o, c.optional(5), c.optional(6), lengths);
        });
  return r.run(2, [&](const Tensor& xw, const Tensors& state, int64_t d) {
    const Tensor &h = state[0], &cell = state[1];
    const auto bias = r.bias(d);
    const Tensor &bx = bias.first, &bh = bias.second;
    const Tensor all = plus(plus(xw + matmul(h, r.weight(2, d)), bx), bh);
    const Tensor peep = c.has(7) ? select(c[7], 0, d) : Tensor();
    const auto peeping = [&](const Tensor& z, int64_t k, const Tensor& at) {
      return peep.defined() ? z + r.gate(peep, k) * at : z;
    };
    const auto base = static_cast<size_t>(3 * d);
    const auto &f = r.f[base], &g = r.f[base + 1], &out = r.f[base + 2];
    const Tensor i = f(r.clipped(peeping(r.gate(all, 0), 0, cell)));
    const Tensor forget = coupled ? 1.0 - i : f(r.clipped(peeping(r.gate(all, 2), 2, cell)));
    const Tensor next = forget * cell + i * g(r.clipped(r.gate(all, 3)));
    const Tensor o = f(r.clipped(peeping(r.gate(all, 1), 1, next)));
    return Tensors{o * out(next), next};
  });
}

}  // namespace

ONNX(RNN) = {"RNN", rnn_steps};
ONNX(GRU) = {"GRU", gru_steps};
ONNX(LSTM) = {"LSTM", lstm_steps};

}  // namespace nacre::onnx
