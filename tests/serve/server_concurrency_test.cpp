// The running server: protocol, friendly routes, limits, faults and changes of models. The cases
// are those that other servers have fallen over.
#include <sys/resource.h>

#include <atomic>
#include <cmath>
#include <cstring>
#include <fstream>

#include "base/file.h"
#include "base/gzip.h"
#include "base/text.h"
#include "nacre/image.h"
#include "serve/client.h"

namespace nacre {
namespace {

using namespace std::chrono_literals;
using test::Client;
using test::Headers;
using test::infer_body;
using test::Response;
using test::save_table_model;
using test::Serve;

const Headers kJson = {{"Content-Type", "application/json"}};

std::vector<double> data_of(const Response& r, size_t output = 0) {
  std::vector<double> v;
  if (r.status != 200) {
    ADD_FAILURE() << r.status << " " << r.body;
    return v;
  }
  const Json outputs = r.json().at("outputs");
  for (const Json& j : outputs.list()[output].at("data").list())
    v.push_back(j.is_null() ? std::nan("") : j.number());
  return v;
}

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// ---- protocol

TEST_F(Serve, MetadataAndHealth) {
  start();
  EXPECT_EQ(ask("GET", "/v2").json().at("name").text(), "nacre");
  EXPECT_EQ(ask("GET", "/v2/health/live").status, 200);
  EXPECT_EQ(ask("GET", "/v2/health/ready").status, 200);
  EXPECT_EQ(ask("GET", "/v2/models/table/ready").status, 200);
  const Json m = ask("GET", "/v2/models/table/versions/1").json();
  EXPECT_EQ(m.at("inputs").list()[0].at("datatype").text(), "FP32");
  EXPECT_EQ(print_json(m.at("outputs").list()[0].at("shape")), "[-1, 2]");
  const auto head = ask("HEAD", "/v2/models/table");
  EXPECT_EQ(head.status, 200);
  EXPECT_GT(std::stoi(head.headers.at("content-length")), 100);
  const auto page = ask("GET", "/");
  EXPECT_TRUE(holds(page.headers.at("content-security-policy"), "default-src 'none'"));
  EXPECT_EQ(page.headers.at("x-content-type-options"), "nosniff");
  EXPECT_TRUE(holds(page.body, "<td>pictures<td>1<td>serving"));
  // What the description lists is there.
  const Json paths = ask("GET", "/openapi.json").json().at("paths");
  EXPECT_GT(paths.size(), 15u);
  for (const auto& [path, operations] : paths.fields())
    for (const auto& [method, operation] : operations.fields()) {
      std::string at = path;
      for (const auto& [from, to] : {std::pair{"{name}", "table"}, {"{version}", "1"}})
        if (const size_t i = at.find(from); i != at.npos) at.replace(i, std::strlen(from), to);
      const int status = ask(method == "get" ? "GET" : "POST", at).status;
      EXPECT_NE(status, 404) << at;
      EXPECT_NE(status, 405) << at;
      if (holds(at, "unload")) {
        EXPECT_EQ(ask("POST", "/v2/repository/models/table/load").status, 200);
      }
    }
}

TEST_F(Serve, TensorsAsJsonAndAsBytes) {
  start();
  EXPECT_EQ(data_of(infer(infer_body("[2,1,0, 3,0,1]", "[2,3]"))),
            (std::vector<double>{2, 10, 3, 0}));
  EXPECT_EQ(data_of(infer(infer_body("[[2,1,0],[3,0,1]]", "[2,3]"))),
            (std::vector<double>{2, 10, 3, 0}));
  const std::string json =
      R"({"id":"7","inputs":[{"name":"input","shape":[1,3],"datatype":"FP32",)"
      R"("parameters":{"binary_data_size":12}}],"parameters":{"binary_data_output":true}})";
  const float x[] = {5, 1, 0};
  std::string body = json;
  body.append(reinterpret_cast<const char*>(x), sizeof x);
  const auto r = infer(body, {{"Inference-Header-Content-Length", std::to_string(json.size())}});
  ASSERT_EQ(r.status, 200) << r.body;
  const size_t head = std::stoul(r.headers.at("inference-header-content-length"));
  const Json j = parse_json(r.body.substr(0, head), "json");
  EXPECT_EQ(j.at("id").text(), "7");
  EXPECT_EQ(j.at("model_version").text(), "1");
  float y[2] = {};
  ASSERT_EQ(r.body.size() - head, sizeof y);
  std::memcpy(y, r.body.data() + head, sizeof y);
  EXPECT_EQ(y[0], 5);
  EXPECT_EQ(y[1], 10);
  // Compressed, in both ways.
  const std::string plain = infer_body("[1,1,0]");
  EXPECT_EQ(data_of(infer(gzip(plain), {{"Content-Encoding", "gzip"}})),
            (std::vector<double>{1, 10}));
  EXPECT_EQ(infer(plain, {{"Content-Encoding", "br"}}).status, 415);
  EXPECT_EQ(infer(plain, {{"Content-Encoding", "gzip"}}).status, 400);
  // Several on one connection, sent at once.
  Client c(server_->port());
  const std::string one = Client::text("POST", "/v2/models/table/infer", plain, kJson);
  c.send(one + one + one);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(data_of(c.receive()), (std::vector<double>{1, 10}));
  // The classification of Triton.
  const auto best =
      infer(R"({"inputs":[{"name":"input","shape":[1,3],"datatype":"FP32","data":)"
            R"([1,1,0]}],"outputs":[{"name":"output","parameters":{"classification":1}}]})");
  EXPECT_EQ(best.json().at("outputs").list()[0].at("data").list()[0].text(), "10:1:yes");
}

TEST_F(Serve, MistakesOfRequestsNameTheField) {
  start();
  const std::pair<std::string, const char*> cases[] = {
      {infer_body("[1,2]", "[1,2]"), "inputs[0].shape is [1,2], 'input' takes [-1,3]"},
      {infer_body("[1,2,3]", "[3]"), "inputs[0].shape is [3]"},
      {infer_body("[]", "[0,3]"), "there are no rows"},
      {infer_body("[1,2,3]", "[1,3]", "INT32"), "inputs[0].datatype is INT32, 'input' is FP32"},
      {R"({"inputs":[]})", "the input 'input' (FP32 [-1,3]) is missing"},
      {R"({"inputs":[{"name":"x","shape":[1],"datatype":"FP32","data":[1]}]})", "is missing"},
      {infer_body("[1,2,3]").substr(0, 40), "the request"},
      {R"({"inputs":[{"name":"input","shape":[1,3],"datatype":"FP32","data":[1,2,3]},)"
       R"({"name":"other","shape":[1],"datatype":"FP32","data":[1]}]})",
       "inputs[1].name 'other' is none"},
      {R"({"outputs":[{"name":"z"}],)" + infer_body("[1,2,3]").substr(1), "outputs[0].name 'z'"},
      {std::string(1000000, '['), "nested"},
      {std::string("\0\0\0", 3), "the request"},
  };
  for (const auto& [body, text] : cases) {
    const auto r = infer(body);
    EXPECT_EQ(r.status, 400) << body.substr(0, 200);
    EXPECT_TRUE(holds(r.error(), text)) << r.error();
  }
  EXPECT_EQ(infer("", {{"Content-Length", "0"}}).status, 411);
  EXPECT_EQ(ask("GET", "/v2/models/table/infer").status, 405);
  EXPECT_EQ(ask("GET", "/v2/models/table/infer").headers.at("allow"), "POST");
  EXPECT_EQ(data_of(infer(infer_body("[1,1,0]"))).size(), 2u);  // all the same
}

TEST_F(Serve, LabelsForPicturesAndRows) {
  start();
  const auto png = encode_png(Image(40, 30, 3, 0.5f));
  const std::string picture(png.begin(), png.end());
  const auto r =
      ask("POST", "/v1/models/pictures:predict?top=2", picture, {{"Content-Type", "image/png"}});
  ASSERT_EQ(r.status, 200) << r.body;
  const Json p = r.json().at("predictions").list()[0];
  EXPECT_EQ(p.at("classes").size(), 2u);
  EXPECT_EQ(p.at("label"), p.at("classes").list()[0].at("label"));
  const auto coded = ask("POST", "/v1/models/pictures:predict?top=2",
                         "{\"instances\":[{\"b64\":\"" + base64(picture) + "\"}]}", kJson);
  EXPECT_EQ(coded.json().at("predictions").list()[0], p);
  const auto label = [&](const std::string& body, const Headers& type = kJson) {
    const auto answer = ask("POST", "/v1/models/table:predict", body, type);
    std::string all;
    if (answer.status != 200) return cat({answer.status, " ", answer.error()});
    const Json predictions = answer.json().at("predictions");
    for (const Json& one : predictions.list()) all += one.at("label").text() + " ";
    if (const std::string remark = answer.json().text_or("remark", ""); !remark.empty())
      all += "(" + remark + ")";
    return all;
  };
  EXPECT_EQ(label(R"({"row":{"city":"Oslo","x":3}})"), "yes ");
  EXPECT_EQ(label(R"({"rows":[{"x":3,"city":"Paris"},{"x":-1,"city":"Paris"}]})"), "no yes ");
  EXPECT_EQ(label(R"({"instances":[[12,"Oslo"],["3","Oslo"]]})"), "no yes ");
  EXPECT_EQ(label("city,x\nOslo,3\nParis,3\n", {{"Content-Type", "text/csv"}}), "yes no ");
  EXPECT_TRUE(holds(label(R"({"row":{"city":"Rome","x":3}})"), "no ('Rome' is none"));
  EXPECT_TRUE(holds(label(R"({"row":{"x":3}})"), "400 row[0]: the row has no column 'city'"));
  EXPECT_TRUE(holds(label(R"({"row":{"x":"much","city":"Oslo"}})"), "'much' in the column 'x'"));
  EXPECT_TRUE(holds(label(R"({"what":1})"), "400 the body should be"));
  EXPECT_TRUE(holds(label(picture, {{"Content-Type", "image/png"}}), "does not take pictures"));
  const Headers form = {
      {"Content-Type", "application/x-www-form-urlencoded"}};  // as curl -d has it
  EXPECT_EQ(label(R"({"row":{"city":"Oslo","x":3}})", form), "yes ");
  EXPECT_EQ(label(R"({"row":{"city":"Oslo","x":3}})", {}), "yes ");
  EXPECT_TRUE(holds(label("Oslo,3", form), "content type application/json or text/csv"));
}

TEST_F(Serve, PicturesThatAreBombsOrNoneAreRefused) {
  options_.max_pixels = 1 << 20;
  start();
  const auto status = [&](const std::string& bytes, const std::string& type = "image/jpeg") {
    return ask("POST", "/v1/models/pictures:predict", bytes, {{"Content-Type", type}}).status;
  };
  auto png = encode_png(Image(8, 8, 1, 0.5f));
  std::string bomb(png.begin(), png.end());
  bomb.replace(16, 8, std::string("\x00\x00\x4a\x38\x00\x00\x4a\x38", 8));  // 19000 x 19000
  const uint32_t crc = crc32_of(std::string_view(bomb).substr(12, 17));
  for (size_t i = 0; i < 4; ++i) bomb[29 + i] = static_cast<char>(crc >> (24 - 8 * i) & 255);
  EXPECT_EQ(status(bomb, "image/png"), 413);
  EXPECT_EQ(status(std::string(png.begin(), png.end() - 20)), 400);
  EXPECT_EQ(status("<svg xmlns='http://www.w3.org/2000/svg'/>"), 400);
  EXPECT_EQ(status(std::string(5000, 'x')), 400);
  for (const int bits : {8, 16}) {
    png = encode_png(Image(1, 1, 1, 1.0f), bits);
    EXPECT_EQ(status({png.begin(), png.end()}), 200);
  }
}

// ---- limits

TEST_F(Serve, BodiesBeyondTheLimitAreRefusedWhateverTheirForm) {
  options_.body_limit = 100000;
  start();
  EXPECT_EQ(infer(std::string(100001, ' ')).status, 413);
  Client c(server_->port());  // refused by its head alone
  c.send(
      "POST /v2/models/table/infer HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999\r\n\r\n");
  EXPECT_EQ(c.receive().status, 413);
  Client chunks(server_->port());
  chunks.send(
      "POST /v2/models/table/infer HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
  for (int i = 0; i < 300 && chunks.send("400\r\n" + std::string(0x400, ' ') + "\r\n"); ++i) {
  }
  EXPECT_EQ(chunks.receive().status, 413);
  const std::string bomb = gzip(std::string(50'000'000, ' '));
  EXPECT_LT(bomb.size(), 100000u);
  EXPECT_EQ(infer(bomb, {{"Content-Encoding", "gzip"}}).status, 413);
  EXPECT_EQ(ask("GET", "/v2", "", {{"X-Long", std::string(20000, 'x')}}).status, 431);
  EXPECT_EQ(data_of(infer(infer_body("[1,1,0]"))).size(), 2u);
}

TEST_F(Serve, WhatIsNoHttpIsRefused) {
  start();
  for (const char* text :
       {"\x16\x03\x01\x02", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n",
        "POST /v2 HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
        "POST /v2 HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        "GET http://other/ HTTP/1.1\r\n\r\n"}) {
    Client c(server_->port());
    c.send(std::string(text) + "\r\n\r\n");
    EXPECT_EQ(c.receive().status, 400) << text;
    EXPECT_TRUE(c.closed_within(5000));
  }
}

TEST_F(Serve, OverloadIsRefusedAtOnceAndTheOthersAreAnswered) {
  options_.models.batch.queue = 4;
  options_.models.batch.wait = 1200ms;  // longer than it takes to send them
  start();
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 40; ++i) {
    clients.push_back(std::make_unique<Client>(server_->port()));
    clients.back()->send(Client::text("POST", "/v2/models/table/infer", infer_body("[1,1,0]"), {}));
  }
  int answered = 0, refused = 0;
  for (auto& c : clients) {
    const auto r = c->receive();
    answered += r.status == 200;
    if (r.status == 503) {
      ++refused;
      EXPECT_EQ(r.headers.at("retry-after"), "1");
    }
  }
  EXPECT_EQ(answered, 4);
  EXPECT_EQ(refused, 36);
  EXPECT_EQ(metric("nacre_requests_total{model=\"table\",outcome=\"rejected\"}"), 36);
  EXPECT_EQ(infer(infer_body("[1,1,0]")).status, 200);  // it has recovered
}

TEST_F(Serve, RequestsAreRunTogether) {
  options_.models.batch.rows = 8;
  options_.models.batch.wait = 5s;  // never reached: eight rows come before
  start();
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 8; ++i) {
    clients.push_back(std::make_unique<Client>(server_->port()));
    clients.back()->send(
        Client::text("POST", "/v2/models/table/infer", infer_body(cat({"[", i, ",1,0]"})), {}));
  }
  for (int i = 0; i < 8; ++i)
    EXPECT_EQ(data_of(clients[static_cast<size_t>(i)]->receive()),
              (std::vector<double>{static_cast<double>(i), 10}));
  EXPECT_EQ(metric("nacre_batch_rows_count{model=\"table\"}"), 1);
  EXPECT_EQ(metric("nacre_batch_rows_sum{model=\"table\"}"), 8);
}

TEST_F(Serve, AQueueThatTakesTooLongIsLeft) {
  options_.models.batch.wait = 300ms;
  options_.models.batch.patience = 50ms;
  start();
  const auto r = infer(infer_body("[1,1,0]"));
  EXPECT_EQ(r.status, 503);
  EXPECT_TRUE(holds(r.error(), "waited too long"));
}

TEST_F(Serve, SlowAndIdleClientsDoNotHoldTheServer) {
  options_.http.header_time = 150ms;
  options_.http.body_time = 150ms;
  options_.http.idle_time = 300ms;
  options_.http.connections_per_address = 24;
  start();
  Client slow_head(server_->port()), slow_body(server_->port()), idle(server_->port());
  slow_head.send("GET / HT");
  slow_body.send("POST /v2/models/table/infer HTTP/1.1\r\nHost: a\r\nContent-Length: 50\r\n\r\n{");
  EXPECT_EQ(idle.ask("GET", "/v2/health/live").status, 200);
  for (Client* slow : {&slow_head, &slow_body}) {
    const auto r = slow->receive();
    EXPECT_EQ(r.status, 408);
    EXPECT_TRUE(holds(r.body, "took too long")) << r.body;
    EXPECT_EQ(slow->receive().status, 0);  // nothing else comes before the end
    EXPECT_TRUE(slow->closed_within(5000));
  }
  EXPECT_EQ(metric("nacre_connection_timeouts_total"), 2);
  EXPECT_TRUE(idle.closed_within(5000));
  // More connections than one address may have: the rest is closed, those that are open work.
  ASSERT_TRUE(soon([&] { return metric("nacre_connections") == 1; }));
  options_.http.idle_time = 75s;
  std::vector<std::unique_ptr<Client>> many;
  for (int i = 0; i < 40; ++i) many.push_back(std::make_unique<Client>(server_->port()));
  int closed = 0;
  for (auto& c : many) closed += c->closed_within(30);
  EXPECT_GE(closed, 16);
  many.clear();
  EXPECT_TRUE(soon([&] { return metric("nacre_connections_refused_total") >= 16; }));
}

TEST_F(Serve, ClientsThatLeaveAreNotWorkedFor) {
  options_.models.batch.wait = 1200ms;
  start();
  for (int i = 0; i < 3; ++i) {
    Client c(server_->port());
    c.send(Client::text("POST", "/v2/models/table/infer", infer_body("[1,1,0]"), {}));
    ASSERT_TRUE(soon([&] { return metric("nacre_queue_length{model=\"table\"}") == i + 1; }));
  }
  EXPECT_TRUE(soon(
      [&] { return metric("nacre_requests_total{model=\"table\",outcome=\"canceled\"}") == 3; }));
  EXPECT_EQ(metric("nacre_rows_total{model=\"table\"}"), 0);
  EXPECT_EQ(metric("nacre_clients_gone_total"), 3);
}

TEST_F(Serve, ValuesThatAreNotFiniteKeepTheAnswerJson) {
  start();
  const std::string body = infer_body("[\"NaN\",1,0, \"Infinity\",0,0]", "[2,3]");
  const auto y = data_of(infer(body));
  ASSERT_EQ(y.size(), 4u);
  EXPECT_TRUE(std::isnan(y[0]) && std::isnan(y[2]));
  EXPECT_GE(metric("nacre_not_finite_total{model=\"table\"}"), 2);
  const auto friendly = ask("POST", "/v1/models/table:predict",
                            R"({"row":{"x":null,"city":"Oslo"}})", kJson);  // a missing x is NaN
  ASSERT_EQ(friendly.status, 200) << friendly.body;
  EXPECT_TRUE(friendly.json().at("predictions").list()[0].at("probability").is_null());
  options_.not_finite = serve::NotFinite::refuse;
  start();
  EXPECT_EQ(infer(body).status, 422);
}

TEST_F(Serve, MemoryBeyondTheLimitIsRefused) {
  options_.memory_limit = 8 << 20;
  start();
  Client big(server_->port());
  big.send("POST /v2/models/table/infer HTTP/1.1\r\nHost: a\r\nContent-Length: 5000000\r\n\r\n");
  EXPECT_EQ(big.receive().status, 503);
  EXPECT_EQ(infer(infer_body("[1,1,0]")).status, 200);
  std::string large = read_file(path("table.safetensors"), 1 << 20);
  write_file_atomic(path("large.safetensors"), large + std::string(4 << 20, 'x'));
  const auto r = ask("POST", "/v2/repository/models/large/load", "", {});
  EXPECT_NE(r.status, 200);
  EXPECT_EQ(infer(infer_body("[1,1,0]")).status, 200);
}

// ---- changes of models

class ServeVersions : public Serve {
 protected:
  ServeVersions() {
    std::filesystem::remove(path("table.safetensors"));
    std::filesystem::remove(path("pictures.safetensors"));
    version(1, 1);
  }
  void version(int number, float scale) {
    make_folders(path(cat({"table/", number})));
    save_table_model(path(cat({"table/", number, "/model.safetensors"})), scale);
  }
  /// The first score for x = 1: the scale of the version that answers. 0 for no answer.
  double scale() {
    const auto r = infer(infer_body("[1,0,0]"));
    return r.status == 200 ? data_of(r)[0] : 0;
  }
  int change(const std::string& route, const std::string& body = "") {
    const auto r = ask("POST", route, body, body.empty() ? Headers{} : kJson);
    if (r.status != 200) last_error_ = r.body;
    return r.status;
  }
  std::string last_error_;
};

TEST_F(ServeVersions, AreLoadedAsideAndSwappedWhileRequestsRun) {
  options_.models.poll = 30ms;
  start();
  std::atomic<bool> stop{false};
  std::atomic<int> bad{0}, good{0};
  std::vector<std::thread> clients;
  for (int t = 0; t < 3; ++t)
    clients.emplace_back([&] {
      Client c(server_->port());
      while (!stop) {
        const auto r = c.ask("POST", "/v2/models/table/infer", infer_body("[1,0,0]"), {});
        ++(r.status == 200 ? good : bad);
      }
    });
  version(2, 2);
  EXPECT_TRUE(soon([&] { return scale() == 2; }));
  // A broken one changes nothing; nor does one that is half there, until it is whole.
  make_folders(path("table/3"));
  const std::string whole = read_file(path("table/2/model.safetensors"), 1 << 20);
  std::ofstream(path("table/3/model.safetensors")) << whole.substr(0, whole.size() / 2);
  EXPECT_TRUE(
      soon([&] { return metric("nacre_model_load_failures_total{model=\"table\"}") >= 1; }));
  EXPECT_EQ(scale(), 2);
  version(3, 3);
  EXPECT_TRUE(soon([&] { return scale() == 3; }));
  // Files that go away, or are written over in place, do not touch what is in memory.
  std::ofstream(path("table/3/model.safetensors")) << "short";
  std::filesystem::remove_all(path("table/2"));
  std::this_thread::sleep_for(150ms);
  EXPECT_EQ(scale(), 3);
  EXPECT_EQ(change("/v1/models/table:rollback"), 200) << last_error_;
  EXPECT_EQ(scale(), 2);
  stop = true;
  for (auto& t : clients) t.join();
  EXPECT_EQ(bad, 0);
  EXPECT_GT(good, 10);
}

TEST_F(ServeVersions, ACanaryGetsItsShareAndIsPromotedOrDropped) {
  start();
  version(2, 2);
  ASSERT_EQ(change("/v1/models/table:canary", R"({"version":"2","percent":20})"), 200)
      << last_error_;
  const auto share = [&] {
    int canary = 0;
    for (int i = 0; i < 100; ++i) canary += scale() == 2;
    return canary;
  };
  EXPECT_EQ(share(), 20);
  EXPECT_EQ(change("/v1/models/table:canary", R"({"percent":55})"), 200);
  EXPECT_EQ(share(), 55);
  EXPECT_EQ(data_of(ask("POST", "/v2/models/table/versions/2/infer", infer_body("[1,0,0]")))[0], 2);
  EXPECT_EQ(change("/v1/models/table:rollback"), 200);
  EXPECT_EQ(share(), 0);
  EXPECT_EQ(change("/v1/models/table:promote"), 400);
  EXPECT_EQ(change("/v1/models/table:canary", R"({"version":2,"percent":1})"), 200);
  EXPECT_EQ(change("/v1/models/table:promote"), 200);
  EXPECT_EQ(share(), 100);
  EXPECT_EQ(change("/v1/models/table:rollback"), 200);
  EXPECT_EQ(share(), 0);
  EXPECT_EQ(change("/v1/models/table:rollback"), 400);
  for (const char* body : {R"({"percent":101})", R"({"percent":-1})", R"({"version":"9"})",
                           R"({"version":"../2"})", R"({"percent":"x"})", "[]", "{"})
    EXPECT_GE(change("/v1/models/table:canary", body), 400) << body;
}

TEST_F(ServeVersions, UnchangedFilesAreNotLoadedAgain) {
  version(2, 2);
  options_.models.poll = 20ms;
  start();
  const auto loads = [&] { return metric("nacre_model_loads_total{model=\"table\"}"); };
  const auto listed = [&] {
    const Json m = ask("GET", "/v2/models/table").json();
    return print_json(m.at("versions")) + " of " + m.at("parameters").at("version").text();
  };
  const std::string load = "/v2/repository/models/table/load";
  // The canary is the older one, the newest file is what is served.
  ASSERT_EQ(change("/v1/models/table:canary", R"({"version":"1","percent":50})"), 200);
  EXPECT_EQ(loads(), 2);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(change(load), 200) << last_error_;
    EXPECT_EQ(listed(), R"(["2", "1"] of 2)");
    EXPECT_EQ(change(load, R"({"parameters":{"version":"2"}})"), 200) << last_error_;
    std::this_thread::sleep_for(50ms);  // looks at the files
  }
  EXPECT_EQ(loads(), 2);
  int canary = 0;
  for (int i = 0; i < 100; ++i) canary += scale() == 1;
  EXPECT_EQ(canary, 50);
  // One that is loaded and asked for by its number takes over as it is.
  EXPECT_EQ(change(load, R"({"parameters":{"version":"1"}})"), 200) << last_error_;
  EXPECT_EQ(listed(), R"(["1", "2"] of 1)");
  EXPECT_EQ(change("/v1/models/table:canary", R"({"version":"2","percent":1})"), 200);
  EXPECT_EQ(listed(), R"(["1", "2"] of 1)");
  EXPECT_EQ(change(load), 200) << last_error_;
  EXPECT_EQ(listed(), R"(["1", "2"] of 1)");
  EXPECT_EQ(loads(), 2);
}

TEST_F(ServeVersions, ACanaryAndWhatItTakesAreLogged) {
  version(2, 2);
  start();
  version(3, 3);
  make_folders(path("table/4"));
  test::save_picture_model(path("table/4/model.safetensors"));
  const auto log_of = [&](const std::string& body) {
    ::testing::internal::CaptureStderr();
    const int status = change("/v1/models/table:canary", body);
    const std::string log = ::testing::internal::GetCapturedStderr();
    EXPECT_EQ(status, 200) << last_error_;
    return log;
  };
  const std::string like = log_of(R"({"version":"3","percent":30})");
  EXPECT_TRUE(holds(like, "table: version 3 gets 30 % of the requests, version 2 the others"));
  EXPECT_FALSE(holds(like, "inputs or outputs")) << like;
  const std::string other = log_of(R"({"version":"4","percent":5})");
  EXPECT_TRUE(holds(other, "version 4 gets 5 %")) << other;
  const size_t at = other.find("has other inputs or outputs than version 2 (");
  EXPECT_NE(at, other.npos) << other;
  EXPECT_EQ(other.find("inputs or outputs", at + 20), other.npos) << other;
  EXPECT_TRUE(holds(other, "32")) << other;
}

TEST_F(ServeVersions, LoadAndUnloadManyTimes) {
  version(2, 2);
  start();
  EXPECT_EQ(scale(), 2);
  const auto before = serve::process_figures();
  for (int i = 0; i < 40; ++i) {
    ASSERT_EQ(change("/v2/repository/models/table/unload"), 200) << last_error_;
    EXPECT_EQ(scale(), 0);
    EXPECT_EQ(ask("GET", "/v2/health/ready").status, 200);  // as it was asked for
    ASSERT_EQ(change("/v2/repository/models/table/load",
                     i % 2 ? "" : R"({"parameters":{"version":"1"}})"),
              200)
        << last_error_;
    EXPECT_EQ(scale(), i % 2 ? 2 : 1);
  }
  EXPECT_EQ(change("/v2/repository/models/other/load"), 404);
  EXPECT_TRUE(soon([&] { return serve::process_figures().threads <= before.threads + 1; }));
  EXPECT_LE(serve::process_figures().descriptors, before.descriptors + 2);
}

TEST_F(ServeVersions, AtTheStartABrokenNewestVersionLeavesTheOneBefore) {
  make_folders(path("table/7"));
  std::ofstream(path("table/7/model.safetensors")) << "no model";
  start();
  EXPECT_EQ(scale(), 1);
  std::filesystem::remove(path("table/1/model.safetensors"));
  EXPECT_THROW(serve::Server{options_}, Error);
}

// ---- names, other sites, tokens

TEST_F(Serve, NamesAreNoPaths) {
  start();
  const std::string tail = "/infer";
  for (const std::string& name :
       {std::string(".."), std::string("../table"), std::string("%2e%2e"), std::string("table%00"),
        std::string(4096, 'a'), std::string("table#x"),
        std::string("t\xc3\xa4"
                    "ble"),
        std::string("."), std::string("-x"), std::string("a:b")}) {
    const int status = ask("POST", "/v2/models/" + name + tail, infer_body("[1,1,0]")).status;
    EXPECT_TRUE(status == 400 || status == 404) << name.substr(0, 20) << " " << status;
    const int load = ask("POST", "/v2/repository/models/" + name + "/load").status;
    EXPECT_TRUE(load == 400 || load == 404) << name.substr(0, 20) << " " << load;
  }
  EXPECT_EQ(ask("POST", "/v2/models//infer", "{}").status, 400);
  for (const char* version : {"0", "-1", "01x", "99999999999999999999", "9"})
    EXPECT_EQ(ask("GET", cat({"/v2/models/table/versions/", version})).status, 404) << version;
  EXPECT_EQ(ask("GET", "/v2/other").status, 404);
}

TEST_F(Serve, OtherSitesDoNotChangeModels) {
  start();
  const std::string unload = "/v2/repository/models/table/unload";
  EXPECT_EQ(ask("POST", unload, "", {{"Origin", "http://evil.example"}}).status, 403);
  EXPECT_EQ(ask("POST", unload, "", {{"Origin", "null"}}).status, 403);
  EXPECT_EQ(ask("POST", unload, "", {{"Sec-Fetch-Site", "cross-site"}}).status, 403);
  Client rebound(server_->port());  // a name of theirs that points to this machine
  rebound.send("POST " + unload + " HTTP/1.1\r\nHost: evil.example\r\n\r\n");
  EXPECT_EQ(rebound.receive().status, 403);
  EXPECT_EQ(infer(infer_body("[1,1,0]")).status, 200);
  EXPECT_EQ(ask("POST", unload, "", {{"Origin", "http://localhost"}}).status, 200);
}

TEST_F(Serve, ATokenIsAskedFor) {
  folder_.write("token", "0123456789abcdef\n");
  options_.token = serve::read_token(path("token"));
  folder_.write("short", "0123\n");
  EXPECT_THROW(serve::read_token(path("short")), Error);
  start();
  EXPECT_EQ(ask("GET", "/v2/health/ready").status, 200);
  EXPECT_EQ(infer(infer_body("[1,1,0]")).status, 401);
  EXPECT_EQ(ask("GET", "/metrics").status, 401);
  for (const char* wrong : {"Bearer 0123456789abcdeg", "Bearer ", "Basic 0123456789abcdef",
                            "Bearer 0123456789abcdef0", "0123456789abcdef"})
    EXPECT_EQ(infer(infer_body("[1,1,0]"), {{"Authorization", wrong}}).status, 401) << wrong;
  EXPECT_EQ(infer(infer_body("[1,1,0]"), {{"Authorization", "Bearer 0123456789abcdef"}}).status,
            200);
}

// ---- the end

TEST_F(Serve, DrainsWhatWasBegun) {
  options_.models.batch.wait = 800ms;
  start();
  Client busy(server_->port()), idle(server_->port());
  EXPECT_EQ(idle.ask("GET", "/v2/health/ready").status, 200);
  busy.send(Client::text("POST", "/v2/models/table/infer", infer_body("[1,1,0]"), {}));
  ASSERT_TRUE(soon([&] { return metric("nacre_queue_length{model=\"table\"}") == 1; }));
  EXPECT_TRUE(server_->drain(10s));
  EXPECT_EQ(data_of(busy.receive()), (std::vector<double>{1, 10}));
  EXPECT_TRUE(idle.closed_within(1000));
  EXPECT_FALSE(Client(server_->port()).open());
}

TEST_F(Serve, AnswersWhatComesOnOpenConnectionsAfterTheStop) {
  start();
  Client late(server_->port()), pipelined(server_->port()), silent(server_->port());
  for (Client* c : {&late, &pipelined, &silent})
    EXPECT_EQ(c->ask("GET", "/v2/health/ready").headers.count("connection"), 0u);
  bool all = false;
  std::thread drain([&] { all = server_->drain(10s); });
  const auto began = std::chrono::steady_clock::now();
  EXPECT_TRUE(soon([&] { return !Client(server_->port()).open(); }));
  const std::string one = Client::text("POST", "/v2/models/table/infer", infer_body("[1,1,0]"), {});
  late.send(one);
  pipelined.send(one + one);
  for (Client* c : {&late, &pipelined}) {
    const auto r = c->receive();
    EXPECT_EQ(data_of(r), (std::vector<double>{1, 10}));
    EXPECT_EQ(r.headers.at("connection"), "close");
    EXPECT_EQ(c->end_within(5000), 0) << "the end is clean";
    c->close();
  }
  EXPECT_EQ(silent.end_within(5000), 0);
  silent.close();
  drain.join();
  EXPECT_TRUE(all);
  EXPECT_LT(std::chrono::steady_clock::now() - began, 5s);
}

TEST_F(Serve, ALoadThatGoesOnLosesNothingAtTheStop) {
  start();
  std::atomic<int> lost{0}, last{0}, good{0};
  std::vector<std::thread> clients;
  for (int t = 0; t < 12; ++t)
    clients.emplace_back([&] {
      Client c(server_->port());
      for (;;) {
        const auto r = c.ask("POST", "/v2/models/table/infer", infer_body("[1,1,0]"), {});
        ++(r.status == 200 ? good : lost);
        if (r.status != 200) return;
        if (r.headers.contains("connection")) {
          ++last;
          return;
        }
      }
    });
  ASSERT_TRUE(soon([&] { return good > 200; }));
  EXPECT_TRUE(server_->drain(20s));
  for (auto& t : clients) t.join();
  EXPECT_EQ(lost, 0);
  EXPECT_EQ(last, 12);
}

TEST_F(Serve, TheDrainTimeBoundsTheStop) {
  options_.models.batch.wait = 1s;
  start();
  Client busy(server_->port()), idle(server_->port());
  EXPECT_EQ(idle.ask("GET", "/v2/health/ready").status, 200);
  busy.send(Client::text("POST", "/v2/models/table/infer", infer_body("[1,1,0]"), {}));
  ASSERT_TRUE(soon([&] { return metric("nacre_queue_length{model=\"table\"}") == 1; }));
  EXPECT_FALSE(server_->drain(50ms));
  EXPECT_EQ(busy.receive().status, 0);
  // Connections that only wait are no requests that are left.
  options_.models.batch.wait = 0ms;
  start();
  Client other(server_->port());
  EXPECT_EQ(other.ask("GET", "/v2/health/ready").status, 200);
  EXPECT_TRUE(server_->drain(50ms));
  EXPECT_TRUE(other.closed_within(1000));
}

/// Rounds of mixed load, with bad requests, clients that leave and models that come and go: memory,
/// descriptors and threads stay as they are. NACRE_SOAK is the number of seconds.
TEST_F(ServeVersions, SoakKeepsMemoryDescriptorsAndThreads) {
  version(2, 2);
  start();
  const char* given = std::getenv("NACRE_SOAK");
  const auto round = [&] {
    std::vector<std::thread> clients;
    for (int t = 0; t < 3; ++t)
      clients.emplace_back([&, t] {
        for (int i = 0; i < 25; ++i) {
          Client c(server_->port());
          if (t == 2 && i % 5 == 0) {
            c.send("POST /v2/models/table/infer HTTP/1.1\r\nContent-Length: 9");
            continue;  // and leave
          }
          c.ask("POST", "/v2/models/table/infer",
                i % 3 ? infer_body("[1,1,0]") : infer_body("[1,\"x\",0]"), {});
        }
      });
    version(2, 2);  // a file that is new is loaded
    change("/v2/repository/models/table/load");
    for (auto& t : clients) t.join();
  };
  const auto until = std::chrono::steady_clock::now() +
                     std::chrono::milliseconds(given ? 1000 * std::atoi(given) : 1500);
  for (int i = 0; i < 5; ++i) round();
  soon([&] { return metric("nacre_connections") == 1; });
  const auto before = serve::process_figures();
  int rounds = 0;
  for (; std::chrono::steady_clock::now() < until || rounds < 5; ++rounds) round();
  soon([&] { return metric("nacre_connections") == 1; });
  soon([&] { return serve::process_figures().threads <= before.threads; });
  const auto after = serve::process_figures();
  EXPECT_LE(after.descriptors, before.descriptors + 2);
  EXPECT_LE(after.threads, before.threads + 1);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  // 8 MB of slack for the allocator's arenas.
  EXPECT_LT(after.resident_bytes, before.resident_bytes + (8u << 20)) << rounds << " rounds";
#endif
  RecordProperty("rounds", rounds);
  std::printf("%d rounds of 76 requests: RSS %.1f to %.1f MB, %lu descriptors, %lu threads\n",
              rounds, static_cast<double>(before.resident_bytes) / 1e6,
              static_cast<double>(after.resident_bytes) / 1e6,
              static_cast<unsigned long>(after.descriptors),
              static_cast<unsigned long>(after.threads));
}

}  // namespace
}  // namespace nacre
