// nacre_runner: runs a program file. `nacre convert --to exe` puts one behind this program, which
// then is the model in one executable.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <new>

#include "base/file.h"
#include "embed/trailer.h"
#include "runtime/picture.h"

namespace nacre {
namespace {

constexpr const char* kHelp =
    "%s\n\nUsage: %s%s [OPTIONS] INPUT...\n"
    "INPUT is a picture (PGM, PPM, BMP) or WAV clip, - for standard input, or an array of samples\n"
    "(.npy, f32).\n"
    "  --top N          classes to show (default: 5)\n"
    "  --json           one JSON object a line\n"
    "  --output FILE    write the network's output for the last INPUT as .npy\n"
    "  --check FILE     compare that output with a .npy file; exit code 1 beyond 1e-5 of its size\n"
    "  --info           what the network is\n"
    "  --bench N        time of N runs\n"
    "  -h, --help       this text\n";

struct Array {
  Shape shape;
  std::vector<float> values;
};

Array read_npy(const std::string& path) {
  const std::string bytes = read_file(path, uint64_t{1} << 32);
  const auto damaged = [&](const char* why) {
    fail(Error::Kind::data, {path, " is not an array that can be read: ", why});
  };
  if (!bytes.starts_with("\x93NUMPY") || bytes.size() < 12) damaged("it is no .npy file");
  const bool old = bytes[6] == 1;
  uint32_t length = 0;
  std::memcpy(&length, &bytes[8], old ? 2 : 4);
  const size_t start = old ? 10 : 12;
  if (length > bytes.size() - start) damaged("its header is cut off");
  const std::string header = bytes.substr(start, length);
  if (header.find("'descr': '<f4'") == header.npos) damaged("its elements are not f32 (<f4)");
  if (header.find("'fortran_order': False") == header.npos) damaged("it is in Fortran's order");
  size_t at = header.find("'shape': (");
  if (at == header.npos) damaged("it has no shape");
  Array a;
  uint64_t count = 1;
  for (at += 10; at < header.size() && header[at] != ')'; ++at) {
    if (header[at] < '0' || header[at] > '9') continue;
    uint64_t d = 0;
    for (; at < header.size() && header[at] >= '0' && header[at] <= '9' && d < (1u << 31); ++at)
      d = 10 * d + static_cast<uint64_t>(header[at] - '0');
    --at;
    a.shape.push_back(static_cast<int64_t>(d));
    if (d && count > (uint64_t{1} << 32) / d) damaged("its shape is too large");
    count *= d;
  }
  if (bytes.size() - start - length != 4 * count) damaged("its size does not fit its shape");
  a.values.resize(count);
  std::memcpy(a.values.data(), bytes.data() + start + length, 4 * count);
  return a;
}

void write_npy(const std::string& path, const Array& a) {
  std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (";
  for (const int64_t d : a.shape) header += cat({d, ","});
  header += "), }";
  while ((10 + header.size()) % 64 != 63) header += ' ';
  header += '\n';
  const auto length = static_cast<uint16_t>(header.size());
  std::string bytes("\x93NUMPY\x01\0", 8);
  bytes.append(reinterpret_cast<const char*>(&length), 2);
  bytes += header;
  bytes.append(reinterpret_cast<const char*>(a.values.data()), 4 * a.values.size());
  write_file_atomic(path, bytes);
}

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    char escape[8];
    if (c == '"' || c == '\\')
      out += '\\', out += c;
    else if (static_cast<unsigned char>(c) < 32)
      std::snprintf(escape, sizeof escape, "\\u%04x", c), out += escape;
    else
      out += c;
  }
  return out + "\"";
}

class Runner {
 public:
  Runner(const Runtime& net, std::string program)
      : net_(net), program_(std::move(program)), transform_(Transform::parse(net.transform())) {
    if (net.inputs().size() != 1 || net.outputs().empty() || net.inputs()[0].dtype != DType::f32 ||
        net.outputs()[0].dtype != DType::f32)
      fail(Error::Kind::unsupported, {"a network of ", net.inputs().size(),
                                      " inputs; the runner has one of f32, and f32 out"});
    sample_ = net.inputs()[0].shape;
    one_ = net.outputs()[0].shape;
    if (net.batches()) sample_[0] = one_[0] = 1;
  }

  int top = 5;
  bool json = false;
  std::string output, check;

