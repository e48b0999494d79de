// Pictures or clips in a folder per class, in files or inside an archive.
#include <algorithm>

#include "base/file.h"
#include "base/gzip.h"
#include "base/hash.h"
#include "base/zip.h"
#include "data/bytes.h"
#include "data/readers.h"
#include "nacre/audio.h"
#include "nacre/error.h"

namespace nacre::data {
namespace {

class Pictures final : public Dataset {
 public:
  Pictures(std::vector<PictureEntry> entries, std::vector<std::string> classes,
           const DecodeLimits& limits, std::string remark, const std::string& archive,
           std::shared_ptr<const void> owner)
      : entries_(std::move(entries)),
        limits_(limits),
        remark_(std::move(remark)),
        archive_(archive),
        owner_(std::move(owner)) {
    classes_ = std::move(classes);
  }
  int64_t size() const override { return static_cast<int64_t>(entries_.size()); }
  Sample get(int64_t i) const override {
    Sample s;
    with_bytes(
        i, [&](std::string_view bytes) { s = decode_sample(bytes_of(bytes), name(i), limits_); });
    s.label = label(i);
    return s;
  }
  int64_t label(int64_t i) const override { return at(i).label; }
  std::string name(int64_t i) const override {
    return archive_.empty() ? at(i).path : archive_ + ":" + at(i).path;
  }
  uint64_t content_hash(int64_t i) const override {
    uint64_t hash = 0;
    with_bytes(i, [&](std::string_view bytes) { hash = hash64(bytes); });
    return hash;
  }
  std::string remark() const override { return remark_; }

 private:
  const PictureEntry& at(int64_t i) const {
    check(i);
    return entries_[static_cast<size_t>(i)];
  }
  void with_bytes(int64_t i, const std::function<void(std::string_view)>& use) const {
    use_bytes(at(i), archive_, static_cast<uint64_t>(limits_.max_bytes), use);
  }
  std::vector<PictureEntry> entries_;
  DecodeLimits limits_;
  std::string remark_;
  std::string archive_;
  std::shared_ptr<const void> owner_;
};

}  // namespace

void use_bytes(const PictureEntry& e, const std::string& archive, uint64_t cap,
               const std::function<void(std::string_view)>& use) {
  if (e.packing == Packing::file) return use(read_file(e.path, cap));
  const bool packed = e.packing == Packing::deflated;
  if (packed) cap = most_unpacked(e.bytes.size(), cap);
  if (const uint64_t size = packed ? e.size : e.bytes.size(); size > cap)
    fail(Error::Kind::data,
         {archive, ":", e.path, " has ", size, " bytes, at most ", cap, " are read"});
  const ZipEntry member{e.path, packed, e.crc, e.size, e.bytes};
  if (packed) return use(unpack(member, archive));
  if (e.packing == Packing::checked) check_stored(member, archive);
  use(e.bytes);
}

DatasetPtr picture_dataset(std::vector<PictureEntry> entries, std::vector<std::string> classes,
                           const DecodeLimits& limits, std::string remark,
                           const std::string& archive, std::shared_ptr<const void> owner) {
  return std::make_shared<Pictures>(std::move(entries), std::move(classes), limits,
                                    std::move(remark), archive, std::move(owner));
}

namespace {

bool ends_in(std::string_view name, std::initializer_list<std::string_view> endings) {
  const size_t dot = name.rfind('.');
  if (dot == name.npos) return false;
  const std::string ending = lower(std::string(name.substr(dot + 1)));
  return std::find(endings.begin(), endings.end(), ending) != endings.end();
}

}  // namespace

bool is_picture_name(std::string_view name) {
  return ends_in(name, {"png", "jpg", "jpeg", "jpe", "webp", "bmp", "ppm", "pgm", "pnm"});
}

bool is_text_name(std::string_view name) { return name.ends_with(".txt"); }

bool is_clip_name(std::string_view name) { return ends_in(name, {"wav", "wave"}); }

std::string imagenet_remark(const std::vector<std::string>& classes, int64_t size) {
  const bool synsets =
      classes.size() == 1000 &&
      std::all_of(classes.begin(), classes.end(), [](const std::string& c) {
        return c.size() == 9 && c[0] == 'n' && c.find_first_not_of("0123456789", 1) == c.npos;
      });
  if (!synsets || size == 1281167 || size == 50000) return {};
  return cat({size, " pictures, ImageNet 2012 has 1281167 for training and 50000 for validation"});
}

}  // namespace nacre::data
