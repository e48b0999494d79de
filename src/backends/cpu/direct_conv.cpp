#include "backends/cpu/direct_conv.h"

#include <algorithm>
#include <vector>

#include "backends/cpu/copy.h"
#include "backends/cpu/simd/shift_conv.h"
#include "base/parallel.h"

namespace nacre::cpu {
namespace {

constexpr int64_t kPlaneBytes = 1 << 17;  // padded planes that are worked on together

int64_t round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

// Cuts the images of a group into bands of output rows, and copies bands into zero-padded planes.
struct Bands {
  int64_t in_h, in_w, out_h, out_w, kernel_h, kernel_w, dilation_h, dilation_w, pad_h, pad_w;
  int64_t channels = 0;              // of the padded planes
  int64_t width = 0;                 // of a padded row
  int64_t rows = 0, count = 0;       // output rows of a band, bands of an image
  int64_t positions = 0, plane = 0;  // outputs with garbage, floats of one channel of a band
  std::vector<int64_t> offsets;      // of each tap: channel, row, column

  void cut(int64_t units, int64_t work) {
    width = out_w + (kernel_w - 1) * dilation_w;
    const int64_t halo = (kernel_h - 1) * dilation_h;
    const int64_t row_bytes = channels * width * int64_t{sizeof(float)};
    rows = std::clamp<int64_t>(kPlaneBytes / row_bytes - halo, 1, out_h);
    // Every thread should get a band if the work is worth it.
    const int64_t threads = num_threads();
    if (units < threads && work > (1 << 20))
      rows = std::min(rows, std::max<int64_t>(1, (out_h * units + threads - 1) / threads));
    count = (out_h + rows - 1) / rows;
    rows = (out_h + count - 1) / count;
    positions = rows * width;
    plane = (rows + halo) * width;
    offsets.clear();
    for (int64_t c = 0; c < channels; ++c)
      for (int64_t y = 0; y < kernel_h; ++y)
        for (int64_t x = 0; x < kernel_w; ++x)
          offsets.push_back(c * plane + y * dilation_h * width + x * dilation_w);
  }
  int64_t taps() const { return static_cast<int64_t>(offsets.size()); }
  // Floats of all channels of a band, with what a block of positions may read behind them.
  int64_t unit_floats() const {
    return round_up(channels * plane + kShiftBlock + (kernel_w - 1) * dilation_w, 16);
  }

  void load(const float* image, int64_t band, float* to) const {
    const int64_t first = band * rows, end = unit_floats();
    float* const start = to;
    for (int64_t c = 0; c < channels; ++c, image += in_h * in_w)
      for (int64_t r = 0; r < plane / width; ++r, to += width) {
        const int64_t y = first + r - pad_h;
        const int64_t x0 = std::clamp<int64_t>(pad_w, 0, width);
        const int64_t x1 = std::clamp<int64_t>(in_w + pad_w, x0, width);
        if (y < 0 || y >= in_h || x1 == x0) {
          std::fill_n(to, width, 0.f);
          continue;
        }
        std::fill_n(to, x0, 0.f);
        std::copy_n(image + y * in_w + x0 - pad_w, x1 - x0, to + x0);
        std::fill_n(to + x1, width - x1, 0.f);
      }
    std::fill(to, start + end, 0.f);
  }
  int64_t rows_of(int64_t band) const { return std::min(rows, out_h - band * rows); }
};

// Units of work shared out among workers in ranges, so that a result depends on their number only.
template <typename F>
void share(int64_t units, int64_t workers, F body) {
  parallel_for(workers, 1, [&](int64_t b, int64_t e) {
    for (int64_t w = b; w < e; ++w) body(w, units * w / workers, units * (w + 1) / workers);
  });
}

// Forward, and the gradient of the input, which is a convolution of dy with the turned weights.
class DirectConv final : public Kernel {
 public:
  DirectConv(ConvPass pass, const ConvGeometry& g) : g_(g), turned_(pass == ConvPass::input_grad) {
    const auto& from = turned_ ? g.out : g.in;
    const auto& to = turned_ ? g.in : g.out;
    b_.channels = turned_ ? g.group_out() : g.group_in();
    outputs_ = turned_ ? g.group_in() : g.group_out();
    b_.in_h = from[1], b_.in_w = from[2], b_.out_h = to[1], b_.out_w = to[2];
    b_.kernel_h = g.kernel[1], b_.kernel_w = g.kernel[2];
    b_.dilation_h = g.dilation[1], b_.dilation_w = g.dilation[2];
    b_.pad_h = turned_ ? (b_.kernel_h - 1) * b_.dilation_h - g.pad[1] : g.pad[1];
    b_.pad_w = turned_ ? (b_.kernel_w - 1) * b_.dilation_w - g.pad[2] : g.pad[2];
    const int64_t work = g.batch * g.out_channels * g.out_plane() * g.group_in() * g.taps();
    b_.cut(g.batch * g.groups, work);
    workers_ = work > (1 << 16) ? num_threads() : 1;
    rows_ = shift_rows(outputs_);
    blocks_ = (outputs_ + rows_ - 1) / rows_;
    result_ = round_up(b_.positions, kShiftBlock);
  }
  std::string description() const override { return "direct"; }
  size_t scratch_bytes() const override { return weight_bytes() + worker_bytes() * workers_; }

