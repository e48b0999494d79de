#include "graph/storage.h"

#include <bit>
#include <cstdlib>
#include <mutex>
#include <vector>

#include "base/spare.h"

namespace nacre {
namespace {

// Freed blocks by power-of-two size (and halves between), so that a request wastes at most a third.
struct Cache {
  std::mutex mutex;
  std::vector<void*> blocks[128];
  MemoryStats stats;
  size_t cached = 0;
  std::vector<Arena> arenas;  // not in use
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
  const int log = std::bit_width(bytes - 1) - 1;  // 2^log < bytes <= 2^(log+1)
  const size_t half = (size_t{1} << log) + (size_t{1} << (log - 1));
  const size_t index = static_cast<size_t>(2 * log);
  return bytes <= half ? Class{index, half} : Class{index + 1, size_t{1} << (log + 1)};
}

}  // namespace

using SpareStorages = Spare<sizeof(Storage), alignof(Storage)>;
void* Storage::operator new(size_t) { return SpareStorages::take(); }
void Storage::operator delete(void* p) { SpareStorages::give(p); }

Storage* Storage::allocate(size_t bytes) {
  auto s = new Storage;
  s->owned_ = true;
  s->bytes_ = bytes;
  if (bytes <= kSmall) {
    s->data_ = s->small_;
    return s;
  }
  const Class c = size_class(bytes);
  s->capacity_ = c.bytes;
  Cache& k = cache();
  {
    std::lock_guard lock(k.mutex);
    auto& list = k.blocks[c.index];
    if (!list.empty()) {
      s->data_ = list.back();
      list.pop_back();
      k.cached -= c.bytes;
    } else {
      ++k.stats.heap_blocks;
    }
    k.stats.live += c.bytes;
    k.stats.peak = std::max(k.stats.peak, k.stats.live);
  }
  if (!s->data_ && bytes <= (size_t{1} << 62))
    s->data_ = std::aligned_alloc(64, (c.bytes + 63) / 64 * 64);
  if (!s->data_) {
    {
      std::lock_guard lock(k.mutex);
      k.stats.live -= c.bytes;
    }
    delete s;
    trim_memory();
    fail(Error::Kind::memory, {"out of memory: ", bytes, " bytes for one tensor"});
  }
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
  if (capacity_) {
    Cache& k = cache();
    std::lock_guard lock(k.mutex);
    k.stats.live -= capacity_;
    if (k.cached + capacity_ <= kCacheCap) {
      k.blocks[size_class(bytes_).index].push_back(data_);
      k.cached += capacity_;
    } else {
      std::free(data_);
    }
  }
  delete this;
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
  for (const Arena& a : k.arenas) {
    k.stats.arenas -= a.bytes;
    std::free(a.data);
  }
  k.arenas.clear();
}

Arena take_arena(size_t bytes, const Arena& last) {
  Cache& k = cache();
  bytes = (bytes + 63) / 64 * 64;
  std::lock_guard lock(k.mutex);
  const auto remove = [&](std::vector<Arena>::iterator at) {
    const Arena a = *at;
    *at = k.arenas.back();
    k.arenas.pop_back();
    return a;
  };
  // The smallest that is large enough, but not one that is far larger: its own plan may come.
  auto best = k.arenas.end(), smaller = best;
  for (auto a = k.arenas.begin(); a != k.arenas.end(); ++a) {
    if (a->data == last.data && a->bytes >= bytes) return remove(a);
    if (a->bytes < bytes && a->bytes >= bytes / 4) smaller = a;
    if (a->bytes >= bytes && a->bytes / 4 <= bytes + (1 << 20) &&
        (best == k.arenas.end() || a->bytes < best->bytes))
      best = a;
  }
  if (best != k.arenas.end()) return remove(best);
  if (smaller != k.arenas.end()) {  // its plan will find room in the larger one
    const Arena gone = remove(smaller);
    k.stats.arenas -= gone.bytes;
    std::free(gone.data);
  }
  Arena made{static_cast<char*>(std::aligned_alloc(64, bytes)), bytes};
  if (!made.data)
    fail(Error::Kind::memory, {"out of memory: ", bytes, " bytes for the values of a plan"});
  k.stats.arenas += bytes;
  k.arenas.reserve(k.arenas.size() + 8);  // so that giving one back rarely allocates
  return made;
}

void give_arena(const Arena& arena) {
  Cache& k = cache();
  std::lock_guard lock(k.mutex);
  k.arenas.push_back(arena);
}

}  // namespace nacre
