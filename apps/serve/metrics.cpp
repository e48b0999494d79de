#include "serve/metrics.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "nacre/error.h"

namespace nacre::serve {
namespace {

std::string number(double v) {
  char text[40];
  std::snprintf(text, sizeof text, "%.9g", v);
  return text;
}

std::string line(std::string_view name, const std::string& labels, double value) {
  return labels.empty() ? cat({name, " ", number(value), "\n"})
                        : cat({name, "{", labels, "} ", number(value), "\n"});
}

void head(std::string& out, std::string_view name, std::string_view type, std::string_view help) {
  out += cat({"# HELP ", name, " ", help, "\n# TYPE ", name, " ", type, "\n"});
}

}  // namespace

Histogram::Histogram(std::initializer_list<double> bounds) : size_(bounds.size()) {
  std::copy(bounds.begin(), bounds.end(), bounds_.begin());
}

void Histogram::add(double v) {
  for (size_t i = 0; i < size_; ++i)
    if (v <= bounds_[i]) ++counts_[i];
  ++counts_[size_];
  double before = sum_;
  while (!sum_.compare_exchange_weak(before, before + v)) {
  }
}

void Histogram::write(std::string& out, std::string_view name, const std::string& labels) const {
  const std::string comma = labels.empty() ? "" : labels + ",";
  const std::string bucket = cat({name, "_bucket"});
  // The total is read last, so that no bucket is above it.
  for (size_t i = 0; i < size_; ++i)
    out += line(bucket, cat({comma, "le=\"", number(bounds_[i]), "\""}),
                static_cast<double>(counts_[i]));
  const auto all = static_cast<double>(counts_[size_]);
  out += line(bucket, comma + "le=\"+Inf\"", all);
  out += line(cat({name, "_sum"}), labels, sum_);
  out += line(cat({name, "_count"}), labels, all);
}

std::string_view name_of(Outcome o) {
  constexpr std::string_view names[kOutcomes] = {"success", "bad_request", "rejected", "canceled",
                                                 "timeout", "memory",      "error"};
  return names[static_cast<size_t>(o)];
}

std::shared_ptr<ModelMetrics> Metrics::model(const std::string& name) {
  std::lock_guard lock(mutex_);
  auto& m = models_[name];
  if (!m) m = std::make_shared<ModelMetrics>();
  return m;
}

void write_metric(std::string& out, std::string_view name, std::string_view type,
                  std::string_view help, double value) {
  head(out, name, type, help);
  out += line(name, "", value);
}

std::string Metrics::text(const std::string& more) const {
  std::map<std::string, std::shared_ptr<ModelMetrics>> models;
  {
    std::lock_guard lock(mutex_);
    models = models_;
  }
  std::string out;
  const auto each = [&](std::string_view name, std::string_view type, std::string_view help,
                        const auto& value) {
    head(out, name, type, help);
    for (const auto& [model, m] : models)
      out += line(name, cat({"model=\"", model, "\""}), static_cast<double>(value(*m)));
  };
  const auto histogram = [&](std::string_view name, std::string_view help, auto member) {
    head(out, name, "histogram", help);
    for (const auto& [model, m] : models)
      ((*m).*member).write(out, name, cat({"model=\"", model, "\""}));
  };
  head(out, "nacre_requests_total", "counter", "Requests to a model, by how they ended.");
  for (const auto& [model, m] : models)
    for (int o = 0; o < kOutcomes; ++o)
      out += line("nacre_requests_total",
                  cat({"model=\"", model, "\",outcome=\"", name_of(static_cast<Outcome>(o)), "\""}),
                  static_cast<double>(m->requests[static_cast<size_t>(o)]));
  each("nacre_rows_total", "counter", "Rows that were computed.",
       [](const ModelMetrics& m) { return m.rows.load(); });
  each("nacre_not_finite_total", "counter", "Values of answers that were NaN or infinite.",
       [](const ModelMetrics& m) { return m.not_finite.load(); });
  each("nacre_canary_requests_total", "counter", "Requests that went to the canary.",
       [](const ModelMetrics& m) { return m.canary.load(); });
  each("nacre_model_loads_total", "counter", "Versions that were loaded.",
       [](const ModelMetrics& m) { return m.loads.load(); });
  each("nacre_model_load_failures_total", "counter", "Versions that could not be loaded.",
       [](const ModelMetrics& m) { return m.failed_loads.load(); });
  each("nacre_queue_length", "gauge", "Requests that wait.",
       [](const ModelMetrics& m) { return m.waiting.load(); });
  histogram("nacre_request_seconds", "From the head of the request to its answer.",
            &ModelMetrics::latency);
  histogram("nacre_queue_seconds", "Time in the queue.", &ModelMetrics::queue);
  histogram("nacre_compute_seconds", "Time of a batch in the model.", &ModelMetrics::compute);
  histogram("nacre_batch_rows", "Rows that ran together.", &ModelMetrics::batch);
  head(out, "nacre_http_responses_total", "counter", "Responses by status.");
  for (size_t s = 0; s < status_.size(); ++s)
    if (const uint64_t n = status_[s])
      out += line("nacre_http_responses_total", cat({"code=\"", s, "\""}), static_cast<double>(n));
  write_metric(out, "nacre_clients_gone_total", "counter", "Clients that left before their answer.",
               static_cast<double>(gone));
  const ProcessFigures p = process_figures();
  write_metric(out, "process_resident_memory_bytes", "gauge", "Resident memory.",
               static_cast<double>(p.resident_bytes));
  write_metric(out, "process_open_fds", "gauge", "Open descriptors.",
               static_cast<double>(p.descriptors));
  write_metric(out, "process_threads", "gauge", "Threads.", static_cast<double>(p.threads));
  return out + more;
}

ProcessFigures process_figures() {
  ProcessFigures p;
  std::ifstream statm("/proc/self/statm");
  uint64_t pages = 0;
  if (statm >> pages >> pages) p.resident_bytes = pages * static_cast<uint64_t>(getpagesize());
  std::error_code error;
  for (std::filesystem::directory_iterator at("/proc/self/fd", error), end; at != end && !error;
       at.increment(error))
    ++p.descriptors;
  for (std::filesystem::directory_iterator at("/proc/self/task", error), end; at != end && !error;
       at.increment(error))
    ++p.threads;
  return p;
}

}  // namespace nacre::serve
