#include "base/json.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/yaml.h"
#include "nacre/error.h"

namespace nacre {
namespace {

std::string error_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& e) {
    EXPECT_EQ(static_cast<int>(e.kind()), static_cast<int>(Error::Kind::data));
    return e.what();
  }
  ADD_FAILURE() << "no error";
  return "";
}

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

Json everything() {
  Json j = Json::object();
  j["null"] = nullptr;
  j["yes"] = true;
  j["big"] = INT64_MAX;
  j["small"] = INT64_MIN;
  j["whole number"] = 1.0;
  j["tenth"] = 0.1;
  j["tiny"] = 5e-324;
  j["huge"] = 1.7976931348623157e308;
  j["text"] = "a \"quoted\"\nline\tand \u00e9\u4e2d\U0001f600";
  j["empty text"] = "";
  j["list"] = Json::array({1, "two", Json::array(), Json::object(), Json::array({3.5, nullptr})});
  j["nested"]["deeper"]["x"] = Json::array({Json::object({{"a", 1}, {"b", Json::array({2})}})});
  for (const char* text :
       {"true", "null",  "~",   "12",  "-1.5e3", "0x1F",       ".inf", "- a", "a: b",  "#c",
        "<<",   " pad ", "1e5", "yes", "!tag",   "&a",         "*a",   "@",   "%",     "'",
        "[x]",  "{",     "...", "---", "\x01",   "trailing\n", "a #b", "? k", "1_000", "+.5"})
    j["texts"].push_back(text);
  j["- odd: key"] = 1;
  j["12"] = 2;
  return j;
}

TEST(Json, RoundTrip) {
  const Json j = everything();
  EXPECT_EQ(parse_json(print_json(j), "test"), j);
  EXPECT_EQ(parse_json(print_json(j, 2), "test"), j);
}

TEST(Json, KnownTexts) {
  EXPECT_EQ(print_json(parse_json(R"( {"b":[1,2.50,-0,1e2],"a":{"t":true,"n":null}} )", "t")),
            R"({"b": [1, 2.5, 0, 100.0], "a": {"t": true, "n": null}})");
  EXPECT_EQ(print_json(Json::array({1, Json::object({{"k", "v"}})}), 2),
            "[\n  1,\n  {\n    \"k\": \"v\"\n  }\n]");
  EXPECT_EQ(parse_json("\"\\u00e9\\ud83d\\ude00\"", "t").text(), "\u00e9\U0001f600");
  EXPECT_EQ(parse_json("18446744073709551615", "t").number(), 18446744073709551615.0);
}

TEST(Json, NumbersThatJsonCannotWrite) {
  Json j = Json::array({NAN, INFINITY, -INFINITY});
  EXPECT_EQ(print_json(j), R"(["NaN", "Infinity", "-Infinity"])");
  const Json back = parse_json(print_json(j), "test");
  EXPECT_TRUE(std::isnan(back.list()[0].number()));
  EXPECT_EQ(back.list()[2].number(), -INFINITY);
}

TEST(Json, BrokenTextIsReplaced) { EXPECT_EQ(print_json(Json("a\xff")), "\"a\xef\xbf\xbd\""); }

TEST(Json, ErrorsNameThePlace) {
  EXPECT_TRUE(holds(error_of([] { parse_json("{\"a\":\n 1,,}", "run.json"); }),
                    "run.json: line 2, column 4: syntax error"));
  for (const char* bad : {"", "{", "[1", "[1,]", "{\"a\"}", "nul", "01", "1e999", "\"\x01\"",
                          "\"\xff\"", "[1] 2", "NaN", "'a'", "{\"a\":1,\"a\":2}", "\"\\ud800\""})
    error_of([&] { parse_json(bad, "bad"); });
}

