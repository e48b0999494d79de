// Outputs of public reference models, made by goldens/make.py, against the zoo's.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "nacre/zoo.h"
#include "zoo/shapes.h"

namespace nacre::test {

/// A line of goldens/goldens.tsv; see make.py for the meaning.
struct Golden {
  std::string model, options;
  Shape input;
  int64_t parameters = 0, macs = 0;
  Shape full;  ///< input for which the multiply-accumulates count
  std::string names;
  Shape output;
  double largest = 0, signed_mean = 0;
  std::vector<double> values;
};

/// Multiples of 2^-24 in [0, 1), as make.py has them.
class Uniform {
 public:
  explicit Uniform(std::string_view name) : state_(OpDef::hash_name(std::string(name).c_str())) {}
  double next() {
    uint64_t z = state_ += 0x9E3779B97F4A7C15ull;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return static_cast<double>((z ^ (z >> 31)) >> 40) * 0x1p-24;
  }

 private:
  uint64_t state_;
};

inline std::vector<float> golden_values(const std::string& name, const Shape& shape) {
  const bool narrow = shape.rank() <= 1;
  const bool positive = name.ends_with("running_var") || (narrow && name.ends_with("weight"));
  const double bound =
      narrow ? 1
             : 2 / std::sqrt(static_cast<double>(shape.numel()) / static_cast<double>(shape[0]));
  Uniform uniform(name);
  std::vector<float> list(static_cast<size_t>(shape.numel()));
  for (float& v : list) {
    const double u = uniform.next();
    v = static_cast<float>(positive ? 0.5 + u : narrow ? 0.2 * u - 0.1 : (2 * u - 1) * bound);
  }
  return list;
}

inline Shape shape_from(const std::string& text) {
  Shape shape;
  std::stringstream s(text);
  for (std::string part; std::getline(s, part, 'x');) shape.push_back(std::stoll(part));
  return shape;
}

inline std::string hash_of_names(const Module& net) {
  std::map<std::string, std::string> sorted;
  for (const Variable& v : net.variables()) sorted[v.name()] = v.value().shape().str();
  std::string text;
  for (const auto& [name, shape] : sorted) text += name + " " + shape + "\n";
  char hex[17];
  std::snprintf(hex, sizeof hex, "%016lx",
                static_cast<unsigned long>(OpDef::hash_name(text.c_str())));
  return hex;
}

/// Those whose model has up to so many parameters.
inline std::vector<Golden> goldens(int64_t most = INT64_MAX) {
  std::ifstream file(std::string(NACRE_SOURCE_DIR) + "/tests/zoo/goldens/goldens.tsv");
  std::vector<Golden> list;
  for (std::string line; std::getline(file, line);) {
    std::stringstream cells(line);
    const auto cell = [&] {
      std::string text;
      std::getline(cells, text, '\t');
      return text;
    };
    Golden g;
    g.model = cell();
    g.options = cell();
    g.input = shape_from(cell());
    g.parameters = std::stoll(cell());
    g.macs = std::stoll(cell());
    g.full = shape_from(cell());
    g.names = cell();
    g.output = shape_from(cell());
    g.largest = std::stod(cell());
    g.signed_mean = std::stod(cell());
    for (double v; cells >> v;) g.values.push_back(v);
    if (g.parameters <= most) list.push_back(std::move(g));
  }
  return list;
}

/// Runs a model that has its golden values and compares the outputs; returns the largest difference
/// as a share of the largest output.
inline double output_difference(const Golden& g, Module& net) {
  const Shape input = with_batch(2, g.input);
  std::vector<float> x = golden_values("input", input);
  const double scale = std::sqrt(static_cast<double>(g.input.numel())) / 2;
  for (float& v : x) v = static_cast<float>(v * scale);
  NoGrad guard;
  Context ctx = Context::eval();
  const Tensor out = net(Tensor::from(x, input), ctx);
  EXPECT_EQ(out.shape(), g.output);
  if (out.shape() != g.output) return INFINITY;
  const auto y = out.to_vector<double>();
  Uniform signs("signs");
  double largest = 0, signed_mean = 0, worst = 0;
  for (double v : y) {
    largest = std::max(largest, std::fabs(v));
    signed_mean += (signs.next() < 0.5 ? v : -v) / static_cast<double>(y.size());
  }
  for (size_t i = 0; i < g.values.size(); ++i) {
    const double d = std::fabs(y[i * (y.size() - 1) / (g.values.size() - 1)] - g.values[i]);
    worst = std::max(worst, std::isnan(d) ? INFINITY : d);
  }
  worst = std::max(worst, std::fabs(largest - g.largest));
  worst = std::max(worst, std::fabs(signed_mean - g.signed_mean));
  return worst / g.largest;
}

/// Fills the model by name and compares names, sizes and, as above, outputs.
inline double golden_difference(const Golden& g) {
  const auto net = make_model(g.model, g.options,
                              Scope::load([](const std::string& name, const Shape& shape, DType) {
                                return Tensor::from(golden_values(name, shape), shape);
                              }));
  EXPECT_EQ(hash_of_names(*net), g.names)
      << "variables differ from those that tests/zoo/goldens/make.py --names " << g.model
      << " prints";
  EXPECT_EQ(net->parameter_count(), g.parameters);
  EXPECT_EQ(count_macs(*net, with_batch(1, g.full)), g.macs);
  return output_difference(g, *net);
}

}  // namespace nacre::test
