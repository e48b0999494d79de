// TFLite models (https://ai.google.dev/edge/litert).
#include "importers/tflite.h"

#include <algorithm>

#include "base/text.h"
#include "importers/kinds.h"
#include "importers/problems.h"
#include "nacre/error.h"
#include "nacre/import.h"

namespace nacre {
namespace {

class TfliteImporter {
 public:
  TfliteImporter(LiteModel model, std::string_view what, uint64_t size)
      : what_(what), model_(std::move(model)), net_("tflite", size), problems_(what) {}

  std::string run() {
    numbers_.resize(model_.tensors.size());
    stored_.resize(model_.tensors.size());
    made_.resize(model_.tensors.size());
    for (const int64_t i : model_.inputs) input(static_cast<size_t>(i));
    for (size_t i = 0; i < model_.tensors.size(); ++i)
      if (!made_[i] && !model_.tensors[i].data.empty()) constant(i);
    for (const LiteOperator& op : model_.operators) translate(op);
    problems_.finish("operators");
    if (model_.outputs.empty()) fail(Error::Kind::data, {what_, " has no outputs"});
    for (const int64_t i : model_.outputs) {
      const auto k = static_cast<size_t>(i);
      if (!stored_[k]) fail(Error::Kind::data, {what_, ": nothing makes '", shown(k), "'"});
      net_.output(model_.tensors[k].name, stored_[k]);
    }
    return net_.finish();
  }

 private:
  std::string shown(size_t tensor) const {
    return clip(printable(model_.tensors[tensor].name), 100);
  }

  void input(size_t i) {
    const LiteTensor& t = model_.tensors[i];
    if (made_[i]) fail(Error::Kind::data, {what_, ": the input '", shown(i), "' is there twice"});
    made_[i] = true;
    try {
      stored_[i] = net_.input(t.name, t.elem(), t.shape);
    } catch (const NoTranslation& e) {
      problems_.add(cat({"inputs of ", e.use}), t.name);
    }
  }

  void constant(size_t i) {
    const LiteTensor& t = model_.tensors[i];
    made_[i] = true;
    try {
      if (t.sparse) throw NoTranslation{"sparse values"};
      ConstantData c;
      c.type = t.elem();
      c.shape = t.shape;
      c.bytes = t.data;
      uint64_t bytes = width_of(c.type);
      for (const int64_t d : c.shape)
        if (d < 0 || __builtin_mul_overflow(bytes, static_cast<uint64_t>(d), &bytes))
          fail(Error::Kind::data, {what_, ": constant '", shown(i), "' has an impossible shape"});
      if (bytes != c.bytes.size())
        fail(Error::Kind::data, {what_, ": constant '", shown(i), "' should have ", bytes,
                                 " bytes and has ", c.bytes.size()});
      stored_[i] = net_.constant(t.name, c);
      if (!t.quantised()) return;
      c.scales = t.scales;
      c.zeros = t.zeros;
      c.axis = t.axis;
      numbers_[i] = net_.constant(t.name, std::move(c));
    } catch (const NoTranslation&) {
      // An operator that reads it says so.
    }
  }

  void translate(const LiteOperator& op) {
    const std::string type = op.custom.empty() ? name_of_lite_operator(op.code)
                                               : cat({"custom ", clip(printable(op.custom), 80)});
    const auto made = static_cast<size_t>(op.outputs[0]);
    const std::string& name = model_.tensors[made].name;
    net_.label(name);
    for (const int64_t o : op.outputs) {
      if (made_[static_cast<size_t>(o)])
        fail(Error::Kind::data,
             {what_, ": tensor '", shown(static_cast<size_t>(o)), "' is made twice"});
      made_[static_cast<size_t>(o)] = true;
    }
    const LiteTranslation translation = op.custom.empty() ? find_lite_operator(op.code) : nullptr;
    if (!translation) return problems_.add(type, name);
    for (const int64_t i : op.inputs) {
      if (i < 0) continue;
      const auto k = static_cast<size_t>(i);
      if (!made_[k])
        fail(Error::Kind::data,
             {what_, ": ", type, " reads '", shown(k), "', which nothing before it makes"});
      if (stored_[k]) continue;
      // Its maker has no translation, which is told already, or it is a constant that has none.
      if (!model_.tensors[k].data.empty()) problems_.add(cat({type, " of such constants"}), name);
      return;
    }
    try {
      LiteCall call(model_, op, net_, numbers_, stored_);
      translation(call);
    } catch (const NoTranslation& e) {
      problems_.add(cat({type, " with ", e.use}), name);
    } catch (const Error& e) {
      if (std::string_view(e.what()).starts_with(what_)) throw;
      fail(e.kind(), {what_, ": '", shown(made), "' (", type, ") ", e.what()});
    }
  }

