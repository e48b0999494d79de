#include <functional>

#include "nacre/autograd.h"
#include "ops/control/control.h"

namespace nacre {
namespace {

struct ScanAttrs {
  std::shared_ptr<const Graph>
      body;  ///< (carries, slices of xs, captured) -> (carries, slices of ys)
  int64_t carries = 0, xs = 0, length = 0;
  bool reverse = false;
  bool keep = false;  ///< also return the carries before each step, stacked
  void fields(FieldVisitor& v) {
    v("body", body);
    v("carries", carries);
    v("xs", xs);
    v("length", length);
    v("reverse", reverse);
    v("keep", keep);
  }
};

Shape stacked(int64_t length, const Shape& s) {
  Shape r = s;
  r.insert(0, length);
  return r;
}

/// The gradient, as a scan that runs the other way over what the forward pass kept.
void scan_vjp(Vjp& v);

}  // namespace

/// A loop of known length with carried state: for t in 0..length-1: (carry, y_t) = f(carry, x_t).
/// Returns the final carries, then the ys stacked along a new first dimension. f takes the carries
/// and one slice of each of xs, in one list, and returns the carries (same types and shapes) and
/// any number of ys. xs: first dimension is `length` (deduced if there are any). reverse runs t
/// from the end. Tensors that f captures are inputs too. Differentiable, any order; one compiled
/// body whatever the length.
API(Tensors scan(const std::function<Tensors(const Tensors&)>& f, const Tensors& carry,
                 const Tensors& xs, int64_t length = -1, bool reverse = false))

OP(scan) = {
    .name = "scan",
    .kind = OpKind::control,
    .attrs = attr_type<ScanAttrs>(),
    .infer =
        [](Infer& in) {
          const auto& a = in.attrs<ScanAttrs>();
          const Tensors& out = a.body->outputs();
          const auto n = static_cast<int64_t>(in.inputs());
          in.check(a.carries >= 0 && a.xs >= 0 && a.carries <= n && a.xs <= n - a.carries &&
                       a.length >= 0,
                   {"carries ", a.carries, ", slices ", a.xs, ", runs ", a.length, " times"});
          const auto carries = static_cast<size_t>(a.carries), xs = static_cast<size_t>(a.xs);
          std::vector<std::pair<DType, Shape>> given;
          for (size_t i = 0; i < in.inputs(); ++i) {
            const bool sliced = i >= carries && i < carries + xs;
            in.check(!sliced || (in.rank(i) > 0 && in.shape(i)[0] == a.length),
                     {"input ", i, " is to be sliced ", a.length, " times"});
            given.emplace_back(in.dtype(i),
                               sliced ? in.shape(i).slice(1, in.rank(i)) : in.shape(i));
          }
          check_takes(in, *a.body, given);
          in.check(out.size() >= carries, {"the body returns ", out.size(),
                                           " tensors, fewer than the ", carries, " carried"});
          for (size_t k = 0; k < carries; ++k) {
            in.check(out[k].dtype() == in.dtype(k) && out[k].shape() == in.shape(k),
                     {"carried value ", k, " becomes ", out[k].dtype(), " ", out[k].shape()});
            in.out(in.dtype(k), in.shape(k));
          }
          for (size_t k = carries; k < out.size(); ++k)
            in.out(out[k].dtype(), stacked(a.length, out[k].shape()));
          if (a.keep)
            for (size_t k = 0; k < carries; ++k)
              in.out(in.dtype(k), stacked(a.length, in.shape(k)));
        },
    .vjp = scan_vjp,
    .macs =
        [](const Node& n) {
          const auto& a = *static_cast<const ScanAttrs*>(n.attrs.get());
          int64_t each = 0;
          for (const Node* part : topological(*a.body)) each += macs_of(*part);
          return a.length * each;
        },
    .onnx = "Scan",
    .samples =
        [](Samples& s) {
          const auto cumulative = [](const Tensors& x) {
            return scan(
                [&](const Tensors& t) {
                  return Tensors{t[0] * x[2] + t[1], exp(t[0])};
                },
                {x[0]}, {x[1]});
          };
          s.add({s.uniform({3}), s.uniform({4, 3}), s.uniform({})}, cumulative).oracle =
              "the unrolled loop, in control_test";
          s.add(
              {s.uniform({2}), s.uniform({5, 2})},
              [](const Tensors& x) {
                return scan(
                    [](const Tensors& t) {
                      return Tensors{t[0] + t[1], t[0] + t[1]};
                    },
                    {x[0]}, {x[1]});
              },
              "({0} + {1}.sum(0), {0} + {1}.cumsum(0))");
          s.add(
              {s.uniform({2}), s.uniform({5, 2})},
              [](const Tensors& x) {
                return scan(
                    [](const Tensors& t) {
                      return Tensors{t[0] + t[1], t[0] + t[1]};
                    },
                    {x[0]}, {x[1]}, -1, true);
              },
              "({0} + {1}.sum(0), {0} + {1}.flip(0).cumsum(0).flip(0))");
          s.add(
              {s.uniform({2})},
              [](const Tensors& x) {
                return scan([](const Tensors& t) { return Tensors{t[0] * 2.0}; }, {x[0]}, {}, 3);
              },
              "{0} * 8");
        },
};

Tensors scan(const std::function<Tensors(const Tensors&)>& f, const Tensors& carry,
             const Tensors& xs, int64_t length, bool reverse) {
  Tensors like = carry, in = carry;
  for (const Tensor& x : xs) {
    if (x.rank() == 0 || (length >= 0 && x.size(0) != length))
      fail(Error::Kind::shape, {"[scan] an input to slice has shape ", x.shape(),
                                ", its first dimension should be ", length, where()});
    length = x.size(0);
    like.push_back(make_placeholder(0, x.dtype(), x.shape().slice(1, x.rank())));
    in.push_back(x);
  }
  if (length < 0) fail(Error::Kind::shape, {"[scan] needs a length or an input to slice", where()});
  Tensors captured;
  ScanAttrs a;
  a.body = std::make_shared<Graph>(trace_closed(f, like, captured));
  a.carries = static_cast<int64_t>(carry.size());
  a.xs = static_cast<int64_t>(xs.size());
  a.length = length;
  a.reverse = reverse;
  in.insert(in.end(), captured.begin(), captured.end());
  for (const Tensor& t : in) a.keep = a.keep || t.node()->tracked;
  const size_t visible = a.body->outputs().size();
  Tensors out = make_all(op_scan, box(std::move(a)), in);
  out.resize(visible);
  return out;
}

namespace {

void scan_vjp(Vjp& v) {
  ScanAttrs a = v.attrs<ScanAttrs>();
  const auto n_carry = static_cast<size_t>(a.carries), n_xs = static_cast<size_t>(a.xs);
  const Tensors& outs = a.body->outputs();
  const size_t n_out = outs.size();
  Tensors in;
  for (size_t i = 0; i < v.inputs(); ++i) in.push_back(v.x(i));
  Tensors kept;  // carries before each step
  if (a.keep) {
    for (size_t k = 0; k < n_carry; ++k) kept.push_back(v.y(n_out + k));
  } else {
    ScanAttrs again = a;
    again.keep = true;
    const Tensors out = make_all(op_scan, box(std::move(again)), in);
    kept.assign(out.begin() + static_cast<int64_t>(n_out), out.end());
  }
  // Backwards: carried are the gradients of floating carries and of floating captured tensors
  // (summed up); sliced are kept carries, xs, gradients of ys and of kept carries.
  Tensors carry, slices = kept;
  std::vector<size_t> captured;
  for (size_t k = 0; k < n_carry; ++k)
    if (is_float(in[k].dtype())) carry.push_back(v.dy(k));
  const size_t float_carries = carry.size();
  for (size_t i = n_carry + n_xs; i < in.size(); ++i)
    if (is_float(in[i].dtype())) {
      captured.push_back(i);
      carry.push_back(zeros(in[i].shape(), in[i].dtype()));
    }
  for (size_t k = 0; k < n_xs; ++k) slices.push_back(in[n_carry + k]);
  for (size_t k = n_carry; k < n_out; ++k)
    if (is_float(outs[k].dtype())) slices.push_back(v.dy(k));
  if (a.keep)
    for (size_t k = 0; k < n_carry; ++k)
      if (is_float(in[k].dtype())) slices.push_back(v.dy(n_out + k));
  const bool keep = a.keep;
  const auto step = [&](const Tensors& t) {
    size_t at = carry.size();
    Tensors x, dy, outputs, wanted;
    for (size_t k = 0; k < n_carry + n_xs; ++k) x.push_back(t[at++]);
    for (size_t i = n_carry + n_xs; i < in.size(); ++i) x.push_back(in[i]);
    for (Tensor& one : x)
      if (is_float(one.dtype())) {
        one = identity(one);
        wanted.push_back(one);
      }
    const Tensors y = a.body->call(x);
    size_t c = 0;
    for (size_t k = 0; k < n_out; ++k) {
      if (!is_float(y[k].dtype())) continue;
      outputs.push_back(y[k]);
      dy.push_back(k < n_carry ? t[c++] : t[at++]);
    }
    const Tensors g = vjp(outputs, wanted, dy);
    Tensors result, dxs;
    size_t w = 0;
    for (size_t k = 0; k < n_carry; ++k)
      if (is_float(in[k].dtype())) result.push_back(keep ? g[w++] + t[at++] : g[w++]);
    for (size_t k = 0; k < n_xs; ++k)
      if (is_float(in[n_carry + k].dtype())) dxs.push_back(g[w++]);
    for (size_t j = 0; j < captured.size(); ++j) result.push_back(t[float_carries + j] + g[w++]);
    result.insert(result.end(), dxs.begin(), dxs.end());
    return result;
  };
  const Tensors g = scan(step, carry, slices, a.length, !a.reverse);
  size_t c = 0, y = carry.size();
  for (size_t k = 0; k < n_carry; ++k)
    if (is_float(in[k].dtype())) v.dx(k) = g[c++];
  for (size_t j = 0; j < captured.size(); ++j) v.dx(captured[j]) = g[c++];
  for (size_t k = 0; k < n_xs; ++k)
    if (is_float(in[n_carry + k].dtype())) v.dx(n_carry + k) = g[y++];
}

}  // namespace
}  // namespace nacre
