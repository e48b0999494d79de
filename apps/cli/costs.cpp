#include "cli/costs.h"

#include <chrono>
#include <fstream>
#include <optional>

#include "base/file.h"
#include "base/text.h"
#include "base/yaml.h"
#include "nacre/bench.h"

namespace nacre::cli {
namespace {

/// Joules that the processors have taken since some moment, and where the counters begin again;
/// nothing if they cannot be read.
struct Counter {
  double joules = 0, range = 0;
};
std::optional<Counter> energy_counter() {
  constexpr const char* kFolder = "/sys/class/powercap";
  if (!folder_exists(kFolder)) return {};
  Counter all;
  for (const auto& entry : list_folder(kFolder)) {
    // intel-rapl:0 is a processor, intel-rapl:0:0 a part of it.
    if (!entry.name.starts_with("intel-rapl:") || entry.name.find(':', 11) != entry.name.npos)
      continue;
    const auto read = [&](const char* file) {
      double microjoules = 0;
      std::ifstream(cat({kFolder, "/", entry.name, "/", file})) >> microjoules;
      return microjoules * 1e-6;
    };
    all.joules += read("energy_uj");
    all.range += read("max_energy_range_uj");
  }
  if (all.joules <= 0) return {};
  return all;
}

std::optional<double> measured_joules(const std::function<Tensors()>& run) {
  const auto before = energy_counter();
  if (!before) return {};
  const auto start = std::chrono::steady_clock::now();
  int runs = 0;
  while (std::chrono::steady_clock::now() - start < std::chrono::milliseconds(200)) {
    eval(run());
    ++runs;
  }
  const auto after = energy_counter();
  if (!after) return {};
  const double joules = after->joules - before->joules;
  return (joules < 0 ? joules + before->range : joules) / runs;
}

}  // namespace

Costs measure_costs(const std::function<Tensors()>& run, int64_t macs) {
  const BenchResult r = bench(run, {.seconds = 0.1, .least_runs = 3});
  Costs c;
  c.whole.milliseconds = r.milliseconds(0.5);
  c.peak_bytes = r.peak_bytes;
  for (const BenchLine& l : r.lines) {
    const double bytes = l.gbytes * 1e6 * l.milliseconds;
    Costs::Layer& layer = c.layers[l.layer];
    layer.milliseconds += l.milliseconds;
    layer.bytes += bytes;
    c.whole.bytes += bytes;
  }
  const auto joules = measured_joules(run);
  c.measured = joules.has_value();
  c.joules =
      joules.value_or(kJoulesPerMac * static_cast<double>(macs) + kJoulesPerByte * c.whole.bytes);
  return c;
}

void Costs::add_layer(Json& to, const std::string& path) const {
  const auto at = layers.find(path);
  to["milliseconds"] = at == layers.end() ? 0.0 : at->second.milliseconds;
  to["traffic_bytes"] = at == layers.end() ? 0.0 : at->second.bytes;
}

void Costs::add(Json& to) const {
  to["milliseconds"] = whole.milliseconds;
  to["traffic_bytes"] = whole.bytes;
  to["peak_bytes"] = peak_bytes;
  to["joules"] = joules;
  to["joules_measured"] = measured;
}

std::string Costs::milliseconds(const std::string& path) const {
  const auto at = layers.find(path);
  return at == layers.end() ? "" : format_number(at->second.milliseconds, 3);
}

std::string Costs::traffic(const std::string& path) const {
  const auto at = layers.find(path);
  return at == layers.end() ? "" : format_bytes(static_cast<uint64_t>(at->second.bytes));
}

std::string Costs::text() const {
  return cat({"time        ", format_number(whole.milliseconds, 3), " ms a run\nmemory      ",
              format_bytes(peak_bytes), " at most beside the parameters, ",
              format_bytes(static_cast<uint64_t>(whole.bytes)), " of traffic\nenergy      ",
              format_number(1000 * joules, 3), " mJ a run, ",
              measured ? "by the processor's counter"
                       : "estimated: 4.6 pJ a MAC, 160 pJ a byte of traffic (Horowitz 2014)",
              "\n"});
}

void check_limits(const std::string& file, const std::string& model, const Json& numbers) {
  const Json limits = read_yaml_file(file);
  std::string above, known;
  int count = 0;
  for (const auto& [name, value] : numbers.fields()) known += (known.empty() ? "" : ", ") + name;
  for (const auto& [name, most] : limits.fields()) {
    const Json* value = numbers.find(name);
    if (!value)
      fail(Error::Kind::usage, {file, " limits '", clip(printable(name), 60),
                                "'; what is known of ", model, " is ", known});
    if (value->number() <= most.number()) continue;
    above +=
        cat({count++ ? ", " : "", name, " ", value->number(), " (at most ", most.number(), ")"});
  }
  if (count)
    fail(Error::Kind::data, {model, " is above ", count, count == 1 ? " limit of " : " limits of ",
                             file, ": ", above});
}

}  // namespace nacre::cli
