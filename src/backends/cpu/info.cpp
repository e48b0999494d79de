#include "backends/cpu/info.h"

#include <cstdlib>
#include <fstream>

#include "backends/cpu/blas.h"
#include "backends/cpu/dnnl.h"

namespace nacre::cpu {

std::vector<std::pair<const char*, std::string>> better_environment() {
  std::vector<std::pair<const char*, std::string>> list;
  if (!std::getenv("OMP_WAIT_POLICY") && !std::getenv("GOMP_SPINCOUNT"))
    list.emplace_back("GOMP_SPINCOUNT", "10000");
  if (const std::string core = blas::better_core();
      !core.empty() && !std::getenv("OPENBLAS_CORETYPE"))
    list.emplace_back("OPENBLAS_CORETYPE", core);
  return list;
}

std::string processor() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);)
    if (line.rfind("model name", 0) == 0 && line.find(": ") != std::string::npos)
      return line.substr(line.find(": ") + 2);
  return "unknown";
}

std::string libraries() { return dnnl::version() + ", " + blas::version(); }

std::string bf16_units() {
  return !dnnl::native(DType::bf16) ? "" : dnnl::has_matrix_units() ? "AMX" : "AVX512_BF16";
}

bool int8_units() { return dnnl::native(DType::i8); }

std::string vector_units() {
  std::string s;
  const auto add = [&](bool has, const char* name) {
    if (has) s += (s.empty() ? "" : ", ") + std::string(name);
  };
#if defined(__x86_64__)
  add(__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"), "AVX2");
  add(__builtin_cpu_supports("avx512f"), "AVX-512");
  add(__builtin_cpu_supports("avx512vnni"), "VNNI");
  add(__builtin_cpu_supports("avx512bf16"), "AVX512_BF16");
#elif defined(__aarch64__)
  add(true, "NEON");
#endif
  return s.empty() ? "none" : s;
}

}  // namespace nacre::cpu
