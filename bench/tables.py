"""Write the tables of bench/README.md from bench/results: ``python bench/tables.py``. Nothing is left out of them."""

import re
import sys
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from _harness import BUSY
from _results import FOLDER, Row, load

README = Path(__file__).parent / "README.md"
BEGIN, END = "<!-- tables: begin -->", "<!-- tables: end -->"
GPU_BEGIN, GPU_END = "<!-- tables of GPUs: begin -->", "<!-- tables of GPUs: end -->"
TITLES = {
    "limits": "What the machine can do",
    "linalg": "Dense linear algebra",
    "ease": "EASE",
    "slim": "SLIM and item-to-item",
    "topk": "Top-k",
    "metrics": "Ranking metrics",
    "optim": "Optimizer steps",
    "recurrent": "Recurrent layers",
    "activations": "Activations",
    "embedding": "Embeddings",
    "interaction": "Pairs of fields, forward and backward",
    "feature": "Feature models, training",
    "gru4rec": "GRU4Rec",
    "ncf": "NeuMF",
    "losses": "Losses, forward and backward",
    "cin": "Compressed interaction network, forward and backward",
    "import": "Import time and installed size",
}


def main() -> None:
    found = [load(path) for path in sorted(FOLDER.glob("*.json"))]
    sections = [machine_section(results) for results in found if "gpu" not in results["machine"]]
    write_between(README, "\n".join(sections) if sections else "No results yet.")
    gpus = [gpu_section(results) for results in found if "gpu" in results["machine"]]
    write_between(README, "\n".join(gpus) if gpus else "No results yet.", GPU_BEGIN, GPU_END)


def write_between(path: Path, text: str, begin: str = BEGIN, end: str = END) -> None:
    """Replace what stands between the markers in the file."""
    old = path.read_text()
    if old.count(begin) != 1 or old.count(end) != 1:
        raise ValueError(f"{path.name} must have one line {begin} and one line {end}")
    head, rest = old.split(begin)
    tail = rest.split(end)[1]
    path.write_text(f"{head}{begin}\n{text.strip()}\n{end}{tail}")


