// Shape rules that many ops share, and the views that definitions have of nodes.
#include "nacre/op.h"

#include "graph/attrs.h"
#include "graph/node.h"

namespace nacre {

void Infer::fail(std::initializer_list<Piece> text) const {
  std::string inputs;
  for (size_t i = 0; i < in_.size(); ++i)
    inputs +=
        cat({i ? ", " : " (", in_.size() == 1 ? "input " : "inputs ", dtype(i), " ", shape(i)});
  if (in_.size() > 1) {  // "inputs f32 2x3, f32 4x5"
    inputs.clear();
    for (size_t i = 0; i < in_.size(); ++i)
      inputs += cat({i ? ", " : " (inputs ", dtype(i), " ", shape(i)});
  }
  if (!inputs.empty()) inputs += ")";
  nacre::fail(Error::Kind::shape, {"[", op.name, "] ", cat(text), inputs, where()});
}

void Infer::out(DType dtype, const Shape& shape) {
  auto& outputs = made_.outputs;
  if (outputs.size() == 1) {  // room at once for the few that most have
    outputs.allocate(4);
    outputs.allocate(1);
  }
  Output& o = outputs.add();
  o.dtype = dtype;
  o.shape = shape;
}
Shape& Infer::out_shape(size_t k) { return made_.outputs[k].shape; }

void Infer::check_float(size_t i) const {
  if (!is_float(dtype(i)))
    fail({"input ", i, " has type ", dtype(i), ", a floating type is needed"});
}
void Infer::check_index(size_t i) const {
  if (dtype(i) != DType::i64 && dtype(i) != DType::i32)
    fail({"input ", i, " has type ", dtype(i), ", indices are i64 or i32"});
}
void Infer::check_rank(size_t i, int64_t r) const {
  if (rank(i) != r) fail({"input ", i, " has rank ", rank(i), ", expected ", r});
}
void Infer::check_same_dtype() const {
  for (size_t i = 1; i < inputs(); ++i)
    if (dtype(i) != dtype(0))
      fail({"input ", i, " has type ", dtype(i), ", input 0 has ", dtype(0)});
}

void infer_same_float(Infer& in) {
  in.check_float(0);
  in.out(in.dtype(0), in.shape(0));
}

namespace {
void out_broadcast(Infer& in, DType dtype) {
  const Shape* same = &in.shape(0);  // the shape of all operands but the scalars
  for (size_t i = 1; i < in.inputs() && same; ++i)
    if (same->empty())
      same = &in.shape(i);
    else if (!in.shape(i).empty() && in.shape(i) != *same)
      same = nullptr;
  if (same) return in.out(dtype, *same);
  Shape s = in.shape(0);
  for (size_t i = 1; i < in.inputs(); ++i) try {
      s = broadcast_shapes(s, in.shape(i));
    } catch (const Error& e) {
      in.fail({e.what()});
    }
  in.out(dtype, s);
}
}  // namespace

void infer_broadcast(Infer& in) {
  in.check_same_dtype();
  out_broadcast(in, in.dtype(0));
}

void infer_compare(Infer& in) {
  in.check_same_dtype();
  out_broadcast(in, DType::boolean);
}

int64_t macs_of(const Node& n) {
  if (!n.op || n.op->macs || !n.op->decompose) return n.op && n.op->macs ? n.op->macs(n) : 0;
  const Tracing guard;
  Tensors in;
  for (const Tensor& t : n.inputs)
    in.push_back(make_placeholder(static_cast<int>(in.size()), t.dtype(), t.shape()));
  int64_t macs = 0;
  const Tensors out = n.op->decompose(n.attrs.get(), in);
  for (const Node* part : topological(out)) macs += macs_of(*part);
  return macs;
}

void Ref::fail(Error::Kind kind, std::initializer_list<Piece> text) const {
  nacre::fail(kind, {"[", op.name, "] ", cat(text)});
}

Vjp::Vjp(Node* node, std::span<const Tensor> dy, std::span<Tensor> dx,
         const std::vector<bool>& wants)
    : node_(node), in_(node->inputs), dy_(dy), dx_(dx), wants_(wants), attrs_(node->attrs.get()) {}

}  // namespace nacre