  void run(const void* const* in, void* const* out, void* scratch) const override {
    const auto* x = static_cast<const float*>(in[0]);
    auto* y = static_cast<float*>(out[0]);
    auto* weights = static_cast<float*>(scratch);
    pack(static_cast<const float*>(in[1]), weights);
    char* own = static_cast<char*>(scratch) + weight_bytes();
    const int64_t in_plane = b_.in_h * b_.in_w, out_plane = b_.out_h * b_.out_w;
    share(g_.batch * g_.groups * b_.count, workers_, [&](int64_t w, int64_t u0, int64_t u1) {
      auto* planes = reinterpret_cast<float*>(own + static_cast<size_t>(w) * worker_bytes());
      float* result = planes + b_.unit_floats();
      for (int64_t u = u0; u < u1; ++u) {
        const int64_t image = u / b_.count, band = u % b_.count, group = image % g_.groups;
        b_.load(x + image * b_.channels * in_plane, band, planes);
        for (int64_t block = 0; block < blocks_; ++block) {
          shift_forward(planes, b_.offsets.data(), b_.taps(),
                        weights + (group * blocks_ + block) * b_.taps() * rows_, rows_,
                        b_.positions, result, result_);
          const int64_t o0 = block * rows_, o1 = std::min(outputs_, o0 + rows_);
          for (int64_t o = o0; o < o1; ++o)
            for (int64_t r = 0; r < b_.rows_of(band); ++r)
              std::copy_n(result + (o - o0) * result_ + r * b_.width, b_.out_w,
                          y + (image * outputs_ + o) * out_plane + (band * b_.rows + r) * b_.out_w);
        }
      }
    });
  }

 private:
  size_t weight_bytes() const {
    return align64(static_cast<size_t>(g_.groups * blocks_ * rows_ * b_.taps()) * sizeof(float));
  }
  size_t worker_bytes() const {
    return align64(static_cast<size_t>(b_.unit_floats() + rows_ * result_) * sizeof(float));
  }
  // [group][block][tap][row], absent rows zero.
  void pack(const float* w, float* to) const {
    const int64_t area = b_.kernel_h * b_.kernel_w;
    for (int64_t g = 0; g < g_.groups; ++g)
      for (int64_t block = 0; block < blocks_; ++block)
        for (int64_t t = 0; t < b_.taps(); ++t)
          for (int64_t r = 0; r < rows_; ++r) {
            const int64_t o = block * rows_ + r, c = t / area, k = t % area;
            *to++ = o >= outputs_ ? 0.f
                    : turned_     ? w[((g * b_.channels + c) * outputs_ + o) * area + area - 1 - k]
                                  : w[((g * outputs_ + o) * b_.channels + c) * area + k];
          }
  }

