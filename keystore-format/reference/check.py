"""Opens and re-makes every vector with a second implementation, written from FORMAT.md alone.

    python3 check.py ../vectors

For each `<name>.json` there, the module `<name>.py` here has `check(vector)`, which raises where it disagrees.
Exits with 1 after naming every vector that differs, with 2 where the package `cryptography` is missing.
"""

import importlib
import json
import pathlib
import sys


def main(folder):
    failed = checked = 0
    for file in sorted(pathlib.Path(folder).glob("*.json")):
        module = importlib.import_module(file.stem)
        for vector in json.loads(file.read_text(encoding="utf-8"))["vectors"]:
            checked += 1
            try:
                module.check(vector)
            except Exception as error:  # any disagreement, whatever its kind, is a failure of that vector
                failed += 1
                print(f"{file.name}: {vector['name']}: {type(error).__name__}: {error}", file=sys.stderr)
    print(f"{checked} vectors checked, {failed} differ")
    return 1 if failed or not checked else 0


if __name__ == "__main__":
    try:
        import cryptography  # noqa: F401
    except ImportError:
        print("the reference needs the Python package cryptography (pip install cryptography)", file=sys.stderr)
        sys.exit(2)
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent / "vectors"))
