// The models that are served: where their files are, which versions are loaded, which one answers.
//
// A path is a model file, NAME=file, or a folder: of files NAME.safetensors (or other endings that
// open_model() takes), of folders NAME/VERSION/model.safetensors with whole numbers as versions, or
// of run folders NAME/model.safetensors. Files that change, and new ones, are loaded beside what is
// served, warmed up, and take over only then; a file that cannot be loaded changes nothing.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "serve/batcher.h"
#include "serve/memory.h"

namespace nacre::serve {

/// An answer other than 200: a status of HTTP, and a sentence for the client.
class Refusal : public std::runtime_error {
 public:
  Refusal(int status, const std::string& text, bool retry = false)
      : std::runtime_error(text), status(status), retry(retry) {}
  int status;
  bool retry;  ///< the same request may succeed soon
};

/// Letters, digits, '.', '_', '-', at most 100, the first one a letter or digit.
bool is_model_name(std::string_view name);

/// A file as it was at some time.
struct FileMark {
  std::string path;
  int64_t time = 0;  ///< of the last change, ns
  uint64_t size = 0, inode = 0;
  friend bool operator==(const FileMark&, const FileMark&) = default;
};

/// A version of a model in memory. Requests hold it while they run.
struct Loaded {
  std::string name;
  int64_t version = 1;
  FileMark file;
  Reservation memory;
  std::unique_ptr<Predictor> model;
  std::shared_ptr<ModelMetrics> metrics;
  std::unique_ptr<Batcher> batcher;
};
using LoadedPtr = std::shared_ptr<const Loaded>;

struct RepositoryOptions {
  std::vector<std::string> paths;
  BatchOptions batch;
  std::chrono::milliseconds poll{2000};  ///< between looks at the files; 0: never
  int canary = 0;                        ///< per cent for new versions; 0: they take over
  uint64_t max_file = uint64_t{16} << 30;
};

/// What is known of a model, for lists.
struct ModelState {
  std::string name, trouble;                      ///< why the last load failed
  std::vector<LoadedPtr> versions;                ///< loaded: serving, canary, the one before
  int64_t serving = 0, canary = 0, previous = 0;  ///< 0: none
  int percent = 0;                                ///< of the canary
  bool loading = false;
};

class Repository {
 public:
  /// Loads everything. Throws Error if a path is no model, or holds none; a model in a folder that
  /// cannot be loaded is only named in a warning.
  Repository(RepositoryOptions options, MemoryBudget& memory, Metrics& metrics);
  ~Repository();

  /// The version that answers the next request, or that one if it is loaded. Throws Refusal (404
  /// unknown, 503 not loaded).
  LoadedPtr choose(std::string_view name, std::optional<int64_t> version = {});
  /// The same for questions about a model: never the canary unless it is named.
  LoadedPtr serving(std::string_view name, std::optional<int64_t> version = {});
  ModelState state(std::string_view name);
  std::vector<ModelState> states();
  /// Whether every model is loaded and has the memory that it needs.
  bool ready();

  /// Changes are made one after the other on a thread of the repository; `done` is called there,
  /// with an exception or null.
  using Done = std::function<void(std::exception_ptr)>;
  /// Looks for the files again and loads the newest version, or that one. If the newest is loaded
  /// already, as it is now, nothing changes.
  void load(const std::string& name, std::optional<int64_t> version, Done done);
  void unload(const std::string& name, Done done);
  /// Sends a share of the requests to another version, which is loaded if need be.
  void canary(const std::string& name, std::optional<int64_t> version, int percent, Done done);
  /// The canary takes over.
  void promote(const std::string& name, Done done);
  /// The canary is dropped; without one, the version before takes over again.
  void roll_back(const std::string& name, Done done);

 private:
  struct Candidate {
    int64_t version;  ///< 0: a plain file, whose versions are counted
    FileMark file;
  };
  struct Entry {
    std::vector<Candidate> files;  ///< ascending by version
    LoadedPtr serving, canary, previous;
    int percent = 0;
    int64_t counted = 0;  ///< versions of a plain file so far
    uint64_t requests = 0;
    std::optional<FileMark> seen, refused;
    std::string trouble;
    bool wanted = true, loading = false;
  };

  std::map<std::string, std::vector<Candidate>> scan() const;
  void refresh();
  void poll();
  void work();
  void post(std::function<void()> change, Done done);
  LoadedPtr make(const std::string& name, const Candidate& file, int64_t version);
  LoadedPtr read(const std::string& name, const Candidate& file);
  void adopt(const std::string& name, LoadedPtr fresh);
  /// Under mutex_.
  void begin_canary(Entry& e, LoadedPtr fresh, int percent);
  Entry& entry(std::string_view name);
  LoadedPtr loaded(const Entry& e, std::string_view name, std::optional<int64_t> version) const;
  const Candidate& candidate(const Entry& e, const std::string& name,
                             std::optional<int64_t> version) const;

  const RepositoryOptions options_;
  MemoryBudget& memory_;
  Metrics& metrics_;
  mutable std::mutex mutex_;
  std::map<std::string, Entry, std::less<>> entries_;  ///< under mutex_

  /// Versions that nobody uses any more. They are destroyed on the repository's thread, as a
  /// batcher cannot be on its own.
  struct Grave {
    std::mutex mutex;
    std::condition_variable wake;
    std::vector<Loaded*> buried;
    std::deque<std::function<void()>> tasks;
    bool ending = false;
    size_t alive = 0;  ///< versions that are not destroyed yet
    void empty();
  };
  std::shared_ptr<Grave> grave_ = std::make_shared<Grave>();
  std::thread thread_;
};

}  // namespace nacre::serve
