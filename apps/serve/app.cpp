#include "serve/app.h"

#include <algorithm>
#include <charconv>

#include "base/gzip.h"
#include "base/log.h"

namespace nacre::serve {
namespace {

constexpr uint64_t kSmallBody = 64 << 10;  ///< of requests that are not for a model
constexpr uint64_t kInline = 32 << 10;     ///< bodies up to this are read on the loop
constexpr int kRetrySeconds = 1;

std::vector<std::string_view> split(std::string_view path) {
  std::vector<std::string_view> parts;
  while (!path.empty()) {
    path.remove_prefix(1);  // the slash
    const size_t end = std::min(path.find('/'), path.size());
    parts.push_back(path.substr(0, end));
    path.remove_prefix(end);
  }
  if (!parts.empty() && parts.back().empty()) parts.pop_back();  // a slash at the end
  return parts;
}

std::string_view media_type(std::string_view header) {
  header = header.substr(0, header.find(';'));
  while (header.ends_with(' ')) header.remove_suffix(1);
  return header;
}

/// Takes the same time whatever differs.
bool same_secret(std::string_view a, std::string_view b) {
  unsigned char difference = a.size() != b.size();
  for (size_t i = 0; i < a.size(); ++i)
    difference |= static_cast<unsigned char>(a[i] ^ b[b.empty() ? 0 : i % b.size()]);
  return difference == 0;
}

std::string_view host_name(std::string_view host) {
  if (host.starts_with('[')) return host.substr(0, host.find(']') + 1);
  return host.substr(0, host.find(':'));
}

bool is_loopback(std::string_view host) {
  return host == "localhost" || host == "::1" || host == "[::1]" || host.starts_with("127.");
}

bool is_health(std::string_view path) {
  return path == "/v2/health/live" || path == "/v2/health/ready" || path == "/healthz";
}

bool is_call(std::string_view path) {
  return path.ends_with("/infer") || path.ends_with(":predict");
}

std::optional<int64_t> version_in(std::string_view text) {
  int64_t v = 0;
  const auto end = std::from_chars(text.data(), text.data() + text.size(), v);
  if (end.ec != std::errc() || end.ptr != text.data() + text.size() || v < 1 || text[0] == '+')
    throw Refusal(404, "a version is a whole number from 1");
  return v;
}

void check_name(std::string_view name) {
  if (!is_model_name(name))
    throw Refusal(400, "the name of a model is 1 to 100 letters, digits, '.', '_' and '-'");
}

void allow(const ExchangePtr& x, std::string_view method) {
  const std::string& m = x->request.method;
  if (m == method || (method == "GET" && m == "HEAD")) return;
  throw Refusal(405, cat({"this takes ", method}));
}

Json body_object(const Exchange& x) {
  const std::string_view body = x.request.body;
  if (body.empty()) return Json::object();
  JsonLimits limits;
  limits.depth = 8;
  Json j = parse_json(body, "the request", limits);
  if (!j.is_object()) throw Refusal(400, "the body should be a JSON object");
  return j;
}

/// "version" as text or number, at the top or among "parameters".
std::optional<int64_t> version_of(const Json& j) {
  const Json* v = j.find("version");
  if (const Json* p = j.find("parameters"); !v && p && p->is_object()) v = p->find("version");
  if (!v || v->is_null()) return {};
  return version_in(v->is_text() ? v->text() : std::to_string(v->integer()));
}

}  // namespace

HttpResponse error_json(int status, std::string_view text, bool retry) {
  HttpResponse r;
  r.status = status;
  r.body = "{\"error\":";
  append_text(r.body, text);
  r.body += "}\n";
  if (retry) r.headers.emplace_back("retry-after", std::to_string(kRetrySeconds));
  return r;
}

std::optional<int64_t> query_number(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    const size_t end = std::min(query.find('&'), query.size());
    const std::string_view pair = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    if (!pair.starts_with(name) || pair.size() <= name.size() || pair[name.size()] != '=') continue;
    const std::string_view text = pair.substr(name.size() + 1);
    int64_t v = 0;
    const auto at = std::from_chars(text.data(), text.data() + text.size(), v);
    if (at.ec != std::errc() || at.ptr != text.data() + text.size() || v < 1)
      throw Refusal(400, cat({name, " should be a whole number from 1"}));
    return v;
  }
  return {};
}

App::App(const ServeOptions& options)
    : options_(options),
      memory_(options.memory_limit),
      models_(std::make_unique<Repository>(options.models, memory_, metrics_)),
      pool_(std::make_unique<Pool>(options.readers, 256)) {}

App::~App() { end_work(); }

void App::end_work() {
  pool_.reset();
  models_.reset();
}

// ---- before the body

