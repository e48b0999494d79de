#include "backends/cpu/dnnl.h"

#include <omp.h>
#include <oneapi/dnnl/dnnl.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <limits>
#include <span>
#include <string_view>
#include <vector>

#include "base/parallel.h"
#include "nacre/error.h"

namespace nacre::cpu::dnnl {
namespace {

void check(dnnl_status_t status, const char* what) {
  if (status == dnnl_out_of_memory)
    fail(Error::Kind::memory, {"oneDNN ran out of memory in ", what});
  if (status != dnnl_success)
    fail(Error::Kind::internal, {"oneDNN failed in ", what, " with status ", int(status)});
}

dnnl_engine_t engine() {
  static const dnnl_engine_t e = [] {
    dnnl_engine_t made = nullptr;
    check(dnnl_engine_create(&made, dnnl_cpu, 0), "engine_create");
    return made;
  }();
  return e;
}

// A stream holds no state on the CPU, but the library does not promise that it may be shared.
dnnl_stream_t stream() {
  struct Holder {
    dnnl_stream_t s = nullptr;
    Holder() { check(dnnl_stream_create(&s, engine(), dnnl_stream_default_flags), "stream"); }
    ~Holder() { dnnl_stream_destroy(s); }
  };
  thread_local const Holder holder;
  return holder.s;
}

// The library asks OpenMP how many threads to use, per calling thread; its scratch sizes depend on
// the answer at creation, so a run must give the same one.
void use_threads(int n) {
  if (omp_get_max_threads() != n) omp_set_num_threads(n);
}

dnnl_data_type_t type_of(DType t) {
  switch (t) {
    case DType::bf16:
      return dnnl_bf16;
    case DType::u8:
      return dnnl_u8;
    case DType::i8:
      return dnnl_s8;
    default:
      return dnnl_f32;
  }
}

// False if the library refuses the strides (negative, overlapping or interleaved ones).
bool describe(const Tensor& t, dnnl_memory_desc_t& md) {
  dnnl_dims_t dims, strides;
  if (t.shape.rank() > DNNL_MAX_NDIMS) return false;
  std::copy(t.shape.begin(), t.shape.end(), dims);
  std::copy(t.strides.begin(), t.strides.end(), strides);
  return dnnl_memory_desc_init_by_strides(&md, static_cast<int>(t.shape.rank()), dims,
                                          type_of(t.dtype), strides) == dnnl_success;
}

dnnl_memory_desc_t plain(const Tensor& t) {
  dnnl_memory_desc_t md;
  if (!describe(t, md))
    fail(Error::Kind::internal, {"oneDNN refuses a dense tensor of shape ", t.shape});
  return md;
}

dnnl_memory_desc_t any(const Tensor& t) {
  dnnl_memory_desc_t md;
  dnnl_dims_t dims;
  std::copy(t.shape.begin(), t.shape.end(), dims);
  check(dnnl_memory_desc_init_by_tag(&md, static_cast<int>(t.shape.rank()), dims, type_of(t.dtype),
                                     dnnl_format_tag_any),
        "memory_desc_init_by_tag");
  return md;
}

size_t aligned(size_t bytes) { return (bytes + 63) / 64 * 64; }

/// Between integers and what they stand for.
struct Scaling {
  std::span<const float> outputs;  // one for each entry of dimension 1
  int32_t source_zero = 0;
};

struct Descriptor {
  dnnl_primitive_desc_t pd = nullptr;
  ~Descriptor() {
    if (pd) dnnl_primitive_desc_destroy(pd);
  }
  bool create(const void* op, const_dnnl_primitive_desc_t hint,
              const_dnnl_post_ops_t after = nullptr, const Scaling* scaling = nullptr) {
    if (pd) dnnl_primitive_desc_destroy(pd);
    pd = nullptr;
    dnnl_primitive_attr_t attr = nullptr;
    check(dnnl_primitive_attr_create(&attr), "attr_create");
    dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user);
    if (after) check(dnnl_primitive_attr_set_post_ops(attr, after), "attr_set_post_ops");
    if (scaling) scale(attr, *scaling);
    const auto status = dnnl_primitive_desc_create(&pd, op, attr, engine(), hint);
    dnnl_primitive_attr_destroy(attr);
    return status == dnnl_success;
  }
  static void scale(dnnl_primitive_attr_t attr, const Scaling& s) {
    check(dnnl_primitive_attr_set_output_scales(attr, static_cast<dnnl_dim_t>(s.outputs.size()),
                                                1 << 1, s.outputs.data()),
          "attr_set_output_scales");
    if (s.source_zero != 0)
      check(dnnl_primitive_attr_set_zero_points(attr, DNNL_ARG_SRC, 1, 0, &s.source_zero),
            "attr_set_zero_points");
  }
  std::string name() const {
    const char* s = nullptr;
    check(dnnl_primitive_desc_query(pd, dnnl_query_impl_info_str, 0, &s), "query");
    return s;
  }
  const dnnl_memory_desc_t& md(dnnl_query_t what) const {
    return *dnnl_primitive_desc_query_md(pd, what, 0);
  }
  size_t scratchpad() const {
    return dnnl_memory_desc_get_size(dnnl_primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0));
  }
};

