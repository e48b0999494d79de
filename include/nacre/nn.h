// Modules: layers and models with parameters.
//
//   struct Net : Module {
//     Net(Scope s) : Module(s), fc1(s / "fc1", {784, 128}), fc2(s / "fc2", {128, 10}) {}
//     Tensor forward(const Tensor& x, Context& ctx) override { return fc2(relu(fc1(x, ctx)), ctx);
//     } Linear fc1, fc2;
//   };
//   Net net(Scope::init(Key(0)));                   // fresh parameters
//   Context ctx = Context::eval();
//   Tensor y = net(x, ctx);
//
// A Scope is a path plus a source of values. Constructing a layer names its parameters and fills
// them, from an initialiser or from a checkpoint, so models hold no code for registering, saving or
// cloning. Modules share their variables with the Scope they were made from. A module may be used
// by one thread at a time for training; evaluated parameters may be read by many.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "nacre/ops.h"
#include "nacre/random.h"
#include "nacre/tensor.h"

namespace nacre {

// ---- variables

/// A named tensor that changes: a parameter (trained) or a buffer (running statistics). A handle;
/// copies share the value.
class Variable {
 public:
  Variable() = default;
  bool defined() const { return data_ != nullptr; }
  const std::string& name() const;  ///< full path: "layer1.0.conv1.weight"
  const Tensor& value() const;
  operator const Tensor&() const { return value(); }
  bool is_parameter() const;
  /// Parameters that are not frozen are trained.
  bool trainable() const;
  bool frozen() const;
  void freeze(bool frozen = true);
  /// What value() gives in place of the variable's own value, such as a function of others through
  /// which gradients flow (see Adapters in nacre/transfer.h). The own value stays; an undefined
  /// Tensor brings it back. Shape and type must be those of the variable.
  void substitute(const Tensor& value);
  /// Replaces the value, in the graph: nothing is computed yet, and no gradient flows into the new
  /// value. Shape and type must stay. Until commit() the value before can be brought back.
  void set(const Tensor& value);
  /// Forgets, or brings back, the value before the last set().
  void commit();
  void rollback();

 private:
  friend class State;
  struct Data;
  std::shared_ptr<Data> data_;
};

/// All variables of a model, in order of construction.
class State {
 public:
  Variable add(const std::string& name, const Tensor& value, bool parameter);
  const std::vector<Variable>& variables() const { return variables_; }
  /// The variable of that name; undefined if there is none.
  Variable find(std::string_view name) const;
  /// Evaluates all variables and `also` in one plan. If that throws, every variable keeps the value
  /// that it had at the last commit and the Error goes on.
  void commit(const Tensors& also = {});
  /// The same for several states together.
  static void commit(std::span<State* const> states, const Tensors& also);

 private:
  std::vector<Variable> variables_;
  std::map<std::string, size_t, std::less<>> index_;
};

/// An initialiser: values for a shape. Weights are [out, in, kernel...].
using Init = std::function<Tensor(const Shape& shape, const Key& key)>;

namespace init {
Init constant(double value);
Init zeros();
Init ones();
Init uniform(double low, double high);
Init normal(double mean = 0, double std = 1);
/// Normal, drawn again outside mean +- 2 std (in units of std: low..high).
Init truncated_normal(double mean = 0, double std = 1, double low = -2, double high = 2);
/// Glorot and Bengio 2010: variance 2 / (fan_in + fan_out).
Init xavier_uniform(double gain = 1);
Init xavier_normal(double gain = 1);
/// He et al. 2015: variance gain^2 / fan_in, or fan_out. The default gain is that of ReLU.
Init he_uniform(double gain = 1.4142135623730951, bool fan_out = false);
Init he_normal(double gain = 1.4142135623730951, bool fan_out = false);
/// The default of PyTorch's linear and convolution layers: uniform within 1 / sqrt(fan_in).
Init fan_in_uniform();
/// Rows or columns orthonormal (Saxe et al. 2014). Rank 2 or more; trailing dimensions are
/// flattened.
Init orthogonal(double gain = 1);
/// Orthogonal in the centre of the kernel, zero elsewhere (Xiao et al. 2018).
Init delta_orthogonal(double gain = 1);
/// Normal(0, std), and a share `sparsity` of each column zero (Martens 2010).
Init sparse(double sparsity, double std = 0.01);
/// Identity matrix, or the identity convolution.
Init identity(double gain = 1);
}  // namespace init

/// A place in a model: a path, where values come from, and the State that collects the variables.
class Scope {
 public:
  /// Finds a value by full path; an undefined Tensor means: initialise.
  using Source = std::function<Tensor(const std::string& path, const Shape& shape, DType dtype)>;
  /// Fresh values; each variable's key is `key` with its path folded in.
  static Scope init(const Key& key = Key(0), DType dtype = DType::f32);
  /// Values from `source`. strict: a variable that the source does not have throws Error(data).
  static Scope load(Source source, bool strict = true, const Key& key = Key(0));