HttpHandler::Admission App::admit(const HttpRequest& head, std::optional<uint64_t> length) {
  Admission a;
  const auto refuse = [&](HttpResponse r) {
    metrics_.answered(r.status);
    a.refusal = std::move(r);
  };
  if (!options_.token.empty() && !is_health(head.path)) {
    const std::string_view given = head.header("authorization");
    const bool bearer =
        given.size() > 7 && (given.starts_with("Bearer ") || given.starts_with("bearer "));
    if (!bearer || !same_secret(given.substr(7), options_.token)) {
      HttpResponse r = error_json(401, "a token is needed: authorization: Bearer ...");
      r.headers.emplace_back("www-authenticate", "Bearer");
      refuse(std::move(r));
      return a;
    }
  }
  a.body_limit = is_call(head.path) ? options_.body_limit : kSmallBody;
  if (!head.has_body) return a;
  if (length.value_or(0) > a.body_limit) {
    refuse(error_json(
        413, cat({"the body has ", *length, " bytes, at most ", a.body_limit, " are taken"})));
    return a;
  }
  // Chunks do not say how many they are.
  a.memory = memory_.reserve(2 * length.value_or(a.body_limit));
  if (!a.memory) refuse(error_json(503, "there is no memory for this request now", true));
  return a;
}

HttpResponse App::failure(int status, std::string_view reason) {
  metrics_.answered(status);
  HttpResponse r = error_json(status, reason);
  r.close = true;
  return r;
}

// ---- answers

void App::reply(const ExchangePtr& x, HttpResponse response) {
  metrics_.answered(response.status);
  if (options_.log_requests) {
    Json j = Json::object();
    j["id"] = x->id;
    j["address"] = x->request.address;
    j["method"] = x->request.method;
    j["path"] = x->request.path.substr(0, 200);
    j["status"] = response.status;
    j["bytes"] = response.body.size();
    j["ms"] = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - x->began)
                  .count();
    print_line(print_json(j));
  }
  x->answer(std::move(response));
}

void App::reply(const CallPtr& call, Outcome outcome, HttpResponse response) {
  call->metrics->count(outcome);
  call->metrics->latency.add(
      std::chrono::duration<double>(std::chrono::steady_clock::now() - call->exchange->began)
          .count());
  reply(call->exchange, std::move(response));
}

HttpResponse App::error_response(std::exception_ptr failure, Outcome* outcome,
                                 const std::string& id) {
  const auto is = [&](Outcome o) {
    if (outcome) *outcome = o;
  };
  try {
    std::rethrow_exception(failure);
  } catch (const Refusal& e) {
    is(e.retry ? Outcome::rejected : Outcome::bad_request);
    return error_json(e.status, e.what(), e.retry);
  } catch (const Error& e) {
    switch (e.kind()) {
      case Error::Kind::usage:
      case Error::Kind::shape:
      case Error::Kind::data:
      case Error::Kind::unsupported:
        is(Outcome::bad_request);
        return error_json(400, e.what());
      case Error::Kind::numeric:
        is(Outcome::error);
        return error_json(422, e.what());
      case Error::Kind::memory:
        is(Outcome::memory);
        return error_json(413, e.what());
      default:
        log_error({"request ", id, ": ", e.what()});
    }
  } catch (const std::bad_alloc&) {
    is(Outcome::memory);
    return error_json(503, "there is no memory for this request now", true);
  } catch (const std::exception& e) {
    log_error({"request ", id, ": ", e.what()});
  }
  is(Outcome::error);
  return error_json(500, "the server failed; its log says why under the request's id");
}

void App::refuse(const CallPtr& call, std::exception_ptr failure) {
  Outcome outcome = Outcome::error;
  HttpResponse r = error_response(failure, &outcome, call->exchange->id);
  reply(call, outcome, std::move(r));
}

// ---- routes

void App::handle(ExchangePtr x) {
  const std::string_view given = x->request.header("x-request-id");
  const bool plain =
      !given.empty() && given.size() <= 64 &&
      std::all_of(given.begin(), given.end(), [](char c) { return c > ' ' && c < 127; });
  x->id = plain ? std::string(given) : std::to_string(++ids_);
  try {
    route(x);
  } catch (const Refusal& e) {
    HttpResponse r = error_response(std::current_exception(), nullptr, x->id);
    if (e.status == 405) {
      const std::string text = e.what();
      r.headers.emplace_back("allow", text.substr(text.rfind(' ') + 1));
    }
    reply(x, std::move(r));
  } catch (...) {
    reply(x, error_response(std::current_exception(), nullptr, x->id));
  }
}

/// Models begin only now, so that requests that came together run together.
void App::settled() {
  for (const LoadedPtr& m : to_wake_) m->batcher->wake();
  to_wake_.clear();
}