  ConvGeometry g_;
  bool turned_;
  Bands b_;
  int64_t outputs_ = 0, rows_ = 0, blocks_ = 0, result_ = 0, workers_ = 1;
};

class DirectWeightGrad final : public Kernel {
 public:
  explicit DirectWeightGrad(const ConvGeometry& g) : g_(g) {
    b_.channels = g.group_in();
    b_.in_h = g.in[1], b_.in_w = g.in[2], b_.out_h = g.out[1], b_.out_w = g.out[2];
    b_.kernel_h = g.kernel[1], b_.kernel_w = g.kernel[2];
    b_.dilation_h = g.dilation[1], b_.dilation_w = g.dilation[2];
    b_.pad_h = g.pad[1], b_.pad_w = g.pad[2];
    const int64_t work = g.batch * g.out_channels * g.out_plane() * g.group_in() * g.taps();
    b_.cut(g.batch * g.groups, work);
    workers_ = work > (1 << 16) ? num_threads() : 1;
    positions_ = round_up(b_.positions, 16);
    dy_unit_ = g.group_out() * positions_;
    units_ = g.batch * b_.count;
    const int64_t bytes = (b_.unit_floats() + dy_unit_) * int64_t{sizeof(float)};
    chunk_ = std::clamp<int64_t>(kPlaneBytes / bytes, 1, std::max<int64_t>(1, units_));
  }
  std::string description() const override { return "direct"; }
  size_t scratch_bytes() const override { return worker_bytes() * workers_; }

  void run(const void* const* in, void* const* out, void* scratch) const override {
    const auto* x = static_cast<const float*>(in[0]);
    const auto* dy = static_cast<const float*>(in[1]);
    auto* dw = static_cast<float*>(out[0]);
    const int64_t weights = g_.out_channels * b_.taps();
    const auto own = [&](int64_t w) {
      return reinterpret_cast<float*>(static_cast<char*>(scratch) +
                                      static_cast<size_t>(w) * worker_bytes());
    };
    share(units_, workers_, [&](int64_t w, int64_t u0, int64_t u1) {
      float* sums = own(w);
      float* planes = sums + round_up(weights, 16);
      float* grads = planes + chunk_ * b_.unit_floats();
      std::fill_n(sums, weights, 0.f);
      for (int64_t g = 0; g < g_.groups; ++g)
        for (int64_t u = u0; u < u1; u += chunk_) {
          const int64_t n = std::min(chunk_, u1 - u);
          for (int64_t i = 0; i < n; ++i) {
            const int64_t image = (u + i) / b_.count, band = (u + i) % b_.count;
            b_.load(x + (image * g_.in_channels + g * g_.group_in()) * g_.in_plane(), band,
                    planes + i * b_.unit_floats());
            load_grad(dy + (image * g_.out_channels + g * g_.group_out()) * g_.out_plane(), band,
                      grads + i * dy_unit_);
          }
          shift_weight_grad(planes, b_.unit_floats(), grads, dy_unit_, positions_, n, positions_,
                            b_.offsets.data(), b_.taps(), g_.group_out(),
                            sums + g * g_.group_out() * b_.taps());
        }
    });
    std::copy_n(own(0), weights, dw);
    for (int64_t w = 1; w < workers_; ++w)
      for (int64_t i = 0; i < weights; ++i) dw[i] += own(w)[i];
  }

 private:
  // Rows of dy at the distance of padded rows, zero in between.
  void load_grad(const float* dy, int64_t band, float* to) const {
    for (int64_t o = 0; o < g_.group_out(); ++o, dy += g_.out_plane()) {
      float* row = to + o * positions_;
      const float* from = dy + band * b_.rows * b_.out_w;
      for (int64_t r = 0; r < b_.rows_of(band); ++r, row += b_.width, from += b_.out_w) {
        std::copy_n(from, b_.out_w, row);
        std::fill_n(row + b_.out_w, b_.width - b_.out_w, 0.f);
      }
      std::fill(row, to + (o + 1) * positions_, 0.f);
    }
  }
  size_t worker_bytes() const {
    return align64(static_cast<size_t>(round_up(g_.out_channels * b_.taps(), 16) +
                                       chunk_ * (b_.unit_floats() + dy_unit_)) *
                   sizeof(float));
  }

  ConvGeometry g_;
  Bands b_;
  int64_t positions_ = 0, dy_unit_ = 0, units_ = 0, chunk_ = 1, workers_ = 1;
};

}  // namespace

std::unique_ptr<Kernel> make_direct_conv(ConvPass pass, const ConvGeometry& g) {
  for (size_t d = 0; d < 3; ++d)
    if (g.stride[d] != 1) return nullptr;
  if (!g.flat()) return nullptr;
  if (pass == ConvPass::weight_grad) return std::make_unique<DirectWeightGrad>(g);
  return std::make_unique<DirectConv>(pass, g);
}

}  // namespace nacre::cpu
