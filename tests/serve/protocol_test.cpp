// Bodies of the Open Inference Protocol without a server.
#include "serve/protocol.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "base/json.h"
#include "nacre/error.h"

namespace nacre::serve {
namespace {

std::string mistake(const std::string& body, std::optional<std::string_view> header = {}) {
  try {
    parse_infer(body, header);
  } catch (const Error& e) {
    EXPECT_EQ(static_cast<int>(e.kind()), static_cast<int>(Error::Kind::data));
    return e.what();
  }
  return "none";
}

std::string input(const std::string& fields) { return "{\"inputs\":[{" + fields + "}]}"; }

TEST(InferRequest, ReadsEveryType) {
  struct Case {
    const char *type, *data;
    std::string bytes;
  };
  const auto raw = [](auto... v) {
    std::string s;
    (s.append(reinterpret_cast<const char*>(&v), sizeof v), ...);
    return s;
  };
  const Case cases[] = {
      {"FP32", "[1.5,-2]", raw(1.5f, -2.f)},
      {"FP64", "[[1.5],[-2]]", raw(1.5, -2.)},
      {"INT8", "[-128,127]", raw(int8_t{-128}, int8_t{127})},
      {"UINT8", "[0,255]", raw(uint8_t{0}, uint8_t{255})},
      {"INT32", "[-7,7]", raw(int32_t{-7}, int32_t{7})},
      {"INT64", "[-9223372036854775808,1]", raw(INT64_MIN, int64_t{1})},
      {"BOOL", "[true,0]", raw(uint8_t{1}, uint8_t{0})},
  };
  for (const Case& c : cases) {
    const auto r = parse_infer(input(std::string("\"name\":\"a\",\"shape\":[2,1],\"datatype\":\"") +
                                     c.type + "\",\"data\":" + c.data),
                               {});
    ASSERT_EQ(r.inputs.size(), 1u) << c.type;
    EXPECT_EQ(r.inputs[0].bytes, c.bytes) << c.type;
    EXPECT_EQ(r.inputs[0].shape, Shape({2, 1}));
    EXPECT_EQ(datatype_of(r.inputs[0].dtype), c.type);
  }
}

/// Long lists of numbers are read without a tree; an escape in a text makes the reader use one.
TEST(InferRequest, LongListsAreReadAsTheTreeReadsThem) {
  const char* odd[] = {"0",    "1e2",  "1E-3", "123456789012", "0.1", "-7.25", "1e39",  "01",
                       ".5",   "1.",   "+1",   "--1",          "1e",  "true",  "null",  "\"NaN\"",
                       "[1]",  "",     "1,,2", "1 2",          "128", "-129",  "3e400", "5e-324",
                       "0x10", "1e+2", "{}",   "2147483648"};
  int same = 0;
  for (const char* type : {"FP32", "FP64", "INT8", "UINT8", "INT32", "INT64"})
    for (const char* value : odd)
      for (const char* space : {"", " ", "\n\t "}) {
        std::string list;
        for (int i = 0; i < 200; ++i) list += cat({i ? "," : "", space, i == 77 ? value : "7"});
        const auto body = [&](const char* id) {
          return cat({"{\"id\":\"", id,
                      "\",\"inputs\":[{\"name\":\"a\",\"shape\":[200],\"datatype\":\"", type,
                      "\",\"data\" :", space, "[", list, space, "]}],\"x\":\"data\"}"});
        };
        std::string bytes[2], text[2];
        for (const int k : {0, 1}) try {
            bytes[k] = parse_infer(body(k ? "\\u0041" : "A"), {}).inputs[0].bytes;
          } catch (const Error& e) {
            text[k] = e.what();
          }
        EXPECT_TRUE(bytes[0] == bytes[1]) << type << " " << value;
        EXPECT_EQ(text[0].substr(0, 15), text[1].substr(0, 15)) << type << " " << value;
        same += !bytes[0].empty();
      }
  EXPECT_GT(same, 100);
}

TEST(InferRequest, ReadsBytesBehindTheJson) {
  const std::string json = input(
      "\"name\":\"a\",\"shape\":[2],\"datatype\":\"FP16\",\"parameters\":{\"binary_data_size\":4}"
      "},{\"name\":\"b\",\"shape\":[3],\"datatype\":\"BOOL\",\"parameters\":{"
      "\"binary_data_size\":3}");
  const std::string size = std::to_string(json.size());
  const auto r = parse_infer(json + std::string("abcd\x00\x07\x01", 7), size);
  EXPECT_EQ(r.inputs[0].bytes, "abcd");
  EXPECT_EQ(r.inputs[1].bytes, std::string("\0\1\1", 3));  // any other value is true
  EXPECT_NE(mistake(json + "abcd", size).find("inputs[1] wants 3 bytes, 0 are left"),
            std::string::npos);
  EXPECT_NE(mistake(json + "abcdefghi", size).find("2 bytes behind the last input"),
            std::string::npos);
  EXPECT_NE(mistake(json, "999999").find("inference-header-content-length is 999999"),
            std::string::npos);
  EXPECT_NE(mistake(json, "-1").find("it should be a number"), std::string::npos);
  EXPECT_NE(mistake(json, "18446744073709551617").find("it should be a number"), std::string::npos);
  EXPECT_NE(mistake(json, "0").find("it should be 1 to"), std::string::npos);
}

TEST(InferRequest, MistakesNameTheField) {
  const std::string good = "\"name\":\"a\",\"shape\":[2],\"datatype\":\"FP32\",\"data\":[1,2]";
  EXPECT_EQ(mistake(input(good)), "none");
  const std::pair<std::string, const char*> cases[] = {
      {"[]", "the request is a list, it should be an object"},
      {"{}", "the request has no list 'inputs'"},
      {"{\"inputs\":[3]}", "inputs[0] is an integer, it should be an object"},
      {input("\"shape\":[2]"), "inputs[0] has no field 'name'"},
      {input("\"name\":\"a\\u0000b\",\"shape\":[2]"), "inputs[0].name"},
      {input("\"name\":\"a\",\"datatype\":\"FP32\""), "inputs[0] has no field 'shape'"},
      {input("\"name\":\"a\",\"datatype\":\"FP32\",\"shape\":[-2],\"data\":[1]"),
       "inputs[0].shape[0] is -2"},
      {input("\"name\":\"a\",\"datatype\":\"FP32\",\"shape\":[1.5],\"data\":[1]"),
       "inputs[0].shape[0] is a number, it should be a whole number"},
      {input("\"name\":\"a\",\"datatype\":\"FP32\",\"shape\":[4194304,4194304],\"data\":[1]"),
       "inputs[0].shape has more than"},
      {input("\"name\":\"a\",\"datatype\":\"FP32\",\"shape\":[9223372036854775807],\"data\":[1]"),
       "inputs[0].shape[0] is 9223372036854775807"},
      {input("\"name\":\"a\",\"datatype\":\"float\",\"shape\":[1],\"data\":[1]"),
       "inputs[0].datatype 'float' does not exist"},
      {input("\"name\":\"a\",\"datatype\":\"BYTES\",\"shape\":[1],\"data\":[\"x\"]"),
       "inputs[0].datatype BYTES is none"},
      {input("\"name\":\"a\",\"datatype\":\"FP32\",\"shape\":[2],\"data\":[1]"),
       "inputs[0].data has 1 values, the shape 2 takes 2"},
      {input("\"name\":\"a\",\"datatype\":\"FP32\",\"shape\":[2],\"data\":[1,2,3]"),
       "inputs[0].data has 3 values"},
      {input("\"name\":\"a\",\"datatype\":\"FP32\",\"shape\":[2,2],\"data\":[[1,2,3],[4]]"),
       "nested in another way"},
      {input("\"name\":\"a\",\"datatype\":\"FP32\",\"shape\":[2],\"data\":[1,[2]]"),
       "inputs[0].data is a list, it should be a number"},
      {input("\"name\":\"a\",\"datatype\":\"FP32\",\"shape\":[2],\"data\":[1,\"x\"]"),
       "inputs[0].data is text, it should be a number"},
      {input("\"name\":\"a\",\"datatype\":\"UINT8\",\"shape\":[1],\"data\":[256]"),
       "inputs[0].data is 256, which is out of the type's range"},
      {input("\"name\":\"a\",\"datatype\":\"FP32\",\"shape\":[2],\"parameters\":{"
             "\"binary_data_size\":9}"),
       "binary_data_size is 9, the shape 2 takes 8"},
      {input(good + ",\"parameters\":{\"binary_data_size\":8}"), "inputs[0] has both data and"},
      {input(good + "},{" + good), "inputs[1].name 'a' is given twice"},
      {"{\"inputs\":[],\"outputs\":[{\"name\":\"y\"},{\"name\":\"y\"}]}", "outputs[1].name 'y'"},
      {"{\"inputs\":[],\"outputs\":[{\"name\":\"y\",\"parameters\":{\"binary_data\":1}}]}",
       "outputs[0].parameters.binary_data is an integer"},
  };
  for (const auto& [body, text] : cases)
    EXPECT_NE(mistake(body).find(text), std::string::npos) << body << "\n" << mistake(body);
}

/// Any field of a good request replaced by any of some odd values: an Error, or a request whose
/// bytes are what its shape says.
TEST(InferRequest, OddValuesInEveryField) {
  const Json good = parse_json(
      R"({"id":"q","inputs":[{"name":"a","shape":[2,2],"datatype":"FP32","data":[[1,2],[3,4]],
          "parameters":{}}],"outputs":[{"name":"y","parameters":{"binary_data":true}}],
          "parameters":{"binary_data_output":true}})",
      "good");
  const Json odd[] = {Json(nullptr),
                      Json(true),
                      Json(0),
                      Json(-1),
                      Json(INT64_MAX),
                      Json(1e300),
                      Json(""),
                      Json("x"),
                      Json::array(),
                      Json::object(),
                      Json::array({Json::array({Json::array()})}),
                      Json(std::string("\0", 1))};
  int tried = 0, refused = 0;
  const std::function<void(Json&, const Json&)> each = [&](Json& at, const Json& whole) {
    const Json before = at;
    for (const Json& value : odd) {
      at = value;
      ++tried;
      try {
        for (const InferInput& in : parse_infer(print_json(whole), {}).inputs)
          EXPECT_EQ(in.bytes.size(), static_cast<size_t>(in.shape.numel()) * size_of(in.dtype));
      } catch (const Error&) {
        ++refused;
      }
    }
    at = before;
    if (at.is_object())
      for (auto& [name, v] : at.fields()) each(v, whole);
    else if (at.is_list())
      for (Json& v : at.list()) each(v, whole);
  };
  Json whole = good;
  each(whole, whole);
  EXPECT_GT(tried, 250);
  EXPECT_GT(refused, tried / 2);
}

