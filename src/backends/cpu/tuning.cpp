#include "backends/cpu/tuning.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <set>
#include <vector>

#include "backends/cpu/copy.h"
#include "backends/cpu/info.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/parallel.h"
#include "nacre/tuning.h"

namespace nacre {
namespace {

constexpr uint64_t kFileCap = uint64_t{16} << 20;
constexpr int kRuns = 9;
constexpr double kEnough = 0.3;    // seconds for all ways
constexpr double kClearly = 0.95;  // of the cost model's time

/// Empty: choices are not kept.
std::string path_of_file() {
  const auto value = [](const char* name) {
    const char* text = std::getenv(name);
    return std::string(text ? text : "");
  };
  if (const std::string path = value("NACRE_KERNELS"); !path.empty())
    return path == "0" ? "" : path;
  if (const std::string caches = value("XDG_CACHE_HOME"); !caches.empty())
    return caches + "/nacre/kernels.json";
  const std::string home = value("HOME");
  return home.empty() ? "" : home + "/.cache/nacre/kernels.json";
}

/// What choices hold for.
std::string this_machine() {
  return cat({cpu::processor(), "; ", cpu::vector_units(), "; nacre ", NACRE_VERSION, "; ",
              cpu::libraries()});
}

KernelChoices read_choices() {
  const std::string path = path_of_file();
  if (path.empty() || !std::filesystem::exists(path)) return {};
  KernelChoices choices;
  try {
    const Json j = parse_json(read_file(path, kFileCap), path);
    if (j.at("machine").text() != this_machine()) return {};
    for (const auto& [work, way] : j.at("choices").fields()) choices[work] = way.text();
  } catch (const Error& e) {
    log_warning({e.what(), "; kernels are chosen by the cost model. `nacre bench --tune` writes ",
                 "the file anew"});
    return {};
  }
  return choices;
}

struct Table {
  Table() : choices(read_choices()), empty(choices.empty()) {}
  std::mutex mutex;
  KernelChoices choices;
  std::set<std::string> measured;  // since tuning was switched on
  std::atomic<bool> empty, tuning{false};
};

Table& table() {
  static Table t;
  return t;
}

}  // namespace

void set_tuning(bool on) {
  Table& t = table();
  const std::lock_guard lock(t.mutex);
  t.tuning = on;
  t.measured.clear();
}

KernelChoices kernel_choices() {
  Table& t = table();
  const std::lock_guard lock(t.mutex);
  return t.choices;
}

void set_kernel_choices(KernelChoices choices) {
  Table& t = table();
  const std::lock_guard lock(t.mutex);
  t.choices = std::move(choices);
  t.empty = t.choices.empty();
}

std::string save_kernel_choices() {
  const std::string path = path_of_file();
  if (path.empty())
    fail(Error::Kind::usage,
         {"there is no file for the choices of kernels; name one in NACRE_KERNELS"});
  Json list = Json::object();
  for (const auto& [work, way] : kernel_choices()) list.fields().emplace_back(work, way);
  Json j = Json::object();
  j["machine"] = this_machine();
  j["choices"] = std::move(list);
  if (const auto folder = std::filesystem::path(path).parent_path(); !folder.empty())
    make_folders(folder.string());
  write_file_atomic(path, print_json(j, 2) + "\n");
  return path;
}

namespace cpu {
namespace {

/// Memory for an operand, with numbers that cost what usual ones do.
class Block {
 public:
  explicit Block(size_t bytes)
      : data_(static_cast<float*>(std::aligned_alloc(64, align64(std::max<size_t>(bytes, 1))))) {
    if (!data_) fail(Error::Kind::memory, {"there are no ", bytes, " bytes to measure kernels"});
    for (size_t i = 0; i < bytes / sizeof(float); ++i)
      data_.get()[i] = static_cast<float>(i * 2654435761u % 1024) / 1024 - 0.5f;
  }
  float* data() const { return data_.get(); }

 private:
  struct Free {
    void operator()(float* p) const { std::free(p); }
  };
  std::unique_ptr<float, Free> data_;
};

struct Candidate {
  std::string_view name;
  std::unique_ptr<Kernel> kernel;
  double least = 0;  // seconds of its fastest run
};

/// The ways that there are, without those that come to the cost model's kernel.
std::vector<Candidate> candidates(std::span<const Way> ways, int constant, const void* values) {
  std::vector<Candidate> list;
  for (const Way& way : ways) {
    auto kernel = way.make();
    if (!kernel) continue;
    if (constant >= 0)
      if (auto ready = kernel->with_constant(constant, values)) kernel = std::move(ready);
    if (!list.empty() && kernel->description() == list[0].kernel->description()) continue;
    list.push_back({way.name, std::move(kernel)});
  }
  return list;
}

/// The name of the fastest; they run by turns, since other programs disturb. Empty: there is none.
std::string_view measure(Operands in, Operands out, std::span<const Way> ways, int constant) {
  std::vector<Block> blocks;
  std::vector<const void*> inputs;
  std::vector<void*> outputs;
  for (const Operand& o : in) inputs.push_back(blocks.emplace_back(o.bytes()).data());
  for (const Operand& o : out) outputs.push_back(blocks.emplace_back(o.bytes()).data());
  auto list =
      candidates(ways, constant, constant < 0 ? nullptr : inputs[static_cast<size_t>(constant)]);
  if (list.size() < 2) return list.empty() ? "" : list[0].name;
  size_t bytes = 0;
  for (const Candidate& c : list) bytes = std::max(bytes, c.kernel->scratch_bytes());
  const Block scratch(bytes);
  double spent = 0;
  for (int i = 0; i < 1 + kRuns && (i < 2 || spent < kEnough); ++i)
    for (Candidate& c : list) {
      const auto start = std::chrono::steady_clock::now();
      c.kernel->run(inputs.data(), outputs.data(), scratch.data());
      const double took =
          std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      spent += took;
      if (i == 1 || took < c.least) c.least = took;  // the first run brings code and memory
    }
  list[0].least *= kClearly;
  return std::min_element(list.begin(), list.end(),
                          [](const Candidate& a, const Candidate& b) { return a.least < b.least; })
      ->name;
}

}  // namespace

std::unique_ptr<Kernel> fastest(const std::function<std::string()>& work, Operands in, Operands out,
                                std::span<const Way> ways, int constant) {
  Table& t = table();
  if (t.empty && !t.tuning) return nullptr;
  const std::string name = cat({work(), ", ", num_threads(), " threads"});
  const std::lock_guard lock(t.mutex);  // measurements would disturb each other
  if (t.tuning && t.measured.insert(name).second) {
    const std::string_view best = measure(in, out, ways, constant);
    if (!best.empty()) t.choices[name] = best;
    t.empty = t.choices.empty();
  }
  const auto known = t.choices.find(name);
  if (known == t.choices.end()) return nullptr;
  for (const Way& way : ways)
    if (way.name == known->second) return way.make();
  return nullptr;
}

}  // namespace cpu
}  // namespace nacre
