"""Getting the network's library ready says nothing of its own."""

import subprocess
import sys


def test_loading_prints_nothing() -> None:
    code = "from thighview.engine.devices import prepare_device as p; p('cpu'); import sys; sys.stderr.write('end')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert (done.stdout, done.stderr) == ("", "end")
