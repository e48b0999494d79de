#include "nacre/predict.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <mutex>

#include "base/log.h"
#include "graph/node.h"
#include "nacre/audio.h"
#include "nacre/graph.h"
#include "nacre/ops.h"
#include "nacre/program.h"
#include "predict/network.h"

namespace nacre {
namespace {

/// Batch sizes that a network is compiled for. A plan may keep the weights in a layout of its own,
/// so large networks get few.
constexpr int64_t kManySizes[] = {1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64};
constexpr int64_t kFewSizes[] = {1, 4, 16, 64};
constexpr int64_t kTwoSizes[] = {1, 16};
constexpr size_t kSmall = 16 << 20, kLarge = 256 << 20;  // bytes of weights

std::span<const int64_t> sizes_for(size_t bytes) {
  if (bytes <= kSmall) return kManySizes;
  if (bytes <= kLarge) return kFewSizes;
  return kTwoSizes;
}

/// The size to run when `left` rows are to be run: filled up if that costs at most a third more.
int64_t next_size(std::span<const int64_t> sizes, int64_t left) {
  const auto above = std::lower_bound(sizes.begin(), sizes.end(), left);
  if (above != sizes.end() && 3 * *above <= 4 * left) return *above;
  return *(above - 1);  // left >= 1 and the first size is 1, so there is one below
}

std::string shape_text(const Shape& shape) {
  std::string text;
  for (const int64_t d : shape)
    text += cat({text.empty() ? "" : "x", d < 0 ? std::string("?") : std::to_string(d)});
  return text.empty() ? "scalar" : text;
}

std::string_view trimmed(std::string_view s) {
  while (!s.empty() && (s.front() == ' ' || s.front() == '\t')) s.remove_prefix(1);
  while (!s.empty() && (s.back() == ' ' || s.back() == '\t')) s.remove_suffix(1);
  return s;
}

std::string listed(const std::vector<std::string>& names) {
  constexpr size_t kShown = 8;
  std::string text;
  for (size_t i = 0; i < std::min(kShown, names.size()); ++i)
    text += (i ? ", '" : "'") + names[i].substr(0, 40) + "'";
  return names.size() > kShown ? cat({text, " and ", names.size() - kShown, " others"}) : text;
}

/// Tensors one below the other.
Tensor joined(const Tensors& parts) {
  if (parts.size() == 1) return parts[0];
  Shape shape = parts[0].shape();
  shape[0] = 0;
  std::string bytes;
  for (const Tensor& t : parts) {
    shape[0] += t.shape()[0];
    bytes.append(static_cast<const char*>(t.data()),
                 static_cast<size_t>(t.numel()) * size_of(t.dtype()));
  }
  return Tensor::from_bytes(bytes.data(), bytes.size(), shape, parts[0].dtype());
}

/// Rows [from, from + count) of an evaluated tensor, then zeros up to `rows`.
Tensor rows_of(const Tensor& t, int64_t from, int64_t count, int64_t rows) {
  Shape shape = t.shape();
  if (from == 0 && count == shape[0] && rows == count) return t;
  const size_t row =
      static_cast<size_t>(t.numel() / std::max<int64_t>(shape[0], 1)) * size_of(t.dtype());
  std::vector<char> bytes(row * static_cast<size_t>(rows));
  std::memcpy(bytes.data(), static_cast<const char*>(t.data()) + row * static_cast<size_t>(from),
              row * static_cast<size_t>(count));
  shape[0] = rows;
  return Tensor::from_bytes(bytes.data(), bytes.size(), shape, t.dtype());
}

}  // namespace

const std::string& Prediction::label() const {
  if (classes.empty()) fail(Error::Kind::usage, {"the model gives values, not classes"});
  return classes[0].label;
}

struct Predictor::Impl {
  Model model;
  std::string name;
  onnx::Network* onnx = nullptr;
  Transform transform;
  TableSchema table;
  bool has_table = false;
  std::vector<Port> inputs, outputs;
  bool batches = false;
  std::atomic<bool> compiles = false;
  bool probabilities = false;  ///< the network ends in a softmax
  size_t bytes = 0;
  std::span<const int64_t> sizes;
  std::mutex forward;  ///< of the module
  std::mutex compiling;
  std::mutex lookup;
  std::map<int64_t, std::shared_ptr<const Program>> programs;

