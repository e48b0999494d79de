#include <algorithm>
#include <cmath>
#include <map>

#include "base/log.h"
#include "base/parallel.h"
#include "base/signals.h"
#include "base/text.h"
#include "labs/lab.h"
#include "nacre/autograd.h"

namespace nacre {
namespace {

struct VeryDeepConfig {
  Ints depths = {100, 1000};  ///< convolutions of each network, besides the first
  /// Of plain, tanh, residual and stochastic, with '+' between them.
  std::string forms = "plain+tanh+residual+stochastic";
  int64_t width = 8, side = 8, samples = 320, epochs = 10, batch = 32, seed = 0;
  double lr = 0.05;
  /// Variances of the weights (times the number of inputs) and biases of tanh networks: at this
  /// pair signals and gradients neither grow nor shrink (1.05 where the width is without bound).
  double weight_variance = 1.06, bias_variance = 2e-5;
  double survival = 0.5;  ///< of the last block of stochastic networks, in training
  void fields(FieldVisitor& v) {
    v("depths", depths);
    v("forms", forms);
    v("width", width);
    v("side", side);
    v("samples", samples);
    v("epochs", epochs);
    v("batch", batch);
    v("lr", lr);
    v("weight_variance", weight_variance);
    v("bias_variance", bias_variance);
    v("survival", survival);
    v("seed", seed);
  }
};

class OneThread {
 public:
  OneThread() : before_(num_threads()) { set_num_threads(1); }
  ~OneThread() { set_num_threads(before_); }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int before_;
};

/// Rows of length `n` made orthonormal, one after the other.
void orthonormalise(float* m, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    float* row = m + i * n;
    for (int64_t j = 0; j < i; ++j) {
      double dot = 0;
      for (int64_t k = 0; k < n; ++k) dot += static_cast<double>(row[k]) * m[j * n + k];
      for (int64_t k = 0; k < n; ++k) row[k] -= static_cast<float>(dot) * m[j * n + k];
    }
    double norm = 0;
    for (int64_t k = 0; k < n; ++k) norm += static_cast<double>(row[k]) * row[k];
    for (int64_t k = 0; k < n; ++k) row[k] = static_cast<float>(row[k] / std::sqrt(norm));
  }
}

/// For [layers, n, n, 3, 3]: an orthogonal matrix in the middle of each kernel, zero elsewhere
/// (Xiao et al. 2018).
Init stacked_delta_orthogonal(double gain) {
  return [gain](const Shape& shape, const Key& key) {
    const int64_t layers = shape[0], n = shape[1];
    std::vector<float> square = normal({layers, n, n}, key).to_vector<float>();
    std::vector<float> kernel(static_cast<size_t>(shape.numel()), 0.0f);
    for (int64_t l = 0; l < layers; ++l) {
      float* m = square.data() + l * n * n;
      orthonormalise(m, n);
      for (int64_t i = 0; i < n * n; ++i)
        kernel[static_cast<size_t>((l * n * n + i) * 9 + 4)] = static_cast<float>(gain) * m[i];
    }
    return Tensor::from(kernel, shape);
  };
}

/// Equal layers one after the other, as one loop over stacked weights: compiled once, however many
/// there are.
struct Tower : Module {
  Tower(const Scope& s, const VeryDeepConfig& c, const std::string& form, int64_t depth,
        int64_t channels, int64_t classes)
      : Module(s),
        form(form),
        survival(c.survival),
        blocks(residual() ? depth / 2 : depth),
        stem(
            s / "stem",
            {.in = channels, .out = c.width, .kernel = 3, .padding = 1, .init = init::he_normal()}),
        head(s / "head", {c.width * c.side * c.side, classes}) {
    const Shape kernels{blocks, c.width, c.width, 3, 3};
    const double fan_in = 9.0 * static_cast<double>(c.width);
    if (residual()) {  // Zhang, Dauphin and Ma 2019
      conv1 = s.parameter("conv1", kernels,
                          init::normal(0, std::sqrt(2 / fan_in / static_cast<double>(blocks))));
      conv2 = s.parameter("conv2", kernels, init::zeros());
      bias1 = s.parameter("bias1", {blocks, c.width}, init::zeros());
      bias2 = s.parameter("bias2", {blocks, c.width}, init::zeros());
    } else if (form == "tanh") {
      conv1 = s.parameter("conv1", kernels, stacked_delta_orthogonal(std::sqrt(c.weight_variance)));
      bias1 = s.parameter("bias1", {blocks, c.width}, init::normal(0, std::sqrt(c.bias_variance)));
    } else {
      conv1 = s.parameter("conv1", kernels, init::normal(0, std::sqrt(2 / fan_in)));
      bias1 = s.parameter("bias1", {blocks, c.width}, init::zeros());
    }
  }
  bool residual() const { return form == "residual" || form == "stochastic"; }

