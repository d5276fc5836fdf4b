"""What the assembler of CUDA says of each kernel: ``python tools/ptxas.py`` rewrites src/cuda/ptxas.md.

Needs nvcc, but no GPU. Fails if a kernel spills registers or has a stack frame.
"""

import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "src/cuda/ptxas.md"
ARCHITECTURES = ("sm_80", "sm_90")
FLAGS = ("-std=c++20", "--expt-relaxed-constexpr", "-DPYREC_CUDA", "-DPYREC_BACKEND=cuda", "-Xptxas", "-v", "-c")
ENTRY = re.compile(
    r"Compiling entry function '(?P<name>\w+)' for '(?P<arch>sm_\d+)'.*?"
    r"(?P<stack>\d+) bytes stack frame, (?P<stores>\d+) bytes spill stores, (?P<loads>\d+) bytes spill loads.*?"
    r"Used (?P<registers>\d+) registers",
    re.DOTALL,
)


def report(file: Path, architecture: str) -> list[tuple[str, str, str, int, int, int]]:
    """Return file, kernel, architecture, registers, bytes of stack, bytes spilled for each kernel of a file."""
    includes = [f"-I{ROOT / folder}" for folder in ("src/cpp/kernels", "src/cuda/kernels")]
    command = ["nvcc", *FLAGS, *includes, f"-arch={architecture}", str(file), "-o", "/dev/null"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr)
    found = []
    for match in ENTRY.finditer(done.stderr):
        spilled = int(match["stores"]) + int(match["loads"])
        row = file.name, match["name"], match["arch"], int(match["registers"]), int(match["stack"]), spilled
        found.append(row)
    return found


def short(names: list[str]) -> list[str]:
    """Return the names of kernels without namespaces and arguments."""
    text = subprocess.run(["c++filt"], input="\n".join(names), capture_output=True, text=True, check=True).stdout
    plain = [re.sub(r"\(anonymous namespace\)::|pyrec::|cuda::", "", line) for line in text.splitlines()]
    return [re.sub(r"^void ", "", re.sub(r"\(.*", "", line)) for line in plain]


def main() -> int:
    """Write the page; return the number of kernels that spill or have a stack frame."""
    files = sorted((ROOT / "src/cuda/kernels").glob("*.cu"))
    tasks = [(file, architecture) for file in files for architecture in ARCHITECTURES]
    with ThreadPoolExecutor(2) as pool:
        rows = [row for rows in pool.map(lambda task: report(*task), tasks) for row in rows]
    about = subprocess.run(["nvcc", "--version"], capture_output=True, text=True, check=True).stdout
    version = re.search(r"release ([\d.]+)", about)[1]
    lines = [
        "# Registers of the CUDA kernels",
        "",
        f"By `make ptxas`, nvcc {version}. A kernel that spills fails it.",
        "",
        "| file | kernel | GPU | registers | stack, bytes | spilled, bytes |",
        "|---|---|---|---|---|---|",
    ]
    for (file, _, *numbers), name in zip(rows, short([row[1] for row in rows]), strict=True):
        lines.append("| " + " | ".join([file, f"`{name}`", *map(str, numbers)]) + " |")
    PAGE.write_text("\n".join(lines) + "\n")
    bad = [row for row in rows if row[4] or row[5]]
    print(f"{len(rows)} kernels, {len(bad)} with a stack frame or spilled registers")
    return len(bad)


if __name__ == "__main__":
    sys.exit(main())
