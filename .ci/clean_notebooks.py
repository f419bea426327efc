"""Remove from executed notebooks what differs between two equal runs: times and versions."""

import json
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "notebooks"


def main() -> None:
    """Rewrite every notebook of the folder."""
    for path in sorted(FOLDER.glob("*.ipynb")):
        notebook = json.loads(path.read_text(encoding="utf-8"))
        notebook["metadata"]["language_info"] = {"name": "python"}
        for cell in notebook["cells"]:
            cell["metadata"].pop("execution", None)
        path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
