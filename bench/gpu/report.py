"""Gathers what run.sh left in a folder into results.json and results.md; exits 1 unless all of ours ran and passed."""

import datetime
import json
import pathlib
import re
import subprocess
import sys
import xml.etree.ElementTree as xml

# What is aimed at on an H200. us: in a graph where it was timed so; share: of the copy bandwidth; others: times as fast as
# that form of PyTorch.
GOALS = {
    "gaussian forward 2^24": {"share": 0.9, "compile": 1.2, "eager": 5},
    "gaussian forward+backward 2^24": {"share": 0.9, "compile": 1.2, "eager": 5},
    "vector_quantize 16384x64 K=512": {"us": 7},
    "vector_quantize 524288x64 K=512": {"us": 80},
    "vector_quantize 262144x64 K=2048": {"us": 160},
    "vector_quantize 8192x256 K=16384": {"us": 113},
    "vector_quantize 9600x128 K=1024 8 stages": {"us": 60},
    "vector_quantize training 524288x64 K=512 trained": {"us": 130, "eager": 20},
    "MLP VAE 784-400-20, batch 128": {"us": 150, "eager": 5, "graph": 1.5},
}


def goals_of(name):
    return next((goals for of, goals in GOALS.items() if name in (of, of + " gaussian", of + " trained", of + " initial")), {})


# ---- machine ----

def ask(*command):
    """What a command says; None where there is no such command, or it fails."""
    try:
        said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    return said.strip() or None


def query(what):
    said = ask("nvidia-smi", f"--query-gpu={what}", "--format=csv,noheader")
    return said and said.partition("\n")[0]


def cuda_version():
    found = re.search(r"CUDA Version: *([\d.]+)", ask("nvidia-smi") or "")
    return found and found.group(1)


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return None


# ---- what the steps left ----

def counts(report):
    """Counts of a GoogleTest or JUnit report. A suite that left none ran no test."""
    found = {"passed": 0, "failed": 0, "skipped": 0}
    try:
        suites = list(xml.parse(report).getroot().iter("testsuite"))
    except (OSError, xml.ParseError):
        return found
    for element in suites:
        total, failures, errors, skipped = (
            int(element.get(key, 0)) for key in ("tests", "failures", "errors", "skipped"))
        found["failed"] += failures + errors
        found["skipped"] += skipped
        found["passed"] += total - failures - errors - skipped
    return found


def lines(file):
    """Lines of JSON. A step that was stopped may have left half a line last."""
    found = []
    for line in file.read_text(encoding="utf-8").splitlines() if file.exists() else []:
        try:
            found.append(json.loads(line))
        except ValueError:
            break
    return found


def ceiling(name, how, file):
    return {"name": name, "exit": how, **(json.loads(file.read_text(encoding="utf-8")) if how == 0 else {})}


def copy_bandwidth(ceilings):
    return next((c["median"] for c in ceilings if c["name"] == "ceiling-copy" and c["exit"] == 0), None)


# ---- Markdown ----

def table(heads, rows):
    rows = [[("" if cell is None else str(cell)) for cell in row] for row in rows]
    return ["", "| " + " | ".join(heads) + " |", "|---" * len(heads) + "|", *("| " + " | ".join(r) + " |" for r in rows)]


def digits(value, count=3):
    return None if value is None else f"{value:.{count}g}" if abs(value) < 1000 else f"{value:.0f}"


def graphed(line):
    return line.get("graph_us") or line.get("us")


def copy_share(line, copy):
    """The part of the copy bandwidth that an operation reaches; None where bytes are not what limits it."""
    return line["bytes"] / graphed(line) / 1e3 / copy if copy and line.get("bytes") and "us" in line else None


def ratio(peer, ours):
    """How many times as fast ours is, launched from the host and in graphs."""
    if not ours or "us" not in ours or "us" not in peer:
        return None, None
    return peer["us"] / ours["us"], peer["graph_us"] / graphed(ours) if "graph_us" in peer else None


