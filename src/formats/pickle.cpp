#include "formats/pickle.h"
#include "formats/byte_cursor.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <map>

#include "base/text.h"
#include "nacre/error.h"

namespace nacre {
namespace {

constexpr std::string_view kTorchTypes[] = {
    "float32", "float", "float64", "double", "float16", "half",          "bfloat16",
    "int8",    "uint8", "int16",   "short",  "int32",   "int",           "int64",
    "long",    "bool",  "uint16",  "uint32", "uint64",  "float8_e4m3fn", "float8_e5m2"};

bool is_storage_class(std::string_view name) {
  for (const std::string_view module : {"torch.storage.", "torch.cuda.", "torch."})
    if (name.starts_with(module)) {
      name.remove_prefix(module.size());
      return name.ends_with("Storage") && name.find('.') == name.npos;
    }
  return false;
}

bool is_type(std::string_view name) {
  return name.starts_with("torch.") && std::find(std::begin(kTorchTypes), std::end(kTorchTypes),
                                                 name.substr(6)) != std::end(kTorchTypes);
}

/// Functions and classes whose results Reader::apply makes, or that only stand as arguments.
bool is_known(std::string_view name) {
  static constexpr std::string_view names[] = {"collections.OrderedDict",
                                               "collections.Counter",
                                               "torch.Size",
                                               "torch.device",
                                               "torch.Tensor",
                                               "torch.nn.parameter.Parameter",
                                               "torch._utils._rebuild_tensor",
                                               "torch._utils._rebuild_tensor_v2",
                                               "torch._utils._rebuild_tensor_v3",
                                               "torch._utils._rebuild_parameter",
                                               "torch._utils._rebuild_parameter_with_state",
                                               "torch._tensor._rebuild_from_type_v2",
                                               "torch.jit._pickle.build_intlist",
                                               "torch.jit._pickle.build_doublelist",
                                               "torch.jit._pickle.build_boollist",
                                               "torch.jit._pickle.build_tensorlist",
                                               "_codecs.encode",
                                               "builtins.set",
                                               "__builtin__.set"};
  return std::find(std::begin(names), std::end(names), name) != std::end(names) ||
         is_storage_class(name) || is_type(name) || name.starts_with("__torch__.");
}

}  // namespace

void Pickle::damaged(std::string_view why) const {
  fail(Error::Kind::data, {what_, " holds a pickle that is damaged: ", why});
}

class Pickle::Reader : private ByteCursor<Pickle::Reader> {
 public:
  Reader(Pickle& p, std::string_view bytes, uint64_t most) : ByteCursor(bytes), p_(p), most_(most) {
    none_ = make(Kind::none);
    for (const bool b : {false, true}) {
      truth_[b] = make(Kind::boolean);
      p_.values_.back().integer = b;
    }
    for (Id& v : small_) v = number(static_cast<int64_t>(&v - small_));
    empty_ = list({});
  }

  size_t run() {
    while (step()) {
    }
    return at_;
  }

 private:
  // ---- bytes
  friend class ByteCursor<Pickle::Reader>;
  [[noreturn]] void ends_early() const { p_.damaged("it ends early"); }
  std::string_view line() {
    const size_t end = all_.find('\n', at_);
    if (end == all_.npos) ends_early();
    const auto text = all_.substr(at_, end - at_);
    at_ = end + 1;
    return text;
  }

  // ---- values
  Id make(Kind kind) {
    if (p_.values_.size() >= most_)
      p_.damaged(cat({"it holds more than the ", most_, " values that a file of its size may"}));
    p_.values_.push_back({kind, 0, {0}});
    return static_cast<Id>(p_.values_.size() - 1);
  }
  /// Lists may be copied again and again; together they stay in proportion to the file.
  void charge(uint64_t items) {
    items_ += items;
    if (items_ / 4 > most_ + all_.size()) p_.damaged("its lists repeat each other");
  }
  Id number(int64_t v) {
    const Id id = make(Kind::integer);
    p_.values_[id].integer = v;
    return id;
  }
  Id text(std::string_view s) {
    if (s.size() > UINT32_MAX) p_.damaged("a text is too long");
    const Id id = make(Kind::text);
    p_.values_[id].text = s.data();
    p_.values_[id].length = static_cast<uint32_t>(s.size());
    return id;
  }
  Id list(std::vector<Id> items, Kind kind = Kind::list) {
    const Id id = make(kind);
    charge(items.size());
    p_.values_[id].index = static_cast<uint32_t>(p_.lists_.size());
    p_.lists_.push_back(std::move(items));
    return id;
  }
  std::vector<Id>& items(Id v) { return p_.lists_[p_.values_[v].index]; }

