// Memory of tensor values. Owned blocks come from a cache of freed ones, so that a steady state
// makes no heap allocation.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "nacre/error.h"

namespace nacre {

class Storage {
 public:
  /// A block of its own, 64-byte aligned, uninitialised. Throws Error(memory).
  static Storage* allocate(size_t bytes);
  /// Memory of somebody else; never written to or donated.
  static Storage* wrap(std::shared_ptr<const void> owner, const void* data, size_t bytes);

  void retain() { refs_.fetch_add(1, std::memory_order_relaxed); }
  void release() {
    if (refs_.load(std::memory_order_acquire) == 1 ||
        refs_.fetch_sub(1, std::memory_order_acq_rel) == 1)
      destroy();
  }
  void* data() const { return data_; }
  size_t bytes() const { return bytes_; }
  bool donatable() const { return owned_ && refs_.load(std::memory_order_relaxed) == 1; }

  /// A poisoned block holds no values: a plan failed while it wrote to it. Reading it throws.
  void poison(std::string why);
  void check() const {
    if (poison_) fail(Error::Kind::numeric, {*poison_});
  }

 private:
  Storage() = default;
  ~Storage() = default;
  static void* operator new(size_t);
  static void operator delete(void* p);
  void destroy();
  std::atomic<uint32_t> refs_{1};
  bool owned_ = false;
  void* data_ = nullptr;
  size_t bytes_ = 0, capacity_ = 0;
  std::shared_ptr<const void> owner_;
  std::unique_ptr<std::string> poison_;
  static constexpr size_t kSmall = 64;
  alignas(kSmall) unsigned char small_[kSmall];  ///< blocks of up to kSmall bytes lie here
};

/// Intrusive pointer to a class with retain() and release().
template <typename T>
class RefPtr {
 public:
  RefPtr() = default;
  /// Takes over one reference.
  static RefPtr adopt(T* p) {
    RefPtr r;
    r.p_ = p;
    return r;
  }
  RefPtr(const RefPtr& o) : p_(o.p_) {
    if (p_) p_->retain();
  }
  RefPtr(RefPtr&& o) noexcept : p_(o.p_) { o.p_ = nullptr; }
  RefPtr& operator=(RefPtr o) noexcept {
    std::swap(p_, o.p_);
    return *this;
  }
  ~RefPtr() {
    if (p_) p_->release();
  }
  T* get() const { return p_; }
  T* operator->() const { return p_; }
  explicit operator bool() const { return p_ != nullptr; }

 private:
  T* p_ = nullptr;
};

/// Bytes held by live storages of more than 64 bytes, and the highest that this has been; blocks
/// taken from the heap since the start.
struct MemoryStats {
  size_t live = 0, peak = 0, heap_blocks = 0;
  size_t arenas = 0;  ///< bytes of work space, in use or kept
};
MemoryStats memory_stats();
void reset_peak_memory();
/// Gives cached blocks and work space that is not in use back to the system.
void trim_memory();

/// Work space of a running plan, 64-byte aligned. Plans that do not run at the same time share it.
struct Arena {
  char* data = nullptr;
  size_t bytes = 0;
};
/// One of at least so many bytes; `last` if that is free. Throws Error(memory).
Arena take_arena(size_t bytes, const Arena& last);
void give_arena(const Arena& arena);

}  // namespace nacre
