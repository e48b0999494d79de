#include <cmath>

#include "nacre/autograd.h"
#include "nacre/optim.h"

namespace nacre {
namespace {

using Vec = std::vector<double>;

double dot(const Vec& a, const Vec& b) {
  double s = 0;
  for (size_t i = 0; i < a.size(); ++i) s += a[i] * b[i];
  return s;
}

double largest(const Vec& a) {
  double m = 0;
  for (double v : a) m = std::max(m, std::fabs(v));
  return m;
}

/// The parameters as one vector of doubles.
class Flat {
 public:
  explicit Flat(std::vector<Variable>& parameters) : parameters_(parameters) {}
  Vec read() const {
    Vec all;
    for (const Variable& p : parameters_) {
      const Vec v = p.value().to_vector<double>();
      all.insert(all.end(), v.begin(), v.end());
    }
    return all;
  }
  void write(const Vec& x) {
    size_t at = 0;
    for (Variable& p : parameters_) {
      const auto n = static_cast<size_t>(p.value().numel());
      const Tensor t =
          Tensor::from_bytes(x.data() + at, n * sizeof(double), p.value().shape(), DType::f64);
      Tensor value = cast(t, p.value().dtype());
      p.set(value);
      eval(p.value());
      p.commit();
      at += n;
    }
  }
  double evaluate(const std::function<Tensor()>& loss, Vec& gradient) {
    const Tensor l = loss();
    const Tensors g = grad(l, values(parameters_));
    Tensors all = g;
    all.push_back(l);
    eval(all);
    gradient.clear();
    for (const Tensor& t : g) {
      const Vec v = t.to_vector<double>();
      gradient.insert(gradient.end(), v.begin(), v.end());
    }
    return l.item();
  }

 private:
  std::vector<Variable>& parameters_;
};

struct Point {
  double step, value, slope;
  Vec gradient;
};

/// Minimum of the cubic through two points with slopes, kept inside the interval.
double cubic_minimum(const Point& a, const Point& b) {
  const double d1 = a.slope + b.slope - 3 * (a.value - b.value) / (a.step - b.step);
  const double square = d1 * d1 - a.slope * b.slope;
  const double low = std::min(a.step, b.step), high = std::max(a.step, b.step), width = high - low;
  double t = 0.5 * (low + high);
  if (square >= 0) {
    const double d2 = std::copysign(std::sqrt(square), b.step - a.step);
    const double candidate =
        b.step - (b.step - a.step) * (b.slope + d2 - d1) / (b.slope - a.slope + 2 * d2);
    if (std::isfinite(candidate)) t = candidate;
  }
  return std::min(std::max(t, low + 0.1 * width), high - 0.1 * width);
}

}  // namespace

LBFGS::LBFGS(std::vector<Variable> parameters, const Options& o)
    : parameters_(std::move(parameters)), o_(o) {
  if (parameters_.empty()) fail(Error::Kind::usage, {"[lbfgs] there are no parameters to train"});
}

double LBFGS::step(const std::function<Tensor()>& loss) {
  constexpr double c1 = 1e-4,
                   c2 = 0.9;  // Armijo and curvature constants of the strong Wolfe conditions
  Flat flat(parameters_);
  Vec x = flat.read(), g;
  double f = flat.evaluate(loss, g);
  for (int iteration = 0; iteration < o_.max_iterations && largest(g) > o_.tolerance_gradient;
       ++iteration) {
    // Two-loop recursion: d = -H g.
    Vec d = g;
    std::vector<double> alpha(s_.size());
    for (size_t k = s_.size(); k-- > 0;) {
      alpha[k] = dot(s_[k], d) / dot(s_[k], y_[k]);
      for (size_t i = 0; i < d.size(); ++i) d[i] -= alpha[k] * y_[k][i];
    }
    if (!s_.empty()) {
      const double scale = dot(s_.back(), y_.back()) / dot(y_.back(), y_.back());
      for (double& v : d) v *= scale;
    }
    for (size_t k = 0; k < s_.size(); ++k) {
      const double beta = dot(y_[k], d) / dot(s_[k], y_[k]);
      for (size_t i = 0; i < d.size(); ++i) d[i] += (alpha[k] - beta) * s_[k][i];
    }
    for (double& v : d) v = -v;
    const double slope0 = dot(g, d);
    if (!(slope0 < 0)) {
      s_.clear();
      y_.clear();
      break;
    }
    const auto at = [&](double t) {
      Vec moved = x;
      for (size_t i = 0; i < x.size(); ++i) moved[i] += t * d[i];
      flat.write(moved);
      Point p{t, 0, 0, {}};
      p.value = flat.evaluate(loss, p.gradient);
      p.slope = dot(p.gradient, d);
      return p;
    };
    // Bracket a step, then zoom in.
    Point low{0, f, slope0, g}, high{}, now;
    double t = s_.empty() ? std::min(1.0, 1 / std::max(1e-12, largest(g))) * o_.lr : o_.lr;
    bool bracketed = false, done = false;
    for (int tries = 0; tries < 25 && !done; ++tries) {
      now = at(t);
      if (!bracketed) {
        if (!std::isfinite(now.value) || now.value > f + c1 * t * slope0 ||
            (tries && now.value >= low.value)) {
          high = now;
          bracketed = true;
        } else if (std::fabs(now.slope) <= -c2 * slope0) {
          done = true;
        } else if (now.slope >= 0) {
          high = low;
          low = now;
          bracketed = true;
        } else {
          low = now;
          t *= 2;
          continue;
        }
      } else if (!std::isfinite(now.value) || now.value > f + c1 * t * slope0 ||
                 now.value >= low.value) {
        high = now;
      } else {
        if (std::fabs(now.slope) <= -c2 * slope0) done = true;
        if (now.slope * (high.step - low.step) >= 0) high = low;
        low = now;
      }
      if (!done) {
        if (std::fabs(high.step - low.step) * largest(d) < o_.tolerance_change) break;
        t = std::isfinite(high.value) ? cubic_minimum(low, high) : 0.5 * (low.step + high.step);
      }
    }
    if (!done && low.step == 0) {  // no decrease along d
      flat.write(x);
      break;
    }
    const Point& best = done ? now : low;
    Vec moved = x, s(x.size()), y(x.size());
    for (size_t i = 0; i < x.size(); ++i) {
      s[i] = best.step * d[i];
      moved[i] += s[i];
      y[i] = best.gradient[i] - g[i];
    }
    if (!done) flat.write(moved);
    const bool small =
        largest(s) < o_.tolerance_change || std::fabs(best.value - f) < o_.tolerance_change * 1e-9;
    if (dot(s, y) > 1e-10 * dot(y, y)) {
      s_.push_back(std::move(s));
      y_.push_back(std::move(y));
      if (static_cast<int>(s_.size()) > o_.history) {
        s_.erase(s_.begin());
        y_.erase(y_.begin());
      }
    }
    x = std::move(moved);
    f = best.value;
    g = best.gradient;
    if (small) break;
  }
  return f;
}

}  // namespace nacre
