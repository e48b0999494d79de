#include "base/zip.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstring>

#include "base/gzip.h"
#include "base/text.h"
#include "nacre/error.h"

namespace nacre {
namespace {

constexpr uint32_t kLocal = 0x04034b50, kCentral = 0x02014b50, kEnd = 0x06054b50,
                   kEnd64 = 0x06064b50, kLocator64 = 0x07064b50;
constexpr uint64_t kMaxRatio = 1032;  // of deflate

template <typename T>
T get(std::string_view bytes, uint64_t at) {
  T v;
  std::memcpy(&v, bytes.data() + at, sizeof(T));
  return v;
}

template <typename T>
void put(std::string& out, T v) {
  out.append(reinterpret_cast<const char*>(&v), sizeof(T));
}

class Reader {
 public:
  Reader(std::string_view bytes, std::string_view what) : bytes_(bytes), what_(what) {}

  std::vector<ZipEntry> read() {
    const uint64_t end = find_end();
    uint64_t count = get<uint16_t>(bytes_, end + 10), size = get<uint32_t>(bytes_, end + 12),
             start = get<uint32_t>(bytes_, end + 16);
    uint64_t limit = end;
    if (count == 0xffff || size == 0xffffffff || start == 0xffffffff) {
      if (end < 20 || get<uint32_t>(bytes_, end - 20) != kLocator64)
        damaged("its 64-bit directory is missing");
      const uint64_t end64 = get<uint64_t>(bytes_, end - 12);
      if (end64 > end - 20 || end - 20 - end64 < 56 || get<uint32_t>(bytes_, end64) != kEnd64)
        damaged("its 64-bit directory is not where it should be");
      count = get<uint64_t>(bytes_, end64 + 32);
      size = get<uint64_t>(bytes_, end64 + 40);
      start = get<uint64_t>(bytes_, end64 + 48);
      limit = end64;
    }
    if (start > limit || size > limit - start || count > size / 46)
      damaged("its directory does not fit into the file");
    directory_start_ = start;
    std::vector<ZipEntry> entries;
    entries.reserve(count);
    uint64_t at = start;
    for (uint64_t i = 0; i < count; ++i) entries.push_back(read_entry(at, start + size));
    check_apart(entries);
    return entries;
  }

 private:
  [[noreturn]] void damaged(std::string_view why) const {
    fail(Error::Kind::data, {what_, " is not a valid zip archive: ", why});
  }

  /// The end record stands at the end, before a comment of at most 65535 bytes.
  uint64_t find_end() const {
    if (bytes_.size() < 22) damaged("it is too short");
    const uint64_t last = bytes_.size() - 22, first = last > 65535 ? last - 65535 : 0;
    for (uint64_t at = last + 1; at-- > first;)
      if (get<uint32_t>(bytes_, at) == kEnd &&
          get<uint16_t>(bytes_, at + 20) == bytes_.size() - at - 22)
        return at;
    damaged("it has no directory");
  }

  ZipEntry read_entry(uint64_t& at, uint64_t end) const {
    if (end - at < 46 || get<uint32_t>(bytes_, at) != kCentral) damaged("its directory is damaged");
    const auto flags = get<uint16_t>(bytes_, at + 8), method = get<uint16_t>(bytes_, at + 10);
    ZipEntry e;
    e.crc = get<uint32_t>(bytes_, at + 16);
    uint64_t packed = get<uint32_t>(bytes_, at + 20), local = get<uint32_t>(bytes_, at + 42);
    e.size = get<uint32_t>(bytes_, at + 24);
    const uint64_t name = get<uint16_t>(bytes_, at + 28), extra = get<uint16_t>(bytes_, at + 30),
                   comment = get<uint16_t>(bytes_, at + 32);
    if (end - at - 46 < name + extra + comment) damaged("its directory is damaged");
    e.name = bytes_.substr(at + 46, name);
    // The upper half of the attributes is a Unix mode if the entry was made there.
    e.link = get<uint16_t>(bytes_, at + 4) >> 8 == 3 &&
             (get<uint32_t>(bytes_, at + 38) >> 16 & S_IFMT) == S_IFLNK;
    read_extra(bytes_.substr(at + 46 + name, extra), e.size, packed, local);
    at += 46 + name + extra + comment;

    const std::string shown = clip(printable(e.name), 100);
    if (flags & 1) fail(Error::Kind::unsupported, {what_, ": entry '", shown, "' is encrypted"});
    if (method != 0 && method != 8)
      fail(Error::Kind::unsupported,
           {what_, ": entry '", shown, "' has the unsupported compression ", method});
    e.deflated = method == 8;
    if (local > directory_start_ || directory_start_ - local < 30 ||
        get<uint32_t>(bytes_, local) != kLocal)
      damaged(cat({"entry '", shown, "' is not where the directory says"}));
    const uint64_t head =
        30 + uint64_t{get<uint16_t>(bytes_, local + 26)} + get<uint16_t>(bytes_, local + 28);
    if (directory_start_ - local < head || directory_start_ - local - head < packed)
      damaged(cat({"entry '", shown, "' runs past the end"}));
    if (e.deflated ? e.size / kMaxRatio > packed : e.size != packed)
      damaged(cat({"entry '", shown, "' cannot hold ", e.size, " bytes in ", packed}));
    e.packed = bytes_.substr(local + head, packed);
    return e;
  }

  /// Values of the 64-bit field stand for those that are all ones, in this order.
  void read_extra(std::string_view extra, uint64_t& size, uint64_t& packed, uint64_t& local) const {
    while (extra.size() >= 4) {
      const auto id = get<uint16_t>(extra, 0), length = get<uint16_t>(extra, 2);
      if (extra.size() - 4 < length) damaged("its directory is damaged");
      std::string_view field = extra.substr(4, length);
      extra.remove_prefix(4 + size_t{length});
      if (id != 1) continue;
      for (uint64_t* v : {&size, &packed, &local}) {
        if (*v != 0xffffffff || field.size() < 8) continue;
        *v = get<uint64_t>(field, 0);
        field.remove_prefix(8);
      }
    }
  }

