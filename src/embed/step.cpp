#include "embed/step.h"

namespace nacre::embed {

std::vector<int64_t> strides_of(const Shape& shape) {
  std::vector<int64_t> s(shape.size());
  int64_t n = 1;
  for (size_t d = s.size(); d-- > 0; n *= shape.begin()[d]) s[d] = n;
  return s;
}

bool broadcast(const Shape& x, const Shape& to, std::vector<int64_t>& strides) {
  if (x.size() > to.size()) return false;
  const std::vector<int64_t> own = strides_of(x);
  strides.assign(to.size(), 0);
  for (size_t d = 0; d < x.size(); ++d) {
    const size_t at = to.size() - x.size() + d;
    if (x.begin()[d] == to.begin()[at])
      strides[at] = x.begin()[d] == 1 ? 0 : own[d];
    else if (x.begin()[d] != 1)
      return false;
  }
  return true;
}

void Check::damaged(std::initializer_list<Piece> why) const {
  fail(Error::Kind::data, {what_, " is not a valid program file: ", cat(why)});
}

void Check::need(size_t in, size_t numbers, bool more) const {
  const size_t given = step.numbers.size();
  if (step.in.size() != in || (more ? given < numbers : given != numbers))
    damaged({"a step has ", step.in.size(), " inputs and ", given, " numbers"});
}

void Check::ensure(bool ok) const {
  if (!ok) damaged({"step ", number_, " does not fit its shapes"});
}

void Check::split(const Shape& x, int64_t dim) {
  ensure(dim >= 0 && dim < x.rank());
  step.outer = step.inner = 1;
  for (int64_t d = 0; d < dim; ++d) step.outer *= x[d];
  for (int64_t d = dim + 1; d < x.rank(); ++d) step.inner *= x[d];
  step.n = x[dim];
}

void Check::window(size_t at) {
  const Shape &from = x(0), &to = y();
  if (from.size() != 4 || to.size() != 4)
    damaged({"a window moves over other than four dimensions"});
  Window& w = step.window;
  for (size_t d = 0; d < 2; ++d) {
    w.stride[d] = step.numbers[at + d];
    w.dilation[d] = step.numbers[at + 2 + d];
    w.low[d] = step.numbers[at + 4 + d];
    const int64_t high = step.numbers[at + 6 + d];
    w.in[d] = from.begin()[2 + d];
    w.out[d] = to.begin()[2 + d];
    constexpr int64_t kMost = 1 << 24;
    for (const int64_t v : {w.kernel[d], w.stride[d], w.dilation[d]})
      if (v < 1 || v > kMost) damaged({"a window has the impossible number ", v});
    if (w.low[d] < 0 || w.low[d] > kMost || high < 0 || high > kMost || w.in[d] > kMost)
      damaged({"a window has impossible padding"});
    const int64_t room = w.in[d] + w.low[d] + high - w.dilation[d] * (w.kernel[d] - 1) - 1;
    if (room < 0 || room / w.stride[d] + 1 != w.out[d])
      damaged({"a window gives ", w.out[d], " where it fits otherwise"});
  }
  if (from.begin()[0] != to.begin()[0]) damaged({"a window changes the batch"});
}

}  // namespace nacre::embed
