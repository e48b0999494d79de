#include "onnx/call.h"

#include <unistd.h>

#include <map>
#include <sstream>

#include "graph/node.h"

namespace nacre::onnx {
namespace {

/// An operator that an op of nacre's states the meaning of; of more than two operands (Max, Min)
/// one after the other.
Values run_op(const OpDef& def, Call& c) {
  if (c.in.empty()) c.fail({"has no inputs"});
  Tensors in;
  for (size_t i = 0; i < c.in.size(); ++i) in.push_back(c[i]);
  if (def.f2 && in.size() != 2) {
    Tensor y = in[0];
    for (size_t i = 1; i < in.size(); ++i) y = make(def, {y, in[i]});
    return {like(c.in[0], y)};
  }
  Values out;
  for (const Tensor& t : make_all(def, Attrs(), in))
    out.push_back(t.dtype() == in[0].dtype() ? like(c.in[0], t) : Value(t));
  return out;
}

/// Attributes that change no number, or only where they are read. "": of every operator.
constexpr std::pair<std::string_view, std::string_view> kMayBeUnread[] = {
    {"", "consumed_inputs"},
    {"BatchNormalization", "is_test momentum spatial training_mode"},
    {"Dropout", "is_test ratio seed training_mode"},
    {"EmbedLayerNormalization", "mask_index_type"},
    {"Gemm", "broadcast"},
    {"Gradient", "zs"},
    {"GRU", "output_sequence"},
    {"GroupNormalization", "stash_type"},
    {"If", "else_branch then_branch"},
    {"LSTM", "output_sequence"},
    {"LayerNormalization", "stash_type"},
    {"LinearAttention", "chunk_size"},
    {"MatMulNBits", "accuracy_level"},
    {"MaxPool", "storage_order"},
    {"Optional", "type"},
    {"Pad", "value"},
    {"RMSNormalization", "stash_type"},
    {"RNN", "output_sequence"},
    {"Range", "stash_type"},
    {"SequenceEmpty", "dtype"},
    {"SimplifiedLayerNormalization", "stash_type"},
    {"SplitToSequence", "keepdims"},
    {"StringNormalizer", "locale"},
    {"TfIdfVectorizer", "pool_int64s pool_strings"},
    {"TopK", "sorted"}};

bool may_be_unread(std::string_view op, std::string_view attribute) {
  for (const auto& [of, names] : kMayBeUnread) {
    if (!of.empty() && of != op) continue;
    std::istringstream words{std::string(names)};
    for (std::string word; words >> word;)
      if (word == attribute) return true;
  }
  return false;
}

using Table = std::map<std::pair<std::string, std::string>, Operator, std::less<>>;

Table make_table() {
  Table table;
  for (const Operator* o : operators()) table.emplace(std::pair(o->domain, o->name), *o);
  for (const OpDef* def : all_ops()) {
    const bool plain = def->kind == OpKind::elementwise || def->kind == OpKind::composite;
    if (!*def->onnx || def->attrs || !plain) continue;
    const auto run = [](Call& c) { return run_op(*c.node.known->def, c); };
    table.emplace(std::pair("", def->onnx), Operator{def->onnx, run, "", "", false, def});
  }
  return table;
}

}  // namespace

const Operator* find_operator(std::string_view domain, std::string_view name) {
  static const Table table = make_table();
  const auto at = table.find(std::pair(std::string(domain), std::string(name)));
  return at == table.end() ? nullptr : &at->second;
}

Call::Call(const NodeProto& n, const Frame& frame, Context& context)
    : node(n), opset(n.opset), ctx(context), frame_(frame), read_(n.attributes.size()) {
  for (const std::string& name : n.inputs) in.push_back(name.empty() ? Value() : lookup(name));
}

const Value& Call::lookup(std::string_view name) const {
  for (const Frame* f = &frame_; f; f = f->outer)
    if (const auto at = f->values.find(name); at != f->values.end()) return at->second;
  fail({"needs '", name, "', which has no value"});
}

void Call::fail(std::initializer_list<Piece> text) const {
  nacre::fail(Error::Kind::data, {"[", node.op, "] ", cat(text)});
}

const Value& Call::value(size_t i) const {
  if (!has(i)) fail({"input ", i, " is missing"});
  return in[i];
}

Ints Call::ints(size_t i) const { return Ints((*this)[i].to_vector<int64_t>()); }
std::vector<double> Call::reals(size_t i) const { return (*this)[i].to_vector<double>(); }

int64_t Call::integer(size_t i) const {
  check(shape(i).numel() == 1, {"input ", i, " has shape ", shape(i), ", one number is needed"});
  return (*this)[i].item_int();
}

double Call::real(size_t i) const {
  check(shape(i).numel() == 1, {"input ", i, " has shape ", shape(i), ", one number is needed"});
  return (*this)[i].item();
}

Values Call::apply() {
  in.forget();
  Values out = node.known->run(*this);
  refuse_unread();
  return out;
}

void Call::refuse_unread() const {
  for (size_t i = 0; i < in.size(); ++i)
    check(in.seen(i) || in[i].is_none(), {"takes no input ", i, " ('", node.inputs[i], "')"});
  for (size_t k = 0; k < node.attributes.size(); ++k) {
    const std::string& name = node.attributes[k].name;
    check(read_[k] || may_be_unread(node.op, name) || !find(name),
          {"attribute '", name, "' is not known in opset ", opset});
  }
}

const AttributeProto* Call::find(std::string_view name) const {
  for (size_t k = 0; k < node.attributes.size(); ++k) {
    const AttributeProto& a = node.attributes[k];
    if (a.name != name) continue;
    read_[k] = true;
    if (a.ref.empty()) return &a;
    const Frame* f = &frame_;
    while (f && !f->attributes) f = f->outer;
    if (!f) fail({"attribute '", name, "' refers to one of a function, outside of any"});
    for (const AttributeProto* given : *f->attributes)
      if (given->name == a.ref) return given;
    return nullptr;
  }
  return nullptr;
}

int64_t Call::i(std::string_view name, int64_t otherwise) const {
  const AttributeProto* a = find(name);
  if (!a) return otherwise;
  check(a->type == 2, {"attribute '", name, "' is not an integer"});
  return a->i;
}

double Call::f(std::string_view name, double otherwise) const {
  const AttributeProto* a = find(name);
  if (!a) return otherwise;
  check(a->type == 1, {"attribute '", name, "' is not a number"});
  return static_cast<double>(a->f);
}

std::string Call::s(std::string_view name, std::string_view otherwise) const {
  const AttributeProto* a = find(name);
  if (!a) return std::string(otherwise);
  check(a->type == 3, {"attribute '", name, "' is not text"});
  return a->s;
}

Ints Call::is(std::string_view name, const Ints& otherwise) const {
  const AttributeProto* a = find(name);
  if (!a) return otherwise;
  check(a->type == 7, {"attribute '", name, "' is not a list of integers"});
  return a->ints;
}

std::vector<double> Call::fs(std::string_view name) const {
  const AttributeProto* a = find(name);
  if (!a) return {};
  check(a->type == 6, {"attribute '", name, "' is not a list of numbers"});
  return {a->floats.begin(), a->floats.end()};
}

std::vector<std::string> Call::ss(std::string_view name) const {
  const AttributeProto* a = find(name);
  if (!a) return {};
  check(a->type == 8, {"attribute '", name, "' is not a list of texts"});
  return a->strings;
}

int64_t Call::axis(int64_t a, int64_t rank) const {
  check(a >= -rank && a < std::max<int64_t>(rank, 1),
        {"axis ", a, " is out of range for rank ", rank});
  return a < 0 ? a + rank : a;
}

Values Call::run(std::string_view name, Values inputs) const {
  const AttributeProto* a = find(name);
  check(a && a->type == 5 && !a->graphs.empty(), {"attribute '", name, "' is not a graph"});
  return run_graph(*a->graphs[0], std::move(inputs), frame_, ctx);
}

namespace {

/// Bits of an integer type that is held in a wider one; 0: of others.
int bits_held_wider(Elem e) {
  switch (e) {
    case Elem::u2:
    case Elem::i2:
      return 2;
    case Elem::u4:
    case Elem::i4:
      return 4;
    case Elem::u16:
    case Elem::i16:
      return 16;
    case Elem::u32:
      return 32;
    default:
      return 0;
  }
}

}  // namespace

Tensor low_bits(const Tensor& t, Elem e) {
  const int bits = bits_held_wider(e);
  if (!bits) return t;
  const int64_t mask = (int64_t{1} << bits) - 1, half = int64_t{1} << (bits - 1);
  const bool with_sign = e == Elem::i2 || e == Elem::i4 || e == Elem::i16;
  return with_sign ? bitwise_and(t + half, mask) - half : bitwise_and(t, mask);
}

Value as_elem(const Tensor& t, Elem e) { return {low_bits(t, e), e}; }

Value like(const Value& v, const Tensor& t) {
  return as_elem(t.dtype() == storage_of(v.elem()) ? t : cast(t, storage_of(v.elem())), v.elem());
}

Ints ints_of(const Call& c, std::string_view attribute, size_t input, bool* given) {
  const bool as_input = c.has(input);
  if (given) *given = as_input || c.given(attribute);
  return as_input ? c.ints(input) : c.is(attribute);
}

void check_fits(const Shape& shape, DType t) {
  double bytes = static_cast<double>(size_of(t));
  for (int64_t d : shape) bytes *= static_cast<double>(d);
  if (bytes >
      static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGE_SIZE)))
    nacre::fail(Error::Kind::memory, {"out of memory: ", bytes, " bytes for one tensor"});
}

Tensor vector_of(const Ints& v) {
  return Tensor::from_bytes(v.data(), v.size() * sizeof(int64_t), {v.rank()}, DType::i64);
}
Tensor scalar_of(int64_t v) { return Tensor::from_bytes(&v, sizeof v, {}, DType::i64); }

}  // namespace nacre::onnx
