# shellcheck shell=bash
# What docker/run.sh and docker/train-detached.sh share. Sourced in the project's folder.

# The Dockerfile's target: trainer (all three programs) or verifier.
TARGET=${TARGET:-trainer}
IMAGE=vit-part-$TARGET

build_image_if_absent() {
    if ! docker image inspect "$IMAGE" >/dev/null 2>&1; then
        docker build --file docker/Dockerfile --target "$TARGET" --tag "$IMAGE" .
    fi
}

# Sets `options`: the user's own id, so that results belong to the user; folders mounted, so that
# none goes into the image; and the GPUs, if a driver answers.
container_options() {
    options=(--init --user "$(id -u):$(id -g)" --env HOME=/tmp)
    local folder
    for folder in data trained_models bundles reports; do
        # Made here, since Docker would make it as root.
        mkdir -p "$folder"
        options+=(--volume "$PWD/$folder:/app/$folder")
    done
    if nvidia-smi -L >/dev/null 2>&1; then
        options+=(--gpus all)
    else
        echo "no GPU answers: the container gets the CPU alone" >&2
    fi
}
