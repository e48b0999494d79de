// Running a plan: pointers are filled in, steps are called. Nothing is decided and nothing is
// allocated here after the first run of a plan.
#include <algorithm>
#include <chrono>
#include <cstdlib>

#include "compile/plan.h"
#include "graph/node.h"
#include "runtime/profile.h"

namespace nacre {

/// The pointers of one running instance of a plan.
struct Plan::Instance {
  Arena arena;                  // of the last run; another plan may have it by now
  std::vector<void*> pointers;  // of all operands of all steps, inputs before outputs
  struct Patch {
    size_t pointer;
    Place place;
    uint32_t index;
    int64_t offset;
  };
  std::vector<Patch> patches;  // of inputs and outputs
  std::vector<Patch> values;   // of the arena
};

Plan::~Plan() {
  for (Instance* i : idle_) delete i;
}

size_t Plan::held_bytes() const {
  size_t bytes = steps.size() * 2048;
  for (const Tensor& t : constants) bytes += static_cast<size_t>(t.numel()) * size_of(t.dtype());
  return bytes;
}

Plan::Instance* Plan::acquire() const {
  {
    std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      Instance* i = idle_.back();
      idle_.pop_back();
      return i;
    }
  }
  auto instance = std::make_unique<Instance>();
  for (const Step& s : steps)
    for (auto list : {&s.in, &s.out})
      for (const Address& a : *list) {
        void* p = nullptr;
        if (a.place == Place::arena) {
          instance->values.push_back({instance->pointers.size(), a.place, a.index, a.offset});
        } else if (a.place == Place::constant) {
          p = static_cast<char*>(const_cast<void*>(
                  constants[a.index].node()->outputs[constants[a.index].index()].data())) +
              a.offset;
        } else {
          instance->patches.push_back({instance->pointers.size(), a.place, a.index, a.offset});
        }
        instance->pointers.push_back(p);
      }
  std::lock_guard lock(mutex_);
  idle_.reserve(idle_.size() + 4);  // so that giving an instance back never allocates
  return instance.release();
}

void Plan::run(std::span<void* const> in, std::span<void* const> out, int* failed_step) const {
  Instance* instance = acquire();
  const auto idle = [&] {
    std::lock_guard lock(mutex_);
    idle_.push_back(instance);
  };
  if (arena_bytes) {
    Arena arena;
    try {
      arena = take_arena(arena_bytes, instance->arena);
    } catch (...) {
      idle();
      throw;
    }
    if (arena.data != instance->arena.data)
      for (const Instance::Patch& p : instance->values)
        instance->pointers[p.pointer] = arena.data + p.offset;
    instance->arena = arena;
  }
  for (const Instance::Patch& p : instance->patches)
    instance->pointers[p.pointer] =
        static_cast<char*>(p.place == Place::input ? in[p.index] : out[p.index]) + p.offset;
  void* scratch = arena_bytes ? instance->arena.data + scratch_offset : nullptr;
  void** pointer = instance->pointers.data();
  const bool profile = profiling();
  int number = 0;
  const auto give_back = [&] {
    if (arena_bytes) give_arena(instance->arena);
    idle();
  };
  try {
    for (const Step& s : steps) {
      void** inputs = pointer;
      void** outputs = pointer + s.in.size();
      pointer = outputs + s.out.size();
      if (s.reference) count_reference(s.op->name);
      if (profile) [[unlikely]] {
        const auto start = std::chrono::steady_clock::now();
        s.kernel->run(inputs, outputs, scratch);
        const std::chrono::duration<double, std::micro> time =
            std::chrono::steady_clock::now() - start;
        record({s.layer ? *s.layer : "", s.label, s.kernel->description(), 0, 0, s.macs, s.bytes},
               time.count());
      } else {
        s.kernel->run(inputs, outputs, scratch);
      }
      ++number;
    }
  } catch (...) {
    if (failed_step) *failed_step = number;
    give_back();
    throw;
  }
  give_back();
}

Tensors run_on(const Plan& plan, const Tensors& inputs) {
  std::vector<void*> in, out;
  for (const Tensor& t : inputs) {
    const Output& o = t.node()->outputs[t.index()];
    o.storage->check();
    in.push_back(const_cast<void*>(o.data()));
  }
  std::vector<RefPtr<Storage>> blocks;
  for (size_t bytes : plan.output_bytes) {
    blocks.push_back(RefPtr<Storage>::adopt(Storage::allocate(bytes)));
    out.push_back(blocks.back()->data());
  }
  plan.run(in, out);
  Tensors results;
  for (const Plan::Result& r : plan.results) {
    const Tensor* from = r.place == Plan::Place::input      ? &inputs[r.index]
                         : r.place == Plan::Place::constant ? &plan.constants[r.index]
                                                            : nullptr;
    const Output* source = from ? &from->node()->outputs[from->index()] : nullptr;
    Storage* storage = source ? source->storage.get() : blocks[r.index].get();
    storage->retain();
    results.push_back(make_leaf(storage, r.dtype, r.shape));
    Output& o = results.back().node()->outputs[0];
    o.strides = r.strides;
    o.offset = r.offset + (source ? source->offset : 0);
  }
  return results;
}

}  // namespace nacre
