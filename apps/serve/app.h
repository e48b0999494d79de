// The routes behind Server.
#pragma once

#include <deque>
#include <functional>
#include <span>
#include <thread>

#include "serve/server.h"

namespace nacre::serve {

/// A few threads for work that would hold up the loop.
class Pool {
 public:
  Pool(int threads, size_t most);
  ~Pool();
  /// False if too much waits already.
  bool submit(std::function<void()> task);

 private:
  void work();
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> tasks_;
  const size_t most_;
  bool ending_ = false;
  std::vector<std::thread> threads_;
};

using ExchangePtr = std::shared_ptr<Exchange>;

/// A request to a model on its way: where the answer goes, and what is counted.
struct Call {
  ExchangePtr exchange;
  LoadedPtr model;
  std::shared_ptr<ModelMetrics> metrics;
  bool on_loop = true;  ///< read there, with others that have come
};
using CallPtr = std::shared_ptr<Call>;

class App final : public HttpHandler {
 public:
  explicit App(const ServeOptions& options);
  ~App() override;

  Admission admit(const HttpRequest& head, std::optional<uint64_t> length) override;
  void handle(ExchangePtr exchange) override;
  void settled() override;
  HttpResponse failure(int status, std::string_view reason) override;
  void gone() override { ++metrics_.gone; }

  void begin_drain() { draining_ = true; }
  void end_work();  ///< waits for what was begun
  Repository& models() { return *models_; }
  const Metrics& metrics() const { return metrics_; }
  void use(const HttpServer* http) { http_ = http; }

 private:
  void route(const ExchangePtr& x);
  bool route_v2(const ExchangePtr& x, std::span<const std::string_view> path);
  bool route_v1(const ExchangePtr& x, std::span<const std::string_view> path);
  void to_model(const ExchangePtr& x, std::string_view name, std::optional<int64_t> version,
                void (App::*work)(const CallPtr&));
  void infer(const CallPtr& call);
  void predict(const CallPtr& call);
  void submit(const CallPtr& call, Tensors inputs, int64_t rows,
              std::function<void(Tensors)> answer);
  void change(const ExchangePtr& x, const std::function<void(Repository::Done)>& start,
              const std::string& name);

  void reply(const ExchangePtr& x, HttpResponse response);
  void reply(const CallPtr& call, Outcome outcome, HttpResponse response);
  void refuse(const CallPtr& call, std::exception_ptr failure);
  HttpResponse error_response(std::exception_ptr failure, Outcome* outcome, const std::string& id);
  void check_admin(const HttpRequest& r) const;
  std::string unpacked(Exchange& x) const;

  const ServeOptions options_;
  MemoryBudget memory_;
  Metrics metrics_;
  std::atomic<bool> draining_{false};
  std::atomic<uint64_t> ids_{0};
  std::atomic<const HttpServer*> http_{nullptr};
  std::unique_ptr<Repository> models_;
  std::unique_ptr<Pool> pool_;
  std::vector<LoadedPtr> to_wake_;  ///< used on the loop only: models with requests since settled()
};

HttpResponse error_json(int status, std::string_view text, bool retry = false);
std::string metadata_json(const ModelState& state, const Loaded& m);
std::string index_json(const std::vector<ModelState>& states);
HttpResponse status_page(const std::vector<ModelState>& states, bool draining);
std::string openapi_json();
/// Bytes of base64 text with padding. Throws Error(data).
std::string from_base64(std::string_view text, std::string_view where);
/// The number in "name=5&..."; nothing if the name is not there. Throws Refusal(400).
std::optional<int64_t> query_number(std::string_view query, std::string_view name);

}  // namespace nacre::serve
