#include "ops/index/index.h"

namespace nacre {

Shape selected_shape(const Shape& x, const Shape& index, int64_t dim) {
  Shape out = x.slice(0, dim);
  for (int64_t n : index) out.push_back(n);
  for (int64_t d = dim + 1; d < x.rank(); ++d) out.push_back(x[d]);
  return out;
}

int64_t checked_index(const Ref& r, const RefTensor& index, int64_t k, int64_t dim, int64_t size) {
  const int64_t v = index.i[k], at = v < 0 ? v + size : v;
  if (at < 0 || at >= size)
    r.fail(Error::Kind::data, {"index ", v, " at position ", k, " is out of range for dimension ",
                               dim, " of size ", size});
  return at;
}

void check_along(const Infer& in, int64_t dim) {
  in.check_index(1);
  in.check(dim >= 0 && dim < in.rank(0),
           {"dimension ", dim, " is out of range for rank ", in.rank(0)});
  in.check(in.rank(1) == in.rank(0),
           {"the index has rank ", in.rank(1), ", the input has ", in.rank(0)});
  for (int64_t d = 0; d < in.rank(0); ++d)
    in.check(d == dim || in.shape(1)[d] <= in.shape(0)[d],
             {"the index has size ", in.shape(1)[d], " in dimension ", d, ", the input has ",
              in.shape(0)[d]});
}

}  // namespace nacre