struct Memory {
  dnnl_memory_t m = nullptr;
  explicit Memory(const dnnl_memory_desc_t& md) {
    check(dnnl_memory_create(&m, &md, engine(), DNNL_MEMORY_NONE), "memory_create");
  }
  Memory(Memory&& o) noexcept : m(o.m) { o.m = nullptr; }
  Memory(const Memory&) = delete;
  ~Memory() {
    if (m) dnnl_memory_destroy(m);
  }
  void point(void* p) const { check(dnnl_memory_set_data_handle(m, p), "set_data_handle"); }
};

struct PostOps {
  dnnl_post_ops_t list = nullptr;
  PostOps() { check(dnnl_post_ops_create(&list), "post_ops_create"); }
  ~PostOps() { dnnl_post_ops_destroy(list); }
  PostOps(const PostOps&) = delete;
  void limit(float low, float high) {
    constexpr float inf = std::numeric_limits<float>::infinity();
    if (low == 0 && high == inf)
      apply(dnnl_eltwise_relu);
    else if (low > -inf || high < inf)
      apply(dnnl_eltwise_clip, low, high);
  }
  void add(const dnnl_memory_desc_t& other) {
    check(dnnl_post_ops_append_binary(list, dnnl_binary_add, &other), "append_binary");
  }
  void add() { check(dnnl_post_ops_append_sum(list, 1), "append_sum"); }
  void add(float scale, DType type) {
    check(dnnl_post_ops_append_sum_v2(list, scale, type_of(type)), "append_sum");
  }
  void apply(dnnl_alg_kind_t f, float alpha = 0, float beta = 0) {
    check(dnnl_post_ops_append_eltwise(list, 1, f, alpha, beta), "append_eltwise");
  }
};

}  // namespace

struct Program::Impl {
  // One operand of the primitive, and the way between it and the caller's layout.
  struct Side {
    int arg = 0;
    dnnl_memory_desc_t user, own;
    dnnl_primitive_t reorder = nullptr;
    size_t offset = 0;  // of the copy in scratch, if there is a reorder
  };
  // The memory objects of one run. They hold pointers, so concurrent runs need a set each; the last
  // one used is kept.
  struct Args {
    std::vector<Memory> user, own;
    std::vector<Memory> scratchpad, bias, residual;
  };

  Side sides[3];
  dnnl_primitive_t primitive = nullptr;
  std::string name;
  dnnl_memory_desc_t scratchpad, bias;
  bool has_b = true, has_bias = false;
  bool has_residual = false;  // a tensor like the result, added by the first post-op
  size_t scratch = 0;
  int threads = num_threads();
  mutable std::atomic<Args*> spare = nullptr;

  ~Impl() {
    delete spare.load();
    for (auto& s : sides)
      if (s.reorder) dnnl_primitive_destroy(s.reorder);
    if (primitive) dnnl_primitive_destroy(primitive);
  }

  std::unique_ptr<Args> take() const {
    if (Args* kept = spare.exchange(nullptr, std::memory_order_acquire))
      return std::unique_ptr<Args>(kept);
    auto args = std::make_unique<Args>();
    for (const auto& s : sides) {
      args->user.emplace_back(s.user);
      if (s.reorder) args->own.emplace_back(s.own);
    }
    args->scratchpad.emplace_back(scratchpad);
    if (has_bias) args->bias.emplace_back(bias);
    if (has_residual) args->residual.emplace_back(sides[2].user);
    return args;
  }
  void give(std::unique_ptr<Args> args) const {
    delete spare.exchange(args.release(), std::memory_order_acq_rel);  // deletes what another made
  }

