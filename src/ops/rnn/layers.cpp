#include <algorithm>

#include "ops/rnn/rnn.h"

namespace nacre {

/// The form of a recurrent network.
API(struct RnnOptions {
  int64_t layers = 1;
  bool bidirectional = false;
  bool bias = true;
  bool relu = false;  ///< rnn: relu instead of tanh
};)

Tensor project(const Tensor& x, const Tensor& w, const Tensor& b) {
  const Tensor y = matmul(x, transpose(w));
  return b.defined() ? y + b : y;
}

Tensors step(CellKind kind, const Tensor& from_input, const Tensors& state, const Tensor& w_hh,
             const Tensor& b_hh) {
  const Tensor& h = state[0];
  const Tensor from_state = project(h, w_hh, b_hh);
  if (kind == CellKind::gru) {
    const Tensors i = chunk(from_input, 3, 1), s = chunk(from_state, 3, 1);
    const Tensor r = sigmoid(i[0] + s[0]), z = sigmoid(i[1] + s[1]);
    const Tensor n = tanh(i[2] + r * s[2]);
    return {n + z * (h - n)};
  }
  const Tensor sums = from_input + from_state;
  if (kind == CellKind::tanh) return {tanh(sums)};
  if (kind == CellKind::relu) return {relu(sums)};
  const Tensors g = chunk(sums, 4, 1);
  const Tensor c = sigmoid(g[1]) * state[1] + sigmoid(g[0]) * tanh(g[2]);
  return {sigmoid(g[3]) * tanh(c), c};
}

namespace {

/// Checks types and sizes of states and weights.
void check_weights(const Infer& in, CellKind kind, int64_t batch, int64_t features, bool bias) {
  in.check_rank(1, 2);
  const size_t w = 1 + states_of(kind);
  const int64_t hidden = in.shape(1)[1], rows = gates_of(kind) * hidden;
  const auto check = [&](size_t i, const char* what, const Shape& want) {
    in.check(in.dtype(i) == in.dtype(0),
             {what, " has type ", in.dtype(i), ", the input ", in.dtype(0)});
    in.check(in.shape(i) == want, {what, " has shape ", in.shape(i), ", ", want, " is needed"});
  };
  for (size_t i = 1; i < w; ++i) check(i, "a state", {batch, hidden});
  check(w, "w_ih", {rows, features});
  check(w + 1, "w_hh", {rows, hidden});
  for (size_t i = w + 2; bias && i < w + 4; ++i) check(i, "a bias", {rows});
}

}  // namespace

void infer_cell(Infer& in, CellKind kind) {
  const size_t least = 3 + states_of(kind);
  in.check_float(0);
  in.check_rank(0, 2);
  in.check(in.inputs() == least || in.inputs() == least + 2,
           {in.inputs(), " inputs, ", least, " or ", least + 2, " are needed"});
  check_weights(in, kind, in.shape(0)[0], in.shape(0)[1], in.inputs() > least);
  for (size_t i = 0; i < states_of(kind); ++i) in.out(in.dtype(0), in.shape(1));
}

Tensors decompose_cell(CellKind kind, const Tensors& in) {
  const size_t w = 1 + states_of(kind);
  const Tensors state(in.begin() + 1, in.begin() + static_cast<std::ptrdiff_t>(w));
  const bool bias = in.size() > w + 2;
  return step(kind, project(in[0], in[w], bias ? in[w + 2] : Tensor()), state, in[w + 1],
              bias ? in[w + 3] : Tensor());
}

Tensors make_cell(const OpDef& op, Attrs attrs, Tensors in, const Tensor& b_ih,
                  const Tensor& b_hh) {
  if (b_ih.defined() != b_hh.defined())
    fail(Error::Kind::shape, {"[", op.name, "] one of the two biases is missing", where()});
  if (b_ih.defined()) {
    in.push_back(b_ih);
    in.push_back(b_hh);
  }
  return make_all(op, std::move(attrs), in);
}

void infer_layer(Infer& in, CellKind kind) {
  const size_t least = 3 + states_of(kind), n = in.inputs();
  in.check_float(0);
  in.check_rank(0, 3);
  in.check(n >= least && n <= least + 3, {n, " inputs, ", least, " to ", least + 3, " are needed"});
  const Shape& x = in.shape(0);
  in.check(x[0] >= 1, {"the sequence is empty"});
  check_weights(in, kind, x[1], x[2], n >= least + 2);
  if ((n - least) % 2 == 1) {
    in.check_index(n - 1);
    in.check(in.shape(n - 1) == Shape{x[1]},
             {"lengths have shape ", in.shape(n - 1), ", ", x[1], " sequences need ", x[1]});
  }
  in.out(in.dtype(0), {x[0], x[1], in.shape(1)[1]});
  for (size_t i = 0; i < states_of(kind); ++i) in.out(in.dtype(0), in.shape(1));
}

Tensors decompose_layer(CellKind kind, const RnnLayerAttrs& attrs, const Tensors& in) {
  const size_t w = 1 + states_of(kind);
  // All steps in one product.
  const Tensor& x = in[0];
  const Tensor flat = project(reshape(x, {x.size(0) * x.size(1), x.size(2)}), in[w], Tensor());
  Tensors rest = {reshape(flat, {x.size(0), x.size(1), flat.size(1)})};
  for (size_t i = 1; i < in.size(); ++i)
    if (i != w) rest.push_back(in[i]);
  return recurrence(kind, attrs.reverse, attrs.keep, rest);
}

Tensors run_layers(const char* name, const OpDef& op, CellKind kind, const Tensor& x,
                   const Tensors& weights, const RnnOptions& options, const Tensors& initial,
                   const Tensor& lengths) {
  const auto bad = [&](std::initializer_list<Piece> text) {
    fail(Error::Kind::shape, {"[", name, "] ", cat(text), where()});
  };
  const int64_t directions = options.bidirectional ? 2 : 1, layers = options.layers;
  const int64_t each = options.bias ? 4 : 2;
  if (layers < 1 || layers > 1024) bad({"layers is ", layers, ", 1 to 1024 are possible"});
  if (static_cast<int64_t>(weights.size()) != each * layers * directions)
    bad({weights.size(), " weights, ", each * layers * directions, " are needed: ", each,
         " for each layer and direction"});
  if (x.rank() != 3) bad({"input has shape ", x.shape(), ", TxNxC is needed"});
  if (weights[1].rank() != 2) bad({"w_hh has shape ", weights[1].shape(), ", GHxH is needed"});
  const Shape state = {layers * directions, x.size(1), weights[1].size(1)};
  for (const Tensor& s : initial)
    if (s.defined() && s.shape() != state)
      bad({"an initial state has shape ", s.shape(), ", ", state, " is needed"});

  Tensor y = x;
  std::vector<Tensors> last(initial.size());
  for (int64_t layer = 0; layer < layers; ++layer) {
    Tensors both;
    for (int64_t d = 0; d < directions; ++d) {
      const int64_t at = layer * directions + d;
      Tensors in = {y};
      for (const Tensor& s : initial)
        in.push_back(s.defined() ? select(s, 0, at) : zeros({state[1], state[2]}, x.dtype()));
      in.insert(in.end(), weights.begin() + each * at, weights.begin() + each * (at + 1));
      if (lengths.defined()) in.push_back(lengths);
      const bool keep = std::any_of(
          in.begin(), in.end(), [](const Tensor& t) { return t.defined() && t.node()->tracked; });
      const Tensors out =
          make_all(op, box(RnnLayerAttrs{d == 1, kind == CellKind::relu, keep}), in);
      both.push_back(out[0]);
      for (size_t i = 0; i < last.size(); ++i) last[i].push_back(out[i + 1]);
    }
    y = directions == 1 ? both[0] : concat(both, 2);
  }
  Tensors result = {y};
  for (const Tensors& s : last) result.push_back(stack(s, 0));
  return result;
}

}  // namespace nacre
