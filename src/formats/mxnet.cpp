// MXNet's .params files (NDArray::Save): a magic number, the arrays, then their names.
#include <algorithm>
#include <iterator>

#include "base/text.h"
#include "formats/byte_cursor.h"
#include "formats/elements.h"
#include "formats/raw.h"
#include "nacre/error.h"
#include "nacre/weights.h"

namespace nacre {
namespace {

constexpr uint64_t kList = 0x112;
constexpr uint32_t kVersion1 = 0xF993FAC8, kVersion2 = 0xF993FAC9, kVersion3 = 0xF993FACA;

class MxnetReader : private ByteCursor<MxnetReader> {
 public:
  MxnetReader(std::string_view bytes, std::shared_ptr<const void> owner, std::string_view what)
      : ByteCursor(bytes), owner_(std::move(owner)), what_(what) {}

  Weights read() {
    if (left() < 24 || get<uint64_t>() != kList || get<uint64_t>() != 0)
      damaged({"it does not start like one"});
    const auto count = get<uint64_t>();
    if (count > left() / 16) damaged({"it claims ", count, " arrays"});
    Weights out{"mxnet", {}, {}};
    for (uint64_t i = 0; i < count; ++i) out.tensors.emplace_back(std::to_string(i), array());
    const auto names = get<uint64_t>();
    if (names != 0 && names != count) damaged({"it has ", count, " arrays and ", names, " names"});
    for (uint64_t i = 0; i < names; ++i) {
      std::string name(take(get<uint64_t>()));
      // "arg:" stands before weights, "aux:" before running statistics.
      if (name.starts_with("arg:") || name.starts_with("aux:")) name.erase(0, 4);
      out.tensors[i].first = std::move(name);
    }
    if (left()) damaged({"it goes on for ", left(), " bytes after its end"});
    std::vector<std::string_view> sorted;
    for (const auto& [name, tensor] : out.tensors) sorted.push_back(name);
    std::sort(sorted.begin(), sorted.end());
    const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
    if (twice != sorted.end()) damaged({"it names '", clip(printable(*twice), 100), "' twice"});
    return out;
  }

 private:
  [[noreturn]] void damaged(std::initializer_list<Piece> why) const {
    fail(Error::Kind::data, {what_, " is not a valid MXNet file of arrays: ", cat(why)});
  }
  friend class ByteCursor<MxnetReader>;
  [[noreturn]] void ends_early() const { damaged({"it ends early"}); }

  RawTensor array() {
    const auto magic = get<uint32_t>();
    // Before version 1 a file has the number of sizes here, and sizes of 32 bits.
    const bool old = magic < kVersion1;
    if (magic > kVersion3) damaged({"an array has the unknown version ", magic});
    if (magic >= kVersion2)
      if (const auto kind = get<int32_t>(); kind != 0)
        fail(Error::Kind::unsupported, {what_, " holds a sparse array, which is not supported"});
    const uint32_t rank = old ? magic : get<uint32_t>();
    if (rank > 32) damaged({"an array has ", rank, " dimensions"});
    Shape shape;
    for (uint32_t d = 0; d < rank; ++d)
      shape.push_back(old ? static_cast<int64_t>(get<uint32_t>()) : get<int64_t>());
    // An array of no dimensions was never filled, except in version 3, where it is a scalar.
    if (rank == 0 && magic != kVersion3) return tensor_over({}, DType::f32, {0}, owner_);
    get<int32_t>();  // the device and its number
    get<int32_t>();
    const auto number = get<int32_t>();
    constexpr Element types[] = {Element::f32, Element::f64, Element::f16, Element::u8,
                                 Element::i32, Element::i8,  Element::i64, Element::boolean,
                                 Element::i16, Element::u16, Element::u32, Element::u64,
                                 Element::bf16};
    if (number < 0 || number >= std::ssize(types))
      damaged({"an array has the unknown type ", number});
    const ElementType& type = element_type(types[number]);
    // Both sizes fit if that in memory, which is not smaller, does.
    const uint64_t bytes =
        checked_bytes(shape, type.dtype, what_) / size_of(type.dtype) * type.size;
    const std::string_view data = take(bytes);
    if (!type.widen) return tensor_over(data, type.dtype, shape, owner_);
    RawTensor out{type.dtype, shape, nullptr, nullptr};
    char* to = allocate_tensor(out);
    gather_elements(data.data(), to, shape, contiguous_strides(shape), type, false);
    return out;
  }

  std::shared_ptr<const void> owner_;
  std::string_view what_;
};

}  // namespace

Weights parse_mxnet(std::string_view bytes, std::shared_ptr<const void> owner,
                    std::string_view what) {
  return MxnetReader(bytes, std::move(owner), what).read();
}

}  // namespace nacre
