#include "base/late_library.h"

#include <dlfcn.h>

#include "nacre/error.h"

namespace nacre {

void* LateLibrary::find(const char* function) const {
  // The loader counts: it opens a library once, however often it is asked.
  void* const handle = dlopen(file_, RTLD_NOW | RTLD_LOCAL);
  void* const at = handle ? dlsym(handle, function) : nullptr;
  if (!at) {
    const char* why = dlerror();
    fail(Error::Kind::unsupported, {"this needs ", file_, " of the package ", package_, ": ",
                                    why ? why : "it has not this function"});
  }
  return at;
}

}  // namespace nacre
