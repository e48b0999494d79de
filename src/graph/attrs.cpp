#include "graph/attrs.h"

#include <bit>

#include "base/spare.h"
#include "graph/kernel.h"
#include "graph/node.h"
#include "nacre/graph.h"

namespace nacre {
namespace {

class Collect : public FieldVisitor {
 public:
  std::vector<std::pair<std::string, AttrValue>> fields;
  void operator()(const char* n, bool& v) override { fields.emplace_back(n, v); }
  void operator()(const char* n, int64_t& v) override { fields.emplace_back(n, v); }
  void operator()(const char* n, double& v) override { fields.emplace_back(n, v); }
  void operator()(const char* n, std::string& v) override { fields.emplace_back(n, v); }
  void operator()(const char* n, Ints& v) override { fields.emplace_back(n, v); }
  void operator()(const char* n, DType& v) override { fields.emplace_back(n, v); }
  void operator()(const char* n, std::shared_ptr<const Graph>& v) override {
    fields.emplace_back(n, v);
  }
};

class Assign : public FieldVisitor {
 public:
  Assign(const OpDef& op, const std::vector<std::pair<std::string, AttrValue>>& f)
      : op_(op), fields_(f), used_(f.size()) {}
  void operator()(const char* n, bool& v) override { set(n, v); }
  void operator()(const char* n, int64_t& v) override { set(n, v); }
  void operator()(const char* n, double& v) override { set(n, v); }
  void operator()(const char* n, std::string& v) override { set(n, v); }
  void operator()(const char* n, Ints& v) override { set(n, v); }
  void operator()(const char* n, DType& v) override { set(n, v); }
  void operator()(const char* n, std::shared_ptr<const Graph>& v) override { set(n, v); }
  void finish() const {
    for (size_t i = 0; i < fields_.size(); ++i)
      if (!used_[i])
        fail(Error::Kind::data, {"[", op_.name, "] has no attribute '", fields_[i].first, "'"});
  }

