"""``python -m pyrec_core demo`` and ``python -m pyrec_core doctor``."""

import argparse
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m pyrec_core", description="Recommender systems for NumPy.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    demo = commands.add_parser("demo", help="fit and compare models on generated data or your own")
    demo.add_argument("--data", metavar="PATH", help="MovieLens folder, text file or .npz (default: generated)")
    demo.add_argument("--out", metavar="PNG", default="demo.png", help="picture to write (default: demo.png)")
    demo.add_argument("--l2", type=float, default=500.0, help="middle of the values tried (default: 500)")
    demo.add_argument("--k", type=int, default=10, help="length of the lists that are shown (default: 10)")
    commands.add_parser("doctor", help="say what was found on this machine, and why anything is off")
    options = parser.parse_args(arguments)
    if options.command == "doctor":
        from .doctor import main as doctor  # only what is asked for is imported

        return doctor()
    from .demo import main as run

    try:
        run(options.data, out=options.out, l2=options.l2, k=options.k)
    except (ValueError, OSError) as error:  # the user's file or option: no traceback
        print(f"demo: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
