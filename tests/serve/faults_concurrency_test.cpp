// Clients that read slowly or not at all, many that wait, pictures of every kind, and a stop in the
// middle of a load.
#include <sys/resource.h>

#include <cstring>

#include "base/file.h"
#include "nacre/image.h"
#include "serve/client.h"

namespace nacre {
namespace {

using namespace std::chrono_literals;
using test::Client;
using test::infer_body;
using test::Serve;

/// So many rows that the answer, as JSON, does not fit into what the system holds for a connection.
std::string many_rows(int64_t rows) {
  const std::string json = R"({"inputs":[{"name":"input","shape":[)" + std::to_string(rows) +
                           R"(,3],"datatype":"FP32","parameters":{"binary_data_size":)" +
                           std::to_string(12 * rows) + "}}]}";
  std::string body = json;
  for (int64_t i = 0; i < rows; ++i) {
    const float row[3] = {static_cast<float>(i) + 0.5f, 0, 1};
    body.append(reinterpret_cast<const char*>(row), sizeof row);
  }
  return Client::text("POST", "/v2/models/table/infer", body,
                      {{"Inference-Header-Content-Length", std::to_string(json.size())}});
}

TEST_F(Serve, SlowReadersGetAllAndThoseThatDoNotReadAreDropped) {
  constexpr int64_t kRows = 1000000;  // an answer of 12 MB
  options_.http.write_time = 700ms;
  start();
  Client slow(server_->port()), never(server_->port());
  never.send(many_rows(kRows));
  slow.send(many_rows(kRows));
  std::this_thread::sleep_for(300ms);
  EXPECT_EQ(infer(infer_body("[1,1,0]")).status, 200);  // others are answered meanwhile
  const auto r = slow.receive();
  ASSERT_EQ(r.status, 200);
  ASSERT_EQ(r.body.size(), std::stoul(r.headers.at("content-length")));
  const Json outputs = r.json().at("outputs");
  const auto& values = outputs.list()[0].at("data").list();
  ASSERT_EQ(values.size(), static_cast<size_t>(2 * kRows));
  for (const int64_t i : {int64_t{0}, kRows / 2, kRows - 1})
    EXPECT_EQ(values[static_cast<size_t>(2 * i)].number(), static_cast<double>(i) + 0.5);
  // This test holds one connection to ask by; the one that never reads goes.
  EXPECT_TRUE(soon([&] { return metric("nacre_connections") <= 2; }));
  slow.close();
  EXPECT_TRUE(soon([&] { return metric("nacre_connections") == 1; }));
}

TEST_F(Serve, ManyThatWaitCostTheOthersNothing) {
  rlimit files = {};
  getrlimit(RLIMIT_NOFILE, &files);
  if (files.rlim_cur < 2500) {
    files.rlim_cur = std::min<rlim_t>(files.rlim_max, 2500);
    setrlimit(RLIMIT_NOFILE, &files);
  }
  if (files.rlim_cur < 2500) GTEST_SKIP() << "needs 2500 descriptors";
  options_.http.connections = options_.http.connections_per_address = 1100;
  start();
  std::vector<std::unique_ptr<Client>> idle;
  for (int i = 0; i < 1000; ++i) idle.push_back(std::make_unique<Client>(server_->port()));
  for (auto& c : idle) ASSERT_EQ(c->ask("GET", "/v2/health/live").status, 200);
  EXPECT_GE(metric("nacre_connections"), 1000);
  for (int i = 0; i < 50; ++i) EXPECT_EQ(infer(infer_body("[1,1,0]")).status, 200);
  EXPECT_EQ(idle[500]->ask("GET", "/v2/health/live").status, 200);  // it is still open
  EXPECT_LE(serve::process_figures().threads, 20u);
}

TEST_F(Serve, PicturesOfEveryKindAreReadOrRefused) {
  start();
  const std::string goldens = std::string(NACRE_SOURCE_DIR) + "/tests/data/goldens/";
  int answered = 0;
  for (const FolderEntry& e : list_folder(goldens)) {
    const bool picture = e.name.ends_with(".jpg") || e.name.ends_with(".png") ||
                         e.name.ends_with(".webp") || e.name.ends_with(".bmp");
    if (!picture) continue;
    const std::string bytes = read_file(goldens + e.name, 1 << 24);
    const int status =
        ask("POST", "/v1/models/pictures:predict", bytes, {{"Content-Type", "image/jpeg"}}).status;
    EXPECT_TRUE(status == 200 || status == 400) << e.name << " " << status;
    answered += status == 200;
    // Cut short: a mistake, or what could be read of it; never silence.
    const int cut = ask("POST", "/v1/models/pictures:predict", bytes.substr(0, bytes.size() / 2),
                        {{"Content-Type", "image/jpeg"}})
                        .status;
    EXPECT_TRUE(cut == 200 || cut == 400) << e.name << " " << cut;
  }
  EXPECT_GE(answered, 8);  // CMYK, grey, progressive and 16 bits are among them
}

TEST_F(Serve, StopsWhileModelsAreLoaded) {
  options_.models.poll = 1ms;
  for (int round = 0; round < 5; ++round) {
    start();
    for (int i = 0; i < 3; ++i)
      test::save_picture_model(path("new" + std::to_string(10 * round + i) + ".safetensors"));
    std::this_thread::sleep_for(std::chrono::milliseconds(3 * round));
    EXPECT_TRUE(server_->drain(10s));
    server_.reset();
  }
}

}  // namespace
}  // namespace nacre
