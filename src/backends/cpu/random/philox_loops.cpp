#include "backends/cpu/random/random.h"
#include "backends/cpu/simd/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/random/philox_loops.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h.
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace nacre::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// Product of the low 32 bits of each lane with a constant.
template <class D, class V>
HWY_INLINE V Product(D d, V x, uint32_t by) {
#if HWY_TARGET == HWY_SCALAR
  return hn::Set(d, hn::GetLane(x) * by);
#else
  const hn::RepartitionToNarrow<D> d32;
  return hn::MulEven(hn::BitCast(d32, x), hn::BitCast(d32, hn::Set(d, uint64_t{by})));
#endif
}

void RandomWords(uint64_t key, uint64_t block, int64_t blocks, uint32_t* out) {
  const hn::ScalableTag<uint64_t> d;
  const size_t N = hn::Lanes(d);
  const auto low = hn::Set(d, uint64_t{0xffffffff});
  HWY_ALIGN uint64_t words[4][hn::MaxLanes(hn::ScalableTag<uint64_t>())];
  for (int64_t done = 0; done < blocks; done += static_cast<int64_t>(N)) {
    const auto index = hn::Add(hn::Set(d, block + static_cast<uint64_t>(done)), hn::Iota(d, 0));
    auto c0 = hn::And(index, low), c1 = hn::ShiftRight<32>(index), c2 = hn::Zero(d),
         c3 = hn::Zero(d);
    uint32_t k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
    for (int round = 0; round < 10; ++round) {
      const auto a = Product(d, c0, 0xD2511F53), b = Product(d, c2, 0xCD9E8D57);
      const auto n0 = hn::Xor(hn::Xor(hn::ShiftRight<32>(b), c1), hn::Set(d, uint64_t{k0}));
      const auto n2 = hn::Xor(hn::Xor(hn::ShiftRight<32>(a), c3), hn::Set(d, uint64_t{k1}));
      c1 = hn::And(b, low);
      c3 = hn::And(a, low);
      c0 = n0;
      c2 = n2;
      k0 += 0x9E3779B9;
      k1 += 0xBB67AE85;
    }
    hn::Store(c0, d, words[0]);
    hn::Store(c1, d, words[1]);
    hn::Store(c2, d, words[2]);
    hn::Store(c3, d, words[3]);
    const int64_t n =
        blocks - done < static_cast<int64_t>(N) ? blocks - done : static_cast<int64_t>(N);
    uint32_t* to = out + 4 * done;
    for (int64_t i = 0; i < n; ++i)
      for (int64_t w = 0; w < 4; ++w) to[4 * i + w] = static_cast<uint32_t>(words[w][i]);
  }
}

}  // namespace nacre::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nacre::cpu {

HWY_EXPORT(RandomWords);

void random_words(uint64_t key, uint64_t block, int64_t blocks, uint32_t* out) {
  HWY_DYNAMIC_DISPATCH(RandomWords)(key, block, blocks, out);
}

}  // namespace nacre::cpu
#endif
