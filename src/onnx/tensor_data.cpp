#include "onnx/tensor_data.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/file.h"
#include "formats/wire.h"
#include "nacre/dtype.h"

namespace nacre::onnx {
namespace {

struct Descriptor {
  int fd = -1;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

/// Bits of one element in raw data.
int bits_of(Elem e) {
  switch (e) {
    case Elem::u2:
    case Elem::i2:
      return 2;
    case Elem::u4:
    case Elem::i4:
    case Elem::f4e2m1:
      return 4;
    case Elem::f6e2m3:
    case Elem::f6e3m2:
      return 6;
    case Elem::u8:
    case Elem::i8:
    case Elem::boolean:
    case Elem::f8e4m3fn:
    case Elem::f8e4m3fnuz:
    case Elem::f8e5m2:
    case Elem::f8e5m2fnuz:
    case Elem::f8e8m0:
      return 8;
    case Elem::u16:
    case Elem::i16:
    case Elem::f16:
    case Elem::bf16:
      return 16;
    case Elem::f32:
    case Elem::i32:
    case Elem::u32:
      return 32;
    default:
      return 64;
  }
}

/// The layout of a float8, float6 or float4 type with a sign.
struct Small {
  int exponent, mantissa, bias;
  bool infinite;  ///< all exponent bits set stand for infinity and NaN
  bool no_minus_zero;
};
Small layout_of(Elem e) {
  switch (e) {
    case Elem::f8e4m3fn:
      return {4, 3, 7, false, false};
    case Elem::f8e4m3fnuz:
      return {4, 3, 8, false, true};
    case Elem::f8e5m2:
      return {5, 2, 15, true, false};
    case Elem::f8e5m2fnuz:
      return {5, 2, 16, false, true};
    case Elem::f6e2m3:
      return {2, 3, 1, false, false};
    case Elem::f6e3m2:
      return {3, 2, 3, false, false};
    default:
      return {2, 1, 1, false, false};  // f4e2m1
  }
}

float largest_of(Elem e) {
  switch (e) {
    case Elem::f8e4m3fn:
      return 448;
    case Elem::f8e4m3fnuz:
      return 240;
    case Elem::f8e5m2:
    case Elem::f8e5m2fnuz:
      return 57344;
    case Elem::f6e2m3:
      return 7.5F;
    case Elem::f6e3m2:
      return 28;
    default:
      return 6;
  }
}

[[noreturn]] void wrong(const TensorProto& t, const DataSource& source, std::string_view why) {
  fail(Error::Kind::data,
       {source.what, ": tensor '", t.name, "' (", name_of(t.type), " ", Shape(t.dims), ") ", why});
}

/// Elements of the tensor; its bytes in raw form fit in 62 bits.
int64_t count_of(const TensorProto& t, const DataSource& source) {
  int64_t nonzero = 1;
  bool empty = false;
  for (int64_t d : t.dims) {
    empty = empty || d == 0;
    if (d && __builtin_mul_overflow(nonzero, d, &nonzero)) nonzero = INT64_MAX;
    if (nonzero > INT64_MAX / 128) wrong(t, source, "has more elements than memory can hold");
  }
  return empty ? 0 : nonzero;
}

/// Widens raw little-endian elements into the storage of the type.
void widen(Elem e, std::string_view raw, int64_t n, char* out) {
  const auto each = [&]<typename From, typename To>(From, To) {
    for (int64_t k = 0; k < n; ++k) {
      From v;
      std::memcpy(&v, raw.data() + k * static_cast<int64_t>(sizeof(From)), sizeof(From));
      const To w = static_cast<To>(v);
      std::memcpy(out + k * static_cast<int64_t>(sizeof(To)), &w, sizeof(To));
    }
  };
  // Types of less than a byte follow each other, low bits first.
  const int64_t bits = bits_of(e);
  const auto code = [&](int64_t k) {
    const auto at = static_cast<size_t>(k * bits / 8);
    unsigned two = static_cast<unsigned char>(raw[at]);
    if (at + 1 < raw.size()) two |= unsigned{static_cast<unsigned char>(raw[at + 1])} << 8;
    return two >> (k * bits % 8) & ((1u << bits) - 1);
  };
  switch (e) {
    case Elem::u16:
      return each(uint16_t{}, int32_t{});
    case Elem::i16:
      return each(int16_t{}, int32_t{});
    case Elem::u32:
      return each(uint32_t{}, int64_t{});
    case Elem::u4:
    case Elem::u2:
      for (int64_t k = 0; k < n; ++k) out[k] = static_cast<char>(code(k));
      return;
    case Elem::i4:
    case Elem::i2: {
      const int half = 1 << (bits - 1);
      for (int64_t k = 0; k < n; ++k)
        out[k] = static_cast<char>((static_cast<int>(code(k)) ^ half) - half);
      return;
    }
    case Elem::f4e2m1:
    case Elem::f8e4m3fn:
    case Elem::f8e4m3fnuz:
    case Elem::f8e5m2:
    case Elem::f8e5m2fnuz:
    case Elem::f8e8m0:
    case Elem::f6e2m3:
    case Elem::f6e3m2:
      for (int64_t k = 0; k < n; ++k) {
        const float v = float8(e, static_cast<uint8_t>(code(k)));
        std::memcpy(out + 4 * k, &v, 4);
      }
      return;
    case Elem::boolean:
      for (int64_t k = 0; k < n; ++k) out[k] = raw[static_cast<size_t>(k)] != 0;
      return;
    default:
      if (n) std::memcpy(out, raw.data(), static_cast<size_t>(n * bits_of(e) / 8));
  }
}

/// Raw bytes of a tensor whose data stand in one of the lists of numbers.
std::string raw_of_lists(const TensorProto& t, int64_t n, const DataSource& source) {
  const bool f32 = t.type == Elem::f32, f64 = t.type == Elem::f64;
  const uint32_t field = f32                                          ? 4
                         : f64                                        ? 10
                         : t.type == Elem::i64                        ? 7
                         : t.type == Elem::u64 || t.type == Elem::u32 ? 11
                                                                      : 5;
  // Elements are counted first, so that memory is taken only for what is there.
  const int bits = bits_of(t.type);
  const int64_t entries = bits < 6 ? (n * bits + 7) / 8 : n;  // float6 are one to an entry
  int64_t have = 0;
  for (WireReader r(t.body, source.what); r.next();) {
    if (r.field() != field) continue;
    if (f32 || f64)
      have += static_cast<int64_t>(r.wire_size()) / (f32 ? 4 : 8);
    else
      r.integers([&](int64_t) { ++have; });
  }
  if (have != entries)
    wrong(t, source, cat({"has ", have, have == 1 ? " value" : " values", ", not ", entries}));
  const auto width = static_cast<size_t>(bits < 8 ? 1 : bits / 8);
  std::string raw;
  raw.reserve(static_cast<size_t>(entries) * width);
  std::vector<float> reals;
  std::vector<double> reals64;
  for (WireReader r(t.body, source.what); r.next();) {
    if (r.field() != field) continue;
    if (f32) {
      reals.clear();
      r.reals(reals);
      raw.append(reinterpret_cast<const char*>(reals.data()), reals.size() * 4);
    } else if (f64) {
      reals64.clear();
      r.reals64(reals64);
      raw.append(reinterpret_cast<const char*>(reals64.data()), reals64.size() * 8);
    } else {
      r.integers([&](int64_t v) { raw.append(reinterpret_cast<const char*>(&v), width); });
    }
  }
  if (bits != 6) return raw;
  std::string packed(static_cast<size_t>((n * 6 + 7) / 8), '\0');
  for (size_t k = 0; k < raw.size(); ++k)
    for (size_t b = 0; b < 6; ++b)
      if (raw[k] >> b & 1) packed[(6 * k + b) / 8] |= static_cast<char>(1 << (6 * k + b) % 8);
  return packed;
}

/// A power of 2 without a sign, by its exponent; 255 is NaN.
float round_to_e8m0(float v, bool saturate, std::string_view mode) {
  const auto bits = std::bit_cast<uint32_t>(v);
  const uint32_t exponent = bits >> 23 & 255, fraction = bits & 0x7fffff;
  if (exponent == 255) return std::numeric_limits<float>::quiet_NaN();
  // Halves go up, but those of the smallest number.
  const bool nearest = fraction > 0x400000 || (fraction == 0x400000 && exponent > 0);
  const bool up = mode == "up" ? fraction > 0 : mode == "nearest" && nearest;
  const bool stays = !up || (saturate && exponent == 254);
  return float8(Elem::f8e8m0, static_cast<uint8_t>(exponent + (stays ? 0 : 1)));
}

}  // namespace

float float8(Elem type, uint8_t bits) {
  if (type == Elem::f8e8m0)
    return bits == 255 ? std::numeric_limits<float>::quiet_NaN() : std::ldexp(1.0F, bits - 127);
  const Small s = layout_of(type);
  const int sign = bits >> (s.exponent + s.mantissa) & 1;
  const int e = bits >> s.mantissa & ((1 << s.exponent) - 1), m = bits & ((1 << s.mantissa) - 1);
  const bool top = e == (1 << s.exponent) - 1;
  const float nan = std::numeric_limits<float>::quiet_NaN();
  if (s.no_minus_zero && bits == 0x80) return nan;
  if (s.infinite && top) return m ? nan : sign ? -INFINITY : INFINITY;
  if (type == Elem::f8e4m3fn && top && m == 7) return nan;
  const double v = e ? std::ldexp(1 + std::ldexp(m, -s.mantissa), e - s.bias)
                     : std::ldexp(m, 1 - s.bias - s.mantissa);
  return static_cast<float>(sign ? -v : v);
}

float round_to(Elem type, float v, bool saturate, std::string_view mode) {
  if (type == Elem::f8e8m0) return round_to_e8m0(v, saturate, mode);
  const Small s = layout_of(type);
  // Types without NaN and infinity have -0 and their largest number in place of them.
  const bool finite = s.exponent + s.mantissa < 7;
  if (std::isnan(v)) return finite ? -0.0F : v;
  saturate = saturate || finite;
  const float largest = largest_of(type);
  const float beyond = s.infinite ? INFINITY : std::numeric_limits<float>::quiet_NaN();
  if (std::isinf(v)) {
    if (saturate) return std::copysign(largest, v);
    return s.infinite ? v : beyond;
  }
  // Steps between neighbours are 2^(exponent - mantissa bits), no finer than those of subnormals.
  int exponent = 0;
  std::frexp(v, &exponent);
  const int step = std::max(exponent - 1, 1 - s.bias) - s.mantissa;
  const auto rounded = static_cast<float>(std::ldexp(std::nearbyint(std::ldexp(v, -step)), step));
  if (std::abs(rounded) > largest) {
    if (saturate) return std::copysign(largest, v);
    return s.infinite ? std::copysign(INFINITY, v) : beyond;
  }
  return rounded == 0 && s.no_minus_zero ? 0.0f : rounded;
}

std::string read_inside(const std::string& folder, const std::string& location, int64_t offset,
                        int64_t length) {
  std::string shown = location.substr(0, 200);
  for (char& ch : shown)
    if (static_cast<unsigned char>(ch) < 32) ch = '?';
  const auto refuse = [&](std::string_view why) {
    fail(Error::Kind::data, {"external data '", shown, "' ", why});
  };
  if (folder.empty()) refuse("are not read: the model is not a file");
  if (location.empty()) refuse("have no location");
  if (location.front() == '/') refuse("have an absolute path, outside of the model's folder");
  if (location.find('\0') != std::string::npos) refuse("have a zero byte in their path");
  Descriptor at{::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (at.fd < 0) fail(Error::Kind::io, {"cannot open ", folder, ": ", reason_of(errno)});
  // One component after the other, none of them a link.
  for (size_t from = 0; from <= location.size();) {
    const size_t to = std::min(location.find('/', from), location.size());
    const std::string part = location.substr(from, to - from);
    const bool last = to == location.size();
    from = to + 1;
    if (part.empty() || part == ".") {
      if (last) refuse("are a folder");
      continue;
    }
    if (part == "..") refuse("lead out of the model's folder");
    const int flags = O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | (last ? 0 : O_DIRECTORY);
    const int next = ::openat(at.fd, part.c_str(), flags);
    if (next < 0 && (errno == ELOOP || errno == ENOTDIR)) refuse("are reached through a link");
    if (next < 0) refuse(cat({"cannot be opened: ", reason_of(errno)}));
    ::close(at.fd);
    at.fd = next;
  }
  struct stat info;
  if (::fstat(at.fd, &info) != 0) refuse(cat({"cannot be read: ", reason_of(errno)}));
  if (!S_ISREG(info.st_mode)) refuse("are not a regular file");
  if (info.st_nlink != 1) refuse("are a file with several names (a hard link)");
  if (length < 0) length = std::max<int64_t>(0, info.st_size - offset);
  if (offset > info.st_size || length > info.st_size - offset)
    refuse(cat({"are said to take ", length, " bytes from byte ", offset, ", the file has ",
                int64_t{info.st_size}}));
  std::string bytes(static_cast<size_t>(length), '\0');
  for (int64_t done = 0; done < length;) {
    const ssize_t n =
        ::pread(at.fd, bytes.data() + done, static_cast<size_t>(length - done), offset + done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0)
      fail(Error::Kind::io, {"cannot read external data '", shown,
                             "': ", n < 0 ? reason_of(errno) : "the file became shorter"});
    done += n;
  }
  return bytes;
}

Value decode(const TensorProto& t, const DataSource& source) {
  const int64_t n = count_of(t, source);
  if (t.type == Elem::string) {
    std::vector<std::string> text;
    for (WireReader r(t.body, source.what); r.next();)
      if (r.field() == 6) text.emplace_back(r.bytes());
    if (static_cast<int64_t>(text.size()) != n)
      wrong(t, source, cat({"has ", text.size(), " texts, not ", n}));
    return Value::strings(Shape(t.dims), std::move(text));
  }
  const DType dtype = storage_of(t.type);
  const int64_t want = (n * bits_of(t.type) + 7) / 8;
  std::string held;
  std::string_view raw;
  bool is_raw = false;
  if (t.external) {
    if (t.length >= 0 && t.length != want)
      wrong(t, source, cat({"has ", t.length, " bytes of external data, not ", want}));
    held = read_inside(source.folder, t.location, t.offset, want);
    raw = held;
  } else {
    for (WireReader r(t.body, source.what); r.next();)
      if (r.field() == 9) raw = r.bytes(), is_raw = true;
    if (!is_raw || (raw.empty() && n)) held = raw_of_lists(t, n, source), raw = held;
  }
  if (static_cast<int64_t>(raw.size()) != want)
    wrong(t, source, cat({"has ", raw.size(), " bytes of data, not ", want}));
  if (bits_of(t.type) == 8 * static_cast<int>(size_of(dtype)) && t.type != Elem::boolean)
    return {Tensor::from_bytes(raw.data(), raw.size(), Shape(t.dims), dtype), t.type};
  std::string wide(static_cast<size_t>(n) * size_of(dtype), '\0');
  widen(t.type, raw, n, wide.data());
  return {Tensor::from_bytes(wide.data(), wide.size(), Shape(t.dims), dtype), t.type};
}

Value bits_as(const Value& v, Elem to) {
  const auto plain = [](Elem e) {
    return bits_of(e) == 8 * static_cast<int>(size_of(storage_of(e))) || e == Elem::u16 ||
           e == Elem::i16 || e == Elem::u32;
  };
  const DType dtype = storage_of(to);
  const auto n = static_cast<size_t>(v.shape().numel());
  const auto width = static_cast<size_t>(bits_of(to)) / 8;
  if (v.is_strings() || !plain(v.elem()) || !plain(to) || bits_of(v.elem()) != bits_of(to))
    fail(Error::Kind::data, {"the bits of ", v.str(), " are not taken for ", name_of(to)});
  // Storage is little-endian: the low bytes are the element.
  const size_t held = size_of(v.tensor().dtype());
  const char* from = static_cast<const char*>(v.tensor().data());
  std::string raw(n * width, '\0'), wide(n * size_of(dtype), '\0');
  for (size_t k = 0; k < n; ++k) std::memcpy(raw.data() + k * width, from + k * held, width);
  widen(to, raw, static_cast<int64_t>(n), wide.data());
  return {Tensor::from_bytes(wide.data(), wide.size(), v.shape(), dtype), to};
}

Value decode(const SparseTensorProto& t, const DataSource& source) {
  TensorProto dense = t.values;
  dense.dims = t.dims;
  const int64_t n = count_of(dense, source);
  const Value values = decode(t.values, source), indices = decode(t.indices, source);
  if (!values.is_tensor() || indices.elem() != Elem::i64)
    wrong(dense, source, "is sparse with values or indices of a wrong type");
  const int64_t stored = values.tensor().numel();
  // A file of a few bytes must not ask for gigabytes.
  if (n > (int64_t{1} << 24) + 4096 * stored)
    wrong(dense, source, cat({"is sparse with only ", stored, " values"}));
  const std::vector<int64_t> at = indices.tensor().to_vector<int64_t>();
  const auto rank = static_cast<int64_t>(t.dims.size());
  const bool flat = indices.shape().rank() == 1;
  if (indices.shape().numel() != (flat ? stored : stored * rank))
    wrong(dense, source,
          cat({"has indices of shape ", indices.shape(), " for ", stored, " values"}));
  const size_t width = size_of(values.tensor().dtype());
  const char* from = static_cast<const char*>(values.tensor().data());
  std::string bytes(static_cast<size_t>(n) * width, '\0');
  for (int64_t k = 0; k < stored; ++k) {
    int64_t place = flat ? at[static_cast<size_t>(k)] : 0;
    bool ok = true;
    for (int64_t d = 0; !flat && d < rank; ++d) {
      const int64_t i = at[static_cast<size_t>(k * rank + d)],
                    size = t.dims[static_cast<size_t>(d)];
      ok = ok && i >= 0 && i < size;
      place = ok ? place * size + i : 0;
    }
    if (!ok || place < 0 || place >= n) wrong(dense, source, "has an index outside of its shape");
    std::memcpy(bytes.data() + static_cast<size_t>(place) * width,
                from + static_cast<size_t>(k) * width, width);
  }
  return {Tensor::from_bytes(bytes.data(), bytes.size(), Shape(t.dims), values.tensor().dtype()),
          t.values.type};
}

}  // namespace nacre::onnx
