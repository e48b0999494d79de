// Kernels chosen by measurement.
//
// Several kernels compute the same convolution: the library's direct form, Winograd's, loops of our
// own, a product over columns. A cost model chooses among them, unless they have been measured on
// this machine:
//
//   set_tuning(true);                  // what is compiled from here on is measured
//   bench(*net, {16, 3, 224, 224});
//   save_kernel_choices();             // for processes that start later
//
// The file is nacre/kernels.json in the user's folder of caches (XDG_CACHE_HOME, else ~/.cache), or
// the one that the environment names in NACRE_KERNELS ("0": none). It holds for one processor and
// one version of nacre and its libraries; another's is not used. It is read once, when the first
// such kernel is made, so nothing changes while a process runs. Checkpoints of training hold the
// choices of their run, and a resumed run has those. All functions are thread-safe.
#pragma once

#include <map>
#include <string>

namespace nacre {

/// From now on kernels are measured, once for each kind of work, when a plan that needs them is
/// compiled; that takes some runs of each. Plans that are there stay as they are.
void set_tuning(bool on);

/// Work ("conv forward 1x64x56x56 ...") and the way that was the fastest for it ("winograd").
using KernelChoices = std::map<std::string, std::string>;
KernelChoices kernel_choices();
/// In the place of all that are known. What they do not name is left to the cost model.
void set_kernel_choices(KernelChoices choices);

/// Writes them to the file and returns its path. Throws Error(usage) where NACRE_KERNELS is 0 or
/// there is no folder for it, and Error(io).
std::string save_kernel_choices();

}  // namespace nacre