  /// Entries that share bytes are how small archives unpack to huge ones.
  void check_apart(const std::vector<ZipEntry>& entries) const {
    // Names of an archive of a million entries are many: both lists take the same memory.
    std::vector<std::string_view> list;
    list.reserve(entries.size());
    for (const ZipEntry& e : entries) list.push_back(e.name);
    std::sort(list.begin(), list.end());
    if (const auto twice = std::adjacent_find(list.begin(), list.end()); twice != list.end())
      damaged(cat({"entry '", clip(printable(*twice), 100), "' stands twice"}));
    list.clear();
    for (const ZipEntry& e : entries) list.push_back(e.packed);
    std::sort(list.begin(), list.end(), [](std::string_view a, std::string_view b) {
      return a.data() != b.data() ? a.data() < b.data() : a.size() < b.size();
    });
    for (size_t i = 1; i < list.size(); ++i)
      if (list[i].data() < list[i - 1].data() + list[i - 1].size()) damaged("entries overlap");
  }

  std::string_view bytes_, what_;
  uint64_t directory_start_ = 0;
};

std::string label(const ZipEntry& e, std::string_view what) {
  return cat({what, ": entry '", clip(printable(e.name), 100), "'"});
}

}  // namespace

std::vector<ZipEntry> read_zip(std::string_view bytes, std::string_view what) {
  return Reader(bytes, what).read();
}

std::string unpack(const ZipEntry& entry, std::string_view what) {
  const std::string name = label(entry, what);
  std::string out = inflate_exact(entry.packed, entry.size, name);
  if (crc32_of(out) != entry.crc) fail(Error::Kind::data, {name, " has a wrong checksum"});
  return out;
}

void check_stored(const ZipEntry& entry, std::string_view what) {
  if (crc32_of(entry.packed) != entry.crc)
    fail(Error::Kind::data, {label(entry, what), " has a wrong checksum"});
}

void ZipWriter::write(std::string_view bytes) {
  file_.write(bytes);
  place_ += bytes.size();
}

void ZipWriter::add(const std::string& name, std::string_view head, std::string_view body,
                    bool compress) {
  const std::string whole = compress ? std::string(head) + std::string(body) : "";
  const uint64_t size = head.size() + body.size();
  const std::string packed = compress ? deflate(whole) : "";
  const uint64_t packed_size = compress ? packed.size() : size;
  const uint32_t crc = crc32_of(head, body);
  const uint64_t local = place_;
  constexpr uint16_t kVersion = 45, kUtf8 = 1 << 11;
  constexpr uint16_t kNoTime = 0, kDate1980 = 33;
  // Sizes always stand in the 64-bit field, so that both headers have one form.
  const auto common = [&](std::string& out) {
    put<uint16_t>(out, kVersion);
    put<uint16_t>(out, kUtf8);
    put<uint16_t>(out, compress ? 8 : 0);
    put<uint16_t>(out, kNoTime);
    put<uint16_t>(out, kDate1980);
    put<uint32_t>(out, crc);
    put<uint32_t>(out, 0xffffffff);
    put<uint32_t>(out, 0xffffffff);
    put<uint16_t>(out, static_cast<uint16_t>(name.size()));
  };
  const auto extra = [&](std::string& out, bool with_place) {
    put<uint16_t>(out, 1);
    put<uint16_t>(out, with_place ? 24 : 16);
    put<uint64_t>(out, size);
    put<uint64_t>(out, packed_size);
    if (with_place) put<uint64_t>(out, local);
  };
  std::string header;
  put<uint32_t>(header, kLocal);
  common(header);
  put<uint16_t>(header, 20);
  header += name;
  extra(header, false);
  write(header);
  if (compress) {
    write(packed);
  } else {
    write(head);
    write(body);
  }
  put<uint32_t>(directory_, kCentral);
  put<uint16_t>(directory_, kVersion);
  common(directory_);
  put<uint16_t>(directory_, 28);  // the 64-bit field
  put<uint16_t>(directory_, 0);   // comment
  put<uint16_t>(directory_, 0);   // disk
  put<uint16_t>(directory_, 0);   // internal attributes
  put<uint32_t>(directory_, 0);   // external attributes
  put<uint32_t>(directory_, 0xffffffff);
  directory_ += name;
  extra(directory_, true);
  ++count_;
}

void ZipWriter::finish() {
  const uint64_t start = place_;
  write(directory_);
  const uint64_t end64 = place_;
  std::string out;
  put<uint32_t>(out, kEnd64);
  put<uint64_t>(out, 44);
  put<uint16_t>(out, 45);
  put<uint16_t>(out, 45);
  put<uint32_t>(out, 0);
  put<uint32_t>(out, 0);
  put<uint64_t>(out, count_);
  put<uint64_t>(out, count_);
  put<uint64_t>(out, directory_.size());
  put<uint64_t>(out, start);
  put<uint32_t>(out, kLocator64);
  put<uint32_t>(out, 0);
  put<uint64_t>(out, end64);
  put<uint32_t>(out, 1);
  put<uint32_t>(out, kEnd);
  put<uint32_t>(out, 0);
  put<uint16_t>(out, 0xffff);
  put<uint16_t>(out, 0xffff);
  put<uint32_t>(out, 0xffffffff);
  put<uint32_t>(out, 0xffffffff);
  put<uint16_t>(out, 0);
  write(out);
}

}  // namespace nacre
