// Parsing, printing and running pipelines.
#include <charconv>
#include <cmath>

#include "data/steps.h"
#include "nacre/error.h"

namespace nacre {
namespace data {
namespace {

constexpr size_t kMaxSpec = size_t{4} << 20;

const StepDef* find_step(std::string_view name) {
  for (const auto* table :
       {&geometry_steps(), &pixel_steps(), &audio_steps(), &other_steps(), &batch_steps()})
    for (const StepDef& def : *table)
      if (def.name == name) return &def;
  return nullptr;
}

bool is_in(const std::vector<StepDef>& table, const StepDef& def) {
  return &def >= table.data() && &def < table.data() + table.size();
}

/// A picture step and a sample that is a clip, a text or a row.
bool is_foreign(const StepDef& def, const Sample& s) {
  return s.image.empty() && !(s.audio.empty() && s.text.empty() && s.features.empty()) &&
         (is_in(geometry_steps(), def) || is_in(pixel_steps(), def));
}

std::string print(double v) {
  char text[32];
  const auto end = std::to_chars(text, text + sizeof(text), v);
  return {text, end.ptr};
}

std::string usage_of(const StepDef& def) {
  std::string text(def.name);
  text += '(';
  for (const Param& p : def.params) {
    if (&p != &def.params.front()) text += ", ";
    text += p.name;
    if (p.required) continue;
    text += '=';
    if (p.kind == Param::list)
      text += "[]";
    else if (p.kind == Param::word)
      text += p.words.substr(0, p.words.find(' '));
    else
      text += print(p.preset);
  }
  return text + ')';
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  std::vector<std::shared_ptr<const Transform::Step>> steps() {
    std::vector<std::shared_ptr<const Transform::Step>> out;
    blanks();
    if (at_end()) return out;
    do {
      blanks();
      out.push_back(step());
      blanks();
    } while (take('|'));
    if (!at_end()) wrong("expected '|' between steps");
    return out;
  }

 private:
  bool at_end() const { return pos_ == text_.size(); }
  void blanks() {
    while (!at_end() && (text_[pos_] == ' ' || text_[pos_] == '\n' || text_[pos_] == '\t')) ++pos_;
  }
  bool take(char c) {
    blanks();
    if (at_end() || text_[pos_] != c) return false;
    ++pos_;
    return true;
  }
  [[noreturn]] void wrong(std::string_view what) const {
    fail(Error::Kind::usage, {"transform: ", what, " at '", text_.substr(pos_, 30), "'"});
  }
  std::string_view word() {
    const size_t from = pos_;
    while (!at_end() && ((text_[pos_] >= 'a' && text_[pos_] <= 'z') || text_[pos_] == '_' ||
                         (pos_ > from && text_[pos_] >= '0' && text_[pos_] <= '9')))
      ++pos_;
    return text_.substr(from, pos_ - from);
  }

  std::shared_ptr<const Transform::Step> step() {
    const auto name = word();
    if (name.empty()) wrong("expected the name of a step");
    const StepDef* def = find_step(name == "flip" ? "hflip" : name);
    if (!def) {
      std::string known;
      for (const auto& help : transform_steps())
        known += (known.empty() ? "" : ", ") + help.usage.substr(0, help.usage.find('('));
      fail(Error::Kind::usage, {"transform: there is no step '", name, "'; there are ", known});
    }
    std::vector<Value> values(def->params.size());
    if (take('(') && !take(')')) {
      size_t position = 0;
      do argument(*def, values, position++);
      while (take(','));
      if (!take(')')) wrong("expected ',' or ')'");
    }
    for (size_t i = 0; i < values.size(); ++i) {
      const Param& p = def->params[i];
      if (values[i].given) continue;
      if (p.required)
        fail(Error::Kind::usage,
             {"transform: ", def->name, " needs '", p.name, "': ", usage_of(*def)});
      values[i].number = p.preset;
      values[i].word = p.words.substr(0, p.words.find(' '));
    }
    return std::make_shared<Transform::Step>(Transform::Step{def, Args(*def, std::move(values))});
  }

  void argument(const StepDef& def, std::vector<Value>& values, size_t index) {
    blanks();
    const size_t from = pos_;
    const auto name = word();
    if (!name.empty() && take('=')) {
      for (index = 0; index < def.params.size() && def.params[index].name != name;) ++index;
      blanks();
    } else {
      pos_ = from;
    }
    if (index >= def.params.size()) wrong(cat({"a value that ", usage_of(def), " does not have"}));
    if (values[index].given) wrong(cat({def.params[index].name, " of ", def.name, " given twice"}));
    values[index] = value(def, def.params[index]);
  }

  double number(const StepDef& def, const Param& p) {
    blanks();
    double v = 0;
    const auto end = std::from_chars(text_.data() + pos_, text_.data() + text_.size(), v);
    if (end.ec != std::errc() || !std::isfinite(v))
      wrong(cat({p.name, " of ", def.name, " must be a number"}));
    if (v < p.low || v > p.high || (p.kind == Param::integer && v != std::floor(v)))
      wrong(cat({p.name, " of ", def.name, " must be ",
                 p.kind == Param::integer ? "a whole number from " : "from ", print(p.low), " to ",
                 print(p.high)}));
    pos_ = static_cast<size_t>(end.ptr - text_.data());
    return v;
  }

  Value value(const StepDef& def, const Param& p) {
    Value v;
    v.given = true;
    if (p.kind == Param::word) {
      const size_t from = pos_;
      v.word = word();
      if (v.word.empty() ||
          (" " + std::string(p.words) + " ").find(" " + v.word + " ") == std::string::npos) {
        pos_ = from;
        wrong(cat({p.name, " of ", def.name, " must be one of: ", p.words}));
      }
    } else if (p.kind == Param::list && take('[')) {
      if (take(']')) return v;
      do v.list.push_back(number(def, p));
      while (take(','));
      if (!take(']')) wrong("expected ',' or ']'");
    } else if (p.kind == Param::list) {
      v.list.push_back(number(def, p));
    } else {
      v.number = number(def, p);
    }
    return v;
  }

  std::string_view text_;
  size_t pos_ = 0;
};

std::string print(const Param& p, const Value& v) {
  if (p.kind == Param::word) return v.word;
  if (p.kind != Param::list) return print(v.number);
  if (v.list.size() == 1) return print(v.list[0]);
  std::string text = "[";
  for (const double x : v.list) text += (text.size() > 1 ? "," : "") + print(x);
  return text + "]";
}

}  // namespace

const Value& Args::find(std::string_view name) const {
  for (size_t i = 0; i < def_->params.size(); ++i)
    if (def_->params[i].name == name) return values_[i];
  fail(Error::Kind::internal, {"step ", def_->name, " has no parameter ", name});
}

Border border_from_name(std::string_view name) {
  if (name == "edge") return Border::edge;
  if (name == "reflect") return Border::reflect;
  return name == "wrap" ? Border::wrap : Border::constant;
}

}  // namespace data

Key sample_key(uint64_t seed, int64_t epoch, int64_t index) {
  return Key(seed)
      .fold_in("sample")
      .fold_in(static_cast<uint64_t>(epoch))
      .fold_in(static_cast<uint64_t>(index));
}

Key batch_key(uint64_t seed, int64_t epoch, int64_t number) {
  return Key(seed)
      .fold_in("batch")
      .fold_in(static_cast<uint64_t>(epoch))
      .fold_in(static_cast<uint64_t>(number));
}

Transform Transform::parse(std::string_view spec) {
  if (spec.size() > data::kMaxSpec)
    fail(Error::Kind::usage, {"transform: the text has ", spec.size(), " bytes, at most ",
                              data::kMaxSpec, " are read"});
  Transform t;
  t.steps_ = data::Parser(spec).steps();
  return t;
}

std::string Transform::str() const {
  std::string out;
  for (const auto& step : steps_) {
    if (!out.empty()) out += '|';
    out += step->def->name;
    std::string args;
    bool by_position = true;
    for (size_t i = 0; i < step->def->params.size(); ++i) {
      const data::Param& p = step->def->params[i];
      const data::Value& v = step->args.values()[i];
      by_position = by_position && p.required;
      if (!v.given) continue;
      if (!args.empty()) args += ',';
      if (!by_position) args += std::string(p.name) + '=';
      args += data::print(p, v);
    }
    if (!args.empty()) out += '(' + args + ')';
  }
  return out;
}

void Transform::apply(Sample& sample, bool training, Key key) const {
  for (size_t i = 0; i < steps_.size(); ++i) {
    const data::StepDef& def = *steps_[i]->def;
    if (!def.apply || (def.train_only && !training) || data::is_foreign(def, sample)) continue;
    Rng rng(key.fold_in(i));
    def.apply(sample, steps_[i]->args, training, rng);
  }
}

void Transform::apply(Batch& batch, bool training, Key key) const {
  if (!training || batch.size() == 0) return;
  for (size_t i = 0; i < steps_.size(); ++i) {
    if (!steps_[i]->def->mix) continue;
    Rng rng(key.fold_in(i));
    steps_[i]->def->mix(batch, steps_[i]->args, rng);
  }
}

Transform Transform::then(const Transform& next) const {
  Transform both = *this;
  both.steps_.insert(both.steps_.end(), next.steps_.begin(), next.steps_.end());
  return both;
}

std::vector<StepHelp> transform_steps() {
  std::vector<StepHelp> out;
  for (const auto* table : {&data::geometry_steps(), &data::pixel_steps(), &data::audio_steps(),
                            &data::other_steps(), &data::batch_steps()})
    for (const data::StepDef& def : *table)
      out.push_back({data::usage_of(def), std::string(def.help)});
  return out;
}

}  // namespace nacre