  // ---- the stack
  Id pop() {
    if (stack_.size() <= floor()) p_.damaged("it takes a value that is not there");
    const Id v = stack_.back();
    stack_.pop_back();
    return v;
  }
  Id top() const {
    if (stack_.size() <= floor()) p_.damaged("it takes a value that is not there");
    return stack_.back();
  }
  void push(Id v) {
    if (stack_.size() >= most_) p_.damaged("its stack is too deep");
    stack_.push_back(v);
  }
  size_t floor() const { return marks_.empty() ? 0 : marks_.back(); }
  std::vector<Id> pop_mark() {
    if (marks_.empty()) p_.damaged("a mark is missing");
    std::vector<Id> items(stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back()),
                          stack_.end());
    stack_.resize(marks_.back());
    marks_.pop_back();
    return items;
  }
  Id pop_tuple(int n) {
    std::vector<Id> items(static_cast<size_t>(n));
    while (n > 0) items[static_cast<size_t>(--n)] = pop();
    return list(std::move(items));
  }

  void remember(uint64_t place) {
    if (place > memo_.size() + 16 || place >= most_)
      p_.damaged(cat({"it remembers a value as number ", place}));
    if (place >= memo_.size()) memo_.resize(place + 1, none_);
    memo_[place] = top();
  }
  Id recall(uint64_t place) const {
    if (place >= memo_.size()) p_.damaged(cat({"it recalls value ", place, " before it is known"}));
    return memo_[place];
  }

  void append(Id target, std::span<const Id> more) {
    if (kind(target) == Kind::other) return;
    if (kind(target) != Kind::list || target == empty_)
      p_.damaged("it appends to something that is not a list");
    charge(more.size());
    auto& to = items(target);
    to.insert(to.end(), more.begin(), more.end());
  }
  void set_items(Id target, std::span<const Id> more) {
    if (more.size() % 2) p_.damaged("a dict has a key without a value");
    if (kind(target) == Kind::other) return;
    if (kind(target) != Kind::dict) p_.damaged("it sets items of something that is not a dict");
    charge(more.size());
    auto& to = items(target);
    to.insert(to.end(), more.begin(), more.end());
  }

  // ---- names
  Kind kind(Id v) const { return p_.values_[v].kind; }
  const std::string& global_name(Id v) const { return p_.globals_[p_.values_[v].index]; }

