#include "ops/mill.h"

#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "backends/cpu/dnnl.h"
#include "compile/plan.h"
#include "graph/node.h"
#include "nacre/graph.h"
#include "nacre/ops.h"
#include "nacre/plan.h"

namespace nacre::testing {

Subject::Subject(const OpDef& def) : def_(def), listed_(find_op(def.name)) {
  if (def.samples) def.samples(samples_);
}

namespace {
Values make_input(const SampleInput& in, Key key, DType floating) {
  Values out{is_tested_float(in) ? floating : in.dtype, in.shape, in.values};
  const auto n = static_cast<size_t>(in.shape.numel());
  Rng rng(key);
  using Kind = SampleInput::Kind;
  if (in.kind == Kind::key) out.v = {in.low};
  if (in.kind != Kind::key && in.kind != Kind::values) out.v.resize(n);
  for (double& v : out.v) {
    if (in.kind == Kind::uniform) v = rng.uniform(in.low, in.high);
    if (in.kind == Kind::boolean) v = rng.bernoulli(0.5);
    if (in.kind == Kind::integers)
      v = in.low + static_cast<double>(rng.below(static_cast<uint64_t>(in.high - in.low)));
    v = rounded(v, out.dtype);
  }
  return out;
}
}  // namespace

std::vector<Values> Subject::inputs(const OpSample& sample, size_t number, DType floating) const {
  std::vector<Values> list;
  for (const SampleInput& in : sample.inputs)
    list.push_back(
        make_input(in, Key(1).fold_in(def_.name).fold_in(number).fold_in(list.size()), floating));
  return list;
}

std::vector<Values> Subject::inputs(size_t sample, DType floating) const {
  return inputs(samples_.list[sample], sample, floating);
}

std::vector<double> Subject::weights(size_t sample, size_t k, int64_t n) const {
  Rng rng(Key(2).fold_in(def_.name).fold_in(sample).fold_in(k));
  std::vector<double> w(static_cast<size_t>(n));
  for (double& v : w) {
    v = rng.uniform(0.5, 1.5);
    if (rng.bernoulli(0.5)) v = -v;
  }
  return w;
}

Tensors Subject::substituted(const Tensors& out) const {
  std::unordered_map<const Node*, Tensors> made;
  const auto mapped = [&](const Tensor& t) {
    const auto at = made.find(t.node());
    return at == made.end() ? t : at->second[t.index()];
  };
  for (const Node* n : topological(out)) {
    if (!n->op || n->evaluated) continue;
    Tensors in;
    bool changed = n->op == listed_;  // what lies below the op stays: gradients are taken there
    for (const Tensor& t : n->inputs) {
      in.push_back(mapped(t));
      changed = changed || !same(in.back(), t);
    }
    if (changed) made[n] = make_all(n->op == listed_ ? def_ : *n->op, n->attrs, in);
  }
  Tensors result;
  for (const Tensor& t : out) result.push_back(mapped(t));
  return result;
}

Tensors Subject::call(const OpSample& sample, const Tensors& in) const {
  if (&def_ == listed_) return sample.call(in);
  const bool was_eager = eager();
  set_eager(false);
  Tensors recorded;
  try {
    recorded = sample.call(in);
  } catch (...) {
    set_eager(was_eager);
    throw;
  }
  set_eager(was_eager);
  return substituted(recorded);
}

// ---- aspects

std::span<const Aspect> aspects() {
  static constexpr Aspect list[] = {
      {"Definition", check_definition}, {"Forward", check_forward},
      {"Gradient", check_gradient},     {"SecondOrder", check_second_order},
      {"Compiled", check_compiled},     {"Layouts", check_layouts},
      {"BadInputs", check_bad_inputs},  {"SaveLoad", check_save_load},
      {"Golden", check_golden},
  };
  return list;
}

Report mill(const OpDef& op, std::string_view aspect) {
  const Subject subject(op);
  Report report;
  for (const Aspect& a : aspects()) {
    if (!aspect.empty() && aspect != a.name) continue;
    try {
      a.run(subject, report);
    } catch (const std::exception& e) {
      report.fail({"throws: ", e.what()});
    }
  }
  return report;
}

Counts& counts() {
  static Counts c;
  return c;
}

bool lacks_units(std::string_view op) {
  if (op == "conv_int8") return !cpu::dnnl::native(DType::i8);
  return (op == "matmul_f32" || op.starts_with("conv_rows")) && !cpu::dnnl::native(DType::bf16);
}

std::vector<KernelName> kernels_of(const Subject& subject, const OpSample& sample,
                                   const Tensors& in, bool reference) {
  CompileOptions options;
  options.passes = false;
  options.reference = reference;
  const Graph graph = run_passes(
      Graph::trace([&](const Tensors& x) { return subject.call(sample, x); }, in), options);
  std::vector<KernelName> names;
  for (const Node* n : graph.nodes()) {
    if (!n->op || n->evaluated || n->op->kind == OpKind::view) continue;
    std::vector<Operand> ins, outs;
    for (const Tensor& t : n->inputs)
      ins.push_back({t.dtype(), t.shape(), contiguous_strides(t.shape())});
    for (const Output& o : n->outputs)
      outs.push_back({o.dtype, o.shape, contiguous_strides(o.shape)});
    DType type = ins.empty() ? outs[0].dtype : ins[0].dtype;
    for (const Operand& o : ins)
      if (is_float(o.dtype)) type = o.dtype;
    const bool found =
        find_kernel({*n->op, n->attrs.get(), ins, outs, n->attrs.hash()}, options) != nullptr;
    names.emplace_back(n->op->name, type, found && !reference ? "cpu" : "reference");
  }
  return names;
}

// ---- tools

namespace {
Mode current = Mode::optimised;
void enter(Mode mode) {
  current = mode;
  set_reference_backend(mode == Mode::reference);
  set_eager(mode == Mode::eager);
  set_passes(mode == Mode::optimised);
}
}  // namespace

Run::Run(Mode mode) : before_(current) { enter(mode); }
Run::~Run() { enter(before_); }

bool is_tested_float(const SampleInput& in) { return in.dtype == DType::f32; }

double rounded(double v, DType dtype) {
  switch (dtype) {
    case DType::f32:
      return static_cast<float>(v);
    case DType::bf16:
      return bf16_to_f32(f32_to_bf16(static_cast<float>(v)));
    case DType::f16:
      return f16_to_f32(f32_to_f16(static_cast<float>(v)));
    default:
      return v;
  }
}

double round_off(DType dtype) {
  switch (dtype) {
    case DType::f64:
      return 0x1p-53;
    case DType::bf16:
      return 0x1p-9;
    case DType::f16:
      return 0x1p-11;
    default:
      return 0x1p-24;
  }
}

namespace {
template <typename T>
Tensor filled(const Values& values) {
  std::vector<T> v;
  for (double d : values.v) v.push_back(static_cast<T>(d));
  return Tensor::from_bytes(v.data(), v.size() * sizeof(T), values.shape, values.dtype);
}
}  // namespace

Tensor tensor_of(const Values& values) {
  switch (values.dtype) {
    case DType::f32:
      return filled<float>(values);
    case DType::f64:
      return filled<double>(values);
    case DType::i8:
      return filled<int8_t>(values);
    case DType::u8:
    case DType::boolean:
      return filled<uint8_t>(values);
    case DType::i32:
      return filled<int32_t>(values);
    case DType::i64:
      return filled<int64_t>(values);
    default:
      break;
  }
  std::vector<uint16_t> bits;
  for (double d : values.v) {
    const auto f = static_cast<float>(d);
    bits.push_back(values.dtype == DType::bf16 ? f32_to_bf16(f) : f32_to_f16(f));
  }
  return Tensor::from_bytes(bits.data(), bits.size() * 2, values.shape, values.dtype);
}

Tensors tensors_of(const std::vector<Values>& values) {
  Tensors out;
  for (const Values& v : values) out.push_back(tensor_of(v));
  return out;
}

Values values_of(const Tensor& t) { return {t.dtype(), t.shape(), t.to_vector<double>()}; }

std::vector<Values> values_of(const Tensors& tensors) {
  eval(tensors);
  std::vector<Values> out;
  for (const Tensor& t : tensors) out.push_back(values_of(t));
  return out;
}

std::string describe(const OpSample& sample, size_t number) {
  std::string s = cat({"sample ", number, " ("});
  for (size_t i = 0; i < sample.inputs.size(); ++i)
    s += cat({i ? ", " : "", sample.inputs[i].dtype, " ", sample.inputs[i].shape});
  return s + ")";
}

double scale_of(const Values& v) {
  double scale = 0;
  for (double d : v.v)
    if (std::isfinite(d)) scale = std::max(scale, std::abs(d));
  return std::min(scale, 1.0);
}

namespace {
double largest(DType dtype) {
  return dtype == DType::f16 ? 65504.0 : dtype == DType::f64 ? 0x1.fffffffffffffp1023 : 0x1.fep127;
}
double smallest_normal(DType dtype) {
  return dtype == DType::f16 ? 0x1p-14 : dtype == DType::f64 ? 0x1p-1022 : 0x1p-126;
}
}  // namespace

std::string difference(const Values& got, const Values& want, Tolerance tolerance) {
  if (got.shape != want.shape) return cat({"shape ", got.shape, ", expected ", want.shape});
  for (size_t k = 0; k < got.v.size(); ++k) {
    const double a = got.v[k], b = want.v[k];
    if (a == b || (std::isnan(a) && std::isnan(b))) continue;
    double allowed = tolerance.relative * std::max(std::abs(b), tolerance.floor);
    if (is_float(got.dtype)) {
      allowed += smallest_normal(got.dtype);
      if (std::abs(b) >= largest(got.dtype) * (1 - 2 * tolerance.relative) && std::isinf(a) &&
          a * b > 0)
        continue;
    }
    if (!(std::abs(a - b) <= allowed))  // also if one is NaN or infinite
      return cat({"element ", k, " is ", a, ", expected ", b, ", off by ", std::abs(a - b),
                  ", allowed ", allowed});
  }
  return "";
}

Tensor projection(const Subject& subject, size_t sample, const Tensors& out) {
  Tensor loss;
  for (size_t k = 0; k < out.size(); ++k) {
    if (!is_float(out[k].dtype())) continue;
    const Tensor w = Tensor::from(subject.weights(sample, k, out[k].numel()), out[k].shape());
    const Tensor term = sum(cast(out[k], DType::f64) * w);
    loss = loss.defined() ? loss + term : term;
  }
  return loss;
}

std::vector<size_t> differentiable(const OpSample& sample) {
  std::vector<size_t> list;
  for (size_t i = 0; i < sample.inputs.size(); ++i)
    if (is_float(sample.inputs[i].dtype) && sample.inputs[i].differentiable) list.push_back(i);
  return list;
}

}  // namespace nacre::testing