TEST(InferResponse, IsValidJsonWhateverTheValues) {
  InferOutput o;
  o.name = "y\"";
  o.datatype = "FP32";
  o.shape = {5};
  const float v[] = {0.1f, NAN, INFINITY, -INFINITY, 16777216.f};
  o.bytes.assign(reinterpret_cast<const char*>(v), sizeof v);
  const auto r = write_infer("m", "1", "id", {o}, NotFinite::null);
  EXPECT_EQ(r.not_finite, 3);
  EXPECT_EQ(r.json_bytes, 0u);
  const Json data = parse_json(r.body, "body").at("outputs").list()[0].at("data");
  EXPECT_EQ(static_cast<float>(data.list()[0].number()), 0.1f);
  EXPECT_TRUE(data.list()[1].is_null() && data.list()[2].is_null() && data.list()[3].is_null());
  EXPECT_EQ(data.list()[4].number(), 16777216);
  const auto text = write_infer("m", "1", "", {o}, NotFinite::text);
  EXPECT_NE(text.body.find("\"NaN\",\"Infinity\",\"-Infinity\""), std::string::npos);
  EXPECT_THROW(write_infer("m", "1", "", {o}, NotFinite::refuse), Error);
  o.binary = true;  // bytes hold all values
  const auto bytes = write_infer("m", "1", "", {o}, NotFinite::refuse);
  EXPECT_EQ(bytes.body.substr(bytes.json_bytes), o.bytes);
  EXPECT_EQ(parse_json(bytes.body.substr(0, bytes.json_bytes), "body")
                .at("outputs")
                .list()[0]
                .at("parameters")
                .at("binary_data_size")
                .integer(),
            20);
}

}  // namespace
}  // namespace nacre::serve
