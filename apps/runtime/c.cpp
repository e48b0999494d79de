// The C interface over Runtime: what libnacre_runtime has of nacre.h.
#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>
#include <new>

#include "embed/c_interface.h"
#include "runtime/picture.h"

struct nacre_model {
  explicit nacre_model(const char* path)
      : net(std::string(path)), transform(nacre::Transform::parse(net.transform())) {}

  nacre::Runtime net;
  nacre::Transform transform;
};

namespace nacre {
namespace {

/// Memory of outputs, kept for later calls of this thread or another: the most recent blocks.
class Blocks {
 public:
  struct Block {
    size_t bytes = 0;
    alignas(64) char data[1];
  };
  ~Blocks() {
    for (Block* b : kept_) ::operator delete(b, std::align_val_t(64));
  }
  Block* take(size_t bytes) {
    {
      std::lock_guard lock(mutex_);
      for (Block*& b : kept_)
        if (b && b->bytes >= bytes && b->bytes <= 2 * bytes) return std::exchange(b, nullptr);
    }
    auto* b = static_cast<Block*>(::operator new(sizeof(Block) + bytes, std::align_val_t(64)));
    b->bytes = bytes;
    return b;
  }
  void give(Block* b) {
    {
      std::lock_guard lock(mutex_);
      for (Block*& place : kept_)
        if (!place) {
          place = b;
          return;
        }
      std::swap(kept_[next_++ % std::size(kept_)], b);
    }
    ::operator delete(b, std::align_val_t(64));
  }

 private:
  std::mutex mutex_;
  Block* kept_[32] = {};
  size_t next_ = 0;
};

Blocks& blocks() {
  static Blocks b;
  return b;
}

/// The samples in a tensor that fits the port.
int64_t rows_of(const nacre_tensor& t, const Runtime::Port& p) {
  bool fits =
      nacre::c::type_of(t) == static_cast<int>(p.dtype) && t.rank == p.shape.rank() && t.data;
  for (int d = 0; fits && d < t.rank; ++d)
    fits = t.shape[d] == p.shape[d] || (p.shape[d] < 0 && t.shape[d] > 0);
  if (!fits)
    fail(Error::Kind::shape, {"input '", p.name, "' should be ", name_of(p.dtype), " of the shape ",
                              p.shape.list(), ", where -1 is the number of samples"});
  return p.shape.rank() && p.shape[0] < 0 ? t.shape[0] : 1;
}

[[noreturn]] void no_rows() {
  fail(Error::Kind::unsupported, {"the runtime takes no rows of tables; use the whole library"});
}

constexpr size_t kMostPorts = 16;

}  // namespace
}  // namespace nacre

using nacre::c::guarded;

const char* nacre_error_text(void) { return nacre::c::last_error.c_str(); }
const char* nacre_version(void) { return NACRE_VERSION; }

nacre_status nacre_open(const char* path, nacre_model** model) {
  return guarded([&] {
    nacre::c::given(model, "model");
    *model = nullptr;
    *model = new nacre_model(&nacre::c::given(path, "path"));
  });
}

void nacre_close(nacre_model* model) { delete model; }

size_t nacre_input_count(const nacre_model* m) { return m ? m->net.inputs().size() : 0; }
size_t nacre_output_count(const nacre_model* m) { return m ? m->net.outputs().size() : 0; }

nacre_status nacre_input(const nacre_model* model, size_t number, nacre_port* port) {
  return guarded([&] {
    nacre::c::describe(nacre::c::given(model, "model").net.inputs(), number, port, "input");
  });
}
nacre_status nacre_output(const nacre_model* model, size_t number, nacre_port* port) {
  return guarded([&] {
    nacre::c::describe(nacre::c::given(model, "model").net.outputs(), number, port, "output");
  });
}

size_t nacre_class_count(const nacre_model* m) { return m ? m->net.classes().size() : 0; }
const char* nacre_class_name(const nacre_model* m, size_t number) {
  return number < nacre_class_count(m) ? m->net.classes()[number].c_str() : "";
}

