// Eight bytes of header length, a JSON header {"name": {"dtype", "shape", "data_offsets"}, ...,
// "__metadata__": {text: text}}, then the data without gaps.
//
// Files written here have in their metadata "nacre.crc32c": eight hexadecimal digits of the header
// with zeros in their place, a colon, and eight for each tensor in the order of the data.
#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstring>
#include <numeric>
#include <set>

#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/text.h"
#include "formats/elements.h"
#include "formats/raw.h"
#include "nacre/error.h"

namespace nacre {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr uint64_t kHeaderLimit = 100'000'000;  // the reference implementation's own limit
constexpr size_t kMostTensors = 120'000;
constexpr JsonLimits kLimits = {
    .bytes = kHeaderLimit, .depth = 4, .values = 50'000, .text = 8 << 20};
constexpr const char* kChecksums = "nacre.crc32c";
constexpr size_t kDigits = 8;  // of a checksum

struct TypeName {
  std::string_view name;
  Element element;
};
constexpr TypeName kTypeNames[] = {
    {"F32", Element::f32}, {"F64", Element::f64},         {"BF16", Element::bf16},
    {"F16", Element::f16}, {"I8", Element::i8},           {"U8", Element::u8},
    {"I32", Element::i32}, {"I64", Element::i64},         {"BOOL", Element::boolean},
    {"I16", Element::i16}, {"U16", Element::u16},         {"U32", Element::u32},
    {"U64", Element::u64}, {"F8_E4M3", Element::f8_e4m3}, {"F8_E5M2", Element::f8_e5m2}};

const ElementType* find_type(std::string_view name) {
  for (const TypeName& t : kTypeNames)
    if (t.name == name) return &element_type(t.element);
  return nullptr;
}

std::string_view type_name(DType dtype) {
  return std::find_if(std::begin(kTypeNames), std::end(kTypeNames),
                      [&](const TypeName& t) {
                        const ElementType& type = element_type(t.element);
                        return type.dtype == dtype && !type.widen;
                      })
      ->name;
}

/// One tensor as the header describes it.
struct Entry {
  std::string name;
  const ElementType* type;
  Shape shape;
  uint64_t begin, end;
};

uint64_t offset_of(const Json& value, uint64_t data_bytes) {
  const int64_t v = value.integer();
  if (v < 0 || static_cast<uint64_t>(v) > data_bytes)
    fail(Error::Kind::data, {"offset ", v, " lies outside the ", data_bytes, " bytes of data"});
  return static_cast<uint64_t>(v);
}

Entry read_entry(const Json& json, const ElementType& type, uint64_t data_bytes) {
  Entry e{"", &type, {}, 0, 0};
  const auto& sizes = json.at("shape").list();
  if (sizes.size() > 32) fail(Error::Kind::data, {sizes.size(), " dimensions"});
  for (const Json& size : sizes) e.shape.push_back(size.integer());
  const auto& offsets = json.at("data_offsets").list();
  if (offsets.size() != 2)
    fail(Error::Kind::data, {"data_offsets has ", offsets.size(), " numbers instead of 2"});
  e.begin = offset_of(offsets[0], data_bytes);
  e.end = offset_of(offsets[1], data_bytes);
  // In memory an element may be wider.
  const uint64_t bytes =
      checked_bytes(e.shape, type.dtype, "the tensor") / size_of(type.dtype) * type.size;
  if (e.end < e.begin || e.end - e.begin != bytes)
    fail(Error::Kind::data, {"shape ", e.shape.list(), " of ", type.name, " takes ", bytes,
                             " bytes, data_offsets [", e.begin, ", ", e.end, "] do not fit"});
  return e;
}

std::string_view bytes_of(const RawTensor& t) {
  return {static_cast<const char*>(t.data), t.bytes()};
}

std::string digits(uint32_t checksum) {
  char text[kDigits + 1];
  std::snprintf(text, sizeof(text), "%08x", checksum);
  return text;
}

/// The stored checksum of a tensor; less than eight digits if there is none.
std::string_view checksum_at(std::string_view checksums, size_t tensor) {
  const size_t at = kDigits + 1 + kDigits * tensor;
  return checksums.substr(std::min(at, checksums.size()), kDigits);
}

/// Puts the header's own checksum in the place of its digits, which `checksums` begins with. False
/// if the header does not have them.
bool sign_header(std::string& header, const std::string& checksums) {
  const std::string field = cat({"\"", kChecksums, "\": \""});
  const size_t at = header.find(field + checksums);
  if (at == std::string::npos) return false;
  header.replace(at + field.size(), kDigits, kDigits, '0');
  header.replace(at + field.size(), kDigits, digits(crc32c(header)));
  return true;
}

/// Throws Error(data) if a header has changed.
void check_header(std::string_view text, const std::string& checksums, std::string_view what) {
  std::string again(text);
  if (!sign_header(again, checksums) || again != text)
    fail(Error::Kind::data,
         {what, " is damaged: its header does not fit the checksum in '", kChecksums,
          "' of its metadata (programs that change a file have to remove that)"});
}

void check_values(const Entry& entry, std::string_view bytes, std::string_view stored,
                  std::string_view what) {
  const std::string found = digits(crc32c(bytes));
  if (found != stored)
    fail(Error::Kind::data, {what, " is damaged: the values of '", clip(printable(entry.name), 100),
                             "' have the checksum ", found, ", stored is ", printable(stored)});
}

RawTensor tensor_of(const Entry& e, std::string_view bytes,
                    const std::shared_ptr<const void>& owner, std::string_view what) {
  if (!e.type->widen) return tensor_over(bytes, e.type->dtype, e.shape, owner);
  RawTensor out{e.type->dtype, e.shape, nullptr, nullptr};
  char* to = allocate_tensor(out);
  try {
    gather_elements(bytes.data(), to, e.shape, contiguous_strides(e.shape), *e.type, false);
  } catch (const Error& error) {
    fail(error.kind(), {what, ": '", clip(printable(e.name), 100), "': ", error.what()});
  }
  return out;
}

}  // namespace

SafeTensors SafeTensors::parse(std::string_view bytes, std::shared_ptr<const void> owner,
                               std::string_view what) {
  SafeTensors file;
  file.what_ = what;
  const auto damaged = [&](std::initializer_list<Piece> why) {
    fail(Error::Kind::data, {what, " is not a valid safetensors file: ", cat(why)});
  };
  if (bytes.size() < 8) damaged({"it has only ", bytes.size(), " bytes"});
  uint64_t header_bytes;
  std::memcpy(&header_bytes, bytes.data(), 8);
  if (header_bytes > kHeaderLimit || header_bytes > bytes.size() - 8)
    damaged({"its header claims ", header_bytes, " bytes of the ", bytes.size(), " that exist"});
  const std::string_view header_text = bytes.substr(8, header_bytes);
  const std::string_view data = bytes.substr(8 + header_bytes);
  if (!header_text.starts_with('{')) damaged({"its header does not start with '{'"});
  // Of a header with many tensors only the entries are kept, not the JSON.
  std::vector<Entry> entries;
  std::string unknown;
  size_t unknown_count = 0;
  const auto take = [&](std::string name, Json json) {
    try {
      if (name == "__metadata__") {
        for (auto& [key, value] : json.fields()) file.metadata_[key] = value.text();
        return;
      }
      const std::string& type = json.at("dtype").text();
      if (const ElementType* known = find_type(type)) {
        entries.push_back(read_entry(json, *known, data.size()));
        entries.back().name = std::move(name);
      } else if (++unknown_count <= 10) {
        unknown += (unknown.empty() ? "" : ", ") + clip(printable(name), 80) + " (" +
                   clip(printable(type), 20) + ")";
      }
    } catch (const Error& e) {
      damaged({"'", clip(printable(name), 100), "': ", e.what()});
    }
    if (entries.size() > kMostTensors) damaged({"it has more than ", kMostTensors, " tensors"});
  };
  parse_json_fields(header_text, cat({"the header of ", what}), take, kLimits);
  const auto metadata = file.metadata_.find(kChecksums);
  const std::string* checksums = metadata == file.metadata_.end() ? nullptr : &metadata->second;
  if (checksums) check_header(header_text, *checksums, what);
  if (unknown_count)
    fail(Error::Kind::unsupported,
         {what, " holds ", unknown_count, " tensors of types that are not supported: ", unknown,
          unknown_count > 10 ? ", ..." : ""});

  // Sorted by place, each tensor must begin where the one before it ends.
  std::stable_sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  file.by_name_.resize(entries.size());
  std::iota(file.by_name_.begin(), file.by_name_.end(), 0);
  const auto name = [&](uint32_t k) -> const std::string& { return entries[k].name; };
  std::sort(file.by_name_.begin(), file.by_name_.end(),
            [&](uint32_t a, uint32_t b) { return name(a) < name(b); });
  const auto twice = std::adjacent_find(file.by_name_.begin(), file.by_name_.end(),
                                        [&](uint32_t a, uint32_t b) { return name(a) == name(b); });
  if (twice != file.by_name_.end())
    damaged({"'", clip(printable(name(*twice)), 100), "' stands twice"});
  uint64_t place = 0;
  file.tensors_.reserve(entries.size());
  for (Entry& e : entries) {
    if (e.begin != place)
      damaged({"'", clip(printable(e.name), 100), "' begins at ", e.begin, " where ", place,
               e.begin < place ? " is expected: tensors overlap" : " is expected: there is a gap"});
    place = e.end;
    const std::string_view bytes = data.substr(e.begin, e.end - e.begin);
    if (checksums) check_values(e, bytes, checksum_at(*checksums, file.tensors_.size()), what);
    RawTensor tensor = tensor_of(e, bytes, owner, what);
    file.tensors_.emplace_back(std::move(e.name), std::move(tensor));
  }
  if (place != data.size())
    damaged({"its tensors take ", place, " of ", data.size(), " bytes of data"});
  file.metadata_.erase(kChecksums);
  return file;
}

SafeTensors SafeTensors::open(const std::string& path) {
  const auto map = MappedFile::open(path);
  return parse(map->bytes(), map, path);
}

const RawTensor* SafeTensors::find(std::string_view name) const {
  const auto it = std::lower_bound(
      by_name_.begin(), by_name_.end(), name,
      [&](uint32_t k, std::string_view wanted) { return tensors_[k].first < wanted; });
  return it == by_name_.end() || tensors_[*it].first != name ? nullptr : &tensors_[*it].second;
}

const RawTensor& SafeTensors::at(std::string_view name) const {
  if (const RawTensor* t = find(name)) return *t;
  fail(Error::Kind::data, {what_, " has no tensor '", clip(printable(name), 100), "'"});
}

void save_safetensors(const std::string& path, std::span<const NamedTensor> tensors,
                      const std::map<std::string, std::string>& metadata) {
  std::vector<const NamedTensor*> order;
  std::set<std::string_view> names{"__metadata__"};
  for (const NamedTensor& t : tensors) {
    if (!names.insert(t.first).second)
      fail(Error::Kind::usage, {"cannot write ", path, ": two tensors are named '", t.first, "'"});
    order.push_back(&t);
  }
  std::sort(order.begin(), order.end(), [](const NamedTensor* a, const NamedTensor* b) {
    const size_t x = size_of(a->second.dtype), y = size_of(b->second.dtype);
    return x != y ? x > y : a->first < b->first;
  });
  Json header = Json::object();
  std::string checksums(kDigits, '0');
  checksums += ':';
  for (const NamedTensor* t : order) checksums += digits(crc32c(bytes_of(t->second)));
  Json& texts = header["__metadata__"] = Json::object({{kChecksums, checksums}});
  for (const auto& [key, value] : metadata)
    if (key != kChecksums) texts.fields().emplace_back(key, value);
  uint64_t place = 0;
  for (const NamedTensor* t : order) {
    Json shape = Json::array();
    for (int64_t d : t->second.shape) shape.push_back(d);
    const uint64_t end = place + t->second.bytes();
    header.fields().emplace_back(
        t->first, Json::object({{"dtype", type_name(t->second.dtype)},
                                {"shape", std::move(shape)},
                                {"data_offsets", Json::array({Json(place), Json(end)})}}));
    place = end;
  }
  std::string text = print_json(header);
  text.append((64 - (8 + text.size()) % 64) % 64, ' ');
  try {
    if (order.size() > kMostTensors)
      fail(Error::Kind::usage, {"there are more than ", kMostTensors, " tensors"});
    parse_json_fields(
        text, "the header", [](const std::string&, const Json&) {}, kLimits);
  } catch (const Error& e) {
    fail(Error::Kind::usage, {"cannot write ", path, ": ", e.what()});
  }
  sign_header(text, checksums);
  const uint64_t length = text.size();
  AtomicFile file(path);
  file.write({reinterpret_cast<const char*>(&length), 8});
  file.write(text);
  for (const NamedTensor* t : order) file.write(bytes_of(t->second));
  file.commit();
}

}  // namespace nacre
