// GGUF, the files of llama.cpp (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md): "GGUF",
// version, counts, named values, descriptions of tensors, then their data, aligned.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <optional>
#include <set>

#include "base/json.h"
#include "base/text.h"
#include "formats/byte_cursor.h"
#include "formats/elements.h"
#include "formats/raw.h"
#include "nacre/error.h"
#include "nacre/weights.h"

namespace nacre {
namespace {

constexpr int64_t kBlock = 32;  // values that share a scale
constexpr uint64_t kMaxList = uint64_t{1} << 22;

float f16_at(const char* p) {
  uint16_t bits;
  std::memcpy(&bits, p, 2);
  return f16_to_f32(bits);
}

/// Value i of a block's nibbles: the lower halves of 16 bytes, then their upper halves.
int nibble(const char* p, int64_t i) {
  const auto byte = static_cast<uint8_t>(p[i % 16]);
  return i < 16 ? byte & 15 : byte >> 4;
}
int fifth_bit(const char* p, int64_t i) {
  uint32_t bits;
  std::memcpy(&bits, p, 4);
  return static_cast<int>(bits >> i & 1) << 4;
}

void q4_0(const char* p, float* to) {
  for (int64_t i = 0; i < kBlock; ++i) to[i] = f16_at(p) * static_cast<float>(nibble(p + 2, i) - 8);
}
void q4_1(const char* p, float* to) {
  for (int64_t i = 0; i < kBlock; ++i)
    to[i] = f16_at(p) * static_cast<float>(nibble(p + 4, i)) + f16_at(p + 2);
}
void q5_0(const char* p, float* to) {
  for (int64_t i = 0; i < kBlock; ++i)
    to[i] = f16_at(p) * static_cast<float>((nibble(p + 6, i) | fifth_bit(p + 2, i)) - 16);
}
void q5_1(const char* p, float* to) {
  for (int64_t i = 0; i < kBlock; ++i)
    to[i] = f16_at(p) * static_cast<float>(nibble(p + 8, i) | fifth_bit(p + 4, i)) + f16_at(p + 2);
}
void q8_0(const char* p, float* to) {
  for (int64_t i = 0; i < kBlock; ++i)
    to[i] = f16_at(p) * static_cast<float>(static_cast<int8_t>(p[2 + i]));
}

struct TypeInfo {
  uint32_t number;
  std::optional<Element> element;            ///< of types that are stored value by value
  uint64_t block_bytes = 0;                  ///< of quantised types
  void (*unpack)(const char*, float*) = {};  ///< one block
};
constexpr TypeInfo kGgufTypes[] = {
    {0, Element::f32},  {1, Element::f16},  {24, Element::i8},  {25, Element::i16},
    {26, Element::i32}, {27, Element::i64}, {28, Element::f64}, {30, Element::bf16},
    {2, {}, 18, q4_0},  {3, {}, 20, q4_1},  {6, {}, 22, q5_0},  {7, {}, 24, q5_1},
    {8, {}, 34, q8_0},
};

/// Names of the types that are only known by number, for messages.
std::string type_name(uint32_t number) {
  constexpr std::pair<uint32_t, const char*> names[] = {
      {10, "q2_K"},  {11, "q3_K"},    {12, "q4_K"},   {13, "q5_K"},   {14, "q6_K"},
      {15, "q8_K"},  {16, "iq2_xxs"}, {17, "iq2_xs"}, {20, "iq4_nl"}, {23, "iq4_xs"},
      {34, "tq1_0"}, {35, "tq2_0"},   {39, "mxfp4"}};
  for (const auto& [n, name] : names)
    if (n == number) return name;
  return cat({"type ", number});
}

class GgufReader : private ByteCursor<GgufReader> {
 public:
  GgufReader(std::string_view bytes, std::shared_ptr<const void> owner, std::string_view what)
      : ByteCursor(bytes), owner_(std::move(owner)), what_(what) {}