  void info() const {
    std::printf("model    %s\ninput    %s f32\noutput   %s f32\n", net_.name().c_str(),
                net_.inputs()[0].shape.list().c_str(), net_.outputs()[0].shape.list().c_str());
    std::printf("steps    %zu\nweights  %zu bytes\nwork     %zu bytes\nkernels ", net_.steps(),
                net_.weight_bytes(), net_.work_bytes());
    for (const std::string& name : net_.kernels()) std::printf(" %s", name.c_str());
    std::printf("\n");
    if (!net_.transform().empty())
      std::printf(sample_.rank() == 4 ? "samples  %s\n" : "rows     as left by %s\n",
                  net_.transform().c_str());
    if (!net_.classes().empty()) std::printf("classes  %zu\n", net_.classes().size());
  }

  void bench(int runs) {
    Array x{sample_, std::vector<float>(static_cast<size_t>(sample_.numel()), 0.5f)};
    run(x);
    std::vector<double> times;
    for (int k = 0; k < runs; ++k) {
      const auto start = std::chrono::steady_clock::now();
      run(x);
      times.push_back(
          std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
              .count());
    }
    std::sort(times.begin(), times.end());
    std::printf("%d runs, median %.3f ms, fastest %.3f ms\n", runs, times[times.size() / 2],
                times[0]);
  }

  void input(const std::string& name) {
    Array x;
    if (name.ends_with(".npy")) {
      x = read_npy(name);
      Shape one = x.shape;
      if (net_.batches() && !one.empty()) one[0] = 1;
      if (one != sample_ || x.values.empty())
        fail(Error::Kind::data, {name, " has the shape ", x.shape.list(), ", the network takes ",
                                 net_.inputs()[0].shape.list()});
    } else {
      const std::string bytes =
          name == "-" ? read_stdin(uint64_t{1} << 28) : read_file(name, uint64_t{1} << 28);
      x = {sample_, picture_for(net_, transform_, bytes, name)};
    }
    last_ = run(x);
    const auto width = static_cast<size_t>(one_.numel());
    for (size_t row = 0; row * width < last_.values.size(); ++row) {
      const std::span<const float> y(last_.values.data() + row * width, width);
      const std::string shown = last_.values.size() > width ? cat({name, "[", row, "]"}) : name;
      net_.classes().size() == width ? print_classes(shown, y) : print_values(shown, y);
    }
  }

  /// Writes and compares; the exit code.
  int finish() const {
    if (!output.empty()) write_npy(output, last_);
    if (check.empty()) return 0;
    const Array want = read_npy(check);
    if (want.shape != last_.shape)
      fail(Error::Kind::data,
           {check, " has the shape ", want.shape.list(), ", the output has ", last_.shape.list()});
    double most = 0, size = 0;
    for (size_t k = 0; k < want.values.size(); ++k) {
      const double d = std::abs(double{want.values[k]} - last_.values[k]);
      most = d == d ? std::max(most, d) : INFINITY;
      size = std::max(size, std::abs(double{want.values[k]}));
    }
    std::printf("%s: the largest difference is %.2g, the largest value %.3g\n", check.c_str(), most,
                size);
    return most <= 1e-5 * std::max(1.0, size) ? 0 : 1;
  }

 private:
  Array run(const Array& x) const {
    const int64_t rows = net_.batches() ? x.shape[0] : 1;
    Array y{one_, {}};
    if (net_.batches()) y.shape[0] = rows;
    y.values.resize(static_cast<size_t>(y.shape.numel()));
    std::vector<std::vector<int64_t>> others;  // what else the network gives
    const void* in[] = {x.values.data()};
    std::vector<void*> out = {y.values.data()};
    for (size_t k = 1; k < net_.outputs().size(); ++k) {
      Shape shape = net_.outputs()[k].shape;
      if (net_.batches()) shape[0] = rows;
      others.emplace_back(static_cast<size_t>(shape.numel()));
      out.push_back(others.back().data());
    }
    net_.run(in, out, rows);
    return y;
  }

