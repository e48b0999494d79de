// Freed pieces of memory of one size, kept by each thread: what comes and goes by the hundred in
// each training step costs no call of the heap.
#pragma once

#include <cstddef>
#include <new>
#include <vector>

namespace nacre {

template <size_t Bytes, size_t Align>
class Spare {
 public:
  static void* take() {
    Spare* spare = mine();
    if (!spare || spare->list_.empty()) return ::operator new(Bytes, std::align_val_t(Align));
    void* p = spare->list_.back();
    spare->list_.pop_back();
    if (!spare->list_.empty())  // the next will be asked for soon, and may have left the cache
      for (size_t i = 0; i < Bytes; i += 64)
        __builtin_prefetch(static_cast<char*>(spare->list_.back()) + i, 1);
    return p;
  }
  static void give(void* p) {
    Spare* spare = mine();
    if (spare && spare->list_.size() < kCap)
      spare->list_.push_back(p);
    else
      ::operator delete(p, std::align_val_t(Align));
  }

 private:
  static constexpr size_t kCap = 8192;
  Spare() { list_.reserve(kCap); }
  ~Spare() {
    gone_ = true;
    for (void* p : list_) ::operator delete(p, std::align_val_t(Align));
  }
  /// Null when the thread ends, and under the address sanitizer, which then sees a use after
  /// release.
  static Spare* mine() {
#ifdef __SANITIZE_ADDRESS__
    return nullptr;
#else
    if (gone_) return nullptr;
    thread_local Spare spare;
    return &spare;
#endif
  }
  static inline thread_local bool gone_ = false;
  std::vector<void*> list_;
};

}  // namespace nacre
