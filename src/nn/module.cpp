#include "base/pattern.h"
#include "graph/node.h"
#include "nacre/autograd.h"
#include "nacre/nn.h"

namespace nacre {

// ---- variables

struct Variable::Data {
  std::string name;
  Tensor value, before;
  Tensor shown;  // in place of value, see substitute()
  bool parameter = true, frozen = false;

  // The value before the last set() is held without counting as a use, so that it can still be
  // donated.
  void keep(Tensor old) {
    forget();
    before = std::move(old);
    ++before.node()->holds;
  }
  void forget() {
    if (before.defined()) --before.node()->holds;
    before = Tensor();
  }
  ~Data() { forget(); }
};

const std::string& Variable::name() const { return data_->name; }
const Tensor& Variable::value() const {
  static const Tensor none;
  if (!data_) return none;
  return data_->shown.defined() ? data_->shown : data_->value;
}
bool Variable::frozen() const { return data_->frozen; }
void Variable::substitute(const Tensor& value) {
  const Tensor& own = data_->value;
  if (value.defined() && (value.dtype() != own.dtype() || value.shape() != own.shape()))
    fail(Error::Kind::shape, {"variable '", data_->name, "' is ", own.dtype(), " ", own.shape(),
                              ", in its place came ", value.dtype(), " ", value.shape(), where()});
  data_->shown = value;
}
bool Variable::is_parameter() const { return data_->parameter; }
bool Variable::trainable() const { return data_->parameter && !data_->frozen; }

namespace {
void mark(const Tensor& t, bool trainable) {
  t.node()->tracked = trainable;
  t.node()->leaf_of_grad = trainable;
}
}  // namespace

void Variable::freeze(bool frozen) {
  data_->frozen = frozen;
  mark(data_->value, trainable());
}

void Variable::set(const Tensor& value) {
  const Tensor& old = data_->value;
  if (value.dtype() != old.dtype() || value.shape() != old.shape())
    fail(Error::Kind::shape, {"variable '", data_->name, "' is ", old.dtype(), " ", old.shape(),
                              ", the new value is ", value.dtype(), " ", value.shape(), where()});
  // The marks of a variable's value belong to a node of its own, or to one that nobody minds.
  const Node* n = value.node();
  const bool own = !n->evaluated && n->op && !n->tracked && n->outputs.size() == 1 &&
                   (!trainable() || n->refs() == 1);
  Tensor next = own ? value : stop_gradient(value);
  mark(next, trainable());
  // What was set since the last commit and never computed is nothing to go back to.
  if (old.evaluated() || !data_->before.defined()) data_->keep(std::move(data_->value));
  data_->value = std::move(next);
}

void Variable::commit() { data_->forget(); }

void Variable::rollback() {
  if (!data_->before.defined()) return;
  Tensor old = data_->before;
  data_->forget();
  data_->value = std::move(old);
}

Variable State::add(const std::string& name, const Tensor& value, bool parameter) {
  if (index_.count(name)) fail(Error::Kind::usage, {"two variables are named '", name, "'"});
  Variable v;
  v.data_ = std::make_shared<Variable::Data>();
  v.data_->name = name;
  v.data_->parameter = parameter;
  v.data_->value = parameter ? value.as_leaf() : value;
  index_[name] = variables_.size();
  variables_.push_back(v);
  return v;
}

Variable State::find(std::string_view name) const {
  const auto at = index_.find(name);
  return at == index_.end() ? Variable() : variables_[at->second];
}

void State::commit(const Tensors& also) {
  State* self = this;
  commit(std::span(&self, 1), also);
}

void State::commit(std::span<State* const> states, const Tensors& also) {
  Tensors all = also;
  size_t most = all.size();
  for (const State* s : states) most += s->variables_.size();
  all.reserve(most);
  for (const State* s : states)
    for (const Variable& v : s->variables_)
      if (!v.data_->value.evaluated()) all.push_back(v.data_->value);
  try {
    eval(all);
  } catch (...) {
    for (State* s : states)
      for (Variable& v : s->variables_) v.rollback();
    throw;
  }
  for (State* s : states)
    for (Variable& v : s->variables_) v.commit();
}

// ---- scope

Scope Scope::init(const Key& key, DType dtype) {
  Scope s;
  s.root_ = std::make_shared<Root>();
  s.root_->key = key;
  s.root_->dtype = dtype;
  return s;
}

Scope Scope::load(Source source, bool strict, const Key& key) {
  Scope s = init(key);
  s.root_->source = std::move(source);
  s.root_->strict = strict;
  return s;
}

Scope Scope::operator/(std::string_view name) const {
  Scope s = *this;
  if (!s.path_.empty()) s.path_ += '.';
  s.path_ += name;
  return s;
}
Scope Scope::operator/(int64_t index) const { return *this / std::to_string(index); }

Variable Scope::make(std::string_view name, const Shape& shape, const Init& init, bool parameter,
                     DType dtype) const {
  const std::string path = path_.empty() ? std::string(name) : path_ + "." + std::string(name);
  Tensor value;
  if (root_->source) {
    value = root_->source(path, shape, dtype);
    if (!value.defined() && root_->strict)
      fail(Error::Kind::data,
           {"the checkpoint has no value for '", path, "' (", dtype, " ", shape, ")"});
    if (value.defined() && value.shape() != shape)
      fail(Error::Kind::data, {"the checkpoint has shape ", value.shape(), " for '", path,
                               "', the model wants ", shape});
    if (value.defined() && value.dtype() != dtype) value = cast(value, dtype);
  }
  if (!value.defined()) {
    value = init(shape, root_->key.fold_in(path));
    if (value.dtype() != dtype) value = cast(value, dtype);
  }
  eval(value);
  return root_->state->add(path, value, parameter);
}

Variable Scope::parameter(std::string_view name, const Shape& shape, const Init& init) const {
  return make(name, shape, init, true, root_->dtype);
}
Variable Scope::buffer(std::string_view name, const Shape& shape, const Init& init) const {
  return make(name, shape, init, false, root_->dtype);
}
Variable Scope::buffer(std::string_view name, const Shape& shape, const Init& init,
                       DType dtype) const {
  return make(name, shape, init, false, dtype);
}

// ---- context and module

Key Context::key() {
  const std::string& path = ModulePath::current();
  return key_.fold_in(path).fold_in(asked_[path]++);
}

void Context::update(const Variable& buffer, const Tensor& value) {
  updates_.emplace_back(buffer, value);
}

void Context::commit(const Tensor& only_if) {
  for (auto& [variable, value] : updates_)
    variable.set(only_if.defined() ? where(only_if, value, variable.value()) : value);
  updates_.clear();
}

Tensor Module::operator()(In x, Context& ctx) {
  const std::string& full = path();
  ModulePath guard(full);
  Tensor y = forward(x, ctx);
  if (ctx.hook)
    if (Tensor replaced = ctx.hook(full, y); replaced.defined()) y = std::move(replaced);
  if (!ctx.taps.empty())
    if (const auto at = ctx.taps.find(full); at != ctx.taps.end()) at->second = y;
  return y;
}

std::vector<Variable> Module::variables() const {
  std::vector<Variable> list;
  const std::string prefix = path().empty() ? "" : path() + ".";
  for (const Variable& v : state()->variables())
    if (v.name().compare(0, prefix.size(), prefix) == 0) list.push_back(v);
  return list;
}

std::vector<Variable> Module::parameters() const {
  std::vector<Variable> list;
  for (const Variable& v : variables())
    if (v.is_parameter()) list.push_back(v);
  return list;
}

std::vector<Variable> Module::trainable() const {
  std::vector<Variable> list;
  for (const Variable& v : variables())
    if (v.trainable()) list.push_back(v);
  return list;
}

int64_t Module::parameter_count() const {
  int64_t n = 0;
  for (const Variable& v : parameters()) n += v.value().numel();
  return n;
}

int64_t Module::freeze(const std::string& pattern, bool frozen) {
  int64_t n = 0;
  const Pattern chosen(pattern);
  for (Variable v : variables())
    if (chosen.found_in(v.name())) {
      v.freeze(frozen);
      n += v.is_parameter();
    }
  return n;
}

Tensors values(const std::vector<Variable>& variables) {
  Tensors list;
  for (const Variable& v : variables) list.push_back(v.value());
  return list;
}

}  // namespace nacre
