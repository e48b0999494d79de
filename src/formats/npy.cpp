// NumPy arrays: "\x93NUMPY", version, header length, a Python dict of descr, fortran_order and
// shape, then the data. A .npz is a zip of them.
#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>
#include <functional>
#include <optional>
#include <set>

#include "base/file.h"
#include "base/gzip.h"
#include "base/text.h"
#include "base/zip.h"
#include "formats/elements.h"
#include "formats/raw.h"
#include "nacre/error.h"

namespace nacre {
namespace {

constexpr std::string_view kNpyMagic = "\x93NUMPY";
constexpr size_t kNpyHeaderCap = 65536;

struct Header {
  std::string descr;
  bool fortran_order = false;
  Shape shape;
};

/// The three fields of the header's dict, in any order and spacing.
class HeaderParser {
 public:
  HeaderParser(std::string_view text, std::string_view what) : text_(text), what_(what) {}

  Header parse() {
    Header header;
    std::set<std::string> seen;
    want('{');
    while (!take('}')) {
      const std::string key = string();
      want(':');
      if (!seen.insert(key).second) damaged("names '" + key + "' twice");
      if (key == "descr") {
        if (peek() == '[')
          fail(Error::Kind::unsupported, {what_, " holds records, which are not supported"});
        header.descr = string();
      } else if (key == "fortran_order") {
        header.fortran_order = boolean();
      } else if (key == "shape") {
        header.shape = tuple();
      } else {
        damaged("names the unknown field '" + clip(printable(key), 40) + "'");
      }
      if (!take(',') && peek() != '}') damaged("is not a Python dict");
    }
    if (seen.size() != 3) damaged("lacks descr, fortran_order or shape");
    skip();
    if (at_ != text_.size()) damaged("goes on after its end");
    return header;
  }

