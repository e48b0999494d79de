// Initialisers. Fans follow PyTorch: weights are [out, in, kernel...].
#include <algorithm>
#include <cmath>

#include "nacre/nn.h"

namespace nacre::init {
namespace {

struct Fans {
  double in = 1, out = 1;
};

Fans fans(const Shape& s) {
  if (s.rank() < 2) return {static_cast<double>(s.numel()), static_cast<double>(s.numel())};
  double kernel = 1;
  for (int64_t d = 2; d < s.rank(); ++d) kernel *= static_cast<double>(s[d]);
  return {static_cast<double>(s[1]) * kernel, static_cast<double>(s[0]) * kernel};
}

Tensor uniform_in(const Shape& s, const Key& key, double bound) {
  return nacre::uniform(s, key, -bound, bound);
}

/// Rows or columns orthonormal: Gram-Schmidt, twice for accuracy, on a Gaussian matrix.
std::vector<double> orthonormal(int64_t rows, int64_t cols, const Key& key) {
  const int64_t n = std::min(rows, cols), m = std::max(rows, cols);
  Rng rng(key);
  std::vector<std::vector<double>> v(static_cast<size_t>(n),
                                     std::vector<double>(static_cast<size_t>(m)));
  for (size_t i = 0; i < v.size(); ++i) {
    for (double& x : v[i]) x = rng.normal();
    for (int pass = 0; pass < 2; ++pass)
      for (size_t j = 0; j < i; ++j) {
        double d = 0;
        for (size_t k = 0; k < v[i].size(); ++k) d += v[i][k] * v[j][k];
        for (size_t k = 0; k < v[i].size(); ++k) v[i][k] -= d * v[j][k];
      }
    double norm = 0;
    for (double x : v[i]) norm += x * x;
    for (double& x : v[i]) x /= std::sqrt(norm);
  }
  std::vector<double> out(static_cast<size_t>(rows * cols));
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < cols; ++c)
      out[static_cast<size_t>(r * cols + c)] =
          rows <= cols ? v[static_cast<size_t>(r)][static_cast<size_t>(c)]
                       : v[static_cast<size_t>(c)][static_cast<size_t>(r)];
  return out;
}

Tensor from_doubles(const std::vector<double>& v, const Shape& s) {
  return Tensor::from(std::vector<float>(v.begin(), v.end()), s);
}

void need_rank(const Shape& s, int64_t rank, const char* what) {
  if (s.rank() < rank)
    fail(Error::Kind::shape, {"[init] ", what, " needs rank ", rank, " or more, got ", s});
}

}  // namespace

Init constant(double value) {
  return [=](const Shape& s, const Key&) { return full(s, value); };
}
Init zeros() { return constant(0); }
Init ones() { return constant(1); }
Init uniform(double low, double high) {
  return [=](const Shape& s, const Key& k) { return nacre::uniform(s, k, low, high); };
}
Init normal(double mean, double std) {
  return [=](const Shape& s, const Key& k) { return nacre::normal(s, k, mean, std); };
}
Init truncated_normal(double mean, double std, double low, double high) {
  return [=](const Shape& s, const Key& k) {
    Rng rng(k);
    std::vector<double> v(static_cast<size_t>(s.numel()));
    for (double& x : v) {
      do x = rng.normal();
      while (x < low || x > high);
      x = mean + std * x;
    }
    return from_doubles(v, s);
  };
}
Init xavier_uniform(double gain) {
  return [=](const Shape& s, const Key& k) {
    const Fans f = fans(s);
    return uniform_in(s, k, gain * std::sqrt(6 / (f.in + f.out)));
  };
}
Init xavier_normal(double gain) {
  return [=](const Shape& s, const Key& k) {
    const Fans f = fans(s);
    return nacre::normal(s, k, 0, gain * std::sqrt(2 / (f.in + f.out)));
  };
}
Init he_uniform(double gain, bool fan_out) {
  return [=](const Shape& s, const Key& k) {
    const Fans f = fans(s);
    return uniform_in(s, k, gain * std::sqrt(3 / (fan_out ? f.out : f.in)));
  };
}
Init he_normal(double gain, bool fan_out) {
  return [=](const Shape& s, const Key& k) {
    const Fans f = fans(s);
    return nacre::normal(s, k, 0, gain / std::sqrt(fan_out ? f.out : f.in));
  };
}
Init fan_in_uniform() {
  return [](const Shape& s, const Key& k) {
    return uniform_in(s, k, 1 / std::sqrt(std::max(1.0, fans(s).in)));
  };
}
Init orthogonal(double gain) {
  return [=](const Shape& s, const Key& k) {
    need_rank(s, 2, "orthogonal");
    auto v = orthonormal(s[0], s.numel() / std::max<int64_t>(1, s[0]), k);
    for (double& x : v) x *= gain;
    return from_doubles(v, s);
  };
}
Init delta_orthogonal(double gain) {
  return [=](const Shape& s, const Key& k) {
    need_rank(s, 3, "delta_orthogonal");
    const auto q = orthonormal(s[0], s[1], k);
    std::vector<double> v(static_cast<size_t>(s.numel()), 0.0);
    int64_t kernel = 1, centre = 0;
    for (int64_t d = 2; d < s.rank(); ++d) {
      kernel *= s[d];
      centre = centre * s[d] + s[d] / 2;
    }
    for (int64_t i = 0; i < s[0] * s[1]; ++i)
      v[static_cast<size_t>(i * kernel + centre)] = gain * q[static_cast<size_t>(i)];
    return from_doubles(v, s);
  };
}
Init sparse(double sparsity, double std) {
  return [=](const Shape& s, const Key& k) {
    need_rank(s, 2, "sparse");
    const int64_t rows = s[0], cols = s.numel() / std::max<int64_t>(1, rows);
    const auto zero = static_cast<int64_t>(std::ceil(sparsity * static_cast<double>(rows)));
    Rng rng(k);
    std::vector<double> v(static_cast<size_t>(rows * cols));
    for (double& x : v) x = std * rng.normal();
    std::vector<int64_t> order(static_cast<size_t>(rows));
    for (int64_t c = 0; c < cols; ++c) {
      for (int64_t r = 0; r < rows; ++r) order[static_cast<size_t>(r)] = r;
      rng.shuffle(order.begin(), order.end());
      for (int64_t r = 0; r < zero; ++r)
        v[static_cast<size_t>(order[static_cast<size_t>(r)] * cols + c)] = 0;
    }
    return from_doubles(v, s);
  };
}
Init identity(double gain) {
  return [=](const Shape& s, const Key&) {
    need_rank(s, 2, "identity");
    std::vector<double> v(static_cast<size_t>(s.numel()), 0.0);
    int64_t kernel = 1, centre = 0;
    for (int64_t d = 2; d < s.rank(); ++d) {
      kernel *= s[d];
      centre = centre * s[d] + s[d] / 2;
    }
    for (int64_t i = 0; i < std::min(s[0], s[1]); ++i)
      v[static_cast<size_t>((i * s[1] + i) * kernel + centre)] = gain;
    return from_doubles(v, s);
  };
}

}  // namespace nacre::init
