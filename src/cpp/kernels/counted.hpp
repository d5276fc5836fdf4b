// The ranks of a row's relevant items, counted while the scores of all items pass by in blocks. CPU only.
#pragma once
#include <bit>

#include "best.hpp"
#include "ranking.hpp"
#include "simd.hpp"

namespace pyrec::cpu {

// A relevant item. Ahead of it are items that score >= `before` and have a smaller id, or that score >= `after`.
template <class T> struct Probe {
    T before, after;
    Id id;
    Id count;  // items found ahead of it; among many probes, those found ahead of it but not of the probe before
    Id entry;  // which of the row's relevant items it is
};

// Ascending ids that are met in ascending order.
struct Walk {
    const Id *at = nullptr, *end = nullptr;
    bool has(Id id) {
        while (at < end && *at < id) ++at;
        return at < end && *at == id;
    }
};

inline constexpr Index kBlock = 256;  // scores offered at a time, at most
// From here on each score is searched among the probes. Fewer are each compared with all scores.
inline constexpr Index kManyProbes = 160;

template <class T> class CountedRow {
  public:
    // scores: of the relevant items of the row. probes: room for 2 (number of them + 1).
    void start(Probe<T>* probes, const T* scores, const Sought& sought, Index row) {
        relevant_ = {sought.relevant.begin(row), sought.relevant.end(row)};
        excluded_ = {sought.excluded.begin(row), sought.excluded.end(row)};
        n_relevant_ = relevant_.end - relevant_.at, n_excluded_ = excluded_.end - excluded_.at;
        depth_ = sought.depth, nans_ = other_nans_ = 0;
        const bool before = sought.ties != Ties::standard;
        const bool after = sought.ties == Ties::conservative || sought.ties == Ties::median;
        side_[0] = {probes, before, after};
        side_[1] = {probes + n_relevant_ + 1, false, false};
        sides_ = sought.ties == Ties::median ? 2 : 1;

        found_ = 0;
        Walk excluded = excluded_;
        for (const Id* i = relevant_.at; i < relevant_.end; ++i)
            if (const auto e = static_cast<Id>(i - relevant_.at); !excluded.has(*i))
                probes[found_++] = {scores[e], scores[e], *i, 0, e};
        std::sort(probes, probes + found_, [](const Probe<T>& a, const Probe<T>& b) {
            return better(Scored<T>{a.before, a.id}, Scored<T>{b.before, b.id});
        });
        numbers_ = found_;
        while (numbers_ > 0 && std::isnan(probes[numbers_ - 1].before)) --numbers_;
        live_ = std::min(numbers_, depth_);
        many_ = live_ >= kManyProbes;
        if (sides_ == 2) std::copy_n(probes, found_, side_[1].probes);
        for (int s = 0; s < sides_; ++s) {
            for (Index j = 0; j < live_; ++j) {
                Probe<T>& p = side_[s].probes[j];
                if (!side_[s].before) p.before = just_above(p.before);
                if (!side_[s].after) p.after = just_above(p.after);
            }
        }
    }

    // Whether further scores change nothing.
    bool done() const { return live_ == 0 && (numbers_ > 0 || found_ == 0); }

    // Scores of `count` items from id `first` on, in ascending order of id. x has room for whole vectors and is
    // changed.
    void offer(T* x, Index count, Id first) {
        int nan = 0;
        for (Index l = 0; l < count; ++l) nan |= x[l] != x[l];
        if (nan) [[unlikely]]
            meet_nans(x, count, first);
        hide(excluded_, x, count, first);
        hide(relevant_, x, count, first);
        for (int s = 0; s < sides_; ++s) {
            if (many_)
                search_each(side_[s].probes, x, count, first);
            else
                compare_all(side_[s], x, count, first);
        }
        if (!many_)
            while (live_ > 0 && rank(live_ - 1) > static_cast<double>(depth_)) --live_;
    }

    // Writes the ranks of the row's relevant items, returns the number of NaN met. I: how many items there are.
    Index finish(double* ranks, Index I) {
        std::fill(ranks, ranks + n_relevant_, std::numeric_limits<double>::infinity());
        for (int s = 0; s < sides_ && many_; ++s)
            for (Index j = 1; j < live_; ++j) side_[s].probes[j].count += side_[s].probes[j - 1].count;
        for (Index j = 0; j < live_; ++j) write(ranks, j, rank(j));
        const auto numbers = static_cast<double>(I - n_excluded_ - found_ - other_nans_);
        for (Index j = numbers_; j < found_; ++j) write(ranks, j, rank(j) + numbers);
        return nans_;
    }

  private:
    // The probes in order of rank, and whether an equal score is ahead: of a smaller id, of a larger one.
    struct Side {
        Probe<T>* probes;
        bool before, after;
    };

    // The bar that exactly the scores > x reach. Nothing reaches NaN.
    static T just_above(T x) {
        constexpr T infinity = std::numeric_limits<T>::infinity();
        return x == infinity ? std::numeric_limits<T>::quiet_NaN() : std::nextafter(x, infinity);
    }

    double rank(Index j) const {
        Index count = side_[0].probes[j].count;
        if (sides_ == 1) return static_cast<double>(j + 1 + count);
        return static_cast<double>(j + 1) + 0.5 * static_cast<double>(count + side_[1].probes[j].count);
    }

    void write(double* ranks, Index j, double value) const {
        if (value <= static_cast<double>(depth_)) ranks[side_[0].probes[j].entry] = value;
    }

    // What is not ranked, and the relevant items, are ahead of nothing.
    static void hide(Walk& walk, T* x, Index count, Id first) {
        for (; walk.at < walk.end && *walk.at - first < count; ++walk.at)
            x[*walk.at - first] = std::numeric_limits<T>::quiet_NaN();
    }

    void meet_nans(const T* x, Index count, Id first) {
        Walk excluded = excluded_, relevant = relevant_;
        for (Index l = 0; l < count; ++l) {
            const Id id = first + static_cast<Id>(l);
            if (!std::isnan(x[l]) || excluded.has(id)) continue;
            ++nans_;
            if (relevant.has(id)) continue;
            ++other_nans_;
            for (int s = 0; s < sides_; ++s) {
                const Side& side = side_[s];
                for (Index j = numbers_; j < found_; ++j)
                    side.probes[j].count += id < side.probes[j].id ? side.before : side.after;
            }
        }
    }

    // Four probes share the loads. From the lowest bar up: what beats none of them beats none before them.
    void compare_all(const Side& side, T* x, Index count, Id first) {
        constexpr Index lanes = kLanes<T>, together = 4;
        const Index padded = ceil_div(count, lanes) * lanes;
        std::fill(x + count, x + padded, std::numeric_limits<T>::quiet_NaN());
        Index j = live_;
        bool any = true;
        for (; j >= together && any; j -= together)
            any = compare<together>(side, side.probes + j - together, x, count, padded, first);
        for (; j > 0 && any; --j) any = compare<1>(side, side.probes + j - 1, x, count, padded, first);
    }

    template <int N>
    static bool compare(const Side& side, Probe<T>* probes, const T* x, Index count, Index padded, Id first) {
        using Mask = decltype(Vec<T>{} >= Vec<T>{});
        Vec<T> bar[N];
        Mask reached[N] = {};
        for (int p = 0; p < N; ++p) bar[p] = Vec<T>{} + (probes[p].id < first ? probes[p].after : probes[p].before);
        for (Index l = 0; l < padded; l += kLanes<T>) {
            const Vec<T> v = load(x + l);
            for (int p = 0; p < N; ++p) reached[p] += v >= bar[p];  // -1 where true
        }
        Id n = 0;
        for (int p = 0; p < N; ++p) {
            n = 0;
            for (int l = 0; l < kLanes<T>; ++l) n -= static_cast<Id>(reached[p][l]);
            probes[p].count += n;
            if (n > 0 && side.before != side.after && probes[p].id >= first)  // items past its own id met the wrong bar
                for (Index l = probes[p].id - first; l < count; ++l)
                    probes[p].count -= x[l] >= probes[p].before && !(x[l] >= probes[p].after);
        }
        return n > 0;
    }

    void search_each(Probe<T>* probes, const T* x, Index count, Id first) {
        const auto top = static_cast<Index>(std::bit_floor(static_cast<std::uint64_t>(live_)));
        for (Index l = 0; l < count; ++l) {
            const Id id = first + static_cast<Id>(l);
            Index behind = 0;  // probes that it is not ahead of: the first ones
            for (Index step = top; step > 0; step /= 2) {
                const Index next = behind + step;
                const Probe<T>& p = probes[std::min(next, live_) - 1];
                behind = next <= live_ && !(x[l] >= (id < p.id ? p.before : p.after)) ? next : behind;
            }
            probes[behind].count += behind < live_;  // in any case a probe: there is room for one more
        }
    }

    Walk relevant_, excluded_;
    Side side_[2];
    int sides_;
    bool many_;
    Index n_relevant_, n_excluded_, depth_, found_, numbers_, live_, nans_, other_nans_;
};

// Consecutive rows and their probes.
template <class T> class CountedRows {
  public:
    CountedRows(Index first, Index rows, const Sought& sought)
        : first_(first), sought_(sought), rows_(rows), probes_(2 * (offset(first + rows) - offset(first) + rows)) {}

    CountedRow<T>& operator[](Index r) { return rows_[r]; }

    // scores_of(scores, row, ids, count) gives the scores of a row's relevant items.
    template <class F> void start(Index r, F scores_of) {
        const Index row = first_ + r, count = offset(row + 1) - offset(row);
        Scratch<T> scores(count);
        if (count > 0) scores_of(scores.data(), row, sought_.relevant.begin(row), count);
        rows_[r].start(&probes_[2 * (offset(row) - offset(first_) + r)], scores.data(), sought_, row);
    }

    Index finish(Index r, double* ranks, Index I) { return rows_[r].finish(ranks + offset(first_ + r), I); }

  private:
    Index offset(Index row) const { return sought_.relevant.indptr[row]; }

    Index first_;
    const Sought& sought_;
    Scratch<CountedRow<T>> rows_;
    Scratch<Probe<T>> probes_;
};

}  // namespace pyrec::cpu