  Tensors forward_pass(const Tensors& in) {
    NoGrad guard;
    Context ctx = Context::eval();
    if (!onnx) return {(*model.net)(in[0], ctx)};
    std::map<std::string, onnx::Value> values;
    for (size_t i = 0; i < in.size(); ++i)
      values[inputs[i].name] = onnx::Value(in[i], onnx->inputs()[i].type.elem);
    Tensors out;
    for (const onnx::Value& v : onnx->run(values, ctx)) {
      if (!v.is_tensor())
        fail(Error::Kind::unsupported, {name, " has an output that is ", v.str()});
      out.push_back(v.tensor());
    }
    return out;
  }

  void find_ports() {
    if (!onnx) {
      Shape in = {-1};
      for (const int64_t d : model.info.input) in.push_back(d);
      inputs.push_back({"input", DType::f32, in});
      outputs.push_back({"output", DType::f32, {-1}});
      return;
    }
    for (const onnx::Port& p : onnx->inputs()) {
      usual_shape(p);
      inputs.push_back({p.name, onnx::storage_of(p.type.elem), Shape(p.type.dims)});
    }
    for (const onnx::Port& p : onnx->outputs()) {
      const bool tensor = p.type.kind == onnx::TypeInfo::Kind::tensor;
      outputs.push_back(
          {p.name,
           tensor && p.type.elem != onnx::Elem::undefined && p.type.elem != onnx::Elem::string
               ? onnx::storage_of(p.type.elem)
               : DType::f32,
           Shape(p.type.dims)});
    }
  }

  Tensors like(int64_t rows) const {
    Tensors in;
    for (const Port& p : inputs) {
      Shape shape = p.shape;
      for (int64_t i = 0; i < shape.rank(); ++i)
        if (shape[i] < 0) shape[i] = i == 0 ? rows : 1;
      in.push_back(zeros(shape, p.dtype));
    }
    return in;
  }

  /// What the recorded network says of itself: whether it can be compiled, the shapes of the
  /// outputs, whether rows stay apart.
  void study() {
    const bool open = !inputs.empty() && std::all_of(inputs.begin(), inputs.end(), [](auto& p) {
      return p.shape.rank() > 0 && p.shape[0] < 0;
    });
    if (!onnx && model.info.input.empty()) return;  // a model of tables that keeps no shape
    try {
      Tensor last_softmax;
      if (onnx)
        onnx->on_node = [&](const onnx::Network::Step& n) {
          if (n.op == "Softmax" && n.outputs[0].is_tensor()) last_softmax = n.outputs[0].tensor();
        };
      const Graph one = Graph::trace([&](const Tensors& in) { return forward_pass(in); }, like(1));
      compiles = true;
      probabilities = last_softmax.defined() && same(last_softmax, one.outputs()[0]);
      for (size_t i = 0; i < outputs.size(); ++i) {
        outputs[i].dtype = one.outputs()[i].dtype();
        const Shape& shape = one.outputs()[i].shape();
        if (!onnx || outputs[i].shape.rank() != shape.rank()) outputs[i].shape = shape;
      }
      if (onnx) onnx->on_node = nullptr;
      if (!open) return;
      constexpr int64_t kRows = 3;
      const Graph more =
          Graph::trace([&](const Tensors& in) { return forward_pass(in); }, like(kRows));
      batches = true;
      for (size_t i = 0; i < outputs.size(); ++i) {
        Shape want = one.outputs()[i].shape();
        const bool rows = want.rank() > 0 && want[0] == 1;
        if (rows) want[0] = kRows;
        batches = batches && rows && more.outputs()[i].shape() == want;
      }
      if (batches)
        for (Port& p : outputs) p.shape[0] = -1;
    } catch (const Error&) {  // it runs as a module then, or says what is wrong when it is run
      if (onnx) onnx->on_node = nullptr;
      batches = false;
    }
  }

