// The steps of a recurrent layer as one op, and its gradient as another.
#include "ops/rnn/rnn.h"

#include "nacre/autograd.h"

namespace nacre {

extern const OpDef op_recurrence, op_recurrence_grad;

namespace {

constexpr CellKind kKinds[] = {CellKind::tanh, CellKind::relu, CellKind::lstm, CellKind::gru};

struct RecurrenceAttrs {
  std::string cell = "lstm";
  bool reverse = false;
  bool keep = false;  ///< another output: what the gradient needs
  void fields(FieldVisitor& v) {
    v("cell", cell);
    v("reverse", reverse);
    v("keep", keep);
  }
};

CellKind kind_of(const RecurrenceAttrs& a) {
  for (CellKind k : kKinds)
    if (a.cell == name_of(k)) return k;
  fail(Error::Kind::shape,
       {"[recurrence] there is no cell '", a.cell, "'; cells are tanh, relu, lstm and gru"});
}

/// Vectors of H that are kept of each step: the gates after their functions and
/// for an LSTM c, for a GRU the state's share of n, for plain cells h alone.
int64_t kept_of(CellKind k) { return k == CellKind::lstm ? 5 : k == CellKind::gru ? 4 : 1; }

/// Where a sequence is at its steps, in the order in which they are taken.
struct Steps {
  int64_t count;
  bool reverse;
  Tensor lengths;  ///< may be undefined
  int64_t at(int64_t k) const { return reverse ? count - 1 - k : k; }
  /// Nx1, true where step t is one of the sequence's; undefined if all are.
  Tensor inside(int64_t t) const {
    return lengths.defined() ? reshape(lengths > t, {lengths.size(0), 1}) : Tensor();
  }
};

Tensor choose(const Tensor& inside, const Tensor& x, const Tensor& otherwise) {
  return inside.defined() ? where(inside, x, otherwise) : x;
}

/// The inputs of a recurrence by name.
struct Parts {
  Tensor gates, w_hh, b_ih, b_hh, lengths;
  Tensors state;
};
Parts parts_of(CellKind kind, const Tensors& in) {
  const size_t w = 1 + states_of(kind), n = in.size();
  Parts p{in[0], in[w], {}, {}, {}, {}};
  p.state.assign(in.begin() + 1, in.begin() + static_cast<std::ptrdiff_t>(w));
  if (n >= w + 3) p.b_ih = in[w + 1], p.b_hh = in[w + 2];
  if ((n - w) % 2 == 0) p.lengths = in[n - 1];
  return p;
}

/// One step: the new states, then what is kept of it (the state c of an LSTM apart).
Tensors full_step(CellKind kind, const Tensor& from_input, const Tensors& state, const Parts& p) {
  if (kind != CellKind::lstm && kind != CellKind::gru)
    return step(kind, from_input, state, p.w_hh, p.b_hh);
  const Tensor from_state = project(state[0], p.w_hh, p.b_hh);
  if (kind == CellKind::gru) {
    const Tensors i = chunk(from_input, 3, 1), s = chunk(from_state, 3, 1);
    const Tensor r = sigmoid(i[0] + s[0]), z = sigmoid(i[1] + s[1]);
    const Tensor n = tanh(i[2] + r * s[2]);
    return {n + z * (state[0] - n), r, z, n, s[2]};
  }
  const Tensors g = chunk(from_input + from_state, 4, 1);
  const Tensor i = sigmoid(g[0]), f = sigmoid(g[1]), n = tanh(g[2]), o = sigmoid(g[3]);
  const Tensor c = f * state[1] + i * n;
  return {o * tanh(c), c, i, f, n, o};
}

/// Step by step, in terms of other ops.
Tensors unrolled(CellKind kind, const RecurrenceAttrs& a, const Tensors& in) {
  const Parts p = parts_of(kind, in);
  const Steps steps{p.gates.size(0), a.reverse, p.lengths};
  const auto count = static_cast<size_t>(steps.count);
  Tensors state = p.state, y(count), kept(count);
  for (int64_t k = 0; k < steps.count; ++k) {
    const int64_t t = steps.at(k);
    Tensor from_input = select(p.gates, 0, t);
    if (p.b_ih.defined()) from_input += p.b_ih;
    Tensors next = full_step(kind, from_input, state, p);
    const Tensor inside = steps.inside(t);
    // Beyond its end a sequence keeps its state and gives zeros.
    y[static_cast<size_t>(t)] = inside.defined() ? where(inside, next[0], 0.0) : next[0];
    Tensors keep(next.begin() + static_cast<std::ptrdiff_t>(state.size()), next.end());
    if (keep.empty()) keep.push_back(next[0]);
    for (size_t i = 0; i < state.size(); ++i) state[i] = choose(inside, next[i], state[i]);
    if (kind == CellKind::lstm) keep.push_back(state[1]);
    if (a.keep) kept[static_cast<size_t>(t)] = concat(keep, 1);
  }
  Tensors out = {stack(y, 0)};
  out.insert(out.end(), state.begin(), state.end());
  if (a.keep) out.push_back(stack(kept, 0));
  return out;
}

/// The state h before each step, TxNxH.
Tensor states_before(const Tensor& y, const Tensor& h0, const Steps& steps) {
  const int64_t last = steps.count - 1;
  const Tensor first = unsqueeze(h0, 0);
  if (!steps.reverse) return last == 0 ? first : concat({first, slice(y, 0, 0, last)}, 0);
  Tensor later = last == 0 ? first : concat({slice(y, 0, 1, last + 1), first}, 0);
  if (!steps.lengths.defined()) return later;
  // A sequence begins at its own end: there its state is h0 still.
  const Tensor t = reshape(arange(1, steps.count + 1, 1, steps.lengths.dtype()), {-1, 1, 1});
  return where(reshape(steps.lengths, {1, -1, 1}) > t, later, first);
}

/// Gradient of recurrence: kept, then for a GRU the states before each step, for an LSTM c0, then
/// w_hh, dy, dh[, dc][, lengths] -> the gradients of gates, for a GRU of the products of the
/// states, of h0 and of c0.
Tensors gradient(CellKind kind, const RecurrenceAttrs& a, const Tensors& in) {
  const bool lstm = kind == CellKind::lstm, gru = kind == CellKind::gru;
  size_t next = 1;
  const Tensor& kept = in[0];
  const Tensor before = lstm || gru ? in[next++] : Tensor();
  const Tensor& w = in[next++];
  const Tensor& dy = in[next++];
  Tensor dh = in[next++], dc = lstm ? in[next++] : Tensor();
  const Steps steps{kept.size(0), a.reverse, in.size() > next ? in[next] : Tensor()};
  const auto count = static_cast<size_t>(steps.count);
  Tensors dgates(count), dsums(count);
  for (int64_t k = steps.count; k-- > 0;) {
    const int64_t t = steps.at(k);
    const Tensors p = chunk(select(kept, 0, t), kept_of(kind), 1);
    const Tensor inside = steps.inside(t), g = dh + select(dy, 0, t);
    Tensor from_input, from_state, dh_direct;
    if (lstm) {
      const Tensor before_c =
          k == 0 ? before
                 : slice(select(kept, 0, steps.at(k - 1)), 1, 4 * w.size(1), 5 * w.size(1));
      const Tensor &i = p[0], &f = p[1], &n = p[2], &o = p[3], tc = tanh(p[4]);
      const Tensor all = dc + g * o * (1.0 - tc * tc);
      from_input = concat({all * n * i * (1.0 - i), all * before_c * f * (1.0 - f),
                           all * i * (1.0 - n * n), g * tc * o * (1.0 - o)},
                          1);
      dc = choose(inside, all * f, dc);
    } else if (gru) {
      const Tensor &r = p[0], &z = p[1], &n = p[2], &s = p[3], h = select(before, 0, t);
      const Tensor dn = g * (1.0 - z) * (1.0 - n * n), dz = g * (h - n) * z * (1.0 - z);
      const Tensor dr = dn * s * r * (1.0 - r);
      from_input = concat({dr, dz, dn}, 1);
      from_state = concat({dr, dz, dn * r}, 1);
      dh_direct = g * z;
    } else {
      from_input =
          kind == CellKind::tanh ? g * (1.0 - p[0] * p[0]) : where(p[0] > 0.0, g, zeros_like(g));
    }
    if (inside.defined()) {
      from_input = where(inside, from_input, 0.0);
      if (gru) from_state = where(inside, from_state, 0.0);
    }
    if (!gru) from_state = from_input;
    Tensor back = matmul(from_state, w);
    if (gru) back += dh_direct;
    dh = choose(inside, back, dh);
    dgates[static_cast<size_t>(t)] = from_input;
    dsums[static_cast<size_t>(t)] = from_state;
  }
  Tensors out = {stack(dgates, 0)};
  if (gru) out.push_back(stack(dsums, 0));
  out.push_back(dh);
  if (lstm) out.push_back(dc);
  return out;
}

/// The first of T steps of N sequences and the size of h; checks what all have.
Shape check_sizes(const Infer& in, size_t w) {
  in.check(in.inputs() > w, {"there is no w_hh"});
  in.check_float(0);
  in.check_rank(0, 3);
  in.check_rank(w, 2);
  in.check(in.shape(0)[0] >= 1, {"the sequence is empty"});
  return {in.shape(0)[0], in.shape(0)[1], in.shape(w)[1]};
}

void check_input(const Infer& in, size_t i, const Shape& want) {
  in.check(in.dtype(i) == in.dtype(0),
           {"input ", i, " has type ", in.dtype(i), ", input 0 ", in.dtype(0)});
  in.check(in.shape(i) == want,
           {"input ", i, " has shape ", in.shape(i), ", ", want, " is needed"});
}

void check_lengths(const Infer& in, size_t i, int64_t batch) {
  in.check_index(i);
  in.check(in.shape(i) == Shape{batch},
           {"lengths have shape ", in.shape(i), ", ", batch, " sequences need ", batch});
}

}  // namespace

const char* name_of(CellKind k) {
  switch (k) {
    case CellKind::tanh:
      return "tanh";
    case CellKind::relu:
      return "relu";
    case CellKind::lstm:
      return "lstm";
    default:
      return "gru";
  }
}

Tensors recurrence(CellKind kind, bool reverse, bool keep, const Tensors& in) {
  Tensors out = make_all(op_recurrence, box(RecurrenceAttrs{name_of(kind), reverse, keep}), in);
  if (keep) out.pop_back();
  return out;
}

namespace {

void recurrence_vjp(Vjp& v) {
  RecurrenceAttrs a = v.attrs<RecurrenceAttrs>();
  const CellKind kind = kind_of(a);
  const size_t states = states_of(kind), w = 1 + states;
  Tensors in;
  for (size_t i = 0; i < v.inputs(); ++i) in.push_back(v.x(i));
  if (a.keep && v.has_dy(1 + states)) {  // a gradient of a gradient
    Tensors at, wanted, dy;
    for (const Tensor& t : in) {
      at.push_back(is_float(t.dtype()) ? identity(t) : t);
      if (is_float(t.dtype())) wanted.push_back(at.back());
    }
    const Tensors out = unrolled(kind, a, at);
    for (size_t k = 0; k < out.size(); ++k) dy.push_back(v.dy(k));
    const Tensors g = vjp(out, wanted, dy);
    for (size_t i = 0, j = 0; i < in.size(); ++i)
      if (is_float(in[i].dtype())) v.dx(i) = g[j++];
    return;
  }
  Tensor y = v.y(0), kept;
  if (a.keep) {
    kept = v.y(1 + states);
  } else {
    a.keep = true;
    const Tensors out = make_all(op_recurrence, box(a), in);
    y = out[0];
    kept = out[1 + states];
  }
  const Parts p = parts_of(kind, in);
  const Tensor before = states_before(y, p.state[0], {y.size(0), a.reverse, p.lengths});
  Tensors given = {kept};
  if (kind == CellKind::gru) given.push_back(before);
  if (kind == CellKind::lstm) given.push_back(p.state[1]);
  given.push_back(p.w_hh);
  for (size_t k = 0; k <= states; ++k) given.push_back(v.dy(k));
  if (p.lengths.defined()) given.push_back(p.lengths);
  const Tensors g = make_all(op_recurrence_grad, box(RecurrenceAttrs{a.cell, a.reverse}), given);
  const size_t shares = kind == CellKind::gru ? 2 : 1;
  v.dx(0) = g[0];
  for (size_t i = 0; i < states; ++i) v.dx(1 + i) = g[shares + i];
  const Tensor& sums = g[shares - 1];
  const int64_t rows = sums.size(0) * sums.size(1);
  if (v.wants(w))
    v.dx(w) = matmul(transpose(reshape(sums, {rows, sums.size(2)})),
                     reshape(before, {rows, before.size(2)}));
  if (p.b_ih.defined()) {
    v.dx(w + 1) = sum(g[0], {0, 1});
    v.dx(w + 2) = sum(sums, {0, 1});
  }
}

}  // namespace

/// The steps of a recurrent layer whose input was multiplied by w_ih before. gates: TxNxGH; then
/// h0 and for an LSTM c0, NxH; w_hh GHxH; b_ih and b_hh GH or neither; lengths N (i64, i32) if they
/// differ. Outputs: y TxNxH, the last states, and with `keep` what the gradient needs.
OP(recurrence) = {
    .name = "recurrence",
    .kind = OpKind::composite,
    .attrs = attr_type<RecurrenceAttrs>(),
    .infer =
        [](Infer& in) {
          const auto& a = in.attrs<RecurrenceAttrs>();
          const CellKind kind = kind_of(a);
          const size_t w = 1 + states_of(kind), n = in.inputs();
          const Shape s = check_sizes(in, w);
          in.check(n <= w + 4, {n, " inputs, ", w + 1, " to ", w + 4, " are needed"});
          const int64_t rows = gates_of(kind) * s[2];
          check_input(in, 0, {s[0], s[1], rows});
          for (size_t i = 1; i < w; ++i) check_input(in, i, {s[1], s[2]});
          check_input(in, w, {rows, s[2]});
          for (size_t i = w + 1; n >= w + 3 && i < w + 3; ++i) check_input(in, i, {rows});
          if ((n - w) % 2 == 0) check_lengths(in, n - 1, s[1]);
          in.out(in.dtype(0), s);
          for (size_t i = 1; i < w; ++i) in.out(in.dtype(0), {s[1], s[2]});
          if (a.keep) in.out(in.dtype(0), {s[0], s[1], kept_of(kind) * s[2]});
        },
    .decompose =
        [](const void* attrs, const Tensors& in) {
          const auto& a = *static_cast<const RecurrenceAttrs*>(attrs);
          return unrolled(kind_of(a), a, in);
        },
    .vjp = recurrence_vjp,
    .samples =
        [](Samples& s) {
          const auto call = [](CellKind kind, bool reverse) {
            return [=](const Tensors& x) {
              return make_all(op_recurrence, box(RecurrenceAttrs{name_of(kind), reverse, true}), x);
            };
          };
          const char* oracle =
              "PyTorch's layers, in the samples of lstm_layer, gru_layer, rnn_layer";
          s.add({s.uniform({3, 2, 12}), s.uniform({2, 3}), s.uniform({2, 3}), s.uniform({12, 3}),
                 s.uniform({12}), s.uniform({12})},
                call(CellKind::lstm, false))
              .oracle = oracle;
          s.add({s.uniform({3, 2, 8}), s.uniform({2, 2}), s.uniform({2, 2}), s.uniform({8, 2}),
                 s.ints_at({3, 1}, {2})},
                call(CellKind::lstm, true))
              .oracle = oracle;
          s.add({s.uniform({3, 2, 6}), s.uniform({2, 2}), s.uniform({6, 2}), s.uniform({6}),
                 s.uniform({6}), s.ints_at({3, 1}, {2})},
                call(CellKind::gru, true))
              .oracle = oracle;
          s.add({s.uniform({3, 2, 2}), s.uniform({2, 2}), s.uniform({2, 2})},
                call(CellKind::tanh, false))
              .oracle = oracle;
          s.bad({s.uniform({3, 2, 6}), s.uniform({2, 2}), s.uniform({6, 3})},
                call(CellKind::gru, false), "input 0 has shape 3x2x6, 3x2x9 is needed");
          s.bad({s.uniform({0, 2, 2}), s.uniform({2, 2}), s.uniform({2, 2})},
                call(CellKind::tanh, false), "the sequence is empty");
        },
};

/// Gradient of recurrence, see gradient() above.
OP(recurrence_grad) = {
    .name = "recurrence_grad",
    .kind = OpKind::composite,
    .attrs = attr_type<RecurrenceAttrs>(),
    .infer =
        [](Infer& in) {
          const CellKind kind = kind_of(in.attrs<RecurrenceAttrs>());
          const bool lstm = kind == CellKind::lstm, gru = kind == CellKind::gru;
          const size_t w = lstm || gru ? 2 : 1, n = in.inputs(), least = w + 3 + lstm;
          const Shape s = check_sizes(in, w);
          in.check(n == least || n == least + 1,
                   {n, " inputs, ", least, " or ", least + 1, " are needed"});
          const Shape state = {s[1], s[2]};
          const int64_t rows = gates_of(kind) * s[2];
          check_input(in, 0, {s[0], s[1], kept_of(kind) * s[2]});
          if (w == 2) check_input(in, 1, gru ? s : state);
          check_input(in, w, {rows, s[2]});
          check_input(in, w + 1, s);
          for (size_t i = w + 2; i < least; ++i) check_input(in, i, state);
          if (n > least) check_lengths(in, n - 1, s[1]);
          for (int k = 0; k < (gru ? 2 : 1); ++k) in.out(in.dtype(0), {s[0], s[1], rows});
          for (int k = 0; k < (lstm ? 2 : 1); ++k) in.out(in.dtype(0), state);
        },
    .decompose =
        [](const void* attrs, const Tensors& in) {
          const auto& a = *static_cast<const RecurrenceAttrs*>(attrs);
          return gradient(kind_of(a), a, in);
        },
    .samples =
        [](Samples& s) {
          const auto call = [](CellKind kind, bool reverse) {
            return [=](const Tensors& x) {
              return make_all(op_recurrence_grad, box(RecurrenceAttrs{name_of(kind), reverse}), x);
            };
          };
          const char* oracle = "the gradient of recurrence, whose samples check it";
          s.add({s.uniform({3, 2, 10}), s.uniform({2, 2}), s.uniform({8, 2}), s.uniform({3, 2, 2}),
                 s.uniform({2, 2}), s.uniform({2, 2}), s.ints_at({3, 1}, {2})},
                call(CellKind::lstm, false))
              .oracle = oracle;
          s.add({s.uniform({3, 2, 8}), s.uniform({3, 2, 2}), s.uniform({6, 2}),
                 s.uniform({3, 2, 2}), s.uniform({2, 2})},
                call(CellKind::gru, true))
              .oracle = oracle;
          s.add({s.uniform({3, 2, 2}), s.uniform({2, 2}), s.uniform({3, 2, 2}), s.uniform({2, 2})},
                call(CellKind::relu, false))
              .oracle = oracle;
          s.bad({s.uniform({3, 2, 8}), s.uniform({2, 2}), s.uniform({6, 2}), s.uniform({3, 2, 2}),
                 s.uniform({2, 2})},
                call(CellKind::gru, false), "input 1 has shape 2x2, 3x2x2 is needed");
        },
};

}  // namespace nacre
