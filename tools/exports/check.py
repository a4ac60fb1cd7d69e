"""Exports, held against the official validators: ``python3 tools/dev.py external exports``.

Records scenarios with hits, misses, failures, runs that were killed and one that runs, and the demo; exports all of
them in every format; and has `validators.py` read them in an environment of its own. Mermaid is read by itself in
Chromium, DOT by Graphviz. What is missing here (a browser, npm, dot, the schemas of OpenLineage) is said and left out.

``--keep DIR``: keep the environment and the exports there, for the next time.
"""

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT))

from consist_es import Tracker  # noqa: E402
from consist_es.api.history import CrateOptions  # noqa: E402
from tests.support import exported  # noqa: E402

SCHEMAS = Path(os.environ.get("OPENLINEAGE_SCHEMAS", ROOT.parent / "shared" / "data" / "openlineage"))
MERMAID = "mermaid@11.17.2"
FORMATS = ("openlineage", "prov", "parquet", "trace", "mermaid", "dot")
PAGE = """<!doctype html><meta charset="utf-8"><pre id="said">nothing</pre><script src="mermaid.min.js"></script>
<script>
const charts = %s;
(async () => {
  const said = [];
  for (const [name, text] of Object.entries(charts)) {
    try {
      await mermaid.parse(text);
      const {svg} = await mermaid.render("x" + said.length, text);
      said.push(`${name}: parsed, drawn in ${svg.length} characters`);
    }
    catch (error) { said.push(`${name}: REFUSED ${error}`); }
  }
  document.getElementById("said").textContent = said.join("\\n") + "\\nend";
})();
</script>"""


def run(*command: str | Path, cwd: Path = ROOT, quiet: bool = False) -> subprocess.CompletedProcess[str]:
    """Run a command, shown unless it is quiet."""
    if not quiet:
        print("$ " + " ".join(map(str, command)), flush=True)
    pipe = subprocess.PIPE if quiet else None
    return subprocess.run(command, cwd=cwd, check=False, text=True, stdout=pipe, stderr=pipe)


@contextlib.contextmanager
def folder(keep: Path | None) -> Iterator[Path]:
    """The folder to work in."""
    if keep is None:
        with tempfile.TemporaryDirectory() as name:
            yield Path(name)
        return
    keep.mkdir(parents=True, exist_ok=True)
    yield keep.resolve()


def environment(place: Path, *wanted: str | Path) -> Path:
    """The Python of an environment with these packages; made unless it is there."""
    python = place / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not (place / "whole").exists():
        shutil.rmtree(place, ignore_errors=True)
        run(sys.executable, "-m", "venv", place)
        if run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *wanted).returncode:
            sys.exit("error: the environment could not be made; the lines above say why.")
        (place / "whole").touch()
    return python


def exports(out: Path) -> None:
    """Record, and export the record as a whole and scenario by scenario, and the demo."""
    shutil.rmtree(out, ignore_errors=True)
    (out / "record").mkdir(parents=True)
    run(sys.executable, "-c", "from consist_es.cli import main; main(['demo'])", cwd=out, quiet=True)
    with exported.recorded(out / "record" / "project") as place, exported.tracker(place) as tracker:
        export(tracker, out / "record", exported.SCENARIOS)
    demo = out / "consist-es-demo"
    (out / "demo").mkdir()
    with Tracker(demo, demo / "demo.db", access_mode="analysis") as tracker:
        export(tracker, out / "demo", ("base", "widened", "widened#2"))


def export(tracker: Tracker, out: Path, scenarios: tuple[str, ...]) -> None:
    """Every format: as a whole, and of each scenario."""
    script = out / "model.py"
    script.write_text("print('a model')\n")
    for kind in FORMATS:
        tracker.export(kind, out / f"all.{kind}")
    for number, name in enumerate(scenarios):
        for kind in FORMATS:
            tracker.export(kind, out / f"{number}.{kind}", [name])
        more: CrateOptions = {"script": script, "license": "CC-BY-4.0", "data": number % 3 > 0}
        if number % 2:
            more |= {"author": "A. Modeller", "publisher": "An Institute"}
        tracker.export("ro-crate", out / f"{number}.ro-crate", name, **more)


def graphs(out: Path) -> bool:
    """Have Graphviz and Mermaid read the graphs."""
    good = True
    if shutil.which("dot") is None:
        print("DOT: not tried, there is no Graphviz here")
    else:
        files = sorted(out.glob("*/*.dot"))
        bad = [file.name for file in files if run("dot", "-Tsvg", "-o", os.devnull, file, quiet=True).returncode]
        print(f"DOT: {'FAIL ' + ', '.join(bad) if bad else 'PASS'}, {len(files)} graphs drawn by Graphviz")
        good = not bad
    return mermaid(out) and good


def mermaid(out: Path) -> bool:
    """Have Mermaid read the charts in Chromium."""
    browser, npm = shutil.which("chromium") or shutil.which("chromium-browser"), shutil.which("npm")
    if browser is None or npm is None or run(npm, "pack", "--silent", MERMAID, cwd=out, quiet=True).returncode:
        print("Mermaid: not tried, there is no Chromium or no npm here")
        return True
    (tarball,) = out.glob("mermaid-*.tgz")
    run("tar", "xzf", tarball, "--strip-components=2", "package/dist/mermaid.min.js", cwd=out)
    charts = {str(file.relative_to(out)): file.read_text(encoding="utf-8") for file in sorted(out.glob("*/*.mermaid"))}
    (out / "page.html").write_text(PAGE % json.dumps(charts).replace("<", "\\u003c"), encoding="utf-8")
    options = ("--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=60000", "--dump-dom")
    told = run(browser, *options, (out / "page.html").as_uri(), quiet=True).stdout
    told = told.partition('<pre id="said">')[2].partition("</pre>")[0]
    count, whole = told.count(": parsed, drawn"), told.endswith("\nend")
    good = whole and count == len(charts)
    print(f"Mermaid: {'PASS' if good else 'FAIL'}, {count} of {len(charts)} charts parsed and drawn by {MERMAID}")
    if not good:
        print(*(line for line in told.splitlines() if "REFUSED" in line), sep="\n")
    return good


def main() -> int:
    """Give 0 where every validator passes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keep", type=Path)
    keep = parser.parse_args().keep
    warnings.simplefilter("ignore")
    with folder(keep) as place:
        began = time.process_time()
        exports(place / "out")
        print(f"recorded and exported in {time.process_time() - began:.1f} s CPU", flush=True)
        python = environment(place / "validators", "-r", HERE / "requirements.txt")
        passed = run(python, HERE / "validators.py", place / "out", SCHEMAS).returncode == 0
        passed = graphs(place / "out") and passed
    print(f"exports: {'every validator that is here passes' if passed else 'FAILED'}")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