  /// A place below this one: s / "conv1", s / 0.
  Scope operator/(std::string_view name) const;
  Scope operator/(int64_t index) const;

  Variable parameter(std::string_view name, const Shape& shape, const Init& init) const;
  Variable buffer(std::string_view name, const Shape& shape, const Init& init) const;
  /// A buffer of a type of its own, such as i32 for positions in a table.
  Variable buffer(std::string_view name, const Shape& shape, const Init& init, DType dtype) const;

  const std::string& path() const { return path_; }
  const std::shared_ptr<State>& state() const { return root_->state; }

 private:
  struct Root {
    std::shared_ptr<State> state = std::make_shared<State>();
    Source source;
    bool strict = false;
    Key key;
    DType dtype = DType::f32;
  };
  Variable make(std::string_view name, const Shape& shape, const Init& init, bool parameter,
                DType dtype) const;
  std::shared_ptr<Root> root_;
  std::string path_;
};

// ---- one pass through a model

/// What a forward pass needs besides its input: the mode, random keys, and where to put changes of
/// state.
class Context {
 public:
  static Context train(const Key& key) { return Context(true, key); }
  static Context eval() { return Context(false, Key(0)); }
  bool training() const { return training_; }
  /// The random key of the module that runs now: split by its path, and by how often it asked
  /// before.
  Key key();
  /// A new value for a buffer. Takes effect at commit(), which a training step calls after its
  /// gradients. With `only_if`, a boolean scalar, buffers stay as they are where it is false.
  void update(const Variable& buffer, const Tensor& value);
  void commit(const Tensor& only_if = {});

  /// Outputs by module path are kept here if their path is a key: ctx.taps["layer1.0"] = {}; after
  /// the pass it is set.
  std::map<std::string, Tensor, std::less<>> taps;
  /// Called with each module's path and output; what it returns replaces the output (if defined).
  std::function<Tensor(const std::string& path, const Tensor& output)> hook;

 private:
  Context(bool training, const Key& key) : training_(training), key_(key) {}
  bool training_;
  Key key_;
  std::map<std::string, uint64_t, std::less<>> asked_;
  std::vector<std::pair<Variable, Tensor>> updates_;
};

class Module {
 public:
  explicit Module(const Scope& scope) : scope_(scope) {}
  virtual ~Module() = default;
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;

  /// The computation. Call modules with operator(), which also names them in errors and serves taps
  /// and hooks.
  virtual Tensor forward(const Tensor& x, Context& ctx) = 0;
  Tensor operator()(In x, Context& ctx);

  const std::string& path() const { return scope_.path(); }
  const std::shared_ptr<State>& state() const { return scope_.state(); }
  /// Variables below this module's path, in order of construction.
  std::vector<Variable> variables() const;
  std::vector<Variable> parameters() const;
  /// Parameters that are not frozen, and their values (for grad).
  std::vector<Variable> trainable() const;
  int64_t parameter_count() const;
  /// Freezes parameters whose path matches a regular expression of RE2 (anywhere in the path),
  /// and buffers that it matches; returns how many parameters.
  int64_t freeze(const std::string& pattern, bool frozen = true);

 private:
  Scope scope_;
};

/// Values of variables, for grad().
Tensors values(const std::vector<Variable>& variables);

// ---- layers

/// y = x W^T + b over the last dimension. weight [out, in], bias [out].
class Linear : public Module {
 public:
  struct Config {
    int64_t in = 0, out = 0;
    bool bias = true;
    Init init = init::fan_in_uniform();
  };
  Linear(const Scope& s, const Config& c);
  Tensor forward(const Tensor& x, Context& ctx) override;
  Variable weight, bias;
};

/// Convolution over 1, 2 or 3 spatial dimensions: the rank of `kernel`; a single number is
/// repeated. weight [out, in/groups, kernel...]. See conv2d in nacre/ops.h for the options.
struct ConvConfig {
  int64_t in = 0, out = 0;
  Ints kernel = 1;
  Ints stride = 1;
  Ints padding = 0;
  Ints dilation = 1;
  int64_t groups = 1;
  bool bias = true;
  Init init = init::fan_in_uniform();
  Ints output_padding = 0;  ///< transposed convolutions only
};
class Conv : public Module {
 public:
  Conv(const Scope& s, const ConvConfig& c, int spatial, bool transposed = false);
  Tensor forward(const Tensor& x, Context& ctx) override;
  Variable weight, bias;

