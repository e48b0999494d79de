#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include <algorithm>
#include <filesystem>

#include "base/file.h"
#include "base/log.h"
#include "base/progress.h"
#include "base/signals.h"
#include "base/text.h"

namespace nacre {
namespace {

std::string stderr_of(const std::function<void()>& body) {
  ::testing::internal::CaptureStderr();
  body();
  return ::testing::internal::GetCapturedStderr();
}

auto lines_of(const std::string& s) { return std::count(s.begin(), s.end(), '\n'); }

TEST(Text, Formats) {
  EXPECT_EQ(format_duration(0.42), "0.4s");
  EXPECT_EQ(format_duration(59.6), "1m00s");
  EXPECT_EQ(format_duration(3599.7), "1h00m");
  EXPECT_EQ(format_duration(93784), "1d02h");
  EXPECT_EQ(format_duration(-1), "?");
  EXPECT_EQ(format_bytes(812), "812 B");
  EXPECT_EQ(format_bytes(1400), "1.4 KB");
  EXPECT_EQ(format_bytes(999'999), "1.0 MB");
  EXPECT_EQ(format_bytes(UINT64_MAX), "18447 PB");
  EXPECT_EQ(format_count(12'400), "12.4k");
  EXPECT_EQ(format_count(3.14159), "3.1");
}

TEST(Text, WidthAndClip) {
  EXPECT_EQ(display_width("abc"), 3);
  EXPECT_EQ(display_width("\u4e2d\u6587"), 4);
  EXPECT_EQ(display_width("e\u0301"), 1);
  EXPECT_EQ(clip("abcdef", 6), "abcdef");
  EXPECT_EQ(clip("abcdefg", 6), "abc...");
  EXPECT_EQ(clip("\u4e2d\u6587\u4e2d\u6587", 6), "\u4e2d...");
  EXPECT_EQ(clip("abcdef", 0), "");
}

TEST(Text, PrintableKeepsTextAndDropsControl) {
  EXPECT_EQ(printable("caf\u00e9\n\ta"), "caf\u00e9\n\ta");
  EXPECT_EQ(printable("\x1b[31mred\x07"), "?[31mred?");
  EXPECT_EQ(printable("a\xff\xc3"), "a??");
  EXPECT_EQ(printable("\u202egnp.exe"), "?gnp.exe");
  EXPECT_EQ(printable("\xed\xa0\x80"), "???");  // a lone surrogate
}

TEST(Log, LevelsAndWarnOnce) {
  const std::string out = stderr_of([] {
    log_info({"trained ", 3, " epochs"});
    log_debug({"hidden"});
    for (int i = 0; i < 3; ++i) warn_once({"slow path ", 1});
    warn_once({"slow path ", 2});
    set_log_level(LogLevel::error);
    log_warning({"hidden too"});
    log_error({"bad ", "\x1b[2J"});
    set_log_level(LogLevel::info);
  });
  EXPECT_EQ(out, "trained 3 epochs\nwarning: slow path 1\nwarning: slow path 2\nerror: bad ?[2J\n");
}

TEST(Log, MessagesStayAboveTheLiveLine) {
  const std::string out = stderr_of([] {
    set_live_line("bar");
    log_warning({"look"});
    set_live_line("");
  });
  EXPECT_EQ(out, "\r\x1b[Kbar\r\x1b[Kwarning: look\nbar\r\x1b[K");
}

TEST(Progress, RendersWithinTheWidth) {
  EXPECT_EQ(render_progress("epoch 1", 60, 100, "batches", 3.1, "loss 0.3", 200, BarStyle::none),
            "epoch 1 60/100 60%  3.1 batches/s  13s left  loss 0.3");
  EXPECT_EQ(render_progress("a", 1, 4, "", 0, "", 40, BarStyle::ascii),
            "a [=======>                    ] 1/4 25%");
  for (int width = 1; width < 120; ++width)
    for (BarStyle style : {BarStyle::none, BarStyle::ascii, BarStyle::blocks})
      EXPECT_LE(display_width(render_progress("title", 7, 9, "images", 1234, "note", width, style)),
                width);
  EXPECT_NE(render_progress("a", 9, 4, "", 1, "", 80, BarStyle::ascii).find("100%"),
            std::string::npos);
}

TEST(Progress, PipedOutputHasALinePerTenth) {
  const auto run = [](int64_t total, int64_t step) {
    return stderr_of([&] {
      Progress bar("load", total, "files", Progress::Mode::lines);
      for (int64_t i = 0; i < total; i += step) bar.advance(step);
      bar.finish();
    });
  };
  const std::string out = run(1000, 1);
  EXPECT_EQ(lines_of(out), 11);
  EXPECT_NE(out.find("load 100/1000 10%"), std::string::npos);
  EXPECT_NE(out.find("load: 1000 files in "), std::string::npos);
  EXPECT_EQ(out.find('\r'), std::string::npos);
  EXPECT_EQ(lines_of(run(3, 1)), 4);
  EXPECT_EQ(lines_of(run(10'000, 3000)), 5);
}

TEST(Progress, UnknownTotalsDouble) {
  const std::string out = stderr_of([] {
    Progress bar("scan", 0, "files", Progress::Mode::lines);
    for (int i = 0; i < 1000; ++i) bar.advance();
  });
  EXPECT_EQ(lines_of(out), 10);
}

TEST(Progress, QuietIsQuietButWarningsShow) {
  const std::string out = stderr_of([] {
    Progress bar("load", 10, "files", Progress::Mode::quiet);
    for (int i = 0; i < 10; ++i) bar.advance();
    log_warning({"odd"});
    bar.finish();
  });
  EXPECT_EQ(out, "warning: odd\n");
}

TEST(Signals, TheFirstAsksAndTheSecondEnds) {
  const auto child = [] {
    install_stop_signals();
    if (stop_requested()) ::_exit(1);
    ::raise(SIGINT);
    if (!stop_requested()) ::_exit(2);
    ::raise(SIGTERM);
    ::_exit(3);
  };
  EXPECT_EXIT(child(), ::testing::ExitedWithCode(130), "stopping; press Ctrl-C again");
}

TEST(Signals, AFileLimitIsAnError) {
  const auto child = [] {
    install_stop_signals();
    const rlimit limit{1000, 1000};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    const std::string path =
        (std::filesystem::temp_directory_path() / "nacre-file-limit-test").string();
    try {
      write_file_atomic(path, std::string(5000, 'x'));
    } catch (const Error& e) {
      std::fprintf(stderr, "%s\n", e.what());
      ::_exit(std::filesystem::exists(path) ? 1 : 7);
    }
    ::_exit(2);
  };
  EXPECT_EXIT(child(), ::testing::ExitedWithCode(7), "larger than the system allows");
}

}  // namespace
}  // namespace nacre
