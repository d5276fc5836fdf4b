// Walking over packed sequences, forward and back, and what the steps of all recurrent cells share. CPU only.
#pragma once
#include <chrono>

#include "linalg.hpp"
#include "recurrent.hpp"

namespace pyrec::cpu {

// One step: its number, its first row and that of the step before, and how many rows it has.
struct Step {
    Index t, at, before, rows;
};

// Lets the user stop a call between two steps, which are too short for their own loops to ask.
class StopWatch {
  public:
    explicit StopWatch(const Exec& ex) : ex_(ex) {}
    void look() {
        if (!ex_.stop || Clock::now() - asked_ < std::chrono::milliseconds(50)) return;
        if (ex_.stop()) throw Interrupted{};
        asked_ = Clock::now();
    }

  private:
    using Clock = std::chrono::steady_clock;
    const Exec& ex_;
    Clock::time_point asked_ = Clock::now();
};

template <class F> void each_step(const Exec& ex, const Steps& steps, F f) {
    StopWatch watch(ex);
    for (Index t = 0, at = 0, before = 0; t < steps.count; before = at, at += steps.rows[t++]) {
        f(Step{t, at, before, steps.rows[t]});
        watch.look();
    }
}

template <class F> void each_step_back(const Exec& ex, const Steps& steps, F f) {
    StopWatch watch(ex);
    for (Index t = steps.count - 1, end = steps.total(); t >= 0; end -= steps.rows[t--]) {
        const Index at = end - steps.rows[t];
        f(Step{t, at, t ? at - steps.rows[t - 1] : 0, steps.rows[t]});
        watch.look();
    }
}

// The states before a step.
template <class T> const T* previous(const Step& s, const T* initial, const T* states, Index d) {
    return s.t == 0 ? initial : states + s.before * d;
}

// The states before all steps, end to end.
template <class T> class Previous {
  public:
    Previous(const Exec& ex, const T* initial, const T* states, const Steps& steps, Index d)
        : copy_(steps.count > 1 ? steps.total() * d : 0), rows_(steps.count > 1 ? copy_.data() : initial) {
        if (steps.count > 1) {
            each_step(ex, steps, [&](const Step& s) {
                std::copy_n(previous(s, initial, states, d), s.rows * d, copy_.data() + s.at * d);
            });
        }
    }
    const T* rows() const { return rows_; }

  private:
    Scratch<T> copy_;
    const T* rows_;
};

// The gradient that flows from a step to the one before: `given` (B,d), or scratch where it is null. Begins with zeros,
// which remain in the rows of sequences that are over.
template <class T> class Carry {
  public:
    Carry(T* given, const Steps& steps, Index d)
        : own_(given ? 0 : steps.lanes() * d), data_(given ? given : own_.data()) {
        std::fill_n(data_, steps.lanes() * d, T(0));
    }
    T* data() { return data_; }

  private:
    Scratch<T> own_;
    T* data_;
};

// Whether the gradient flows on from step t to the state before it.
template <class T> bool flows(Index t, const Steps& steps, const T* d_h0) {
    return t == 0 ? d_h0 != nullptr : steps.bptt == 0 || t % steps.bptt != 0;
}

// c (M,N) = a b + beta c, by one thread where others would take longer to wake than to help.
template <class T>
void product(const Exec& ex, T* c, Index ldc, const Operand<T>& a, const Operand<T>& b, Index M, Index N, Index K,
             T beta) {
    Exec few = ex;
    if (M * N * K < Index{1} << 21) few.threads = 1;
    gemm(few, c, ldc, a, b, M, N, K, T(1), beta);
}

// The transpose of u (d,N). Of many steps each would pack it anew, and across its rows that takes as long as the
// product of a dozen rows: it is then copied once.
template <class T> class Transposed {
  public:
    Transposed(const Exec& ex, const T* u, const Steps& steps, Index d, Index N)
        : u_(u), d_(d), N_(N), copies_(steps.count > 1), copy_(copies_ ? d * N : 0) {
        if (!copies_) return;
        parallel_for(ex, N, 64, [=, to = copy_.data()](Index j) {
            for (Index i = 0; i < d; ++i) to[j * d + i] = u[i * N + j];
        });
    }
    // Of the columns of u from `first` on.
    Operand<T> columns(Index first) {
        if (copies_) return {copy_.data() + first * d_, d_, Op::none};
        return {u_ + first, N_, Op::transpose};
    }

  private:
    const T* u_;
    Index d_, N_;
    bool copies_;
    Scratch<T> copy_;
};

// d_u (d,N), in rows of `stride` = states^T d_a over all n rows.
template <class T>
void product_of_rows(const Exec& ex, T* d_u, const T* states, const T* d_a, Index stride, Index d, Index N, Index n) {
    product(ex, d_u, stride, {states, d, Op::transpose}, {d_a, stride, Op::none}, d, N, n, T(0));
}

// f(row) for the rows of a step, which have `width` numbers that go through a function.
template <class F> void each_row(const Exec& ex, Index rows, Index width, F f) {
    parallel_for(ex, rows, std::max<Index>(1, 16384 / std::max<Index>(width, 1)), f);
}

}  // namespace pyrec::cpu
