// Rules of the algebra pass that change what runs.
#include <gtest/gtest.h>

#include "nacre/autograd.h"
#include "nacre/ops.h"
#include "nacre/plan.h"
#include "runtime/profile.h"

namespace nacre {
namespace {

struct Gradient {
  std::vector<double> values;
  uint64_t concats = 0, pads = 0;
};

/// Of a sum over pieces of x, each with its own weight, and what ran for it.
Gradient gradient_of(const std::function<Tensors(const Tensor&)>& pieces) {
  const Tensor x = normal({3, 4, 12}, Key(1));
  eval(x);
  clear_plans();
  set_profiling(true);
  Tensor total;
  double weight = 1;
  for (const Tensor& t : pieces(x)) {
    const Tensor s = sum(t * t * (weight *= -1.5));
    total = total.defined() ? total + s : s;
  }
  Gradient g{grad(total, {x})[0].to_vector<double>()};
  for (const ProfileLine& l : profile()) {
    if (l.label.starts_with("concat ")) g.concats += l.calls;
    if (l.label.starts_with("pad ")) g.pads += l.calls;
  }
  set_profiling(false);
  return g;
}

TEST(Algebra, TheGradientOfAllPiecesIsJoined) {
  const auto three = [](const Tensor& x) { return chunk(x, 3, -1); };
  const Gradient joined = gradient_of(three);
  EXPECT_EQ(joined.concats, 1u);
  EXPECT_EQ(joined.pads, 0u);
  set_passes(false);
  const Gradient added = gradient_of(three);
  set_passes(true);
  EXPECT_EQ(added.pads, 3u);
  EXPECT_EQ(joined.values, added.values);
}

TEST(Algebra, PiecesThatOverlapOrLeaveGapsAreAdded) {
  for (const int64_t second : {3, 5}) {
    const auto two = [&](const Tensor& x) {
      return Tensors{narrow(x, 2, 0, 4), narrow(x, 2, second, 12 - second)};
    };
    const Gradient g = gradient_of(two);
    EXPECT_EQ(g.concats, 0u) << second;
    set_passes(false);
    EXPECT_EQ(g.values, gradient_of(two).values) << second;
    set_passes(true);
  }
}

}  // namespace
}  // namespace nacre
