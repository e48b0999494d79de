// The inner loops of recurrent layers: one step of some units, forward and backward.
//
// The product of the states with w_hh is made in panels: `vectors` vectors of columns side by side,
// packed row after row. Forward a panel holds the gates of one vector of units (plain cells: of
// `vectors` vectors of units), backward it holds `vectors` vectors of units. Units beyond the last
// are padding. What is computed does not depend on how units are shared out.
#pragma once

#include <cstdint>

namespace nacre::cpu {

enum class Cell : uint8_t { tanh, relu, lstm, gru };

constexpr int64_t gates_of(Cell c) { return c == Cell::lstm ? 4 : c == Cell::gru ? 3 : 1; }
/// Vectors of H that the backward pass needs of each step.
constexpr int64_t kept_of(Cell c) { return c == Cell::lstm ? 5 : c == Cell::gru ? 4 : 1; }

struct RecurrenceShape {
  Cell cell = Cell::lstm;
  int64_t batch = 0, hidden = 0;
  int64_t forward_vectors = 0, backward_vectors = 0;  ///< of a panel

  int64_t gates() const { return gates_of(cell) * hidden; }
};

/// Row-major; rows are samples.
template <class T>
struct ForwardStep {
  int64_t t;
  const int64_t* lengths;  ///< null if no sequence ends early
  const T* gates;          ///< the input's share of the gates
  const T *b_ih, *b_hh;    ///< both or neither null
  const T* state;          ///< h before
  T* next;                 ///< h after
  T* c;                    ///< of an LSTM, updated in place
  T* y;
  T* kept;  ///< may be null
};

template <class T>
struct BackwardStep {
  int64_t t;
  const int64_t* lengths;
  const T* sums;    ///< gradient of the products of the step after this one; null if there is none
  T* dh;            ///< on entry what later steps gave without their product with w_hh; on exit too
  T* dc;            ///< of an LSTM, updated in place
  const T* kept;    ///< null: only the product is added to dh
  const T* before;  ///< of an LSTM c, of a GRU h before the step
  int64_t before_row;  ///< elements between its rows
  const T* dy;
  T *dgates, *dsums;  ///< dsums: of a GRU, else null
};

template <class T>
struct RecurrenceLoops {
  /// Elements of a vector.
  int64_t (*lanes)();
  /// Packs panels [from, to) of w_hh.
  void (*pack_forward)(const RecurrenceShape& s, const T* w, int64_t from, int64_t to, T* panels);
  void (*pack_backward)(const RecurrenceShape& s, const T* w, int64_t from, int64_t to, T* panels);
  /// One step of the units of panels [from, to).
  void (*forward)(const RecurrenceShape& s, const ForwardStep<T>& step, const T* panels,
                  int64_t from, int64_t to);
  void (*backward)(const RecurrenceShape& s, const BackwardStep<T>& step, const T* panels,
                   int64_t from, int64_t to);
};

/// T is float or double.
template <class T>
const RecurrenceLoops<T>& recurrence_loops();

}  // namespace nacre::cpu
