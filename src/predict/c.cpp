// The C interface: Predictor behind an opaque handle, with errors as codes.
#include <algorithm>
#include <memory>

#include "embed/c_interface.h"
#include "nacre/predict.h"

struct nacre_model {
  nacre::Predictor predictor;
};

namespace nacre {
namespace {

using c::given;

/// The caller's memory as a tensor.
Tensor view_of(const nacre_tensor& t) {
  const int type = c::type_of(t);
  if (type < nacre_f32 || type > nacre_bool)
    fail(Error::Kind::usage, {"a tensor has type ", type, ", 0 to 8 are known"});
  if (t.rank < 0 || t.rank > NACRE_MAX_RANK)
    fail(Error::Kind::usage,
         {"a tensor has rank ", t.rank, ", 0 to ", NACRE_MAX_RANK, " are possible"});
  const Shape shape(t.shape, static_cast<size_t>(t.rank));
  const bool empty = std::find(shape.begin(), shape.end(), 0) != shape.end();
  if (!t.data && !empty) fail(Error::Kind::usage, {"the data of a tensor are a null pointer"});
  return Tensor::wrap(nullptr, t.data, shape, static_cast<DType>(type));
}

void give_classes(const Predictor& p, const Prediction& prediction, nacre_class* classes,
                  size_t most, size_t* found) {
  if (p.info().classes.empty() || prediction.classes.empty())
    fail(Error::Kind::usage, {"this model gives values and has no classes"});
  size_t& n = given(found, "found");
  n = std::min(most, prediction.classes.size());
  if (n) given(classes, "classes");
  const auto& names = p.info().classes;
  for (size_t i = 0; i < n; ++i) {
    const auto at = std::find(names.begin(), names.end(), prediction.classes[i].label);
    classes[i] = {at == names.end() ? "" : at->c_str(), prediction.classes[i].probability};
  }
}

Prediction predict_row(const Predictor& p, const char* const* cells, size_t count) {
  std::vector<std::string> row;
  if (count) given(cells, "cells");
  for (size_t i = 0; i < count; ++i) row.emplace_back(&given(cells[i], "a cell"));
  return p.predict(p.row(row));
}

}  // namespace
}  // namespace nacre

using nacre::c::guarded;

const char* nacre_error_text(void) { return nacre::c::last_error.c_str(); }
const char* nacre_version(void) { return NACRE_VERSION; }

nacre_status nacre_open(const char* path, nacre_model** model) {
  return guarded([&] {
    nacre::c::given(model, "model");
    *model = nullptr;
    *model = new nacre_model{nacre::Predictor(&nacre::c::given(path, "path"))};
  });
}

void nacre_close(nacre_model* model) { delete model; }

size_t nacre_input_count(const nacre_model* m) { return m ? m->predictor.inputs().size() : 0; }
size_t nacre_output_count(const nacre_model* m) { return m ? m->predictor.outputs().size() : 0; }

nacre_status nacre_input(const nacre_model* model, size_t number, nacre_port* port) {
  return guarded([&] {
    nacre::c::describe(nacre::c::given(model, "model").predictor.inputs(), number, port, "input");
  });
}
nacre_status nacre_output(const nacre_model* model, size_t number, nacre_port* port) {
  return guarded([&] {
    nacre::c::describe(nacre::c::given(model, "model").predictor.outputs(), number, port, "output");
  });
}

size_t nacre_class_count(const nacre_model* m) {
  return m ? m->predictor.info().classes.size() : 0;
}
const char* nacre_class_name(const nacre_model* m, size_t number) {
  return number < nacre_class_count(m) ? m->predictor.info().classes[number].c_str() : "";
}

nacre_status nacre_run(const nacre_model* model, const nacre_tensor* inputs, size_t input_count,
                       nacre_tensor* outputs, size_t output_count) {
  return guarded([&] {
    const nacre::Predictor& p = nacre::c::given(model, "model").predictor;
    nacre::Tensors in;
    for (size_t i = 0; i < input_count; ++i)
      in.push_back(nacre::view_of((&nacre::c::given(inputs, "inputs"))[i]));
    nacre::Tensors results = p.run(in);
    if (results.size() != output_count)
      nacre::fail(nacre::Error::Kind::usage,
                  {"the model has ", results.size(), " outputs, there is room for ", output_count});
    if (output_count) nacre::c::given(outputs, "outputs");
    for (const nacre::Tensor& t : results)
      if (t.rank() > NACRE_MAX_RANK)
        nacre::fail(nacre::Error::Kind::unsupported, {"an output has rank ", t.rank()});
    std::vector<std::unique_ptr<nacre::Tensor>> owners;
    for (nacre::Tensor& t : results) {
      const void* data = t.data();
      // What a network hands through is still the caller's memory, and may go before the output.
      const size_t bytes = static_cast<size_t>(t.numel()) * nacre::size_of(t.dtype());
      for (const nacre::Tensor& x : in) {
        const auto* from = static_cast<const char*>(x.data());
        const auto* end = from + static_cast<size_t>(x.numel()) * nacre::size_of(x.dtype());
        if (data < from || data >= end) continue;
        t = nacre::Tensor::from_bytes(data, bytes, t.shape(), t.dtype());
        data = t.data();
      }
      owners.push_back(std::make_unique<nacre::Tensor>(std::move(t)));
    }
    for (size_t i = 0; i < owners.size(); ++i) {
      const nacre::Tensor& t = *owners[i];
      nacre_tensor& to = outputs[i];
      to.type = static_cast<nacre_type>(t.dtype());
      to.rank = static_cast<int>(t.rank());
      std::fill(std::begin(to.shape), std::end(to.shape), 0);
      std::copy(t.shape().begin(), t.shape().end(), to.shape);
      to.data = t.data();
      to.owner = owners[i].release();
    }
  });
}

void nacre_release(nacre_tensor* output) {
  if (!output) return;
  delete static_cast<nacre::Tensor*>(output->owner);
  output->owner = nullptr;
  output->data = nullptr;
}

nacre_status nacre_predict_picture(const nacre_model* model, const void* bytes, size_t size,
                                   nacre_class* classes, size_t most, size_t* found) {
  return guarded([&] {
    const nacre::Predictor& p = nacre::c::given(model, "model").predictor;
    const char* first = &nacre::c::given(static_cast<const char*>(bytes), "bytes");
    nacre::give_classes(p, p.predict(p.picture({first, size})), classes, most, found);
  });
}

nacre_status nacre_predict_row(const nacre_model* model, const char* const* cells, size_t count,
                               nacre_class* classes, size_t most, size_t* found) {
  return guarded([&] {
    const nacre::Predictor& p = nacre::c::given(model, "model").predictor;
    nacre::give_classes(p, nacre::predict_row(p, cells, count), classes, most, found);
  });
}

nacre_status nacre_predict_row_values(const nacre_model* model, const char* const* cells,
                                      size_t count, float* values, size_t most, size_t* found) {
  return guarded([&] {
    const nacre::Predictor& p = nacre::c::given(model, "model").predictor;
    const nacre::Prediction prediction = nacre::predict_row(p, cells, count);
    size_t& n = nacre::c::given(found, "found");
    n = std::min(most, prediction.values.size());
    if (n) std::copy_n(prediction.values.begin(), n, &nacre::c::given(values, "values"));
  });
}
