// The C interface: Predictor behind an opaque handle, with errors as codes.
#include <algorithm>
#include <memory>
#include <new>

#include "nacre.h"
#include "nacre/predict.h"

struct nacre_model {
  nacre::Predictor predictor;
};

namespace nacre {
namespace {

static_assert(static_cast<int>(DType::boolean) == nacre_bool &&
              static_cast<int>(DType::i64) == nacre_i64 &&
              static_cast<int>(DType::f16) == nacre_f16);

thread_local std::string last_error;

nacre_status status_of(Error::Kind kind) {
  switch (kind) {
    case Error::Kind::usage:
      return nacre_usage;
    case Error::Kind::shape:
      return nacre_shape;
    case Error::Kind::data:
      return nacre_data;
    case Error::Kind::io:
      return nacre_io;
    case Error::Kind::memory:
      return nacre_memory;
    case Error::Kind::numeric:
      return nacre_numeric;
    case Error::Kind::unsupported:
      return nacre_unsupported;
    case Error::Kind::cancelled:
    case Error::Kind::internal:
      break;
  }
  return nacre_internal;
}

/// Runs `f`; what it throws becomes a code and a text.
template <typename F>
nacre_status guarded(F f) noexcept {
  try {
    last_error.clear();
    f();
    return nacre_ok;
  } catch (const Error& e) {
    try {
      last_error = e.what();
    } catch (...) {
    }
    return status_of(e.kind());
  } catch (const std::bad_alloc&) {
    return nacre_memory;
  } catch (const std::exception& e) {
    try {
      last_error = e.what();
    } catch (...) {
    }
    return nacre_internal;
  }
}

template <typename T>
T& given(T* p, const char* what) {
  if (!p) fail(Error::Kind::usage, {what, " is a null pointer"});
  return *p;
}

void describe(const std::vector<Predictor::Port>& ports, size_t number, nacre_port* to,
              const char* what) {
  if (number >= ports.size())
    fail(Error::Kind::usage,
         {"the model has ", ports.size(), " ", what, "s, there is no number ", number});
  const Predictor::Port& p = ports[number];
  if (p.shape.rank() > NACRE_MAX_RANK)
    fail(Error::Kind::unsupported, {what, " '", p.name, "' has rank ", p.shape.rank()});
  nacre_port& port = given(to, "port");
  port.name = p.name.c_str();
  port.type = static_cast<nacre_type>(p.dtype);
  port.rank = static_cast<int>(p.shape.rank());
  std::fill(std::begin(port.shape), std::end(port.shape), 0);
  std::copy(p.shape.begin(), p.shape.end(), port.shape);
}

/// The caller's memory as a tensor.
Tensor view_of(const nacre_tensor& t) {
  if (t.type < nacre_f32 || t.type > nacre_bool)
    fail(Error::Kind::usage,
         {"a tensor has type ", static_cast<int>(t.type), ", 0 to 8 are known"});
  if (t.rank < 0 || t.rank > NACRE_MAX_RANK)
    fail(Error::Kind::usage,
         {"a tensor has rank ", t.rank, ", 0 to ", NACRE_MAX_RANK, " are possible"});
  const Shape shape(t.shape, static_cast<size_t>(t.rank));
  const bool empty = std::find(shape.begin(), shape.end(), 0) != shape.end();
  if (!t.data && !empty) fail(Error::Kind::usage, {"the data of a tensor are a null pointer"});
  return Tensor::wrap(nullptr, t.data, shape, static_cast<DType>(t.type));
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

using nacre::guarded;

const char* nacre_error_text(void) { return nacre::last_error.c_str(); }
const char* nacre_version(void) { return NACRE_VERSION; }

nacre_status nacre_open(const char* path, nacre_model** model) {
  return guarded([&] {
    nacre::given(model, "model");
    *model = nullptr;
    *model = new nacre_model{nacre::Predictor(&nacre::given(path, "path"))};
  });
}

void nacre_close(nacre_model* model) { delete model; }

size_t nacre_input_count(const nacre_model* m) { return m ? m->predictor.inputs().size() : 0; }
size_t nacre_output_count(const nacre_model* m) { return m ? m->predictor.outputs().size() : 0; }

nacre_status nacre_input(const nacre_model* model, size_t number, nacre_port* port) {
  return guarded([&] {
    nacre::describe(nacre::given(model, "model").predictor.inputs(), number, port, "input");
  });
}
nacre_status nacre_output(const nacre_model* model, size_t number, nacre_port* port) {
  return guarded([&] {
    nacre::describe(nacre::given(model, "model").predictor.outputs(), number, port, "output");
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
    const nacre::Predictor& p = nacre::given(model, "model").predictor;
    nacre::Tensors in;
    for (size_t i = 0; i < input_count; ++i)
      in.push_back(nacre::view_of((&nacre::given(inputs, "inputs"))[i]));
    nacre::Tensors results = p.run(in);
    if (results.size() != output_count)
      nacre::fail(nacre::Error::Kind::usage,
                  {"the model has ", results.size(), " outputs, there is room for ", output_count});
    if (output_count) nacre::given(outputs, "outputs");
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
    const nacre::Predictor& p = nacre::given(model, "model").predictor;
    const char* first = &nacre::given(static_cast<const char*>(bytes), "bytes");
    nacre::give_classes(p, p.predict(p.picture({first, size})), classes, most, found);
  });
}

nacre_status nacre_predict_row(const nacre_model* model, const char* const* cells, size_t count,
                               nacre_class* classes, size_t most, size_t* found) {
  return guarded([&] {
    const nacre::Predictor& p = nacre::given(model, "model").predictor;
    nacre::give_classes(p, nacre::predict_row(p, cells, count), classes, most, found);
  });
}

nacre_status nacre_predict_row_values(const nacre_model* model, const char* const* cells,
                                      size_t count, float* values, size_t most, size_t* found) {
  return guarded([&] {
    const nacre::Predictor& p = nacre::given(model, "model").predictor;
    const nacre::Prediction prediction = nacre::predict_row(p, cells, count);
    size_t& n = nacre::given(found, "found");
    n = std::min(most, prediction.values.size());
    if (n) std::copy_n(prediction.values.begin(), n, &nacre::given(values, "values"));
  });
}
