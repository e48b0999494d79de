#include "serve/server.h"

#include <unistd.h>

#include <algorithm>

#include "base/cgroup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/parallel.h"
#include "serve/app.h"

namespace nacre::serve {
namespace {

constexpr size_t kTokenBytes = 16;

ServeOptions settled(ServeOptions o) {
  if (o.memory_limit == 0) {
    const auto all = static_cast<uint64_t>(::sysconf(_SC_PHYS_PAGES)) *
                     static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
    const uint64_t group = cgroup_memory().most;
    o.memory_limit = (group > 0 ? std::min(all, group) : all) / 4 * 3;
  }
  if (o.readers == 0) o.readers = std::clamp(num_threads() / 2, 1, 8);
  return o;
}

}  // namespace

// ---- a few threads

Pool::Pool(int threads, size_t most) : most_(most) {
  for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { work(); });
}

Pool::~Pool() {
  {
    std::lock_guard lock(mutex_);
    ending_ = true;
  }
  wake_.notify_all();
  for (std::thread& t : threads_) t.join();
}

bool Pool::submit(std::function<void()> task) {
  {
    std::lock_guard lock(mutex_);
    if (tasks_.size() >= most_) return false;
    tasks_.push_back(std::move(task));
  }
  wake_.notify_one();
  return true;
}

void Pool::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [&] { return ending_ || !tasks_.empty(); });
    if (tasks_.empty()) return;
    auto task = std::move(tasks_.front());
    tasks_.pop_front();
    lock.unlock();
    task();
    task = nullptr;
    lock.lock();
  }
}

// ---- the server

struct Server::Impl {
  explicit Impl(const ServeOptions& options) : app(options), http(options.http, app) {
    app.use(&http);
  }
  App app;
  HttpServer http;
};

Server::Server(ServeOptions options) : impl_(std::make_unique<Impl>(settled(std::move(options)))) {}

Server::~Server() { drain(std::chrono::milliseconds(0)); }

int Server::port() const { return impl_->http.port(); }
Repository& Server::models() { return impl_->app.models(); }
const Metrics& Server::metrics() const { return impl_->app.metrics(); }

bool Server::drain(std::chrono::milliseconds patience) {
  impl_->app.begin_drain();
  const bool all = impl_->http.stop(patience);
  impl_->app.end_work();
  return all;
}

std::string read_token(const std::string& path) {
  std::string token = read_file(path, 1 << 16);
  token = token.substr(0, token.find_first_of("\r\n"));
  if (token.size() < kTokenBytes)
    fail(Error::Kind::usage, {path, " should hold a token of ", kTokenBytes,
                              " characters or more on its first line; `openssl rand -hex 32` "
                              "makes one"});
  return token;
}

}  // namespace nacre::serve
