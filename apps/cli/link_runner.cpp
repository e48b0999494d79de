#include "cli/link_runner.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <sstream>

#include "base/file.h"
#include "nacre/error.h"

extern char** environ;

namespace nacre::cli {
namespace {

namespace fs = std::filesystem;

struct TempFolder {
  TempFolder() {
    std::string name = (fs::temp_directory_path() / "nacre_link_XXXXXX").string();
    if (!::mkdtemp(name.data()))
      fail(Error::Kind::io, {"cannot make the folder ", name, ": ", reason_of(errno)});
    path = name;
  }
  ~TempFolder() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  fs::path path;
};

/// Names the kernels, and so is linked instead of src/embed/all_kernels.cpp.
std::string page_of(const std::vector<std::string>& kernels) {
  std::string text = "namespace nacre::embed {\nstruct Kernel;\n", list;
  for (const std::string& name : kernels) {
    text += "extern const Kernel kernel_" + name + ";\n";
    list += "&kernel_" + name + ", ";
  }
  return text + "extern const Kernel* const kernels[] = {" + list + "nullptr};\n}\n";
}

/// The exit code of a command, whose output goes to a file; -1 if there is no such command.
int run(const std::vector<std::string>& command, const std::string& log) {
  std::vector<char*> words;
  for (const std::string& word : command) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, 1, log.c_str(), O_WRONLY | O_CREAT, 0600);
  posix_spawn_file_actions_adddup2(&files, 1, 2);
  pid_t child = 0;
  const int failed = ::posix_spawnp(&child, words[0], &files, nullptr, words.data(), environ);
  posix_spawn_file_actions_destroy(&files);
  if (failed) return -1;
  int status = 0;
  while (::waitpid(child, &status, 0) < 0)
    if (errno != EINTR) return -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

}  // namespace

std::string link_runner(const std::string& runner, const std::vector<std::string>& kernels,
                        std::string& why) {
  fs::path folder = fs::path(runner).parent_path();
  if (!file_exists((folder / "libnacre_runner.link").string())) folder /= NACRE_LIBRARIES;
  const std::string how = (folder / "libnacre_runner.link").string();
  if (!file_exists(how)) {
    why = "libnacre_runner.link, which is built with " + runner + ", is not beside it";
    return {};
  }
  const TempFolder temp;
  const std::string page = (temp.path / "kernels.cpp").string();
  const std::string made = (temp.path / "runner").string(), log = (temp.path / "log").string();
  write_file_atomic(page, page_of(kernels));
  std::istringstream lines(read_file(how, 1 << 20));
  std::vector<std::string> command, options;
  for (std::string line; std::getline(lines, line);)
    if (!line.empty()) (command.empty() ? command : options).push_back(line);
  if (command.empty()) fail(Error::Kind::data, {how, " does not begin with a compiler"});
  command.insert(command.end(), {page, (folder / "libnacre_runner.a").string(),
                                 (folder / "libnacre_runtime.a").string(), "-o", made});
  command.insert(command.end(), options.begin(), options.end());
  const int code = run(command, log);
  if (code == 0 && file_exists(made)) return read_file(made, uint64_t{1} << 30);
  why = "there is no compiler " + command[0];
  if (code >= 0 && code != 127) {
    std::istringstream said(file_exists(log) ? read_file(log, 1 << 24) : "");
    std::string line;
    std::getline(said, line);
    why = command[0] + " cannot link them: " + line;
  }
  return {};
}

}  // namespace nacre::cli