void App::route(const ExchangePtr& x) {
  const std::string& path = x->request.path;
  const auto answer = [&](std::string body, std::string type = "application/json") {
    HttpResponse r;
    r.body = std::move(body);
    r.type = std::move(type);
    reply(x, std::move(r));
  };
  if (path == "/") {
    allow(x, "GET");
    return reply(x, status_page(models_->states(), draining_));
  }
  if (path == "/openapi.json") {
    allow(x, "GET");
    return answer(openapi_json());
  }
  if (path == "/metrics") {
    allow(x, "GET");
    std::string more;
    if (const HttpServer* http = http_) {
      const HttpCounts c = http->counts();
      write_metric(more, "nacre_connections", "gauge", "Open connections.",
                   static_cast<double>(c.connections));
      write_metric(more, "nacre_connections_total", "counter", "Connections taken.",
                   static_cast<double>(c.accepted));
      write_metric(more, "nacre_connections_refused_total", "counter",
                   "Connections closed at once: too many.", static_cast<double>(c.refused));
      write_metric(more, "nacre_connection_timeouts_total", "counter",
                   "Requests that arrived too slowly.", static_cast<double>(c.timeouts));
    }
    write_metric(more, "nacre_memory_reserved_bytes", "gauge", "Set aside for models and requests.",
                 static_cast<double>(memory_.used()));
    return answer(metrics_.text(more), "text/plain; version=0.0.4");
  }
  if (path == "/healthz") {
    allow(x, "GET");
    return answer("{\"live\":true}\n");
  }
  const auto parts = split(path);
  if (!parts.empty() && parts[0] == "v2" && route_v2(x, parts)) return;
  if (!parts.empty() && parts[0] == "v1" && route_v1(x, parts)) return;
  throw Refusal(404, "there is nothing at this path; /openapi.json lists what there is");
}

bool App::route_v2(const ExchangePtr& x, std::span<const std::string_view> path) {
  const auto answer = [&](std::string body, int status = 200) {
    HttpResponse r;
    r.status = status;
    r.body = std::move(body);
    reply(x, std::move(r));
  };
  if (path.size() == 1) {
    allow(x, "GET");
    answer("{\"name\":\"nacre\",\"version\":\"" NACRE_VERSION
           "\",\"extensions\":[\"binary_tensor_data\",\"classification\",\"model_repository\"]}\n");
    return true;
  }
  if (path[1] == "health" && path.size() == 3) {
    const bool live = path[2] == "live", ready = path[2] == "ready";
    if (!live && !ready) return false;
    allow(x, "GET");
    const bool good = live || (!draining_ && models_->ready());
    answer(cat({"{\"", path[2], "\":", good ? "true" : "false", "}\n"}), good ? 200 : 503);
    return true;
  }
  if (path[1] == "models" && path.size() >= 3) {
    const std::string_view name = path[2];
    check_name(name);
    std::optional<int64_t> version;
    size_t at = 3;
    if (path.size() >= 5 && path[3] == "versions") {
      version = version_in(path[4]);
      at = 5;
    }
    if (path.size() == at) {
      allow(x, "GET");
      answer(metadata_json(models_->state(name), *models_->serving(name, version)));
      return true;
    }
    if (path.size() != at + 1) return false;
    if (path[at] == "ready") {
      allow(x, "GET");
      const LoadedPtr m = models_->serving(name, version);
      const bool good = !draining_ && m->batcher->healthy();
      answer(cat({"{\"name\":\"", name, "\",\"ready\":", good ? "true" : "false", "}\n"}),
             good ? 200 : 503);
      return true;
    }
    if (path[at] == "infer") {
      to_model(x, name, version, &App::infer);
      return true;
    }
    return false;
  }
  if (path[1] != "repository" || path.size() < 3) return false;
  if (path[2] == "index" && path.size() == 3) {
    allow(x, "POST");
    answer(index_json(models_->states()));
    return true;
  }
  if (path.size() != 5 || path[2] != "models") return false;
  const std::string name(path[3]);
  if (path[4] == "load") {
    allow(x, "POST");
    check_admin(x->request);
    check_name(name);
    const auto version = version_of(body_object(*x));
    change(
        x, [&](auto done) { models_->load(name, version, std::move(done)); }, name);
    return true;
  }
  if (path[4] == "unload") {
    allow(x, "POST");
    check_admin(x->request);
    check_name(name);
    change(
        x, [&](auto done) { models_->unload(name, std::move(done)); }, name);
    return true;
  }
  return false;
}