def verdicts(line, peers, copy):
    """A line a goal: what is aimed at, and what was reached."""
    said = []
    for what, goal in goals_of(line["name"]).items():
        if what == "us":
            said.append(f"{goal} us: {'yes' if graphed(line) <= goal else 'no'}")
        elif what == "share":
            share = copy_share(line, copy)
            said.append(f"{goal:.0%} of copy: " + ("not measured" if share is None else "yes" if share >= goal else "no"))
        else:  # against the fastest of that form with the same precision
            times = [p["us"] for p in peers if "us" in p and p["peer"] in (what, "careful " + what, what + ", fused Adam")]
            best = min(times) / line["us"] if times else 0
            reached = f"{'yes' if best >= goal else 'no'}, {best:.2g}x" if times else "not measured"
            said.append(f"{goal}x {what}: {reached}")
    return "; ".join(said)


def kernel_rows(kernels, peers, copy):
    for line in kernels:
        if "failed" in line:
            yield [line["name"], line["failed"]]
            continue
        share = copy_share(line, copy)
        rate = line["flops"] / graphed(line) / 1e6 if line["flops"] else None
        yield [line["name"], f"{digits(line['us'], 4)} ({digits(line['p10'], 4)} to {digits(line['p90'], 4)})",
               digits(line.get("graph_us"), 4), None if share is None else f"{share:.0%}", digits(rate), f"{line['error']:.1e}",
               verdicts(line, [p for p in peers if p["name"] == line["name"]], copy)]


def peer_rows(peers, ours):
    by_name = {line["name"]: line for line in ours}
    for line in sorted(peers, key=lambda p: list(by_name).index(p["name"]) if p["name"] in by_name else 1000):
        if "failed" in line:
            yield [line["name"], line["peer"], line["failed"]]
            continue
        launched, in_graph = ratio(line, by_name.get(line["name"]))
        error = f"{line['error']:.1e}" if "error" in line else f"loss {line['first_loss']} to {line['last_loss']}"
        yield [line["name"], line["peer"], digits(line["us"], 4), digits(line.get("graph_us"), 4), error, digits(launched),
               digits(in_graph)]


def markdown(results):
    r = results
    copy = copy_bandwidth(r["ceilings"])
    versions = ", ".join(sorted({p["torch"] for p in r["peers"] + r["training_peers"]})) or "not run"
    text = [f"{r['gpu'] or 'no GPU'}, driver {r['driver'] or 'none'}, CUDA {r['cuda'] or 'none'}, PyTorch {versions}; {r['cpu']}; "
            f"{r['date']}; commit {r['commit']}"]
    text += table(["suite", "passed", "failed", "skipped", "exit"],
                  [[s["name"], s["passed"], s["failed"], s["skipped"], s["exit"]] for s in r["suites"]])
    text += table(["compute-sanitizer", "passed", "failed", "skipped", "exit"],
                  [[s["name"], s["passed"], s["failed"], s["skipped"], s["exit"]] for s in r["sanitizers"]])
    text += table(["ceiling", "median", "p10 to p90", "launches"],
                  [[c["what"], f"{c['median']} {c['unit']}", f"{c['p10']} to {c['p90']}", c["launches"]] if c["exit"] == 0
                   else [c["name"], f"failed: {c['exit']}", "", ""] for c in r["ceilings"]])
    text += ["", "Kernels: median microseconds; `graph`: a launch of many in a CUDA graph; error: relative to the CPU's results, "
             "codes all equal."]
    text += table(["operation", "us (p10 to p90)", "graph", "of copy", "TFLOP/s", "error", "goal reached"],
                  kernel_rows(r["kernels"], r["peers"], copy))
    text += ["", "PyTorch at the same shapes; the last two columns: how many times as fast ours is, launched and in a graph. "
             "Errors: relative to fp64, of codes the part of rows whose code is not the nearest."]
    text += table(["operation", "form", "us", "graph", "error", "ours", "ours, graph"], peer_rows(r["peers"], r["kernels"]))
    text += ["", "Training steps from Java, microseconds a step: the median of windows."]
    text += table(["model", "", "us (least to most)", "allocations", "goal reached"],
                  [[t["name"], t["what"], f"{t['us']} ({t['least']} to {t['most']})",
                    f"{t['allocations']} in {t['more_steps']} steps",
                    verdicts(t, [p for p in r["training_peers"] if p["name"] == t["name"]], copy) if t["what"] == "step" else ""]
                   for t in r["training"] if t["what"] != "loss"])
    rows = []
    for step, suffix in (("step", ""), ("step tf32", " tf32")):  # each beside ours of the same precision
        peers = [p for p in r["training_peers"] if p["peer"].endswith(" tf32") == bool(suffix)]
        rows += [row[:6] for row in peer_rows(peers, [t for t in r["training"] if t["what"] == step])]
    text += table(["model", "form", "us", "", "learns", "ours"], rows)
    text += ["", "Losses with one seed; `noise`: how far the CPU's last is from itself with other seeds."]
    text += table(["model", "CPU", "GPU", "apart", "noise"],
                  [[t["name"], t["cpu"], t["cuda"], f"{t['apart']:.1e}", f"{t['noise']:.1e}"]
                   for t in r["training"] if t["what"] == "loss"])
    other = [[name, how] for name, how in r["steps"].items() if how != 0]
    if other:
        text += ["", "Steps that did not end with 0 (124: cut short):", *table(["step", "ended"], other)]
    return "\n".join(text) + "\n"


