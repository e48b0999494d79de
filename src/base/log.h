// Messages for people, on standard error, one line each. Thread-safe.
//
// The level comes from NACRE_LOG (error, warning, info or debug), default info. A progress bar
// that is being shown is taken away before a message and drawn again below it.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

#include "nacre/error.h"

namespace nacre {

enum class LogLevel { error, warning, info, debug };

LogLevel log_level();
void set_log_level(LogLevel level);
/// The level with that name. Throws Error(usage) if there is none.
LogLevel log_level_from_name(std::string_view name);

void log_error(std::initializer_list<Piece> pieces);
void log_warning(std::initializer_list<Piece> pieces);
void log_info(std::initializer_list<Piece> pieces);
void log_debug(std::initializer_list<Piece> pieces);

/// A warning that is printed at most once per process for each text.
void warn_once(std::initializer_list<Piece> pieces);

/// The line at the bottom of the terminal that messages must not run into (a progress bar); an
/// empty text takes it away.
void set_live_line(const std::string& text);

/// A line on standard error whatever the level, with the same care for the live line.
void print_line(std::string_view text);

}  // namespace nacre
