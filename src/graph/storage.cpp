#include "graph/storage.h"

#include <bit>
#include <cstdlib>
#include <mutex>
#include <vector>

namespace nacre {
namespace {

// Freed blocks by power-of-two size (and halves between), so that a request wastes at most a third.
struct Cache {
  std::mutex mutex;
  std::vector<void*> blocks[128];
  std::vector<Storage*> headers;
  MemoryStats stats;
  size_t cached = 0;
};

Cache& cache() {
  static auto* c = new Cache;  // never destroyed: storages may outlive other statics
  return *c;
}

constexpr size_t kCacheCap = size_t{1} << 30;

struct Class {
  size_t index, bytes;
};

Class size_class(size_t bytes) {
  if (bytes <= 64) return {0, 64};
  const int log = std::bit_width(bytes - 1) - 1;  // 2^log < bytes <= 2^(log+1)
  const size_t half = (size_t{1} << log) + (size_t{1} << (log - 1));
  const size_t index = static_cast<size_t>(2 * log);
  return bytes <= half ? Class{index, half} : Class{index + 1, size_t{1} << (log + 1)};
}

}  // namespace

Storage* Storage::allocate(size_t bytes) {
  const Class c = size_class(bytes);
  Cache& k = cache();
  void* data = nullptr;
  Storage* s = nullptr;
  {
    std::lock_guard lock(k.mutex);
    auto& list = k.blocks[c.index];
    if (!list.empty()) {
      data = list.back();
      list.pop_back();
      k.cached -= c.bytes;
    } else {
      ++k.stats.heap_blocks;
    }
    if (!k.headers.empty()) {
      s = k.headers.back();
      k.headers.pop_back();
    }
    k.stats.live += c.bytes;
    k.stats.peak = std::max(k.stats.peak, k.stats.live);
  }
  if (!data)
    data = bytes > (size_t{1} << 62) ? nullptr : std::aligned_alloc(64, (c.bytes + 63) / 64 * 64);
  if (!data) {
    {
      std::lock_guard lock(k.mutex);
      k.stats.live -= c.bytes;
      if (s) k.headers.push_back(s);
    }
    trim_memory();
    fail(Error::Kind::memory, {"out of memory: ", bytes, " bytes for one tensor"});
  }
  if (!s) s = new Storage;
  s->refs_ = 1;
  s->owned_ = true;
  s->data_ = data;
  s->bytes_ = bytes;
  s->capacity_ = c.bytes;
  return s;
}

Storage* Storage::wrap(std::shared_ptr<const void> owner, const void* data, size_t bytes) {
  auto* s = new Storage;
  s->data_ = const_cast<void*>(data);
  s->bytes_ = bytes;
  s->owner_ = std::move(owner);
  return s;
}

void Storage::poison(std::string why) { poison_ = std::make_unique<std::string>(std::move(why)); }

void Storage::destroy() {
  if (!owned_) {
    delete this;
    return;
  }
  poison_.reset();
  Cache& k = cache();
  std::lock_guard lock(k.mutex);
  k.stats.live -= capacity_;
  if (k.cached + capacity_ <= kCacheCap) {
    k.blocks[size_class(bytes_).index].push_back(data_);
    k.cached += capacity_;
  } else {
    std::free(data_);
  }
  k.headers.push_back(this);
}

MemoryStats memory_stats() {
  std::lock_guard lock(cache().mutex);
  return cache().stats;
}

void reset_peak_memory() {
  std::lock_guard lock(cache().mutex);
  cache().stats.peak = cache().stats.live;
}

void trim_memory() {
  Cache& k = cache();
  std::lock_guard lock(k.mutex);
  for (auto& list : k.blocks) {
    for (void* p : list) std::free(p);
    list.clear();
  }
  k.cached = 0;
}

}  // namespace nacre
