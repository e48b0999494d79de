// Progress of long work on standard error: a bar with rate and time left on a terminal, one plain
// line per tenth of the work when piped, nothing when quiet. Messages of the log are never hidden.
//
//   Progress bar("epoch 1", batches, "batches");
//   for (...) bar.advance(1, "loss 0.31");
//   bar.finish("accuracy 98.1%");
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace nacre {

class Progress {
 public:
  enum class Mode { automatic, terminal, lines, quiet };

  /// A total of 0 means that it is not known. Mode automatic: the one of set_progress_mode().
  Progress(std::string title, int64_t total, std::string unit = "", Mode mode = Mode::automatic);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// `n` more units are done; `note` stands at the end of the line.
  void advance(int64_t n = 1, std::string_view note = "");
  /// Takes the bar away and prints a last line with the time it took. Without a call to finish the
  /// bar vanishes without one.
  void finish(std::string_view note = "");

 private:
  using Clock = std::chrono::steady_clock;
  void draw(Clock::time_point now);
  std::string title_, unit_, note_;
  int64_t total_, done_ = 0, next_line_ = 0;
  Mode mode_;
  Clock::time_point start_, drawn_;
  int64_t drawn_done_ = 0;
  double rate_ = 0;
  bool finished_ = false;
};

/// What "automatic" means from now on. At first: terminal if standard error is one, else lines.
void set_progress_mode(Progress::Mode mode);
Progress::Mode progress_mode();

/// Columns of the terminal, 80 if it is not known.
int terminal_width();

/// True if text beyond ASCII can be shown, by LC_ALL, LC_CTYPE or LANG.
bool terminal_is_utf8();

enum class BarStyle { none, ascii, blocks };

/// One line of at most `width` columns: "epoch 1 [====>   ] 60/100 60%  3.1 batches/s  13s left
/// loss 0.31". A rate of 0 is not known.
std::string render_progress(std::string_view title, int64_t done, int64_t total,
                            std::string_view unit, double rate, std::string_view note, int width,
                            BarStyle style);

}  // namespace nacre
