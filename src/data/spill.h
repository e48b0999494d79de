// Records put aside on the disk in parts, and read back part after part.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace nacre::data {

/// One file without a name in a folder, which is gone with the object or the process.
class Spill {
 public:
  Spill(const std::string& folder, size_t parts);
  ~Spill();
  Spill(Spill&& other) noexcept;
  Spill(const Spill&) = delete;
  Spill& operator=(const Spill&) = delete;

  /// Throws Error(io) when the disk is full.
  void add(size_t part, std::string_view record);
  /// Writes what is still in memory; before reading.
  void flush();
  uint64_t bytes(size_t part) const { return parts_[part].bytes; }

  /// Records of a part in the order in which they came.
  class Reader {
   public:
    Reader(const Spill& spill, size_t part) : spill_(&spill), part_(part) {}
    /// False at the end. The record is valid until the next call.
    bool next(std::string_view& record);

   private:
    const Spill* spill_;
    size_t part_, chunk_ = 0, at_ = 0;
    std::string buffer_;
  };

 private:
  struct Chunk {
    uint64_t at;
    uint32_t bytes;
  };
  struct Part {
    std::vector<Chunk> chunks;
    std::string open;
    uint64_t bytes = 0;
  };
  void write_out(Part& part);
  std::string folder_;
  std::vector<Part> parts_;
  uint64_t end_ = 0;
  int fd_ = -1;
};

/// Numbers and texts in the bytes of a record.
void put_number(std::string& record, uint64_t v);
void put_text(std::string& record, std::string_view text);
uint64_t take_number(std::string_view& record);
std::string_view take_text(std::string_view& record);

}  // namespace nacre::data
