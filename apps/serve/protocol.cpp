#include "serve/protocol.h"

#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>
#include <set>

#include "nacre/error.h"
#include "serve/number_lists.h"

namespace nacre::serve {
namespace {

constexpr int64_t kMaxElements = int64_t{1} << 28;
constexpr size_t kMaxRank = 16, kMaxTensors = 256, kMaxName = 256, kMaxClasses = 1 << 20;

struct Named {
  std::string_view name;
  DType dtype;
};
constexpr Named kTypes[] = {{"FP32", DType::f32},  {"FP64", DType::f64},  {"FP16", DType::f16},
                            {"BF16", DType::bf16}, {"INT8", DType::i8},   {"UINT8", DType::u8},
                            {"INT32", DType::i32}, {"INT64", DType::i64}, {"BOOL", DType::boolean}};

[[noreturn]] void wrong(std::initializer_list<Piece> pieces) { fail(Error::Kind::data, pieces); }

const std::string& text_at(const Json& j, std::string_view field, const std::string& where) {
  const Json* v = j.find(field);
  if (!v) wrong({where, " has no field '", field, "'"});
  if (!v->is_text()) wrong({where, ".", field, " is ", v->kind_name(), ", it should be text"});
  return v->text();
}

std::string name_at(const Json& j, const std::string& where) {
  const std::string& name = text_at(j, "name", where);
  if (name.empty() || name.size() > kMaxName || name.find('\0') != name.npos)
    wrong({where, ".name should be a text of 1 to ", kMaxName, " bytes without zero bytes"});
  return name;
}

/// An object of parameters, or null if there is none.
const Json* parameters_of(const Json& j, const std::string& where) {
  const Json* p = j.find("parameters");
  if (!p || p->is_null()) return nullptr;
  if (!p->is_object())
    wrong({where, ".parameters is ", p->kind_name(), ", it should be an object"});
  return p;
}

std::optional<bool> flag_of(const Json* parameters, std::string_view name,
                            const std::string& where) {
  const Json* v = parameters ? parameters->find(name) : nullptr;
  if (!v) return {};
  if (v->kind() != Json::Kind::boolean)
    wrong({where, ".parameters.", name, " is ", v->kind_name(), ", it should be true or false"});
  return v->boolean();
}

int64_t count_of(const Json& v, const std::string& where, int64_t most) {
  if (v.kind() != Json::Kind::integer)
    wrong({where, " is ", v.kind_name(), ", it should be a whole number"});
  if (v.integer() < 0 || v.integer() > most)
    wrong({where, " is ", v.integer(), ", it should be 0 to ", most});
  return v.integer();
}

Shape shape_of(const Json& j, const std::string& where) {
  const Json* s = j.find("shape");
  if (!s) wrong({where, " has no field 'shape'"});
  if (!s->is_list()) wrong({where, ".shape is ", s->kind_name(), ", it should be a list"});
  if (s->size() > kMaxRank) wrong({where, ".shape has ", s->size(), " sizes, at most ", kMaxRank});
  Shape shape;
  int64_t elements = 1;
  for (size_t i = 0; i < s->size(); ++i) {
    const int64_t d = count_of(s->list()[i], cat({where, ".shape[", i, "]"}), kMaxElements);
    if (d > 0 && elements > kMaxElements / d)
      wrong({where, ".shape has more than ", kMaxElements, " elements"});
    elements *= d;
    shape.push_back(d);
  }
  return shape;
}

template <typename T>
void put(std::string& bytes, T v) {
  bytes.append(reinterpret_cast<const char*>(&v), sizeof v);
}

template <typename T>
void put_integer(std::string& bytes, const Json& v, const std::string& where) {
  int64_t i = 0;
  try {
    i = v.integer();
  } catch (const Error&) {
    wrong({where, " is no whole number"});
  }
  if (i < std::numeric_limits<T>::min() || i > std::numeric_limits<T>::max())
    wrong({where, " is ", i, ", which is out of the type's range"});
  put(bytes, static_cast<T>(i));
}

double real(const Json& v, const std::string& where) {
  try {
    return v.number();
  } catch (const Error&) {
    wrong({where, " is ", v.kind_name(), ", it should be a number"});
  }
}

void put_value(std::string& bytes, DType t, const Json& v, const std::string& where) {
  switch (t) {
    case DType::f32:
      return put(bytes, static_cast<float>(real(v, where)));
    case DType::f64:
      return put(bytes, real(v, where));
    case DType::f16:
      return put(bytes, f32_to_f16(static_cast<float>(real(v, where))));
    case DType::bf16:
      return put(bytes, f32_to_bf16(static_cast<float>(real(v, where))));
    case DType::i8:
      return put_integer<int8_t>(bytes, v, where);
    case DType::u8:
      return put_integer<uint8_t>(bytes, v, where);
    case DType::i32:
      return put_integer<int32_t>(bytes, v, where);
    case DType::i64:
      return put_integer<int64_t>(bytes, v, where);
    case DType::boolean:
      if (v.kind() == Json::Kind::integer && (v.integer() == 0 || v.integer() == 1))
        return put(bytes, static_cast<uint8_t>(v.integer()));
      if (v.kind() != Json::Kind::boolean) wrong({where, " should be true or false"});
      return put(bytes, static_cast<uint8_t>(v.boolean()));
  }
}

/// Data are one flat list, or lists nested as the shape says. The depth of JSON is bounded.
void put_values(std::string& bytes, DType t, const Json& list, const Shape& shape, int64_t level,
                const std::string& where) {
  const bool nested = list.size() > 0 && list.list()[0].is_list();
  if (nested) {
    if (level >= shape.rank() || static_cast<int64_t>(list.size()) != shape[level])
      wrong({where, " is nested in another way than the shape ", shape});
    for (const Json& part : list.list()) {
      if (!part.is_list()) wrong({where, " mixes lists and values"});
      put_values(bytes, t, part, shape, level + 1, where);
    }
    return;
  }
  if (level > 0 && (level != shape.rank() - 1 || static_cast<int64_t>(list.size()) != shape[level]))
    wrong({where, " is nested in another way than the shape ", shape});
  for (const Json& v : list.list()) put_value(bytes, t, v, where);
}

InferInput read_input(const Json& j, const std::string& where, std::string_view& rest,
                      const NumberLists& lists) {
  if (!j.is_object()) wrong({where, " is ", j.kind_name(), ", it should be an object"});
  InferInput in;
  in.name = name_at(j, where);
  in.dtype = dtype_of_name(text_at(j, "datatype", where), where);
  in.shape = shape_of(j, where);
  const auto elements = static_cast<size_t>(in.shape.numel());
  const size_t want = elements * size_of(in.dtype);
  const Json* parameters = parameters_of(j, where);
  const Json* data = j.find("data");
  if (const Json* size = parameters ? parameters->find("binary_data_size") : nullptr) {
    if (data) wrong({where, " has both data and parameters.binary_data_size"});
    const auto bytes = static_cast<size_t>(count_of(*size, where + ".parameters.binary_data_size",
                                                    std::numeric_limits<int64_t>::max()));
    if (bytes != want)
      wrong({where, ".parameters.binary_data_size is ", bytes, ", the shape ", in.shape, " takes ",
             want});
    if (bytes > rest.size())
      wrong({where, " wants ", bytes, " bytes, ", rest.size(), " are left in the body"});
    in.bytes = rest.substr(0, bytes);
    rest.remove_prefix(bytes);
    if (in.dtype == DType::boolean)  // kernels rely on 0 and 1
      for (char& c : in.bytes) c = c != 0;
    return in;
  }
  if (!data) wrong({where, " has neither data nor parameters.binary_data_size"});
  if (lists.has(*data)) {
    in.bytes.reserve(std::min<size_t>(want, 1 << 26));
    if (!lists.read(*data, in.dtype, in.bytes) || in.bytes.size() != want)
      wrong({where, ".data does not fit"});  // parse_infer() looks again, with a tree
    return in;
  }
  if (!data->is_list()) wrong({where, ".data is ", data->kind_name(), ", it should be a list"});
  if (in.dtype == DType::f16 || in.dtype == DType::bf16)
    wrong({where, ".datatype ", datatype_of(in.dtype), " has to be sent as binary data"});
  in.bytes.reserve(std::min(want, 16 * data->size() + 64));
  put_values(in.bytes, in.dtype, *data, in.shape, 0, where + ".data");
  if (in.bytes.size() != want)
    wrong({where, ".data has ", in.bytes.size() / size_of(in.dtype), " values, the shape ",
           in.shape, " takes ", elements});
  return in;
}

InferRequest::Output read_output(const Json& j, const std::string& where) {
  if (!j.is_object()) wrong({where, " is ", j.kind_name(), ", it should be an object"});
  InferRequest::Output out;
  out.name = name_at(j, where);
  const Json* parameters = parameters_of(j, where);
  out.binary = flag_of(parameters, "binary_data", where);
  if (const Json* k = parameters ? parameters->find("classification") : nullptr)
    out.classes = count_of(*k, where + ".parameters.classification", kMaxClasses);
  return out;
}

template <typename T>
T value_at(const std::string& bytes, size_t i) {
  T v;
  std::memcpy(&v, bytes.data() + i * sizeof v, sizeof v);
  return v;
}

void append_value(std::string& out, const InferOutput& o, size_t i, NotFinite how,
                  int64_t& not_finite) {
  char digits[24];
  const auto integer = [&](int64_t v) {
    out.append(digits, std::to_chars(digits, digits + sizeof digits, v).ptr);
  };
  switch (o.dtype) {
    case DType::f32:
      return append_number(out, value_at<float>(o.bytes, i), false, how, not_finite);
    case DType::f64:
      return append_number(out, value_at<double>(o.bytes, i), true, how, not_finite);
    case DType::f16:
      return append_number(out, f16_to_f32(value_at<uint16_t>(o.bytes, i)), false, how, not_finite);
    case DType::bf16:
      return append_number(out, bf16_to_f32(value_at<uint16_t>(o.bytes, i)), false, how,
                           not_finite);
    case DType::i8:
      return integer(value_at<int8_t>(o.bytes, i));
    case DType::u8:
      return integer(value_at<uint8_t>(o.bytes, i));
    case DType::i32:
      return integer(value_at<int32_t>(o.bytes, i));
    case DType::i64:
      return integer(value_at<int64_t>(o.bytes, i));
    case DType::boolean:
      out += o.bytes[i] ? "true" : "false";
  }
}

/// BYTES in binary form: each text behind its length.
std::string packed(const std::vector<std::string>& texts) {
  std::string bytes;
  for (const std::string& t : texts) {
    put(bytes, static_cast<uint32_t>(t.size()));
    bytes += t;
  }
  return bytes;
}

InferRequest read_request(const Json& j, std::string_view rest, const NumberLists& lists) {
  if (!j.is_object()) wrong({"the request is ", j.kind_name(), ", it should be an object"});
  InferRequest r;
  if (const Json* id = j.find("id")) {
    if (!id->is_text() || id->text().size() > kMaxName)
      wrong({"id should be a text of at most ", kMaxName, " bytes"});
    r.id = id->text();
  }
  r.binary =
      flag_of(parameters_of(j, "the request"), "binary_data_output", "the request").value_or(false);
  const Json* inputs = j.find("inputs");
  if (!inputs || !inputs->is_list()) wrong({"the request has no list 'inputs'"});
  if (inputs->size() > kMaxTensors)
    wrong({"inputs has ", inputs->size(), " entries, at most ", kMaxTensors});
  std::set<std::string> names;
  for (size_t i = 0; i < inputs->size(); ++i) {
    r.inputs.push_back(read_input(inputs->list()[i], cat({"inputs[", i, "]"}), rest, lists));
    if (!names.insert(r.inputs.back().name).second)
      wrong({"inputs[", i, "].name '", shown(r.inputs.back().name), "' is given twice"});
  }
  if (!rest.empty()) wrong({"the body has ", rest.size(), " bytes behind the last input"});
  if (const Json* outputs = j.find("outputs")) {
    if (!outputs->is_list() || outputs->size() > kMaxTensors)
      wrong({"outputs should be a list of at most ", kMaxTensors});
    names.clear();
    for (size_t i = 0; i < outputs->size(); ++i) {
      r.outputs.push_back(read_output(outputs->list()[i], cat({"outputs[", i, "]"})));
      if (!names.insert(r.outputs.back().name).second)
        wrong({"outputs[", i, "].name '", shown(r.outputs.back().name), "' is given twice"});
    }
  }
  return r;
}

}  // namespace

std::string shown(std::string_view text) {
  return text.size() > 60 ? std::string(text.substr(0, 60)) + "..." : std::string(text);
}

DType dtype_of_name(std::string_view name, std::string_view where) {
  for (const auto& [n, t] : kTypes)
    if (n == name) return t;
  for (const std::string_view other : {"INT16", "UINT16", "UINT32", "UINT64", "BYTES"})
    if (name == other)
      wrong({where, ".datatype ", name,
             " is none that models take here; there are BOOL, UINT8, "
             "INT8, INT32, INT64, FP16, BF16, FP32 and FP64"});
  wrong({where, ".datatype '", shown(name), "' does not exist; FP32, INT64 and others do"});
}

std::string_view datatype_of(DType t) {
  for (const auto& [n, type] : kTypes)
    if (type == t) return n;
  return "BYTES";
}

InferRequest parse_infer(std::string_view body, std::optional<std::string_view> json_bytes) {
  std::string_view rest;
  if (json_bytes) {
    size_t size = 0;
    const auto end =
        std::from_chars(json_bytes->data(), json_bytes->data() + json_bytes->size(), size);
    if (end.ec != std::errc() || end.ptr != json_bytes->data() + json_bytes->size())
      wrong({"the header inference-header-content-length is '", shown(*json_bytes),
             "', it should be a number"});
    if (size == 0 || size > body.size())
      wrong({"the header inference-header-content-length is ", size, ", it should be 1 to ",
             body.size(), ", the size of the body"});
    rest = body.substr(size);
    body = body.substr(0, size);
  }
  try {
    NumberLists lists(body);
    const Json j = parse_json(lists.rest(), "the request");
    if (lists.match(j)) return read_request(j, rest, lists);
  } catch (const Error&) {  // the tree below finds it too, and can say more
  }
  return read_request(parse_json(body, "the request"), rest, NumberLists(""));
}

void append_number(std::string& out, double v, bool f64, NotFinite how, int64_t& not_finite) {
  if (!std::isfinite(v)) {
    ++not_finite;
    if (how == NotFinite::refuse)
      fail(Error::Kind::numeric, {"the model gave values that are not finite"});
    if (how == NotFinite::null)
      out += "null";
    else
      out += std::isnan(v) ? "\"NaN\"" : v > 0 ? "\"Infinity\"" : "\"-Infinity\"";
    return;
  }
  char digits[40];
  const auto end = f64 ? std::to_chars(digits, digits + sizeof digits, v)
                       : std::to_chars(digits, digits + sizeof digits, static_cast<float>(v));
  out.append(digits, end.ptr);
}

void append_text(std::string& out, std::string_view text) { out += print_json(Json(text)); }

InferResponse write_infer(const std::string& model, const std::string& version,
                          const std::string& id, const std::vector<InferOutput>& outputs,
                          NotFinite how) {
  InferResponse r;
  std::string& out = r.body;
  std::string tail;
  bool binary = false;
  out = "{\"model_name\":";
  append_text(out, model);
  out += ",\"model_version\":";
  append_text(out, version);
  if (!id.empty()) {
    out += ",\"id\":";
    append_text(out, id);
  }
  out += ",\"outputs\":[";
  for (const InferOutput& o : outputs) {
    if (&o != &outputs[0]) out += ',';
    out += "{\"name\":";
    append_text(out, o.name);
    out += cat({",\"datatype\":\"", o.datatype, "\",\"shape\":["});
    for (int64_t i = 0; i < o.shape.rank(); ++i)
      out += cat({i ? "," : "", std::to_string(o.shape[i])});
    if (o.binary) {
      binary = true;
      const std::string bytes = o.datatype == "BYTES" ? packed(o.texts) : o.bytes;
      out += cat({"],\"parameters\":{\"binary_data_size\":", bytes.size(), "}}"});
      tail += bytes;
      continue;
    }
    out += "],\"data\":[";
    if (o.datatype == "BYTES") {
      for (size_t i = 0; i < o.texts.size(); ++i) {
        if (i) out += ',';
        append_text(out, o.texts[i]);
      }
    } else {
      const auto n = static_cast<size_t>(o.shape.numel());
      for (size_t i = 0; i < n; ++i) {
        if (i) out += ',';
        append_value(out, o, i, how, r.not_finite);
      }
    }
    out += "]}";
  }
  out += "]}";
  if (binary) {
    r.json_bytes = out.size();
    out += tail;
  }
  return r;
}

}  // namespace nacre::serve
