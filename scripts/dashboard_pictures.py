"""Draws dashboards roughly as Grafana would, to see whether they can be read without Grafana.

Used by `check-dashboards --live --pictures DIR`; needs matplotlib.
"""

import datetime
import math
import re

import matplotlib

matplotlib.use("Agg")
import matplotlib.dates
import matplotlib.pyplot as plt

UNITS = {
    "s": lambda v: f"{v:.3g} s" if v >= 1 or v == 0 else f"{v * 1000:.3g} ms" if v >= 1e-3 else f"{v * 1e6:.3g} µs",
    "bytes": lambda v: f"{v / 2**20:.3g} MiB" if v >= 2**20 else f"{v / 1024:.3g} KiB",
    "Bps": lambda v: f"{v / 1000:.3g} kB/s",
    "cps": lambda v: f"{v:.3g}/s",
    "percentunit": lambda v: f"{v * 100:.3g} %",
    "short": lambda v: f"{v:.4g}",
}


def name_of(target, labels):
    legend = re.sub(r"\{\{(\w+)\}\}", lambda found: labels.get(found.group(1), ""), target["legendFormat"])
    return legend or "value"


def last(values):
    finite = [value for _, value in values if math.isfinite(value)]
    return finite[-1] if finite else float("nan")


def times(values):
    return [datetime.datetime.fromtimestamp(at) for at, _ in values]


def colours(panel):
    return {
        override["matcher"]["options"]: override["properties"][0]["value"]["fixedColor"].replace("text", "grey")
        for override in panel["fieldConfig"]["overrides"]
    }


def draw_lines(axes, panel, found, unit, span):
    defaults, own = panel["fieldConfig"]["defaults"], colours(panel)
    named = [
        (name_of(target, one["metric"]), one["values"])
        for target, result in zip(panel["targets"], found)
        for one in result
    ]
    if defaults["custom"]["stacking"]["mode"] == "normal" and named:
        every = sorted({at for _, values in named for at, _ in values})
        rows = [[dict(values).get(at, 0) for at in every] for _, values in named]
        shades = [own.get(name) for name, _ in named]
        shades = shades if all(shades) else None
        axes.stackplot(times([(at, 0) for at in every]), rows, labels=[n for n, _ in named], alpha=0.5, colors=shades)
    else:
        for name, values in named:
            axes.plot(times(values), [value for _, value in values], ".-", markersize=3, label=name, linewidth=1, color=own.get(name))
    if defaults["custom"].get("scaleDistribution"):
        axes.set_yscale("log")
    else:
        axes.set_ylim(bottom=0)
    if named and panel["options"]["legend"]["showLegend"]:
        axes.legend(fontsize=5, ncol=4, loc="upper center", bbox_to_anchor=(0.5, -0.12), frameon=False)
    if not any(found):
        axes.text(0.5, 0.45, defaults["noValue"], ha="center", transform=axes.transAxes)
    axes.set_xlim(span)
    axes.yaxis.set_major_formatter(lambda value, _: unit(value))
    axes.xaxis.set_major_formatter(matplotlib.dates.DateFormatter("%H:%M:%S"))


def draw_stat(axes, panel, found, unit, span):
    axes.axis("off")
    defaults = panel["fieldConfig"]["defaults"]
    result = found[0] if found else []
    if not result:
        axes.text(0.5, 0.4, defaults["noValue"], ha="center", fontsize=16, color="green")
        return
    value = last(result[0]["values"])
    colour = "blue"
    for step in defaults["thresholds"]["steps"]:
        if step["value"] is None or value >= step["value"]:
            colour = step["color"]
    text = unit(value)
    if "decimals" in defaults:
        text = f"{value:.{defaults['decimals']}f}"
    for mapping in defaults.get("mappings", []):
        text = mapping["options"].get(str(int(value)), {}).get("text", text)
    if panel["options"]["textMode"] == "name":
        text = name_of(panel["targets"][0], result[0]["metric"])
    axes.text(0.5, 0.4, text, ha="center", fontsize=16, color=colour.replace("yellow", "goldenrod"))


def draw_bars(axes, panel, found, unit, span):
    totals = [(last(one["values"]), name_of(panel["targets"][0], one["metric"])) for one in found[0]] if found else []
    totals = sorted(total for total in totals if total[0] > 0)
    axes.barh([name for _, name in totals], [value for value, _ in totals])
    for at, (value, _) in enumerate(totals):
        axes.text(value, at, f" {value:.0f}", va="center", fontsize=6)
    if not totals:
        axes.axis("off")
        axes.text(0.5, 0.4, "no data", ha="center")


def draw_heatmap(axes, panel, found, unit, span):
    bounds = sorted(found[0], key=lambda one: float(one["metric"]["le"])) if found else []
    if not bounds:
        axes.text(0.5, 0.4, "no data", ha="center")
        return
    every = sorted({at for one in bounds for at, _ in one["values"]})
    below, rows = [0] * len(every), []
    for one in bounds:
        row = [dict(one["values"]).get(at, 0) for at in every]
        rows.append([max(0, value - less) for value, less in zip(row, below)])
        below = row
    axes.imshow(rows, aspect="auto", origin="lower", cmap="Blues", interpolation="nearest")
    axes.set_yticks(range(len(bounds)), [one["metric"]["le"] for one in bounds])
    axes.set_xticks([])


KINDS = {"timeseries": draw_lines, "stat": draw_stat, "bargauge": draw_bars, "heatmap": draw_heatmap}


def span_of(dashboards):
    """From the first to the last sample."""
    every = [at for panels in dashboards.values() for _, found in panels for result in found for one in result for at in times(one["values"])]
    return min(every), max(every)


def draw(dashboards, folder):
    folder.mkdir(parents=True, exist_ok=True)
    span = span_of(dashboards)
    for where, panels in dashboards.items():
        height = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel, _ in panels)
        figure = plt.figure(figsize=(15, height * 0.42))
        for panel, found in panels:
            at = panel["gridPos"]
            box = [at["x"] / 24 + 0.045, 1 - (at["y"] + at["h"] - 1.7) / height, at["w"] / 24 - 0.055, (at["h"] - 2.7) / height]
            if panel["type"] == "bargauge":
                box[0], box[2] = box[0] + 0.1, box[2] - 0.1
            axes = figure.add_axes(box)
            axes.set_title(panel["title"], fontsize=8, loc="left", weight="bold")
            axes.tick_params(labelsize=6)
            axes.grid(alpha=0.2)
            KINDS[panel["type"]](axes, panel, found, UNITS[panel["fieldConfig"]["defaults"]["unit"]], span)
        figure.savefig(folder / f"{where}.png", dpi=80)
        plt.close(figure)
        print(folder / f"{where}.png")