  Id global(std::string_view module, std::string_view name) {
    if (module.size() + name.size() > 1000) p_.damaged("the name of a class is too long");
    std::string full = std::string(module) + "." + std::string(name);
    const auto [at, fresh] = known_.emplace(full, 0);
    if (!fresh) return at->second;
    if (known_.size() > 10'000) p_.damaged("it names more than 10000 classes");
    if (!is_known(full)) p_.unknown_.push_back(full);
    at->second = make(Kind::global);
    p_.values_[at->second].index = static_cast<uint32_t>(p_.globals_.size());
    p_.globals_.push_back(std::move(full));
    return at->second;
  }

  // ---- calls
  Id argument(std::span<const Id> arguments, size_t i) const {
    if (i >= arguments.size()) p_.damaged("a call lacks arguments");
    return arguments[i];
  }
  Shape sizes(Id v) const {
    const auto list = p_.items(v);
    if (list.size() > 32) p_.damaged(cat({"a tensor has ", list.size(), " dimensions"}));
    Shape shape;
    for (const Id d : list) shape.push_back(p_.integer(d));
    return shape;
  }

  Id tensor(std::span<const Id> a, size_t dtype, size_t metadata) {
    const Id storage = argument(a, 0);
    if (kind(storage) != Kind::storage) p_.damaged("a tensor has no storage");
    if (a.size() > metadata && kind(a[metadata]) == Kind::dict && !p_.items(a[metadata]).empty())
      fail(Error::Kind::unsupported,
           {p_.what_, " holds a tensor that is conjugated or negated lazily"});
    Pickle::Tensor t{p_.values_[storage].index,
                     p_.integer(argument(a, 1)),
                     sizes(argument(a, 2)),
                     sizes(argument(a, 3)),
                     {}};
    if (dtype && kind(argument(a, dtype)) == Kind::global) t.dtype = global_name(a[dtype]);
    if (t.dtype.starts_with("torch.")) t.dtype.erase(0, 6);
    const Id id = make(Kind::tensor);
    p_.values_[id].index = static_cast<uint32_t>(p_.tensors_.size());
    p_.tensors_.push_back(std::move(t));
    return id;
  }

  Id apply(Id function, Id arguments, int depth = 0) {
    if (kind(function) != Kind::global) {
      if (kind(function) == Kind::other) return make(Kind::other);
      p_.damaged("it calls something that is not a function");
    }
    const std::string name = global_name(function);
    // No function takes more than eight.
    const auto all = p_.items(arguments);
    const std::vector<Id> a(all.begin(),
                            all.begin() + std::min<std::ptrdiff_t>(8, std::ssize(all)));
    if (name == "collections.OrderedDict" || name == "collections.Counter") {
      std::vector<Id> pairs;
      if (!a.empty() && kind(a[0]) == Kind::dict) pairs = items(a[0]);
      if (!a.empty() && kind(a[0]) == Kind::list) charge(items(a[0]).size());
      if (!a.empty() && kind(a[0]) == Kind::list)
        for (const Id pair : p_.items(a[0])) {
          const auto two = p_.items(pair);
          if (two.size() != 2) p_.damaged("a dict has a key without a value");
          pairs.insert(pairs.end(), two.begin(), two.end());
        }
      return list(std::move(pairs), Kind::dict);
    }
    if (name == "torch._utils._rebuild_tensor") return tensor(a, 0, 4);
    if (name == "torch._utils._rebuild_tensor_v2") return tensor(a, 0, 6);
    if (name == "torch._utils._rebuild_tensor_v3") return tensor(a, 6, 7);
    if (name == "torch._tensor._rebuild_from_type_v2" && depth < 4)
      return apply(argument(a, 0), argument(a, 2), depth + 1);
    if (name == "torch.Size" || name == "torch.device" || name == "_codecs.encode" ||
        name.starts_with("torch._utils._rebuild_parameter") ||
        name.starts_with("torch.jit._pickle.") || name.ends_with(".set"))
      return a.empty() ? empty_ : a[0];
    if (name.starts_with("__torch__.")) return list({}, Kind::object);
    return make(Kind::other);
  }

  void build(Id target, Id state) {
    // The state of a TorchScript module is its attributes; that of others says nothing of values.
    if (kind(target) != Kind::object || kind(state) != Kind::dict) return;
    charge(items(state).size());
    items(target) = items(state);
  }

  /// An object that is kept outside: ('storage', class, key, place, count[, view]) or a number.
  Id persistent(Id id) {
    if (kind(id) == Kind::integer || kind(id) == Kind::text) {
      const Id v = make(Kind::outside);
      p_.values_[v].index = id;
      return v;
    }
    const auto a = p_.items(id);
    const std::string_view what = p_.text(argument(a, 0));
    if (what == "module") return argument(a, 1);
    if (what != "storage") p_.damaged("it refers to an unknown kind of object");
    Storage s;
    if (kind(argument(a, 1)) != Kind::global) p_.damaged("a storage has no type");
    const std::string& full = global_name(a[1]);
    s.type = full.substr(full.rfind('.') + 1);
    s.key = p_.name(argument(a, 2));
    s.count = p_.integer(argument(a, 4));
    if (a.size() > 5 && kind(a[5]) == Kind::list) {
      const auto view = p_.items(a[5]);
      s.from = p_.integer(argument(view, 1));
      s.view = p_.integer(argument(view, 2));
    }
    const Id v = make(Kind::storage);
    p_.values_[v].index = static_cast<uint32_t>(p_.storages_.size());
    p_.storages_.push_back(std::move(s));
    return v;
  }

  // ---- numbers
  Id signed_bytes(uint64_t n) {
    const auto bytes = take(n);
    if (n > 8) return text(bytes);
    int64_t v = n && static_cast<int8_t>(bytes.back()) < 0 ? -1 : 0;
    for (size_t i = bytes.size(); i > 0; --i)
      v = static_cast<int64_t>(static_cast<uint64_t>(v) << 8 | static_cast<uint8_t>(bytes[i - 1]));
    return number(v);
  }
  Id decimal(std::string_view digits) {
    if (digits == "00" || digits == "01") return truth_[digits == "01"];
    if (digits.ends_with('L')) digits.remove_suffix(1);
    int64_t v = 0;
    const auto done = std::from_chars(digits.data(), digits.data() + digits.size(), v);
    if (done.ec != std::errc() || done.ptr != digits.data() + digits.size())
      p_.damaged("it holds a number that is none");
    return number(v);
  }
  Id small(uint8_t v) { return small_[v]; }

  /// One instruction; false after the last.
  bool step() {
    const char op = take(1)[0];
    switch (op) {
      case '\x80':  // PROTO
        if (const auto version = get<uint8_t>(); version > 5)
          fail(Error::Kind::unsupported,
               {p_.what_, " holds a pickle of the unknown protocol ", version});
        return true;
      case '\x95':  // FRAME
        take(8);
        return true;
      case '.':
        p_.root_ = pop();
        return false;
      case '(':
        if (marks_.size() >= most_) p_.damaged("it has too many marks");
        marks_.push_back(stack_.size());
        return true;
      case '0':
        stack_.size() > floor() ? static_cast<void>(pop()) : static_cast<void>(pop_mark());
        return true;
      case '1':
        pop_mark();
        return true;
      case '2':
        push(top());
        return true;
      default:
        return value_step(op) || text_step(op) || container_step(op) || object_step(op) ||
               (p_.damaged(cat({"it has the unknown instruction ",
                                static_cast<int>(static_cast<uint8_t>(op))})),
                true);
    }
  }

  bool value_step(char op) {
    switch (op) {
      case 'N':
        push(none_);
        return true;
      case '\x88':
      case '\x89':
        push(truth_[op == '\x88']);
        return true;
      case 'J':
        push(number(get<int32_t>()));
        return true;
      case 'K':
        push(small(get<uint8_t>()));
        return true;
      case 'M':
        push(number(get<uint16_t>()));
        return true;
      case 'I':
      case 'L':
        push(decimal(line()));
        return true;
      case '\x8a':
        push(signed_bytes(get<uint8_t>()));
        return true;
      case '\x8b':
        push(signed_bytes(get<uint32_t>()));
        return true;
      case 'G': {
        const auto bits = __builtin_bswap64(get<uint64_t>());
        const Id id = make(Kind::real);
        p_.values_[id].real = std::bit_cast<double>(bits);
        push(id);
        return true;
      }
      case 'F':
        line();
        push(make(Kind::real));
        return true;
      default:
        return false;
    }
  }

  bool text_step(char op) {
    switch (op) {
      case 'X':  // BINUNICODE, BINSTRING, BINBYTES
      case 'T':
      case 'B':
        push(text(take(get<uint32_t>())));
        return true;
      case '\x8c':  // the same, short
      case 'U':
      case 'C':
        push(text(take(get<uint8_t>())));
        return true;
      case '\x8d':  // the same, long
      case '\x8e':
      case '\x96':
        push(text(take(get<uint64_t>())));
        return true;
      case 'V':
        push(text(line()));
        return true;
      case 'S': {
        auto quoted = line();
        if (quoted.size() < 2) p_.damaged("a text has no quotes");
        push(text(quoted.substr(1, quoted.size() - 2)));
        return true;
      }
      default:
        return false;
    }
  }

  bool container_step(char op) {
    switch (op) {
      case ')':
        push(empty_);
        return true;
      case ']':
      case '\x8f':  // EMPTY_SET
        push(list({}));
        return true;
      case '}':
        push(list({}, Kind::dict));
        return true;
      case 't':
      case 'l':
      case '\x91': {  // FROZENSET
        auto items = pop_mark();
        push(list(std::move(items)));
        return true;
      }
      case 'd': {
        const auto pairs = pop_mark();
        const Id dict = list({}, Kind::dict);
        set_items(dict, pairs);
        push(dict);
        return true;
      }
      case '\x85':
      case '\x86':
      case '\x87':
        push(pop_tuple(op - '\x84'));
        return true;
      case 'a': {
        const Id one = pop();
        append(top(), {&one, 1});
        return true;
      }
      case 'e':
      case '\x90': {  // ADDITEMS
        const auto more = pop_mark();
        append(top(), more);
        return true;
      }
      case 's': {
        const Id value = pop(), key = pop();
        const Id pair[] = {key, value};
        set_items(top(), pair);
        return true;
      }
      case 'u': {
        const auto pairs = pop_mark();
        set_items(top(), pairs);
        return true;
      }
      default:
        return false;
    }
  }

  bool object_step(char op) {
    switch (op) {
      case 'c': {
        const auto module = line(), name = line();
        push(global(module, name));
        return true;
      }
      case '\x93': {  // STACK_GLOBAL
        const Id name = pop(), module = pop();
        push(global(p_.text(module), p_.text(name)));
        return true;
      }
      case 'R':
      case '\x81': {  // REDUCE, NEWOBJ
        const Id arguments = pop(), function = pop();
        push(apply(function, arguments));
        return true;
      }
      case '\x92': {  // NEWOBJ_EX
        pop();
        const Id arguments = pop(), function = pop();
        push(apply(function, arguments));
        return true;
      }
      case 'i': {  // INST
        const auto module = line(), name = line();
        const Id function = global(module, name);
        push(apply(function, list(pop_mark())));
        return true;
      }
      case 'o': {  // OBJ
        auto all = pop_mark();
        if (all.empty()) p_.damaged("it takes a value that is not there");
        const Id function = all.front();
        all.erase(all.begin());
        push(apply(function, list(std::move(all))));
        return true;
      }
      case 'b': {
        const Id state = pop();
        build(top(), state);
        return true;
      }
      case 'Q':
        push(persistent(pop()));
        return true;
      case 'P':
        push(persistent(text(line())));
        return true;
      case 'p':
        remember(static_cast<uint64_t>(p_.integer(decimal(line()))));
        return true;
      case 'q':
        remember(get<uint8_t>());
        return true;
      case 'r':
        remember(get<uint32_t>());
        return true;
      case '\x94':
        remember(memo_.size());
        return true;
      case 'g':
        push(recall(static_cast<uint64_t>(p_.integer(decimal(line())))));
        return true;
      case 'h':
        push(recall(get<uint8_t>()));
        return true;
      case 'j':
        push(recall(get<uint32_t>()));
        return true;
      default:
        return false;
    }
  }

  Pickle& p_;
  uint64_t most_, items_ = 0;
  std::vector<Id> stack_, memo_;
  std::vector<size_t> marks_;
  std::map<std::string, Id> known_;
  Id none_ = 0, empty_ = 0, truth_[2] = {}, small_[256] = {};
};

Pickle::Pickle(std::string_view& bytes, std::string_view what, uint64_t values) : what_(what) {
  bytes.remove_prefix(Reader(*this, bytes, values).run());
}

int64_t Pickle::integer(Id v) const {
  if (kind(v) != Kind::integer && kind(v) != Kind::boolean)
    damaged("a number stands where none should, or one is missing");
  return values_[v].integer;
}

std::string_view Pickle::text(Id v) const {
  if (kind(v) != Kind::text) damaged("a text is missing");
  return {values_[v].text, values_[v].length};
}

std::span<const Pickle::Id> Pickle::items(Id v) const {
  if (kind(v) != Kind::list && kind(v) != Kind::dict && kind(v) != Kind::object)
    damaged("a list is missing");
  return lists_[values_[v].index];
}

const Pickle::Tensor& Pickle::tensor(Id v) const {
  if (kind(v) != Kind::tensor) damaged("a tensor is missing");
  return tensors_[values_[v].index];
}

std::string Pickle::name(Id v) const {
  if (kind(v) == Kind::outside) return name(values_[v].index);
  if (kind(v) == Kind::global) return globals_[values_[v].index];
  return kind(v) == Kind::integer ? std::to_string(values_[v].integer) : std::string(text(v));
}

}  // namespace nacre
