"""Ask a running camera from another process: its results as they come, its newest picture, its health.

    pip install "pvt-edge[openvino,opencv,stream,serve]"
    python 08_live_page_and_feed.py                                  # drawn cells, bundle out/cells, five results
    python 08_live_page_and_feed.py rtsp://192.168.1.20/1 out/mine 100

While it runs, the page is at the address that it prints.
"""

import json
import socket
import subprocess
import sys
import urllib.request

source, bundle, count = [*sys.argv[1:], *["synthetic://cells", "out/cells", "5"][len(sys.argv) - 1 :]]

with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    address = f"127.0.0.1:{free.getsockname()[1]}"

# `--json -` writes a line a frame to standard output; `--serve` gives the page and its JSON, on this machine alone.
command = ["pvt-edge", "predict", bundle, source, "--json", "-", "--serve", address]
with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as camera:
    print(f"live page: http://{address}/")
    for _ in range(int(count)):
        found = json.loads(camera.stdout.readline())
        names = [one["name"] for one in found["predictions"]]
        print(f"frame {found['frame']['id']}, {found['frame']['age_ms']:.0f} ms old: {len(names)} found")

    with urllib.request.urlopen(f"http://{address}/api/status") as answer:
        print("status:", json.load(answer))
    with urllib.request.urlopen(f"http://{address}/healthz") as answer:
        print("health:", json.load(answer)["status"])
    with urllib.request.urlopen(f"http://{address}/snapshot/0.jpg") as answer, open("snapshot.jpg", "wb") as file:
        file.write(answer.read())

    camera.terminate()  # as Ctrl-C: files are finished, the port is closed
    camera.stdout.read()
