"""Gathers what run.sh left in a folder into results.json and results.md; exits 1 unless everything ran and passed."""

import datetime
import json
import pathlib
import subprocess
import sys
import xml.etree.ElementTree as xml


def ask(*command):
    """First line of what a command says; None where there is no such command, or it fails."""
    try:
        said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    return said.strip().partition("\n")[0] or None


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return None


def suite(name, code, report):
    """Counts of a GoogleTest or JUnit report. A suite that left none ran no test."""
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    if report.exists():
        for element in xml.parse(report).getroot().iter("testsuite"):
            total, failures, errors, skipped = (
                int(element.get(key, 0)) for key in ("tests", "failures", "errors", "skipped"))
            counts["failed"] += failures + errors
            counts["skipped"] += skipped
            counts["passed"] += total - failures - errors - skipped
    return {"name": name, "exit": code, **counts}


def ceiling(name, code, file):
    return {"name": name, "exit": code, **(json.loads(file.read_text(encoding="utf-8")) if code == 0 else {})}


def main(folder, commit):
    steps = [line.split("\t") for line in (folder / "steps.tsv").read_text(encoding="utf-8").splitlines()]
    codes = {name: int(code) for name, code in steps}
    suites = [suite(name, code, folder / f"{name}.xml") for name, code in codes.items()
              if not name.startswith("ceiling-")]
    ceilings = [ceiling(name, code, folder / f"{name}.json") for name, code in codes.items()
                if name.startswith("ceiling-")]
    # On a GPU machine nothing has a reason to be skipped.
    good = (all(code == 0 for code in codes.values())
            and all(s["passed"] > 0 and s["failed"] == 0 and s["skipped"] == 0 for s in suites))
    results = {
        "ok": good,
        "commit": commit,
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "gpu": ask("nvidia-smi", "--query-gpu=name", "--format=csv,noheader"),
        "driver": ask("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"),
        "cpu": processor(),
        "suites": suites,
        "ceilings": ceilings,
    }
    (folder / "results.json").write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")

    lines = [f"{results['gpu'] or 'no GPU'}, driver {results['driver'] or 'none'}, {results['cpu']}; "
             f"{results['date']}; commit {commit}", "",
             "| suite | passed | failed | skipped | exit |", "|---|---|---|---|---|"]
    lines += [f"| {s['name']} | {s['passed']} | {s['failed']} | {s['skipped']} | {s['exit']} |" for s in suites]
    lines += ["", "| ceiling | median | p10 to p90 | launches |", "|---|---|---|---|"]
    lines += [f"| {c['what']} | {c['median']} {c['unit']} | {c['p10']} to {c['p90']} | {c['launches']} |"
              if c["exit"] == 0 else f"| {c['name']} | failed, exit {c['exit']} | | |" for c in ceilings]
    text = "\n".join(lines) + "\n"
    (folder / "results.md").write_text(text, encoding="utf-8")
    print(text)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]), sys.argv[2]))
