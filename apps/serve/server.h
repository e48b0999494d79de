// The model server: models of a Repository behind HTTP.
//
//   ServeOptions o;
//   o.models.paths = {"model.safetensors"};
//   Server server(o);                    // answers on server.port() from here on
//   server.drain(std::chrono::seconds(30));
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "serve/http.h"
#include "serve/protocol.h"
#include "serve/repository.h"

namespace nacre::serve {

struct ServeOptions {
  HttpOptions http;
  RepositoryOptions models;
  uint64_t memory_limit = 0;  ///< bytes of models and requests; 0: 3/4 of what it may use
  uint64_t body_limit = uint64_t{64} << 20;  ///< of a request, unpacked
  int64_t max_pixels = int64_t{1} << 24;     ///< of a picture, and samples of a clip
  std::string token;                         ///< empty: none is asked for
  std::vector<std::string> hosts;  ///< further names of this server, for changes to models
  NotFinite not_finite = NotFinite::null;
  int readers = 0;  ///< threads that decode pictures and large bodies; 0: half of the cores
  bool log_requests = false;  ///< a line of JSON each, on standard error
};

class Server {
 public:
  explicit Server(ServeOptions options);
  ~Server();
  int port() const;
  /// Not ready any more; finishes what was begun, for at most that long. Whether all was answered.
  bool drain(std::chrono::milliseconds patience);
  Repository& models();
  const Metrics& metrics() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// The token in a file: its first line, of 16 characters or more. Throws Error(usage).
std::string read_token(const std::string& path);

}  // namespace nacre::serve
