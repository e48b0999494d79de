#include "ops/norm/norm.h"

namespace nacre {

void check_beside(const Infer& in, size_t i) {
  const DType t = in.dtype(i);
  in.check(t == in.dtype(0) || t == statistics_type(in.dtype(0)),
           {"input ", i, " has type ", t, ", beside ", in.dtype(0), " it has to be ",
            statistics_type(in.dtype(0))});
}

Ints dims_between(int64_t from, int64_t to) {
  Ints dims;
  for (int64_t d = from; d < to; ++d) dims.push_back(d);
  return dims;
}

Tensor over_channels(const Tensor& t, int64_t rank) {
  Shape s(static_cast<size_t>(rank), 1);
  s[1] = t.numel();
  return reshape(t, s);
}

Ints all_but_channels(int64_t rank) {
  Ints dims = {0};
  for (int64_t d = 2; d < rank; ++d) dims.push_back(d);
  return dims;
}

Shape check_rows(const Infer& in) {
  const int64_t r = in.attrs<RowNormAttrs>().normalized_rank;
  in.check_float(0);
  in.check(r >= 1 && r <= in.rank(0),
           {"normalized_rank is ", r, ", the input has ", in.rank(0), " dimensions"});
  in.check(in.attrs<RowNormAttrs>().eps >= 0, {"eps is ", in.attrs<RowNormAttrs>().eps});
  return in.shape(0).slice(0, in.rank(0) - r);
}

void check_row_weight(const Infer& in, size_t i) {
  const int64_t r = in.attrs<RowNormAttrs>().normalized_rank;
  const Shape rows = in.shape(0).slice(in.rank(0) - r, in.rank(0));
  check_beside(in, i);
  in.check(in.shape(i) == rows,
           {"input ", i, " has shape ", in.shape(i), ", the normalised dimensions are ", rows});
}

void check_row_statistic(const Infer& in, size_t i) {
  const Shape leading = in.shape(0).slice(0, in.rank(0) - in.attrs<RowNormAttrs>().normalized_rank);
  check_beside(in, i);
  in.check(in.shape(i) == leading,
           {"input ", i, " has shape ", in.shape(i), ", the leading dimensions are ", leading});
}

int64_t resolve_rank(const char* op, const Tensor& x, const Tensor& weight,
                     int64_t normalized_rank) {
  if (!weight.defined()) return normalized_rank == 0 ? 1 : normalized_rank;
  if (normalized_rank != 0 && normalized_rank != weight.rank())
    fail(Error::Kind::shape,
         {"[", op, "] normalized_rank is ", normalized_rank, ", the weight has shape ",
          weight.shape(), " (input ", x.shape(), ")", where()});
  return weight.rank();
}

Tensor over_rows(const Tensor& t, const Tensor& x, int64_t normalized_rank) {
  Shape s = x.shape();
  for (int64_t d = 1; d <= normalized_rank; ++d) s[-d] = 1;
  return reshape(t, s);
}

}  // namespace nacre
