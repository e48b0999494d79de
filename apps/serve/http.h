// An HTTP/1.1 server: one thread with an event loop, whatever the number of connections. It keeps
// the bounds (sizes, times, connections) and knows nothing of models.
//
//   HttpServer server(options, handler);
//   server.port();                       // it is served from here on
//   server.stop(std::chrono::seconds(30));
//
// Handlers are called on the loop and must not wait; answer() may come from any thread, later.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "serve/memory.h"

namespace nacre::serve {

struct HttpRequest {
  std::string method;  ///< upper case
  std::string path;    ///< as sent, without the query; starts with /
  std::string query;   ///< behind the question mark
  std::vector<std::pair<std::string, std::string>> headers;  ///< names in lower case
  std::string body;
  std::string address;  ///< of the peer
  bool has_body = false;

  /// The value of a header; empty if there is none.
  std::string_view header(std::string_view name) const;
};

struct HttpResponse {
  int status = 200;
  std::string type = "application/json";
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;
  bool close = false;  ///< the connection, behind this
};

/// A request that is being worked on.
class Exchange {
 public:
  virtual ~Exchange() = default;
  HttpRequest request;
  Reservation memory;  ///< what was set aside for the body
  std::string id;      ///< for logs and the header x-request-id
  std::chrono::steady_clock::time_point began;
  /// True once the client has gone: what is not begun yet need not be.
  bool cancelled() const { return gone_.load(std::memory_order_relaxed); }
  /// Sends the response. Once only.
  virtual void answer(HttpResponse response) = 0;

 protected:
  std::atomic<bool> gone_{false};
};

/// While it exists, what this thread answers is held back, and goes to the loop in one piece at its
/// end. One at a time in a thread, and of one server.
class AnswersTogether {
 public:
  AnswersTogether();
  ~AnswersTogether();
  AnswersTogether(const AnswersTogether&) = delete;
  AnswersTogether& operator=(const AnswersTogether&) = delete;

 private:
  struct List;
  std::unique_ptr<List> list_;
};

class HttpHandler {
 public:
  virtual ~HttpHandler() = default;
  struct Admission {
    uint64_t body_limit = 0;
    Reservation memory;
    std::optional<HttpResponse> refusal;  ///< sent at once, then the connection is closed
  };
  /// Looks at a request before its body. `length`: what it declares; nothing for chunks.
  virtual Admission admit(const HttpRequest& head, std::optional<uint64_t> length) = 0;
  virtual void handle(std::shared_ptr<Exchange> exchange) = 0;
  /// Behind each lot of requests that were there together: all of them were handled.
  virtual void settled() = 0;
  /// The response to a request that is no HTTP, too large or too slow.
  virtual HttpResponse failure(int status, std::string_view reason) = 0;
  /// A client went away before its answer.
  virtual void gone() = 0;
};

struct HttpOptions {
  std::string host = "127.0.0.1";
  int port = 0;                   ///< 0: any that is free
  std::string tls_cert, tls_key;  ///< PEM files; empty: no TLS
  size_t connections = 1000;
  size_t connections_per_address = 500;
  size_t header_bytes = 16 << 10;
  std::chrono::milliseconds header_time{10'000};  ///< from the first byte to the end of the head
  std::chrono::milliseconds body_time{60'000};    ///< for the whole body
  std::chrono::milliseconds write_time{60'000};   ///< for the whole response
  std::chrono::milliseconds idle_time{75'000};    ///< between requests
};

struct HttpCounts {
  uint64_t connections = 0;  ///< open now
  uint64_t accepted = 0, refused = 0, timeouts = 0;
};

class HttpServer {
 public:
  /// Throws Error(io) if the address cannot be had, Error(usage) for an address, certificate or key
  /// that is none.
  HttpServer(const HttpOptions& options, HttpHandler& handler);
  ~HttpServer();
  int port() const;
  HttpCounts counts() const;
  /// Takes no more connections, answers what comes on those that are open, as the last request of
  /// each, until they are quiet (at most that long), and ends the loop. Returns whether all
  /// requests were answered.
  bool stop(std::chrono::milliseconds patience);

  struct Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace nacre::serve
