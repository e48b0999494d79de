#include "importers/flatbuffer.h"

#include <cstring>

#include "nacre/error.h"

namespace nacre {

void FlatTable::broken(const char* why) const {
  fail(Error::Kind::data, {file_->what, " is cut short or damaged: ", why});
}

template <typename T>
T FlatTable::read(uint64_t at) const {
  if (at > file_->buffer.size() || file_->buffer.size() - at < sizeof(T))
    broken("an offset leads beyond its end");
  T v;
  std::memcpy(&v, file_->buffer.data() + at, sizeof v);
  return v;
}

FlatTable::FlatTable(std::shared_ptr<File> file, uint64_t at) : file_(std::move(file)), at_(at) {
  const int64_t fields = static_cast<int64_t>(at) - read<int32_t>(at);
  if (fields < 0) broken("an offset leads before its beginning");
  fields_ = static_cast<uint64_t>(fields);
  fields_size_ = read<uint16_t>(fields_);
  if (fields_size_ < 4 || fields_size_ % 2) broken("a table has an impossible size");
  if (fields_ + fields_size_ > file_->buffer.size()) broken("an offset leads beyond its end");
}

FlatTable FlatTable::root(std::string_view buffer, std::string_view what) {
  FlatTable start;
  // A list of a sound file has no more entries than the file has bytes; parts may be shared.
  start.file_ = std::make_shared<File>(File{buffer, what, 16 * uint64_t{buffer.size()}});
  return {start.file_, start.read<uint32_t>(0)};
}

uint64_t FlatTable::place(int field) const {
  const auto entry = 4 + 2 * static_cast<uint64_t>(field);
  if (!file_ || entry + 2 > fields_size_) return 0;
  const auto offset = read<uint16_t>(fields_ + entry);
  return offset ? at_ + offset : 0;
}

template <typename T>
T FlatTable::number(int field, T otherwise) const {
  const uint64_t at = place(field);
  return at ? read<T>(at) : otherwise;
}

int64_t FlatTable::i8(int field, int64_t otherwise) const {
  return number(field, static_cast<int8_t>(otherwise));
}
int64_t FlatTable::u8(int field, int64_t otherwise) const {
  return number(field, static_cast<uint8_t>(otherwise));
}
int64_t FlatTable::i32(int field, int64_t otherwise) const {
  return number(field, static_cast<int32_t>(otherwise));
}
int64_t FlatTable::u32(int field, int64_t otherwise) const {
  return number(field, static_cast<uint32_t>(otherwise));
}
uint64_t FlatTable::u64(int field, uint64_t otherwise) const { return number(field, otherwise); }
float FlatTable::f32(int field, float otherwise) const { return number(field, otherwise); }

std::string_view FlatTable::vector(int field, uint64_t width) const {
  const uint64_t at = place(field);
  if (!at) return {};
  const uint64_t start = at + read<uint32_t>(at);
  const uint64_t count = read<uint32_t>(start), bytes = count * width;
  if (bytes > file_->buffer.size() - start - 4) broken("a list is longer than what is left");
  if (width > 1) {
    if (count > file_->entries) broken("its lists share their parts too often");
    file_->entries -= count;
  }
  return file_->buffer.substr(start + 4, bytes);
}

std::string_view FlatTable::text(int field) const { return vector(field, 1); }

template <typename T>
std::vector<T> FlatTable::list(int field) const {
  const std::string_view bytes = vector(field, sizeof(T));
  std::vector<T> out(bytes.size() / sizeof(T));
  if (!out.empty()) std::memcpy(out.data(), bytes.data(), bytes.size());
  return out;
}

std::vector<int64_t> FlatTable::integers(int field) const {
  const auto v = list<int32_t>(field);
  return {v.begin(), v.end()};
}
std::vector<int64_t> FlatTable::longs(int field) const { return list<int64_t>(field); }
std::vector<float> FlatTable::floats(int field) const { return list<float>(field); }

FlatTable FlatTable::table(int field) const {
  const uint64_t at = place(field);
  return at ? FlatTable(file_, at + read<uint32_t>(at)) : FlatTable();
}

std::vector<FlatTable> FlatTable::tables(int field) const {
  const std::string_view bytes = vector(field, 4);
  std::vector<FlatTable> out;
  for (uint64_t k = 0; k < bytes.size(); k += 4) {
    const auto at = static_cast<uint64_t>(bytes.data() - file_->buffer.data()) + k;
    out.push_back(FlatTable(file_, at + read<uint32_t>(at)));
  }
  return out;
}

}  // namespace nacre
