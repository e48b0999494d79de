// Checks of the compiler and of graphs: passes, eager mode, texts, attributes.
#include <unistd.h>

#include <cstdio>

#include "compile/pass_stats.h"
#include "graph/attrs.h"
#include "graph/node.h"
#include "nacre/autograd.h"
#include "nacre/graph.h"
#include "nacre/plan.h"
#include "ops/mill.h"
#include "tools/shell.h"

namespace nacre::testing {
namespace {

/// Outputs and, where there are any, gradients, evaluated together.
Tensors everything(const Subject& subject, size_t number, const Tensors& in) {
  const OpSample& s = subject.samples()[number];
  Tensors out = subject.call(s, in);
  const std::vector<size_t> which = differentiable(s);
  if (which.empty() || !s.check_grad) return out;
  const Tensor loss = projection(subject, number, out);
  if (!loss.defined()) return out;
  Tensors at;
  for (size_t i : which) at.push_back(in[i]);
  for (const Tensor& g : grad(loss, at)) out.push_back(g);
  return out;
}

std::vector<Values> run(const Subject& subject, size_t number, const std::vector<Values>& in,
                        Mode mode) {
  Run guard(mode);
  if (mode == Mode::optimised) clear_plans();  // a structure's first shape is compiled at once
  return values_of(everything(subject, number, tensors_of(in)));
}

}  // namespace

void check_compiled(const Subject& subject, Report& report) {
  for (size_t i = 0; i < subject.samples().size(); ++i) {
    const OpSample& s = subject.samples()[i];
    const std::string at = describe(s, i);
    const std::vector<Values> in = subject.inputs(i, DType::f32);
    const auto plain = run(subject, i, in, Mode::plain);
    const auto eager = run(subject, i, in, Mode::eager);
    const auto optimised = run(subject, i, in, Mode::optimised);
    if (plain.size() != eager.size() || plain.size() != optimised.size()) {
      report.fail({at, " gives another number of outputs with other passes"});
      continue;
    }
    for (size_t k = 0; k < plain.size(); ++k) {
      const std::string bits = difference(eager[k], plain[k], {0, 0});
      if (!bits.empty()) report.fail({at, " eager against plan without passes, ", k, ": ", bits});
      // Passes may contract and reorder: a few units in the last place of f32, more where a sum of
      // terms cancels.
      const double relative = is_float(plain[k].dtype) ? 1e-5 * s.slack : 0;
      const std::string near = difference(optimised[k], plain[k], {relative, scale_of(plain[k])});
      if (!near.empty()) report.fail({at, " with passes against without, ", k, ": ", near});
    }
  }
  for (const PassStats& p : pass_stats())
    if (p.failures) report.fail({"the pass ", p.name, " failed ", p.failures, " times"});
}

namespace {

void round_trip_attributes(const Node* n, const std::string& at, Report& report) {
  const auto fields = attr_fields(*n->op, n->attrs.get());
  const Attrs again = attrs_from_fields(*n->op, fields);
  if (n->op->attrs && again.hash() != n->attrs.hash())
    report.fail({at, " attributes of ", n->op->name, " change on their way through fields: ",
                 attrs_text(*n->op, n->attrs.get()), " to ", attrs_text(*n->op, again.get())});
}

}  // namespace

void check_save_load(const Subject& subject, Report& report) {
  for (size_t i = 0; i < subject.samples().size(); ++i) {
    const OpSample& s = subject.samples()[i];
    const std::string at = describe(s, i);
    const Tensors in = tensors_of(subject.inputs(i, DType::f32));
    const Tensors out = subject.call(s, in);
    for (const Node* n : topological(out))
      if (n->op) round_trip_attributes(n, at, report);
    Graph graph;
    try {
      graph = Graph::trace([&](const Tensors& x) { return subject.call(s, x); }, in);
    } catch (const Error& e) {
      // An op whose output shape depends on values reads them when called.
      if (e.kind() != Error::Kind::unsupported) report.fail({at, " cannot be traced: ", e.what()});
      continue;
    }
    if (graph.str().empty() || graph.json().empty() || graph.dot().empty())
      report.fail({at, " has no text"});
    const std::vector<Values> want = values_of(out);
    const auto compare = [&](const Graph& g, const char* how) {
      const std::vector<Values> got = values_of(g.call(in));
      for (size_t k = 0; k < want.size(); ++k) {
        const std::string text = difference(got[k], want[k], {0, 0});
        if (!text.empty()) report.fail({at, how, ", output ", k, ": ", text});
      }
    };
    compare(graph, " called as a graph");
    if (i > 0) continue;  // one file for each op: it waits for the disk
    const test::TempFolder folder;
    graph.save(folder / "graph");
    compare(Graph::load(folder / "graph"), " from a file");
  }
}

}  // namespace nacre::testing
