#include "attacks/program.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>

#include "base/file.h"
#include "tools/shell.h"

namespace nacre::attacks {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kMeasures = false;
#else
constexpr bool kMeasures = true;
#endif

struct Answer {
  int status = 0;
  long peak_kib = 0;
};

/// Starts programs from a process that is small: what a child's largest memory is begins with its
/// parent's.
class Launcher {
 public:
  Launcher() {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) std::abort();
    if (fork() == 0) {
      close(ends[0]);
      serve(ends[1]);
      _exit(0);
    }
    close(ends[1]);
    socket_ = ends[0];
  }
  ~Launcher() { close(socket_); }

  Answer run(const std::string& output, const std::vector<std::string>& words) const {
    std::string text = output + '\0';
    for (const std::string& w : words) text += w + '\0';
    const size_t size = text.size();
    Answer answer;
    if (write(socket_, &size, sizeof size) < 0 || write(socket_, text.data(), size) < 0 ||
        read(socket_, &answer, sizeof answer) != sizeof answer)
      ADD_FAILURE() << "the launcher of programs is gone";
    return answer;
  }

 private:
  static void serve(int socket) {
    setenv("OMP_WAIT_POLICY", "passive", 1);
    for (size_t size; read(socket, &size, sizeof size) == sizeof size;) {
      std::string text(size, '\0');
      for (size_t have = 0; have < size;) {
        const ssize_t n = read(socket, text.data() + have, size - have);
        if (n <= 0) return;
        have += static_cast<size_t>(n);
      }
      std::vector<char*> words;
      for (size_t at = 0; at < size; at += std::string(&text[at]).size() + 1)
        words.push_back(&text[at]);
      const pid_t child = fork();
      if (child == 0) {
        const int to = open(words[0], O_WRONLY | O_CREAT | O_TRUNC, 0600);
        dup2(to, 1);
        dup2(to, 2);
        const rlimit seconds{60, 60};
        setrlimit(RLIMIT_CPU, &seconds);
        alarm(120);
        words.push_back(nullptr);
        execv(words[1], words.data() + 1);
        _exit(127);
      }
      Answer answer;
      rusage used{};
      wait4(child, &answer.status, 0, &used);
      answer.peak_kib = used.ru_maxrss;
      if (write(socket, &answer, sizeof answer) < 0) return;
    }
  }

  int socket_ = -1;
};

const Launcher launcher;  // before anything takes memory

Outcome run(const std::vector<std::string>& arguments) {
  static const test::TempFolder folder;
  const std::string output = (folder / "output").string();
  std::vector<std::string> words = {std::string(NACRE_BUILD_DIR) + "/nacre"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  const Answer answer = launcher.run(output, words);
  Outcome outcome;
  outcome.code =
      WIFEXITED(answer.status) ? WEXITSTATUS(answer.status) : 128 + WTERMSIG(answer.status);
  outcome.output = read_file(output, 1 << 20);
  // A sanitizer remarks on what cannot be allocated.
  while (!kMeasures && outcome.output.starts_with("=="))
    outcome.output.erase(0, outcome.output.find('\n') + 1);
  outcome.peak_kib = answer.peak_kib;
  return outcome;
}

void expect_little_memory(const Outcome& outcome, const std::string& file) {
  const auto size = static_cast<long>(
      std::filesystem::is_regular_file(file) ? std::filesystem::file_size(file) : 0);
  if (kMeasures) {
    EXPECT_LT(outcome.peak_kib, 2 * size / 1024 + 64 * 1024) << outcome.output;
  }
}

}  // namespace

Outcome nacre(const std::vector<std::string>& arguments) {
  static const long baseline = run({"--version"}).peak_kib;
  Outcome outcome = run(arguments);
  outcome.peak_kib -= baseline;
  return outcome;
}

void expect_refused(const std::vector<std::string>& arguments, const std::string& file,
                    const std::string& sentence, int code, bool lines) {
  const Outcome outcome = nacre(arguments);
  EXPECT_EQ(outcome.code, code) << outcome.output;
  if (!lines) {
    EXPECT_EQ(std::count(outcome.output.begin(), outcome.output.end(), '\n'), 1) << outcome.output;
  }
  EXPECT_NE(outcome.output.find(sentence), std::string::npos)
      << outcome.output << "does not hold: " << sentence;
  expect_little_memory(outcome, file);
}

void expect_survived(const std::vector<std::string>& arguments, const std::string& file) {
  const Outcome outcome = nacre(arguments);
  if (outcome.code == 0) return;
  EXPECT_EQ(outcome.code, 1) << outcome.output;
  EXPECT_EQ(std::count(outcome.output.begin(), outcome.output.end(), '\n'), 1) << outcome.output;
  expect_little_memory(outcome, file);
}

}  // namespace nacre::attacks
