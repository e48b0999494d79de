// Loading of plug-ins: everything that can be wrong with one is found before its code runs, and one
// that fails leaves nothing behind.
#include "ops/plugin.h"

#include <dlfcn.h>

#include <filesystem>
#include <mutex>
#include <utility>
#include <vector>

#include "nacre/plugin.h"

namespace nacre {
namespace {

namespace fs = std::filesystem;

std::recursive_mutex mutex;  // one plug-in may load another
std::vector<void*>& loaded() {
  static std::vector<void*> list;
  return list;
}
using Undo = std::vector<std::function<void()>>;
Undo* undo_list = nullptr;

/// What is registered while it lives goes into this list.
class Collect {
 public:
  explicit Collect(Undo& list) : before_(std::exchange(undo_list, &list)) {}
  ~Collect() { undo_list = before_; }
  Collect(const Collect&) = delete;
  Collect& operator=(const Collect&) = delete;

 private:
  Undo* before_;
};

[[noreturn]] void not_loaded(const std::string& path, const std::string& why) {
  if (why.find("undefined symbol") != std::string::npos)
    fail(Error::Kind::usage,
         {"cannot load plug-in ", path, ": ", why,
          " (the program has to be linked with nacre::plugin_host, or -rdynamic)"});
  fail(Error::Kind::data, {path, " is not a plug-in: ", why});
}

/// Throws what is wrong with a library that was opened.
void check(const std::string& path, void* handle) {
  const auto abi = reinterpret_cast<uint64_t (*)()>(dlsym(handle, "nacre_plugin_abi"));
  if (!abi || !dlsym(handle, "nacre_register_ops"))
    fail(Error::Kind::data,
         {path, " is not a plug-in: it has no NACRE_PLUGIN (see nacre/plugin.h)"});
  if (abi() != plugin_abi())
    fail(Error::Kind::data, {"plug-in ", path,
                             " was compiled for another version of nacre: compile it again with "
                             "the headers of this one"});
}

}  // namespace

void undo_if_plugin_fails(std::function<void()> undo) {
  std::lock_guard lock(mutex);
  if (undo_list) undo_list->push_back(std::move(undo));
}

void load_plugin(const std::string& path) {
  std::lock_guard lock(mutex);
  std::error_code error;
  if (!fs::is_regular_file(path, error))
    fail(Error::Kind::io, {"cannot load plug-in ", path, ": there is no such file"});
  // With a slash in it, or dlopen would search the folders of libraries.
  void* handle = dlopen(fs::absolute(path, error).c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle) {
    const char* why = dlerror();
    not_loaded(path, why ? why : "it cannot be opened");
  }
  for (void* other : loaded())
    if (other == handle) {
      dlclose(handle);
      return;
    }
  try {
    check(path, handle);
  } catch (...) {
    dlclose(handle);
    throw;
  }
  Undo undo;
  try {
    const Collect collect(undo);
    reinterpret_cast<void (*)()>(dlsym(handle, "nacre_register_ops"))();
  } catch (const std::exception& e) {
    // The library stays open: its code ran and may have left pointers to itself.
    for (; !undo.empty(); undo.pop_back()) undo.back()();
    const auto* known = dynamic_cast<const Error*>(&e);
    fail(known ? known->kind() : Error::Kind::data, {"cannot load plug-in ", path, ": ", e.what()});
  }
  loaded().push_back(handle);
}

}  // namespace nacre