 private:
  template <typename T>
  void set(const char* name, T& v) {
    for (size_t i = 0; i < fields_.size(); ++i) {
      if (fields_[i].first != name) continue;
      const T* value = std::get_if<T>(&fields_[i].second);
      if (!value)
        fail(Error::Kind::data, {"[", op_.name, "] attribute '", name, "' has the wrong type"});
      v = *value;
      used_[i] = true;
    }
  }
  const OpDef& op_;
  const std::vector<std::pair<std::string, AttrValue>>& fields_;
  std::vector<bool> used_;
};

class Hash : public FieldVisitor {
 public:
  uint64_t h = 1;
  void operator()(const char*, bool& v) override { h = mix(h, v); }
  void operator()(const char*, int64_t& v) override { h = mix(h, static_cast<uint64_t>(v)); }
  void operator()(const char*, double& v) override { h = mix(h, std::bit_cast<uint64_t>(v)); }
  void operator()(const char*, std::string& v) override { h = mix(h, OpDef::hash_name(v.c_str())); }
  void operator()(const char*, Ints& v) override {
    h = mix(h, v.size());
    for (int64_t d : v) h = mix(h, static_cast<uint64_t>(d));
  }
  void operator()(const char*, DType& v) override { h = mix(h, static_cast<uint64_t>(v)); }
  void operator()(const char*, std::shared_ptr<const Graph>& v) override {
    h = mix(h, v ? v->hash() : 0);
  }
};

template <typename T>
T typed(const KernelQuery& q, std::string_view name) {
  const AttrValue v = attr_field(q.op, q.attrs, name);
  if (const T* t = std::get_if<T>(&v)) return *t;
  fail(Error::Kind::internal,
       {"[", q.op.name, "] attribute '", name, "' has another type than its kernel thinks"});
}

}  // namespace

namespace {
/// Blocks for small structs are kept when freed.
void* take_block(size_t bytes) {
  return bytes <= 128   ? Spare<128, 64>::take()
         : bytes <= 512 ? Spare<512, 64>::take()
                        : ::operator new(bytes);
}
void give_block(void* p, size_t bytes) {
  bytes <= 128   ? Spare<128, 64>::give(p)
  : bytes <= 512 ? Spare<512, 64>::give(p)
                 : ::operator delete(p);
}
}  // namespace

Attrs::Attrs(const AttrType* type, void* value)
    : box_(new (take_block(sizeof(Box) + type->size)) Box) {
  box_->type = type;
  type->move(box_ + 1, value);
  Hash hash;
  type->visit(box_ + 1, hash);
  box_->hash = hash.h;
}
Attrs::Attrs(const Attrs& o) : box_(o.box_) {
  if (box_) box_->refs.fetch_add(1, std::memory_order_relaxed);
}
Attrs::~Attrs() {
  if (!box_ || (box_->refs.load(std::memory_order_acquire) != 1 &&
                box_->refs.fetch_sub(1, std::memory_order_acq_rel) != 1))
    return;
  const size_t bytes = sizeof(Box) + box_->type->size;
  box_->type->end(box_ + 1);
  give_block(box_, bytes);
}

std::vector<std::pair<std::string, AttrValue>> attr_fields(const OpDef& op, const void* attrs) {
  if (!op.attrs || !attrs) return {};
  Collect c;
  op.attrs->visit(const_cast<void*>(attrs), c);  // a reading visitor does not write
  return std::move(c.fields);
}

AttrValue attr_field(const OpDef& op, const void* attrs, std::string_view name) {
  for (auto& [n, v] : attr_fields(op, attrs))
    if (n == name) return v;
  fail(Error::Kind::internal, {"[", op.name, "] has no attribute '", name, "'"});
}

Attrs attrs_from_fields(const OpDef& op,
                        const std::vector<std::pair<std::string, AttrValue>>& fields) {
  if (!op.attrs) {
    if (!fields.empty()) fail(Error::Kind::data, {"[", op.name, "] takes no attributes"});
    return {};
  }
  const std::unique_ptr<void, void (*)(void*)> value(op.attrs->make(), op.attrs->destroy);
  Assign assign(op, fields);
  op.attrs->visit(value.get(), assign);
  assign.finish();
  return Attrs(op.attrs, value.get());
}

std::string attrs_text(const OpDef& op, const void* attrs) {
  struct Text {
    std::string operator()(bool v) const { return v ? "true" : "false"; }
    std::string operator()(int64_t v) const { return std::to_string(v); }
    std::string operator()(double v) const { return Piece(v).text(); }
    std::string operator()(const std::string& v) const { return v; }
    std::string operator()(const Ints& v) const { return v.list(); }
    std::string operator()(DType v) const { return std::string(name_of(v)); }
    std::string operator()(const std::shared_ptr<const Graph>&) const { return "<graph>"; }
  };
  std::string s;
  for (auto& [name, value] : attr_fields(op, attrs))
    s += (s.empty() ? "" : " ") + name + "=" + std::visit(Text(), value);
  return s;
}

bool Operand::contiguous() const {
  int64_t expected = 1;
  for (int64_t i = shape.rank() - 1; i >= 0; --i) {
    if (shape[i] == 0) return true;
    if (shape[i] != 1 && strides[i] != expected) return false;
    expected *= shape[i];
  }
  return true;
}

int64_t KernelQuery::integer(std::string_view name) const { return typed<int64_t>(*this, name); }
double KernelQuery::number(std::string_view name) const { return typed<double>(*this, name); }
bool KernelQuery::flag(std::string_view name) const { return typed<bool>(*this, name); }
Ints KernelQuery::ints(std::string_view name) const { return typed<Ints>(*this, name); }
std::string KernelQuery::text(std::string_view name) const {
  return typed<std::string>(*this, name);
}

std::shared_ptr<const Graph> KernelQuery::graph(std::string_view name) const {
  return typed<std::shared_ptr<const Graph>>(*this, name);
}

bool KernelQuery::all_contiguous() const {
  for (const Operand& o : in)
    if (!o.contiguous()) return false;
  return true;
}

bool KernelQuery::all_float(DType t) const {
  for (auto list : {in, out})
    for (const Operand& o : list)
      if (is_float(o.dtype) && o.dtype != t) return false;
  return true;
}

}  // namespace nacre
