"""Check what `make dist` has built: that the archives hold what they must, and nothing else.

Usage: python tools/check_dist.py FOLDER, in the source tree, with the sdist and one wheel or more in FOLDER.
"""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

LARGEST_SDIST, LARGEST_WHEEL, LARGEST_FILE = 2_000_000, 8_000_000, 200_000  # bytes
LEFT_OUT = ("bench/results/",)  # measured figures, of use beside the repository only
X86 = {"_cpu_v2", "_cpu_v3", "_cpu_v4", "_detect"}
OTHERS = {"_cpu", "_detect"}


def require(condition: bool, message: str) -> None:
    if not condition:
        sys.exit(f"check_dist: {message}")


def tracked() -> set[str]:
    """The files of the repository, as git lists them."""
    done = subprocess.run(["git", "ls-files"], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines())


def check_sdist(path: Path) -> None:
    with tarfile.open(path) as archive:
        files = {m.name.partition("/")[2]: m.size for m in archive.getmembers() if m.isfile()}
    wanted = {name for name in tracked() if not name.startswith((*LEFT_OUT, "."))}
    missing = sorted(wanted - files.keys())
    require(not missing, f"{path.name} lacks {', '.join(missing[:5])}")
    extra = sorted(files.keys() - tracked() - {"PKG-INFO"})
    require(not extra, f"{path.name} has files that git does not know: {', '.join(extra[:5])}")
    large = [name for name, size in files.items() if size > LARGEST_FILE]
    require(not large, f"{path.name} has files larger than {LARGEST_FILE} bytes: {', '.join(large)}")
    require(path.stat().st_size <= LARGEST_SDIST, f"{path.name} is larger than {LARGEST_SDIST} bytes")
    print(f"{path.name}: {len(files)} files, {path.stat().st_size / 1000:.0f} kB")


def check_wheel(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/")]
    package = {name for name in names if name.startswith("pyrec_core/")}
    native = {name for name in package if name.endswith((".so", ".pyd"))}
    missing = sorted({name for name in tracked() if name.startswith("pyrec_core/")} - package)
    require(not missing, f"{path.name} lacks {', '.join(missing[:5])}")
    modules = {name.split("/")[1].split(".")[0] for name in native}
    wanted = X86 if path.stem.lower().endswith(("x86_64", "amd64")) else OTHERS
    require(modules == wanted, f"{path.name} must have the modules {sorted(wanted)}, got {sorted(modules)}")
    info = {name.split("/", 1)[1] for name in names if ".dist-info/" in name}
    require(any(name.endswith("LICENSE") for name in info), f"{path.name} has no licence")
    # a repaired wheel may bring libraries along, which then need a look: ours need none
    foreign = sorted(name for name in names if not name.startswith("pyrec_core/") and ".dist-info/" not in name)
    require(not foreign, f"{path.name} has files outside the package: {', '.join(foreign[:5])}")
    extra = sorted(package - native - tracked())
    require(not extra, f"{path.name} has files that git does not know: {', '.join(extra[:5])}")
    require(path.stat().st_size <= LARGEST_WHEEL, f"{path.name} is larger than {LARGEST_WHEEL} bytes")
    print(f"{path.name}: {len(names)} files, {len(native)} native modules, {path.stat().st_size / 1000:.0f} kB")


def main(folder: str) -> None:
    sdists, wheels = sorted(Path(folder).glob("*.tar.gz")), sorted(Path(folder).glob("*.whl"))
    require(len(sdists) == 1 and len(wheels) >= 1, f"{folder} must hold one sdist and a wheel, got {sdists + wheels}")
    check_sdist(sdists[0])
    for wheel in wheels:
        check_wheel(wheel)


if __name__ == "__main__":
    main(*sys.argv[1:])
