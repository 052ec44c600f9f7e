"""Plants faults in a copy of the project and sees that the tests of the browser go red. Used by `make browser-proof`.

A fault counts as found only if the test that is meant for it fails by what it says: a page that does not load would
fail any test. No file here is touched.

    python -m tools.proofs.browser [name of a fault ...]    records benchmarks/results/browser.json for all of them
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.common.results import results_path, write_record
from tools.notebooks.environment import ROOT, copy_project
from tools.proofs.browser_faults import BROWSER_FAULTS, BrowserFault
from tools.proofs.faults import faulty_texts


def run_test(tree: Path, case: BrowserFault) -> tuple[int, str]:
    """Run the test of a fault over the project in `tree`: pytest's status, and what it printed."""
    environment = os.environ | {
        "SEGLIB_BROWSER_NOTEBOOKS": " ".join(case.fault.notebooks),
        "SEGLIB_BROWSER_TREE": str(tree),
    }
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/browser", "-k", case.test]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def try_fault(case: BrowserFault) -> dict[str, Any]:
    """Whether the test of a fault finds it, with the line of pytest that says how."""
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder)
        copy_project(tree)
        for name, text in faulty_texts(case.fault, tree).items():
            (tree / name).write_text(text, encoding="utf-8", newline="\n")
        status, printed = run_test(tree, case)
    lines = [line.removeprefix("E").strip() for line in printed.splitlines() if line.startswith("E ")]
    found = status == 1 and any(case.reason in line for line in lines)
    row = {"fault": case.fault.name, "file": case.fault.file, "test": case.test, "found": found}
    row |= {"by": lines[0] if lines else "", "seconds": round(time.perf_counter() - begin)}
    print(f"{case.fault.name}: {'found' if found else 'IT SURVIVES'} in {row['seconds']} s; {row['by']}", flush=True)
    if not found:
        print(printed[-3000:])
    return row


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="of a fault; without one, all of them")
    names = parser.parse_args().names
    known = [case.fault.name for case in BROWSER_FAULTS]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise SystemExit("\n".join([f"There is no fault {', '.join(unknown)}. These are known:", *known]))
    cases = [case for case in BROWSER_FAULTS if not names or case.fault.name in names]
    rows = [try_fault(case) for case in cases]
    survivors = sum(not row["found"] for row in rows)
    if not names:
        what = "faults planted in the project, and the test of the browser that finds each"
        write_record(results_path("browser"), what, {"survivors": survivors, "faults": rows})
    print(f"{len(rows)} faults; {survivors} were not found")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
