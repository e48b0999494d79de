// A bound on the memory that requests and models may take together.
#pragma once

#include <atomic>
#include <cstdint>
#include <utility>

namespace nacre::serve {

class MemoryBudget;

/// Bytes set aside; given back with the object.
class Reservation {
 public:
  Reservation() = default;
  Reservation(Reservation&& o) noexcept
      : budget_(std::exchange(o.budget_, nullptr)), bytes_(std::exchange(o.bytes_, 0)) {}
  Reservation& operator=(Reservation&& o) noexcept {
    std::swap(budget_, o.budget_);
    std::swap(bytes_, o.bytes_);
    return *this;
  }
  ~Reservation();
  explicit operator bool() const { return budget_ != nullptr; }

 private:
  friend class MemoryBudget;
  Reservation(MemoryBudget* budget, uint64_t bytes) : budget_(budget), bytes_(bytes) {}
  MemoryBudget* budget_ = nullptr;
  uint64_t bytes_ = 0;
};

class MemoryBudget {
 public:
  explicit MemoryBudget(uint64_t limit) : limit_(limit) {}
  /// Empty (false) if the limit forbids it.
  Reservation reserve(uint64_t bytes) {
    uint64_t before = used_.load();
    do {
      if (bytes > limit_ || before > limit_ - bytes) return {};
    } while (!used_.compare_exchange_weak(before, before + bytes));
    return Reservation(this, bytes);
  }
  uint64_t used() const { return used_; }
  uint64_t limit() const { return limit_; }

 private:
  friend class Reservation;
  const uint64_t limit_;
  std::atomic<uint64_t> used_{0};
};

inline Reservation::~Reservation() {
  if (budget_) budget_->used_ -= bytes_;
}

}  // namespace nacre::serve
