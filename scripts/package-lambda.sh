#!/usr/bin/env bash
# Packages the program as a Lambda function, for every role: a function's handler says which one it has.
#
#     scripts/package-lambda.sh                for this machine's architecture
#     scripts/package-lambda.sh --arm64        for another; whatever is given goes to `cargo lambda build`
#
# The package is lambda/orders/bootstrap.zip in the target folder. cargo-lambda is set up there as well, from PyPI,
# unless it is on the PATH; once that and the crates are there, no network is needed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

version=1.9.2
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
tools=$target/cargo-lambda-$version
package=$target/lambda/orders/bootstrap.zip

if ! command -v cargo-lambda >/dev/null; then
    if [[ ! -e $tools/complete ]]; then
        if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
            echo "error: cargo-lambda is neither on the PATH nor can it be set up without python3 and its venv" >&2
            exit 1
        fi
        echo "setting up cargo-lambda $version in $tools" >&2
        python3 -m venv --clear "$tools"
        "$tools/bin/python" -m pip install --quiet --disable-pip-version-check "cargo-lambda==$version"
        touch "$tools/complete"
    fi
    PATH=$PATH:$tools/bin
fi

# For this machine cargo does; for another, cargo-lambda links with Zig, which came with it.
compiler=(--compiler cargo)
for argument in "$@"; do
    case $argument in
    --arm64 | --x86-64 | --target | --target=* | --compiler | --compiler=* | -c) compiler=() ;;
    esac
done

# Its own optimizations would have panics abort the process; the profile has all that are wanted.
cargo lambda build --profile lambda --disable-optimizations --locked --no-default-features --features aws \
    --lambda-dir "$target/lambda" --output-format zip "${compiler[@]}" "$@"

echo "$package: $(($(stat -c %s "$package") / 1024)) KiB"
