// Load for a server over HTTP on this machine: an open loop, whose requests are sent at their time
// whether or not earlier ones have been answered, or a closed one.
//
//   serve_load --port 8080 --path /v2/models/lenet5/infer --body row.json --rate 500 --seconds 10
//
// --rate 0 is the closed loop: each connection sends when it has its answer. A latency counts from
// the time at which the request was due. Prints one line of JSON.
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <fstream>
#include <map>
#include <random>
#include <sstream>
#include <string>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

struct Connection {
  int fd = -1;
  bool busy = false;
  double due = 0;
  std::string in;
};

struct Load {
  int port = 8080, connections = 64;
  double rate = 0, seconds = 5;
  std::string path = "/", type = "application/json", json_bytes, request;
  std::vector<Connection> all;
  std::vector<size_t> free;
  std::deque<double> waiting;  ///< due, but no connection is free
  std::vector<double> latency, refused_latency;
  uint64_t sent = 0, refused = 0, failed = 0;
  int poll = -1;
  Clock::time_point start = Clock::now();

  double now() const { return std::chrono::duration<double>(Clock::now() - start).count(); }

  void open(size_t i) {
    Connection& c = all[i];
    if (c.fd >= 0) ::close(c.fd);
    c.in.clear();
    c.busy = false;
    c.fd = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in to = {};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<uint16_t>(port));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(c.fd, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) {
      std::fprintf(stderr, "cannot connect to port %d\n", port);
      std::exit(1);
    }
    const int on = 1;
    ::setsockopt(c.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    epoll_event e = {};
    e.events = EPOLLIN;
    e.data.u64 = i;
    ::epoll_ctl(poll, EPOLL_CTL_ADD, c.fd, &e);
  }

  void send(size_t i, double due) {
    Connection& c = all[i];
    c.busy = true;
    c.due = due;
    ++sent;
    for (size_t at = 0; at < request.size();) {
      const ssize_t n = ::send(c.fd, request.data() + at, request.size() - at, MSG_NOSIGNAL);
      if (n <= 0) return lost(i);
      at += static_cast<size_t>(n);
    }
  }

  void lost(size_t i) {
    if (all[i].busy) ++failed;
    open(i);
    free.push_back(i);
  }

  /// One answer that is there as a whole: its status, or 0.
  int answer(Connection& c) {
    const size_t end = c.in.find("\r\n\r\n");
    if (end == c.in.npos) return 0;
    size_t length = 0;
    for (const char* name : {"Content-Length: ", "content-length: "})
      if (const size_t at = c.in.find(name); at < end)
        length = std::strtoul(c.in.c_str() + at + 16, nullptr, 10);
    if (c.in.size() < end + 4 + length) return 0;
    const int status = std::atoi(c.in.c_str() + 9);
    c.in.erase(0, end + 4 + length);
    return status;
  }

  void run() {
    poll = ::epoll_create1(0);
    all.resize(static_cast<size_t>(connections));
    for (size_t i = 0; i < all.size(); ++i) {
      open(i);
      free.push_back(i);
    }
    std::mt19937_64 random(1);
    std::exponential_distribution<double> gap(rate > 0 ? rate : 1);
    start = Clock::now();
    double next = 0;
    std::vector<epoll_event> events(256);
    char buffer[65536];
    while (now() < seconds) {
      if (rate > 0) {
        for (; next <= now(); next += gap(random)) waiting.push_back(next);
      } else {
        waiting.assign(free.size(), now());
      }
      while (!waiting.empty() && !free.empty()) {
        const size_t i = free.back();
        free.pop_back();
        const double due = waiting.front();
        waiting.pop_front();
        send(i, due);
      }
      const int n =
          ::epoll_wait(poll, events.data(), static_cast<int>(events.size()), rate > 0 ? 0 : 10);
      for (int k = 0; k < n; ++k) {
        const size_t i = events[static_cast<size_t>(k)].data.u64;
        Connection& c = all[i];
        const ssize_t got = ::recv(c.fd, buffer, sizeof buffer, MSG_DONTWAIT);
        if (got <= 0) {
          if (got < 0 && errno == EAGAIN) continue;
          const bool was_free = !c.busy;
          lost(i);
          if (was_free) free.erase(std::find(free.begin(), free.end(), i));
          continue;
        }
        c.in.append(buffer, static_cast<size_t>(got));
        const int status = answer(c);
        if (status == 0) continue;
        c.busy = false;
        free.push_back(i);
        const double took = now() - c.due;
        if (status == 200) {
          latency.push_back(took);
        } else if (status == 503 || status == 429) {
          ++refused;
          refused_latency.push_back(took);
        } else {
          ++failed;
        }
      }
    }
  }

  static double quantile(std::vector<double>& v, double q) {
    if (v.empty()) return 0;
    std::sort(v.begin(), v.end());
    return 1000 * v[std::min(v.size() - 1, static_cast<size_t>(q * static_cast<double>(v.size())))];
  }

  void print() {
    const double time = now();
    std::printf(
        "{\"rate\": %.0f, \"connections\": %d, \"seconds\": %.1f, \"sent\": %lu, "
        "\"answered_per_second\": %.1f, \"refused\": %lu, \"failed\": %lu, "
        "\"p50_ms\": %.2f, \"p90_ms\": %.2f, \"p99_ms\": %.2f, \"p999_ms\": %.2f, "
        "\"refused_p50_ms\": %.2f, \"refused_p99_ms\": %.2f}\n",
        rate, connections, time, sent, static_cast<double>(latency.size()) / time, refused, failed,
        quantile(latency, .5), quantile(latency, .9), quantile(latency, .99),
        quantile(latency, .999), quantile(refused_latency, .5), quantile(refused_latency, .99));
  }
};

}  // namespace

int main(int argc, char** argv) {
  Load load;
  std::string body;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string name = argv[i], value = argv[i + 1];
    if (name == "--port")
      load.port = std::stoi(value);
    else if (name == "--path")
      load.path = value;
    else if (name == "--rate")
      load.rate = std::stod(value);
    else if (name == "--seconds")
      load.seconds = std::stod(value);
    else if (name == "--connections")
      load.connections = std::stoi(value);
    else if (name == "--type")
      load.type = value;
    else if (name == "--json-bytes")  // of a body with tensors as bytes
      load.json_bytes = value;
    else if (name == "--body") {
      std::ifstream file(value, std::ios::binary);
      std::stringstream text;
      text << file.rdbuf();
      body = text.str();
    } else {
      std::fprintf(stderr, "serve_load: there is no option %s\n", argv[i]);
      return 2;
    }
  }
  load.request =
      "POST " + load.path + " HTTP/1.1\r\nHost: localhost\r\nContent-Type: " + load.type + "\r\n" +
      (load.json_bytes.empty() ? ""
                               : "Inference-Header-Content-Length: " + load.json_bytes + "\r\n") +
      "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  load.run();
  load.print();
  return 0;
}
