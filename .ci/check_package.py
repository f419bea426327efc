"""Fail when the wheel or the source archive in a folder lacks files, or holds files that it should not."""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def tracked(*folders: str) -> set[str]:
    """Files of the repository under some folders."""
    command = ["git", "-C", str(ROOT), "ls-files", *folders]
    return set(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines())


def main(folder: str) -> int:
    """Compare both archives with the repository; return 1 where they differ from what is intended."""
    (wheel,) = Path(folder).glob("*.whl")
    (source,) = Path(folder).glob("*.tar.gz")
    in_wheel = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    with tarfile.open(source) as archive:
        in_source = {name.partition("/")[2] for name in archive.getnames()}
    package = tracked("neutral") | {f"neutral/{name}" for name in tracked("configs")}
    faults = [
        *(f"the wheel lacks {name}" for name in package - in_wheel),
        *(f"the wheel should not hold {name}" for name in in_wheel - package),
        *(
            f"the source archive lacks {name}"
            for name in tracked("neutral", "configs", "tests", "docs") - in_source
        ),
    ]
    print(f"{wheel.name}: {len(in_wheel)} files; {source.name}: {len(in_source)} files")
    print(*sorted(faults), sep="\n")
    return min(len(faults), 1)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
