// Shows that the mill notices wrong ops: each test breaks one part of a good definition.
#include <gtest/gtest.h>

#include <memory>

#include "compile/plan.h"
#include "nacre/autograd.h"
#include "nacre/ops.h"
#include "nacre/plan.h"
#include "ops/mill.h"

namespace nacre::testing {
namespace {

/// A copy under another identity, so that no cache takes it for the original.
OpDef copy_of(const char* name) {
  OpDef op = *find_op(name);
  op.id = OpDef::hash_name("mutant") ^ op.id;
  return op;
}

bool fails(const OpDef& op, std::string_view aspect) {
  const Report report = mill(op, aspect);
  clear_plans();
  return !report.failures.empty();
}

TEST(Mutation, AnUnchangedCopyPasses) {
  for (const char* name : {"add", "exp", "mul", "matmul", "sum", "permute", "reshape"}) {
    const OpDef op = copy_of(name);
    for (const std::string& text : mill(op).failures) ADD_FAILURE() << name << ": " << text;
    clear_plans();
  }
}

TEST(Mutation, AReferenceThatReturnsItsArgument) {
  OpDef op = copy_of("exp");
  op.f1 = [](double x) { return x; };
  EXPECT_TRUE(fails(op, "Golden"));
  EXPECT_TRUE(fails(op, "Gradient"));
}

TEST(Mutation, AReferenceThatIsOffByOnePartInAMillion) {
  OpDef op = copy_of("sum");
  op.ref = [](Ref& r) {
    find_op("sum")->ref(r);
    if (r.out().floating())
      for (int64_t k = 0; k < r.out().n; ++k) r.out().d[k] *= 1 + 1e-6;
  };
  EXPECT_TRUE(fails(op, "Golden"));
}

TEST(Mutation, AGradientThatIsOnePerCentTooLarge) {
  OpDef op = copy_of("exp");
  op.vjp = [](Vjp& v) { v.dx(0) = v.dy() * v.y() * 1.01; };
  EXPECT_TRUE(fails(op, "Gradient"));
  EXPECT_TRUE(fails(op, "Golden"));
}

TEST(Mutation, AGradientWithTheInputsSwapped) {
  OpDef op = copy_of("mul");
  op.vjp = [](Vjp& v) {
    v.dx(0) = v.dy() * v.x(0);
    v.dx(1) = v.dy() * v.x(1);
  };
  EXPECT_TRUE(fails(op, "Gradient"));
}

TEST(Mutation, AGradientThatForgetsAnInput) {
  OpDef op = copy_of("matmul");
  op.vjp = [](Vjp& v) {
    const std::vector<bool> wants = {v.wants(0), false};
    const Tensors dy = {v.dy()};
    Tensors dx(2);
    Vjp part(v.y().node(), dy, dx, wants);
    find_op("matmul")->vjp(part);
    v.dx(0) = dx[0];
  };
  EXPECT_TRUE(fails(op, "Gradient"));
}

TEST(Mutation, AGradientThatIsAConstantForTheSecondOrder) {
  OpDef op = copy_of("exp");
  op.vjp = [](Vjp& v) { v.dx(0) = v.dy() * stop_gradient(v.y()); };
  EXPECT_FALSE(fails(op, "Gradient"));
  EXPECT_TRUE(fails(op, "SecondOrder"));
}

TEST(Mutation, AShapeRuleThatTransposes) {
  OpDef op = copy_of("matmul");
  op.infer = [](Infer& in) {
    find_op("matmul")->infer(in);
    Shape& s = in.out_shape(0);
    std::swap(s[-1], s[-2]);
  };
  EXPECT_TRUE(fails(op, "Golden"));
}

TEST(Mutation, ABadInputThatIsTaken) {
  OpDef op = copy_of("add");
  op.samples = [](Samples& s) {
    s.bad(
        {s.uniform({2, 3}), s.uniform({3})},
        [](const Tensors& x) { return Tensors{add(x[0], x[1])}; }, "do not broadcast");
  };
  EXPECT_TRUE(fails(op, "BadInputs"));
  op.samples = [](Samples& s) {
    s.bad(
        {s.uniform({2, 3}), s.uniform({4})},
        [](const Tensors& x) { return Tensors{add(x[0], x[1])}; }, "another text");
  };
  EXPECT_TRUE(fails(op, "BadInputs"));
}

TEST(Mutation, AViewWithTheWrongStrides) {
  OpDef op = copy_of("permute");
  op.view = [](const void*, const Shape&, const Shape&, const Shape& out) -> std::optional<View> {
    return View{contiguous_strides(out), 0};
  };
  EXPECT_TRUE(fails(op, "Golden"));
}

TEST(Mutation, AnOpWithoutSamples) {
  OpDef op = copy_of("exp");
  op.samples = nullptr;
  EXPECT_TRUE(fails(op, "Definition"));
}

TEST(Mutation, ASampleWithoutAnOracle) {
  OpDef op = copy_of("exp");
  op.samples = [](Samples& s) {
    s.add({s.uniform({2})}, [](const Tensors& x) { return Tensors{exp(x[0])}; });
  };
  EXPECT_TRUE(fails(op, "Definition"));
}

/// Multiplies what the reference kernel gives by 1 + 1/1024, for f32 only.
class SlightlyWrong : public Kernel {
 public:
  explicit SlightlyWrong(const KernelQuery& q)
      : inner_(reference_kernel(q)), n_(q.out[0].numel()) {}
  void run(const void* const* in, void* const* out, void* scratch) const override {
    inner_->run(in, out, scratch);
    for (int64_t k = 0; k < n_; ++k) static_cast<float*>(out[0])[k] *= 1 + 0x1p-10f;
  }
  std::string description() const override { return "slightly wrong"; }

 private:
  std::unique_ptr<Kernel> inner_;
  int64_t n_;
};

/// Takes strided operands for dense ones.
class IgnoresStrides : public Kernel {
 public:
  explicit IgnoresStrides(const KernelQuery& q) {
    std::vector<Operand> in(q.in.begin(), q.in.end());
    for (Operand& o : in) o.strides = contiguous_strides(o.shape);
    inner_ = reference_kernel({q.op, q.attrs, in, q.out, q.attrs_hash});
  }
  void run(const void* const* in, void* const* out, void* scratch) const override {
    inner_->run(in, out, scratch);
  }
  std::string description() const override { return "ignores strides"; }

 private:
  std::unique_ptr<Kernel> inner_;
};

template <typename K>
std::unique_ptr<Kernel> prepare(const KernelQuery& q) {
  if (!q.all_float(DType::f32) || q.out.empty() || q.out[0].dtype != DType::f32) return nullptr;
  return std::make_unique<K>(q);
}

TEST(Mutation, AKernelThatIsOffByAThousandth) {
  set_kernel_override("matmul", prepare<SlightlyWrong>);
  clear_plans();
  EXPECT_TRUE(fails(*find_op("matmul"), "Forward"));
  set_kernel_override("matmul", nullptr);
  clear_plans();
  EXPECT_FALSE(fails(*find_op("matmul"), "Forward"));
}

TEST(Mutation, AKernelThatIgnoresStrides) {
  set_kernel_override("sum", prepare<IgnoresStrides>);
  clear_plans();
  EXPECT_FALSE(fails(*find_op("sum"), "Forward"));
  EXPECT_TRUE(fails(*find_op("sum"), "Layouts"));
  set_kernel_override("sum", nullptr);
  clear_plans();
}

}  // namespace
}  // namespace nacre::testing
