// An op and a model that uses it, in a shared library of their own.
#include <nacre/ops.h>
#include <nacre/plugin.h>
#include <nacre/zoo.h>

#include <cmath>

using namespace nacre;

Tensor bell(In x, double width = 1);

// exp(-(x / width)^2) of floating x.
struct BellAttrs {
  double width = 1;
  void fields(FieldVisitor& v) { v("width", width); }
};

const OpDef op_bell = {
    .name = "bell",
    .attrs = attr_type<BellAttrs>(),
    // The shape rule: one output, of the type and shape of the input.
    .infer =
        [](Infer& in) {
          const double width = in.attrs<BellAttrs>().width;
          in.check(width > 0, {"width ", width, " is not positive"});
          in.check_float(0);
          in.out(in.dtype(0), in.shape(0));
        },
    // What the op means, in double precision whatever the type of the tensors.
    .ref =
        [](Ref& r) {
          const double width = r.attrs<BellAttrs>().width;
          for (int64_t i = 0; i < r.out().n; ++i) {
            const double z = r.in(0).d[i] / width;
            r.out().d[i] = std::exp(-z * z);
          }
        },
    // dL/dx from dL/dy, by public ops, so that it can be differentiated again: y' = -2 x / w^2 y.
    .vjp =
        [](Vjp& v) {
          const double width = v.attrs<BellAttrs>().width;
          v.dx(0) = v.dy() * v.x(0) * v.y() * (-2 / (width * width));
        },
    // Inputs that the tests of all ops use, and mistakes with a part of the message they must give.
    .samples =
        [](Samples& s) {
          const auto call = [](double width) {
            return [=](const Tensors& x) { return Tensors{bell(x[0], width)}; };
          };
          s.add({s.uniform({3, 4}, -2, 2)}, call(1), "torch.exp(-{0} ** 2)");
          s.add({s.uniform({5}, -2, 2)}, call(0.5), "torch.exp(-({0} / 0.5) ** 2)");
          s.add({s.uniform({0, 2})}, call(1), "torch.exp(-{0} ** 2)");
          s.bad({s.uniform({2})}, call(0), "width 0 is not positive");
        },
};

Tensor bell(In x, double width) { return make(op_bell, BellAttrs{width}, {x}); }

// A network of one hidden layer of bells: radial basis functions along learnt directions.
struct BellNet : Module {
  struct Config {
    int64_t in = 64, hidden = 64, classes = 10;
    void fields(FieldVisitor& v) {
      v("in", in);
      v("hidden", hidden);
      v("classes", classes);
    }
  };
  BellNet(const Scope& s, const Config& c)
      : Module(s),
        first_(s / "first", {c.in, c.hidden}),
        last_(s / "last", {c.hidden, c.classes}) {}
  Tensor forward(const Tensor& x, Context& ctx) override {
    return last_(bell(first_(flatten(x, 1), ctx), 2), ctx);
  }

 private:
  Linear first_, last_;
};

const ModelEntry model_bell_net = {
    .name = "bell_net",
    .summary = "One hidden layer of bells.",
    .paper = "an example",
    .config = attr_type<BellNet::Config>(),
    .make = construct<BellNet>,
    .input = {64},
    .tiny = "hidden=16",
};

NACRE_PLUGIN {
  register_op(op_bell);
  register_model(model_bell_net);
}
