// The rows of a batch grouped by id: which rows of a table a batch touches, and where. CPU only.
#pragma once
#include <cstring>

#include "parallel.hpp"

namespace pyrec::cpu {

// Of the list, each counted and placed by one thread; a stable sort has one result.
inline constexpr Index kSortSlices = 8;
inline constexpr Index kSortAlone = 16384;  // up to here one thread sorts faster than the others wake

// An id and its position in the list, in one number that sorts as the id does.
using GroupKey = std::uint64_t;
inline Id id_of(GroupKey key) { return static_cast<Id>(key >> 32); }
inline Index position_of(GroupKey key) { return static_cast<Index>(key & 0xffffffffu); }

// keys (n): ids in ascending order, equal ids in the order of the list. other (n) is scratch.
inline void sort_keys(const Exec& ex, GroupKey* keys, GroupKey* other, const Id* ids, Index n) {
    const auto fill = [=](GroupKey* to) {
        for (Index p = 0; p < n; ++p)
            to[p] = GroupKey{static_cast<std::uint32_t>(ids[p])} << 32 | static_cast<GroupKey>(p);
    };
    if (std::is_sorted(ids, ids + n)) return fill(keys);  // as what was summed once already
    const int digit_bits = n <= kSortAlone ? 8 : 11;
    const Index buckets = Index{1} << digit_bits;
    const Id top = n ? *std::max_element(ids, ids + n) : 0;
    int passes = 1;
    while (passes * digit_bits < 31 && (top >> (passes * digit_bits)) > 0) ++passes;
    if (passes % 2) std::swap(keys, other);  // so that the last pass writes into the caller's `keys`
    const Index slice = n <= kSortAlone ? std::max<Index>(n, 1) : ceil_div(n, kSortSlices);
    const Index slices = ceil_div(n, slice);
    Scratch<Index> at(std::max<Index>(slices, 1) * buckets);
    fill(keys);
    for (int pass = 0; pass < passes; ++pass, std::swap(keys, other)) {
        const int shift = 32 + pass * digit_bits;
        const auto digit = [=](GroupKey key) { return static_cast<Index>(key >> shift) & (buckets - 1); };
        std::memset(at.data(), 0, static_cast<std::size_t>(slices * buckets) * sizeof(Index));
        parallel_ranges(ex, n, slice, [&](Index begin, Index end) {
            Index* counts = at.data() + begin / slice * buckets;
            for (Index i = begin; i < end; ++i) ++counts[digit(keys[i])];
        });
        Index sum = 0;
        for (Index b = 0; b < buckets; ++b) {
            for (Index s = 0; s < slices; ++s) {
                const Index count = at[s * buckets + b];
                at[s * buckets + b] = sum;
                sum += count;
            }
        }
        parallel_ranges(ex, n, slice, [&](Index begin, Index end) {
            Index* next = at.data() + begin / slice * buckets;
            for (Index i = begin; i < end; ++i) other[next[digit(keys[i])]++] = keys[i];
        });
    }
}

// The list of ids, sorted: group s of equal ids is keys[start[s]] .. keys[start[s + 1] - 1].
class Groups {
  public:
    Groups(const Exec& ex, const Id* ids, Index n) : keys_(n), start_(n + 1), count_(0) {
        Scratch<GroupKey> other(n);
        sort_keys(ex, keys_.data(), other.data(), ids, n);
        for (Index i = 0; i < n; ++i) {  // without a branch, which nobody could predict
            start_[count_] = i;
            count_ += i == 0 || id_of(keys_[i]) != id_of(keys_[i - 1]);
        }
        start_[count_] = n;
    }

    Index count() const { return count_; }
    Id id(Index s) { return id_of(keys_[start_[s]]); }
    // The places of group s in the sorted list, and the position in the list that a place stands for.
    Index begin(Index s) { return start_[s]; }
    Index end(Index s) { return start_[s + 1]; }
    Index position(Index place) { return position_of(keys_[place]); }

    // The sum (d) of the rows of group s, in the order of the list: the row itself if it is one, else in `scratch`.
    template <class T> const T* sum(T* scratch, Index s, const T* g, Index d) {
        const T* first = g + position(begin(s)) * d;
        if (end(s) == begin(s) + 1) return first;
        std::copy_n(first, d, scratch);
        for (Index i = begin(s) + 1; i < end(s); ++i) {
            const T* row = g + position(i) * d;
            for (Index c = 0; c < d; ++c) scratch[c] += row[c];
        }
        return scratch;
    }

  private:
    Scratch<GroupKey> keys_;
    Scratch<Index> start_;
    Index count_;
};

// Asks for a row of d elements, which will be read, or also written.
template <bool written = false, class T> void fetch_row(const T* row, Index d) {
    for (Index c = 0; c < d; c += 64 / static_cast<Index>(sizeof(T))) __builtin_prefetch(row + c, written);
}

// Groups that one thread works on before it asks for more.
inline Index groups_at_once(Index d) { return std::max<Index>(1, 4096 / std::max<Index>(d, 1)); }

}  // namespace pyrec::cpu
