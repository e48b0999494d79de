#include "ops/loss/loss.h"

namespace nacre {

/// What a loss returns: the mean of the losses of all items, their sum, or each of them.
API(enum class Reduction{mean, sum, none})

Tensor reduced(const Tensor& losses, int64_t reduction) {
  if (reduction == number_of(Reduction::none)) return losses;
  return reduction == number_of(Reduction::sum) ? sum(losses) : mean(losses);
}

Tensor reduced(const Tensor& losses, const Tensor& weights, int64_t reduction) {
  if (reduction != number_of(Reduction::mean)) return reduced(losses, reduction);
  return sum(losses) / sum(weights);
}

void infer_loss(Infer& in, int64_t reduction, const Shape& items) {
  in.check(reduction >= 0 && reduction <= number_of(Reduction::none),
           {"reduction ", reduction, " is unknown"});
  in.out(in.dtype(0), reduction == number_of(Reduction::none) ? items : Shape());
}

void infer_loss_of_pairs(Infer& in, int64_t reduction, size_t inputs) {
  in.check(in.inputs() == inputs, {"takes ", inputs, " inputs, got ", in.inputs()});
  in.check_float(0);
  in.check_same_dtype();
  for (size_t i = 1; i < in.inputs(); ++i)
    in.check(in.shape(i) == in.shape(0), {"input ", i, " has shape ", in.shape(i), ", input 0 has ",
                                          in.shape(0), ": they have to be equal"});
  infer_loss(in, reduction, in.shape(0));
}

void check_classes(Infer& in) {
  const Shape& x = in.shape(0);
  in.check_float(0);
  in.check(x.rank() >= 2, {"predictions have rank ", x.rank(), ", expected NxCx..."});
  in.check(x[1] > 0, {"there are no classes"});
  Shape items = x;
  items.erase(1);
  in.check_index(1);
  in.check(in.shape(1) == items, {"targets have shape ", in.shape(1), ", expected ", items});
  if (in.inputs() < 3) return;
  in.check(
      in.dtype(2) == in.dtype(0) && in.shape(2) == Shape{x[1]},
      {"class weights are ", in.dtype(2), " ", in.shape(2), ", expected ", in.dtype(0), " ", x[1]});
}

Tensor rows_of_classes(const Tensor& x) {
  if (x.rank() == 2) return x;
  Ints dims = {0};
  for (int64_t d = 2; d < x.rank(); ++d) dims.push_back(d);
  dims.push_back(1);
  return reshape(permute(x, dims), {x.numel() / x.size(1), x.size(1)});
}

Targets targets_of(const Tensor& target, int64_t ignore_index, const Tensor& class_weights,
                   DType dtype) {
  Targets t;
  const Tensor flat = cast(reshape(target, {target.numel()}), DType::i64);
  t.valid = ne(flat, ignore_index);
  t.index = where(t.valid, flat, 0);
  t.weights = cast(t.valid, dtype);
  if (class_weights.defined())
    t.weights = where(t.valid, index_select(class_weights, 0, t.index), 0.0);
  return t;
}

}  // namespace nacre
