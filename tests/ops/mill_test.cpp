// Takes every op of the table through the mill: one test per op and aspect, "Mill/add.Gradient".
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "nacre/plan.h"
#include "ops/mill.h"
#include "ops/mill_goldens.h"

namespace nacre::testing {
namespace {

std::vector<std::string>& unsupported() {
  static std::vector<std::string> list;
  return list;
}

class MillTest : public ::testing::Test {
 public:
  MillTest(const OpDef& op, const Aspect& aspect) : op_(op), aspect_(aspect) {}
  void TestBody() override {
    const Report report = mill(op_, aspect_.name);
    for (const std::string& text : report.failures) ADD_FAILURE() << op_.name << ": " << text;
    for (const std::string& text : report.unsupported)
      unsupported().push_back(cat({op_.name, ": ", text}));
    clear_plans();
  }

 private:
  const OpDef& op_;
  const Aspect& aspect_;
};

bool register_all() {
  for (const OpDef* op : all_ops())
    for (const Aspect& aspect : aspects())
      ::testing::RegisterTest(
          cat({"Mill/", op->name}).c_str(), aspect.name, nullptr, nullptr, __FILE__, __LINE__,
          [op, &aspect]() -> ::testing::Test* { return new MillTest(*op, aspect); });
  return true;
}
const bool registered = register_all();

/// Says at the end what was done, so that a run that did little is seen.
class Summary : public ::testing::Environment {
 public:
  void TearDown() override {
    const Counts& c = counts();
    if (c.ops.empty()) return;
    std::printf(
        "mill: %zu ops, %llu samples, %zu kernels (op x type x backend), %llu comparisons, %llu "
        "gradients, %llu second order, %llu goldens, %zu not supported\n",
        c.ops.size(), static_cast<unsigned long long>(c.samples), c.kernels.size(),
        static_cast<unsigned long long>(c.comparisons),
        static_cast<unsigned long long>(c.gradients),
        static_cast<unsigned long long>(c.second_order), static_cast<unsigned long long>(c.goldens),
        unsupported().size());
    for (const auto& [op, reason] : c.coarse)
      std::printf("mill: gradients within 1e-3, not 1e-6: %s (%s)\n", op.c_str(), reason.c_str());
    for (const auto& [op, reason] : c.unchecked)
      std::printf("mill: no gradient to compare: %s (%s)\n", op.c_str(), reason.c_str());
    if (std::getenv("NACRE_MILL_VERBOSE"))
      for (const std::string& text : unsupported()) std::printf("  %s\n", text.c_str());
  }
};
const ::testing::Environment* const summary = ::testing::AddGlobalTestEnvironment(new Summary);

TEST(MillGoldens, AreComplete) {
  if (const char* path = std::getenv("NACRE_MILL_DUMP"))
    std::ofstream(path) << print_json(golden_requests(), 1);
  for (const std::string& text : golden_faults())
    ADD_FAILURE() << text << ": run tests/ops/goldens/make.py";
}

}  // namespace
}  // namespace nacre::testing
