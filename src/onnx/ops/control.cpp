// If, Loop and Scan: branches and iterations are recorded as they run.
#include "base/signals.h"
#include "onnx/call.h"

namespace nacre::onnx {
namespace {

constexpr int64_t kMaxSteps = int64_t{1} << 20;
constexpr int64_t kFlush = 64;  // steps after which what was recorded is evaluated

/// Values of a loop so far, so that the graph of many steps does not pile up.
void flush(const Values& values) {
  Tensors pending;
  for (const Value& v : values)
    if (v.is_tensor()) pending.push_back(v.tensor());
  eval(pending);
}

Value stacked(const Call& c, const Values& parts, int64_t axis, bool reverse,
              const ValueInfo& body) {
  if (parts.empty()) {  // no step tells the shape: that of the subgraph's own output, unknown as 0
    Shape shape = {0};
    for (int64_t d : body.type.dims) shape.push_back(std::max<int64_t>(d, 0));
    const Elem e = body.type.elem == Elem::undefined ? Elem::f32 : body.type.elem;
    return {zeros(shape, storage_of(e)), e};
  }
  Tensors list;
  for (const Value& v : parts) list.push_back(v.tensor());
  if (reverse) std::reverse(list.begin(), list.end());
  axis = c.axis(axis, list[0].rank() + 1);
  return {stack(list, axis), parts[0].elem()};
}

Values loop(Call& c) {
  const AttributeProto* body = c.find("body");
  c.check(body && !body->graphs.empty(), {"has no body"});
  const auto& outputs = body->graphs[0]->outputs;
  const int64_t trips = c.has(0) ? c.integer(0) : INT64_MAX;
  bool go = !c.has(1) || c.integer(1) != 0;
  const Values& given = c.in.all();
  Values carried(given.begin() + std::min<std::ptrdiff_t>(2, std::ssize(given)), given.end());
  const size_t n = carried.size();
  c.check(outputs.size() >= n + 1,
          {"body gives ", outputs.size(), " values for ", n, " that are carried"});
  std::vector<Values> scans(outputs.size() - n - 1);
  for (int64_t k = 0; go && k < trips; ++k) {
    check_stop();
    c.check(k < kMaxSteps, {"still runs after ", kMaxSteps, " steps"});
    Values in = {scalar_of(k), Tensor::from(std::vector<bool>{go}, {})};
    in.insert(in.end(), carried.begin(), carried.end());
    Values out = c.run("body", std::move(in));
    const bool constant = same(out[0].tensor(), c.has(1) ? c.in[1].tensor() : Tensor());
    if (!constant) go = out[0].tensor().item_int() != 0;
    carried.assign(out.begin() + 1, out.begin() + 1 + static_cast<std::ptrdiff_t>(n));
    for (size_t s = 0; s < scans.size(); ++s) scans[s].push_back(out[1 + n + s]);
    if (k % kFlush == kFlush - 1) flush(carried);
  }
  for (size_t s = 0; s < scans.size(); ++s)
    carried.push_back(stacked(c, scans[s], 0, false, outputs[1 + n + s]));
  return carried;
}

/// Scan over one sample: states, then inputs that are cut along their axes.
Values scan_steps(const Call& c, Values states, const Values& xs, int64_t length, const Ints& axes,
                  const Ints& directions, const Ints& out_axes, const Ints& out_directions) {
  const AttributeProto* body = c.find("body");
  c.check(body && !body->graphs.empty(), {"has no body"});
  const auto& outputs = body->graphs[0]->outputs;
  const size_t n = states.size();
  c.check(outputs.size() >= n, {"body gives too few values"});
  std::vector<Values> scans(outputs.size() - n);
  for (int64_t k = 0; k < length; ++k) {
    check_stop();
    Values in = states;
    for (size_t i = 0; i < xs.size(); ++i) {
      const auto d = static_cast<int64_t>(i);
      const bool backward = d < directions.rank() && directions[d];
      const int64_t at = backward ? length - 1 - k : k;
      in.push_back(Value(select(xs[i].tensor(), axes[d], at), xs[i].elem()));
    }
    Values out = c.run("body", std::move(in));
    states.assign(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(n));
    for (size_t s = 0; s < scans.size(); ++s) scans[s].push_back(out[n + s]);
    if (k % kFlush == kFlush - 1) flush(states);
  }
  for (size_t s = 0; s < scans.size(); ++s) {
    const auto d = static_cast<int64_t>(s);
    states.push_back(stacked(c, scans[s], d < out_axes.rank() ? out_axes[d] : 0,
                             d < out_directions.rank() && out_directions[d], outputs[n + s]));
  }
  return states;
}

Values scan_values(Call& c) {
  const auto inputs = static_cast<size_t>(c.i("num_scan_inputs"));
  // Opset 8 has the lengths of sequences first, and a batch dimension everywhere.
  const bool batched = c.opset < 9;
  const size_t first = batched ? 1 : 0;
  c.check(inputs > 0 && inputs + first <= c.in.size(),
          {"num_scan_inputs is ", inputs, " of ", c.in.size(), " inputs"});
  const Values& given = c.in.all();
  const auto split_at = given.end() - static_cast<std::ptrdiff_t>(inputs);
  const Values states(given.begin() + static_cast<std::ptrdiff_t>(first), split_at);
  const Values xs(split_at, given.end());
  if (!batched) {
    Ints axes = c.is("scan_input_axes", Ints(inputs, 0));
    c.check(axes.size() == inputs, {"scan_input_axes has ", axes.rank(), " entries"});
    for (size_t i = 0; i < inputs; ++i)
      axes[static_cast<int64_t>(i)] = c.axis(axes[static_cast<int64_t>(i)], xs[i].shape().rank());
    const int64_t length = xs[0].shape()[axes[0]];
    for (size_t i = 0; i < inputs; ++i)
      c.check(xs[i].shape()[axes[static_cast<int64_t>(i)]] == length,
              {"inputs have different lengths"});
    return scan_steps(c, states, xs, length, axes, c.is("scan_input_directions"),
                      c.is("scan_output_axes"), c.is("scan_output_directions"));
  }
  const int64_t batch = xs[0].shape()[0], longest = xs[0].shape()[1];
  const Ints lengths = c.has(0) ? c.ints(0) : Ints(static_cast<size_t>(batch), longest);
  c.check(lengths.rank() == batch, {lengths.rank(), " lengths for a batch of ", batch});
  std::vector<Values> samples;
  for (int64_t b = 0; b < batch; ++b) {
    const auto sample = [&](const Values& all) {
      Values one;
      for (const Value& v : all) one.push_back(Value(select(v.tensor(), 0, b), v.elem()));
      return one;
    };
    c.check(lengths[b] >= 0 && lengths[b] <= longest, {"a sequence of ", lengths[b]});
    Values out = scan_steps(c, sample(states), sample(xs), lengths[b], Ints(inputs, 0),
                            c.is("directions"), {}, {});
    for (size_t k = states.size(); k < out.size(); ++k) {  // shorter ones end with zeros
      Tensor y = out[k].tensor();
      Ints high(y.shape().size(), 0);
      high[0] = longest - y.size(0);
      out[k] = Value(pad(y, Ints(high.size(), 0), high), out[k].elem());
    }
    samples.push_back(std::move(out));
  }
  Values out;
  c.check(!samples.empty(), {"has an empty batch"});
  for (size_t k = 0; k < samples[0].size(); ++k) {
    Tensors all;
    for (const Values& s : samples) all.push_back(s[k].tensor());
    out.push_back(Value(stack(all, 0), samples[0][k].elem()));
  }
  return out;
}

}  // namespace

ONNX(If) = {"If", [](Call& c) -> Values {
              return c.run(c.integer(0) ? "then_branch" : "else_branch", {});
            }};
ONNX(Loop) = {"Loop", loop};
ONNX(Scan) = {"Scan", scan_values};

}  // namespace nacre::onnx