 private:
  ConvConfig config_;
  int spatial_;
  bool transposed_;
};
struct Conv1d : Conv {
  Conv1d(const Scope& s, const ConvConfig& c) : Conv(s, c, 1) {}
};
struct Conv2d : Conv {
  Conv2d(const Scope& s, const ConvConfig& c) : Conv(s, c, 2) {}
};
struct Conv3d : Conv {
  Conv3d(const Scope& s, const ConvConfig& c) : Conv(s, c, 3) {}
};
struct ConvTranspose2d : Conv {
  ConvTranspose2d(const Scope& s, const ConvConfig& c) : Conv(s, c, 2, true) {}
};

/// Batch normalisation over channels (dimension 1), any number of spatial dimensions (Ioffe and
/// Szegedy 2015). Parameters weight, bias; buffers running_mean, running_var (unbiased), updated
/// with `momentum` in training. Where weight and bias are frozen, or the buffers are, it works in
/// training as it does in evaluation and the buffers stay.
class BatchNorm : public Module {
 public:
  struct Config {
    int64_t channels = 0;
    double eps = 1e-5, momentum = 0.1;
    bool affine = true;
  };
  BatchNorm(const Scope& s, const Config& c);
  Tensor forward(const Tensor& x, Context& ctx) override;
  Variable weight, bias, running_mean, running_var;

 private:
  bool frozen() const;
  Config config_;
};

/// Layer normalisation over the last dimensions (Ba et al. 2016).
class LayerNorm : public Module {
 public:
  struct Config {
    Shape shape;
    double eps = 1e-5;
    bool affine = true;
  };
  LayerNorm(const Scope& s, const Config& c);
  Tensor forward(const Tensor& x, Context& ctx) override;
  Variable weight, bias;

 private:
  Config config_;
};

/// Rows of a table by index. weight [count, size].
class Embedding : public Module {
 public:
  struct Config {
    int64_t count = 0, size = 0;
    Init init = init::normal();
  };
  Embedding(const Scope& s, const Config& c);
  Tensor forward(const Tensor& index, Context& ctx) override;
  Variable weight;
};

/// Dropout in training, nothing in evaluation. No parameters.
class Dropout : public Module {
 public:
  Dropout(const Scope& s, double p) : Module(s), p_(p) {}
  Tensor forward(const Tensor& x, Context& ctx) override;

 private:
  double p_;
};

/// A function of the input as a module.
class Lambda : public Module {
 public:
  using F = std::function<Tensor(const Tensor&, Context&)>;
  Lambda(const Scope& s, F f) : Module(s), f_(std::move(f)) {}
  Tensor forward(const Tensor& x, Context& ctx) override { return f_(x, ctx); }

 private:
  F f_;
};

/// Modules one after the other, named 0, 1, 2, ... unless a name is given.
class Sequential : public Module {
 public:
  explicit Sequential(const Scope& s) : Module(s), scope_(s) {}
  /// net.add<Conv2d>(ConvConfig{1, 6, 5}); functions: net.add(relu).
  template <typename M, typename... Args>
  M& add(Args&&... args) {
    return add_as<M>(std::to_string(modules_.size()), std::forward<Args>(args)...);
  }
  /// As add, under a name: net.add_as<BatchNorm>("norm0", BatchNorm::Config{64}).
  template <typename M, typename... Args>
  M& add_as(std::string_view name, Args&&... args) {
    auto m = std::make_unique<M>(scope_ / name, std::forward<Args>(args)...);
    M& ref = *m;
    modules_.push_back(std::move(m));
    return ref;
  }
  void add(std::function<Tensor(const Tensor&)> f) {
    add<Lambda>([f = std::move(f)](const Tensor& x, Context&) { return f(x); });
  }
  Tensor forward(const Tensor& x, Context& ctx) override {
    Tensor y = x;
    for (auto& m : modules_) y = (*m)(y, ctx);
    return y;
  }
  size_t size() const { return modules_.size(); }
  Module& operator[](size_t i) { return *modules_.at(i); }

 private:
  Scope scope_;
  std::vector<std::unique_ptr<Module>> modules_;
};

}  // namespace nacre
