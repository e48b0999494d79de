// Pictures, clips or texts of classes packed into one file: a tar, a tar packed by gzip, or a zip.
#include <algorithm>
#include <map>
#include <set>

#include "base/gzip.h"
#include "base/text.h"
#include "base/zip.h"
#include "data/readers.h"
#include "nacre/error.h"

namespace nacre::data {
namespace {

constexpr uint64_t kMaxUnpacked = uint64_t{1} << 31;  // of a .tar.gz, which is held in memory
constexpr size_t kMaxMembers = size_t{1} << 24;

/// A picture, clip or text, and its place among the folders: "pets/cat/1.png".
struct Found {
  PictureEntry entry;
  std::string place;
  std::string_view rest() const { return std::string_view(place).substr(start); }
  std::string_view first() const { return rest().substr(0, rest().find('/')); }
  bool in_folder() const { return rest().find('/') != std::string_view::npos; }
  void enter() { start += first().size() + 1; }
  size_t start = 0;
};

class ArchiveReader {
 public:
  explicit ArchiveReader(const std::string& path) : path_(path) {
    auto map = MappedFile::open(path);
    std::string_view bytes = map->bytes();
    owner = map;
    if (bytes.starts_with("\x1f\x8b")) {
      auto unpacked = std::make_shared<const std::string>(
          gunzip(bytes, most_unpacked(bytes.size(), kMaxUnpacked), path));
      bytes = *unpacked;
      owner = unpacked;
    }
    is_zip = bytes.starts_with("PK\x03\x04") || bytes.starts_with("PK\x05\x06") ||
             path_.ends_with(".zip");
    if (is_zip)
      read_zip_members(bytes);
    else
      read_tar_members(bytes, "", true);
    if (pictures.empty()) pictures.swap(clips);
    if (pictures.empty()) pictures.swap(texts);
    for (const auto* rest : {&clips, &texts})
      for (const Found& f : *rest) others.push_back(path_ + ":" + f.entry.path);
  }

  bool is_zip = false;
  std::shared_ptr<const void> owner;
  std::vector<Found> pictures;  ///< or clips, if there are no pictures; or texts, if no clips
  std::vector<std::string> others;

 private:
  void read_zip_members(std::string_view bytes) {
    for (ZipEntry& e : read_zip(bytes, path_)) {
      PictureEntry picture;
      picture.bytes = e.packed;
      picture.packing = e.deflated ? Packing::deflated : Packing::checked;
      picture.size = e.size;
      picture.crc = e.crc;
      if (!e.name.ends_with('/') && !e.link) add(e.name, "", std::move(picture));
    }
  }

  /// With `nested`, members that are tars hold the pictures of a class each, as ImageNet has them.
  void read_tar_members(std::string_view bytes, const std::string& inside, bool nested) {
    for (const TarEntry& e : list_tar(bytes, path_)) {
      if (nested && e.path.ends_with(".tar")) {
        read_tar_members(e.bytes, e.path, false);
        continue;
      }
      PictureEntry picture;
      picture.bytes = e.bytes;
      picture.packing = Packing::plain;
      add(e.path, inside, std::move(picture));
    }
  }

  void add(const std::string& name, const std::string& inside, PictureEntry picture) {
    if (pictures.size() + clips.size() + texts.size() + others.size() >= kMaxMembers)
      fail(Error::Kind::data, {path_, ": has more than ", kMaxMembers, " members"});
    const std::string shown = inside.empty() ? name : inside + ":" + name;
    std::string place = inside.empty() ? "" : inside.substr(0, inside.size() - 4);
    bool hidden = false, outside = name.starts_with('/') || inside.starts_with('/');
    for (size_t from = 0; from < name.size();) {
      const size_t end = std::min(name.find('/', from), name.size());
      const std::string part = name.substr(from, end - from);
      from = end + 1;
      outside = outside || part == "..";
      if (part.empty() || part == ".") continue;
      hidden = hidden || part.starts_with('.') || part == "__MACOSX";
      place += (place.empty() ? "" : "/") + part;
    }
    if (outside)
      fail(Error::Kind::data, {path_, ": the member '", clip(printable(shown), 100),
                               "' would lie outside the archive"});
    if (hidden || place.empty()) return;
    picture.path = shown;
    auto* list = is_picture_name(place) ? &pictures
                 : is_clip_name(place)  ? &clips
                 : is_text_name(place)  ? &texts
                                        : nullptr;
    if (list)
      list->push_back({std::move(picture), std::move(place)});
    else
      others.push_back(path_ + ":" + shown);
  }

  const std::string& path_;
  std::vector<Found> clips, texts;
};

/// Folders that all pictures share are no classes.
void enter_common_folders(std::vector<Found>& pictures) {
  const auto shared = [&](const Found& f) {
    const size_t slash = f.rest().find('/');
    return slash != std::string_view::npos &&
           f.rest().find('/', slash + 1) != std::string_view::npos &&
           f.first() == pictures[0].first();
  };
  while (std::all_of(pictures.begin(), pictures.end(), shared))
    for (Found& f : pictures) f.enter();
}

}  // namespace

DataSplits open_archive(const std::string& path, bool parts, const DecodeLimits& limits) {
  ArchiveReader archive(path);
  DataSplits out;
  out.kind = archive.is_zip ? "zip" : "tar";
  out.ignored = std::move(archive.others);
  auto& pictures = archive.pictures;
  if (pictures.empty())
    fail(Error::Kind::data, {path, ": holds no pictures, no clips and no text files"});
  const std::string& one = pictures[0].place;
  const bool texts = is_text_name(one);
  const char* kind = texts ? " texts" : is_clip_name(one) ? " clips" : " pictures";
  enter_common_folders(pictures);
  parts = parts && std::any_of(pictures.begin(), pictures.end(), [](const Found& f) {
            return f.in_folder() && part_of_folder(std::string(f.first())) == train;
          });
  std::map<Part, std::vector<Found*>> of_part;
  std::set<std::string> names;
  for (Found& f : pictures) {
    const Part part = parts ? part_of_folder(std::string(f.first())) : train;
    if (parts && f.in_folder()) f.enter();
    if (part == none || !f.in_folder()) {
      out.ignored.push_back(path + ":" + f.entry.path);
      continue;
    }
    of_part[part].push_back(&f);
    if (part == train) names.emplace(f.first());
  }
  if (of_part[train].empty())
    fail(Error::Kind::data, {path, ": holds ", pictures.size(), kind, ", but no folder per class"});
  const std::vector<std::string> classes(names.begin(), names.end());
  for (auto& [part, list] : of_part) {
    if (list.empty()) continue;
    // In the order of an unpacked folder, so that both are split alike.
    std::sort(list.begin(), list.end(), [](const Found* a, const Found* b) {
      const std::string_view x = a->rest(), y = b->rest();
      return std::lexicographical_compare(
          x.begin(), x.end(), y.begin(), y.end(), [](char c, char d) {
            const auto place = [](char e) { return e == '/' ? 0 : int(uint8_t(e)); };
            return place(c) < place(d);
          });
    });
    std::vector<PictureEntry> entries;
    for (Found* f : list) {
      entries.push_back(std::move(f->entry));
      entries.back().label = class_index(classes, std::string(f->first()), path);
    }
    if (texts) {
      slot(out, part) = text_files(std::move(entries), classes, path, archive.owner);
      continue;
    }
    std::string remark = imagenet_remark(classes, static_cast<int64_t>(entries.size()));
    slot(out, part) = picture_dataset(std::move(entries), classes, limits, std::move(remark), path,
                                      archive.owner);
  }
  return out;
}

}  // namespace nacre::data
