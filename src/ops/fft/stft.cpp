#include <numbers>

#include "ops/op.h"

namespace nacre {
namespace {

struct WindowAttrs {
  int64_t size = 0;
  double alpha = 0.5;
  bool periodic = true;
  DType dtype = DType::f32;
  void fields(FieldVisitor& v) {
    v("size", size);
    v("alpha", alpha);
    v("periodic", periodic);
    v("dtype", dtype);
  }
};

Tensor make_window(int64_t size, double alpha, bool periodic, DType dtype);

}  // namespace

/// Hann window: 0.5 - 0.5 cos(2 pi i / N) with N the size if periodic (for spectra), else the size
/// less one (symmetric).
API(Tensor hann_window(int64_t size, bool periodic = true, DType dtype = DType::f32))
/// Hamming window: 0.54 - 0.46 cos(2 pi i / N), see hann_window.
API(Tensor hamming_window(int64_t size, bool periodic = true, DType dtype = DType::f32))

OP(cosine_window) = {
    .name = "cosine_window",
    .attrs = attr_type<WindowAttrs>(),
    .infer =
        [](Infer& in) {
          const auto& a = in.attrs<WindowAttrs>();
          in.check(is_float(a.dtype), {"type ", a.dtype, " is not a floating type"});
          in.check(a.size >= 0, {"size ", a.size, " is negative"});
          in.out(a.dtype, {a.size});
        },
    .ref =
        [](Ref& r) {
          const auto& a = r.attrs<WindowAttrs>();
          const auto period = static_cast<double>(a.periodic ? a.size : a.size - 1);
          for (int64_t i = 0; i < a.size; ++i)
            r.out().d[i] =
                a.size == 1 ? 1
                            : a.alpha - (1 - a.alpha) * std::cos(2 * std::numbers::pi *
                                                                 static_cast<double>(i) / period);
        },
    .samples =
        [](Samples& s) {
          s.add(
              {},
              [](const Tensors&) {
                return Tensors{hann_window(8), hann_window(7, false)};
              },
              "(torch.hann_window(8), torch.hann_window(7, periodic=False))");
          s.add(
              {},
              [](const Tensors&) {
                return Tensors{hamming_window(5), hamming_window(6, false)};
              },
              "(torch.hamming_window(5), torch.hamming_window(6, periodic=False))");
          s.add(
              {},
              [](const Tensors&) {
                return Tensors{hann_window(1), hann_window(0)};
              },
              "(torch.hann_window(1), torch.hann_window(0))");
          s.bad(
              {}, [](const Tensors&) { return Tensors{hann_window(-1)}; }, "size -1 is negative");
          s.bad(
              {}, [](const Tensors&) { return Tensors{hann_window(4, true, DType::i64)}; },
              "i64 is not a floating type");
        },
};

namespace {
Tensor make_window(int64_t size, double alpha, bool periodic, DType dtype) {
  return make(op_cosine_window, WindowAttrs{size, alpha, periodic, dtype}, {});
}

struct StftAttrs {
  int64_t n_fft = 0, hop = 0;
  bool center = true;
  void fields(FieldVisitor& v) {
    v("n_fft", n_fft);
    v("hop", hop);
    v("center", center);
  }
};
struct IstftAttrs : StftAttrs {
  int64_t length = 0;
  void fields(FieldVisitor& v) {
    StftAttrs::fields(v);
    v("length", length);
  }
};

void check_transform(const Infer& in, const StftAttrs& a) {
  in.check_same_dtype();
  in.check(in.dtype(0) == DType::f32 || in.dtype(0) == DType::f64,
           {"input has type ", in.dtype(0), ", f32 or f64 is needed"});
  in.check(a.n_fft > 0 && a.hop > 0,
           {"n_fft ", a.n_fft, " and hop ", a.hop, " have to be positive"});
  in.check_rank(1, 1);
  in.check(in.shape(1)[0] == a.n_fft,
           {"the window has ", in.shape(1)[0], " entries, n_fft is ", a.n_fft});
}

/// A window shorter than a frame stands in its middle.
Tensor centred(const Tensor& window, int64_t n_fft) {
  if (window.rank() != 1 || window.numel() >= n_fft) return window;
  const int64_t before = (n_fft - window.numel()) / 2;
  return pad(window, {before}, {n_fft - window.numel() - before});
}

/// Frames [..., T, n] added up where they overlap: [..., (T - 1) hop + n].
Tensor overlap_add(const Tensor& frames, int64_t hop) {
  const int64_t count = frames.size(-2), n = frames.size(-1);
  std::vector<int64_t> at;
  for (int64_t t = 0; t < count; ++t)
    for (int64_t j = 0; j < n; ++j) at.push_back(t * hop + j);
  Shape shape = frames.shape().slice(0, frames.rank() - 2);
  shape.push_back((count - 1) * hop + n);
  return index_add(zeros(shape, frames.dtype()), shape.rank() - 1, Tensor::from(at, {count, n}),
                   frames);
}

}  // namespace

Tensor hann_window(int64_t size, bool periodic, DType dtype) {
  return make_window(size, 0.5, periodic, dtype);
}
Tensor hamming_window(int64_t size, bool periodic, DType dtype) {
  return make_window(size, 0.54, periodic, dtype);
}

/// Short-time Fourier transform: spectra of frames of n_fft samples, hop apart, each multiplied by
/// the window. x: [..., L], f32 or f64; window: at most n_fft entries, shorter ones are centred.
/// center: frame t is around sample t * hop (x is reflected at its ends), else begins there.
/// Returns [..., n_fft/2 + 1, T, 2], unnormalised.
API(Tensor stft(In x, In window, int64_t n_fft, int64_t hop, bool center = true))

OP(stft) = {
    .name = "stft",
    .kind = OpKind::composite,
    .attrs = attr_type<StftAttrs>(),
    .infer =
        [](Infer& in) {
          const auto& a = in.attrs<StftAttrs>();
          check_transform(in, a);
          in.check(in.rank(0) >= 1, {"a scalar is no signal"});
          const int64_t length = in.shape(0)[-1], half = a.n_fft / 2;
          in.check(!a.center || half < length,
                   {"a signal of ", length, " samples is too short to reflect ", half, " of them"});
          const int64_t padded = a.center ? length + 2 * half : length;
          in.check(padded >= a.n_fft,
                   {"a signal of ", length, " samples has no frame of ", a.n_fft});
          Shape out = in.shape(0);
          out[-1] = half + 1;
          out.push_back((padded - a.n_fft) / a.hop + 1);
          out.push_back(2);
          in.out(in.dtype(0), out);
        },
    .decompose =
        [](const void* attrs, const Tensors& in) {
          const auto& a = *static_cast<const StftAttrs*>(attrs);
          const int64_t half = a.n_fft / 2;
          const Tensor x = a.center ? pad(in[0], {half}, {half}, "reflect") : in[0];
          const Tensor frames = sliding_window(x, -1, a.n_fft, a.hop) * in[1];
          return Tensors{transpose(rfft(frames), -3, -2)};
        },
    .onnx = "STFT",
    .samples =
        [](Samples& s) {
          const auto call = [](int64_t n, int64_t hop, bool center) {
            return [=](const Tensors& x) { return Tensors{stft(x[0], x[1], n, hop, center)}; };
          };
          const std::string real = "torch.view_as_real(torch.stft({0}, ";
          s.add({s.uniform({2, 20}), s.uniform({8}, 0.1, 1)}, call(8, 3, true),
                real + "8, 3, window={1}, return_complex=True))");
          s.add({s.uniform({19}), s.uniform({5}, 0.1, 1)}, call(7, 2, false),
                real + "7, 2, 5, window={1}, center=False, return_complex=True))");
          s.add(
              {s.uniform({16})},
              [](const Tensors& x) {
                return Tensors{stft(x[0], hann_window(8, true, x[0].dtype()), 8, 4)};
              },
              real + "8, 4, window=torch.hann_window(8), return_complex=True))");
          s.bad({s.uniform({3}), s.uniform({8})}, call(8, 4, true), "too short to reflect 4");
          s.bad({s.uniform({6}), s.uniform({8})}, call(8, 4, false), "has no frame of 8");
          s.bad({s.uniform({20}), s.uniform({9})}, call(8, 4, true), "the window has 9 entries");
          s.bad({s.uniform({20}), s.uniform({8})}, call(8, 0, true), "have to be positive");
        },
};

Tensor stft(In x, In window, int64_t n_fft, int64_t hop, bool center) {
  const auto [t, w] = unify(x, window);
  return make(op_stft, StftAttrs{n_fft, hop, center}, {t, centred(w, n_fft)});
}

/// The signal whose stft comes closest to x: overlapping frames are added and divided by the sum of
/// the squared windows (Griffin and Lim, 1984). x: [..., n_fft/2 + 1, T, 2]. length: samples
/// wanted, -1 for all that the frames cover (with `center` without the reflected ends). Where
/// the windows add up to nothing the result is 0.
API(Tensor istft(In x, In window, int64_t n_fft, int64_t hop, bool center = true,
                 int64_t length = -1))

OP(istft) = {
    .name = "istft",
    .kind = OpKind::composite,
    .attrs = attr_type<IstftAttrs>(),
    .infer =
        [](Infer& in) {
          const auto& a = in.attrs<IstftAttrs>();
          check_transform(in, a);
          const Shape& x = in.shape(0);
          in.check(
              x.rank() >= 3 && x[-1] == 2 && x[-3] == a.n_fft / 2 + 1 && x[-2] > 0,
              {"input of shape ", x, " holds no spectra of ", a.n_fft / 2 + 1, " complex numbers"});
          in.check(a.length > 0, {"length ", a.length, " is not positive"});
          Shape out = x.slice(0, x.rank() - 2);
          out[-1] = a.length;
          in.out(in.dtype(0), out);
        },
    .decompose =
        [](const void* attrs, const Tensors& in) {
          const auto& a = *static_cast<const IstftAttrs*>(attrs);
          const Tensor frames = irfft(transpose(in[0], -3, -2), a.n_fft) * in[1];
          const int64_t count = in[0].size(-2);
          const Tensor sum_of_squares = overlap_add(expand(in[1] * in[1], {count, a.n_fft}), a.hop);
          const Tensor none = lt(sum_of_squares, 1e-11);
          Tensor y = overlap_add(frames, a.hop);
          y = masked_fill(y / masked_fill(sum_of_squares, none, 1), none, 0);
          const int64_t before = a.center ? a.n_fft / 2 : 0;
          return Tensors{pad(y, {-before}, {a.length + before - y.size(-1)})};
        },
    .samples =
        [](Samples& s) {
          const auto call = [](int64_t n, int64_t hop, bool center, int64_t length) {
            return [=](const Tensors& x) {
              return Tensors{istft(x[0], x[1], n, hop, center, length)};
            };
          };
          const std::string x = "torch.istft(torch.view_as_complex({0}), ";
          s.add({s.uniform({2, 5, 6, 2}), s.uniform({8}, 0.5, 1)}, call(8, 3, true, -1),
                x + "8, 3, window={1})");
          s.add({s.uniform({5, 6, 2}), s.uniform({8}, 0.5, 1)}, call(8, 2, false, 15),
                x + "8, 2, window={1}, center=False, length=15)");
          s.add(
              {s.uniform({20})},
              [](const Tensors& x) {
                const Tensor w = hann_window(8, true, x[0].dtype());
                return Tensors{istft(stft(x[0], w, 8, 2), w, 8, 2)};
              },
              "{0} * 1");
          s.bad({s.uniform({4, 6, 2}), s.uniform({8})}, call(8, 3, true, -1),
                "holds no spectra of 5 complex numbers");
          s.bad({s.uniform({5, 6, 2}), s.uniform({9})}, call(8, 3, true, -1), "entries");
          s.bad({s.uniform({5, 1, 2}), s.uniform({8})}, call(8, 3, true, -1),
                "length 0 is not positive");
        },
};

Tensor istft(In x, In window, int64_t n_fft, int64_t hop, bool center, int64_t length) {
  const auto [t, w] = unify(x, window);
  if (length == -1 && t.rank() >= 2)
    length = (t.size(-2) - 1) * hop + n_fft - (center ? 2 * (n_fft / 2) : 0);
  IstftAttrs a;
  a.n_fft = n_fft;
  a.hop = hop;
  a.center = center;
  a.length = length;
  return make(op_istft, std::move(a), {t, centred(w, n_fft)});
}

}  // namespace nacre