  std::string_view what_;
  LiteModel model_;
  NhwcBuilder net_;
  Problems problems_;
  std::vector<NhwcValue> numbers_, stored_;
  std::vector<bool> made_;
};

}  // namespace

// ---- one operator

size_t LiteCall::index(size_t i) const {
  if (!has(i)) fail(Error::Kind::data, {"has no input ", i});
  return static_cast<size_t>(op_.inputs[i]);
}

const LiteTensor& LiteCall::result() const {
  return model_.tensors[static_cast<size_t>(op_.outputs[0])];
}

NhwcValue LiteCall::raw(size_t i) { return stored_[index(i)]; }

NhwcValue LiteCall::operator[](size_t i) {
  const size_t k = index(i);
  const LiteTensor& t = model_.tensors[k];
  if (!t.quantised()) return stored_[k];
  NhwcValue& v = numbers_[k];
  if (!v && t.scales.size() > 1) throw NoTranslation{"scales for each channel of what is computed"};
  if (!v) v = net.rescale(stored_[k], t.scales[0], t.zeros[0], Elem::f32);
  return v;
}

std::vector<NhwcValue> LiteCall::all() {
  std::vector<NhwcValue> out;
  for (size_t i = 0; i < count(); ++i) out.push_back((*this)[i]);
  return out;
}

std::vector<int64_t> LiteCall::integers(size_t i, std::string_view what) {
  std::vector<int64_t> v;
  if (!NhwcBuilder::known(stored_[index(i)], v))
    throw NoTranslation{cat({what, " computed in the graph"})};
  return v;
}

int64_t LiteCall::integer(size_t i, std::string_view what) {
  const auto v = integers(i, what);
  if (v.size() != 1) fail(Error::Kind::data, {"has ", v.size(), " numbers for ", what});
  return v[0];
}

bool LiteCall::moves_integers(size_t input) const {
  const LiteTensor& from = tensor(input);
  return std::all_of(op_.outputs.begin(), op_.outputs.end(), [&](int64_t o) {
    return model_.tensors[static_cast<size_t>(o)].same_scale(from);
  });
}

void LiteCall::set_raw(NhwcValue v, size_t output) {
  if (output >= op_.outputs.size()) return;
  const auto k = static_cast<size_t>(op_.outputs[output]);
  const LiteTensor& t = model_.tensors[k];
  if (v->rank < 0 && !t.shape.empty()) v->rank = static_cast<int>(t.shape.size());
  if (v->last < 0 && !t.shape.empty()) v->last = sane(t.shape.back());
  stored_[k] = std::move(v);
}

void LiteCall::set(NhwcValue v, size_t output) {
  if (output >= op_.outputs.size()) return;
  const LiteTensor& t = model_.tensors[static_cast<size_t>(op_.outputs[output])];
  if (t.quantised()) {
    if (t.scales.size() > 1) throw NoTranslation{"scales for each channel of what is computed"};
    v = net.rescale(v, t.scales[0], t.zeros[0], t.elem());
  }
  set_raw(std::move(v), output);
}

NhwcValue LiteCall::activated(NhwcValue v, int64_t kind) {
  switch (kind) {
    case 0:
      return v;
    case 1:
      return net.unary("Relu", v);
    case 2:
      return net.clip(v, -1, 1);
    case 3:
      return net.clip(v, 0, 6);
    case 4:
      return net.unary("Tanh", v);
    default:
      throw NoTranslation{cat({"activation ", kind})};
  }
}

std::string import_tflite(std::string_view model, std::string_view what) {
  return with_name(what, what, [&] {
    return TfliteImporter(read_tflite(model, what), what, model.size()).run();
  });
}

const NetworkKind kTfliteFiles = {".tflite", "TFLite", no_weights,
                                  [](const std::string& path, const std::string& weights) {
                                    return read_whole_network(path, weights, import_tflite);
                                  }};

}  // namespace nacre