  // `to_library`: the reorder runs before the primitive.
  void set_side(int i, int arg, const dnnl_memory_desc_t& user, const dnnl_memory_desc_t& own,
                bool to_library) {
    Side& s = sides[i];
    s.arg = arg;
    s.user = user;
    s.own = own;
    if (dnnl_memory_desc_equal(&user, &own)) return;
    Descriptor d;
    check(dnnl_reorder_primitive_desc_create(&d.pd, to_library ? &user : &own, engine(),
                                             to_library ? &own : &user, engine(), nullptr),
          "reorder_primitive_desc_create");
    check(dnnl_primitive_create(&s.reorder, d.pd), "primitive_create (reorder)");
    s.offset = scratch;
    scratch += aligned(dnnl_memory_desc_get_size(&own));
  }

  void finish(const Descriptor& d) { check(make(d), "primitive_create"); }
  dnnl_status_t make(const Descriptor& d) {
    name = d.name();
    const auto status = dnnl_primitive_create(&primitive, d.pd);
    if (status != dnnl_success) return status;
    scratchpad = d.md(dnnl_query_scratchpad_md);
    scratch += aligned(d.scratchpad());
    return status;
  }
  /// A primitive of one input, whose b is not looked at.
  void without_b(const dnnl_memory_desc_t& any) {
    has_b = false;
    sides[1].user = sides[1].own = any;
  }
};

