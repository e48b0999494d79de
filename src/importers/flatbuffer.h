// FlatBuffers (https://flatbuffers.dev/internals): tables whose fields are found by an offset, in
// one buffer.
//
//   FlatTable model = FlatTable::root(bytes, "model.tflite");
//   for (const FlatTable& t : model.tables(2)) read(t.text(0), t.integers(1));
//
// Nothing is copied but lists. Each offset and length is checked against the buffer; what is
// malformed throws Error(data). As tables may share their parts, what lists hold together is
// limited by the size of the buffer too.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

namespace nacre {

/// Fields are numbered in the order of the schema. A table that is missing has no fields.
class FlatTable {
 public:
  FlatTable() = default;
  static FlatTable root(std::string_view buffer, std::string_view what);

  explicit operator bool() const { return file_ != nullptr; }
  // Numbers of 1, 4 and 8 bytes.
  int64_t i8(int field, int64_t otherwise = 0) const;
  int64_t u8(int field, int64_t otherwise = 0) const;
  int64_t i32(int field, int64_t otherwise = 0) const;
  int64_t u32(int field, int64_t otherwise = 0) const;
  uint64_t u64(int field, uint64_t otherwise = 0) const;
  float f32(int field, float otherwise = 0) const;
  bool flag(int field) const { return u8(field) != 0; }
  std::string_view text(int field) const;
  std::string_view bytes(int field) const { return vector(field, 1); }
  std::vector<int64_t> integers(int field) const;  ///< of 4 bytes
  std::vector<int64_t> longs(int field) const;     ///< of 8 bytes
  std::vector<float> floats(int field) const;
  FlatTable table(int field) const;
  std::vector<FlatTable> tables(int field) const;

 private:
  struct File {
    std::string_view buffer, what;
    uint64_t entries = 0;  ///< that lists may still have
  };
  FlatTable(std::shared_ptr<File> file, uint64_t at);
  [[noreturn]] void broken(const char* why) const;
  template <typename T>
  T read(uint64_t at) const;
  template <typename T>
  T number(int field, T otherwise) const;
  /// Where a field is; 0 if it is missing.
  uint64_t place(int field) const;
  /// The elements of a vector, each of this many bytes.
  std::string_view vector(int field, uint64_t width) const;
  template <typename T>
  std::vector<T> list(int field) const;

  std::shared_ptr<File> file_;
  uint64_t at_ = 0, fields_ = 0, fields_size_ = 0;
};

}  // namespace nacre
