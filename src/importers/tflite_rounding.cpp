// How TFLite rounds what it computes in integers of 8 bits: a sum or product times a factor of 31
// bits and a power of two, with a rounding after each of the two (Jacob et al. 2018,
// arXiv:1712.05877, section 2.2). What goes through its library of matrix products (convolutions,
// products) rounds halves up the second time, everything else away from zero.
#include <algorithm>
#include <cmath>

#include "importers/tflite.h"
#include "nacre/error.h"

namespace nacre {
namespace {

bool is_byte(Elem e) { return e == Elem::i8 || e == Elem::u8; }

NhwcValue numbers(NhwcBuilder& net, const std::vector<double>& values) {
  if (values.size() == 1) return net.number(values[0], Elem::f64);
  auto bytes = std::make_shared<std::string>(reinterpret_cast<const char*>(values.data()),
                                             8 * values.size());
  return net.constant("", {*bytes, {std::ssize(values)}, Elem::f64, bytes, {}, {}, 0});
}

}  // namespace

FixedPoint::FixedPoint(double factor) {
  part = std::round(std::ldexp(std::frexp(factor, &shift), 31)) / (uint64_t{1} << 31);
}

FixedPoint FixedPoint::over(int64_t count) const {
  FixedPoint f = *this;
  int bits = 0;
  while (count >> (bits + 1)) ++bits;
  f.part = part * std::ldexp(1, bits) / static_cast<double>(count);
  f.shift = shift - bits;
  return f;
}

NhwcValue round_to_integers(NhwcBuilder& net, const NhwcValue& x, Halves halves) {
  const NhwcValue half = net.number(0.5, x->type);
  if (halves == Halves::up) return net.unary("Floor", net.binary("Add", x, half));
  const NhwcValue size = net.unary("Floor", net.binary("Add", net.unary("Abs", x), half));
  return net.binary("Mul", net.unary("Sign", x), size);
}

bool LiteCall::in_bytes(std::initializer_list<size_t> inputs) const {
  const auto fits = [](const LiteTensor& t) {
    return t.quantised() && std::adjacent_find(t.zeros.begin(), t.zeros.end(),
                                               std::not_equal_to<>()) == t.zeros.end();
  };
  const LiteTensor& y = result();
  if (!y.quantised() || y.scales.size() != 1 || !is_byte(y.elem())) return false;
  return std::all_of(inputs.begin(), inputs.end(), [&](size_t i) {
    return !has(i) || (fits(tensor(i)) && (is_byte(tensor(i).elem()) || numbers_[index(i)]));
  });
}

NhwcValue LiteCall::units(size_t i) {
  const LiteTensor& t = tensor(i);
  const NhwcValue& known = numbers_[index(i)];
  if (!known || !known->data) return net.rescale(raw(i), 1, t.zeros[0], Elem::f32);
  ConstantData c = *known->data;
  c.scales = {1};
  c.zeros = {t.zeros[0]};
  return net.constant(t.name, std::move(c));
}

std::vector<FixedPoint> LiteCall::factors(size_t a, size_t b) const {
  std::vector<FixedPoint> f;
  for (const float scale : tensor(b).scales)
    f.emplace_back(static_cast<double>(tensor(a).scales[0]) * static_cast<double>(scale) /
                   static_cast<double>(result().scales[0]));
  return f;
}

NhwcValue LiteCall::rounded(const NhwcValue& units, const std::vector<FixedPoint>& factors,
                            Halves halves) {
  std::vector<double> first, second;
  for (const FixedPoint& f : factors) {
    first.push_back(std::ldexp(f.part, std::max(f.shift, 0)));
    second.push_back(std::ldexp(1, std::min(f.shift, 0)));
  }
  const NhwcValue y = net.binary("Mul", net.cast(units, Elem::f64), numbers(net, first));
  const NhwcValue whole = round_to_integers(net, y, Halves::up);
  return round_to_integers(net, net.binary("Mul", whole, numbers(net, second)), halves);
}

void LiteCall::set_rounded(const NhwcValue& steps, int64_t activation) {
  const LiteTensor& t = result();
  const double zero = static_cast<double>(t.zeros[0]);
  double low = t.elem() == Elem::i8 ? -128 : 0, high = low + 255;
  const auto at = [&](double number) {
    return zero + std::round(number / static_cast<double>(t.scales[0]));
  };
  if (activation == 1 || activation == 3) low = std::max(low, at(0));
  if (activation == 2) low = std::max(low, at(-1));
  if (activation == 2) high = std::min(high, at(1));
  if (activation == 3) high = std::min(high, at(6));
  if (activation > 3) throw NoTranslation{cat({"activation ", activation})};
  const NhwcValue y = net.binary("Add", steps, net.number(zero, steps->type));
  set_raw(net.cast(net.clip(y, low, high), t.elem()));
}

}  // namespace nacre