def gpu_section(results: dict[str, Any]) -> str:
    about, rows = results["machine"], results["rows"]
    lines = [
        f"### {about['gpu']}, {about['memory_gb']} GB",
        "",
        f"{about['multiprocessors']} multiprocessors of compute capability {about['compute']}, "
        f"driver {about['driver']}, CUDA {about['cuda']}. {measured_text(rows)}",
        "",
        "| task | what | shape | median ms | min..max | n | GB/s (of a copy) | TFLOP/s (of a product) "
        "| ours is faster by | measured |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in sorted(rows, key=lambda r: (r["case"], shape_order(r), not r["ours"], r.get("median_ms", float("inf")))):
        cells = [row["case"], f"**{row['name']}**" if row["ours"] else row["name"], row["shape"]]
        if "median_ms" not in row:
            cells += [row["status"], *[""] * 5]
        else:
            cells += [number(row["median_ms"]), f"{number(row['min_ms'])}..{number(row['max_ms'])}", row["rounds"]]
            cells += [of_limit(row, "gbs", 1.0), of_limit(row, "gflops", 1e-3), times(row)]
        lines.append(row_of([*cells, measured(row)]))
    return "\n".join(lines) + "\n"


def of_limit(row: Row, what: str, factor: float) -> str:
    """A rate, and which share it is of what the machine can do."""
    share = f" ({row[f'{what}_share']:.0%})" if f"{what}_share" in row else ""
    return f"{number(factor * row[what])}{share}" if what in row else ""


def machine_section(results: dict[str, Any]) -> str:
    about, rows = results["machine"], results["rows"]
    lines = [
        f"## {about['cpu']}, {about['cores']} cores",
        "",
        f"{about['simd']}, cache {about['cache'] or 'unknown'}, {about['memory_gb']} GB, {about['system']}. "
        + measured_text(rows),
        "",
        "### Ours against the fastest and the slowest peer",
        "",
        *overview(rows),
    ]
    for bench in TITLES:
        chosen = [row for row in rows if row["bench"] == bench]
        if chosen:
            lines += ["", f"### {TITLES[bench]}", "", *(import_table(chosen) if bench == "import" else table(chosen))]
    return "\n".join(lines) + "\n"


def span(values: Iterable[str]) -> str:
    values = list(values)
    return " to ".join(dict.fromkeys([values[0], values[-1]])) if values else "unknown"


def measured_text(rows: list[Row]) -> str:
    """Say when rows were measured, at which commits, and with which versions."""
    dates = sorted({row["date"] for row in rows})
    return f"Measured {span(dates)}, commit {span(commits(rows))}. {versions_text(rows)}."


def commits(rows: list[Row]) -> list[str]:
    """Return the commits in the order of their dates."""
    return [row["commit"] for row in sorted(rows, key=lambda row: row["date"]) if row["commit"]]


def versions_text(rows: list[Row]) -> str:
    """List each library with the versions that the rows were measured with."""
    found: dict[str, set[str]] = {}
    for row in rows:
        for name, version in row["versions"].items():
            if version != "not installed":
                found.setdefault(name, set()).add(version)
    return ", ".join(f"{name} {' / '.join(sorted(found[name]))}" for name in sorted(found))


def overview(rows: list[Row]) -> list[str]:
    """One line for each task: our time, and how the fastest and the slowest peer compare."""
    lines = [
        "| task | shape | dtype | threads | ours, ms | fastest peer | ours is faster by | slowest peer | by |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for _, group in groupby(sorted(rows, key=order), key=order):
        members = list(group)
        peers = sorted((r for r in members if "ratio_median" in r), key=lambda r: float(r["ratio_median"]))
        if not peers:
            continue
        best, last = peers[0], peers[-1]
        ours = next((r["median_ms"] for r in members if r["name"] == best["ratio_to"]), None)
        cells = [best["case"], best["shape"], best["dtype"], best["threads"], number(ours)]
        cells += [best["name"], times(best)] + ([last["name"], times(last)] if last is not best else ["", ""])
        lines.append(row_of(cells))
    return lines


def table(rows: list[Row]) -> list[str]:
    lines = [
        "| task | what | shape | dtype | threads | median ms | min..max | n | rate | GFLOP/s or GB/s (of limit) "
        "| peak MB | ours is faster by | measured |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in sorted(rows, key=lambda r: (*order(r), not r["ours"], r.get("median_ms", float("inf")))):
        name = row["name"] + (f", objective {row['objective']:.10g}" if "objective" in row else "")
        cells = [row["case"], f"**{name}**" if row["ours"] else name]
        cells += [row["shape"], row["dtype"], row["threads"]]
        if "median_ms" not in row:
            cells += [row["status"], *[""] * 6]
        else:
            cells += [number(row["median_ms"]), f"{number(row['min_ms'])}..{number(row['max_ms'])}", row["rounds"]]
            cells += [rate(row), flops(row), number(row.get("peak_mb")), times(row)]
        lines.append(row_of([*cells, measured(row)]))
    return lines


def import_table(rows: list[Row]) -> list[str]:
    lines = [
        "| statement | version | median ms | min..max | n | installed MB | with what it requires | measured |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in sorted(rows, key=lambda r: (not r["ours"], r["median_ms"])):
        whole, required = row["installed_with_required_mb"], row["required"]
        cells = [f"`{row['name']}`", f"{row['library']} {row['versions'][row['library']]}", number(row["median_ms"])]
        cells += [f"{number(row['min_ms'])}..{number(row['max_ms'])}", row["rounds"], number(row["installed_mb"])]
        cells += ["" if whole is None else f"{number(whole)} ({required} more)", measured(row)]
        lines.append(row_of(cells))
    return lines


def order(row: Row) -> tuple[Any, ...]:
    """Tasks in the order of the titles; shapes by their numbers."""
    return (list(TITLES).index(row["bench"]), row["case"], shape_order(row), row["dtype"], row["threads"])


def shape_order(row: Row) -> tuple[float, ...]:
    return tuple(float(n) for n in re.findall(r"\d+(?:\.\d+)?", row["shape"]))


def row_of(cells: list[Any]) -> str:
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"


def number(value: float | None) -> str:
    """Three significant digits, whole from 100 on."""
    if value is None:
        return ""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def rate(row: Row) -> str:
    if "rate" not in row:
        return ""
    for factor, prefix in ((1e9, "G "), (1e6, "M "), (1e3, "k ")):
        if row["rate"] >= factor:
            return f"{row['rate'] / factor:.3g} {prefix}{row['unit']}"
    return f"{row['rate']:.3g} {row['unit']}"


def flops(row: Row) -> str:
    share = f" ({row['share']:.0%})" if "share" in row else ""
    if "gflops" in row:
        return f"{number(row['gflops'])} GFLOP/s{share}"
    return f"{number(row['gbs'])} GB/s{share}" if "gbs" in row else ""


def times(row: Row) -> str:
    """The ratio of a peer's row to ours: median, and in brackets the round that was worst for ours."""
    if "ratio_median" not in row:
        return ""
    return f"{row['ratio_median']:.2f} ({row['ratio_min']:.2f})" + (", disturbed" if is_disturbed(row) else "")


def is_disturbed(row: Row) -> bool:
    return (row.get("others_cpu") or 0.0) > BUSY


def measured(row: Row) -> str:
    text = f"{row['date']} {row['commit']}".strip()
    if row["quick"]:
        text += ", quick"
    if is_disturbed(row):
        text += f", others took {row['others_cpu']} cores"
    return text


if __name__ == "__main__":
    main()
