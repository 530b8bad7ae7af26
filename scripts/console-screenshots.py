#!/usr/bin/env python3
"""Makes the pictures of the console in the documents: scripts/console-screenshots.py [BINARY]

BINARY is target/release/orders by default. Starts a service with an empty data folder, lets examples/shop_week.py use it for a
week's orders, and takes the pictures in Chromium. Writes docs/images/console-*.png, and fails if they take more than 300 KB.
"""

import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import urllib.request

sys.dont_write_bytecode = True  # The import would leave a folder beside the scripts.

from large_folder import Service

ROOT = pathlib.Path(__file__).resolve().parent.parent
MAX_BYTES = 300_000
BROWSERS = ["chromium", "chromium-browser", "google-chrome"]
OPTIONS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--hide-scrollbars",
    # Pages that follow the service never end loading. This is the time that they get.
    "--virtual-time-budget=8000",
]


def longest_order(url):
    """The id of the order with the most events."""
    with urllib.request.urlopen(f"{url}/v1/orders?limit=50") as answer:
        orders = json.load(answer)["items"]
    return max(orders, key=lambda order: order["version"])["order_id"]


def main():
    binary = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "target/release/orders").resolve()
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        sys.exit("error: Chromium is missing (Debian: apt-get install chromium)")
    images = ROOT / "docs/images"
    images.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        service = Service(binary, f"{folder}/data")
        service.wait_until_serving()
        url = f"http://{service.address}"
        subprocess.run([sys.executable, ROOT / "examples/shop_week.py", "--url", url], check=True, stdout=subprocess.DEVNULL)
        for name, path, size in [
            ("pipeline", "/console", "1180,640"),
            ("order", f"/console/orders/{longest_order(url)}", "1180,860"),
        ]:
            command = [browser, *OPTIONS, f"--user-data-dir={folder}/{name}", f"--window-size={size}"]
            picture = images / f"console-{name}.png"
            subprocess.run([*command, f"--screenshot={picture}", url + path], check=True, stderr=subprocess.DEVNULL)
        service.stop()
    total = sum(picture.stat().st_size for picture in images.glob("console-*.png"))
    print(f"{total} bytes")
    if total > MAX_BYTES:
        sys.exit(f"error: the pictures take {total} bytes, and {MAX_BYTES} are allowed")


main()
