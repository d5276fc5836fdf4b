// The places of the items of a list, from a hash table that stays in the first-level cache. CPU only.
#pragma once
#include <bit>

#include "parallel.hpp"

namespace pyrec::cpu {

// Each item writes its place into its slot, without looking what is there; the last one stays. The few that lost theirs
// are chained behind it. So there is no branch for most items and nothing to clear: what an earlier list left in a slot
// is a place too, where another item is found. Place: an unsigned type whose largest value is no place.
template <class Place> class Places {
  public:
    explicit Places(Index k)
        : k_(k),
          shift_(32 - kSpare - std::bit_width(static_cast<std::uint64_t>(k))),
          items_(k),
          slot_(k),
          next_(k),
          lost_(k + 1),
          table_(Index{1} << (32 - shift_)) {
        std::fill(table_.data(), table_.data() + (Index{1} << (32 - shift_)), Place(0));
    }

    // Takes a list of k ids, -1 where there is none. False if an id is not in [-1, bound) or is there twice.
    template <class Int> bool take(const Int* list, Index bound) {
        using Unsigned = std::make_unsigned_t<Int>;
        Id* __restrict items = items_.data();
        Place* __restrict slot = slot_.data(), * __restrict next = next_.data();
        Place* __restrict lost = lost_.data(), * __restrict table = table_.data();
        Unsigned largest = 0;
        for (Index r = 0; r < k_; ++r) {
            largest = std::max(largest, static_cast<Unsigned>(static_cast<Unsigned>(list[r]) + 1));
            // Distinct negative numbers, which nobody looks for, in place of -1.
            items[r] = list[r] < 0 ? static_cast<Id>(-1 - r) : static_cast<Id>(list[r]);
            slot[r] = static_cast<Place>(hash(items[r]));
            next[r] = kNone;
        }
        if (largest > static_cast<std::uint64_t>(bound)) return false;
        for (Index r = 0; r < k_; ++r) table[slot[r]] = static_cast<Place>(r);
        Index n = 0;
        for (Index r = 0; r < k_; ++r) {
            lost[n] = static_cast<Place>(r);
            n += table[slot[r]] != r;
        }
        bool twice = false;
        for (Index l = 0; l < n; ++l) {
            const Place r = lost[l], first = table[slot[r]];
            for (Place p = first; p != kNone; p = next[p]) twice |= items[p] == items[r];
            next[r] = next[first];
            next[first] = r;
        }
        return !twice;
    }

    // The rank of an item, its place counted from 1; infinity if it is not in the list, of k > 0 items.
    double rank(Id item) {
        Place p = table_[hash(item)];
        while (p != kNone && items_[p] != item) p = next_[p];
        return p == kNone ? std::numeric_limits<double>::infinity() : static_cast<double>(p) + 1;
    }

  private:
    static constexpr Place kNone = static_cast<Place>(-1);
    static constexpr int kSpare = 3;  // 8 to 16 slots an item

    // Fibonacci hashing (Knuth, The Art of Computer Programming 3, 6.4): neighbouring ids do not collide.
    std::uint32_t hash(Id item) const { return (static_cast<std::uint32_t>(item) * 2654435769u) >> shift_; }

    Index k_;
    int shift_;
    Scratch<Id> items_;
    Scratch<Place> slot_, next_, lost_, table_;
};

}  // namespace pyrec::cpu