TEST(Json, LimitsAreCheckedBeforeMemoryIsTaken) {
  const std::string deep(1'000'000, '[');
  EXPECT_TRUE(holds(error_of([&] { parse_json(deep, "t"); }), "deeper than 64"));
  std::string objects;
  for (int i = 0; i < 100'000; ++i) objects += "{\"a\":";
  EXPECT_TRUE(holds(error_of([&] { parse_json(objects, "t"); }), "deeper than 64"));
  EXPECT_TRUE(holds(error_of([&] { parse_json("[1,2,3]", "t", {.bytes = 6}); }), "limit of 6"));
  EXPECT_TRUE(holds(error_of([&] { parse_json("[1,2,3]", "t", {.values = 3}); }), "3 values"));
  EXPECT_EQ(parse_json("[1,2,3]", "t", {.bytes = 7, .depth = 1, .values = 4}).size(), 3u);
}

TEST(Json, FieldsAreGivenOneByOne) {
  std::vector<std::pair<std::string, Json>> got;
  const auto keep = [&](std::string name, Json v) { got.emplace_back(name, v); };
  const auto read = [&](std::string_view text) {
    got.clear();
    parse_json_fields(text, "t", keep, {.values = 4, .text = 4});
  };
  read(R"({"a": [1, 2], "b": {"c": "\"\\"}, "a": null})");
  ASSERT_EQ(got.size(), 3u);
  EXPECT_EQ(got[0].second, Json::array({1, 2}));
  EXPECT_EQ(got[1].second.at("c").text(), "\"\\");
  EXPECT_EQ(got[2].first, "a");
  EXPECT_TRUE(holds(error_of([&] { read(R"({"a": [1, 2, 3]})"); }), "more than 4 values"));
  EXPECT_TRUE(holds(error_of([&] { read(R"({"a": "12345"})"); }), "has 5 bytes, more than 4"));
  EXPECT_TRUE(holds(error_of([&] { read(R"({"a": "12345)"); }), "has 5 bytes, more than 4"));
  for (const char* text : {"[1]", "3", "{}, 1", "{\"a\": 1"})
    EXPECT_NE(error_of([&] { read(text); }), "") << text;
}

TEST(Json, ReadersSayWhatTheyGot) {
  const Json j = parse_json(R"({"n": 2.5, "s": "x", "w": 4.0, "z": null})", "t");
  EXPECT_EQ(error_of([&] { j.at("n").integer(); }), "expected an integer, got a number (2.5)");
  EXPECT_EQ(error_of([&] { j.at("s").number(); }), "expected a number, got text (\"x\")");
  EXPECT_EQ(error_of([&] { j.at("q"); }), "the field 'q' is missing");
  EXPECT_EQ(error_of([&] { j.at("n").at("q"); }), "expected an object, got a number (2.5)");
  EXPECT_EQ(error_of([&] { j.boolean(); }), "expected true or false, got an object");
  EXPECT_EQ(j.at("w").integer(), 4);
  EXPECT_EQ(j.integer_or("z", 7), 7);
  EXPECT_EQ(j.text_or("s", "y"), "x");
  EXPECT_EQ(j.number_or("q", 1.5), 1.5);
}

TEST(Yaml, RoundTrip) {
  const Json j = everything();
  EXPECT_EQ(parse_yaml(print_yaml(j), "test"), j) << print_yaml(j);
  for (const Json& scalar : {Json(), Json(true), Json(-3), Json(2.5), Json("x"), Json("")})
    EXPECT_EQ(parse_yaml(print_yaml(scalar), "test"), scalar);
  EXPECT_EQ(parse_yaml(print_yaml(Json(-INFINITY)), "t").number(), -INFINITY);
  EXPECT_TRUE(std::isnan(parse_yaml(print_yaml(Json(NAN)), "t").number()));
}

TEST(Yaml, CoreSchema) {
  const Json j = parse_yaml(R"(
# a comment
model: resnet18        # text
lr: 1e-3
epochs: 10
hex: 0x1F
octal: 0o17
flags: [true, False, yes, ~, .inf, -.Inf, +4, 1., .5, 1e3]
quoted: ["12", 'true', !!str 5, !!float 5]
block: |
  two
  lines
base: &base {a: 1, b: [2, 3]}
copy: *base
)",
                            "config.yaml");
  EXPECT_EQ(j.at("model").text(), "resnet18");
  EXPECT_EQ(j.at("lr").number(), 1e-3);
  EXPECT_EQ(j.at("epochs"), Json(10));
  EXPECT_EQ(j.at("hex"), Json(31));
  EXPECT_EQ(j.at("octal"), Json(15));
  EXPECT_EQ(j.at("flags"),
            Json::array({true, false, "yes", nullptr, INFINITY, -INFINITY, 4, 1.0, 0.5, 1000.0}));
  EXPECT_EQ(j.at("quoted"), Json::array({"12", "true", "5", 5.0}));
  EXPECT_EQ(j.at("block").text(), "two\nlines\n");
  EXPECT_EQ(j.at("copy"), j.at("base"));
  EXPECT_TRUE(parse_yaml("", "t").is_null());
  EXPECT_TRUE(parse_yaml("# nothing\n", "t").is_null());
}

TEST(Yaml, PrintsPlainBlocks) {
  const Json j = Json::object({{"lr", 0.1},
                               {"sizes", Json::array({3, 32, 32})},
                               {"name", "resnet18"},
                               {"aug", Json::object({{"flip", true}})}});
  EXPECT_EQ(print_yaml(j), "lr: 0.1\nsizes: [3, 32, 32]\nname: resnet18\naug:\n  flip: true\n");
}

TEST(Yaml, ErrorsNameLineAndColumn) {
  EXPECT_TRUE(holds(error_of([] { parse_yaml("a: 1\nb: [1, 2\nc: 3\n", "c.yaml"); }), "c.yaml:"));
  EXPECT_TRUE(holds(error_of([] { parse_yaml("a: 1\nb: *x\n", "c.yaml"); }), "c.yaml:2:4: "));
  EXPECT_TRUE(holds(error_of([] { parse_yaml("a: 1\na: 2\n", "c.yaml"); }), "'a' stands twice"));
  EXPECT_TRUE(
      holds(error_of([] { parse_yaml("a: !!binary x\n", "c.yaml"); }), "c.yaml:1:4: the tag"));
  EXPECT_TRUE(holds(error_of([] { parse_yaml("? [a]\n: 1\n", "c.yaml"); }), "key has to be text"));
  EXPECT_TRUE(holds(error_of([] { parse_yaml("b: &x {}\na:\n  <<: *x\n", "c.yaml"); }),
                    "c.yaml:3:3: merge keys"));
  EXPECT_TRUE(holds(error_of([] { parse_yaml("a: 1\n---\nb: 2\n", "c.yaml"); }), "one document"));
  EXPECT_TRUE(holds(error_of([] { parse_yaml("&a [*a]", "c.yaml"); }), "c.yaml:1:5"));
}

TEST(Yaml, OnlyUtf8) {
  EXPECT_EQ(parse_yaml("\xef\xbb\xbf"
                       "a: \u00e9",
                       "t")
                .at("a")
                .text(),
            "\u00e9");
  EXPECT_EQ(error_of([] { parse_yaml("a: 1\nb: \xe9t\xe9\n", "c.yaml"); }),
            "c.yaml:2: the text is not UTF-8");
  EXPECT_EQ(error_of([] { parse_yaml("a: \x1b[2J", "c.yaml"); }), "c.yaml:1: a control character");
  error_of([] { parse_yaml(std::string_view("a\0b", 3), "c.yaml"); });
}

TEST(Yaml, BombsAreStopped) {
  std::string laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 12; ++i) {
    laughs += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
    for (int j = 0; j < 10; ++j) laughs += (j ? ", *a" : "*a") + std::to_string(i - 1);
    laughs += "]\n";
  }
  EXPECT_TRUE(holds(error_of([&] { parse_yaml(laughs, "t"); }), "more than 100000 values"));
  EXPECT_TRUE(holds(error_of([&] { parse_yaml(std::string(33, '[') + std::string(33, ']'), "t"); }),
                    "deeper than 32"));
  for (const char* piece : {"[", "{", "- ", "? ", "a: ", "[{", "&a ", "!", "- - ", "? - "}) {
    std::string deep;
    while (deep.size() < 200'000) deep += piece;
    try {
      parse_yaml(deep, "t");
    } catch (const Error&) {
    }
  }
  std::string steps;
  for (int i = 0; i < 600; ++i) steps += std::string(static_cast<size_t>(i), ' ') + "a:\n";
  error_of([&] { parse_yaml(steps, "t"); });
  error_of([&] { parse_yaml(std::string(2 << 20, 'a'), "t"); });
}

}  // namespace
}  // namespace nacre