  Tensor forward(const Tensor& x, Context& ctx) override { return forward(x, ctx, Tensor()); }
  /// `probes`, of zeros [blocks, batch, channels, height, width], are added to the input of each
  /// block; their gradient is that of the signal.
  Tensor forward(const Tensor& x, Context& ctx, const Tensor& probes) {
    Tensors xs = {conv1.value(), bias1.value()};
    if (residual()) {
      xs.push_back(conv2.value());
      xs.push_back(bias2.value());
    }
    const bool drops = form == "stochastic" && ctx.training();
    if (drops) {
      std::vector<float> share(static_cast<size_t>(blocks));
      for (int64_t i = 0; i < blocks; ++i)
        share[static_cast<size_t>(i)] = static_cast<float>(
            1 - (1 - survival) * static_cast<double>(i + 1) / static_cast<double>(blocks));
      const Tensor p = Tensor::from(share, {blocks, 1});
      xs.push_back(cast(uniform({blocks, 1}, ctx.key()) < p, DType::f32) / p);
    }
    if (probes.defined()) xs.push_back(probes);
    const auto layer = [&](const Tensors& in) -> Tensors {
      Tensor h = in[0];
      if (probes.defined()) h = h + in.back();
      const auto conv = [](const Tensor& v, const Tensor& w, const Tensor& b) {
        return conv2d(v, w, b, {.padding = {1}});
      };
      const Tensor y = conv(h, in[1], in[2]);
      if (form == "tanh") return {tanh(y)};
      if (form == "plain") return {relu(y)};
      const Tensor z = conv(relu(y), in[3], in[4]);
      return {h + (drops ? reshape(in[5], {1, 1, 1, 1}) * z : z)};
    };
    const Tensor first = stem(x, ctx);
    const Tensor h = scan(layer, {form == "tanh" ? tanh(first) : first}, xs)[0];
    return head(flatten(h, 1), ctx);
  }