  void print_classes(const std::string& name, std::span<const float> y) const {
    std::string line;
    for (const auto& [k, p] : net_.best(y, static_cast<size_t>(top))) {
      char number[64];
      std::snprintf(number, sizeof number, json ? "%.6g" : "%.1f %%", json ? p : 100 * p);
      const std::string& label = net_.classes()[k];
      if (json)
        line += cat({line.empty() ? "" : ", ", "{\"label\": ", quoted(label),
                     ", \"probability\": ", p == p ? number : "null", "}"});
      else
        line += cat({line.empty() ? "" : ", ", label, " ", number});
    }
    if (json)
      std::printf("{\"input\": %s, \"classes\": [%s]}\n", quoted(name).c_str(), line.c_str());
    else
      std::printf("%s: %s\n", name.c_str(), line.c_str());
  }

  void print_values(const std::string& name, std::span<const float> y) const {
    std::string line;
    for (const float v : json ? y : y.first(std::min<size_t>(y.size(), 16))) {
      char number[32];
      std::snprintf(number, sizeof number, "%.6g", static_cast<double>(v));
      line += cat({line.empty() ? "" : ", ", json && !std::isfinite(v) ? "null" : number});
    }
    if (json)
      std::printf("{\"input\": %s, \"values\": [%s]}\n", quoted(name).c_str(), line.c_str());
    else
      std::printf("%s: %s%s\n", name.c_str(), line.c_str(), y.size() > 16 ? ", ..." : "");
  }

  const Runtime& net_;
  std::string program_;
  Transform transform_;
  Shape sample_, one_;
  Array last_;
};

int number_of(const std::string& text, const char* option) {
  char* end = nullptr;
  const long v = std::strtol(text.c_str(), &end, 10);
  if (*end || text.empty() || v < 1 || v > 1000000)
    fail(Error::Kind::usage, {option, " takes a number from 1 to 1000000, not '", text, "'"});
  return static_cast<int>(v);
}

int run(int argc, char** argv) {
  std::vector<std::string> words(argv + 1, argv + argc);
  const auto self = MappedFile::open("/proc/self/exe");
  const std::string_view inside = embed::appended(self->bytes());
  if (inside.empty() && embed::has_more(self->bytes()))
    fail(Error::Kind::data, {argv[0], " is damaged: the model behind the program is not whole"});
  const bool help = std::find_if(words.begin(), words.end(), [](const std::string& w) {
                      return w == "-h" || w == "--help";
                    }) != words.end();
  if (help || words.empty()) {
    std::fprintf(help ? stdout : stderr, kHelp, embed::kMark, argv[0],
                 inside.empty() ? " PROGRAM" : "");
    return help ? 0 : 2;
  }
  size_t at = inside.empty() ? 1 : 0;
  const Runtime net =
      inside.empty() ? Runtime(words[0]) : Runtime(inside, self, "the model in this program");
  Runner runner(net, argv[0]);
  std::vector<std::string> inputs;
  bool done = false;
  for (; at < words.size(); ++at) {
    const std::string& w = words[at];
    const auto value = [&]() -> const std::string& {
      if (++at >= words.size()) fail(Error::Kind::usage, {w, " takes a value; see --help"});
      return words[at];
    };
    if (w == "--json") {
      runner.json = true;
    } else if (w == "--top") {
      runner.top = number_of(value(), "--top");
    } else if (w == "--output") {
      runner.output = value();
    } else if (w == "--check") {
      runner.check = value();
    } else if (w == "--info") {
      runner.info();
      done = true;
    } else if (w == "--bench") {
      runner.bench(number_of(value(), "--bench"));
      done = true;
    } else if (w.starts_with("--")) {
      fail(Error::Kind::usage, {"there is no option ", w, "; see --help"});
    } else {
      inputs.push_back(w);
    }
  }
  if (inputs.empty() && done) return 0;
  if (inputs.empty()) fail(Error::Kind::usage, {"no input is given; see --help"});
  for (const std::string& name : inputs) runner.input(name);
  return runner.finish();
}

}  // namespace
}  // namespace nacre

int main(int argc, char** argv) {
  try {
    const int code = nacre::run(argc, argv);
    if (std::fflush(stdout) == 0) return code;
    std::fprintf(stderr, "error: cannot write the output\n");
  } catch (const nacre::Error& e) {
    std::fprintf(stderr, "error: %s\n", e.what());
    return e.kind() == nacre::Error::Kind::usage ? 2 : 1;
  } catch (const std::bad_alloc&) {
    std::fprintf(stderr, "error: out of memory\n");
  }
  return 1;
}
