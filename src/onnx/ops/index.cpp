// Reading and writing by index, and what depends on values: sorting, uniqueness, non-zeros.
#include <algorithm>
#include <map>
#include <numeric>

#include "onnx/call.h"

namespace nacre::onnx {
namespace {

/// Indices below zero count from the end.
Tensor from_start(const Tensor& index, int64_t size) {
  return where(index < 0, index + size, index);
}

/// Positions in the flattened leading dimensions that rows of `index` (...xK) name.
Tensor flat_index(const Call& c, const Tensor& index, const Shape& shape, int64_t first) {
  const int64_t k = index.shape().back();
  c.check(first + k <= shape.rank(), {"indices of ", k, " numbers for shape ", shape});
  Tensor at = zeros(index.shape().slice(0, index.rank() - 1), DType::i64);
  for (int64_t d = 0; d < k; ++d) {
    const int64_t size = shape[first + d];
    const Tensor i = from_start(cast(select(index, -1, d), DType::i64), size);
    // Out of range stays out of range once flattened, so that the op that reads complains.
    const Tensor bad = logical_or(i < 0, i >= size);
    at = where(bad, int64_t{1} << 60, at * size + i);
  }
  return where(at >= int64_t{1} << 59, int64_t{1} << 60, at);
}

Values gather_nd(Call& c) {
  const Shape& s = c.shape(0);
  const int64_t b = c.i("batch_dims"), k = c.rank(1) ? c.shape(1).back() : 0;
  c.check(b >= 0 && b < s.rank() && b < c.rank(1) && k > 0 && b + k <= s.rank(),
          {"data ", s, ", indices ", c.shape(1), ", batch_dims ", b});
  const int64_t batch = s.slice(0, b).numel(), picked = s.slice(b, b + k).numel();
  const Shape rest = s.slice(b + k, s.rank());
  const Shape places = c.shape(1).slice(b, c.rank(1) - 1);
  Tensor at = flat_index(c, c[1], s, b);
  at = reshape(at, {batch, places.numel()});
  if (batch > 1) at = at + reshape(arange(batch) * picked, {batch, 1});
  Shape out = s.slice(0, b);
  for (int64_t d : places) out.push_back(d);
  for (int64_t d : rest) out.push_back(d);
  return {moved(c.in[0], [&](const Tensor& x) {
    const Tensor rows = reshape(x, {batch * picked, rest.numel()});
    return reshape(index_select(rows, 0, reshape(at, {batch * places.numel()})), out);
  })};
}

std::string reduce_of(const Call& c) {
  const std::string r = c.s("reduction", "none");
  if (r == "none") return "set";
  c.check(r == "add" || r == "mul" || r == "max" || r == "min",
          {"reduction '", r, "' is not known"});
  return r;
}

Values scatter_nd(Call& c) {
  const Shape& s = c.shape(0);
  const int64_t k = c.rank(1) ? c.shape(1).back() : 0;
  c.check(k > 0 && k <= s.rank(), {"data ", s, ", indices ", c.shape(1)});
  const int64_t rows = s.slice(0, k).numel(), width = s.slice(k, s.rank()).numel();
  const int64_t n = c.shape(1).slice(0, c.rank(1) - 1).numel();
  const Tensor at = expand(reshape(flat_index(c, c[1], s, 0), {n, 1}), {n, width});
  const Tensor y =
      scatter(reshape(c[0], {rows, width}), 0, at, reshape(c[2], {n, width}), reduce_of(c));
  return {Value(reshape(y, s), c.in[0].elem())};
}

Values scatter_elements(Call& c) {
  const int64_t axis = c.axis(c.i("axis"), c.rank(0));
  return {Value(scatter(c[0], axis, c[1], c[2], reduce_of(c)), c.in[0].elem())};
}

/// Entries of a cache along its axis overwritten from a place on that each sample states.
Values tensor_scatter(Call& c) {
  const Shape &past = c.shape(0), &update = c.shape(1);
  const int64_t rank = past.rank(), axis = c.axis(c.i("axis", -2), rank);
  const std::string mode = c.s("mode", "linear");
  c.check(mode == "linear" || mode == "circular", {"mode '", mode, "' is not known"});
  bool fits = update.rank() == rank && axis > 0;
  for (int64_t d = 0; fits && d < rank; ++d)
    fits = d == axis ? update[d] <= past[d] : update[d] == past[d];
  c.check(fits && (!c.has(2) || c.shape(2) == Shape{past[0]}),
          {"cache ", past, " and update ", update, " along axis ", axis});
  Shape row(past.size(), 1), column = row;
  row[axis] = update[axis];
  column[0] = past[0];
  Tensor at = reshape(arange(update[axis]), row);
  if (c.has(2)) at = at + reshape(cast(c[2], DType::i64), column);
  if (mode == "circular" && past[axis]) at = remainder(at, past[axis]);
  return {Value(scatter(c[0], axis, expand(at, update), c[1], "set"), c.in[0].elem())};
}

Values one_hot_values(Call& c) {
  const int64_t depth = c.integer(1), rank = c.rank(0);
  c.check(depth > 0, {"depth ", depth, " is not positive"});
  const int64_t axis = c.axis(c.i("axis", -1), rank + 1);
  const Tensor at = is_float(c[0].dtype()) ? cast(c[0], DType::i64) : c[0];
  const Tensor index = unsqueeze(cast(from_start(at, depth), DType::i64), axis);
  Shape row(static_cast<size_t>(rank + 1), 1);
  row[axis] = depth;
  check_fits({c.shape(0).numel(), depth}, c[2].dtype());
  const Tensor hit = eq(index, reshape(arange(depth), row));
  const Tensor off = select(c[2], 0, 0), on = select(c[2], 0, 1);
  return {Value(where(hit, on, off), c.in[2].elem())};
}

Values compress(Call& c) {
  std::vector<int64_t> chosen;
  const std::vector<int64_t> flags = c[1].to_vector<int64_t>();
  for (size_t k = 0; k < flags.size(); ++k)
    if (flags[k]) chosen.push_back(static_cast<int64_t>(k));
  const Tensor at = Tensor::from(chosen, {static_cast<int64_t>(chosen.size())});
  const bool flat = !c.given("axis");
  const int64_t axis = flat ? 0 : c.axis(c.i("axis"), c.rank(0));
  return {moved(c.in[0], [&](const Tensor& x) {
    return index_select(flat ? reshape(x, {x.numel()}) : x, axis, at);
  })};
}

Values unique_values(Call& c) {
  const Tensor& whole = c[0];
  const bool flat = !c.given("axis"), sorted = c.i("sorted", 1) != 0;
  const Tensor x = flat ? reshape(whole, {whole.numel()}) : whole;
  const int64_t axis = flat ? 0 : c.axis(c.i("axis"), x.rank()), n = x.size(axis);
  const Tensor rows = movedim(x, axis, 0);
  const int64_t width = n ? x.numel() / n : 0;
  // Rows are compared as numbers; each stands for itself by the place where it comes first.
  std::map<std::vector<double>, int64_t> seen;
  std::vector<int64_t> first, inverse, counts;
  const std::vector<double> v = rows.to_vector<double>();
  for (int64_t k = 0; k < n; ++k) {
    const auto from = v.begin() + k * width;
    const auto [at, is_new] =
        seen.emplace(std::vector<double>(from, from + width), static_cast<int64_t>(first.size()));
    if (is_new) {
      first.push_back(k);
      counts.push_back(0);
    }
    inverse.push_back(at->second);
    ++counts[static_cast<size_t>(at->second)];
  }
  if (sorted) {
    std::vector<int64_t> rank(first.size()), old_first = first, old_counts = counts;
    int64_t next = 0;
    for (const auto& [row, k] : seen) {
      rank[static_cast<size_t>(k)] = next;
      first[static_cast<size_t>(next)] = old_first[static_cast<size_t>(k)];
      counts[static_cast<size_t>(next++)] = old_counts[static_cast<size_t>(k)];
    }
    for (int64_t& i : inverse) i = rank[static_cast<size_t>(i)];
  }
  const auto list = [](const std::vector<int64_t>& l) {
    return Tensor::from(l, {static_cast<int64_t>(l.size())});
  };
  return {Value(index_select(x, axis, list(first)), c.in[0].elem()), list(first), list(inverse),
          list(counts)};
}

Values top_k(Call& c) {
  const int64_t axis = c.axis(c.i("axis", -1), c.rank(0));
  const int64_t k = c.has(1) ? c.integer(1) : c.i("k");
  const Tensors y = topk(c[0], k, axis, c.i("largest", 1) != 0);
  return {Value(y[0], c.in[0].elem()), y[1]};
}

Values reverse_sequence(Call& c) {
  const Shape& s = c.shape(0);
  const int64_t time = c.axis(c.i("time_axis"), s.rank());
  const int64_t batch = c.axis(c.i("batch_axis", 1), s.rank());
  const Ints lengths = c.ints(1);
  c.check(lengths.rank() == s[batch] && time != batch,
          {lengths.rank(), " lengths for a batch of ", s[batch]});
  for (int64_t n : lengths)
    c.check(n >= 0 && n <= s[time], {"a length of ", n, ", there are ", s[time], " steps"});
  std::vector<int64_t> at;
  for (int64_t t = 0; t < s[time]; ++t)
    for (int64_t n : lengths) at.push_back(t < n ? n - 1 - t : t);
  Tensor index = Tensor::from(at, {s[time], s[batch]});
  if (batch < time) index = transpose(index);
  Shape wide(s.size(), 1);
  wide[time] = s[time];
  wide[batch] = s[batch];
  index = expand(reshape(index, wide), s);
  return {moved(c.in[0], [&](const Tensor& x) { return gather(x, time, index); })};
}

}  // namespace

ONNX(Gather) = {
    "Gather", [](Call& c) -> Values {
      const int64_t axis = c.axis(c.i("axis"), c.rank(0));
      return {moved(c.in[0], [&](const Tensor& x) { return index_select(x, axis, c[1]); })};
    }};
ONNX(GatherElements) = {
    "GatherElements", [](Call& c) -> Values {
      const int64_t axis = c.axis(c.i("axis"), c.rank(0));
      return {moved(c.in[0], [&](const Tensor& x) { return gather(x, axis, c[1]); })};
    }};
ONNX(GatherND) = {"GatherND", gather_nd};
ONNX(ScatterND) = {"ScatterND", scatter_nd};
ONNX(ScatterElements) = {"ScatterElements", scatter_elements};
ONNX(Scatter) = {"Scatter", scatter_elements};
ONNX(TensorScatter) = {"TensorScatter", tensor_scatter};
ONNX(OneHot) = {"OneHot", one_hot_values, "", "1,2"};
ONNX(Compress) = {"Compress", compress};
ONNX(Unique) = {"Unique", unique_values};
ONNX(TopK) = {"TopK", top_k};
ONNX(ReverseSequence) = {"ReverseSequence", reverse_sequence};
ONNX(NonZero) = {"NonZero", [](Call& c) -> Values { return {transpose(nonzero(c[0]))}; }};
ONNX(Where) = {"Where", [](Call& c) -> Values {
                 if (!c.value(1).is_strings())
                   return {Value(where(c[0], c[1], c[2]), c.in[1].elem())};
                 const Value &a = c.value(1), &b = c.value(2);
                 const int64_t n = a.shape().numel();
                 const Tensor at = where(c[0], reshape(arange(n), a.shape()),
                                         reshape(arange(b.shape().numel()) + n, b.shape()));
                 std::vector<std::string> text;
                 for (int64_t k : at.to_vector<int64_t>())
                   text.push_back(k < n ? a.text()[static_cast<size_t>(k)]
                                        : b.text().at(static_cast<size_t>(k - n)));
                 return {Value::strings(at.shape(), text)};
               }};

}  // namespace nacre::onnx