 private:
  [[noreturn]] void damaged(const std::string& why) const {
    fail(Error::Kind::data, {what_, " is not a valid .npy array: its header ", why});
  }
  void skip() { at_ = std::min(text_.find_first_not_of(" \t\n\r", at_), text_.size()); }
  char peek() {
    skip();
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool take(char c) {
    if (peek() != c) return false;
    ++at_;
    return true;
  }
  void want(char c) {
    if (!take(c)) damaged("is not a Python dict");
  }
  std::string string() {
    const char quote = peek();
    if (quote != '\'' && quote != '"') damaged("is not a Python dict");
    const size_t end = text_.find(quote, at_ + 1);
    if (end == text_.npos) damaged("has a string without an end");
    std::string s(text_.substr(at_ + 1, end - at_ - 1));
    at_ = end + 1;
    return s;
  }
  bool boolean() {
    skip();
    for (const auto& [word, value] : {std::pair{"True", true}, {"False", false}})
      if (text_.substr(at_).starts_with(word)) {
        at_ += std::strlen(word);
        return value;
      }
    damaged("has a fortran_order other than True and False");
  }
  Shape tuple() {
    Shape shape;
    want('(');
    while (!take(')')) {
      int64_t size = 0;
      peek();
      const auto done = std::from_chars(text_.data() + at_, text_.data() + text_.size(), size);
      if (done.ec != std::errc() || size < 0 || shape.size() >= 32) damaged("has a bad shape");
      at_ = static_cast<size_t>(done.ptr - text_.data());
      take('L');  // long integers of Python 2
      shape.push_back(size);
      if (!take(',') && peek() != ')') damaged("has a bad shape");
    }
    return shape;
  }

  std::string_view text_, what_;
  size_t at_ = 0;
};

/// NumPy's name of an element type, without the byte order.
struct FileType {
  std::string_view code;
  Element element;
};

constexpr FileType kNpyTypes[] = {
    {"f4", Element::f32}, {"f8", Element::f64}, {"f2", Element::f16}, {"i1", Element::i8},
    {"u1", Element::u8},  {"i4", Element::i32}, {"i8", Element::i64}, {"b1", Element::boolean},
    {"i2", Element::i16}, {"u2", Element::u16}, {"u4", Element::u32}, {"u8", Element::u64},
};

const ElementType& type_of(const std::string& descr, bool& swapped, std::string_view what) {
  const char order = descr.empty() ? '?' : descr[0];
  swapped = order == '>';
  for (const FileType& t : kNpyTypes) {
    const ElementType& type = element_type(t.element);
    if ((order == '<' || order == '>' || order == '=' || (order == '|' && type.size == 1)) &&
        descr.substr(1) == t.code)
      return type;
  }
  const std::string shown = clip(printable(descr), 40);
  if (descr.find('O') != descr.npos)
    fail(Error::Kind::unsupported, {what, " holds Python objects (", shown,
                                    "), which are not loaded because that would run their code"});
  fail(Error::Kind::unsupported,
       {what, " holds elements of type '", shown, "', which is not supported"});
}

/// Steps, in elements of the file, of each dimension.
Shape steps_of(const Header& header) {
  Shape steps = contiguous_strides(header.shape);
  if (!header.fortran_order) return steps;
  int64_t step = 1;
  for (int64_t d = 0; d < steps.rank(); ++d) steps[d] = step, step *= header.shape[d];
  return steps;
}

/// Everything before the data of an array.
std::string header_of(const RawTensor& array, std::string_view what) {
  const auto type =
      std::find_if(std::begin(kNpyTypes), std::end(kNpyTypes), [&](const FileType& t) {
        const ElementType& e = element_type(t.element);
        return e.dtype == array.dtype && !e.widen;
      });
  if (type == std::end(kNpyTypes))
    fail(Error::Kind::unsupported,
         {"cannot write ", what, ": NumPy has no ", array.dtype, "; convert the array to f32"});
  std::string dict = "{'descr': '";
  dict += element_type(type->element).size == 1 ? '|' : '<';
  const std::string sizes = array.shape.list();
  dict += std::string(type->code) + "', 'fortran_order': False, 'shape': (" +
          sizes.substr(1, sizes.size() - 2) + (array.shape.rank() == 1 ? ",), }" : "), }");
  // Data starts at a multiple of 64; the header ends with a newline.
  dict.append(63 - (10 + dict.size()) % 64, ' ');
  dict += '\n';
  std::string out(kNpyMagic);
  out += '\1';
  out += '\0';
  out += static_cast<char>(dict.size() & 255);
  out += static_cast<char>(dict.size() >> 8);
  return out + dict;
}

std::string_view data_of(const RawTensor& array) {
  return {static_cast<const char*>(array.data), array.bytes()};
}

}  // namespace

RawTensor parse_npy(std::string_view bytes, std::shared_ptr<const void> owner,
                    std::string_view what) {
  const auto damaged = [&](std::initializer_list<Piece> why) {
    fail(Error::Kind::data, {what, " is not a valid .npy array: ", cat(why)});
  };
  if (bytes.size() < 12 || !bytes.starts_with(kNpyMagic)) damaged({"it does not start like one"});
  const int version = static_cast<unsigned char>(bytes[6]);
  if (version < 1 || version > 3) damaged({"version ", version, " is not known"});
  uint32_t length = 0;
  const size_t start = version == 1 ? 10 : 12;
  std::memcpy(&length, bytes.data() + 8, start - 8);
  if (length > kNpyHeaderCap || length > bytes.size() - start)
    damaged({"its header claims ", length, " bytes of the ", bytes.size(), " that exist"});
  const Header header = HeaderParser(bytes.substr(start, length), what).parse();
  bool swapped = false;
  const ElementType& type = type_of(header.descr, swapped, what);
  const std::string_view data = bytes.substr(start + length);
  // The wider of both types bounds both sizes.
  const uint64_t wide = checked_bytes(header.shape, type.dtype, what);
  const uint64_t needed = wide / size_of(type.dtype) * type.size;
  if (needed != data.size())
    damaged({"shape ", header.shape.list(), " of ", header.descr, " takes ", needed,
             " bytes, the file has ", data.size()});

  const bool reorder = header.fortran_order && header.shape.rank() > 1;
  if (type.size == 1) swapped = false;
  if (!swapped && !reorder && !type.widen)
    return tensor_over(data, type.dtype, header.shape, owner);
  RawTensor tensor{type.dtype, header.shape, nullptr, nullptr};
  char* to = allocate_tensor(tensor);
  try {
    gather_elements(data.data(), to, header.shape, steps_of(header), type, swapped);
  } catch (const Error& e) {
    fail(e.kind(), {what, ": ", e.what()});
  }
  // Once more for booleans other than 0 and 1.
  return tensor_over({to, tensor.bytes()}, type.dtype, header.shape, tensor.owner);
}

RawTensor load_npy(const std::string& path) {
  const auto map = MappedFile::open(path);
  return parse_npy(map->bytes(), map, path);
}

std::vector<NamedTensor> parse_npz(std::string_view bytes, std::shared_ptr<const void> owner,
                                   std::string_view what, uint64_t byte_cap) {
  const std::vector<ZipEntry> entries = read_zip(bytes, what);
  byte_cap = most_unpacked(bytes.size(), byte_cap);
  uint64_t total = 0;
  for (const ZipEntry& e : entries) {
    if (!e.name.ends_with(".npy"))
      fail(Error::Kind::unsupported,
           {what, " holds '", clip(printable(e.name), 100), "', which is not an array"});
    if (e.size > byte_cap - total)
      fail(Error::Kind::data, {what, " unpacks to more than the limit of ", byte_cap, " bytes"});
    total += e.size;
  }
  std::vector<NamedTensor> arrays;
  for (const ZipEntry& e : entries) {
    const std::string name = e.name.substr(0, e.name.size() - 4);
    const std::string label = cat({what, ": '", clip(printable(name), 100), "'"});
    if (e.deflated) {
      const auto content = std::make_shared<const std::string>(unpack(e, what));
      arrays.emplace_back(name, parse_npy(*content, content, label));
    } else {
      check_stored(e, what);
      arrays.emplace_back(name, parse_npy(e.packed, owner, label));
    }
  }
  return arrays;
}

std::vector<NamedTensor> load_npz(const std::string& path, uint64_t byte_cap) {
  const auto map = MappedFile::open(path);
  return parse_npz(map->bytes(), map, path, byte_cap);
}

void save_npy(const std::string& path, const RawTensor& array) {
  const std::string header = header_of(array, path);
  AtomicFile file(path);
  file.write(header);
  file.write(data_of(array));
  file.commit();
}

void save_npz(const std::string& path, std::span<const NamedTensor> arrays, bool compress) {
  std::set<std::string_view> names;
  std::vector<std::string> headers;
  for (const auto& [name, array] : arrays) {
    if (name.size() > 60'000 || !names.insert(name).second)
      fail(Error::Kind::usage, {"cannot write ", path, ": the name '", clip(printable(name), 100),
                                "' stands twice or is too long"});
    headers.push_back(header_of(array, cat({path, ": '", name, "'"})));
  }
  AtomicFile file(path);
  ZipWriter zip(file);
  for (size_t i = 0; i < arrays.size(); ++i)
    zip.add(arrays[i].first + ".npy", headers[i], data_of(arrays[i].second), compress);
  zip.finish();
  file.commit();
}

}  // namespace nacre
