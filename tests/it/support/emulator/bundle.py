"""Prints the deployment package of a function, in base64: the program named on the command line, as `bootstrap`."""

import base64
import io
import os
import subprocess
import sys
import tempfile
import zipfile


def stripped(program):
    """Strips the program, because a debug binary is mostly symbols. A script is returned unchanged."""
    with tempfile.TemporaryDirectory() as folder:
        copy = os.path.join(folder, "bootstrap")
        try:
            subprocess.run(["strip", "-o", copy, program], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            copy = program
        with open(copy, "rb") as file:
            return file.read()


def package(program):
    # A ZipInfo without a date gets a fixed one, so that the same program always gives the same package.
    entry = zipfile.ZipInfo("bootstrap")
    entry.external_attr = 0o100755 << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(entry, stripped(program), compresslevel=1)
    return buffer.getvalue()


print(base64.b64encode(package(sys.argv[1])).decode())
