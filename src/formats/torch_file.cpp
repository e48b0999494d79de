#include "formats/torch_file.h"

#include <algorithm>
#include <cstring>

#include "base/text.h"
#include "base/zip.h"
#include "nacre/error.h"

namespace nacre {
namespace {

constexpr std::string_view kTorchMagic("\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", 12);
constexpr uint64_t kTarBlock = 512;

[[noreturn]] void damaged(std::string_view what, std::string_view why) {
  fail(Error::Kind::data, {what, " is not a valid PyTorch checkpoint: ", why});
}

uint64_t most_values(uint64_t bytes) { return 700'000 + bytes / 32; }

/// Storages of a file without types of their own say how many bytes they have.
uint64_t width_of(std::string_view type, std::string_view what) {
  constexpr std::pair<std::string_view, uint64_t> sizes[] = {
      {"DoubleStorage", 8},   {"FloatStorage", 4},        {"HalfStorage", 2},
      {"BFloat16Storage", 2}, {"LongStorage", 8},         {"IntStorage", 4},
      {"ShortStorage", 2},    {"CharStorage", 1},         {"ByteStorage", 1},
      {"BoolStorage", 1},     {"ComplexFloatStorage", 8}, {"ComplexDoubleStorage", 16}};
  for (const auto& [name, size] : sizes)
    if (name == type) return size;
  fail(Error::Kind::unsupported,
       {what, " holds a ", clip(printable(type), 60), ", which is not supported"});
}

// ---- zip

TorchFile read_archive(std::string_view bytes, std::string_view what) {
  TorchFile file;
  file.spare = bytes.size() + (uint64_t{64} << 20);
  std::map<std::string, const ZipEntry*, std::less<>> entries;
  const std::vector<ZipEntry> list = read_zip(bytes, what);
  std::string top;
  for (const ZipEntry& e : list) {
    const std::string path = "/" + e.name + "/";
    if (e.name.starts_with('/') || path.find("/../") != path.npos ||
        e.name.find('\\') != e.name.npos)
      damaged(what, cat({"its entry '", clip(printable(e.name), 100), "' leads out of it"}));
    entries.emplace(e.name, &e);
    // Everything lies in one folder, which has the name of the file.
    if (e.name == "data.pkl" || (top.empty() && e.name.ends_with("/data.pkl")))
      top = e.name.substr(0, e.name.size() - 8);
  }
  const auto content = [&](const ZipEntry& e) -> std::string_view {
    if (!e.deflated) {
      check_stored(e, what);
      return e.packed;
    }
    if (e.size > file.spare)
      damaged(what, cat({"'", clip(printable(e.name), 100), "' unpacks to ", e.size, " bytes"}));
    file.spare -= e.size;
    const auto text = std::make_shared<const std::string>(unpack(e, what));
    file.unpacked.push_back(text);
    return *text;
  };
  const auto pickle = entries.find(top + "data.pkl");
  if (pickle == entries.end()) damaged(what, "the archive has no data.pkl");
  std::string_view text = content(*pickle->second);
  file.pickle = std::make_unique<Pickle>(text, what, most_values(bytes.size()));
  if (!text.empty()) damaged(what, "data.pkl goes on after its end");
  if (const auto order = entries.find(top + "byteorder"); order != entries.end()) {
    const std::string_view name = content(*order->second);
    if (name != "little" && name != "big") damaged(what, "its byte order has no known name");
    file.big_endian = name == "big";
  }
  if (!file.pickle->unknown().empty()) return file;  // refused before data are looked at
  for (const Pickle::Storage& s : file.pickle->storages()) {
    if (file.storages.contains(s.key)) continue;
    const auto at = entries.find(top + "data/" + s.key);
    if (at == entries.end())
      damaged(what, cat({"storage '", clip(printable(s.key), 60), "' is missing"}));
    file.storages[s.key].bytes = content(*at->second);
  }
  return file;
}

// ---- the plain form: magic number, version, system, object, keys of storages, storages

TorchFile read_plain(std::string_view bytes, std::string_view what) {
  TorchFile file;
  const uint64_t most = most_values(bytes.size());
  file.spare = bytes.size() + (uint64_t{64} << 20);
  std::string_view rest = bytes;
  Pickle magic(rest, what, most), version(rest, what, most), system(rest, what, most);
  if (version.integer(version.root()) != 1001) damaged(what, "its version is not 1001");
  const auto about = system.items(system.root());
  for (size_t i = 0; i + 1 < about.size(); i += 2)
    if (system.kind(about[i]) == Pickle::Kind::text && system.text(about[i]) == "little_endian")
      file.big_endian = !system.integer(about[i + 1]);
  file.pickle = std::make_unique<Pickle>(rest, what, most);
  if (!file.pickle->unknown().empty()) return file;
  Pickle keys(rest, what, most);
  std::map<std::string_view, const Pickle::Storage*> types;
  for (const auto& s : file.pickle->storages()) types.emplace(s.key, &s);
  for (const Pickle::Id id : keys.items(keys.root())) {
    const std::string key = keys.name(id);
    const auto at = types.find(key);
    if (at == types.end()) damaged(what, "it holds a storage that nothing uses");
    if (rest.size() < 8) damaged(what, "it ends before its storages do");
    uint64_t count;
    std::memcpy(&count, rest.data(), 8);
    if (file.big_endian) count = __builtin_bswap64(count);
    rest.remove_prefix(8);
    const uint64_t width = width_of(at->second->type, what);
    if (count > rest.size() / width) damaged(what, "it ends before its storages do");
    if (!file.storages.emplace(key, TorchStorage{rest.substr(0, count * width), {}}).second)
      damaged(what, "it holds a storage twice");
    rest.remove_prefix(count * width);
  }
  if (!rest.empty()) damaged(what, cat({"it goes on for ", rest.size(), " bytes after its end"}));
  return file;
}

// ---- the tar form: files "storages", "tensors" and "pickle"

bool looks_like_tar(std::string_view bytes) {
  if (bytes.size() < 2 * kTarBlock) return false;
  uint64_t sum = 0, want = 0;
  for (size_t i = 0; i < kTarBlock; ++i)
    sum += i >= 148 && i < 156 ? ' ' : static_cast<uint8_t>(bytes[i]);
  for (const char c : bytes.substr(148, 6))
    if (c >= '0' && c <= '7') want = want * 8 + static_cast<uint64_t>(c - '0');
  return bytes[0] && sum == want;
}

std::map<std::string_view, std::string_view> read_tar(std::string_view bytes,
                                                      std::string_view what) {
  std::map<std::string_view, std::string_view> files;
  while (bytes.size() >= kTarBlock && bytes[0]) {
    if (!looks_like_tar(cat({bytes.substr(0, kTarBlock), std::string(kTarBlock, '\0')})))
      damaged(what, "a header of the tar archive is damaged");
    uint64_t size = 0;
    for (const char c : bytes.substr(124, 11))
      if (c >= '0' && c <= '7') size = size * 8 + static_cast<uint64_t>(c - '0');
    const std::string_view name = bytes.substr(0, std::min<size_t>(100, bytes.find('\0')));
    const bool plain = bytes[156] == '0' || bytes[156] == '\0';
    bytes.remove_prefix(kTarBlock);
    if (size > bytes.size()) damaged(what, "the tar archive is cut short");
    if (plain && !files.emplace(name, bytes.substr(0, size)).second)
      damaged(what, "the tar archive holds a name twice");
    bytes.remove_prefix(std::min<uint64_t>(bytes.size(), (size + kTarBlock - 1) / kTarBlock * 512));
  }
  return files;
}

TorchFile read_tarred(std::string_view bytes, std::string_view what) {
  TorchFile file;
  const uint64_t most = most_values(bytes.size());
  file.spare = bytes.size() + (uint64_t{64} << 20);
  auto files = read_tar(bytes, what);
  for (const std::string_view name : {"storages", "tensors", "pickle"})
    if (!files.contains(name)) damaged(what, cat({"the tar archive has no file '", name, "'"}));
  std::string_view rest = files["pickle"];
  file.pickle = std::make_unique<Pickle>(rest, what, most);
  if (!file.pickle->unknown().empty()) return file;

  const auto number = [&]<typename T>(T) {
    if (rest.size() < sizeof(T)) damaged(what, "it ends before its tensors do");
    T v;
    std::memcpy(&v, rest.data(), sizeof(T));
    rest.remove_prefix(sizeof(T));
    return v;
  };
  const auto count_of = [&] {
    const Pickle p(rest, what, most);
    const int64_t n = p.integer(p.root());
    if (n < 0 || static_cast<uint64_t>(n) > rest.size()) damaged(what, "it ends early");
    return n;
  };
  rest = files["storages"];
  for (int64_t n = count_of(); n > 0; --n) {
    const Pickle p(rest, what, most);
    const auto about = p.items(p.root());
    if (about.size() != 3) damaged(what, "a storage is not described");
    std::string type = p.name(about[2]);
    type.erase(0, type.rfind('.') + 1);
    const auto count = number(uint64_t{});
    const uint64_t width = width_of(type, what);
    if (count > rest.size() / width) damaged(what, "it ends before its storages do");
    if (!file.storages.emplace(p.name(about[0]), TorchStorage{rest.substr(0, count * width), type})
             .second)
      damaged(what, "it holds a storage twice");
    rest.remove_prefix(count * width);
  }
  const Pickle views(rest, what, most);
  for (const Pickle::Id id : views.items(views.root())) {
    const auto v = views.items(id);
    if (v.size() != 4) damaged(what, "a view is not described");
    const auto root = file.storages.find(views.name(v[1]));
    if (root == file.storages.end()) damaged(what, "a view has no storage");
    const uint64_t width = width_of(root->second.type, what);
    const uint64_t all = root->second.bytes.size() / width;
    const int64_t from = views.integer(v[2]), count = views.integer(v[3]);
    if (from < 0 || count < 0 || static_cast<uint64_t>(from) > all ||
        static_cast<uint64_t>(count) > all - static_cast<uint64_t>(from))
      damaged(what, "a view leads out of its storage");
    const TorchStorage view{root->second.bytes.substr(static_cast<uint64_t>(from) * width,
                                                      static_cast<uint64_t>(count) * width),
                            root->second.type};
    file.storages.insert_or_assign(views.name(v[0]), view);
  }
  rest = files["tensors"];
  for (int64_t n = count_of(); n > 0; --n) {
    const Pickle p(rest, what, most);
    const auto about = p.items(p.root());
    if (about.size() != 3) damaged(what, "a tensor is not described");
    TorchFile::Outside t{p.name(about[1]), {}};
    const auto rank = number(int32_t{});
    number(int32_t{});
    if (rank < 0 || rank > 32) damaged(what, cat({"a tensor has ", rank, " dimensions"}));
    for (int d = 0; d < rank; ++d) t.tensor.shape.push_back(number(int64_t{}));
    for (int d = 0; d < rank; ++d) t.tensor.strides.push_back(number(int64_t{}));
    t.tensor.offset = number(int64_t{});
    file.outside.insert_or_assign(p.name(about[0]), std::move(t));
  }
  return file;
}

}  // namespace

bool is_old_torch_file(std::string_view bytes) {
  // A magic number in a pickle of protocol 2 or later, or a tar archive.
  return (bytes.size() > 14 && bytes[0] == '\x80' && bytes.substr(2, 12) == kTorchMagic) ||
         (bytes.size() > 23 && bytes[0] == '\x80' && bytes.substr(2, 1) == "\x95" &&
          bytes.substr(11, 12) == kTorchMagic) ||
         looks_like_tar(bytes);
}

TorchFile read_torch_file(std::string_view bytes, std::string_view what) {
  if (bytes.starts_with("PK")) return read_archive(bytes, what);
  if (!is_old_torch_file(bytes)) damaged(what, "it does not start like one");
  return bytes[0] == '\x80' ? read_plain(bytes, what) : read_tarred(bytes, what);
}

}  // namespace nacre