  /// The program for a batch of that many samples; null if there is none.
  std::shared_ptr<const Program> program(int64_t rows) {
    const auto find = [&]() -> std::shared_ptr<const Program> {
      std::lock_guard lock(lookup);
      const auto at = programs.find(rows);
      return at == programs.end() ? nullptr : at->second;
    };
    if (auto ready = find()) return ready;
    std::lock_guard lock(compiling);
    if (auto ready = find()) return ready;
    std::lock_guard alone(forward);
    std::shared_ptr<const Program> made;
    try {
      made = std::make_shared<const Program>([&](const Tensors& in) { return forward_pass(in); },
                                             like(rows));
    } catch (const Error& e) {
      if (e.kind() != Error::Kind::unsupported) throw;
      compiles = false;
      return nullptr;
    }
    std::lock_guard adding(lookup);
    return programs[rows] = made;
  }

  /// Whether these are samples as like() makes them.
  bool usual(const Tensors& in) const {
    for (size_t i = 0; i < in.size(); ++i) {
      const Shape &got = in[i].shape(), &want = inputs[i].shape;
      for (int64_t d = batches ? 1 : 0; d < got.rank(); ++d)
        if (got[d] != std::max<int64_t>(want[d], 1)) return false;
    }
    return true;
  }

  void check(const Tensors& in) const {
    if (in.size() != inputs.size())
      fail(Error::Kind::shape,
           {name, " takes ", inputs.size(), " inputs, ", in.size(), " are given"});
    for (size_t i = 0; i < in.size(); ++i) {
      const Port& p = inputs[i];
      if (in[i].dtype() != p.dtype)
        fail(Error::Kind::shape,
             {"input '", p.name, "' is ", in[i].dtype(), ", it should be ", p.dtype});
      bool fits = in[i].rank() == p.shape.rank() || (!onnx && model.info.input.empty());
      for (int64_t d = 0; fits && d < p.shape.rank(); ++d)
        fits = p.shape[d] < 0 || in[i].shape()[d] == p.shape[d];
      if (!fits)
        fail(Error::Kind::shape, {"input '", p.name, "' has the shape ", in[i].shape(),
                                  ", it should be ", shape_text(p.shape)});
      if (batches && in[i].shape()[0] != in[0].shape()[0])
        fail(Error::Kind::shape, {"input '", p.name, "' has ", in[i].shape()[0], " rows, '",
                                  inputs[0].name, "' has ", in[0].shape()[0]});
    }
  }
};

Predictor::Predictor(const std::string& path) : Predictor(open_model(path), path) {}

Predictor::Predictor(Model model, std::string name) : impl_(std::make_unique<Impl>()) {
  Impl& m = *impl_;
  m.model = std::move(model);
  m.name = std::move(name);
  m.onnx = dynamic_cast<onnx::Network*>(m.model.net.get());
  m.transform = Transform::parse(m.model.info.transform);
  if (const auto at = m.model.info.extra.find("table"); at != m.model.info.extra.end()) {
    m.table = TableSchema::from_json(at->second);
    m.has_table = true;
  }
  for (const Variable& v : m.model.net->variables())
    m.bytes += static_cast<size_t>(v.value().numel()) * size_of(v.value().dtype());
  m.sizes = sizes_for(m.bytes);
  m.find_ports();
  m.study();
}

Predictor::~Predictor() = default;
Predictor::Predictor(Predictor&&) noexcept = default;
Predictor& Predictor::operator=(Predictor&&) noexcept = default;

const ModelInfo& Predictor::info() const { return impl_->model.info; }
const Transform& Predictor::transform() const { return impl_->transform; }
const TableSchema* Predictor::schema() const { return impl_->has_table ? &impl_->table : nullptr; }
Module& Predictor::net() const { return *impl_->model.net; }
const std::vector<Predictor::Port>& Predictor::inputs() const { return impl_->inputs; }
const std::vector<Predictor::Port>& Predictor::outputs() const { return impl_->outputs; }
bool Predictor::batches() const { return impl_->batches; }
size_t Predictor::bytes() const { return impl_->bytes; }

// ---- samples

Sample Predictor::picture(std::string_view bytes, std::string_view name,
                          const DecodeLimits& limits) const {
  if (impl_->has_table && info().input.rank() != 3)
    fail(Error::Kind::usage,
         {impl_->name, " takes rows of a table, it does not take pictures or clips"});
  return decode_sample({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}, name,
                       limits);
}

Sample Predictor::row(const std::vector<std::string>& cells, std::string* remark) const {
  if (!impl_->has_table)
    fail(Error::Kind::usage, {impl_->name, " was not trained on a table; it has no columns"});
  const TableSchema& t = impl_->table;
  Sample s;
  s.features = t.encode(cells);
  s.text = t.text(cells);
  size_t k = 0;
  for (size_t c = 0; c < t.columns.size(); ++c) {
    if (static_cast<int>(c) == t.target) continue;
    const std::string text(trimmed(cells[k++]));
    const auto& known = t.columns[c].categories;
    if (remark && !known.empty() && !text.empty() &&
        !std::binary_search(known.begin(), known.end(), text))
      *remark += cat({remark->empty() ? "" : "; ", "'", text.substr(0, 40),
                      "' is none of the texts of '", t.columns[c].name, "' in the training part"});
  }
  if (const Shape& in = info().input; t.white > 0 && in.rank() == 3) {
    const auto side = static_cast<int>(std::lround(std::sqrt(s.features.size())));
    if (static_cast<size_t>(side) * static_cast<size_t>(side) == s.features.size()) {
      s.image = Image(side, side, 1);
      for (size_t i = 0; i < s.features.size(); ++i)
        s.image.pixels[i] = s.features[i] / static_cast<float>(t.white);
      s.features.clear();
    }
  }
  return s;
}

Sample Predictor::row_by_name(const std::vector<std::pair<std::string, std::string>>& cells,
                              std::string* remark) const {
  const TableSchema& t = impl_->table;  // without one, row() below says so
  std::vector<std::string> ordered, missing, unknown;
  std::map<std::string_view, const std::string*> given;
  for (const auto& [name, text] : cells)
    if (!given.emplace(name, &text).second)
      fail(Error::Kind::data, {"the column '", name.substr(0, 40), "' is given twice"});
  std::map<std::string_view, int> used;
  for (size_t c = 0; c < t.columns.size(); ++c) {
    const TableColumn& column = t.columns[c];
    if (static_cast<int>(c) == t.target) {
      given.erase(column.name);
      continue;
    }
    if (++used[column.name] > 1)
      fail(Error::Kind::usage, {"the training part has several columns '", column.name,
                                "'; give the cells in order, without names"});
    const auto at = given.find(column.name);
    if (at == given.end())
      missing.push_back(column.name);
    else
      ordered.push_back(*at->second);
  }
  for (const auto& [name, text] : given)
    if (!used.contains(name)) unknown.emplace_back(name);
  if (impl_->has_table && !missing.empty())
    fail(Error::Kind::data, {"the row has no column ", listed(missing)});
  if (impl_->has_table && !unknown.empty())
    fail(Error::Kind::data, {"the training part has no column ", listed(unknown)});
  return row(ordered, remark);
}

// ---- prediction

std::vector<float> Predictor::prepare(Sample sample) const {
  const Impl& m = *impl_;
  if (m.inputs.size() != 1 || m.inputs[0].dtype != DType::f32)
    fail(Error::Kind::usage,
         {m.name, " has ", m.inputs.size(), " inputs and takes tensors only; see `nacre run`"});
  m.transform.apply(sample, false, Key(0));
  if (!sample.audio.empty())
    fail(Error::Kind::data, {m.name, " was not trained on clips of sound, it does not take them"});
  Batch b = collate({std::move(sample)}, {0}, static_cast<int64_t>(info().classes.size()));
  const Shape& in = info().input;
  Shape want = {1};
  for (int64_t d : in) want.push_back(d);
  if (has_channels_last(in) && b.shape == Shape{1, in[2], in[0], in[1]}) {
    const auto channels = static_cast<size_t>(in[2]), pixels = b.x.size() / channels;
    std::vector<float> last(b.x.size());
    for (size_t k = 0; k < last.size(); ++k) last[k] = b.x[k % channels * pixels + k / channels];
    return last;
  }
  if (b.shape != want && !(info().input.empty() && b.shape.rank() > 1))
    fail(Error::Kind::data,
         {"the sample has shape ", b.shape, " after the transform, the model wants ", want});
  return std::move(b.x);
}

Prediction Predictor::interpret(std::span<const float> values, size_t top) const {
  const auto& names = info().classes;
  Prediction p;
  p.values.assign(values.begin(), values.end());
  if (names.empty()) return p;
  if (values.size() != names.size())
    fail(Error::Kind::data,
         {impl_->name, " gives ", values.size(), " scores for ", names.size(), " classes"});
  std::vector<double> share(values.begin(), values.end());
  if (!impl_->probabilities) {
    double most = -INFINITY, sum = 0;
    for (const float v : values) most = std::max<double>(most, v);
    for (double& v : share) sum += v = std::exp(v - most);
    for (double& v : share) v /= sum;
  }
  std::vector<size_t> order(share.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  // NaN comes last, so that this is an order.
  const auto rank = [&](size_t i) { return std::isnan(share[i]) ? -INFINITY : share[i]; };
  const size_t kept = top == 0 ? order.size() : std::min(top, order.size());
  std::partial_sort(
      order.begin(), order.begin() + static_cast<std::ptrdiff_t>(kept), order.end(),
      [&](size_t a, size_t b) { return rank(a) != rank(b) ? rank(a) > rank(b) : a < b; });
  for (size_t k = 0; k < kept; ++k) p.classes.push_back({names[order[k]], share[order[k]]});
  return p;
}

Prediction Predictor::predict(Sample sample, size_t top) const {
  std::vector<Sample> one;
  one.push_back(std::move(sample));
  return std::move(predict(std::move(one), top)[0]);
}

std::vector<Prediction> Predictor::predict(std::vector<Sample> samples, size_t top) const {
  std::vector<Prediction> all;
  const auto run_rows = [&](const std::vector<float>& x, int64_t rows) {
    Shape shape = {rows};
    for (int64_t d : info().input) shape.push_back(d);
    if (info().input.empty()) shape.push_back(static_cast<int64_t>(x.size()) / rows);
    const std::vector<float> y = run({Tensor::from(x, shape)})[0].to_vector<float>();
    const size_t width = y.size() / static_cast<size_t>(rows);
    for (size_t i = 0; i < static_cast<size_t>(rows); ++i)
      all.push_back(interpret(std::span(y).subspan(i * width, width), top));
  };
  std::vector<float> x;
  for (Sample& s : samples) {
    std::vector<float> one = prepare(std::move(s));
    if (!batches())
      run_rows(one, 1);
    else
      x.insert(x.end(), one.begin(), one.end());
  }
  if (batches() && !samples.empty()) run_rows(x, static_cast<int64_t>(samples.size()));
  return all;
}

void Predictor::check(const Tensors& inputs) const {
  impl_->check(inputs);
  if (impl_->batches && inputs[0].shape()[0] < 1)
    fail(Error::Kind::shape, {"there are no rows to run"});
}

Tensors Predictor::run(const Tensors& inputs) const {
  Impl& m = *impl_;
  check(inputs);
  eval(inputs);
  const auto as_module = [&] {
    std::lock_guard lock(m.forward);
    Tensors out = m.forward_pass(inputs);
    eval(out);
    return out;
  };
  if (!m.compiles || eager() || !m.usual(inputs)) return as_module();
  const int64_t rows = m.batches ? inputs[0].shape()[0] : 1;
  std::vector<Tensors> parts;  // for each output
  for (int64_t from = 0; from < rows;) {
    const int64_t size = m.batches ? next_size(m.sizes, rows - from) : 1;
    const int64_t count = std::min(size, rows - from);
    const auto program = m.program(size);
    if (!program) return as_module();
    Tensors in;
    for (const Tensor& t : inputs) in.push_back(m.batches ? rows_of(t, from, count, size) : t);
    const Tensors out = (*program)(in);
    parts.resize(out.size());
    for (size_t i = 0; i < out.size(); ++i)
      parts[i].push_back(m.batches ? rows_of(out[i], 0, count, count) : out[i]);
    from += count;
  }
  Tensors out;
  for (const Tensors& p : parts) out.push_back(joined(p));
  return out;
}

void Predictor::warm_up(int64_t rows) const {
  Impl& m = *impl_;
  if (!m.compiles) return;
  if (!m.batches) rows = 1;
  for (const int64_t size : m.sizes) {
    const auto program = m.program(size);
    if (!program) return;
    (*program)(m.like(size));  // fills the memory of the plan
    if (size >= rows) return;
  }
}

}  // namespace nacre
