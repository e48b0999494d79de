"""The generated part of docs/performance.md, from the results of bench/compare."""

import math
import os
import statistics

DIRECT = "nacre f32"  # with direct convolutions, what other precisions are compared with
OLD_TORCH = "old torch"  # eager, of another Python


def markers(precision):
    name = "bench/compare" + (f" {precision}" if precision != "f32" else "")
    return f"<!-- {name}: begin -->", f"<!-- {name}: end -->"


def median(row, who, field):
    return statistics.median(run[field] for run in row["runs"][who])


def ratio(row, who):
    """How many times longer it takes than nacre: the median of the ratios within each round."""
    ours = {run["round"]: run["ms"] for run in row["runs"]["nacre"]}
    found = [run["ms"] / ours[run["round"]] for run in row["runs"][who] if run["round"] in ours]
    return statistics.median(found) if found else math.nan


def peers_of(row):
    """Others that were measured, the fastest first."""
    if not row["runs"].get("nacre"):
        return []
    found = {p: ratio(row, p) for p in row["runs"]
             if not p.startswith("nacre") and row["runs"][p]}
    return sorted((p for p in found if found[p] > 0), key=found.get)


def number(value):
    """Three digits that count."""
    if value is None or math.isnan(value):
        return "–"
    if value == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:.{digits}f}"


def tiny(value):
    return "–" if value is None else "0" if value == 0 else f"{value:.0e}"


def table(head, lines):
    aligned = ["---"] + ["---:"] * (len(head) - 1)
    return ["| " + " | ".join(cells) + " |" for cells in [head, aligned, *lines]]


def mean_of(values):
    return math.exp(statistics.fmean(math.log(v) for v in values)) if values else math.nan


def group_of(row):
    return row.get("group", row["mode"])


def mode_of(row):
    return "–" if group_of(row) == "other" else f"{row['mode']} b{row['batch']}"


def peer_name(who):
    return who.replace("_", " ")


def main_table(rows, peak, precision):
    """Of other precisions than f32, with how many times longer nacre's f32 takes."""
    lines = []
    for row in rows:
        others = peers_of(row)
        if not row["runs"].get("nacre"):
            continue
        ms = median(row, "nacre", "ms")
        macs = row["runs"]["nacre"][0]["macs"]
        own = max((r["peak_gflops"] for r in row["runs"].get("nacre", [])), default=0) or peak
        share = 200e-6 * macs / ms / own if macs and own else None
        best = others[0] if others else None

        def both(field, show, best=best, row=row):
            ours = show(median(row, "nacre", field))
            return f"{ours} / {show(median(row, best, field))}" if best else ours

        errors = row.get("errors", {})
        error = tiny(errors.get("nacre"))
        if best and errors:
            error += " / " + tiny(errors.get(best))
        plain = []
        if precision != "f32":
            plain = [f"{ratio(row, DIRECT):.2f}" if row["runs"].get(DIRECT) else "–"]
        lines.append([
            row["title"], mode_of(row), number(ms), *plain,
            f"{number(median(row, best, 'ms'))} ({peer_name(best)})" if best else "–",
            f"{ratio(row, best):.2f}" if best else "–",
            f"{share:.0f} %" if share and share >= 0.5 else "–",
            both("peak_mib", lambda v: f"{v:.0f}"), both("first_ms", lambda v: f"{v:.0f}"),
            error, str(len(row["runs"]["nacre"]))])
    plain = ["times f32"] if precision != "f32" else []
    return table(["workload", "mode", "nacre ms", *plain, "best other ms", "ratio", "of peak",
                  "MiB", "first result ms", "error", "rounds"], lines)


def peer_table(rows):
    names = ["torch eager", "torch channels_last", "torch compile", "torch compile_channels_last",
             OLD_TORCH, "onnxruntime", "onnxruntime static", "openvino", "ncnn"]
    present = [n for n in names if any(n in peers_of(row) for row in rows)]
    lines = []
    for row in rows:
        others = peers_of(row)
        if others:
            lines.append([f"{row['title']}, {mode_of(row)}"] + [
                f"{ratio(row, n):.2f}" if n in others else "–" for n in present])
    return table(["workload"] + [peer_name(n) for n in present], lines)


