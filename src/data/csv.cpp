// Separated values: RFC 4180 with LF or CRLF, a byte order mark, and limits.
#include <algorithm>

#include "base/text.h"
#include "data/readers.h"
#include "nacre/error.h"

namespace nacre::data {

char csv_separator(std::string_view text) {
  const std::string_view line = text.substr(0, std::min<size_t>(text.find('\n'), 1 << 20));
  char best = ',';
  std::ptrdiff_t most = 0;
  for (const char c : {',', '\t', ';'}) {
    const auto n = std::count(line.begin(), line.end(), c);
    if (n > most) most = n, best = c;
  }
  return best;
}

void check_utf8(std::string_view text, const std::string& name) {
  const size_t at = find_broken_utf8(text);
  if (at == text.npos) return;
  const auto line =
      1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at), '\n');
  fail(Error::Kind::data, {name, ": line ", line,
                           " is not UTF-8; if the file is Latin-1, convert it: "
                           "iconv -f latin1 -t utf-8"});
}

bool csv_record(std::string_view text, CsvPlace& at, bool whole, char separator,
                const CsvOptions& options, const std::string& name,
                std::vector<std::string>& cells) {
  const std::string_view ends = separator == ',' ? ",\n" : separator == ';' ? ";\n" : "\t\n";
  size_t pos = at.pos, used = 0;
  int64_t line = at.line;
  bool more = true;
  while (more) {
    if (used == cells.size()) cells.emplace_back();
    std::string& cell = cells[used++];
    cell.clear();
    if (used > options.max_columns)
      fail(Error::Kind::data,
           {name, ": line ", at.line, " has more than ", options.max_columns, " columns"});
    if (pos < text.size() && text[pos] == '"') {
      for (++pos;; ++pos) {
        if (pos >= text.size() && !whole) return false;
        if (pos >= text.size())
          fail(Error::Kind::data,
               {name, ": the quote opened on line ", at.line, " is never closed"});
        if (pos - at.pos > options.max_line) break;
        if (text[pos] == '\n') ++line;
        if (text[pos] == '"') {
          if (pos + 1 >= text.size() && !whole) return false;
          if (pos + 1 < text.size() && text[pos + 1] == '"') {
            ++pos;
          } else {
            ++pos;
            break;
          }
        }
        cell += text[pos];
      }
    }
    // Also what follows a closing quote, so that nothing is lost.
    const size_t end = std::min(text.find_first_of(ends, pos), text.size());
    if (end - at.pos > options.max_line)
      fail(Error::Kind::data,
           {name, ": line ", at.line, " has more than ", options.max_line, " bytes"});
    if (end == text.size() && !whole) return false;
    cell.append(text, pos, end - pos);
    more = end < text.size() && text[end] == separator;
    if (!more && !cell.empty() && cell.back() == '\r') cell.pop_back();
    pos = std::min(end + 1, text.size());
  }
  if (pos > 0 && text[pos - 1] == '\n') ++line;
  cells.resize(used);
  at = {pos, line};
  return true;
}

void read_csv(const std::string& text, char separator, const CsvOptions& options,
              const std::string& name,
              const std::function<void(int64_t, const std::vector<std::string>&)>& row) {
  CsvPlace at{text.starts_with("\xef\xbb\xbf") ? size_t{3} : 0, 1};
  std::vector<std::string> cells;
  while (at.pos < text.size()) {
    const int64_t line = at.line;
    csv_record(text, at, true, separator, options, name, cells);
    const bool blank = cells.size() == 1 && cells[0].empty();
    if (!blank) row(line, cells);
  }
}

}  // namespace nacre::data
