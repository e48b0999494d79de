#include "base/text.h"
#include "importers/tflite.h"
#include "nacre/error.h"

namespace nacre {
namespace {

constexpr size_t kMostDimensions = 32;

/// What a buffer of the model holds; large ones lie behind the tables.
std::string_view data_of(const FlatTable& buffer, std::string_view file, std::string_view what) {
  const uint64_t offset = buffer.u64(1), size = buffer.u64(2);
  if (offset <= 1) return buffer.bytes(0);
  if (offset > file.size() || size > file.size() - offset)
    fail(Error::Kind::data, {what, " is cut short or damaged: a buffer lies beyond its end"});
  return file.substr(offset, size);
}

LiteTensor read_tensor(const FlatTable& t, const std::vector<FlatTable>& buffers,
                       std::string_view file, std::string_view what) {
  LiteTensor out;
  out.name = t.text(3);
  out.type = t.i8(1);
  out.shape = t.integers(0);
  out.sparse = static_cast<bool>(t.table(6));
  const auto wrong = [&](const char* why) {
    fail(Error::Kind::data, {what, ": tensor '", clip(printable(out.name), 100), "' ", why});
  };
  const auto open = t.integers(7);
  if (!open.empty() && open.size() == out.shape.size()) out.shape = open;
  if (out.shape.size() > kMostDimensions) wrong("has too many dimensions");
  for (const int64_t d : out.shape)
    if (d < -1) wrong("has an impossible shape");
  const auto buffer = static_cast<uint64_t>(t.u32(2));
  if (buffer >= buffers.size() && buffer) wrong("names a buffer that does not exist");
  if (buffer) out.data = data_of(buffers[buffer], file, what);
  const FlatTable q = t.table(4);
  out.scales = q.floats(2);
  if (q.i8(4)) wrong("has a quantisation of a kind that is not known");
  if (out.scales.empty()) return out;
  out.zeros = q.longs(3);
  if (out.zeros.empty()) out.zeros.assign(out.scales.size(), 0);
  out.axis = q.i32(6);
  if (out.zeros.size() == 1) out.zeros.resize(out.scales.size(), out.zeros[0]);
  if (out.zeros.size() != out.scales.size()) wrong("has other numbers of scales than of zeros");
  for (const float s : out.scales)
    if (!(s > 0 && s < 1e30f)) wrong("has a scale that is not positive");
  constexpr int64_t kByte = 3, kSigned = 9;  // TensorType of the schema
  const int64_t low = out.type == kByte ? 0 : out.type == kSigned ? -128 : -32768;
  const int64_t high = out.type == kByte ? 255 : out.type == kSigned ? 127 : 32767;
  for (const int64_t z : out.zeros)
    if (z < low || z > high) wrong("has an impossible zero point");
  if (out.scales.size() > 1 && (out.axis < 0 || out.axis >= std::ssize(out.shape) ||
                                out.shape[static_cast<size_t>(out.axis)] != std::ssize(out.scales)))
    wrong("has other numbers of scales than of channels");
  return out;
}

}  // namespace

Elem LiteTensor::elem() const {
  constexpr Elem types[] = {Elem::f32,       Elem::f16,       Elem::i32,       Elem::u8,
                            Elem::i64,       Elem::string,    Elem::boolean,   Elem::i16,
                            Elem::complex64, Elem::i8,        Elem::f64,       Elem::complex128,
                            Elem::u64,       Elem::undefined, Elem::undefined, Elem::u32,
                            Elem::u16,       Elem::i4,        Elem::bf16};
  const Elem e = type >= 0 && type < std::ssize(types) ? types[type] : Elem::undefined;
  switch (e) {
    case Elem::string:
      throw NoTranslation{"texts"};
    case Elem::i4:
      throw NoTranslation{"values of 4 bits"};
    case Elem::complex64:
    case Elem::complex128:
    case Elem::undefined:
      throw NoTranslation{cat({"values of TFLite's type ", type})};
    default:
      return e;
  }
}

LiteModel read_tflite(std::string_view bytes, std::string_view what) {
  if (bytes.size() < 8 || bytes.substr(4, 4) != "TFL3")
    fail(Error::Kind::data, {what, " is no TFLite model: it does not say TFL3 at its beginning"});
  const FlatTable model = FlatTable::root(bytes, what);
  const auto codes = model.tables(1), graphs = model.tables(2), buffers = model.tables(4);
  if (graphs.empty()) fail(Error::Kind::data, {what, " has no graph"});
  LiteModel out;
  for (const FlatTable& t : graphs[0].tables(0))
    out.tensors.push_back(read_tensor(t, buffers, bytes, what));
  const auto check = [&](const std::vector<int64_t>& list, int64_t least) {
    for (const int64_t t : list)
      if (t < least || t >= std::ssize(out.tensors))
        fail(Error::Kind::data, {what, " names tensor ", t, " of ", out.tensors.size()});
    return list;
  };
  out.inputs = check(graphs[0].integers(1), 0);
  out.outputs = check(graphs[0].integers(2), 0);
  for (const FlatTable& t : graphs[0].tables(3)) {
    LiteOperator op;
    const auto code = static_cast<uint64_t>(t.u32(0));
    if (code >= codes.size())
      fail(Error::Kind::data, {what, " names operator code ", code, " of ", codes.size()});
    // Codes beyond 127 came later, in a field of their own.
    op.code = std::max(codes[code].i8(0), codes[code].i32(3));
    op.custom = codes[code].text(1);
    op.inputs = check(t.integers(1), -1);
    op.outputs = check(t.integers(2), 0);
    op.options = t.table(4);
    if (op.outputs.empty()) fail(Error::Kind::data, {what, " has an operator that makes nothing"});
    out.operators.push_back(std::move(op));
  }
  return out;
}

}  // namespace nacre
