// Runs the shipped program on hostile files and measures what it took.
#pragma once

#include <string>
#include <vector>

namespace nacre::attacks {

struct Outcome {
  int code = -1;  ///< of the exit, or 128 and the signal
  std::string output;
  long peak_kib = 0;  ///< the largest resident memory, beyond that of `nacre --version`
};

/// `nacre` with these arguments; a run of more than 60 s of processor time, or two minutes, is
/// killed.
Outcome nacre(const std::vector<std::string>& arguments);

/// The program refused `file`: exit code `code`, one line that holds `sentence`, and, without
/// sanitizers, less memory than twice the file and 64 MiB. Commands that list have `lines`.
void expect_refused(const std::vector<std::string>& arguments, const std::string& file,
                    const std::string& sentence, int code = 1, bool lines = false);
/// The same, but the program may also take the file.
void expect_survived(const std::vector<std::string>& arguments, const std::string& file);

}  // namespace nacre::attacks
