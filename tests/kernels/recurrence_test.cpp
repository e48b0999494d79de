// Recurrent layers against the reference backend, which takes their steps one by one: sizes that
// are no whole vectors, more samples than are held at a time, lengths, both directions, threads.
#include <gtest/gtest.h>

#include <map>

#include "base/parallel.h"
#include "nacre/autograd.h"
#include "nacre/ops.h"
#include "nacre/plan.h"
#include "nacre/program.h"
#include "runtime/profile.h"

namespace nacre {
namespace {

struct RecurrenceCase {
  const char* cell;
  int64_t steps, batch, in, hidden;
  bool reverse, lengths, bias;
};

const RecurrenceCase kRecurrenceCases[] = {
    {"lstm", 5, 7, 3, 40, false, false, true},  {"lstm", 4, 3, 5, 17, true, true, true},
    {"lstm", 3, 41, 2, 64, false, true, false}, {"gru", 5, 7, 3, 40, false, false, true},
    {"gru", 4, 3, 5, 17, true, true, true},     {"gru", 3, 38, 2, 65, true, false, false},
    {"tanh", 5, 9, 3, 70, false, true, true},   {"tanh", 4, 2, 3, 5, true, true, false},
    {"relu", 5, 37, 3, 33, true, true, true},   {"relu", 1, 1, 1, 1, false, false, true},
    {"lstm", 6, 1, 4, 130, false, false, true}, {"gru", 2, 0, 4, 16, false, false, true},
};

int64_t gates(const std::string& cell) { return cell == "lstm" ? 4 : cell == "gru" ? 3 : 1; }

/// x, h0, c0, then the weights of one direction.
Tensors inputs_of(const RecurrenceCase& c, DType t) {
  const int64_t rows = gates(c.cell) * c.hidden;
  Tensors in = {normal({c.steps, c.batch, c.in}, Key(1)), normal({1, c.batch, c.hidden}, Key(2)),
                normal({1, c.batch, c.hidden}, Key(3)), normal({rows, c.in}, Key(4)) * 0.3,
                normal({rows, c.hidden}, Key(5)) * 0.3};
  if (c.bias) {
    in.push_back(normal({rows}, Key(6)));
    in.push_back(normal({rows}, Key(7)));
  }
  for (Tensor& x : in) x = cast(x, t);
  eval(in);
  return in;
}

Tensors layer(const RecurrenceCase& c, const Tensors& in) {
  RnnOptions options;
  options.bias = c.bias;
  options.bidirectional = c.reverse;
  options.relu = c.cell == std::string("relu");
  Tensors weights(in.begin() + 3, in.end());
  Tensor h = in[1], s = in[2];
  if (c.reverse) {  // both directions with the same weights and states
    weights.insert(weights.end(), in.begin() + 3, in.end());
    h = concat({h, h}, 0);
    s = concat({s, s}, 0);
  }
  Tensor lengths;
  if (c.lengths) lengths = remainder(arange(c.batch) * 3 + 2, c.steps + 1);  // some are 0
  if (c.cell == std::string("lstm")) return lstm(in[0], weights, options, h, s, lengths);
  if (c.cell == std::string("gru")) return gru(in[0], weights, options, h, lengths);
  return rnn(in[0], weights, options, h, lengths);
}

/// The outputs, then the gradients of a weighted sum of them.
Tensors all_of(const RecurrenceCase& c, const Tensors& in) {
  Tensors out = layer(c, in);
  Tensor loss = zeros({}, in[0].dtype());
  for (size_t k = 0; k < out.size(); ++k)
    loss +=
        sum(out[k] * cast(reshape(cos(arange(0, out[k].numel(), 1, DType::f64)), out[k].shape()),
                          in[0].dtype()));
  const Tensors g = grad(loss, in);
  out.insert(out.end(), g.begin(), g.end());
  return out;
}

Tensors computed(const RecurrenceCase& c, DType t, bool reference) {
  const Tensors in = inputs_of(c, t);
  set_reference_backend(reference);
  const Tensors out = all_of(c, in);
  eval(out);
  set_reference_backend(false);
  return out;
}

double largest(const Tensor& t) { return t.numel() ? amax(abs(cast(t, DType::f64))).item() : 0; }

TEST(Recurrence, KernelsAgreeWithStepsOneByOne) {
  for (const RecurrenceCase& c : kRecurrenceCases)
    for (DType t : {DType::f32, DType::f64}) {
      const Tensors got = computed(c, t, false), want = computed(c, t, true);
      ASSERT_EQ(got.size(), want.size());
      for (size_t k = 0; k < got.size(); ++k) {
        const double scale = std::max(1.0, largest(want[k]));
        EXPECT_LE(largest(got[k] - want[k]), (t == DType::f32 ? 4e-6 : 8e-15) * scale)
            << c.cell << " hidden " << c.hidden << " reverse " << c.reverse << " " << name_of(t)
            << ", result " << k;
      }
    }
}

TEST(Recurrence, BitsDoNotDependOnThreads) {
  const RecurrenceCase c = {"lstm", 3, 20, 8, 200, true, true, true};
  Tensors in = inputs_of(c, DType::f32);
  // The product of all inputs is the library's, whose order of adding depends on the threads; of
  // such numbers it is exact.
  for (const size_t k : {0, 3}) in[k] = round(in[k] * 64) * (1. / 64);
  eval(in);
  const int before = num_threads();
  std::vector<Tensors> found;
  for (int threads : {1, 3}) {
    set_num_threads(threads);
    found.push_back(layer(c, in));
    eval(found.back());
  }
  set_num_threads(before);
  for (size_t k = 0; k < found[0].size(); ++k)
    EXPECT_EQ(largest(found[0][k] - found[1][k]), 0) << "result " << k;
}

TEST(Recurrence, AProgramPacksItsWeightsOnce) {
  const RecurrenceCase c = {"gru", 4, 5, 6, 48, false, false, true};
  const Tensors in = inputs_of(c, DType::f32);
  const Program program(
      [&](const Tensors& x) {
        Tensors all = in;
        all[0] = x[0];
        return layer(c, all);
      },
      {in[0]});
  const Tensors want = layer(c, in);
  for (int run = 0; run < 2; ++run) {
    const Tensors got = program({in[0]});
    for (size_t k = 0; k < want.size(); ++k) EXPECT_EQ(largest(got[k] - want[k]), 0);
  }
}

TEST(Recurrence, AStepOfTrainingTakesTheForwardPassOnce) {
  const RecurrenceCase c = {"lstm", 4, 3, 6, 16, false, false, true};
  Tensors in = inputs_of(c, DType::f32);
  for (Tensor& t : in) t = t.as_leaf();
  clear_plans();  // a structure's first shape is compiled at once
  set_profiling(true);
  eval(all_of(c, in));
  std::map<std::string, uint64_t> calls;
  for (const ProfileLine& l : profile()) calls[l.label.substr(0, l.label.find(' '))] += l.calls;
  set_profiling(false);
  EXPECT_EQ(calls["recurrence"], 1u);
  EXPECT_EQ(calls["recurrence_grad"], 1u);
}

}  // namespace
}  // namespace nacre