  Weights read() {
    at_ = 4;
    const auto version = get<uint32_t>();
    if (version < 2 || version > 3)
      fail(Error::Kind::unsupported, {what_, " is a GGUF file of version ", version,
                                      "; 2 and 3 are read, of little-endian machines"});
    const auto tensors = get<uint64_t>(), values = get<uint64_t>();
    if (tensors > all_.size() / 24 || values > all_.size() / 13)
      damaged(
          {"it claims ", tensors, " tensors and ", values, " values in ", all_.size(), " bytes"});
    const size_t first_value = at_;
    std::set<std::string_view> keys;
    for (uint64_t i = 0; i < values; ++i) {
      const auto key = text();
      if (!keys.insert(key).second)
        damaged({"it names the value '", clip(printable(key), 100), "' twice"});
      const auto type = get<uint32_t>();
      if (key == "general.alignment" && type == 4) {
        alignment_ = get<uint32_t>();
        if (!std::has_single_bit(alignment_) || alignment_ > 1 << 20)
          damaged({"its alignment is ", alignment_});
      } else {
        skip(type);
      }
    }
    std::vector<Tensor> list;
    std::set<std::string_view> names;
    for (uint64_t i = 0; i < tensors; ++i) {
      list.push_back(describe());
      if (!names.insert(list.back().name).second)
        damaged({"it names the tensor '", clip(printable(list.back().name), 100), "' twice"});
    }
    refuse_unknown(list);
    check_places(list);
    Weights out{"gguf", {}, {}};
    at_ = first_value;
    for (uint64_t i = 0; i < values; ++i) {
      const std::string key(text());
      out.metadata[key] = value(get<uint32_t>());
    }
    for (const Tensor& t : list) out.tensors.emplace_back(t.name, load(t));
    return out;
  }

 private:
  struct Tensor {
    std::string_view name;
    Shape shape;
    uint32_t number;
    const TypeInfo* type;
    uint64_t begin, bytes;
  };

  [[noreturn]] void damaged(std::initializer_list<Piece> why) const {
    fail(Error::Kind::data, {what_, " is not a valid GGUF file: ", cat(why)});
  }
  friend class ByteCursor<GgufReader>;
  [[noreturn]] void ends_early() const { damaged({"it ends early"}); }
  std::string_view text() { return take(get<uint64_t>()); }

  // ---- values
  static constexpr uint32_t kText = 8, kArray = 9;
  uint64_t width(uint32_t type) const {
    constexpr uint8_t sizes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    if (type >= std::size(sizes) || !sizes[type]) damaged({"a value has the type ", type});
    return sizes[type];
  }
  void skip(uint32_t type) {
    if (type == kText) {
      text();
    } else if (type == kArray) {
      const auto of = get<uint32_t>();
      const auto n = get<uint64_t>();
      if (n > all_.size()) damaged({"a list has ", n, " entries"});
      if (of == kText)
        for (uint64_t i = 0; i < n; ++i) text();
      else
        take(n * width(of));
    } else {
      take(width(type));
    }
  }
  Json number(uint32_t type) {
    switch (type) {
      case 0:
        return static_cast<int>(get<uint8_t>());
      case 1:
        return static_cast<int>(get<int8_t>());
      case 2:
        return static_cast<int>(get<uint16_t>());
      case 3:
        return static_cast<int>(get<int16_t>());
      case 4:
        return get<uint32_t>();
      case 5:
        return get<int32_t>();
      case 6:
        return get<float>();
      case 7:
        return get<uint8_t>() != 0;
      case 10:
        return get<uint64_t>();
      case 11:
        return get<int64_t>();
      default:
        return get<double>();
    }
  }
  std::string value(uint32_t type) {
    if (type == kText) return printable(text());
    if (type != kArray) return print_json(number(type));
    const auto of = get<uint32_t>();
    std::string list = "[";
    uint64_t n = get<uint64_t>();
    if (n > kMaxList) damaged({"a list has ", n, " entries, at most ", kMaxList, " are read"});
    for (; n > 0; --n)
      list += print_json(of == kText ? Json(text()) : number(of)) + (n > 1 ? "," : "");
    return list + "]";
  }

