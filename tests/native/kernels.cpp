// The kernels without Python: right, and with the same bits from many threads at once as from one.
//
// `make tsan` runs this under ThreadSanitizer; `make portable` builds it for other systems, and runs it on an emulated
// ARM processor. Numbers are small integers, so that sums are exact in any order and can be compared with ==.
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <thread>
#include <vector>

#include "gram.hpp"
#include "linalg.hpp"
#include "random.hpp"
#include "topk.hpp"

namespace {

using namespace pyrec;

constexpr Index kUsers = 301, kItems = 259, kFactors = 19, kBest = 10;

void require(bool holds, const char* what) {
    if (holds) return;
    std::fprintf(stderr, "wrong: %s\n", what);
    std::exit(1);
}

// n integers in -3..3.
template <class T> std::vector<T> draw(Index n, std::uint64_t seed) {
    std::vector<Index> drawn(static_cast<std::size_t>(n));
    cpu::random_integers({}, drawn.data(), n, 7, {seed, 0, 0}, 0);
    std::vector<T> out(drawn.size());
    std::transform(drawn.begin(), drawn.end(), out.begin(), [](Index x) { return static_cast<T>(x - 3); });
    return out;
}

template <class T> struct Data {
    std::vector<T> users = draw<T>(kUsers * kFactors, 1), items = draw<T>(kItems * kFactors, 2);
    std::vector<T> weights = draw<T>(kItems * kItems, 3);
    std::vector<T> dense = draw<T>(kUsers * kItems, 4);  // most of it becomes 0
    std::vector<Index> indptr{0};
    std::vector<Id> indices;
    std::vector<T> values;

    Data() {
        for (Index at = 0; at < kUsers * kItems; ++at) {
            T& x = dense[static_cast<std::size_t>(at)];
            if (x < 2) x = 0;
            if (x != 0) indices.push_back(static_cast<Id>(at % kItems)), values.push_back(x);
            if (at % kItems == kItems - 1) indptr.push_back(static_cast<Index>(indices.size()));
        }
    }

    Csr<T> matrix() const { return {indptr.data(), indices.data(), values.data(), kUsers, kItems}; }
    cpu::Filter seen() const { return {{indptr.data(), indices.data()}, {}}; }
};

template <class T> struct Best {
    std::vector<Id> items = std::vector<Id>(kUsers * kBest);
    std::vector<T> scores = std::vector<T>(kUsers * kBest);
    bool operator==(const Best&) const = default;
};

template <class T> struct Results {
    std::vector<T> gram = std::vector<T>(kItems * kItems), product = std::vector<T>(kUsers * kItems);
    std::vector<T> uniform = std::vector<T>(100'000);
    Best<T> by_factors, by_weights;
    bool operator==(const Results&) const = default;
};

template <class T> Results<T> compute(const Exec& ex, const Data<T>& d) {
    Results<T> r;
    cpu::gram<T>(ex, r.gram.data(), d.matrix(), nullptr);
    cpu::gemm<T>(ex, r.product.data(), kItems, {d.users.data(), kFactors, Op::none},
                 {d.items.data(), kFactors, Op::transpose}, kUsers, kItems, kFactors, 1, 0);
    cpu::random_uniform<T>(ex, r.uniform.data(), static_cast<Index>(r.uniform.size()), {7, 1, 2}, 3);
    cpu::factor_top_k<T>(ex, r.by_factors.items.data(), r.by_factors.scores.data(), d.users.data(), d.items.data(),
                         kUsers, kItems, kFactors, kBest, d.seen());
    cpu::sparse_top_k<T>(ex, r.by_weights.items.data(), r.by_weights.scores.data(), d.matrix(), d.weights.data(),
                         kItems, kBest, d.seen());
    return r;
}

// sum_k a(i, k) b(k, j) for an (n, m) result.
template <class T, class A, class B> std::vector<T> product(Index n, Index m, Index depth, A a, B b) {
    std::vector<T> out;
    for (Index i = 0; i < n; ++i) {
        for (Index j = 0; j < m; ++j) {
            T sum = 0;
            for (Index k = 0; k < depth; ++k) sum += a(i, k) * b(k, j);
            out.push_back(sum);
        }
    }
    return out;
}

template <class T> Best<T> best_unseen(const std::vector<T>& scores, const std::vector<T>& seen) {
    Best<T> best;
    std::vector<Id> order(kItems);
    for (Index u = 0; u < kUsers; ++u) {
        const auto at = [u](Id i) { return static_cast<std::size_t>(u * kItems + i); };
        std::iota(order.begin(), order.end(), Id{0});
        std::stable_sort(order.begin(), order.end(), [&](Id i, Id j) {
            return (seen[at(i)] == 0) != (seen[at(j)] == 0) ? seen[at(i)] == 0 : scores[at(i)] > scores[at(j)];
        });
        for (Index r = 0; r < kBest; ++r) {
            const auto to = static_cast<std::size_t>(u * kBest + r);
            best.items[to] = order[static_cast<std::size_t>(r)];
            best.scores[to] = scores[at(best.items[to])];
        }
    }
    return best;
}

template <class T> void check_definitions(const Results<T>& r, const Data<T>& d) {
    const auto of = [](const std::vector<T>& x, Index stride) {
        return [&x, stride](Index i, Index j) { return x[static_cast<std::size_t>(i * stride + j)]; };
    };
    const auto X = of(d.dense, kItems), W = of(d.weights, kItems), P = of(d.users, kFactors), Q = of(d.items, kFactors);
    const auto transposed = [](auto f) { return [f](Index i, Index j) { return f(j, i); }; };
    const auto scores = product<T>(kUsers, kItems, kFactors, P, transposed(Q));
    require(r.gram == product<T>(kItems, kItems, kUsers, transposed(X), X), "gram");
    require(r.product == scores, "gemm");
    require(r.by_factors == best_unseen(scores, d.dense), "factor_top_k");
    require(r.by_weights == best_unseen(product<T>(kUsers, kItems, kItems, X, W), d.dense), "sparse_top_k");
}

// Calls from several threads at once, each on a number of threads of its own.
template <class T> void check_threads(const Results<T>& wanted, const Data<T>& d) {
    std::vector<std::thread> callers;
    for (int caller = 0; caller < 4; ++caller) {
        callers.emplace_back([&, caller] {
            for (int round = 0; round < 4; ++round)
                require(compute<T>({.threads = 1 + (caller + round) % 4}, d) == wanted, "calls at the same time");
        });
    }
    for (auto& c : callers) c.join();
}

// What a chunk throws reaches the caller, whoever ran it, and the pool serves the next call.
void check_failures() {
    std::vector<std::thread> callers;
    for (int caller = 0; caller < 3; ++caller) {
        callers.emplace_back([] {
            for (int round = 0; round < 20; ++round) {
                bool caught = false;
                try {
                    parallel_for({.threads = 3}, 1000, 1, [](Index i) {
                        if (i == 500) throw Interrupted{};
                    });
                } catch (const Interrupted&) {
                    caught = true;
                }
                std::atomic<Index> sum{0};
                parallel_for({.threads = 3}, 1000, 7, [&](Index i) { sum += i; });
                require(caught && sum == 499'500, "a failure in a chunk");
            }
        });
    }
    for (auto& c : callers) c.join();
}

template <class T> void check() {
    const Data<T> data;
    const Results<T> alone = compute<T>({}, data);
    check_definitions(alone, data);
    check_threads(alone, data);
}

}  // namespace

int main() {
    check<float>();
    check<double>();
    check_failures();
    std::puts("right, and the same bits from all threads");
}