def passed(results):
    """Whether all of ours ran and passed; on a GPU machine nothing has a reason to be skipped."""
    suites = results["suites"] + results["sanitizers"]
    wanted = ("ceiling-copy", "ceiling-matmul", "kernels", "training")
    steps = [line for line in results["training"] if line["what"] != "loss"]
    losses = [line for line in results["training"] if line["what"] == "loss"]
    return (bool(suites) and all(s["exit"] == 0 and s["passed"] > 0 and s["failed"] == 0 and s["skipped"] == 0 for s in suites)
            and all(results["steps"].get(name, 0) == 0 for name in wanted)
            and all(line["allocations"] == 0 for line in steps) and all(line["apart"] <= line["noise"] for line in losses))


def main(folder, commit):
    steps = {}  # a phase that ran again counts as it ended last
    for line in (folder / "steps.tsv").read_text(encoding="utf-8").splitlines():
        name, _, how = line.partition("\t")
        steps[name] = int(how) if how.isdigit() else how
    suites = [{"name": name, "exit": how, **counts(folder / f"{name}.xml")} for name, how in sorted(steps.items())
              if name in ("junit", "sanitizers") or name.endswith("_cuda") or name.startswith(("memcheck-", "racecheck-"))]
    results = {
        "ok": None,
        "commit": commit,
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "gpu": query("name"),
        "driver": query("driver_version"),
        "cuda": cuda_version(),
        "cpu": processor(),
        "steps": steps,
        "suites": [s for s in suites if s["name"] == "junit" or s["name"].endswith("_cuda")],
        "sanitizers": [s for s in suites if s["name"] == "sanitizers" or "check-" in s["name"]],
        "ceilings": [ceiling(name, how, folder / f"{name}.json") for name, how in steps.items() if name.startswith("ceiling-")],
        "kernels": lines(folder / "kernels.jsonl"),
        "peers": lines(folder / "peers.jsonl") + lines(folder / "compiled.jsonl"),
        "training": lines(folder / "training.jsonl"),
        "training_peers": lines(folder / "peers-training.jsonl") + lines(folder / "compiled-training.jsonl"),
    }
    copy = copy_bandwidth(results["ceilings"])
    for line in results["kernels"]:
        line["of_copy"] = copy_share(line, copy)
    results["ok"] = passed(results)
    (folder / "results.json").write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    text = markdown(results)
    (folder / "results.md").write_text(text, encoding="utf-8")
    print(text)
    return 0 if results["ok"] else 1


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]), sys.argv[2]))
