#!/usr/bin/env bash
# Opens a shell in the container, or runs a command there; builds the image first if there is none:
#
#   docker/run.sh
#   docker/run.sh trainer train --model base --batch-size 100 --epochs 100
#   TARGET=verifier docker/run.sh verifier check bundles/base --device cuda
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=docker/container.sh
source docker/container.sh

build_image_if_absent
container_options
if [[ -t 0 && -t 1 ]]; then
    options+=(--tty)
fi
exec docker run --rm --interactive "${options[@]}" "$IMAGE" "${@:-bash}"
