// nacre serve: models behind HTTP.
#include <chrono>
#include <cstdio>
#include <thread>

#include "base/log.h"
#include "base/signals.h"
#include "cli/commands.h"
#include "serve/server.h"

namespace nacre::cli {
namespace {

std::chrono::milliseconds milliseconds(double seconds) {
  return std::chrono::milliseconds(static_cast<int64_t>(1000 * seconds));
}

serve::ServeOptions options_of(const ServeArgs& a) {
  if (a.tls_cert.empty() != a.tls_key.empty())
    fail(Error::Kind::usage, {"--tls-cert and --tls-key go together"});
  serve::ServeOptions o;
  o.http.host = a.host;
  o.http.port = a.port;
  o.http.tls_cert = a.tls_cert;
  o.http.tls_key = a.tls_key;
  o.http.connections = static_cast<size_t>(a.connections);
  o.http.connections_per_address = static_cast<size_t>(a.connections_per_address);
  o.http.idle_time = milliseconds(a.idle_seconds);
  o.http.body_time = o.http.write_time = milliseconds(a.body_seconds);
  o.models.paths = a.models;
  o.models.poll = milliseconds(a.poll_seconds);
  o.models.canary = a.canary;
  o.models.batch.rows = a.max_batch;
  o.models.batch.wait = std::chrono::microseconds(static_cast<int64_t>(1000 * a.batch_wait_ms));
  o.models.batch.queue = static_cast<size_t>(a.queue);
  o.models.batch.patience = milliseconds(a.queue_seconds);
  o.memory_limit = a.memory_limit;
  o.body_limit = a.body_limit;
  o.max_pixels = a.max_pixels;
  o.hosts = a.allow_hosts;
  o.readers = a.readers;
  o.log_requests = a.log_requests;
  o.not_finite = a.not_finite == "null"   ? serve::NotFinite::null
                 : a.not_finite == "text" ? serve::NotFinite::text
                                          : serve::NotFinite::refuse;
  if (!a.token_file.empty()) o.token = serve::read_token(a.token_file);
  return o;
}

}  // namespace

int run_serve(const ServeArgs& a) {
  constexpr auto kLook = std::chrono::milliseconds(50);
  serve::Server server(options_of(a));
  const bool everyone = a.host != "localhost" && a.host != "::1" && !a.host.starts_with("127.");
  if (everyone && a.token_file.empty())
    log_warning({"everybody who reaches ", a.host,
                 " can use the models; --token-file asks for a "
                 "token"});
  std::printf("http%s://%s:%d\n", a.tls_cert.empty() ? "" : "s", a.host.c_str(), server.port());
  std::fflush(stdout);
  while (!stop_requested()) std::this_thread::sleep_for(kLook);
  log_info({"finishing what was begun, for at most ", a.drain_seconds, " s"});
  if (server.drain(milliseconds(a.drain_seconds))) return 0;
  log_error({"some requests were not finished within --drain-time ", a.drain_seconds, " s"});
  return 1;
}

}  // namespace nacre::cli
