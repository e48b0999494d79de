#include "base/log.h"

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <set>

#include "base/text.h"

namespace nacre {
namespace {

LogLevel level_of_environment() {
  const char* name = std::getenv("NACRE_LOG");
  if (!name) return LogLevel::info;
  try {
    return log_level_from_name(name);
  } catch (const Error& e) {
    std::fprintf(stderr, "warning: NACRE_LOG: %s\n", e.what());
    return LogLevel::info;
  }
}

std::atomic<LogLevel>& level() {
  static std::atomic<LogLevel> value{level_of_environment()};
  return value;
}

/// What standard error shows, kept until the process ends so that late messages are safe.
struct Screen {
  std::mutex mutex;
  std::string live;
  std::set<std::string, std::less<>> warned;
};

Screen& screen() {
  static Screen* one = new Screen;
  return *one;
}

constexpr const char* kClearLine = "\r\x1b[K";

void write_line(Screen& s, std::string_view text) {
  std::string out = s.live.empty() ? "" : kClearLine;
  out += text;
  out += '\n';
  out += s.live;
  std::fwrite(out.data(), 1, out.size(), stderr);
  std::fflush(stderr);
}

void log(LogLevel l, const char* prefix, std::initializer_list<Piece> pieces) {
  if (l > log_level()) return;
  print_line(prefix + printable(cat(pieces)));
}

}  // namespace

LogLevel log_level() { return level(); }
void set_log_level(LogLevel l) { level() = l; }

LogLevel log_level_from_name(std::string_view name) {
  constexpr std::string_view names[] = {"error", "warning", "info", "debug"};
  for (int i = 0; i < 4; ++i)
    if (names[i] == name) return static_cast<LogLevel>(i);
  fail(Error::Kind::usage,
       {"unknown log level '", name, "'; known are error, warning, info, debug"});
}

void log_error(std::initializer_list<Piece> pieces) { log(LogLevel::error, "error: ", pieces); }
void log_warning(std::initializer_list<Piece> pieces) {
  log(LogLevel::warning, "warning: ", pieces);
}
void log_info(std::initializer_list<Piece> pieces) { log(LogLevel::info, "", pieces); }
void log_debug(std::initializer_list<Piece> pieces) { log(LogLevel::debug, "debug: ", pieces); }

void warn_once(std::initializer_list<Piece> pieces) {
  {
    Screen& s = screen();
    const std::lock_guard lock(s.mutex);
    if (!s.warned.insert(cat(pieces)).second) return;
  }
  log_warning(pieces);
}

void print_line(std::string_view text) {
  Screen& s = screen();
  const std::lock_guard lock(s.mutex);
  write_line(s, text);
}

void set_live_line(const std::string& text) {
  Screen& s = screen();
  const std::lock_guard lock(s.mutex);
  if (s.live.empty() && text.empty()) return;
  s.live = text;
  const std::string out = kClearLine + text;
  std::fwrite(out.data(), 1, out.size(), stderr);
  std::fflush(stderr);
}

}  // namespace nacre
