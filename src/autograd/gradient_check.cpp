#include "nacre/gradient_check.h"

#include <algorithm>
#include <cmath>

#include "nacre/autograd.h"
#include "nacre/plan.h"

namespace nacre {

double gradient_error(const std::function<Tensor(const Tensors&)>& f, const Tensors& at,
                      double step) {
  std::vector<std::vector<double>> values;
  for (const Tensor& t : at) {
    if (t.dtype() != DType::f64)
      fail(Error::Kind::usage, {"gradient_error takes f64 tensors, got ", t.dtype()});
    values.push_back(t.to_vector<double>());
  }
  const Tensors g = grad(f(at), at);
  eval(g);
  const auto loss = [&] {
    Tensors in;
    for (size_t i = 0; i < at.size(); ++i) in.push_back(Tensor::from(values[i], at[i].shape()));
    return f(in).item();
  };
  double off = 0, scale = 1e-3;
  for (size_t i = 0; i < at.size(); ++i) {
    const std::vector<double> slopes = g[i].to_vector<double>();
    for (size_t k = 0; k < slopes.size(); ++k) {
      const double x = values[i][k];
      values[i][k] = x + step;
      const double up = loss();
      values[i][k] = x - step;
      const double down = loss();
      values[i][k] = x;
      const double error = std::abs((up - down) / (2 * step) - slopes[k]);
      if (std::isnan(error)) return error;
      off = std::max(off, error);
      scale = std::max(scale, std::abs(slopes[k]));
    }
  }
  return off / scale;
}

}  // namespace nacre
