// Tiles of 4x4 results go by the dozen: parts of their windows are made, multiplied with those of
// the weights for two blocks of results after the other, and become results, all in the caches.
// Gradients of weights are products of parts of windows and of gradients, summed over the tiles.
#include "backends/cpu/winograd_conv.h"

#include <algorithm>
#include <utility>

#include "backends/cpu/copy.h"
#include "backends/cpu/simd/interleave.h"
#include "backends/cpu/simd/winograd.h"
#include "base/parallel.h"

namespace nacre::cpu {
namespace {

constexpr int64_t kTaps = 9, kMostLanes = 16;

constexpr int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

/// The tiles of 4x4 of pictures, and how many of them are worked on at a time.
struct Tiles {
  struct Place {
    int64_t image, top, left;
  };
  Tiles(const Shape& y, int64_t most, int64_t multiple = 1)
      : rows(ceil_div(y[2], kWinogradTile)),
        columns(ceil_div(y[3], kWinogradTile)),
        count(y[0] * rows * columns),
        blocks(ceil_div(ceil_div(count, most), multiple) * multiple),
        block(ceil_div(count, blocks)) {}
  Place operator[](int64_t tile) const {
    const int64_t in_image = tile % (rows * columns);
    return {tile / (rows * columns), in_image / columns * kWinogradTile,
            in_image % columns * kWinogradTile};
  }
  int64_t first(int64_t b) const { return count * b / blocks; }
  int64_t of(int64_t b) const { return first(b + 1) - first(b); }

  int64_t rows, columns, count;
  int64_t blocks, block;  ///< of tiles; the most that one has
};

/// One block of channels of pictures.
struct Planes {
  const float* first;
  int64_t apart;  ///< between pictures
  BlockPlane plane;
};

/// Parts of windows or of gradients, as `make` gives them, of a block of tiles: to[part][tile,
/// lanes].
template <class Make>
void parts_of(Make make, const Planes& x, const Tiles& tiles, int64_t block,
              const int64_t (&pad)[2], float* to, int64_t apart) {
  for (int64_t t = 0; t < tiles.of(block); ++t) {
    const Tiles::Place p = tiles[tiles.first(block) + t];
    make(x.first + p.image * x.apart, x.plane, p.top - pad[0], p.left - pad[1],
         to + t * block_lanes(), apart);
  }
}

/// Calls f(begin, end, worker) on each worker with its part of [0, n).
template <class F>
void share(int64_t n, int64_t workers, F f) {
  parallel_for(workers, 1, [&](int64_t begin, int64_t end) {
    for (int64_t w = begin; w < end; ++w) f(n * w / workers, n * (w + 1) / workers, w);
  });
}

class WinogradConv final : public Kernel {
 public:
  explicit WinogradConv(const WinogradConvolution& c)
      : c_(c),
        lanes_(block_lanes()),
        ins_(c.input[1] / lanes_),
        outs_(c.output[1] / lanes_),
        pairs_(ceil_div(outs_, 2)),
        workers_(num_threads()),
        tiles_(c.output, kFew * workers_) {
    // With few tiles all threads share their parts, and each has some of the weights. Else each has
    // tiles of its own: as many as stay in the second cache, but enough that reading the weights'
    // parts costs less than multiplying with them.
    shared_ = tiles_.count <= kFew * workers_;
    if (!shared_)
      tiles_ = {c.output, std::clamp(kCache / (kWinogradParts * ins_ * lanes_), kLeast, kMost),
                workers_};
    if (shared_ && pairs_ % workers_ != 0 && pairs_ < 4 * workers_) pieces_ = workers_;
    each_packs_ = shared_ && pieces_ == 1;
  }

  std::string description() const override { return "winograd"; }
  size_t scratch_bytes() const override {
    const int64_t windows = (shared_ ? 1 : workers_) * windows_floats();
    return static_cast<size_t>((packed_ ? 0 : made_floats()) + windows + workers_ * sums_floats()) *
           sizeof(float);
  }
  bool may_alias(int in, int) const override { return c_.residual && in == c_.residual; }

  std::unique_ptr<Kernel> with_constant(int input, const void* values) const override {
    if (input != 1) return nullptr;
    auto to = aligned_array<float>(weights_floats());
    pack(static_cast<const float*>(values), to.get());
    auto made = std::make_unique<WinogradConv>(*this);
    made->packed_ = std::move(to);
    return made;
  }

