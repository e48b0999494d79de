#include "base/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdlib>

#include "base/log.h"
#include "base/text.h"

namespace nacre {
namespace {

std::atomic<Progress::Mode> automatic_mode{Progress::Mode::automatic};

std::string bar_of(double share, int columns, BarStyle style) {
  const int filled = static_cast<int>(std::lround(share * columns));
  std::string bar = "[";
  for (int i = 0; i < columns; ++i)
    bar += style == BarStyle::blocks ? (i < filled ? "█" : "░")
                                     : (i < filled    ? "="
                                        : i == filled ? ">"
                                                      : " ");
  return bar + "]";
}

double seconds_between(auto from, auto to) {
  return std::chrono::duration<double>(to - from).count();
}

}  // namespace

void set_progress_mode(Progress::Mode mode) { automatic_mode = mode; }

Progress::Mode progress_mode() {
  if (automatic_mode != Progress::Mode::automatic) return automatic_mode;
  const char* terminal = std::getenv("TERM");
  const bool dumb = terminal && std::string_view(terminal) == "dumb";
  return ::isatty(STDERR_FILENO) && !dumb ? Progress::Mode::terminal : Progress::Mode::lines;
}

int terminal_width() {
  winsize size{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 80;
}

bool terminal_is_utf8() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"})
    if (const char* value = std::getenv(name); value && *value) {
      std::string text = value;
      std::transform(text.begin(), text.end(), text.begin(),
                     [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
      return text.find("UTF-8") != text.npos || text.find("UTF8") != text.npos;
    }
  return false;
}

std::string render_progress(std::string_view title, int64_t done, int64_t total,
                            std::string_view unit, double rate, std::string_view note, int width,
                            BarStyle style) {
  const std::string name = printable(title);
  std::string numbers = std::to_string(done);
  if (total > 0) {
    numbers += "/" + std::to_string(total);
    numbers += " " + std::to_string(100 * std::min(done, total) / total) + "%";
  }
  if (rate > 0) {
    numbers += "  " + format_count(rate) + (unit.empty() ? "/s" : " " + std::string(unit) + "/s");
    if (total > done)
      numbers += "  " + format_duration(static_cast<double>(total - done) / rate) + " left";
  }
  if (!note.empty()) numbers += "  " + printable(note);
  std::string line = name + " ";
  const int room = width - display_width(line) - display_width(numbers) - 3;
  if (total > 0 && room >= 8 && style != BarStyle::none) {
    const double share = static_cast<double>(std::min(done, total)) / static_cast<double>(total);
    line += bar_of(share, std::min(room, 30), style) + " ";
  }
  return clip(line + numbers, width);
}

Progress::Progress(std::string title, int64_t total, std::string unit, Mode mode)
    : title_(std::move(title)),
      unit_(std::move(unit)),
      total_(std::max<int64_t>(0, total)),
      mode_(mode == Mode::automatic ? progress_mode() : mode),
      start_(Clock::now()),
      drawn_(start_) {
  next_line_ = std::max<int64_t>(1, (total_ + 9) / 10);
}

Progress::~Progress() {
  if (mode_ == Mode::terminal && !finished_) set_live_line("");
}

void Progress::draw(Clock::time_point now) {
  const bool live = mode_ == Mode::terminal;
  const double mean = static_cast<double>(done_) / std::max(seconds_between(start_, now), 1e-9);
  const BarStyle style = !live                ? BarStyle::none
                         : terminal_is_utf8() ? BarStyle::blocks
                                              : BarStyle::ascii;
  const std::string text = render_progress(title_, done_, total_, unit_, live ? rate_ : mean, note_,
                                           live ? terminal_width() - 1 : 1000, style);
  live ? set_live_line(text) : print_line(text);
}

void Progress::advance(int64_t n, std::string_view note) {
  done_ += n;
  if (mode_ == Mode::quiet || finished_) return;
  if (!note.empty()) note_ = note;
  const auto now = Clock::now();
  if (mode_ == Mode::lines) {
    if (done_ < next_line_) return;
    draw(now);
    // Tenths of a known total; else at 1, 2, 4, 8, ...
    next_line_ = total_ > 0 ? ((done_ * 10 / total_ + 1) * total_ + 9) / 10 : done_ * 2;
    next_line_ = std::max(next_line_, done_ + 1);
    return;
  }
  const double passed = seconds_between(drawn_, now);
  if (passed < 0.1) return;
  // The rate follows changes within about ten seconds.
  const double recent = static_cast<double>(done_ - drawn_done_) / passed;
  rate_ += (rate_ > 0 ? 1 - std::exp(-passed / 10) : 1) * (recent - rate_);
  drawn_ = now;
  drawn_done_ = done_;
  draw(now);
}

void Progress::finish(std::string_view note) {
  if (finished_) return;
  finished_ = true;
  if (mode_ == Mode::quiet) return;
  if (mode_ == Mode::terminal) set_live_line("");
  const double seconds = seconds_between(start_, Clock::now());
  std::string text = printable(title_) + ": " + std::to_string(done_);
  if (!unit_.empty()) text += " " + unit_;
  text += " in " + format_duration(seconds);
  if (!note.empty()) text += ", " + printable(note);
  print_line(text);
}

}  // namespace nacre
