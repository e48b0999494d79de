#include <algorithm>
#include <map>

#include "ops/op.h"

namespace nacre {
namespace {

struct EinsumAttrs {
  std::string equation;
  void fields(FieldVisitor& v) { v("equation", equation); }
};

constexpr char kDots = 0;  // the labels of "..." come before all letters, as kDots + position

/// One label for each dimension of each operand and of the result. Letters stand for themselves,
/// dimensions under "..." for negative numbers, counted from the last (-1).
struct Labels {
  std::vector<std::vector<int>> in;
  std::vector<int> out;
};

[[noreturn]] void bad(const std::string& equation, std::initializer_list<Piece> why) {
  fail(Error::Kind::shape, {"[einsum] '", equation, "': ", cat(why), where()});
}

/// Reads "ij", "...ij"; dots is how many dimensions "..." stands for, counted if -1.
std::vector<int> read_labels(const std::string& equation, const std::string& part, int64_t rank,
                             int64_t& dots, bool& has_dots) {
  std::vector<int> labels;
  const size_t at = part.find("...");
  has_dots = at != std::string::npos;
  const auto letters = static_cast<int64_t>(part.size()) - (has_dots ? 3 : 0);
  if (dots < 0) {
    dots = has_dots ? rank - letters : 0;
    if (dots < 0 || (!has_dots && letters != rank))
      bad(equation, {"'", part, "' names ", letters, " dimensions, the operand has ", rank});
  }
  for (size_t i = 0; i < part.size(); ++i) {
    if (i == at) {
      for (int64_t d = dots; d > 0; --d) labels.push_back(static_cast<int>(-d));
      i += 2;
    } else if (std::isalpha(static_cast<unsigned char>(part[i]))) {
      labels.push_back(part[i]);
    } else {
      bad(equation, {"unexpected '", std::string(1, part[i]), "'"});
    }
  }
  return labels;
}

Labels parse(const std::string& equation, const std::vector<int64_t>& ranks) {
  std::string text;
  for (char c : equation)
    if (c != ' ') text += c;
  const size_t arrow = text.find("->");
  const std::string left = text.substr(0, arrow);
  std::vector<std::string> parts(1);
  for (char c : left)
    if (c == ',')
      parts.emplace_back();
    else
      parts.back() += c;
  if (parts.size() != ranks.size())
    bad(equation, {parts.size(), " operands named, ", ranks.size(), " given"});
  Labels labels;
  int64_t most_dots = 0;
  bool any_dots = false, has_dots = false;
  std::map<int, int> count;
  for (size_t k = 0; k < parts.size(); ++k) {
    int64_t dots = -1;
    labels.in.push_back(read_labels(equation, parts[k], ranks[k], dots, has_dots));
    most_dots = std::max(most_dots, dots);
    any_dots = any_dots || has_dots;
    for (int l : labels.in.back()) ++count[l];
  }
  if (arrow == std::string::npos) {  // "..." and then all letters that occur once, in order
    for (int64_t d = most_dots; d > 0; --d) labels.out.push_back(static_cast<int>(-d));
    for (const auto& [label, times] : count)
      if (label > kDots && times == 1) labels.out.push_back(label);
    return labels;
  }
  const std::string right = text.substr(arrow + 2);
  labels.out = read_labels(equation, right, 0, most_dots, has_dots);
  if (has_dots && !any_dots) bad(equation, {"the result has '...', no operand has"});
  for (int l : labels.out) {
    if (!count.count(l))
      bad(equation,
          {"no operand has '", std::string(1, static_cast<char>(l)), "', the result does"});
    if (std::count(labels.out.begin(), labels.out.end(), l) > 1)
      bad(equation, {"the result has '", std::string(1, static_cast<char>(l)), "' twice"});
  }
  return labels;
}

std::string name(int label) { return label < 0 ? "..." : std::string(1, static_cast<char>(label)); }

/// A tensor whose dimensions carry different labels.
struct Term {
  Tensor t;
  std::vector<int> labels;
  int64_t find(int label) const {
    const auto at = std::find(labels.begin(), labels.end(), label);
    return at == labels.end() ? -1 : at - labels.begin();
  }
};

/// Takes diagonals where a label repeats, and sums over labels that nobody else wants.
Term simplified(Term x, const std::vector<int>& wanted) {
  for (size_t i = 0; i < x.labels.size(); ++i)
    for (size_t j = i + 1; j < x.labels.size(); ++j)
      if (x.labels[i] == x.labels[j]) {
        const int label = x.labels[i];
        x.t = diagonal(x.t, 0, static_cast<int64_t>(i), static_cast<int64_t>(j));
        x.labels.erase(x.labels.begin() + static_cast<std::ptrdiff_t>(j));
        x.labels.erase(x.labels.begin() + static_cast<std::ptrdiff_t>(i));
        x.labels.push_back(label);
        return simplified(std::move(x), wanted);
      }
  Ints gone;
  std::vector<int> kept;
  for (size_t i = 0; i < x.labels.size(); ++i)
    if (std::find(wanted.begin(), wanted.end(), x.labels[i]) == wanted.end())
      gone.push_back(static_cast<int64_t>(i));
    else
      kept.push_back(x.labels[i]);
  if (gone.empty()) return x;
  return {sum(x.t, gone), kept};
}

/// The dimensions with these labels in this order, merged into one.
struct Group {
  std::vector<int> labels;
  Shape shape;
};

Tensor arranged(const Term& x, const Group& batch, const Group& first, const Group& second) {
  Ints dims;
  Shape out;
  for (int label : batch.labels) dims.push_back(x.find(label));
  for (const Group* g : {&first, &second})
    for (int label : g->labels) dims.push_back(x.find(label));
  for (int64_t n : batch.shape) out.push_back(n);
  out.push_back(first.shape.numel());
  out.push_back(second.shape.numel());
  return reshape(permute(x.t, dims), out);
}

/// The product of two terms, summed over their common labels that nobody else wants.
Term contracted(Term a, Term b, const std::vector<int>& wanted) {
  Group batch, batch_b, rows, columns, inner;
  const auto is_wanted = [&](int l) {
    return std::find(wanted.begin(), wanted.end(), l) != wanted.end();
  };
  // A dimension of size 1 that the other operand has larger is broadcast, so it is no sum.
  for (size_t i = 0; i < a.labels.size(); ++i) {
    const int label = a.labels[i];
    const int64_t n = a.t.size(static_cast<int64_t>(i)), at = b.find(label);
    Group& g = at < 0 ? rows : is_wanted(label) ? batch : inner;
    g.labels.push_back(label);
    g.shape.push_back(n);
    if (&g == &batch) {
      batch_b.labels.push_back(label);
      batch_b.shape.push_back(b.t.size(at));
    }
    if (&g == &inner && n != b.t.size(at)) {
      const int64_t size = std::max(n, b.t.size(at));
      for (Term* x : {&a, &b}) {
        Shape s = x->t.shape();
        s[x->find(label)] = size;
        x->t = expand(x->t, s);
      }
      g.shape[-1] = size;
    }
  }
  for (size_t j = 0; j < b.labels.size(); ++j)
    if (a.find(b.labels[j]) < 0) {
      columns.labels.push_back(b.labels[j]);
      columns.shape.push_back(b.t.size(static_cast<int64_t>(j)));
    }
  const Tensor y =
      inner.labels.empty() && columns.labels.empty() && rows.labels.empty()
          ? arranged(a, batch, rows, inner) * arranged(b, batch_b, inner, columns)
          : matmul(arranged(a, batch, rows, inner), arranged(b, batch_b, inner, columns));
  Shape shape = y.shape().slice(0, y.rank() - 2);
  Term out{y, batch.labels};
  for (const Group* g : {&rows, &columns})
    for (size_t i = 0; i < g->labels.size(); ++i) {
      out.labels.push_back(g->labels[i]);
      shape.push_back(g->shape[static_cast<int64_t>(i)]);
    }
  out.t = reshape(y, shape);
  return out;
}

std::vector<int64_t> ranks_of(const Tensors& in) {
  std::vector<int64_t> ranks;
  for (const Tensor& t : in) ranks.push_back(t.rank());
  return ranks;
}

}  // namespace

/// Sums of products in Einstein's notation: "ij,jk->ik" is a matrix product, "bii->b" a batch of
/// traces, "...ij->...ji" a transposition. Labels are letters; a label that the result lacks is
/// summed over; "..." stands for leading dimensions that broadcast; without "->" the result has the
/// labels that occur once, in alphabetical order. Operands are multiplied from left to right.
/// xs: one or more, one type.
API(Tensor einsum(const std::string& equation, Ins xs))

OP(einsum) = {
    .name = "einsum",
    .kind = OpKind::composite,
    .attrs = attr_type<EinsumAttrs>(),
    .infer =
        [](Infer& in) {
          const std::string& equation = in.attrs<EinsumAttrs>().equation;
          in.check(in.inputs() > 0, {"no operands"});
          in.check_same_dtype();
          std::vector<int64_t> ranks;
          for (size_t k = 0; k < in.inputs(); ++k) ranks.push_back(in.rank(k));
          const Labels labels = parse(equation, ranks);
          std::map<int, int64_t> size;
          for (size_t k = 0; k < in.inputs(); ++k)
            for (size_t d = 0; d < labels.in[k].size(); ++d) {
              const int64_t n = in.shape(k)[static_cast<int64_t>(d)];
              const auto [at, fresh] = size.emplace(labels.in[k][d], n);
              if (fresh || at->second == n) continue;
              // Only "..." broadcasts.
              in.check(labels.in[k][d] < 0 && (at->second == 1 || n == 1),
                       {"'", equation, "': '", name(labels.in[k][d]), "' has size ", n,
                        " in operand ", k, ", ", at->second, " before"});
              if (at->second == 1) at->second = n;
            }
          Shape out;
          for (int l : labels.out) out.push_back(size.at(l));
          in.out(in.dtype(0), out);
        },
    .decompose =
        [](const void* attrs, const Tensors& in) {
          const std::string& equation = static_cast<const EinsumAttrs*>(attrs)->equation;
          const Labels labels = parse(equation, ranks_of(in));
          std::vector<int> wanted;
          const auto want_from = [&](size_t first) {
            wanted = labels.out;
            for (size_t k = first; k < in.size(); ++k)
              wanted.insert(wanted.end(), labels.in[k].begin(), labels.in[k].end());
          };
          want_from(1);
          Term x = simplified({in[0], labels.in[0]}, wanted);
          for (size_t k = 1; k < in.size(); ++k) {
            want_from(k + 1);
            std::vector<int> either = wanted;
            either.insert(either.end(), x.labels.begin(), x.labels.end());
            const Term y = simplified({in[k], labels.in[k]}, either);
            x = contracted(std::move(x), y, wanted);
            x = simplified(std::move(x), wanted);
          }
          Ints dims;
          for (int l : labels.out) dims.push_back(x.find(l));
          return Tensors{permute(x.t, dims)};
        },
    .onnx = "Einsum",
    .samples =
        [](Samples& s) {
          const auto add = [&s](const char* equation, std::vector<SampleInput> in) {
            std::string args;
            for (size_t k = 0; k < in.size(); ++k) args += cat({", {", k, "}"});
            s.add(
                std::move(in),
                [equation](const Tensors& x) { return Tensors{einsum(equation, x)}; },
                cat({"torch.einsum('", equation, "'", args, ")"}));
          };
          add("ij,jk->ik", {s.uniform({3, 4}), s.uniform({4, 2})});
          add("bij, bkj -> bki", {s.uniform({2, 3, 4}), s.uniform({2, 5, 4})});
          add("ii", {s.uniform({3, 3})});
          add("bii->ib", {s.uniform({2, 3, 3})});
          add("i,j", {s.uniform({3}), s.uniform({2})});
          add("ij,ij->ij", {s.uniform({2, 3}), s.uniform({2, 3})});
          add("ij->", {s.uniform({2, 3})});
          add("ba", {s.uniform({2, 3})});
          add("...ij,...jk->...ik", {s.uniform({2, 1, 3, 4}), s.uniform({5, 4, 2})});
          add("...i->i...", {s.uniform({2, 3, 4})});
          add("ij,jk,kl->il", {s.uniform({2, 3}), s.uniform({3, 4}), s.uniform({4, 2})});
          add("iij,jk,k->", {s.uniform({2, 2, 3}), s.uniform({3, 4}), s.uniform({4})});
          add("i...,i...->...", {s.uniform({3, 2, 1}), s.uniform({3, 4})});
          add("i,->i", {s.uniform({3}), s.uniform({})});
          add("ij,jk->ik", {s.integers({2, 0}, 0, 9), s.integers({0, 3}, 0, 9)});
          const auto bad = [&s](const char* equation, std::vector<SampleInput> in,
                                const char* text) {
            s.bad(
                std::move(in),
                [equation](const Tensors& x) { return Tensors{einsum(equation, x)}; }, text);
          };
          bad("ij,jk->ik", {s.uniform({3, 4}), s.uniform({3, 2})},
              "'j' has size 3 in operand 1, 4 before");
          bad("ij->ik", {s.uniform({3, 4})}, "no operand has 'k'");
          bad("ijk->ik", {s.uniform({3, 4})}, "names 3 dimensions, the operand has 2");
          bad("ij,jk->ik", {s.uniform({3, 4})}, "2 operands named, 1 given");
          bad("ij->ii", {s.uniform({3, 4})}, "the result has 'i' twice");
          bad("i1->i", {s.uniform({3, 4})}, "unexpected '1'");
          bad("ij->...i", {s.uniform({3, 4})}, "no operand has");
          bad("", {}, "no operands");
        },
};

Tensor einsum(const std::string& equation, Ins xs) {
  Tensors all = xs;
  for (Tensor& x : all) x = unify(all[0], x).second;
  return make(op_einsum, box(EinsumAttrs{equation}), all);
}

}  // namespace nacre