Program::Program(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
Program::~Program() = default;
size_t Program::scratch_bytes() const { return impl_->scratch; }
const std::string& Program::implementation() const { return impl_->name; }

std::unique_ptr<Program> Program::with_b(const void* b) const {
  const Impl::Side& side = impl_->sides[1];
  if (!side.reorder) return nullptr;
  use_threads(impl_->threads);
  auto made = std::make_unique<Program>(impl_);
  const size_t bytes = aligned(dnnl_memory_desc_get_size(&side.own));
  std::shared_ptr<void> packed(std::aligned_alloc(64, bytes), std::free);
  if (!packed) fail(Error::Kind::memory, {"no memory for ", bytes, " bytes of weights"});
  const Memory from(side.user), to(side.own);
  from.point(const_cast<void*>(b));
  to.point(packed.get());
  const dnnl_exec_arg_t r[] = {{DNNL_ARG_FROM, from.m}, {DNNL_ARG_TO, to.m}};
  check(dnnl_primitive_execute(side.reorder, stream(), 2, r), "execute (reorder)");
  made->b_ = std::move(packed);
  return made;
}

void Program::run(const void* a, const void* b, void* c, void* scratch, const void* bias,
                  const void* residual) const {
  const Impl& p = *impl_;
  use_threads(p.threads);
  auto args = p.take();
  char* base = static_cast<char*>(scratch);
  void* const pointers[3] = {const_cast<void*>(a), const_cast<void*>(b), c};
  const dnnl_stream_t s = stream();
  dnnl_exec_arg_t list[6];
  int count = 0;
  size_t own = 0;
  for (int i = 0; i < 3; ++i) {
    if (i == 1 && !p.has_b) continue;
    const auto& side = p.sides[i];
    args->user[i].point(pointers[i]);
    dnnl_memory_t m = args->user[i].m;
    if (side.reorder) {
      const Memory& copy = args->own[own++];
      const bool packed = i == 1 && b_;
      copy.point(packed ? const_cast<void*>(b_.get()) : base + side.offset);
      m = copy.m;
      if (i < 2 && !packed) {
        const dnnl_exec_arg_t r[] = {{DNNL_ARG_FROM, args->user[i].m}, {DNNL_ARG_TO, copy.m}};
        check(dnnl_primitive_execute(side.reorder, s, 2, r), "execute (reorder)");
      }
    }
    list[count++] = {side.arg, m};
  }
  const size_t pad = dnnl_memory_desc_get_size(&p.scratchpad);
  args->scratchpad[0].point(pad ? base + p.scratch - aligned(pad) : nullptr);
  if (pad) list[count++] = {DNNL_ARG_SCRATCHPAD, args->scratchpad[0].m};
  if (p.has_bias) {
    args->bias[0].point(const_cast<void*>(bias));
    list[count++] = {DNNL_ARG_BIAS, args->bias[0].m};
  }
  if (p.has_residual) {
    args->residual[0].point(const_cast<void*>(residual));
    list[count++] = {DNNL_ARG_ATTR_MULTIPLE_POST_OP(0) | DNNL_ARG_SRC_1, args->residual[0].m};
  }
  check(dnnl_primitive_execute(p.primitive, s, count, list), "execute");
  if (p.sides[2].reorder) {
    const dnnl_exec_arg_t r[] = {{DNNL_ARG_FROM, args->own.back().m},
                                 {DNNL_ARG_TO, args->user[2].m}};
    check(dnnl_primitive_execute(p.sides[2].reorder, s, 2, r), "execute (reorder)");
  }
  p.give(std::move(args));
}

std::unique_ptr<Program> matmul(const Tensor& a, const Tensor& b, const Tensor& c, bool choose_b,
                                const Epilogue& after) {
  use_threads(num_threads());
  dnnl_memory_desc_t ma, mb, mc;
  if (!describe(a, ma) || !describe(b, mb) || !describe(c, mc)) return nullptr;
  const dnnl_memory_desc_t wanted = choose_b ? any(b) : mb;
  dnnl_matmul_desc_t op;
  Tensor row{Shape(c.shape.size(), 1), Shape(c.shape.size(), c.shape[-1])};
  row.shape[-1] = c.shape[-1];
  row.strides[-1] = 1;
  const dnnl_memory_desc_t bias = plain(row);
  if (dnnl_matmul_desc_init(&op, &ma, &wanted, after.bias ? &bias : nullptr, &mc) != dnnl_success)
    return nullptr;
  PostOps ends;
  if (after.residual) ends.add(mc);
  if (after.gelu) ends.apply(dnnl_eltwise_gelu_erf);
  Descriptor d;
  if (!d.create(&op, nullptr, ends.list) || d.name().starts_with("ref")) return nullptr;
  auto impl = std::make_unique<Program::Impl>();
  impl->set_side(0, DNNL_ARG_SRC, ma, ma, true);
  impl->set_side(1, DNNL_ARG_WEIGHTS, mb, choose_b ? d.md(dnnl_query_weights_md) : mb, true);
  impl->set_side(2, DNNL_ARG_DST, mc, mc, false);
  impl->bias = bias;
  impl->has_bias = after.bias;
  impl->has_residual = after.residual;
  impl->finish(d);
  return std::make_unique<Program>(std::move(impl));
}

bool winograd_allowed() {
  static const bool allowed = [] {
    const char* s = std::getenv("NACRE_WINOGRAD");
    return !s || std::string_view(s) != "0";
  }();
  return allowed;
}

namespace {

// The same shape with a dimension of size 1 inserted, since the library wants rank 2 or 3.
Shape with(Shape s, int64_t pos, int64_t value) {
  s.insert(pos, value);
  return s;
}

/// What the library needs to arrive at the given output size; it takes no negative padding.
void high_padding(const Shape& in, const Shape& out, const Ints& kernel, const Ints& stride,
                  const Ints& dilation, const Ints& low, dnnl_dims_t high) {
  for (int64_t i = 0; i < stride.rank(); ++i)
    high[i] = std::max<int64_t>(
        0, (out[2 + i] - 1) * stride[i] + (kernel[i] - 1) * dilation[i] + 1 - in[2 + i] - low[i]);
}

/// Whether the library is asked for Winograd's form. Where it is to be the faster one: transforms
/// of few tiles or channels cost more than they save (measured: 7x7 of one picture), and of weights
/// that change, as much as many tiles do (512 channels of 8 pictures of 7x7 also want 126 MB of
/// scratch). Small planes are so little work that they keep the smaller rounding error.
bool takes_winograd(const Convolution& c) {
  if (c.form == Form::direct || !winograd_allowed() || c.dtype != DType::f32 || c.groups != 1 ||
      c.weight.rank() != 4 || c.weight.slice(2, 4) != Ints{3, 3} || c.stride != Ints{1, 1} ||
      c.dilation != Ints{1, 1})
    return false;
  if (c.form == Form::winograd) return true;
  const int64_t plane = c.output[2] * c.output[3], results = c.output[0] * plane;
  return std::min(c.weight[0], c.weight[1]) >= 32 && plane >= 128 &&
         results >= 2 * std::max(c.weight[0], c.weight[1]);
}

Convolution lift(Convolution c) {
  if (c.stride.size() > 1) return c;
  c.input = with(c.input, 2, 1);
  c.output = with(c.output, 2, 1);
  c.weight = with(c.weight, 2, 1);
  c.stride = with(c.stride, 0, 1);
  c.dilation = with(c.dilation, 0, 1);
  c.pad_low = with(c.pad_low, 0, 0);
  return c;
}

/// A pass whose descriptor is `d`; x, w and y as they lie in memory, bias or null.
std::unique_ptr<Program> convolution_program(const Descriptor& d, Pass pass,
                                             const dnnl_memory_desc_t& x,
                                             const dnnl_memory_desc_t& w,
                                             const dnnl_memory_desc_t& y,
                                             const dnnl_memory_desc_t* bias = nullptr) {
  auto impl = std::make_unique<Program::Impl>();
  switch (pass) {
    case Pass::forward:
      impl->set_side(0, DNNL_ARG_SRC, x, d.md(dnnl_query_src_md), true);
      impl->set_side(1, DNNL_ARG_WEIGHTS, w, d.md(dnnl_query_weights_md), true);
      impl->set_side(2, DNNL_ARG_DST, y, d.md(dnnl_query_dst_md), false);
      break;
    case Pass::input_grad:
      impl->set_side(0, DNNL_ARG_DIFF_DST, y, d.md(dnnl_query_diff_dst_md), true);
      impl->set_side(1, DNNL_ARG_WEIGHTS, w, d.md(dnnl_query_weights_md), true);
      impl->set_side(2, DNNL_ARG_DIFF_SRC, x, d.md(dnnl_query_diff_src_md), false);
      break;
    case Pass::weight_grad:
      impl->set_side(0, DNNL_ARG_SRC, x, d.md(dnnl_query_src_md), true);
      impl->set_side(1, DNNL_ARG_DIFF_DST, y, d.md(dnnl_query_diff_dst_md), true);
      impl->set_side(2, DNNL_ARG_DIFF_WEIGHTS, w, d.md(dnnl_query_diff_weights_md), false);
      break;
  }
  if (bias) {
    impl->bias = *bias;
    impl->has_bias = true;
  }
  impl->finish(d);
  return std::make_unique<Program>(std::move(impl));
}

}  // namespace

std::unique_ptr<Program> convolution(const Convolution& original) {
  use_threads(num_threads());
  const Convolution c = lift(original);
  const int64_t rank = c.stride.rank();
  Shape weight = c.weight;
  if (c.groups > 1) {
    weight[0] /= c.groups;
    weight.insert(0, c.groups);
  }
  const auto tensor = [&](const Shape& s) { return Tensor{s, contiguous_strides(s), c.dtype}; };
  const Tensor x = tensor(c.input), w = tensor(weight), y = tensor(c.output);
  dnnl_dims_t stride, dilation, low, high;
  for (int64_t i = 0; i < rank; ++i) {
    stride[i] = c.stride[i];
    dilation[i] = c.dilation[i] - 1;
    low[i] = c.pad_low[i];
  }
  high_padding(c.input, c.output, c.weight.slice(2, c.weight.rank()), c.stride, c.dilation,
               c.pad_low, high);
  const auto xa = any(x), wa = any(w), ya = any(y);
  Descriptor forward, backward;
  const bool to_input = c.pass == Pass::input_grad;
  const auto create = [&](dnnl_alg_kind_t form) {
    dnnl_convolution_desc_t op;
    if (dnnl_dilated_convolution_forward_desc_init(&op, dnnl_forward_training, form, &xa, &wa,
                                                   nullptr, &ya, stride, dilation, low,
                                                   high) != dnnl_success ||
        !forward.create(&op, nullptr))
      return false;
    if (c.pass == Pass::forward) return true;
    const auto status = to_input
                            ? dnnl_dilated_convolution_backward_data_desc_init(
                                  &op, form, &xa, &wa, &ya, stride, dilation, low, high)
                            : dnnl_dilated_convolution_backward_weights_desc_init(
                                  &op, form, &xa, &wa, nullptr, &ya, stride, dilation, low, high);
    return status == dnnl_success && backward.create(&op, forward.pd);
  };
  if (!(takes_winograd(c) && create(dnnl_convolution_winograd)) &&
      (c.form == Form::winograd || !create(dnnl_convolution_direct)))
    return nullptr;
  const Descriptor& d = c.pass == Pass::forward ? forward : backward;
  if (d.name().starts_with("ref")) return nullptr;
  return convolution_program(d, c.pass, plain(x), plain(w), plain(y));
}

int64_t channel_block() {
  const int isa = dnnl_get_effective_cpu_isa();
  return (isa & dnnl_cpu_isa_avx512_core) == dnnl_cpu_isa_avx512_core ? 16 : 8;
}

namespace {

dnnl_memory_desc_t tagged(const Shape& shape, dnnl_format_tag_t tag, DType type = DType::f32) {
  dnnl_memory_desc_t md;
  dnnl_dims_t dims;
  std::copy(shape.begin(), shape.end(), dims);
  check(dnnl_memory_desc_init_by_tag(&md, static_cast<int>(shape.rank()), dims, type_of(type), tag),
        "memory_desc_init_by_tag");
  return md;
}

dnnl_format_tag_t blocked_tag() { return channel_block() == 16 ? dnnl_nChw16c : dnnl_nChw8c; }

struct ConvolutionOperands {
  const dnnl_memory_desc_t &x, &w, &dw, &y;
  const dnnl_memory_desc_t* bias;
};
struct ConvolutionSteps {
  const dnnl_dim_t *stride, *dilation, *low, *high;
};

/// A direct convolution or one of its gradients, which wants the forward pass's descriptor too.
/// False if the library has no fast implementation.
bool create_direct(Pass pass, const ConvolutionOperands& o, const ConvolutionSteps& s,
                   const PostOps& after, Descriptor& forward, Descriptor& backward) {
  const bool ahead = pass == Pass::forward;
  dnnl_convolution_desc_t op;
  if (dnnl_dilated_convolution_forward_desc_init(
          &op, ahead ? dnnl_forward_inference : dnnl_forward_training, dnnl_convolution_direct,
          &o.x, &o.w, o.bias, &o.y, s.stride, s.dilation, s.low, s.high) != dnnl_success ||
      !forward.create(&op, nullptr, after.list))
    return false;
  if (!ahead) {
    const auto status = pass == Pass::input_grad
                            ? dnnl_dilated_convolution_backward_data_desc_init(
                                  &op, dnnl_convolution_direct, &o.x, &o.w, &o.y, s.stride,
                                  s.dilation, s.low, s.high)
                            : dnnl_dilated_convolution_backward_weights_desc_init(
                                  &op, dnnl_convolution_direct, &o.x, &o.dw, nullptr, &o.y,
                                  s.stride, s.dilation, s.low, s.high);
    if (status != dnnl_success || !backward.create(&op, forward.pd)) return false;
  }
  return !(ahead ? forward : backward).name().starts_with("ref");
}

}  // namespace

std::unique_ptr<Program> blocked_convolution(const BlockedConvolution& c) {
  use_threads(num_threads());
  Shape weight = c.weight;
  if (c.groups > 1) {
    weight[0] /= c.groups;
    weight.insert(0, c.groups);
  }
  const Tensor w{weight, contiguous_strides(weight)};
  const auto x = tagged(c.input, c.plain_input ? dnnl_nchw : blocked_tag()),
             y = tagged(c.output, blocked_tag()), bias = tagged({c.weight[0]}, dnnl_a),
             packed = any(w);
  dnnl_dims_t stride, dilation, low, high;
  for (int64_t i = 0; i < 2; ++i) {
    stride[i] = c.stride[i];
    dilation[i] = c.dilation[i] - 1;
    low[i] = c.pad_low[i];
  }
  high_padding(c.input, c.output, c.weight.slice(2, 4), c.stride, c.dilation, c.pad_low, high);
  PostOps after;
  if (c.accumulate) after.add();
  if (c.swish) after.apply(dnnl_eltwise_swish, 1);
  after.limit(c.low, c.high);
  Descriptor forward, backward;
  if (!create_direct(c.pass, {x, packed, packed, y, c.bias ? &bias : nullptr},
                     {stride, dilation, low, high}, after, forward, backward))
    return nullptr;
  const Descriptor& d = c.pass == Pass::forward ? forward : backward;
  return convolution_program(d, c.pass, x, plain(w), y, c.bias ? &bias : nullptr);
}

std::unique_ptr<Program> rows_convolution(const RowsConvolution& c) {
  use_threads(num_threads());
  Shape weight = c.weight;
  if (c.groups > 1) {
    weight[0] /= c.groups;
    weight.insert(0, c.groups);
  }
  Tensor w{weight, contiguous_strides(weight), DType::bf16};
  const auto packed = any(w);
  w.dtype = DType::f32;
  const auto sums = any(w);
  w.dtype = c.weight_type;
  const auto x = tagged(c.input, dnnl_nhwc, DType::bf16),
             y = tagged(c.output, dnnl_nhwc, DType::bf16), bias = tagged({c.weight[0]}, dnnl_a);
  dnnl_dims_t stride, dilation, low, high;
  for (int64_t i = 0; i < 2; ++i) {
    stride[i] = c.stride[i];
    dilation[i] = c.dilation[i] - 1;
    low[i] = c.pad_low[i];
  }
  high_padding(c.input, c.output, c.weight.slice(2, 4), c.stride, c.dilation, c.pad_low, high);
  PostOps after;
  if (c.accumulate) after.add();
  if (c.swish) after.apply(dnnl_eltwise_swish, 1);
  after.limit(c.low, c.high);
  Descriptor forward, backward;
  if (!create_direct(c.pass, {x, packed, sums, y, c.bias ? &bias : nullptr},
                     {stride, dilation, low, high}, after, forward, backward))
    return nullptr;
  const Descriptor& d = c.pass == Pass::forward ? forward : backward;
  if (d.name().find("gemm") != std::string::npos) return nullptr;
  return convolution_program(d, c.pass, x, plain(w), y, c.bias ? &bias : nullptr);
}

std::unique_ptr<Program> blocked_pool(const BlockedPool& p) {
  use_threads(num_threads());
  const auto tag = p.rows ? dnnl_nhwc : blocked_tag();
  const auto x = tagged(p.input, tag, p.dtype), y = tagged(p.output, tag, p.dtype);
  dnnl_dims_t kernel, stride, low, high;
  for (int64_t i = 0; i < 2; ++i) {
    kernel[i] = p.kernel[i];
    stride[i] = p.stride[i];
    low[i] = p.pad_low[i];
  }
  high_padding(p.input, p.output, p.kernel, p.stride, {1, 1}, p.pad_low, high);
  // Of windows that lie in padding alone, integers have no maximum and the mean of what is within
  // would be 0 / 0.
  const bool padding_is_refused =
      (p.dtype != DType::f32 && p.dtype != DType::bf16) || (p.average && !p.include_pad);
  for (int64_t i = 0; i < 2; ++i)
    if (padding_is_refused && (low[i] >= kernel[i] || high[i] >= kernel[i])) return nullptr;
  const auto kind = !p.average      ? dnnl_pooling_max
                    : p.include_pad ? dnnl_pooling_avg_include_padding
                                    : dnnl_pooling_avg_exclude_padding;
  dnnl_pooling_desc_t op;
  Descriptor d;
  if (dnnl_pooling_forward_desc_init(&op, dnnl_forward_inference, kind, &x, &y, stride, kernel, low,
                                     high) != dnnl_success ||
      !d.create(&op, nullptr) || d.name().starts_with("ref"))
    return nullptr;
  auto impl = std::make_unique<Program::Impl>();
  impl->set_side(0, DNNL_ARG_SRC, x, x, true);
  impl->without_b(x);
  impl->set_side(2, DNNL_ARG_DST, y, y, false);
  impl->finish(d);
  return std::make_unique<Program>(std::move(impl));
}

std::string version() {
  const dnnl_version_t* v = dnnl_version();
  return "oneDNN " + std::to_string(v->major) + "." + std::to_string(v->minor) + "." +
         std::to_string(v->patch);
}

namespace {

/// What follows the products. False if the library cannot do it: version 2.6 computes with the
/// numbers of the last one where a function comes twice.
bool append(PostOps& after, const Int8Convolution& c) {
  constexpr float inf = std::numeric_limits<float>::infinity();
  const auto zero = static_cast<float>(c.y_zero);
  float low = c.low + zero, high = c.high + zero;
  if (c.output_type != DType::f32) {  // limits of the type hold anyway
    const float least = c.output_type == DType::u8 ? 0 : -128;
    if (low <= least) low = -inf;
    if (high >= least + 255) high = inf;
  }
  if (!c.accumulate) {
    if (c.swish) after.apply(dnnl_eltwise_swish, 1);
    const float scale = c.swish ? c.sum_scale : 1;
    if (zero != 0 || scale != 1) after.apply(dnnl_eltwise_linear, scale, zero);
    after.limit(low, high);
    return true;
  }
  if (c.rounded) {
    after.apply(dnnl_eltwise_round);
    after.apply(dnnl_eltwise_clip, c.sum_low, c.sum_high);
  }
  after.apply(dnnl_eltwise_linear, c.sum_scale,
              zero - c.residual_scale * static_cast<float>(c.residual_zero));
  after.add(c.residual_scale, c.output_type);
  if (!c.rounded || (low == 0 && high == inf) || (low == -inf && high == inf))
    after.limit(low, high);
  else if (low == 0)
    after.apply(dnnl_eltwise_bounded_relu, high);
  else
    return false;
  return true;
}

}  // namespace

std::unique_ptr<Program> int8_convolution(const Int8Convolution& c) {
  if (!native(DType::i8)) return nullptr;
  use_threads(num_threads());
  Shape weight = c.weight;
  if (c.groups > 1) {
    weight[0] /= c.groups;
    weight.insert(0, c.groups);
  }
  const Tensor w{weight, contiguous_strides(weight), DType::i8};
  const auto packed = any(w), x = tagged(c.input, dnnl_nhwc, c.input_type),
             y = tagged(c.output, dnnl_nhwc, c.output_type), bias = tagged({c.weight[0]}, dnnl_a);
  dnnl_dims_t stride, dilation, low, high;
  for (int64_t i = 0; i < 2; ++i) {
    stride[i] = c.stride[i];
    dilation[i] = c.dilation[i] - 1;
    low[i] = c.pad_low[i];
  }
  high_padding(c.input, c.output, c.weight.slice(2, 4), c.stride, c.dilation, c.pad_low, high);
  PostOps after;
  if (!append(after, c)) return nullptr;
  const Scaling scaling{c.scale, c.x_zero};
  dnnl_convolution_desc_t op;
  Descriptor d;
  if (dnnl_dilated_convolution_forward_desc_init(
          &op, dnnl_forward_inference, dnnl_convolution_direct, &x, &packed,
          c.bias ? &bias : nullptr, &y, stride, dilation, low, high) != dnnl_success ||
      !d.create(&op, nullptr, after.list, &scaling) || d.name().starts_with("ref") ||
      d.name().find("gemm") != std::string::npos)
    return nullptr;
  auto impl = std::make_unique<Program::Impl>();
  impl->set_side(0, DNNL_ARG_SRC, x, x, true);
  impl->set_side(1, DNNL_ARG_WEIGHTS, plain(w), d.md(dnnl_query_weights_md), true);
  impl->set_side(2, DNNL_ARG_DST, y, y, false);
  impl->bias = bias;
  impl->has_bias = c.bias;
  // Depthwise with zero points, say, is refused only here.
  if (impl->make(d) != dnnl_success) return nullptr;
  return std::make_unique<Program>(std::move(impl));
}

bool native(DType t) {
  if (t == DType::f32) return true;
  const int isa = dnnl_get_effective_cpu_isa();
  const auto has = [&](int wanted) { return (isa & wanted) == wanted; };
  if (t == DType::u8 || t == DType::i8)  // without these, sums of two products overflow 16 bits
    return has(dnnl_cpu_isa_avx512_core_vnni) || has(dnnl_cpu_isa_avx2_vnni);
  return t == DType::bf16 && (isa & dnnl_cpu_isa_avx512_core_bf16) == dnnl_cpu_isa_avx512_core_bf16;
}

bool has_matrix_units() {
  return (dnnl_get_effective_cpu_isa() & dnnl_cpu_isa_avx512_core_amx) ==
         dnnl_cpu_isa_avx512_core_amx;
}

void sgemm(bool ta, bool tb, int64_t m, int64_t n, int64_t k, const float* a, int64_t lda,
           const float* b, int64_t ldb, float beta, float* c, int64_t ldc) {
  if (!omp_in_parallel()) use_threads(num_threads());
  check(dnnl_sgemm(ta ? 'T' : 'N', tb ? 'T' : 'N', m, n, k, 1.f, a, lda, b, ldb, beta, c, ldc),
        "sgemm");
}

}  // namespace nacre::cpu::dnnl
