// The mill: takes an op through everything that has to hold for every op, using nothing but its
// definition and its samples (docs/add-an-op.md). It works on any OpDef, so that the mutation test
// can show that it notices wrong ones.
//
//   Report report = mill(op, "Gradient");
//   for (const std::string& text : report.failures) std::cerr << text << "\n";
#pragma once

#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "nacre/op.h"

namespace nacre::testing {

/// What the checks of one aspect of one op found.
struct Report {
  std::vector<std::string> failures;
  /// "bf16: [svd] ...": what an op said that it does not do.
  std::vector<std::string> unsupported;
  void fail(std::initializer_list<Piece> text) { failures.push_back(cat(text)); }
};

/// The values of a tensor as doubles, row-major.
struct Values {
  DType dtype = DType::f32;
  Shape shape;
  std::vector<double> v;
};

/// An op under test and its samples.
class Subject {
 public:
  explicit Subject(const OpDef& def);
  const OpDef& def() const { return def_; }
  const std::vector<OpSample>& samples() const { return samples_.list; }
  const std::vector<std::pair<OpSample, std::string>>& bad_samples() const {
    return samples_.bad_list;
  }

  /// Calls the sample. If the definition is not the one in the table of ops, its nodes take the
  /// place of that one's.
  Tensors call(const OpSample& sample, const Tensors& in) const;
  /// Inputs of a sample, the same in every run; f32 inputs hold values of type `floating`.
  std::vector<Values> inputs(size_t sample, DType floating) const;
  std::vector<Values> inputs(const OpSample& sample, size_t number, DType floating) const;
  /// Weights of a random projection of output k, of size 0.5 to 1.5 and either sign.
  std::vector<double> weights(size_t sample, size_t k, int64_t n) const;

 private:
  Tensors substituted(const Tensors& out) const;
  const OpDef& def_;
  const OpDef* listed_;  ///< the definition in the table of ops
  Samples samples_;
};

// ---- aspects

struct Aspect {
  const char* name;
  void (*run)(const Subject&, Report&);
};
/// Definition, Forward, Gradient, SecondOrder, Compiled, Layouts, BadInputs, SaveLoad, Golden.
std::span<const Aspect> aspects();
/// Runs one aspect, or all if none is named.
Report mill(const OpDef& op, std::string_view aspect = "");

void check_definition(const Subject&, Report&);
void check_forward(const Subject&, Report&);
void check_gradient(const Subject&, Report&);
void check_second_order(const Subject&, Report&);
void check_compiled(const Subject&, Report&);
void check_layouts(const Subject&, Report&);
void check_bad_inputs(const Subject&, Report&);
void check_save_load(const Subject&, Report&);
void check_golden(const Subject&, Report&);

// ---- counts

/// Op, element type, and "reference" or "cpu": a kernel that ran.
using KernelName = std::tuple<std::string, DType, std::string>;
struct Counts {
  std::set<std::string> ops;
  std::set<KernelName> kernels;  ///< that were compared with the oracle
  /// Ops with a sample whose gradient is compared coarsely, or with none that is, and why.
  std::map<std::string, std::string> coarse, unchecked;
  uint64_t samples = 0, comparisons = 0, gradients = 0, second_order = 0, goldens = 0;
};
Counts& counts();
/// The kernels that the plan of a sample with these inputs runs. Throws what compiling throws.
std::vector<KernelName> kernels_of(const Subject&, const OpSample&, const Tensors& in,
                                   bool reference);
/// True if the backend's only kernel of an op needs vector units that this processor lacks: those
/// of bf16 or of 8-bit integers.
bool lacks_units(std::string_view op);

// ---- tools of the checks

/// Which executor: the reference kernels, or the backend with or without passes, or op by op.
enum class Mode { reference, optimised, plain, eager };
/// Sets the executor while it lives.
class Run {
 public:
  explicit Run(Mode mode);
  ~Run();
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

 private:
  Mode before_;
};

Tensor tensor_of(const Values& values);
Tensors tensors_of(const std::vector<Values>& values);
Values values_of(const Tensor& t);
std::vector<Values> values_of(const Tensors& t);
/// Values rounded to a type.
double rounded(double v, DType dtype);
/// Unit round-off of a floating type: 2^-24 for f32.
double round_off(DType dtype);
/// True for inputs that stand for "the floating type under test".
bool is_tested_float(const SampleInput& in);
/// "sample 2 (f32 2x3, i64 4), f16".
std::string describe(const OpSample& sample, size_t number);

/// How far two results may lie apart, per element: relative * max(|want|, floor).
struct Tolerance {
  double relative = 0, floor = 0;
};
/// "" or what differs. NaN equals NaN. Where `want` overflows the type of `got`, infinity is right.
std::string difference(const Values& got, const Values& want, Tolerance tolerance);
/// Largest finite magnitude, at most 1: below it errors count as absolute.
double scale_of(const Values& v);

/// sum(out * weights) over the floating outputs, in f64; undefined if there are none.
Tensor projection(const Subject&, size_t sample, const Tensors& out);
/// Positions of the inputs whose gradient can be taken.
std::vector<size_t> differentiable(const OpSample& sample);

}  // namespace nacre::testing
