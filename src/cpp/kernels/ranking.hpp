// Where held-out items come in a ranking, and what rankings are worth. n rows (users), I items.
//
// Ranks are float64 (nnz), one for each entry of the lists `relevant`, in their order: the 1-based place of that item
// in the ranking of its row; infinity where it is not ranked. The j-th best relevant item of a row (higher score, then
// smaller id) has rank j + the number of other rankable items ahead of it. No matrix of scores is written.
#pragma once
#include "lists.hpp"

namespace pyrec::PYREC_BACKEND {

// Which items of equal score are ahead of a relevant one: those of smaller id, all, none, or half of them.
enum class Ties : std::int32_t { id, conservative, standard, median };

// What is looked for: the ranks of `relevant` among all items but those of `excluded`, up to `depth`: beyond it, and
// for excluded items, they are infinite.
struct Sought {
    IdLists relevant, excluded;
    Ties ties;
    Index depth;
};

#ifdef PYREC_CUDA
// scores (n,I), which the caller makes of factors by a dense product; ranks (entries), of all `relevant`;  nans (n):
// how many NaN scores a row has, 0 where nothing is looked for
template <class T>
void ranks_in_scores(const Exec& ex, double* ranks, Id* nans, const T* scores, Index entries, Index n, Index I,
                     const Sought& sought);
#else
// ranked (n,k): ids in [0, bound), each at most once a row, or -1 where there is none. Returns the first row where that
// does not hold, else -1.
template <class Int>
Index ranks_in_lists(const Exec& ex, double* ranks, const Int* ranked, Index n, Index k, Index bound,
                     const IdLists& relevant);

// The others return how many NaN scores they met; NaN rank after every number, and tie with each other. A row whose
// relevant items are all known to be deeper than `depth` is not looked at any further.

// scores (n,I)
template <class T>
Index ranks_in_scores(const Exec& ex, double* ranks, const T* scores, Index n, Index I, const Sought& sought);

// score of row u, item i = users[u] . items[i] + bias[i];  users (n,d), items (I,d), bias (I) or null
template <class T>
Index ranks_in_factors(const Exec& ex, double* ranks, const T* users, const T* items, const T* bias, Index n, Index I,
                       Index d, const Sought& sought);

// scores = X W;  X (n,J), W (J,I) dense or sparse
template <class T>
Index ranks_in_sparse(const Exec& ex, double* ranks, const Csr<T>& X, const T* W, Index I, const Sought& sought);
template <class T>
Index ranks_in_sparse(const Exec& ex, double* ranks, const Csr<T>& X, const Csr<T>& W, const Sought& sought);

enum class Metric : std::int32_t {
    precision,
    recall,
    recall_trunc,
    f1,
    hit_rate,
    mrr,
    ap,
    ar,
    dcg,
    ndcg,
    auc,
    auc_at,
    mean_rank
};

// out (M,n): metrics[m] at depth depths[m] of each row, NaN for rows without an entry. Entry e of row r has rank
// ranks[e], r's entries are indptr[r] .. indptr[r + 1]. gains (nnz), >= 0, or null: what an entry counts in dcg and
// ndcg, else 1. rankable (n), for auc and auc_at: how many items were ranked in each row. Equations:
// pyrec_core/metrics.
void measure(const Exec& ex, double* out, const double* ranks, const Index* indptr, Index n, const Metric* metrics,
             const Index* depths, Index M, const double* gains, const double* rankable);
#endif

}  // namespace pyrec::PYREC_BACKEND
