#!/usr/bin/env bash
# Trains in the background, which goes on after logout, and writes full_train.log. Arguments go to
# `trainer train`:
#
#   docker/train-detached.sh --model base --batch-size 100 --epochs 100
#
# In a container if Docker answers, else with target/release/trainer.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=docker/container.sh
source docker/container.sh

NAME=vit-part-train
LOG=full_train.log
PID_FILE=full_train.pid

main() {
    if [[ $# -eq 0 ]]; then
        fail "no arguments for \`trainer train\`" \
            "docker/train-detached.sh --model base --batch-size 100 --epochs 100"
    fi
    if [[ $1 == -h || $1 == --help ]]; then
        sed -n 's/^# \{0,1\}//p; /^set/q' "$0" | tail -n +2
        return
    fi
    local in_docker=false
    if docker info >/dev/null 2>&1; then
        in_docker=true
    fi
    if process_runs; then
        fail "a training is running already, process $(<"$PID_FILE")" \
            "kill -TERM $(<"$PID_FILE") stops it"
    fi
    if $in_docker && container_runs; then
        fail "a training is running already, container $NAME" \
            "docker stop -t 120 $NAME stops it"
    fi

    local started stop resume=" --resume" again="${*/--force/}"
    if [[ " $* " == *" --resume "* ]]; then
        resume=""
    fi
    if $in_docker; then
        started="container $NAME" stop="docker stop -t 120 $NAME"
        start_container "$@"
    else
        start_process "$@"
        started="process $(<"$PID_FILE")" stop="kill -TERM $(<"$PID_FILE")"
    fi
    # Wrong arguments end it at once; better said here than in a log.
    sleep 2
    if ! { process_runs || { $in_docker && container_runs; }; }; then
        tail -n 20 "$LOG" >&2
        fail "the training ended at once; the end of $LOG is above"
    fi
    cat <<EOF
started    $started
follow     tail -f $LOG
stop       $stop    (its state is saved first)
continue   docker/train-detached.sh $again$resume
EOF
}

start_container() {
    build_image_if_absent
    container_options
    docker rm "$NAME" >/dev/null 2>&1 || true
    log_heading "$@"
    # shellcheck disable=SC2016 # expanded in the container
    docker run --detach --name "$NAME" --stop-timeout 120 "${options[@]}" \
        --volume "$PWD/$LOG:/app/$LOG" "$IMAGE" \
        bash -c 'exec trainer train "$@" >>full_train.log 2>&1' trainer "$@" >/dev/null
}

start_process() {
    if [[ ! -x target/release/trainer ]]; then
        fail "Docker does not answer, and target/release/trainer is not there" "make build"
    fi
    log_heading "$@"
    # A session of its own has no terminal whose end could end it.
    setsid target/release/trainer train "$@" >>"$LOG" 2>&1 </dev/null &
    echo $! >"$PID_FILE"
}

# Appended to, never replaced: the log of an interrupted training is part of the resumed one's.
log_heading() {
    echo "── $(date '+%Y-%m-%d %H:%M:%S')  trainer train $*" >>"$LOG"
}

container_runs() {
    [[ $(docker container inspect --format '{{.State.Running}}' "$NAME" 2>/dev/null) == true ]]
}

# The program too: after a restart of the machine the number may be another's. One that has ended
# has no program.
process_runs() {
    [[ -f $PID_FILE && $(readlink "/proc/$(<"$PID_FILE")/exe") == */trainer* ]]
}

fail() {
    echo "train-detached: error: $1" >&2
    if [[ -n ${2:-} ]]; then
        echo "hint: $2" >&2
    fi
    exit 2
}

main "$@"