bool App::route_v1(const ExchangePtr& x, std::span<const std::string_view> path) {
  if (path.size() == 2 && path[1] == "models") {
    allow(x, "GET");
    HttpResponse r;
    r.body = index_json(models_->states());
    reply(x, std::move(r));
    return true;
  }
  if (path.size() < 3 || path[1] != "models") return false;
  std::optional<int64_t> version;
  std::string_view last = path[2];
  if (path.size() == 5 && path[3] == "versions")
    last = path[4];
  else if (path.size() != 3)
    return false;
  const size_t colon = last.rfind(':');
  if (colon == last.npos) return false;
  const std::string_view verb = last.substr(colon + 1);
  std::string_view name = path[2];
  if (path.size() == 5)
    version = version_in(last.substr(0, colon));
  else
    name = last.substr(0, colon);
  if (verb == "predict") {
    check_name(name);
    to_model(x, name, version, &App::predict);
    return true;
  }
  if (path.size() == 5 || (verb != "canary" && verb != "promote" && verb != "rollback"))
    return false;
  allow(x, "POST");
  check_admin(x->request);
  check_name(name);
  const std::string model(name);
  if (verb == "canary") {
    const Json j = body_object(*x);
    const int64_t percent = j.integer_or("percent", 10);
    if (percent < 0 || percent > 100) throw Refusal(400, "percent should lie between 0 and 100");
    const auto which = version_of(j);
    change(
        x,
        [&](auto done) {
          models_->canary(model, which, static_cast<int>(percent), std::move(done));
        },
        model);
  } else if (verb == "promote") {
    change(
        x, [&](auto done) { models_->promote(model, std::move(done)); }, model);
  } else {
    change(
        x, [&](auto done) { models_->roll_back(model, std::move(done)); }, model);
  }
  return true;
}

/// Pages of other sites must not reach these routes through a browser, also not by a name that
/// points here.
void App::check_admin(const HttpRequest& r) const {
  const std::string_view host = r.header("host"), origin = r.header("origin");
  if (!origin.empty() && origin != cat({"http://", host}) && origin != cat({"https://", host}))
    throw Refusal(403, "requests of other sites do not change models");
  if (r.header("sec-fetch-site") == "cross-site")
    throw Refusal(403, "requests of other sites do not change models");
  if (!options_.token.empty()) return;  // checked before the body
  if (!is_loopback(options_.http.host))
    throw Refusal(403, "models are changed only with a token here; see --token-file");
  const std::string_view name = host_name(host);
  const auto& known = options_.hosts;
  if (!is_loopback(name) && std::find(known.begin(), known.end(), name) == known.end())
    throw Refusal(403, "the header host does not name this server");
}

void App::change(const ExchangePtr& x, const std::function<void(Repository::Done)>& start,
                 const std::string& name) {
  // By its address: it may be called while models_ is being destroyed.
  start([this, x, name, models = models_.get()](std::exception_ptr failure) {
    if (failure) return reply(x, error_response(failure, nullptr, x->id));
    HttpResponse r;
    r.body = index_json({models->state(name)});
    reply(x, std::move(r));
  });
}

void App::to_model(const ExchangePtr& x, std::string_view name, std::optional<int64_t> version,
                   void (App::*work)(const CallPtr&)) {
  allow(x, "POST");
  if (!x->request.has_body) throw Refusal(411, "the request has no body");
  auto call = std::make_shared<Call>();
  call->exchange = x;
  call->model = models_->choose(name, version);
  call->metrics = call->model->metrics;
  if (call->model->batcher->full()) {
    call->metrics->count(Outcome::rejected);
    throw Refusal(503, cat({"too many requests wait for ", name}), true);
  }
  const auto run = [this, call, work] {
    try {
      (this->*work)(call);
    } catch (...) {
      refuse(call, std::current_exception());
    }
  };
  const std::string_view type = media_type(x->request.header("content-type"));
  const bool picture =
      work == &App::predict && type != "application/json" && !type.starts_with("text/");
  const bool packed = !x->request.header("content-encoding").empty();
  if (x->request.body.size() <= kInline && !picture && !packed) return run();
  call->on_loop = false;
  if (!pool_->submit(run)) {
    call->metrics->count(Outcome::rejected);
    throw Refusal(503, "too many large requests wait", true);
  }
}

/// The body as it was before compression.
std::string App::unpacked(Exchange& x) const {
  const std::string_view coding = x.request.header("content-encoding");
  if (coding.empty() || coding == "identity") return std::move(x.request.body);
  if (coding != "gzip" && coding != "deflate" && coding != "x-gzip")
    throw Refusal(415, "content-encoding should be gzip, deflate or identity");
  const std::string packed = std::move(x.request.body);
  try {
    return gunzip(packed, options_.body_limit, "the body");
  } catch (const Error& e) {
    const bool much = std::string_view(e.what()).find("more than") != std::string_view::npos;
    throw Refusal(much ? 413 : 400, e.what());
  }
}

}  // namespace nacre::serve
