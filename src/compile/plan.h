// A plan: a graph made ready to run. Kernels are chosen, memory is placed; running it makes no
// decisions.
#pragma once

#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "graph/kernel.h"
#include "graph/storage.h"
#include "nacre/graph.h"
#include "nacre/op.h"

namespace nacre {

struct CompileOptions {
  bool passes = true;            ///< run the optimising passes
  bool reference = false;        ///< reference kernels only
  DType precision = DType::f32;  ///< of heavy work (nacre/precision.h)
  size_t memory_limit = 0;       ///< bytes of work space that a plan may take; 0: any
  size_t memory_target = 0;      ///< what the pass `recompute` aims at; set by compile()
  bool share_memory = true;      ///< false: each value has memory of its own, as an oracle of tests
  std::string label = "plan";    ///< names dumps
};

class Plan {
 public:
  /// Where the bytes of an operand lie: in the arena, in an input, in an output, or in a constant.
  enum class Place : uint8_t { arena, input, output, constant };
  struct Address {
    Place place;
    uint32_t index = 0;  ///< input, output or constant number
    int64_t offset = 0;  ///< bytes
  };
  struct Step {
    std::shared_ptr<const Kernel> kernel;
    std::vector<Address> in, out;
    const OpDef* op = nullptr;
    Attrs attrs;                         ///< kept alive: a kernel may point into them
    std::string label;                   ///< op and shapes, for profiles
    const std::string* layer = nullptr;  ///< of the graph that was compiled; may be null
    int64_t macs = 0;                    ///< multiply-accumulates
    size_t bytes = 0;                    ///< of all operands
    bool reference = false;
    uint32_t origin = 0;  ///< Node::origin of the node that it computes
  };
  struct Result {
    DType dtype;
    Shape shape, strides;
    Place place;  ///< input (a view of it, or the input itself, or its donated memory), output or
                  ///< constant
    uint32_t index;
    int64_t offset;  ///< in elements
  };

  std::vector<Step> steps;
  std::vector<Result> results;       ///< one for each output of the graph
  std::vector<size_t> output_bytes;  ///< fresh blocks that the plan writes
  std::vector<Tensor> constants;
  std::vector<int>
      overwrites;  ///< for each input: first step that writes into its (donated) memory, or -1
  size_t arena_bytes = 0, scratch_offset = 0;
  size_t sum_of_values = 0;  ///< bytes of all intermediate values, had each a block of its own
  size_t inputs = 0;
  int reference_steps = 0;

  /// Bytes that the plan holds while it is kept, about: constants and steps, whose kernels cannot
  /// be asked (measured: 2 KiB a step of ResNet-18).
  size_t held_bytes() const;

  /// Runs all steps. `in` are the data pointers of the inputs, `out` of the output blocks.
  /// Re-entrant. On an exception `failed_step` (if given) says where.
  void run(std::span<void* const> in, std::span<void* const> out, int* failed_step = nullptr) const;

  ~Plan();

 private:
  struct Instance;
  Instance* acquire() const;
  mutable std::mutex mutex_;
  mutable std::vector<Instance*> idle_;
  friend class PlanTest;
};

/// Compiles a graph. `donated[i]` says that input i may be overwritten. Inputs that are not
/// contiguous have their strides in `strides[i]` (empty entries or an empty span mean contiguous).
/// Throws Error(memory) if the work space cannot be kept below the limit.
std::shared_ptr<const Plan> compile(const Graph& graph, std::span<const Shape> strides,
                                    const std::vector<bool>& donated,
                                    const CompileOptions& options);

/// Runs a plan that writes over none of its inputs; its results as leaves. The inputs are
/// evaluated and have the strides that the plan was made for.
Tensors run_on(const Plan& plan, const Tensors& inputs);

/// A pass maps a graph to an equivalent one.
struct Pass {
  const char* name;
  Graph (*run)(const Graph&, const CompileOptions&);
  bool optional = true;  ///< false: needed for correctness, not switched off
};
/// The passes in order. NACRE_DISABLE_PASSES=a,b switches some off.
std::span<const Pass> passes();

/// Runs the enabled passes, each verified and timed; dumps to NACRE_DUMP if set. One that fails is
/// left out with a warning, if it is optional.
Graph run_passes(Graph graph, const CompileOptions& options, std::span<const Pass> list = passes());

/// Finds a kernel for a node as the executor would: a backend's, or null.
std::shared_ptr<const Kernel> find_kernel(const KernelQuery& query, const CompileOptions& options);

/// For tests: this function answers for the backend's kernel of an op; null takes it away again.
/// Call it while no other thread compiles, and clear_plans() afterwards.
void set_kernel_override(const std::string& op, PrepareFn prepare);

/// The adapter that runs an op's reference.
std::unique_ptr<Kernel> reference_kernel(const KernelQuery& query);
/// Runs of reference kernels in this process outside NACRE_BACKEND=ref, by op name.
std::vector<std::pair<std::string, uint64_t>> reference_runs();

}  // namespace nacre
