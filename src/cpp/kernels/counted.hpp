// The ranks of a row's relevant items, counted while the scores of all items pass by. CPU only.
#pragma once
#include <bit>

#include "best.hpp"
#include "compare.hpp"
#include "ranking.hpp"

namespace pyrec::cpu {

// A relevant item. Ahead of it are the items of smaller id that score >= bar[0], and those of larger id >= bar[1].
template <class T> struct Probe {
    T bar[2];
    Id id;
    Id count;  // items found ahead of it; among many probes, those found ahead of it but not of the probe before
    Id entry;  // which of the row's relevant items it is

    bool is_behind(T score, Id other) const { return score >= bar[other > id]; }
};

// Ascending ids that are met in ascending order.
struct Walk {
    const Id *at = nullptr, *end = nullptr;

    bool has(Id id) {
        while (at < end && *at < id) ++at;
        return at < end && *at == id;
    }

    // Makes the scores of these ids NaN, which is ahead of nothing. x: scores of the ids from `first` on.
    template <class T> void hide(T* x, Index count, Id first) {
        for (; at < end && *at - first < count; ++at)
            if (*at >= first) x[*at - first] = std::numeric_limits<T>::quiet_NaN();
    }
};

template <class T> class CountedRow {
  public:
    // scores: of the relevant items of the row, kept and sorted. probes: room for 2 (number of them + 1).
    void start(Probe<T>* probes, T* scores, const Sought& sought, Index row) {
        relevant_ = {sought.relevant.begin(row), sought.relevant.end(row)};
        excluded_ = {sought.excluded.begin(row), sought.excluded.end(row)};
        n_relevant_ = relevant_.end - relevant_.at, n_excluded_ = excluded_.end - excluded_.at;
        depth_ = sought.depth, nans_ = other_nans_ = found_ = 0;
        const bool smaller = sought.ties != Ties::standard;
        const bool larger = sought.ties == Ties::conservative || sought.ties == Ties::median;
        sides_ = sought.ties == Ties::median ? 2 : 1;
        side_[0] = {probes, {smaller, larger}};
        side_[1] = {probes + n_relevant_ + 1, {false, false}};

        Walk excluded = excluded_;
        for (Id e = 0; e < n_relevant_; ++e)
            if (const Id id = relevant_.at[e]; !excluded.has(id)) probes[found_++] = {{scores[e], scores[e]}, id, 0, e};
        std::sort(probes, probes + found_, [](const Probe<T>& a, const Probe<T>& b) {
            return better(Scored<T>{a.bar[0], a.id}, Scored<T>{b.bar[0], b.id});
        });
        for (Index j = 0; j < found_; ++j) scores[j] = probes[j].bar[0];
        scores_ = scores, numbers_ = found_;
        while (numbers_ > 0 && std::isnan(scores[numbers_ - 1])) --numbers_;
        live_ = std::min(numbers_, depth_);
        many_ = live_ >= kManyProbes;
        if (sides_ == 2) std::copy_n(probes, found_, side_[1].probes);
        for (int s = 0; s < sides_; ++s)
            for (Index j = 0; j < live_; ++j)
                for (int larger_id = 0; larger_id < 2; ++larger_id)
                    if (T& bar = side_[s].probes[j].bar[larger_id]; !side_[s].wins[larger_id]) bar = just_above(bar);
        set_lowest();
    }

    // Whether further scores change nothing.
    bool done() const { return live_ == 0 && (numbers_ > 0 || found_ == 0); }

    // Scores of `count` items from id `first` on; items in ascending order of id.
    void offer(const T* x, Index count, Id first) {
        for (; count > 0 && !done(); x += kStep, first += static_cast<Id>(kStep), count -= kStep) {
            if (count < kStep) {
                for (Index l = 0; l < count; ++l) count_one(x[l], first + static_cast<Id>(l));
                break;
            }
            std::uint64_t bits = bits_not_below(x, lowest_);
            if (bits == 0) continue;
            if (many_ || std::popcount(bits) <= kFewScores) {
                for (; bits; bits &= bits - 1)
                    count_one(x[std::countr_zero(bits)], first + static_cast<Id>(std::countr_zero(bits)));
            } else {
                count_all(x, first);
            }
            drop();
        }
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
    // From so many probes on each score is searched among them; fewer are compared with the scores.
    static constexpr Index kManyProbes = 320;
    // Up to so many scores out of a step are looked at one by one.
    static constexpr int kFewScores = 6;

    // The probes in order of rank: first those with numbers for scores, of which some are live, then those with NaN.
    // And whether an equal score is ahead of them: of smaller id, of larger id.
    struct Side {
        Probe<T>* probes;
        bool wins[2];
    };

    // The bar that exactly the scores > x reach. Nothing reaches NaN.
    static T just_above(T x) {
        constexpr T infinity = std::numeric_limits<T>::infinity();
        return x == infinity ? std::numeric_limits<T>::quiet_NaN() : std::nextafter(x, infinity);
    }

    // Scores that are <= lowest_ are numbers and ahead of no live probe.
    void set_lowest() {
        constexpr T infinity = std::numeric_limits<T>::infinity();
        const T bar = live_ > 0 ? side_[0].probes[live_ - 1].bar[0] : std::numeric_limits<T>::quiet_NaN();
        if (std::isnan(bar))
            lowest_ = infinity;
        else
            lowest_ = bar == -infinity ? std::numeric_limits<T>::quiet_NaN() : std::nextafter(bar, -infinity);
    }

    double rank(Index j) const {
        const Index count = side_[0].probes[j].count;
        if (sides_ == 1) return static_cast<double>(j + 1 + count);
        return static_cast<double>(j + 1) + 0.5 * static_cast<double>(count + side_[1].probes[j].count);
    }

    void write(double* ranks, Index j, double value) const {
        if (value <= static_cast<double>(depth_)) ranks[side_[0].probes[j].entry] = value;
    }

    // Forgets probes that are known to be too deep.
    void drop() {
        const Index before = live_;
        while (!many_ && live_ > 0 && rank(live_ - 1) > static_cast<double>(depth_)) --live_;
        if (live_ < before) set_lowest();
    }

    void count_one(T score, Id id) {
        if (excluded_.has(id)) return;
        const bool nan = std::isnan(score);
        nans_ += nan;
        if (relevant_.has(id)) return;
        other_nans_ += nan;
        for (int s = 0; s < sides_; ++s) {
            const Side& side = side_[s];
            if (nan)
                for (Index j = numbers_; j < found_; ++j) side.probes[j].count += side.wins[id > side.probes[j].id];
            else if (!many_)
                for (Index j = live_; j > 0 && side.probes[j - 1].is_behind(score, id); --j) ++side.probes[j - 1].count;
        }
        if (many_ && !nan) search(score, id);
    }

    // Counts at the first probe that the item is ahead of. As many steps for every score, and no branch on it but a
    // tie.
    void search(T score, Id id) {
        Index first = 0;  // that it reaches the score of
        for (Index left = live_; left > 0;) {
            const Index half = (left + 1) / 2;
            first += score >= scores_[first + half - 1] ? 0 : half;
            left -= half;
        }
        const bool tie = first < live_ && scores_[first] == score;
        for (int s = 0; s < sides_; ++s) {
            Probe<T>*at = side_[s].probes + first, *end = side_[s].probes + live_;
            if (tie) at = std::partition_point(at, end, [=](const Probe<T>& p) { return !p.is_behind(score, id); });
            at->count += at < end;  // in any case a probe: there is room for one more
        }
    }

    void count_all(const T* scores, Id first) {
        T x[kStep];
        std::copy_n(scores, kStep, x);
        int nan = 0;
        for (Index l = 0; l < kStep; ++l) nan |= std::isnan(x[l]);
        if (nan) [[unlikely]] {
            const Walk excluded = excluded_, relevant = relevant_;
            for (Index l = 0; l < kStep; ++l)
                if (std::isnan(x[l])) count_one(x[l], first + static_cast<Id>(l));
            excluded_ = excluded, relevant_ = relevant;
        }
        excluded_.hide(x, kStep, first);
        relevant_.hide(x, kStep, first);
        for (int s = 0; s < sides_; ++s) compare(side_[s], x, first);
    }

    // From the lowest bar up: what reaches none of four bars reaches none before them.
    void compare(const Side& side, const T* x, Id first) {
        constexpr Index together = 4;
        Index j = live_;
        bool any = true;
        for (; j >= together && any; j -= together) any = compare<together>(side, side.probes + j - together, x, first);
        for (; j > 0 && any; --j) any = compare<1>(side, side.probes + j - 1, x, first);
    }

    template <int N> static bool compare(const Side& side, Probe<T>* probes, const T* x, Id first) {
        T bars[N];
        Id n[N];
        for (int p = 0; p < N; ++p) bars[p] = probes[p].bar[probes[p].id < first];
        count_reached(n, x, bars);
        for (int p = 0; p < N; ++p) {
            probes[p].count += n[p];
            const Index own = static_cast<Index>(probes[p].id) - first;
            if (own >= 0 && own < kStep && side.wins[0] != side.wins[1])  // past its own id, the bar was the wrong one
                for (Index l = own; l < kStep; ++l)
                    probes[p].count -= (x[l] >= probes[p].bar[0]) & !(x[l] >= probes[p].bar[1]);
        }
        return n[N - 1] > 0;
    }

    Walk relevant_, excluded_;
    Side side_[2];
    int sides_;
    bool many_;
    T lowest_;
    const T* scores_;
    Index n_relevant_, n_excluded_, depth_, found_, numbers_, live_, nans_, other_nans_;
};

// Consecutive rows and their probes.
template <class T> class CountedRows {
  public:
    CountedRows(Index first, Index rows, const Sought& sought)
        : first_(first),
          sought_(sought),
          rows_(rows),
          scores_(offset(first + rows) - offset(first)),
          probes_(2 * (offset(first + rows) - offset(first) + rows)) {}

    CountedRow<T>& operator[](Index r) { return rows_[r]; }

    // scores_of(scores, row, ids, count) gives the scores of a row's relevant items.
    template <class F> void start(Index r, F scores_of) {
        const Index row = first_ + r, count = offset(row + 1) - offset(row);
        const Index at = offset(row) - offset(first_);
        if (count > 0) scores_of(&scores_[at], row, sought_.relevant.begin(row), count);
        rows_[r].start(&probes_[2 * (at + r)], &scores_[at], sought_, row);
    }

    Index finish(Index r, double* ranks, Index I) { return rows_[r].finish(ranks + offset(first_ + r), I); }

  private:
    Index offset(Index row) const { return sought_.relevant.indptr[row]; }

    Index first_;
    const Sought& sought_;
    Scratch<CountedRow<T>> rows_;
    Scratch<T> scores_;
    Scratch<Probe<T>> probes_;
};

}  // namespace pyrec::cpu