nacre_status nacre_run(const nacre_model* model, const nacre_tensor* inputs, size_t input_count,
                       nacre_tensor* outputs, size_t output_count) {
  return guarded([&] {
    const nacre::Runtime& net = nacre::c::given(model, "model").net;
    if (input_count != net.inputs().size() || output_count != net.outputs().size())
      nacre::fail(nacre::Error::Kind::usage,
                  {"the model has ", net.inputs().size(), " inputs and ", net.outputs().size(),
                   " outputs, not ", input_count, " and ", output_count});
    if (input_count > nacre::kMostPorts || output_count > nacre::kMostPorts)
      nacre::fail(nacre::Error::Kind::unsupported,
                  {"at most ", nacre::kMostPorts, " inputs and outputs are possible"});
    if (input_count) nacre::c::given(inputs, "inputs");
    nacre::c::given(outputs, "outputs");
    const void* in[nacre::kMostPorts];
    void* out[nacre::kMostPorts];
    int64_t rows = 1;
    for (size_t k = 0; k < input_count; ++k) {
      const int64_t n = nacre::rows_of(inputs[k], net.inputs()[k]);
      if (k && n != rows)
        nacre::fail(nacre::Error::Kind::shape, {"the inputs have ", rows, " and ", n, " samples"});
      rows = n;
      in[k] = inputs[k].data;
    }
    struct Held {  // given back if anything throws
      nacre::Blocks::Block* block[nacre::kMostPorts] = {};
      ~Held() {
        for (auto* b : block)
          if (b) nacre::blocks().give(b);
      }
    } held;
    for (size_t k = 0; k < output_count; ++k) {
      const nacre::Runtime::Port& p = net.outputs()[k];
      if (p.shape.rank() > NACRE_MAX_RANK)
        nacre::fail(nacre::Error::Kind::unsupported, {"an output has rank ", p.shape.rank()});
      size_t bytes = nacre::size_of(p.dtype);
      for (const int64_t d : p.shape) bytes *= static_cast<size_t>(d < 0 ? rows : d);
      held.block[k] = nacre::blocks().take(bytes);
      out[k] = held.block[k]->data;
    }
    net.run({in, input_count}, {out, output_count}, rows);
    for (size_t k = 0; k < output_count; ++k) {
      const nacre::Runtime::Port& p = net.outputs()[k];
      nacre_tensor& to = outputs[k];
      to.type = static_cast<nacre_type>(p.dtype);
      to.rank = static_cast<int>(p.shape.rank());
      std::fill(std::begin(to.shape), std::end(to.shape), 0);
      for (int d = 0; d < to.rank; ++d) to.shape[d] = p.shape[d] < 0 ? rows : p.shape[d];
      to.data = held.block[k]->data;
      to.owner = std::exchange(held.block[k], nullptr);
    }
  });
}

void nacre_release(nacre_tensor* output) {
  if (!output) return;
  if (output->owner) nacre::blocks().give(static_cast<nacre::Blocks::Block*>(output->owner));
  output->owner = nullptr;
  output->data = nullptr;
}

nacre_status nacre_predict_picture(const nacre_model* model, const void* bytes, size_t size,
                                   nacre_class* classes, size_t most, size_t* found) {
  return guarded([&] {
    const nacre_model& m = nacre::c::given(model, "model");
    const char* first = &nacre::c::given(static_cast<const char*>(bytes), "bytes");
    size_t& n = nacre::c::given(found, "found");
    if (most) nacre::c::given(classes, "classes");
    const std::vector<float> x = nacre::picture_for(m.net, m.transform, {first, size}, "picture");
    std::vector<float> y(m.net.classes().size());
    const nacre::Shape& shape = m.net.outputs()[0].shape;
    if (m.net.outputs().size() != 1 || m.net.outputs()[0].dtype != nacre::DType::f32 ||
        shape.slice(1, shape.rank()).numel() != static_cast<int64_t>(y.size()))
      nacre::fail(nacre::Error::Kind::usage, {"this model gives values and has no classes"});
    const void* in[] = {x.data()};
    void* out[] = {y.data()};
    m.net.run(in, out);
    n = 0;
    for (const auto& [k, p] : m.net.best(y, most)) classes[n++] = {m.net.classes()[k].c_str(), p};
  });
}

nacre_status nacre_predict_row(const nacre_model*, const char* const*, size_t, nacre_class*, size_t,
                               size_t*) {
  return guarded([] { nacre::no_rows(); });
}
nacre_status nacre_predict_row_values(const nacre_model*, const char* const*, size_t, float*,
                                      size_t, size_t*) {
  return guarded([] { nacre::no_rows(); });
}