def counted(values):
    return f"{len(values)} workload{'' if len(values) == 1 else 's'}"


def means(rows):
    lines = []
    for group, text in (("infer", "inference"), ("train", "training"), ("other", "other work")):
        measured = [r for r in rows if group_of(r) == group and peers_of(r)]
        if not measured:
            continue
        best = [ratio(r, peers_of(r)[0]) for r in measured]
        lines.append(f"- {text}, {counted(best)}: {mean_of(best):.2f} times the best other, "
                     f"least {min(best):.2f}")
        torch = [min(ratio(r, p) for p in peers_of(r) if p.startswith("torch")) for r in measured
                 if any(p.startswith("torch") for p in peers_of(r))]
        if torch:
            lines.append(f"- {text}, {counted(torch)}: {mean_of(torch):.2f} times the best "
                         f"form of PyTorch, least {min(torch):.2f}")
        old = [ratio(r, OLD_TORCH) for r in measured if OLD_TORCH in peers_of(r)]
        if old:
            lines.append(f"- {text}, {counted(old)}: {mean_of(old):.2f} times the older PyTorch's "
                         f"eager form, least {min(old):.2f}")
    return lines or ["- none yet"]


def behind(rows):
    lines = []
    for row in rows:
        for who in peers_of(row):
            r = ratio(row, who)
            if r < 1:
                lines.append((r, f"- {row['title']}, {mode_of(row)}: {r:.2f} of {peer_name(who)} "
                              f"({number(median(row, 'nacre', 'ms'))} ms, it takes "
                              f"{number(median(row, who, 'ms'))} ms)"))
    return [text for _, text in sorted(lines)] or ["- nowhere"]


def without_result(results):
    lines = [f"- {row['title']}, {mode_of(row)}: {peer_name(who)}: {' '.join(why.split())}"
             for row in results["rows"] for who, why in row["failures"].items()]
    if results.get("left_out"):
        lines.append("- not measured for lack of time: " + ", ".join(results["left_out"]))
    return lines


def page(results, precision):
    """The text between the markers."""
    part = "##" if precision == "f32" else "###"
    rows = results["rows"]
    machine = results.get("machine", {})
    peaks = [run["peak_gflops"] for row in rows for run in row["runs"].get("nacre", [])]
    peak = max(peaks, default=0)
    versions = ", ".join(f"{k} {v}" for k, v in machine.get("versions", {}).items())
    dates = sorted({row["date"] for row in rows})
    of = "" if precision == "f32" else "of f32 "
    lines = [", ".join([machine.get("cpu", "a machine"), *machine.get("vectors", [])]) + ", "
             f"{machine.get('threads', '?')} thread{'s' * (machine.get('threads') != 1)}, "
             f"{precision}; measured peak {of}{peak:.0f} GFLOP/s; "
             f"{versions or 'no other framework'}; "
             f"{' to '.join(dict.fromkeys([*dates[:1], *dates[-1:]]))}.", ""]
    lines += main_table(rows, peak, precision)
    lines += ["", "Geometric means of the ratios:", "", *means(rows)]
    lines += ["", f"{part} Where nacre is not ahead", "", *behind(rows)]
    lines += ["", f"{part} Each framework", "", "How many times longer than nacre each takes; those far "
              "behind in the first round have one round only.", "", *peer_table(rows)]
    failed = without_result(results)
    if failed:
        lines += ["", "Without a result:", "", *failed]
    return "\n".join(lines)


def replace_file(path, text):
    """Writes a file whole or not at all."""
    with open(path + ".new", "w", encoding="utf-8") as f:
        f.write(text)
    os.replace(path + ".new", path)


def write(results, path, precision="f32"):
    """Replaces what stands between the markers of a page, which stays as it is if that fails."""
    start, stop = markers(precision)
    try:
        with open(path, encoding="utf-8") as f:
            text = f.read()
    except OSError as e:
        raise SystemExit(f"bench/compare: cannot read '{path}': {e.strerror}")
    before, begin, rest = text.partition(start)
    _, end, after = rest.partition(stop)
    if not begin or not end:
        raise SystemExit(f"bench/compare: '{path}' lacks the lines {start} and {stop}")
    replace_file(path, f"{before}{start}\n{page(results, precision)}\n{stop}{after}")
