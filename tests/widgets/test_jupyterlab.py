"""The widgets in JupyterLab: the pad's ink arrives in Python, the others draw."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager

import nbformat
import pytest

pytest.importorskip("jupyterlab")
pytest.importorskip("anywidget")

pytestmark = [pytest.mark.book, pytest.mark.slow]

PAD = """
import handwriting_lib as hw
pad = hw.Pad(['hello', 'world'], caption='<img src=x onerror=alert(1)>')
pad
"""
OTHERS = """
line = hw.write("an ink", seed=3, keep_output=True)[0]
display(hw.Player(line, hw.load_pretrained(), caption="<img src=x onerror=alert(1)>"))
studio = hw.Studio(text="hi", precision="int8")
studio
"""
FILE = """
import json
pad.save('me.json')
told = [pad.sample.text, list(pad.sample.ink.shape), len(hw.to_strokes(pad.sample.ink)),
        [line.text for line in studio.lines]]
open('told.json', 'w').write(json.dumps(told));
"""
IDLE = """
const app = window.jupyterapp;
const panel = app?.shell.currentWidget;
return Boolean(document.querySelector('.jp-Notebook .jp-CodeCell')
  && panel?.sessionContext?.session?.kernel?.status === 'idle');
"""
# A click into an output makes its cell the active one.
RUN = """
const [cell, done] = arguments;
window.jupyterapp.shell.currentWidget.content.activeCellIndex = cell;
window.jupyterapp.commands.execute('notebook:run-cell-and-select-next')
  .then(() => done(true), problem => done(String(problem)));
"""
# anywidget gives its element to the widget, without a figure around it
HOSTS = """
const hosts = [...document.querySelectorAll('.jp-OutputArea-output *')]
  .map(one => one.shadowRoot).filter(Boolean);
"""
# What the Studio says, once the Player is there too.
SAID = (
    HOSTS
    + """
const player = document.querySelector('.jp-OutputArea-output div[data-live]');
if (!player?.shadowRoot.querySelector('canvas')) return '';
const studio = hosts.find(one => one.querySelector('textarea'));
return studio?.querySelector('[role=status]').textContent;
"""
)
PAD_ROOT = (
    HOSTS
    + """
return hosts.find(one => one.querySelector('canvas.surface'))
  ?.querySelector(arguments[0]);
"""
)


def until(ask, what, seconds=60):
    """Ask again and again until the answer is true; gives the answer."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if answer := ask():
            return answer
        time.sleep(0.2)
    raise AssertionError(f"in {seconds} s there was no {what}")


@contextmanager
def jupyterlab(folder):
    """A server of its own, with nothing of the user's; gives its address and token."""
    places = ["CONFIG_DIR", "DATA_DIR", "RUNTIME_DIR"]
    environment = {
        **os.environ,
        **{f"JUPYTER_{name}": str(folder / name.lower()) for name in places},
        "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
        "IPYTHONDIR": str(folder / "ipython"),
        "JUPYTER_PREFER_ENV_PATH": "1",
    }
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root",
        f"--ServerApp.port={port}", "--ServerApp.port_retries=0",
        "--IdentityProvider.token=secret", f"--ServerApp.root_dir={folder / 'work'}",
        "--expose-app-in-browser", "--LabApp.news_url=",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        "--LabApp.extension_manager=readonly",
    ]  # fmt: skip
    log = (folder / "log.txt").open("w")
    server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    address = f"http://127.0.0.1:{port}"

    def answers():
        assert server.poll() is None, (folder / "log.txt").read_text()[-2000:]
        try:
            with urllib.request.urlopen(f"{address}/api?token=secret", timeout=2):
                return True
        except OSError:
            return False

    try:
        until(answers, "server")
        yield address
    finally:
        server.terminate()
        server.wait(30)
        log.close()


def test_widgets_in_jupyterlab(driver, tmp_path):
    from browser import console, requests

    (tmp_path / "work").mkdir()
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(one.strip()) for one in (PAD, OTHERS, FILE)],
        metadata={
            "kernelspec": {
                "name": "python3", "language": "python", "display_name": "Python 3",
            }
        },
    )  # fmt: skip
    nbformat.write(notebook, tmp_path / "work" / "pad.ipynb")
    with jupyterlab(tmp_path) as address:
        console(driver)
        requests(driver)
        driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": 1200, "height": 1600, "deviceScaleFactor": 1, "mobile": False},
        )
        driver.get(f"{address}/lab/tree/pad.ipynb?token=secret&reset")

        def idle():
            return driver.execute_script(IDLE)

        def run(cell):
            until(idle, "kernel that waits")
            assert driver.execute_async_script(RUN, cell) is True

        run(0)
        surface = until(
            lambda: driver.execute_script(PAD_ROOT, "canvas.surface"), "pad in the page"
        )
        time.sleep(0.5)  # its place is settled when the output has grown
        box = surface.rect
        for stroke in range(3):
            places = [
                (box["x"] + 80 + 60 * stroke + 2 * i, box["y"] + 60 + i)
                for i in range(20)
            ]
            send = "Input.dispatchMouseEvent"
            for i, (x, y) in enumerate(places):
                kind = "mouseMoved" if i else "mousePressed"
                driver.execute_cdp_cmd(
                    send,
                    {"type": kind, "x": x, "y": y, "button": "left", "buttons": 1},
                )
            driver.execute_cdp_cmd(
                send, {"type": "mouseReleased", "x": x, "y": y, "button": "left"}
            )
        driver.execute_script(PAD_ROOT, "button.primary").click()
        time.sleep(0.5)
        # In command mode a and b insert cells, and dd deletes one: not from in here.
        own = driver.execute_script(PAD_ROOT, "input[type=text]")
        own.send_keys("a bad daddy")
        assert own.get_property("value") == "a bad daddy"
        driver.execute_script(PAD_ROOT, "button.primary").send_keys("b", "a")
        assert len(driver.find_elements("css selector", ".jp-CodeCell")) == 3
        captions = driver.find_elements("css selector", ".jp-OutputArea-output p")
        assert [one.text for one in captions] == ["<img src=x onerror=alert(1)>"]
        run(1)
        until(
            lambda: "points" in (driver.execute_script(SAID) or ""),
            "Player and a Studio that has written",
        )
        run(2)
        file = tmp_path / "work" / "told.json"
        until(file.exists, "answer of the notebook")
        text, shape, strokes, written = json.loads(file.read_text())
        own = (address, address.replace("http:", "ws:"))
        outside = [one for one in requests(driver) if not one.startswith(own)]
        severe = [one.text for one in console(driver) if one.level == "SEVERE"]
        driver.get("about:blank")
    assert (text, strokes, written) == ("hello", 3, ["hi"])
    assert shape == [60, 3]
    assert outside == []
    assert severe == []
