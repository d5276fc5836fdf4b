// The k best of a stream of scored items, in bounded memory.
#pragma once
#include <algorithm>
#include <cmath>
#include <limits>

#include "parallel.hpp"

namespace pyrec::cpu {

template <class T> struct Scored {
    T score;
    Id item;
};

// Higher score first, then smaller id; NaN after every number.
template <class T> inline bool better(const Scored<T>& a, const Scored<T>& b) {
    if (a.score > b.score) return true;
    if (a.score < b.score) return false;
    const bool a_nan = std::isnan(a.score), b_nan = std::isnan(b.score);
    return a_nan != b_nan ? b_nan : a.item < b.item;
}

// Items must be offered in ascending order of id: then a score equal to the bar has lost its tie already, and the
// excluded ids are met in one walk.
template <class T> class Best {
  public:
    static Index capacity(Index k) { return 2 * std::max<Index>(k, 8); }

    void start(Scored<T>* buffer, Index k, const Id* excluded, const Id* excluded_end) {
        buffer_ = buffer, k_ = k, count_ = 0, nans_ = 0;
        excluded_ = excluded, excluded_end_ = excluded_end;
        bar_ = std::numeric_limits<T>::quiet_NaN();
    }

    // Only scores that are not <= bar() need be offered. NaN, which lets everything pass, until k items are held.
    T bar() const { return bar_; }

    void offer(T score, Id item) {
        while (excluded_ < excluded_end_ && *excluded_ < item) ++excluded_;
        if (excluded_ < excluded_end_ && *excluded_ == item) return;
        nans_ += std::isnan(score);
        buffer_[count_++] = {score, item};
        if (count_ == capacity(k_)) {
            std::nth_element(buffer_, buffer_ + k_ - 1, buffer_ + count_, better<T>);
            count_ = k_;
            bar_ = buffer_[k_ - 1].score;
        }
    }

    // Scores of `count` items from id `first` on.
    void offer_all(const T* scores, Index count, Id first) {
        constexpr Index block = 64;
        Index at = 0;
        for (; at + block <= count; at += block) {
            int pass = 0;
            for (Index l = 0; l < block; ++l) pass |= !(scores[at + l] <= bar_);
            if (pass) offer_each(scores + at, block, first + static_cast<Id>(at));
        }
        offer_each(scores + at, count - at, first + static_cast<Id>(at));
    }

    // Writes the k best in order, padded with item -1 and score -inf. Returns how many NaN were offered.
    Index finish(Id* items, T* scores) {
        const Index n = std::min(k_, count_);
        std::partial_sort(buffer_, buffer_ + n, buffer_ + count_, better<T>);
        for (Index r = 0; r < n; ++r) items[r] = buffer_[r].item, scores[r] = buffer_[r].score;
        std::fill(items + n, items + k_, Id(-1));
        std::fill(scores + n, scores + k_, -std::numeric_limits<T>::infinity());
        return nans_;
    }

  private:
    void offer_each(const T* scores, Index count, Id first) {
        for (Index l = 0; l < count; ++l)
            if (!(scores[l] <= bar_)) offer(scores[l], first + static_cast<Id>(l));
    }

    Scored<T>* buffer_;
    Index k_, count_, nans_;
    const Id *excluded_, *excluded_end_;
    T bar_;
};

}  // namespace pyrec::cpu