  std::string form;
  double survival;
  int64_t blocks;
  Conv2d stem;
  Linear head;
  Variable conv1, conv2, bias1, bias2;
};

/// Norms of the gradient of the signal before each block, on a few pictures.
std::vector<double> signal_gradients(Tower& net, const LabData& data) {
  DataLoader loader(data.train, data.transform, sequential(data.train->size()),
                    {.batch = 4, .workers = 0});
  loader.start(0);
  const auto b = loader.next();
  Context ctx = Context::eval();
  const Shape& k = net.conv1.value().shape();
  const Tensor probes = zeros({k[0], b->size(), k[1], data.input[1], data.input[2]}).as_leaf();
  const Tensor loss = cross_entropy(net.forward(Tensor::from(b->x, b->shape), ctx, probes),
                                    Tensor::from(b->labels, {b->size()}));
  const Tensor g = cast(grad(loss, {probes})[0], DType::f64);
  return sqrt(sum(square(g), {1, 2, 3, 4})).to_vector<double>();
}

LabResult run_very_deep(const std::string& path, const void* config) {
  const VeryDeepConfig& c = *static_cast<const VeryDeepConfig*>(config);
  std::vector<std::string> forms;
  for (size_t at = 0; at <= c.forms.size();) {
    const size_t end = std::min(c.forms.find('+', at), c.forms.size());
    forms.push_back(c.forms.substr(at, end - at));
    at = end + 1;
    if (const std::string& f = forms.back();
        f != "plain" && f != "tanh" && f != "residual" && f != "stochastic")
      fail(Error::Kind::usage, {"option forms of lab very-deep should be of plain, tanh, residual "
                                "and stochastic, got '",
                                f, "'"});
  }
  const OneThread small;  // layers of this size are not worth dividing
  const LabData data = lab_pictures(path, c.side, c.samples, static_cast<uint64_t>(c.seed));
  LabResult r;
  Chart loss{"Training loss", "epoch", "cross-entropy", {}};
  std::map<std::string, Chart> gradients;
  RunReport::Table table{
      "Very deep networks",
      "plain: ReLU with the start of He. tanh: delta-orthogonal kernels. residual: without "
      "normalisation, the last convolution of each block zero at the start. stochastic: the same, "
      "blocks left out by chance. Gradients of the signal before training: the largest norm of any "
      "layer over the least.",
      {"network", "parameters", "gradients", "first loss", "last loss", "training error",
       "seconds"},
      {}};
  for (const std::string& form : forms)
    for (const int64_t depth : c.depths) {
      const std::string name = cat({form, "-", depth});
      Tower net(Scope::init(Key(static_cast<uint64_t>(c.seed)).fold_in("init")), c, form, depth,
                data.input[0], data.classes);
      const std::vector<double> norms = signal_gradients(net, data);
      const double most = *std::max_element(norms.begin(), norms.end()),
                   least = *std::min_element(norms.begin(), norms.end());
      const double ratio = most / std::max(least, 1e-300);
      Chart& chart = gradients[form];
      chart.title = cat({"Gradient of the signal: ", form});
      chart.x_label = "share of the depth";
      chart.y_label = "log10 of the norm";
      Series series{name, {}, {}};
      for (size_t i = 0; i < norms.size(); ++i) {
        series.xs.push_back(static_cast<double>(i + 1) / static_cast<double>(norms.size()));
        series.ys.push_back(norms[i] > 0 ? std::log10(norms[i]) : std::nan(""));
      }
      chart.series.push_back(std::move(series));
      // Where the signal keeps its length, a step of all layers changes the output the more, the
      // more layers there are. The first and the last layer learn as those of a shallow network.
      const bool adds_up = form == "tanh" || form == "plain";
      const double lr = adds_up ? 3 * c.lr / std::sqrt(static_cast<double>(depth)) : c.lr;
      std::vector<double> lr_scales;
      for (const Variable& v : net.trainable())
        lr_scales.push_back(adds_up &&
                                    (v.name().starts_with("stem") || v.name().starts_with("head"))
                                ? static_cast<double>(depth)
                                : 1);
      const LabCurve curve = train_in_lab(name, net, data,
                                          {.epochs = c.epochs,
                                           .batch = c.batch,
                                           .lr = lr,
                                           .weight_decay = 0,
                                           .clip_norm = 1,
                                           .schedule = "cosine",
                                           .seed = static_cast<uint64_t>(c.seed),
                                           .lr_scales = lr_scales});
      loss.series.push_back({name, counted(curve.loss), curve.loss});
      table.rows.push_back({name, std::to_string(net.parameter_count()),
                            least > 0 ? format_number(ratio, 2) : "some are 0",
                            format_number(curve.first_loss, 3), format_number(curve.loss.back(), 3),
                            per_cent(curve.train_error.back()), format_number(curve.seconds, 3)});
      r.numbers.emplace_back(name + " gradients", ratio);
      r.numbers.emplace_back(name + " first loss", curve.first_loss);
      r.numbers.emplace_back(name + " last loss", curve.loss.back());
      r.numbers.emplace_back(name + " training error", curve.train_error.back());
      r.finding +=
          cat({r.finding.empty() ? "Training loss, first and last: " : "; ", name, " ",
               format_number(curve.first_loss, 3), " and ", format_number(curve.loss.back(), 3)});
    }
  for (size_t at = 0; at < loss.series.size(); at += 6) {  // a chart has six colours
    Chart part{loss.title, loss.x_label, loss.y_label, {}};
    for (size_t i = at; i < std::min(at + 6, loss.series.size()); ++i)
      part.series.push_back(loss.series[i]);
    r.charts.push_back(std::move(part));
  }
  for (auto& [form, chart] : gradients) r.charts.push_back(std::move(chart));
  r.tables = {table};
  return r;
}

}  // namespace

LAB(very_deep) = {
    .name = "very-deep",
    .summary =
        "Networks of 100 to 10,000 layers that train, and why: gradients that keep their length.",
    .reading =
        "Huang et al., Deep networks with stochastic depth, 2016; Xiao et al., Dynamical isometry "
        "and "
        "a mean field theory of CNNs, 2018; Zhang, Dauphin and Ma, Fixup initialization, 2019",
    .config = attr_type<VeryDeepConfig>(),
    .run = run_very_deep,
    .ranges = {{"depths", 2, 100000},
               {"weight_variance", 1e-6, 100},
               {"bias_variance", 0, 100},
               {"survival", 0.01, 1}},
};

}  // namespace nacre