  // ---- tensors
  Tensor describe() {
    Tensor t{};
    t.name = text();
    const auto rank = get<uint32_t>();
    if (rank > 8) damaged({"a tensor has ", rank, " dimensions"});
    // The first size is that of neighbours in memory.
    std::vector<int64_t> sizes(rank);
    for (int64_t& size : sizes) size = get<int64_t>();
    for (size_t d = sizes.size(); d-- > 0;) t.shape.push_back(sizes[d]);
    t.number = get<uint32_t>();
    t.begin = get<uint64_t>();
    for (const TypeInfo& type : kGgufTypes)
      if (type.number == t.number) t.type = &type;
    return t;
  }
  void refuse_unknown(const std::vector<Tensor>& list) const {
    std::string names;
    size_t count = 0;
    for (const Tensor& t : list)
      if (!t.type && ++count <= 10)
        names += (names.empty() ? "" : ", ") + clip(printable(t.name), 80) + " (" +
                 type_name(t.number) + ")";
    if (count)
      fail(Error::Kind::unsupported,
           {what_, " holds ", count, " tensors of types that are not supported: ", names,
            count > 10 ? ", ..." : ""});
  }
  void check_places(std::vector<Tensor>& list) {
    at_ = (at_ + alignment_ - 1) / alignment_ * alignment_;
    const uint64_t start = std::min<uint64_t>(at_, all_.size()), there = all_.size() - start;
    std::vector<const Tensor*> order;
    for (Tensor& t : list) {
      const std::string name = clip(printable(t.name), 100);
      const uint64_t f32_bytes = checked_bytes(t.shape, DType::f64, cat({what_, ": '", name, "'"}));
      if (t.type->element) {
        t.bytes = f32_bytes / 8 * element_type(*t.type->element).size;
      } else {
        if (t.shape.rank() == 0 || t.shape[t.shape.rank() - 1] % kBlock)
          damaged({"'", name, "' of shape ", t.shape, " cannot lie in blocks of ", kBlock});
        t.bytes = f32_bytes / 8 / static_cast<uint64_t>(kBlock) * t.type->block_bytes;
      }
      if (t.begin % alignment_ || t.begin > there || t.bytes > there - t.begin)
        damaged({"'", name, "' is said to take ", t.bytes, " bytes at ", t.begin, " of ", there});
      t.begin += start;
      order.push_back(&t);
    }
    std::sort(order.begin(), order.end(),
              [](const Tensor* a, const Tensor* b) { return a->begin < b->begin; });
    for (size_t i = 1; i < order.size(); ++i)
      if (order[i]->begin < order[i - 1]->begin + order[i - 1]->bytes)
        damaged({"'", clip(printable(order[i]->name), 100), "' overlaps '",
                 clip(printable(order[i - 1]->name), 100), "'"});
  }
  RawTensor load(const Tensor& t) const {
    const std::string_view bytes = all_.substr(t.begin, t.bytes);
    if (t.type->element) {
      const ElementType& type = element_type(*t.type->element);
      if (!type.widen) return tensor_over(bytes, type.dtype, t.shape, owner_);
      RawTensor out{type.dtype, t.shape, nullptr, nullptr};
      char* to = allocate_tensor(out);
      gather_elements(bytes.data(), to, t.shape, contiguous_strides(t.shape), type, false);
      return out;
    }
    RawTensor out{DType::f32, t.shape, nullptr, nullptr};
    auto* to = reinterpret_cast<float*>(allocate_tensor(out));
    for (uint64_t at = 0; at < bytes.size(); at += t.type->block_bytes, to += kBlock)
      t.type->unpack(bytes.data() + at, to);
    return out;
  }

  std::shared_ptr<const void> owner_;
  std::string_view what_;
  uint32_t alignment_ = 32;
};

}  // namespace

Weights parse_gguf(std::string_view bytes, std::shared_ptr<const void> owner,
                   std::string_view what) {
  if (bytes.size() < 24 || !bytes.starts_with("GGUF"))
    fail(Error::Kind::data, {what, " is not a valid GGUF file: it does not start like one"});
  return GgufReader(bytes, std::move(owner), what).read();
}

}  // namespace nacre
