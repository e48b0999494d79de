// Checks of values: every element type against the reference kernels in f64, strided inputs,
// NaN and infinity, inputs that have to be refused.
#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>

#include "compile/plan.h"
#include "graph/node.h"
#include "graph/op_table.h"
#include "nacre/graph.h"
#include "ops/mill.h"

namespace nacre::testing {
namespace {

constexpr DType kFloats[] = {DType::f32, DType::f64, DType::bf16, DType::f16};

bool has_tested_float(const OpSample& s) {
  return std::any_of(s.inputs.begin(), s.inputs.end(), is_tested_float);
}

/// The same inputs for the oracle: values of a narrow type held in f64.
std::vector<Values> widened(const OpSample& s, std::vector<Values> in) {
  for (size_t i = 0; i < in.size(); ++i)
    if (is_tested_float(s.inputs[i])) in[i].dtype = DType::f64;
  return in;
}

double largest_input(const std::vector<Values>& in) {
  double largest = 0;
  for (const Values& v : in)
    if (is_float(v.dtype)) largest = std::max(largest, scale_of(v));
  return largest;
}

/// Unit round-off of the narrowest floating type among the values of a graph.
double coarsest_of(const Tensors& out) {
  double u = 0;
  for (const Node* n : topological(out))
    for (const Output& o : n->outputs)
      if (is_float(o.dtype) && !n->weak) u = std::max(u, round_off(o.dtype));
  return u;
}

/// c * sqrt(K) * sqrt(N) * u, with u the unit round-off and c = 8: a vector function may be off by
/// 4 units in the last place. K is a bound on the terms of one sum, the largest input's size; it
/// counts for f32 and f64 only, as sums of 16-bit types run in f32. N is the number of kernels,
/// each of which rounds. An elementwise op has K = 1 and is measured per element; sums of terms
/// that cancel are measured by what goes in.
Tolerance tolerance_of(const Subject& subject, const OpSample& s, const std::vector<Values>& in,
                       const Values& got, double coarsest, size_t nodes) {
  if (!is_float(got.dtype)) return {0, 0};
  const bool scalar = subject.def().kind == OpKind::elementwise && nodes == 1;
  double k = 1;
  const double u = std::max(coarsest, round_off(got.dtype));
  const bool narrow = u > round_off(DType::f32);
  if (!scalar && !narrow)
    for (const Values& v : in) k = std::max(k, static_cast<double>(v.v.size()));
  Tolerance t;
  t.relative = 8 * std::sqrt(k) * std::sqrt(static_cast<double>(nodes)) * u * s.slack;
  t.floor = scalar ? 0 : largest_input(in);
  return t;
}

void record(const std::vector<KernelName>& kernels) {
  for (const KernelName& k : kernels) counts().kernels.insert(k);
}

void compare(const Subject& subject, const OpSample& s, size_t number, DType floating,
             bool reference, Report& report) {
  const std::string at =
      cat({describe(s, number), " ", floating, reference ? " reference" : " cpu"});
  const std::vector<Values> in = subject.inputs(number, floating);
  std::vector<Values> got, want;
  {
    Run run(Mode::reference);
    want = values_of(subject.call(s, tensors_of(widened(s, in))));
  }
  size_t nodes = 1;
  double coarsest = round_off(floating);
  std::vector<KernelName> kernels;
  try {
    Run run(reference ? Mode::reference : Mode::optimised);
    const Tensors out = subject.call(s, tensors_of(in));
    coarsest = std::max(coarsest, coarsest_of(out));
    got = values_of(out);
    try {
      kernels = kernels_of(subject, s, tensors_of(in), reference);
      nodes = std::max<size_t>(1, kernels.size());
    } catch (const Error&) {
      // An op that reads the values of its inputs cannot be traced.
      kernels = {{subject.def().name, floating, reference ? "reference" : "cpu"}};
    }
  } catch (const Error& e) {
    const bool says_so = e.kind() == Error::Kind::unsupported || e.kind() == Error::Kind::shape;
    if (says_so && (floating == DType::bf16 || floating == DType::f16))
      report.unsupported.push_back(cat({at, ": ", e.what()}));
    else
      report.fail({at, " throws: ", e.what()});
    return;
  }
  if (got.size() != want.size()) {
    report.fail({at, " gives ", got.size(), " outputs, the reference ", want.size()});
    return;
  }
  for (size_t k = 0; k < got.size(); ++k) {
    Tolerance t = tolerance_of(subject, s, in, got[k], coarsest, nodes);
    t.floor = std::max(t.floor, scale_of(want[k]));
    const std::string text = difference(got[k], want[k], t);
    if (!text.empty()) report.fail({at, " output ", k, ": ", text});
  }
  ++counts().comparisons;
  record(kernels);
}

}  // namespace

void check_definition(const Subject& subject, Report& report) {
  const OpDef& op = subject.def();
  if (!op.infer) report.fail({"has no shape rule"});
  if (subject.samples().empty()) report.fail({"has no samples"});
  for (const OpDocumented& d : builtin_ops())
    if (d.def->id == op.id && !d.doc[0]) report.fail({"is not documented"});
  for (size_t i = 0; i < subject.samples().size(); ++i) {
    const OpSample& s = subject.samples()[i];
    if (s.torch.empty() && s.oracle.empty())
      report.fail({describe(s, i), " has neither a torch expression nor another oracle"});
    for (const SampleInput& in : s.inputs)
      if (in.kind == SampleInput::Kind::values &&
          in.shape.numel() != static_cast<int64_t>(in.values.size()))
        report.fail({describe(s, i), " has ", in.values.size(), " values for shape ", in.shape});
    if (!(s.slack >= 1)) report.fail({describe(s, i), " has slack ", s.slack});
  }
}

void check_forward(const Subject& subject, Report& report) {
  counts().ops.insert(subject.def().name);
  for (size_t i = 0; i < subject.samples().size(); ++i) {
    const OpSample& s = subject.samples()[i];
    ++counts().samples;
    for (DType t : kFloats) {
      if (t != DType::f32 && !has_tested_float(s)) continue;
      compare(subject, s, i, t, false, report);
      compare(subject, s, i, t, true, report);
    }
  }
}

// ---- layouts

namespace {

enum class Layout { transposed, sliced, expanded };

/// A tensor with these values that does not lie densely in memory.
Tensor strided(const Values& v, Layout layout) {
  const int64_t rank = v.shape.rank(), n = v.shape.numel();
  const Shape dense = contiguous_strides(v.shape);
  Shape strides = dense;
  int64_t offset = 0, total = n;
  if (layout == Layout::transposed) {
    int64_t step = 1;
    for (int64_t d = 0; d < rank; ++d) {
      strides[d] = step;
      step *= v.shape[d];
    }
  } else if (layout == Layout::sliced) {  // every second element, after a gap
    for (int64_t& s : strides) s *= 2;
    offset = 3;
    total = 2 * n + offset;
  } else if (rank > 0) {
    strides[0] = 0;
  }
  Values memory{v.dtype, {total}, std::vector<double>(static_cast<size_t>(total), 1)};
  for (int64_t k = 0; k < n; ++k) {
    int64_t at = offset;
    for (int64_t d = 0; d < rank; ++d) at += k / dense[d] % v.shape[d] * strides[d];
    memory.v[static_cast<size_t>(at)] = v.v[static_cast<size_t>(k)];
  }
  auto holder = std::make_shared<Tensor>(tensor_of(memory));
  const auto* data =
      static_cast<const char*>(holder->data()) + offset * static_cast<int64_t>(size_of(v.dtype));
  return Tensor::wrap(holder, data, v.shape, v.dtype, strides);
}

/// The values that an expanded view has: those at position 0 of dimension 0, again and again.
Values repeated(Values v) {
  if (v.shape.rank() == 0 || v.shape.numel() == 0) return v;
  const size_t row = v.v.size() / static_cast<size_t>(v.shape[0]);
  for (size_t k = row; k < v.v.size(); ++k) v.v[k] = v.v[k - row];
  return v;
}

/// Values, or the text of the Error that asking for them threw.
struct Outcome {
  std::vector<Values> values;
  std::string error;
};
Outcome outcome(const Subject& subject, const OpSample& s, const Tensors& in) {
  try {
    return {values_of(subject.call(s, in)), ""};
  } catch (const Error& e) {
    return {{}, e.what()};
  }
}

/// True if rounding errors of the inputs change the result as much as what is to be seen.
bool ill_posed(const Subject& subject, const OpSample& s, std::vector<Values> in) {
  const Outcome before = outcome(subject, s, tensors_of(in));
  for (Values& v : in)
    if (is_float(v.dtype))
      for (size_t k = 0; k < v.v.size(); ++k) v.v[k] *= 1 + (k % 2 ? 4 : -4) * round_off(v.dtype);
  const Outcome after = outcome(subject, s, tensors_of(in));
  if (before.error.empty() != after.error.empty()) return true;
  for (size_t k = 0; k < after.values.size(); ++k)
    if (!difference(after.values[k], before.values[k], {1e-4, scale_of(before.values[k])}).empty())
      return true;
  return false;
}

void compare_layout(const Subject& subject, size_t number, Layout layout, Report& report) {
  const OpSample& s = subject.samples()[number];
  std::vector<Values> in = subject.inputs(number, DType::f32);
  Tensors views;
  for (size_t i = 0; i < in.size(); ++i) {
    const bool key = s.inputs[i].kind == SampleInput::Kind::key;
    if (layout == Layout::expanded && !key) in[i] = repeated(std::move(in[i]));
    views.push_back(in[i].shape.rank() == 0 || key ? tensor_of(in[i]) : strided(in[i], layout));
  }
  Run run(Mode::optimised);
  const Outcome want = outcome(subject, s, tensors_of(in));
  const Outcome got = outcome(subject, s, views);
  constexpr const char* names[] = {"transposed", "sliced", "expanded"};
  const std::string at = cat({describe(s, number), " ", names[static_cast<int>(layout)]});
  if (want.error.empty() != got.error.empty()) {
    report.fail({at, " throws '", got.error, "', dense inputs '", want.error, "'"});
    return;
  }
  for (size_t k = 0; k < got.values.size(); ++k) {
    // Another order of summation is all that may differ.
    const double relative = is_float(got.values[k].dtype) ? 1e-5 * s.slack : 0;
    const std::string text =
        difference(got.values[k], want.values[k], {relative, scale_of(want.values[k])});
    if (text.empty()) continue;
    // Repeated rows make matrices singular: then there is no right result.
    if (layout == Layout::expanded && ill_posed(subject, s, in)) return;
    report.fail({at, " inputs, output ", k, ": ", text});
  }
}

}  // namespace

void check_layouts(const Subject& subject, Report& report) {
  for (size_t i = 0; i < subject.samples().size(); ++i) {
    if (subject.samples()[i].inputs.empty()) continue;
    for (Layout l : {Layout::transposed, Layout::sliced, Layout::expanded})
      if (l != Layout::expanded || subject.def().kind != OpKind::control)  // see must_survive
        compare_layout(subject, i, l, report);
  }
}

// ---- bad inputs

namespace {

/// Any result or an Error will do; everything else escapes and fails. Loops are left out: on other
/// inputs than the sample's they may have no end.
void must_survive(const Subject& subject, const OpSample& s, const Tensors& in) {
  if (subject.def().kind == OpKind::control) return;
  for (Mode mode : {Mode::optimised, Mode::reference}) {
    Run run(mode);
    outcome(subject, s, in);
  }
}

void specials(const Subject& subject, size_t number) {
  const OpSample& s = subject.samples()[number];
  std::vector<Values> in = subject.inputs(number, DType::f32);
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  for (double special : {std::numeric_limits<double>::quiet_NaN(), kInfinity, -kInfinity}) {
    std::vector<Values> some = in, all = in;
    for (size_t i = 0; i < in.size(); ++i) {
      if (!is_float(in[i].dtype)) continue;
      for (size_t k = 0; k < in[i].v.size(); ++k) {
        all[i].v[k] = special;
        if (k % 3 == 0) some[i].v[k] = special;
      }
    }
    must_survive(subject, s, tensors_of(some));
    must_survive(subject, s, tensors_of(all));
  }
}

void wrong_types(const Subject& subject, size_t number, Report& report) {
  const OpSample& s = subject.samples()[number];
  const std::vector<Values> in = subject.inputs(number, DType::f32);
  for (size_t i = 0; i < in.size(); ++i) {
    for (DType t : {DType::f64, DType::f16, DType::i64, DType::u8, DType::boolean, DType::f32}) {
      if (t == in[i].dtype) continue;
      std::vector<Values> wrong = in;
      wrong[i].dtype = t;
      for (double& v : wrong[i].v) v = std::isfinite(v) ? std::clamp(v, -9.0, 9.0) : 0;
      if (t == DType::boolean)
        for (double& v : wrong[i].v) v = v > 0;
      if (t == DType::u8)
        for (double& v : wrong[i].v) v = std::abs(v);
      must_survive(subject, s, tensors_of(wrong));
    }
    Tensors undefined = tensors_of(in);
    undefined[i] = Tensor();
    try {  // an argument may be optional: then the call works without it
      const Tensors out = subject.call(s, undefined);
      if (i == 0) report.fail({describe(s, number), " takes an undefined input 0"});
      const Tensors whole = subject.call(s, tensors_of(in));
      eval(out);
      for (size_t k = 0; k < out.size(); ++k)
        if (out[k].dtype() != whole[k].dtype() || out[k].shape() != whole[k].shape())
          report.fail({describe(s, number), " without input ", i, " gives ", out[k].dtype(), " ",
                       out[k].shape(), " as output ", k});
    } catch (const Error&) {
    }
  }
}

/// Inputs with a dimension more, and with one size changed.
void wrong_shapes(const Subject& subject, size_t number) {
  const OpSample& s = subject.samples()[number];
  for (size_t i = 0; i < s.inputs.size(); ++i) {
    if (s.inputs[i].kind == SampleInput::Kind::key) continue;
    for (int way = 0; way < 3; ++way) {
      std::vector<Values> in = subject.inputs(number, DType::f32);
      Values& v = in[i];
      if (way == 0) v.shape.push_back(1);
      if (way == 1 && v.shape.rank() > 0) v.shape[0] += 1;
      if (way == 2 && v.shape.rank() > 0) v.shape[-1] = 0;
      const double fill = v.v.empty() ? 0 : v.v[0];
      v.v.resize(static_cast<size_t>(v.shape.numel()), fill);
      must_survive(subject, s, tensors_of(in));
    }
  }
}

}  // namespace

void check_bad_inputs(const Subject& subject, Report& report) {
  for (size_t i = 0; i < subject.bad_samples().size(); ++i) {
    const auto& [s, text] = subject.bad_samples()[i];
    const std::string at = cat({"bad ", describe(s, i)});
    try {
      subject.call(s, tensors_of(subject.inputs(s, i, DType::f32)));
      report.fail({at, " is accepted"});
    } catch (const Error& e) {
      const std::string what = e.what();
      if (e.kind() != Error::Kind::shape)
        report.fail({at, " is not an Error of kind shape: ", what});
      if (what.find(text) == std::string::npos)
        report.fail({at, " says '", what, "' without '", text, "'"});
      if (what[0] != '[') report.fail({at, " does not name the op: ", what});
    }
  }
  for (size_t i = 0; i < subject.samples().size(); ++i) {
    specials(subject, i);
    wrong_types(subject, i, report);
    wrong_shapes(subject, i);
  }
}

}  // namespace nacre::testing