  void run(const void* const* in, void* const* out, void* scratch) const override {
    auto* free = static_cast<float*>(scratch);
    Operands o{static_cast<const float*>(in[0]), static_cast<const float*>(in[1]),
               c_.bias ? static_cast<const float*>(in[2]) : nullptr,
               c_.residual ? static_cast<const float*>(in[c_.residual]) : nullptr,
               static_cast<float*>(out[0])};
    float* const made = packed_ ? nullptr : std::exchange(free, free + made_floats());
    if (made && !each_packs_) pack(o.w, made);
    const float* const u = made ? made : packed_.get();
    float* const sums = std::exchange(free, free + workers_ * sums_floats());
    if (shared_) {
      const int64_t n = tiles_.count;
      share(ins_, workers_, [&](int64_t begin, int64_t end, int64_t) {
        for (int64_t i = begin; i < end; ++i) windows(o, 0, i, free);
      });
      share(pairs_ * pieces_, workers_, [&](int64_t begin, int64_t end, int64_t w) {
        for (int64_t i = begin; i < end; ++i) {
          const int64_t pair = i / pieces_, piece = i % pieces_;
          const bool packs = made && each_packs_;
          if (packs)
            for (int64_t k = 0; k < of_pair(pair) * ins_; ++k)
              pack(o.w, 2 * pair + k / ins_, k % ins_, made + w * pair_floats());
          results(o, 0, pair, n * piece / pieces_, n * (piece + 1) / pieces_,
                  u + (packs ? w : pair) * pair_floats(), free, sums + w * sums_floats());
        }
      });
    } else {
      share(tiles_.blocks, workers_, [&](int64_t begin, int64_t end, int64_t w) {
        float* const v = free + w * windows_floats();
        for (int64_t b = begin; b < end; ++b) {
          for (int64_t i = 0; i < ins_; ++i) windows(o, b, i, v);
          for (int64_t p = 0; p < pairs_; ++p)
            results(o, b, p, 0, tiles_.of(b), u + p * pair_floats(), v, sums + w * sums_floats());
        }
      });
    }
  }

 private:
  struct Operands {
    const float *x, *w, *bias, *residual;
    float* y;
  };
  static constexpr int64_t kCache = 40 << 10;  // floats
  static constexpr int64_t kFew = 64, kLeast = 28, kMost = 112;

  // A line more between parts: powers of two would share few sets of a cache.
  int64_t window_part() const { return ins_ * tiles_.block * lanes_ + lanes_; }
  int64_t sum_part() const { return 2 * tiles_.block * lanes_ + lanes_; }
  int64_t windows_floats() const { return kWinogradParts * window_part(); }
  int64_t sums_floats() const { return kWinogradParts * sum_part(); }
  int64_t weight_part(int64_t width) const { return ins_ * lanes_ * width * lanes_ + lanes_; }
  int64_t pair_floats() const { return kWinogradParts * weight_part(2); }
  int64_t made_floats() const { return each_packs_ ? workers_ * pair_floats() : weights_floats(); }
  int64_t weights_floats() const { return pairs_ * pair_floats(); }

  /// u[pair of blocks of results][part, channel, of the pair].
  void pack(const float* w, float* u) const {
    parallel_for(outs_ * ins_, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i)
        pack(w, i / ins_, i % ins_, u + i / ins_ / 2 * pair_floats());
    });
  }
  /// Of a block of results and one of channels, to where the pair begins.
  void pack(const float* w, int64_t out, int64_t in, float* u) const {
    const int64_t channels = ins_ * lanes_, results = outs_ * lanes_, width = of_pair(out / 2);
    float taps[kMostLanes * kTaps * kMostLanes];  // of each channel, of all results
    if (c_.turned)
      for (int64_t k = 0; k < lanes_; ++k)
        interleave(w + ((in * lanes_ + k) * results + out * lanes_) * kTaps, kTaps,
                   taps + k * kTaps * lanes_, lanes_, lanes_, kTaps);
    else
      interleave(w + (out * channels + in) * lanes_ * kTaps, channels * kTaps, taps, lanes_, lanes_,
                 lanes_ * kTaps);
    float* to = u + (in * lanes_ * width + out % 2) * lanes_;
    for (int64_t k = 0; k < lanes_; ++k)
      winograd_weights(taps + k * kTaps * lanes_, c_.turned, to + k * width * lanes_,
                       weight_part(width));
  }

  int64_t of_pair(int64_t pair) const { return std::min<int64_t>(2, outs_ - 2 * pair); }

  /// v[part][block of channels][tile, lanes] of one block of channels and a block of tiles.
  void windows(const Operands& o, int64_t b, int64_t i, float* v) const {
    const BlockPlane plane{c_.input[2], c_.input[3]};
    const int64_t numbers = plane.height * plane.width * lanes_;
    parts_of(winograd_window, {o.x + i * numbers, ins_ * numbers, plane}, tiles_, b, c_.pad_low,
             v + i * tiles_.block * lanes_, window_part());
  }

