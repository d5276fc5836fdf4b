// What the ranks of one row's relevant items are worth. CPU only.
#pragma once
#include <cmath>
#include <limits>

#include "ranking.hpp"

namespace pyrec::cpu {

// 1 / log2(rank + 1), and its sums over the first ranks, from a table as far as that reaches.
class Discounts {
  public:
    Discounts(double* table, Index size) : at_(table), sum_(table + size), size_(size) {
        sum_[0] = 0;
        for (Index r = 1; r <= size; ++r) {
            at_[r - 1] = of(static_cast<double>(r));
            sum_[r] = sum_[r - 1] + at_[r - 1];
        }
    }

    double operator()(double rank) const {
        if (rank > static_cast<double>(size_)) return of(rank);
        const auto r = static_cast<Index>(rank);
        return static_cast<double>(r) == rank ? at_[r - 1] : of(rank);
    }

    double sum(Index n) const {
        double sum = sum_[std::min(n, size_)];
        for (Index r = size_ + 1; r <= n; ++r) sum += of(static_cast<double>(r));
        return sum;
    }

  private:
    static double of(double rank) { return 1 / std::log2(rank + 1); }

    double *at_, *sum_;
    Index size_;
};

struct Hit {
    double rank, gain;
};

// The relevant items of a row, in the order of their ranks: sums run in this order, so that a perfect ranking gives
// exactly 1.
class HeldOut {
  public:
    // hits and ideal: scratch for `count` elements. gains may be null.
    HeldOut(Hit* hits, double* ideal, const double* ranks, const double* gains, Index count, double rankable)
        : hits_(hits), ideal_(gains ? ideal : nullptr), n_(count), rankable_(rankable) {
        for (Index e = 0; e < count; ++e)
            if (std::isfinite(ranks[e])) hits[found_++] = {ranks[e], gains ? gains[e] : 1.0};
        std::sort(hits, hits + found_, [](const Hit& a, const Hit& b) { return a.rank < b.rank; });
        if (gains) {
            std::copy_n(gains, count, ideal);
            std::sort(ideal, ideal + count, std::greater<>());
        }
    }

    double value(Metric metric, Index depth, const Discounts& discounts) const {
        if (n_ == 0) return std::numeric_limits<double>::quiet_NaN();
        const auto k = static_cast<double>(depth), n = static_cast<double>(n_);
        const Index within =
            std::upper_bound(hits_, hits_ + found_, k, [](double d, const Hit& h) { return d < h.rank; }) - hits_;
        const auto h = static_cast<double>(within);
        switch (metric) {
            case Metric::precision:
                return h / k;
            case Metric::recall:
                return h / n;
            case Metric::recall_trunc:
                return h / std::min(k, n);
            case Metric::f1:
                return 2 * h / (k + n);  // 2 P R / (P + R)
            case Metric::hit_rate:
                return within > 0 ? 1 : 0;
            case Metric::mrr:
                return within > 0 ? 1 / hits_[0].rank : 0;
            case Metric::ap:
                return sum_of_precisions(within) / std::min(k, n);
            case Metric::ar:
                return h * (h + 1) / (2 * n * n);  // the j-th hit has recall j / n
            case Metric::dcg:
                return dcg(within, discounts);
            case Metric::ndcg:
                return dcg(within, discounts) / ideal_dcg(std::min(depth, n_), discounts);
            case Metric::auc:
                return auc();
            case Metric::auc_at:
                return auc_at(within, k);
            case Metric::mean_rank:
                return mean_rank();
        }
        return std::numeric_limits<double>::quiet_NaN();
    }

  private:
    double sum_of_precisions(Index within) const {
        double sum = 0;
        for (Index j = 0; j < within; ++j) sum += static_cast<double>(j + 1) / hits_[j].rank;
        return sum;
    }

    double dcg(Index within, const Discounts& discounts) const {
        double sum = 0;
        for (Index j = 0; j < within; ++j) sum += hits_[j].gain * discounts(hits_[j].rank);
        return sum;
    }

    double ideal_dcg(Index within, const Discounts& discounts) const {
        if (!ideal_) return discounts.sum(within);
        double sum = 0;
        for (Index j = 0; j < within; ++j) sum += ideal_[j] * discounts(static_cast<double>(j + 1));
        return sum;
    }

    // Pairs of a relevant and another item in which the relevant one is ahead, a tie counting half, of all such pairs.
    double auc() const {
        double behind = 0;
        for (Index j = 0; j < found_; ++j) behind += hits_[j].rank - static_cast<double>(j + 1);
        const auto n = static_cast<double>(found_);
        return 1 - behind / (n * (rankable_ - n));
    }

    // The same where only k places are known, and what is not there comes in random order.
    double auc_at(Index within, double k) const {
        const auto n = static_cast<double>(n_), h = static_cast<double>(within);
        const double others = rankable_ - n, missed = std::min(k, rankable_) - h;
        double pairs = (h + n) / 2 * (others - missed);
        for (Index j = 0; j < within; ++j) pairs += missed - (hits_[j].rank - static_cast<double>(j + 1));
        return pairs / (n * others);
    }

    double mean_rank() const {
        double sum = found_ < n_ ? std::numeric_limits<double>::infinity() : 0;
        for (Index j = 0; j < found_; ++j) sum += hits_[j].rank;
        return sum / static_cast<double>(n_);
    }

    Hit* hits_;
    double* ideal_;
    Index n_, found_ = 0;
    double rankable_;
};

}  // namespace pyrec::cpu
