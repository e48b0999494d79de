#include "serve/repository.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>

#include "base/file.h"
#include "base/log.h"
#include "nacre/import.h"
#include "nacre/ops.h"

namespace nacre::serve {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxModels = 10000;

bool is_model_file(const std::string& path) {
  return path.ends_with(".safetensors") || is_onnx(path);
}

std::optional<FileMark> mark_of(const std::string& path) {
  struct stat s = {};
  if (::stat(path.c_str(), &s) != 0 || !S_ISREG(s.st_mode)) return {};
  return FileMark{path, s.st_mtim.tv_sec * 1'000'000'000 + s.st_mtim.tv_nsec,
                  static_cast<uint64_t>(s.st_size), s.st_ino};
}

int64_t version_of(const std::string& name) {
  int64_t v = 0;
  const auto end = std::from_chars(name.data(), name.data() + name.size(), v);
  return end.ec == std::errc() && end.ptr == name.data() + name.size() && v > 0 ? v : 0;
}

/// The model file in a folder: model.safetensors, model.onnx, ...
std::optional<FileMark> model_in(const std::string& folder) {
  for (const char* ending : {"safetensors", "onnx", "prototxt", "param"})
    if (const auto m = mark_of(folder + "/model." + ending)) return m;
  return {};
}

struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

/// A model whose bytes are the process's own: a mapped file that somebody writes over would end the
/// server.
Model open_copy(const FileMark& file) {
  if (is_onnx(file.path)) return open_model(file.path);  // is read, not mapped
  const Descriptor from{::open(file.path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (from.fd < 0) fail(Error::Kind::io, {"cannot open the file: ", reason_of(errno)});
  const Descriptor copy{::memfd_create("model", MFD_CLOEXEC)};
  if (copy.fd < 0) fail(Error::Kind::memory, {"no memory for the file: ", reason_of(errno)});
  std::vector<char> buffer(1 << 20);
  for (uint64_t total = 0;;) {
    const ssize_t n = ::read(from.fd, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail(Error::Kind::io, {"cannot read the file: ", reason_of(errno)});
    if (n == 0) break;
    total += static_cast<uint64_t>(n);
    if (total > file.size) fail(Error::Kind::data, {"the file grows while it is read"});
    for (ssize_t at = 0; at < n;) {
      const ssize_t put = ::write(copy.fd, buffer.data() + at, static_cast<size_t>(n - at));
      if (put < 0 && errno == EINTR) continue;
      if (put < 0) fail(Error::Kind::memory, {"no memory for the file: ", reason_of(errno)});
      at += put;
    }
  }
  const std::string path = "/proc/self/fd/" + std::to_string(copy.fd);
  try {
    return load_model(path);
  } catch (const Error& e) {
    std::string text = e.what();
    if (const size_t at = text.find(path); at != text.npos)
      text.replace(at, path.size(), file.path);
    throw Error(e.kind(), text);
  }
}

/// "input f32 [-1, 3] -> output f32 [-1, 2]".
std::string signature_of(const Predictor& model) {
  std::string text;
  const auto add = [&](const std::vector<Predictor::Port>& ports) {
    for (size_t i = 0; i < ports.size(); ++i)
      text += cat({i ? ", " : "", ports[i].name, " ", ports[i].dtype, " ", ports[i].shape});
  };
  add(model.inputs());
  text += " -> ";
  add(model.outputs());
  return text;
}

}  // namespace

bool is_model_name(std::string_view name) {
  const auto letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  return !name.empty() && name.size() <= 100 && letter(name[0]) &&
         std::all_of(name.begin(), name.end(),
                     [&](char c) { return letter(c) || c == '.' || c == '_' || c == '-'; });
}

// ---- files

std::map<std::string, std::vector<Repository::Candidate>> Repository::scan() const {
  std::map<std::string, std::vector<Candidate>> found;
  const auto add = [&](const std::string& name, int64_t version, const FileMark& file) {
    if (!is_model_name(name) || found.size() >= kMaxModels) return;
    auto& files = found[name];
    // A second file of the same name and version is not looked at.
    if (std::none_of(files.begin(), files.end(),
                     [&](const Candidate& c) { return c.version == version || c.version == 0; }))
      files.push_back({version, file});
  };
  for (const std::string& given : options_.paths) {
    const size_t equals = given.find('=');
    const bool named = equals != given.npos && is_model_name(given.substr(0, equals));
    const std::string path = named ? given.substr(equals + 1) : given;
    std::string name = named ? given.substr(0, equals) : fs::path(path).stem().string();
    if (!folder_exists(path)) {
      if (const auto m = mark_of(path)) add(name, 0, *m);
      continue;
    }
    if (const auto m = model_in(path)) {  // a run folder
      if (!named) name = fs::weakly_canonical(path).filename().string();
      add(name, 0, *m);
      continue;
    }
    for (const FolderEntry& e : list_folder(path)) {
      const std::string below = path + "/" + e.name;
      if (e.name.starts_with('.')) continue;
      if (!e.is_folder) {
        if (is_model_file(e.name))
          if (const auto m = mark_of(below)) add(fs::path(e.name).stem().string(), 0, *m);
        continue;
      }
      if (const auto m = model_in(below)) {
        add(e.name, 0, *m);
        continue;
      }
      for (const FolderEntry& v : list_folder(below))
        if (const int64_t version = v.is_folder ? version_of(v.name) : 0)
          if (const auto m = model_in(below + "/" + v.name)) add(e.name, version, *m);
    }
  }
  for (auto& [name, files] : found)
    std::sort(files.begin(), files.end(),
              [](const Candidate& a, const Candidate& b) { return a.version < b.version; });
  return found;
}

void Repository::refresh() {
  auto found = scan();
  std::lock_guard lock(mutex_);
  for (auto& [name, files] : found) entries_[name].files = std::move(files);
}

LoadedPtr Repository::make(const std::string& name, const Candidate& c, int64_t version) {
  if (c.file.size > options_.max_file)
    fail(Error::Kind::memory,
         {c.file.path, " has ", c.file.size, " bytes, at most ", options_.max_file, " are read"});
  auto m = std::make_unique<Loaded>();
  m->name = name;
  m->version = version;
  m->file = c.file;
  // The weights, their form for the kernels, and what a batch takes.
  m->memory = memory_.reserve(3 * c.file.size + (1 << 20));
  if (!m->memory)
    fail(Error::Kind::memory, {c.file.path, " would take the memory beyond --memory-limit (",
                               memory_.used(), " of ", memory_.limit(), " bytes are in use)"});
  m->model = std::make_unique<Predictor>(open_copy(c.file), name);
  m->model->warm_up(options_.batch.rows);
  m->metrics = metrics_.model(name);
  m->batcher = std::make_unique<Batcher>(*m->model, options_.batch, m->metrics);
  {
    std::lock_guard lock(grave_->mutex);
    ++grave_->alive;
  }
  return LoadedPtr(m.release(), [grave = grave_](const Loaded* gone) {
    std::lock_guard lock(grave->mutex);
    grave->buried.push_back(const_cast<Loaded*>(gone));
    grave->wake.notify_all();
  });
}

void Repository::Grave::empty() {
  std::vector<Loaded*> list;
  {
    std::lock_guard lock(mutex);
    list.swap(buried);
  }
  for (Loaded* l : list) delete l;
  std::lock_guard lock(mutex);
  alive -= list.size();
}

/// Loads a file for a model; its versions count up if it is a plain file.
LoadedPtr Repository::read(const std::string& name, const Candidate& c) {
  int64_t version = c.version;
  {
    std::lock_guard lock(mutex_);
    Entry& e = entries_[name];
    e.loading = true;
    if (version == 0) version = e.counted + 1;
  }
  std::exception_ptr failure;
  std::string why;
  LoadedPtr fresh;
  try {
    fresh = make(name, c, version);
  } catch (const std::bad_alloc&) {
    failure = std::current_exception();
    why = "out of memory";
  } catch (const std::exception& e) {
    failure = std::current_exception();
    why = e.what();
  }
  auto metrics = metrics_.model(name);
  ++(fresh ? metrics->loads : metrics->failed_loads);
  std::lock_guard lock(mutex_);
  Entry& e = entries_[name];
  e.loading = false;
  e.trouble = why;
  if (failure) {
    e.refused = c.file;
    std::rethrow_exception(failure);
  }
  e.refused.reset();
  e.counted = std::max(e.counted, version);
  if (e.serving) {
    const std::string now = signature_of(*e.serving->model), then = signature_of(*fresh->model);
    if (now != then)
      log_warning({name, ": version ", version, " (", then,
                   ") has other inputs or outputs than "
                   "version ",
                   e.serving->version, " (", now, "), which is served"});
  }
  return fresh;
}

void Repository::adopt(const std::string& name, LoadedPtr fresh) {
  LoadedPtr old;
  std::lock_guard lock(mutex_);
  Entry& e = entries_[name];
  e.wanted = true;
  if (e.canary && e.canary->version == fresh->version) e.canary.reset();
  old = std::exchange(e.previous, std::exchange(e.serving, std::move(fresh)));
  log_info({name, ": version ", e.serving->version, " of ", e.serving->file.path, " is served"});
}

void Repository::begin_canary(Entry& e, LoadedPtr fresh, int percent) {
  e.canary = std::move(fresh);
  e.percent = percent;
  log_info({e.canary->name, ": version ", e.canary->version, " gets ", percent,
            " % of the requests, version ", e.serving->version, " the others"});
}

Repository::Repository(RepositoryOptions options, MemoryBudget& memory, Metrics& metrics)
    : options_(std::move(options)), memory_(memory), metrics_(metrics) {
  for (const std::string& given : options_.paths) {
    const size_t equals = given.find('=');
    const std::string path = equals != given.npos && is_model_name(given.substr(0, equals))
                                 ? given.substr(equals + 1)
                                 : given;
    if (folder_exists(path)) continue;
    if (!file_exists(path)) fail(Error::Kind::io, {path, " does not exist"});
    const std::string name = path == given ? fs::path(path).stem().string() : "";
    if (path == given && !is_model_name(name))
      fail(Error::Kind::usage, {"'", name, "' is no name for a model; give one: NAME=", path});
  }
  refresh();
  const auto found = entries_;
  if (found.empty())
    fail(Error::Kind::data, {options_.paths.empty() ? "no path" : options_.paths[0],
                             " holds no model; read are NAME.safetensors, NAME.onnx and "
                             "NAME/VERSION/model.safetensors"});
  for (const auto& [name, e] : found) {
    for (size_t i = e.files.size(); i-- > 0;) {  // an older version, if the newest is broken
      try {
        adopt(name, read(name, e.files[i]));
        break;
      } catch (const std::exception& error) {
        if (found.size() == 1 && i == 0) throw;
        log_warning({name, " is not served: ", error.what()});
      }
    }
  }
  thread_ = std::thread([this] { work(); });
}

Repository::~Repository() {
  {
    std::lock_guard lock(grave_->mutex);
    grave_->ending = true;
  }
  grave_->wake.notify_all();
  if (thread_.joinable()) thread_.join();
  entries_.clear();
  // Requests that still run hold their version.
  std::unique_lock lock(grave_->mutex);
  while (grave_->alive > 0) {
    grave_->wake.wait(lock, [&] { return !grave_->buried.empty(); });
    lock.unlock();
    grave_->empty();
    lock.lock();
  }
}

// ---- the thread for changes

void Repository::work() {
  auto next = Batcher::Clock::now() + options_.poll;
  std::unique_lock lock(grave_->mutex);
  for (;;) {
    const auto ready = [&] {
      return grave_->ending || !grave_->tasks.empty() || !grave_->buried.empty();
    };
    if (options_.poll.count() > 0)
      grave_->wake.wait_until(lock, next, ready);
    else
      grave_->wake.wait(lock, ready);
    std::deque<std::function<void()>> tasks;
    tasks.swap(grave_->tasks);
    const bool ending = grave_->ending;
    lock.unlock();
    for (auto& task : tasks) task();
    tasks.clear();
    if (ending) return;
    if (options_.poll.count() > 0 && Batcher::Clock::now() >= next) {
      try {
        poll();
      } catch (const std::exception& e) {
        log_warning({"the model folders cannot be read: ", e.what()});
      }
      next = Batcher::Clock::now() + options_.poll;
    }
    grave_->empty();
    lock.lock();
  }
}

/// Loads what is new. A file is taken when two looks see it the same, so that one that is being
/// copied is left alone.
void Repository::poll() {
  refresh();
  std::vector<std::pair<std::string, Candidate>> fresh;
  {
    std::lock_guard lock(mutex_);
    for (auto& [name, e] : entries_) {
      if (!e.wanted || e.files.empty()) continue;
      const Candidate& newest = e.files.back();
      bool same = false, older = false;
      for (const LoadedPtr& l : {e.serving, e.canary, e.previous}) {
        if (!l) continue;
        same = same || l->file == newest.file;
        older = older || (l != e.previous && newest.version > 0 && newest.version < l->version);
      }
      if (same || older || e.refused == newest.file) continue;
      if (e.seen == newest.file)
        fresh.emplace_back(name, newest);
      else
        e.seen = newest.file;
    }
  }
  for (const auto& [name, file] : fresh) {
    try {
      LoadedPtr loaded = read(name, file);
      std::unique_lock lock(mutex_);
      Entry& e = entries_[name];
      if (options_.canary > 0 && e.serving) {
        begin_canary(e, std::move(loaded), options_.canary);
        continue;
      }
      lock.unlock();
      adopt(name, std::move(loaded));
    } catch (const std::exception& e) {
      log_warning({name, " stays as it is: ", e.what()});
    }
  }
}

void Repository::post(std::function<void()> change, Done done) {
  auto task = [change = std::move(change), done = std::move(done)] {
    std::exception_ptr failure;
    try {
      change();
    } catch (...) {
      failure = std::current_exception();
    }
    done(failure);
  };
  {
    std::lock_guard lock(grave_->mutex);
    if (!grave_->ending) {
      grave_->tasks.push_back(std::move(task));
      grave_->wake.notify_all();
      return;
    }
  }
  // The thread has ended.
}

Repository::Entry& Repository::entry(std::string_view name) {
  const auto at = entries_.find(name);
  if (at == entries_.end()) throw Refusal(404, cat({"there is no model '", name, "'"}));
  return at->second;
}

const Repository::Candidate& Repository::candidate(const Entry& e, const std::string& name,
                                                   std::optional<int64_t> version) const {
  if (e.files.empty()) throw Refusal(404, cat({"the file of ", name, " is gone"}));
  if (!version) return e.files.back();
  for (const Candidate& c : e.files)
    if (c.version == *version) return c;
  throw Refusal(404, cat({name, " has no version ", *version}));
}

void Repository::load(const std::string& name, std::optional<int64_t> version, Done done) {
  post(
      [this, name, version] {
        refresh();
        std::optional<Candidate> file;
        LoadedPtr here;
        {
          std::lock_guard lock(mutex_);
          Entry& e = entry(name);
          file = candidate(e, name, version);
          e.wanted = true;
          for (const LoadedPtr& l : {e.previous, e.canary, e.serving})
            if (l && l->file == file->file) here = l;
          if (here && (here == e.serving || (here == e.canary && !version))) return;
        }
        adopt(name, here ? here : read(name, *file));
      },
      std::move(done));
}

void Repository::unload(const std::string& name, Done done) {
  post(
      [this, name] {
        LoadedPtr gone[3];  // let go of outside the lock
        std::lock_guard lock(mutex_);
        Entry& e = entry(name);
        if (!e.serving) throw Refusal(400, cat({name, " is not loaded"}));
        gone[0] = std::move(e.serving);
        gone[1] = std::move(e.canary);
        gone[2] = std::move(e.previous);
        e.serving = e.canary = e.previous = nullptr;
        e.wanted = false;
      },
      std::move(done));
}

void Repository::canary(const std::string& name, std::optional<int64_t> version, int percent,
                        Done done) {
  post(
      [this, name, version, percent] {
        refresh();
        std::optional<Candidate> file;
        {
          std::lock_guard lock(mutex_);
          Entry& e = entry(name);
          if (!e.serving) throw Refusal(400, cat({name, " is not loaded"}));
          if (e.canary && (!version || *version == e.canary->version))
            return begin_canary(e, e.canary, percent);
          if (version == e.serving->version)
            throw Refusal(400, cat({"version ", *version, " of ", name, " is served already"}));
          if (e.previous && version == e.previous->version)
            return begin_canary(e, e.previous, percent);
          file = candidate(e, name, version);
          if (file->file == e.serving->file)
            throw Refusal(400, cat({name, " has no other version than the one that is served"}));
        }
        LoadedPtr fresh = read(name, *file);
        std::lock_guard lock(mutex_);
        begin_canary(entry(name), std::move(fresh), percent);
      },
      std::move(done));
}

void Repository::promote(const std::string& name, Done done) {
  post(
      [this, name] {
        LoadedPtr fresh;
        {
          std::lock_guard lock(mutex_);
          Entry& e = entry(name);
          if (!e.canary) throw Refusal(400, cat({name, " has no canary"}));
          fresh = std::move(e.canary);
          e.canary = nullptr;
        }
        adopt(name, std::move(fresh));
      },
      std::move(done));
}

void Repository::roll_back(const std::string& name, Done done) {
  post(
      [this, name] {
        LoadedPtr gone;
        std::lock_guard lock(mutex_);
        Entry& e = entry(name);
        if (e.canary) {
          e.refused = e.canary->file;
          gone = std::exchange(e.canary, nullptr);
          return;
        }
        if (!e.previous || !e.serving)
          throw Refusal(400, cat({name, " has no version before this one"}));
        e.refused = e.serving->file;
        gone = std::exchange(e.serving, std::exchange(e.previous, nullptr));
        log_info({name, ": back to version ", e.serving->version});
      },
      std::move(done));
}

// ---- questions

LoadedPtr Repository::loaded(const Entry& e, std::string_view name,
                             std::optional<int64_t> version) const {
  if (!version) {
    if (!e.serving) throw Refusal(503, cat({name, " is not loaded"}), true);
    return e.serving;
  }
  for (const LoadedPtr& l : {e.serving, e.canary, e.previous})
    if (l && l->version == *version) return l;
  throw Refusal(404, cat({"version ", *version, " of ", name, " is not loaded"}));
}

LoadedPtr Repository::serving(std::string_view name, std::optional<int64_t> version) {
  std::lock_guard lock(mutex_);
  return loaded(entry(name), name, version);
}

LoadedPtr Repository::choose(std::string_view name, std::optional<int64_t> version) {
  std::lock_guard lock(mutex_);
  Entry& e = entry(name);
  LoadedPtr chosen = loaded(e, name, version);
  // 61 and 100 have no common factor: of any 100 requests in a row, `percent` go to the canary.
  if (!version && e.canary && static_cast<int>(e.requests++ * 61 % 100) < e.percent) {
    ++e.canary->metrics->canary;
    return e.canary;
  }
  return chosen;
}

ModelState Repository::state(std::string_view name) {
  std::lock_guard lock(mutex_);
  const Entry& e = entry(name);
  ModelState s;
  s.name = name;
  s.trouble = e.trouble;
  s.loading = e.loading;
  s.percent = e.canary ? e.percent : 0;
  for (const LoadedPtr& l : {e.serving, e.canary, e.previous})
    if (l && std::none_of(s.versions.begin(), s.versions.end(),
                          [&](const LoadedPtr& o) { return o->version == l->version; }))
      s.versions.push_back(l);
  s.serving = e.serving ? e.serving->version : 0;
  s.canary = e.canary ? e.canary->version : 0;
  s.previous = e.previous ? e.previous->version : 0;
  return s;
}

std::vector<ModelState> Repository::states() {
  std::vector<std::string> names;
  {
    std::lock_guard lock(mutex_);
    for (const auto& [name, e] : entries_) names.push_back(name);
  }
  std::vector<ModelState> all;
  for (const std::string& name : names) all.push_back(state(name));
  return all;
}

bool Repository::ready() {
  std::lock_guard lock(mutex_);
  for (const auto& [name, e] : entries_)
    if (e.wanted && (!e.serving || !e.serving->batcher->healthy())) return false;
  return true;
}

}  // namespace nacre::serve