  /// Of a pair of blocks of results, those of the tiles [begin, end) of a block of tiles.
  void results(const Operands& o, int64_t b, int64_t pair, int64_t begin, int64_t end,
               const float* u, const float* v, float* sums) const {
    const int64_t width = of_pair(pair), n = end - begin;
    const int64_t groups = ceil_div(n, winograd_windows());
    WinogradProduct one;
    one.v_apart = one.m_apart = tiles_.block * lanes_;
    one.blocks = ins_;
    one.two = width == 2;
    for (int64_t i = 0; i < kWinogradParts; ++i) {
      one.u = u + i * weight_part(width);
      for (int64_t g = 0; g < groups; ++g) {
        const int64_t first = n * g / groups;
        one.v = v + i * window_part() + (begin + first) * lanes_;
        one.m = sums + i * sum_part() + first * lanes_;
        winograd_product(one, n * (g + 1) / groups - first);
      }
    }
    const int64_t height = c_.output[2], columns = c_.output[3];
    BlockResults to = c_.act;
    for (int64_t j = 0; j < width; ++j) {
      const int64_t out = 2 * pair + j;
      if (o.bias) to.bias = o.bias + out * lanes_;
      for (int64_t t = 0; t < n; ++t) {
        const Tiles::Place p = tiles_[tiles_.first(b) + begin + t];
        const int64_t at = (((p.image * outs_ + out) * height + p.top) * columns + p.left) * lanes_;
        to.y = o.y + at;
        winograd_results(sums + (j * tiles_.block + t) * lanes_, sum_part(), to,
                         o.residual ? o.residual + at : nullptr, columns,
                         std::min(kWinogradTile, height - p.top),
                         std::min(kWinogradTile, columns - p.left));
      }
    }
  }

  WinogradConvolution c_;
  int64_t lanes_, ins_, outs_, pairs_, workers_;
  Tiles tiles_;
  bool shared_ = false;      // all threads work on one block of tiles
  int64_t pieces_ = 1;       // of it for each pair of blocks of results
  bool each_packs_ = false;  // weights that are not packed, a pair at a time
  std::shared_ptr<const float[]> packed_;
};

class WinogradWeightGrad final : public Kernel {
 public:
  explicit WinogradWeightGrad(const WinogradConvolution& c)
      : c_(c),
        lanes_(block_lanes()),
        ins_(c.input[1] / lanes_),
        outs_(c.output[1] / lanes_),
        pairs_(ceil_div(outs_, 2)),
        groups_(ceil_div(ins_, kIns) * ceil_div(pairs_, kPairs)),
        workers_(num_threads()),
        tiles_(c.output,
               std::clamp(kCache / (kWinogradParts * (ins_ + outs_) * lanes_), kLeast, kMost)),
        kept_(tiles_.blocks == 1 && groups_ >= workers_) {}

  std::string description() const override { return "winograd"; }
  size_t scratch_bytes() const override {
    const int64_t sums = kept_ ? workers_ * group_floats() : groups_ * group_floats();
    return static_cast<size_t>(kWinogradParts * (window_part() + gradient_part()) + sums) *
           sizeof(float);
  }

  void run(const void* const* in, void* const* out, void* scratch) const override {
    const auto *x = static_cast<const float*>(in[0]), *dy = static_cast<const float*>(in[1]);
    auto* w = static_cast<float*>(out[0]);
    auto* v = static_cast<float*>(scratch);
    float* const g = v + kWinogradParts * window_part();
    float* const sums = g + kWinogradParts * gradient_part();
    for (int64_t b = 0; b < tiles_.blocks; ++b) {
      share(ins_ + outs_, workers_, [&](int64_t begin, int64_t end, int64_t) {
        for (int64_t i = begin; i < end; ++i)
          i < ins_ ? windows(x, b, i, v) : gradients(dy, b, i - ins_, g);
      });
      if (kept_)
        share(groups_, workers_, [&](int64_t begin, int64_t end, int64_t worker) {
          for (int64_t i = begin; i < end; ++i) {
            float* const own = sums + worker * group_floats();
            products(b, i, 0, kWinogradParts, v, g, own);
            weights(i, own, w);
          }
        });
      else
        share(groups_ * kWinogradParts, workers_, [&](int64_t begin, int64_t end, int64_t) {
          while (begin < end) {
            const int64_t i = begin / kWinogradParts, part = begin % kWinogradParts;
            const int64_t n = std::min(kWinogradParts - part, end - begin);
            products(b, i, part, part + n, v, g, sums + i * group_floats());
            begin += n;
          }
        });
    }
    if (!kept_)
      share(groups_, workers_, [&](int64_t begin, int64_t end, int64_t) {
        for (int64_t i = begin; i < end; ++i) weights(i, sums + i * group_floats(), w);
      });
  }

