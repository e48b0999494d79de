#include "importers/prototxt.h"

#include <charconv>
#include <cmath>
#include <cstdlib>

#include "base/text.h"
#include "nacre/error.h"

namespace nacre {

class PrototxtReader {
 public:
  PrototxtReader(std::string_view text, std::string_view what) : text_(text), what_(what) {}

  Prototxt read() {
    Prototxt all;
    fields(all, 0);
    if (at_ < text_.size()) damaged("a bracket closes that was not opened");
    return all;
  }

 private:
  static constexpr int kDepth = 32;
  static constexpr size_t kFields = 1'000'000;

  [[noreturn]] void damaged(std::string_view why) const {
    int line = 1;
    for (const char c : text_.substr(0, at_)) line += c == '\n';
    fail(Error::Kind::data, {what_, ":", line, ": ", why});
  }
  char peek() {
    while (at_ < text_.size()) {
      if (text_[at_] == '#')
        at_ = std::min(text_.find('\n', at_), text_.size());
      else if (std::string_view(" \t\r\n,;").find(text_[at_]) != std::string_view::npos)
        ++at_;
      else
        return text_[at_];
    }
    return '\0';
  }
  std::string word() {
    peek();
    const size_t from = at_;
    while (at_ < text_.size() &&
           (std::isalnum(static_cast<unsigned char>(text_[at_])) || text_[at_] == '_' ||
            text_[at_] == '.' || text_[at_] == '-' || text_[at_] == '+'))
      ++at_;
    if (at_ == from) damaged("a name or value is missing");
    return std::string(text_.substr(from, at_ - from));
  }
  std::string value() {
    const char quote = peek();
    if (quote != '"' && quote != '\'') return word();
    std::string out;
    // Neighbouring texts are one.
    while (peek() == quote) {
      const size_t end = text_.find(quote, at_ + 1);
      if (end == text_.npos) damaged("a text has no end");
      out += text_.substr(at_ + 1, end - at_ - 1);
      at_ = end + 1;
    }
    return out;
  }
  void add(Prototxt& to, Prototxt::Field field) {
    if (++count_ > kFields) damaged("there are more than a million values");
    to.fields_.push_back(std::move(field));
  }
  void one(Prototxt& to, const std::string& name, int depth) {
    if (peek() == '{') {
      ++at_;
      Prototxt::Field field{name, "", std::vector<Prototxt>(1)};
      fields(field.message[0], depth + 1);
      if (peek() != '}') damaged("a bracket is not closed");
      ++at_;
      add(to, std::move(field));
    } else {
      add(to, {name, value(), {}});
    }
  }
  void fields(Prototxt& to, int depth) {
    if (depth > kDepth) damaged("brackets are nested too deep");
    while (peek() != '\0' && peek() != '}') {
      const std::string name = word();
      if (peek() == ':') ++at_;
      if (peek() != '[') {
        one(to, name, depth);
        continue;
      }
      ++at_;
      while (peek() != ']') {
        if (peek() == '\0') damaged("a list is not closed");
        one(to, name, depth);
      }
      ++at_;
    }
  }

  std::string_view text_, what_;
  size_t at_ = 0, count_ = 0;
};

Prototxt Prototxt::parse(std::string_view text, std::string_view what) {
  return PrototxtReader(text, what).read();
}

const Prototxt::Field* Prototxt::find(std::string_view name) const {
  for (size_t i = fields_.size(); i-- > 0;)
    if (fields_[i].name == name) return &fields_[i];
  return nullptr;
}

bool Prototxt::has(std::string_view name) const { return find(name) != nullptr; }

std::vector<const Prototxt*> Prototxt::messages(std::string_view name) const {
  std::vector<const Prototxt*> out;
  for (const Field& f : fields_)
    if (f.name == name && !f.message.empty()) out.push_back(&f.message[0]);
  return out;
}

std::vector<std::string> Prototxt::texts(std::string_view name) const {
  std::vector<std::string> out;
  for (const Field& f : fields_)
    if (f.name == name && f.message.empty()) out.push_back(f.text);
  return out;
}

namespace {
int64_t integer_of(std::string_view name, const std::string& text) {
  int64_t v = 0;
  const auto done = std::from_chars(text.data(), text.data() + text.size(), v);
  if (done.ec != std::errc() || done.ptr != text.data() + text.size())
    fail(Error::Kind::data, {name, " should be an integer, got '", clip(printable(text), 40), "'"});
  return v;
}
}  // namespace

std::vector<int64_t> Prototxt::integers(std::string_view name) const {
  std::vector<int64_t> out;
  for (const std::string& t : texts(name)) out.push_back(integer_of(name, t));
  return out;
}

const Prototxt& Prototxt::message(std::string_view name) const {
  static const Prototxt empty;
  const Field* f = find(name);
  return f && !f->message.empty() ? f->message[0] : empty;
}

std::string Prototxt::text(std::string_view name, std::string_view otherwise) const {
  const Field* f = find(name);
  return f ? f->text : std::string(otherwise);
}

int64_t Prototxt::integer(std::string_view name, int64_t otherwise) const {
  const Field* f = find(name);
  return f ? integer_of(name, f->text) : otherwise;
}

double Prototxt::number(std::string_view name, double otherwise) const {
  const Field* f = find(name);
  if (!f) return otherwise;
  char* end = nullptr;
  const double v = std::strtod(f->text.c_str(), &end);
  if (f->text.empty() || *end || !std::isfinite(v))
    fail(Error::Kind::data,
         {name, " should be a number, got '", clip(printable(f->text), 40), "'"});
  return v;
}

bool Prototxt::boolean(std::string_view name, bool otherwise) const {
  const Field* f = find(name);
  if (!f) return otherwise;
  if (f->text == "true" || f->text == "1") return true;
  if (f->text == "false" || f->text == "0") return false;
  fail(Error::Kind::data,
       {name, " should be true or false, got '", clip(printable(f->text), 40), "'"});
}

}  // namespace nacre
