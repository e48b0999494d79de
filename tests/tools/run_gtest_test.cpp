// The script that runs test programs, on a made-up program.
#include <gtest/gtest.h>

#include "tools/shell.h"

namespace nacre::test {
namespace {

// Ends in the middle of A.Crash; the second run has the cases that are left.
const char kProgram[] = R"(#!/bin/bash
if [[ $1 == --gtest_list_tests ]]; then
  printf 'A.\n  Good\n  Crash\n  Later\n  Skip\n  DISABLED_Off\nI/P.\n  Q/0  # GetParam() = "b b"\n'
  exit 0
fi
flags=${2#--gtest_flagfile=}
if ! grep -q filter "$flags"; then
  printf '[ RUN      ] A.Good\ntext[       OK ] A.Good (0 ms)\n[ RUN      ] A.Crash\nmore text'
  kill -SEGV $$
fi
[[ $(< "$flags") == "--gtest_filter=A.Later:A.Skip:I/P.Q/0" ]] || exit 9
printf '[ RUN      ] A.Later\n[       OK ] A.Later (3 ms)\n'
printf '[ RUN      ] A.Skip\n[  SKIPPED ] A.Skip (0 ms)\n'
printf '[ RUN      ] I/P.Q/0\n[  FAILED  ] I/P.Q/0, where GetParam() = "b b" (1 ms)\n'
printf '[  FAILED  ] 1 test, listed below:\n[  FAILED  ] I/P.Q/0, where GetParam() = "b b"\n'
exit 1
)";

TEST(RunGtest, CountsCrashesAndGoesOn) {
  TempFolder folder;
  folder.write("program", kProgram);
  const CommandResult result =
      run_command("chmod +x " + folder.str() + "/program && " NACRE_SOURCE_DIR "/tools/run_gtest " +
                  folder.str() + "/results " + folder.str() + "/program");
  EXPECT_EQ(result.code, 1) << result.output;
  EXPECT_EQ(folder.read("results"),
            "skipped A.DISABLED_Off\nok A.Good\nfailed A.Crash (crashed, exit code 139)\n"
            "ok A.Later\nskipped A.Skip\nfailed I/P.Q/0\n");
}

TEST(RunGtest, FailureAfterTheLastCaseCounts) {
  TempFolder folder;
  folder.write(
      "program",
      "#!/bin/bash\nif [[ $1 == --gtest_list_tests ]]; then printf 'A.\\n  B\\n'; exit 0; fi\n"
      "printf '[ RUN      ] A.B\\n[       OK ] A.B (0 ms)\\n'; exit 23\n");
  const CommandResult result =
      run_command("chmod +x " + folder.str() + "/program && " NACRE_SOURCE_DIR "/tools/run_gtest " +
                  folder.str() + "/results " + folder.str() + "/program");
  EXPECT_EQ(result.code, 1) << result.output;
  EXPECT_EQ(folder.read("results"), "ok A.B\nfailed program (exit code 23 outside of its cases)\n");
}

}  // namespace
}  // namespace nacre::test