 private:
  // The sums of a group of blocks of channels and pairs of blocks of results lie together.
  static constexpr int64_t kIns = 4, kPairs = 4;
  static constexpr int64_t kCache = 2 << 20;  // floats
  static constexpr int64_t kLeast = 32, kMost = 128;
  struct Group {
    int64_t in, ins, pair, pairs;
  };

  int64_t window_part() const { return ins_ * tiles_.block * lanes_ + lanes_; }
  int64_t gradient_part() const { return outs_ * tiles_.block * lanes_ + lanes_; }
  int64_t sum_part() const { return kIns * kPairs * 2 * lanes_ * lanes_ + lanes_; }
  int64_t group_floats() const { return kWinogradParts * sum_part(); }

  Group group(int64_t i) const {
    const int64_t across = ceil_div(pairs_, kPairs);
    const int64_t in = i / across * kIns, pair = i % across * kPairs;
    return {in, std::min(kIns, ins_ - in), pair, std::min(kPairs, pairs_ - pair)};
  }

  void windows(const float* x, int64_t b, int64_t i, float* v) const {
    const BlockPlane plane{c_.input[2], c_.input[3]};
    const int64_t numbers = plane.height * plane.width * lanes_;
    parts_of(winograd_window, {x + i * numbers, ins_ * numbers, plane}, tiles_, b, c_.pad_low,
             v + i * tiles_.block * lanes_, window_part());
  }
  void gradients(const float* dy, int64_t b, int64_t i, float* g) const {
    const BlockPlane plane{c_.output[2], c_.output[3]};
    const int64_t numbers = plane.height * plane.width * lanes_;
    parts_of(winograd_gradient, {dy + i * numbers, outs_ * numbers, plane}, tiles_, b, {0, 0},
             g + i * tiles_.block * lanes_, gradient_part());
  }

  /// Of some parts and a group: sums[part][channels, pairs][lanes of channels, 2, lanes].
  void products(int64_t b, int64_t group_of, int64_t begin, int64_t end, const float* v,
                const float* g, float* sums) const {
    const Group s = group(group_of);
    WinogradWeightProduct one;
    one.g_apart = tiles_.block * lanes_;
    one.tiles = tiles_.of(b);
    one.add = b > 0;
    for (int64_t part = begin; part < end; ++part)
      for (int64_t i = 0; i < s.ins; ++i)
        for (int64_t p = 0; p < s.pairs; ++p) {
          one.v = v + part * window_part() + (s.in + i) * tiles_.block * lanes_;
          one.g = g + part * gradient_part() + 2 * (s.pair + p) * tiles_.block * lanes_;
          one.sums = sums + part * sum_part() + (i * kPairs + p) * 2 * lanes_ * lanes_;
          one.two = 2 * (s.pair + p) + 1 < outs_;
          winograd_weight_product(one);
        }
  }

  /// The weights of a group, [results, channels, 3, 3].
  void weights(int64_t group_of, const float* sums, float* w) const {
    const Group s = group(group_of);
    const int64_t channels = ins_ * lanes_;
    float taps[kMostLanes * kTaps * kMostLanes];
    for (int64_t i = 0; i < s.ins; ++i)
      for (int64_t out = 2 * s.pair; out < std::min(outs_, 2 * (s.pair + s.pairs)); ++out) {
        const int64_t p = out / 2 - s.pair;
        for (int64_t k = 0; k < lanes_; ++k)
          winograd_weight_sums(sums + (((i * kPairs + p) * lanes_ + k) * 2 + out % 2) * lanes_,
                               sum_part(), taps + k * kTaps * lanes_);
        deinterleave(taps, w + (out * channels + s.in + i) * lanes_ * kTaps, channels * kTaps,
                     lanes_, lanes_, lanes_ * kTaps);
      }
  }

  WinogradConvolution c_;
  int64_t lanes_, ins_, outs_, pairs_, groups_, workers_;
  Tiles tiles_;
  bool kept_;  // the sums of a group are made and used by one thread
};

}  // namespace

std::unique_ptr<Kernel> winograd_convolution(const WinogradConvolution& c) {
  return std::make_unique<WinogradConv>(c);
}

std::unique_ptr<Kernel> winograd_weight_grad(const WinogradConvolution& c) {
  return std::make_unique<WinogradWeightGrad>(c);
}

}  // namespace nacre::cpu
