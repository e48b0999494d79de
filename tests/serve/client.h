// A client of HTTP over plain sockets, independent of the server's library, and models to serve.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <thread>

#include "base/json.h"
#include "nacre/ops.h"
#include "nacre/zoo.h"
#include "serve/server.h"
#include "tools/shell.h"

namespace nacre::test {

using Headers = std::map<std::string, std::string>;

struct Response {
  int status = 0;  ///< 0: the connection was closed, or nothing came
  Headers headers;
  std::string body;
  Json json() const { return parse_json(body, "response"); }
  std::string error() const { return json().at("error").text(); }
};

class Client {
 public:
  explicit Client(int port) {
    fd_ = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in to = {};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<uint16_t>(port));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    open_ = ::connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0;
  }
  ~Client() { close(); }
  Client(Client&& o) noexcept : fd_(std::exchange(o.fd_, -1)), open_(o.open_), left_(o.left_) {}

  bool open() const { return open_; }
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }
  bool send(const std::string& bytes) {
    for (size_t at = 0; at < bytes.size();) {
      const ssize_t n = ::send(fd_, bytes.data() + at, bytes.size() - at, MSG_NOSIGNAL);
      if (n <= 0) return false;
      at += static_cast<size_t>(n);
    }
    return true;
  }
  /// Whether the server closes the connection within that time.
  bool closed_within(int ms) {
    pollfd p{fd_, POLLIN, 0};
    char c = 0;
    return ::poll(&p, 1, ms) == 1 && ::recv(fd_, &c, 1, MSG_PEEK) <= 0;
  }
  /// How the connection ends within that time: 0 cleanly, ECONNRESET, ..., -1 not at all.
  int end_within(int ms) {
    pollfd p{fd_, POLLIN, 0};
    char c = 0;
    if (::poll(&p, 1, ms) != 1) return -1;
    const ssize_t n = ::recv(fd_, &c, 1, 0);
    return n == 0 ? 0 : n < 0 ? errno : -1;
  }
  Response receive(bool head = false, int ms = 20000) {
    Response r;
    size_t end = 0;
    while ((end = left_.find("\r\n\r\n")) == left_.npos)
      if (!more(ms)) return r;
    size_t at = left_.find("\r\n");
    r.status = std::atoi(left_.c_str() + 9);
    while (at < end) {
      const size_t next = left_.find("\r\n", at + 2);
      const std::string line = left_.substr(at + 2, next - at - 2);
      const size_t colon = line.find(':');
      std::string name = line.substr(0, colon);
      for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
      if (colon != line.npos) r.headers[name] = line.substr(line.find_first_not_of(' ', colon + 1));
      at = next;
    }
    left_.erase(0, end + 4);
    if (r.status == 100) return receive(head, ms);
    const size_t length = head ? 0 : std::stoul("0" + r.headers["content-length"]);
    while (left_.size() < length)
      if (!more(ms)) return r;
    r.body = left_.substr(0, length);
    left_.erase(0, length);
    return r;
  }
  static std::string text(const std::string& method, const std::string& path,
                          const std::string& body, const Headers& headers) {
    std::string t = method + " " + path + " HTTP/1.1\r\nHost: localhost\r\n";
    for (const auto& [name, value] : headers) t += name + ": " + value + "\r\n";
    if (!body.empty()) t += "Content-Length: " + std::to_string(body.size()) + "\r\n";
    return t + "\r\n" + body;
  }
  Response ask(const std::string& method, const std::string& path, const std::string& body = "",
               const Headers& headers = {}) {
    send(text(method, path, body, headers));
    return receive(method == "HEAD");
  }

 private:
  bool more(int ms) {
    pollfd p{fd_, POLLIN, 0};
    if (::poll(&p, 1, ms) != 1) return false;
    char buffer[65536];
    const ssize_t n = ::recv(fd_, buffer, sizeof buffer, 0);
    if (n <= 0) return false;
    left_.append(buffer, static_cast<size_t>(n));
    return true;
  }
  int fd_ = -1;
  bool open_ = false;
  std::string left_;
};

/// Writes a model of a table with columns x and city: scores are those of "no": scale * x, and
/// "yes": 10 for Oslo, else 0.
inline void save_table_model(const std::string& path, float scale = 1) {
  ModelInfo info;
  info.model = "logistic_regression";
  info.options = "in=3 classes=2";
  info.classes = {"no", "yes"};
  info.input = {3};
  TableSchema t;
  t.columns = {{"x", TableColumn::Kind::number, {}},
               {"answer", TableColumn::Kind::category, {"no", "yes"}},
               {"city", TableColumn::Kind::category, {"Oslo", "Paris"}}};
  t.target = 1;
  info.extra["table"] = t.to_json();
  const auto net = make_model(
      info.model, info.options, Scope::load([&](const std::string&, const Shape& s, DType) {
        return s.rank() == 2 ? Tensor::from({scale, 0.f, 0.f, 0.f, 10.f, 0.f}, {2, 3}) : zeros(s);
      }));
  save_model(path, *net, info);
}

/// A model of grey pictures of 32x32 and 3 classes, with random weights.
inline void save_picture_model(const std::string& path) {
  ModelInfo info;
  info.model = "lenet5";
  info.options = "classes=3";
  info.transform = "to_channels(1)|resize(32,32)";
  info.classes = {"cat", "dog", "<b>"};
  info.input = {1, 32, 32};
  save_model(path, *make_model(info.model, info.options, Scope::init(Key(1))), info);
}

/// {"inputs": [...]} for the table model.
inline std::string infer_body(const std::string& data, const std::string& shape = "[1,3]",
                              const std::string& datatype = "FP32") {
  return R"({"inputs":[{"name":"input","shape":)" + shape + R"(,"datatype":")" + datatype +
         R"(","data":)" + data + "}]}";
}

/// A server of its own for each test, on a port that is free.
class Serve : public ::testing::Test {
 protected:
  Serve() {
    options_.models.poll = std::chrono::milliseconds(0);
    options_.readers = 1;
    save_table_model(path("table.safetensors"));
    save_picture_model(path("pictures.safetensors"));
    options_.models.paths = {folder_.str()};
  }
  void start() { server_ = std::make_unique<serve::Server>(options_); }
  Response ask(const std::string& method, const std::string& path, const std::string& body = "",
               const Headers& headers = {}) {
    Client c(server_->port());
    return c.ask(method, path, body, headers);
  }
  Response infer(const std::string& body, const Headers& headers = {}) {
    return ask("POST", "/v2/models/table/infer", body, headers);
  }
  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  /// The value of a metric of /metrics.
  double metric(const std::string& name) {
    const std::string text = "\n" + ask("GET", "/metrics").body;
    const size_t at = text.find("\n" + name + " ");
    return at == text.npos ? -1 : std::stod(text.substr(at + name.size() + 2));
  }
  template <typename F>
  static bool soon(F&& f, int ms = 10000) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(ms);
    while (!f()) {
      if (std::chrono::steady_clock::now() > end) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return true;
  }
  TempFolder folder_;
  serve::ServeOptions options_;
  std::unique_ptr<serve::Server> server_;
};

}  // namespace nacre::test
